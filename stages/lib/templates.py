"""Scenario templates: a category's slots and Jinja templates, checked and rendered."""

import math
import random
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stages.lib.documents import faults, raise_any, read_yaml, validate, validator
from stages.lib.errors import InputError, Problem, did_you_mean

BLOCKS = ("scenario", "reflection", "thinking", "answer")
SPLITS = ("train", "valid")


@dataclass(frozen=True)
class Template:
    """A compiled scenario template: `train/<name>.j2` or `valid/<name>.j2` of a category's folder."""

    file: Path
    compiled: object
    slots: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.file.stem


@dataclass(frozen=True)
class Category:
    """A category's folder: its definition, its slot values and its templates of each split, in order of file name."""

    folder: Path
    definition: dict[str, str]
    slots: dict[str, list]
    templates: dict[str, list[Template]]


def load_category(folder: Path) -> Category:
    """Read and check a category's folder. Raises InputError with every fault in it."""
    definition_file, slots_file = folder / "category.yaml", folder / "slots.yaml"
    definition = read_yaml(definition_file)
    validate(definition, "category", definition_file)
    slots = read_yaml(slots_file)
    validate(slots, "slots", slots_file)
    raise_any(_uneven_mappings(slots, slots_file))

    problems, templates = [], {}
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    # What is rendered is a function of the slot values: nothing random, and no name but a slot's.
    environment.globals.clear()
    del environment.filters["random"]
    for split in SPLITS:
        files = sorted((folder / split).glob("*.j2"))
        templates[split] = [t for t in (_compile(environment, f, slots, problems) for f in files) if t]
    raise_any(problems)

    used = {slot for split in SPLITS for template in templates[split] for slot in template.slots}
    hint = "use it in a template, or remove it"
    raise_any(
        [Problem(str(slots_file), s, "a slot that no template uses", "a used slot", hint) for s in slots if s not in used]
    )
    return Category(folder, definition, slots, templates)


def _uneven_mappings(slots: dict, file: Path) -> list[Problem]:
    problems = []
    for slot, values in slots.items():
        first = _keys(values[0])
        for number, value in enumerate(values[1:], 1):
            if _keys(value) != first:
                expected = f"a mapping with the keys of the first value: {', '.join(first)}" if first else "a string"
                got = f"the keys {', '.join(_keys(value))}" if _keys(value) else repr(value)
                problems.append(Problem(str(file), f"{slot}.{number}", got, expected))
    return problems


def _keys(value) -> list[str]:
    return sorted(value) if isinstance(value, dict) else []


def _compile(environment, file: Path, slots: dict, problems: list[Problem]) -> Template | None:
    """Compile one template; append what is wrong with it to `problems` and return None if anything is."""
    before = len(problems)
    try:
        tree = environment.parse(file.read_text(encoding="utf-8"))
        compiled = environment.from_string(tree)
    except TemplateSyntaxError as error:
        problems.append(Problem(str(file), f"line {error.lineno}", error.message, "a Jinja template"))
        return None
    if sorted(compiled.blocks) != sorted(BLOCKS):
        got = f"the blocks {', '.join(compiled.blocks) or 'none'}"
        problems.append(Problem(str(file), "", got, f"exactly the blocks {', '.join(BLOCKS)}"))
    used = meta.find_undeclared_variables(tree)
    for slot in sorted(used - slots.keys()):
        place = f"line {_line_of(tree, slot)}"
        expected = f"a slot of {file.parent.parent / 'slots.yaml'}: {', '.join(slots)}"
        problems.append(Problem(str(file), place, f"an undefined slot {slot!r}", expected, did_you_mean(slot, slots)))
    for attribute in tree.find_all(nodes.Getattr):
        slot = attribute.node.name if isinstance(attribute.node, nodes.Name) else None
        if slot in slots and attribute.attr not in _keys(slots[slot][0]):
            known = _keys(slots[slot][0])
            expected = f"one of {', '.join(known)}" if known else f"{slot!r} alone: its values are strings"
            got = f"an undefined key {slot}.{attribute.attr}"
            place = f"line {attribute.lineno}"
            problems.append(Problem(str(file), place, got, expected, did_you_mean(attribute.attr, known)))
    keyed = [node.node for node in tree.find_all((nodes.Getattr, nodes.Getitem))]
    for name in tree.find_all(nodes.Name):
        if name.name in slots and _keys(slots[name.name][0]) and not any(name is other for other in keyed):
            expected = " or ".join(f"{name.name}.{key}" for key in _keys(slots[name.name][0]))
            got = f"the slot {name.name!r} as a whole, which is a mapping"
            problems.append(Problem(str(file), f"line {name.lineno}", got, expected))
    return Template(file, compiled, tuple(sorted(used))) if len(problems) == before else None


