"""Render the scenarios of a category from its templates."""

import itertools
import math
import re
from collections.abc import Iterator

from cantica.core.combinations import combinations
from cantica.core.errors import InputError, Problem
from cantica.scenarios.scenario import OPTIONAL, SPLITS, Counts, Scenario, Split, scenario_of_texts
from cantica.scenarios.slots import Value
from cantica.scenarios.templates import Category, Template


def render_category(category: Category, counts: Counts, seed: int, name: str = "") -> Iterator[Scenario]:
    """Yield `counts[split]` scenarios of each split, each with a different combination of slot values.

    The scenarios of a split are spread evenly over its templates. They depend only on the folder, the library, the
    counts and the seed. name: that of the category in params, if it is not that of the folder. Raises InputError if the
    templates do not have enough combinations, or if a count cannot be divided among paired values.
    """
    name = name or category.folder.name
    for split in SPLITS:
        number = 0
        for template, share in _shares(category, split, counts[split], name):
            for values in _combinations(template, share, f"{seed}/{category.folder.name}/{split}/{template.file.stem}"):
                number += 1
                origin = f"{template.file.as_posix()}{_case(template, values)}"
                yield scenario_of_texts(name, split, number, origin, _render(template, values))


def _shares(category: Category, split: Split, count: int, name: str) -> Iterator[tuple[Template, int]]:
    """Yield each template of a split with its number of scenarios. Raises InputError if `count` cannot be divided."""
    templates = category.templates[split]
    if count and not templates:
        expected = f"at least one, for {count} scenarios"
        raise InputError(Problem(str(category.folder / split), "", "no template (*.j2)", expected))
    unit = math.lcm(*(template.group for template in templates))
    if count % unit:
        pairs = ", ".join(f"{t.group} of {t.paired} in {t.file.name}" for t in templates if t.paired)
        expected = f"a multiple of {unit}, since cases are rendered with every value of a paired slot: {pairs}"
        raise InputError(Problem("params.yaml", f"categories.{name}.{split}", str(count), expected))
    for index, template in enumerate(templates):
        units = count // unit
        yield template, unit * (units // len(templates) + (index < units % len(templates)))


def _case(template: Template, values: dict[str, Value]) -> str:
    """Return the number of each slot's value in the file, as in `: case 3, ending 1`. Slots with one value are left out."""
    chosen = [f"{slot} {known.index(values[slot]) + 1}" for slot, known in template.slots.items() if len(known) > 1]
    return f": {', '.join(chosen)}" if chosen else ""


def _combinations(template: Template, count: int, seed: str) -> Iterator[dict[str, Value]]:
    """Yield the first `count` combinations of a template's slot values. Raises InputError if there are fewer.

    With a paired slot, each combination of the other slots comes with every value of that slot, one after another. A
    combination that a constraint forbids for one of these values is left out for all.
    """
    slots = {slot: values for slot, values in template.slots.items() if slot != template.paired}
    variants: list[dict[str, Value]] = [{}]
    if template.paired:
        variants = [{template.paired: value} for value in template.slots[template.paired]]
    cases, found = count // template.group, 0

    def allowed(values: dict[str, Value]) -> bool:
        return all(template.allows(values | variant) for variant in variants)

    for values in itertools.islice(combinations(slots, allowed, seed), cases):
        found += 1
        yield from (values | variant for variant in variants)
    if found < cases:
        each = f", each with {template.group} values of {template.paired}" if template.paired else ""
        got = f"{found} combinations of {', '.join(slots) or 'no slot'}{each}"
        hint = "add slot values or templates, or lower the category's count in params.yaml"
        raise InputError(Problem(str(template.file.with_suffix(".yaml")), "", got, f"at least {cases}", hint))


def _render(template: Template, values: dict[str, Value]) -> dict[str, str]:
    """Return the text of each block. An optional block of a plain chat that has no text is left out."""
    try:
        context = template.compiled.new_context(values)
        texts = {block: _tidy("".join(write(context))) for block, write in template.compiled.blocks.items()}
    except Exception as error:  # the expressions of a template can raise anything
        raise InputError(Problem(str(template.file), "", str(error), "a template that renders with every slot value")) from None
    optional = OPTIONAL if template.form == "plain" else ()
    return {block: text for block, text in texts.items() if text or block not in optional}


def _tidy(text: str) -> str:
    """Return a text with each paragraph on one line, a blank line between paragraphs, and single spaces between words."""
    paragraphs = (re.sub(r"\s+", " ", paragraph).strip() for paragraph in re.split(r"\n\s*\n", text))
    return "\n\n".join(filter(None, paragraphs))
