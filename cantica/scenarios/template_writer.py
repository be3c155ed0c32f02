"""Render the scenarios of a category from its templates."""

import itertools
import re
from collections.abc import Iterator

from cantica.core.combinations import combinations
from cantica.core.errors import InputError, Problem
from cantica.scenarios.scenario import BLOCKS, SPLITS, Counts, Scenario, scenario_of_texts
from cantica.scenarios.slots import Value
from cantica.scenarios.templates import Category, Template


def render_category(category: Category, counts: Counts, seed: int) -> Iterator[Scenario]:
    """Yield `counts[split]` scenarios of each split, each with a different combination of slot values.

    The scenarios of a split are spread evenly over its templates. They depend only on the folder, the library, the
    counts and the seed. Raises InputError if the templates do not have enough combinations.
    """
    name = category.folder.name
    for split in SPLITS:
        templates, number = category.templates[split], 0
        if counts[split] and not templates:
            expected = f"at least one, for {counts[split]} scenarios"
            raise InputError(Problem(str(category.folder / split), "", "no template (*.j2)", expected))
        for index, template in enumerate(templates):
            share = counts[split] // len(templates) + (index < counts[split] % len(templates))
            for values in _combinations(template, share, f"{seed}/{name}/{split}/{template.file.stem}"):
                number += 1
                origin = f"{template.file.as_posix()}{_case(template, values)}"
                yield scenario_of_texts(name, split, number, origin, _render(template, values))


def _case(template: Template, values: dict[str, Value]) -> str:
    """Return the number of each slot's value in the file, as in `: case 3, ending 1`. Slots with one value are left out."""
    chosen = [f"{slot} {known.index(values[slot]) + 1}" for slot, known in template.slots.items() if len(known) > 1]
    return f": {', '.join(chosen)}" if chosen else ""


def _combinations(template: Template, count: int, seed: str) -> Iterator[dict[str, Value]]:
    """Yield the first `count` combinations of a template's slot values. Raises InputError if there are fewer."""
    found = 0
    for values in itertools.islice(combinations(template.slots, template.allows, seed), count):
        found += 1
        yield values
    if found < count:
        got = f"{found} combinations of {', '.join(template.slots) or 'no slot'}"
        hint = "add slot values or templates, or lower the category's count in params.yaml"
        raise InputError(Problem(str(template.file.with_suffix(".yaml")), "", got, f"at least {count}", hint))


def _render(template: Template, values: dict[str, Value]) -> dict[str, str]:
    try:
        context = template.compiled.new_context(values)
        return {block: _tidy("".join(template.compiled.blocks[block](context))) for block in BLOCKS}
    except Exception as error:  # the expressions of a template can raise anything
        raise InputError(Problem(str(template.file), "", str(error), "a template that renders with every slot value")) from None


def _tidy(text: str) -> str:
    """Return a text with each paragraph on one line, a blank line between paragraphs, and single spaces between words."""
    paragraphs = (re.sub(r"\s+", " ", paragraph).strip() for paragraph in re.split(r"\n\s*\n", text))
    return "\n\n".join(filter(None, paragraphs))