def _line_of(tree, slot: str) -> int:
    return next(name.lineno for name in tree.find_all(nodes.Name) if name.name == slot)


def render_category(category: Category, counts: dict[str, int], seed: int) -> list[dict]:
    """`counts[split]` scenarios of each split, every one a different combination of slot values.

    A split's scenarios are spread evenly over its templates, and are a function of the folder, the counts and the
    seed alone. Raises InputError when the templates do not yield enough.
    """
    name = category.folder.name
    records = []
    for split in SPLITS:
        templates = category.templates[split]
        if counts[split] and not templates:
            raise InputError(
                Problem(
                    str(category.folder / split),
                    "",
                    "no template (*.j2)",
                    f"at least one, for {counts[split]} scenarios",
                )
            )
        for index, template in enumerate(templates):
            share = counts[split] // len(templates) + (index < counts[split] % len(templates))
            for values in _draw(category, template, share, f"{seed}/{name}/{split}/{template.name}"):
                number = 1 + sum(record["split"] == split for record in records)
                origin = {"id": f"{name}-{split}-{number:03}", "category": name, "split": split, "template": template.name}
                records.append(origin | _render(template, values))
    return records


def scenario_faults(records: list[dict], folder: Path) -> list[Problem]:
    """What the schema finds in rendered scenarios, once for each template and block, at the template that wrote it."""
    check, found = validator("scenario"), {}
    for record in records:
        template = folder / record["split"] / f"{record['template']}.j2"
        for fault in faults(record, check, template):
            found.setdefault((fault.file, fault.place), replace(fault, place=f"block {fault.place}, as {record['id']}"))
    return list(found.values())


def _draw(category: Category, template: Template, count: int, seed: str) -> list[dict]:
    """`count` different combinations of the values of the template's slots, in an order that the seed decides."""
    choices = [category.slots[slot] for slot in template.slots]
    available = math.prod(len(values) for values in choices)
    if available < count:
        got = f"{available} combinations of {', '.join(template.slots) or 'no slot'}"
        hint = "add slot values or templates, or lower the category's count in params.yaml"
        raise InputError(Problem(str(template.file), "", got, f"at least {count}", hint))
    combinations = []
    for index in random.Random(seed).sample(range(min(available, sys.maxsize)), count):
        values = {}
        for slot, options in zip(template.slots, choices, strict=True):
            index, position = divmod(index, len(options))
            values[slot] = options[position]
        combinations.append(values)
    return combinations


def _render(template: Template, values: dict) -> dict[str, str]:
    try:
        context = template.compiled.new_context(values)
        return {block: _tidy("".join(template.compiled.blocks[block](context))) for block in BLOCKS}
    except Exception as error:  # whatever a template's expressions may raise
        raise InputError(Problem(str(template.file), "", str(error), "a template that renders with every slot value")) from None


def _tidy(text: str) -> str:
    """One paragraph a line, with a blank line between; runs of spaces and single line breaks become one space."""
    paragraphs = (re.sub(r"\s+", " ", paragraph).strip() for paragraph in re.split(r"\n\s*\n", text))
    return "\n\n".join(filter(None, paragraphs))
