"""Scenario templates: a category's skeletons and their slot values, checked and rendered."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cantica.core.combinations import combinations
from cantica.core.documents import faults, raise_any, read_text, read_yaml, validator
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.scenarios.definition import load_definition

BLOCKS = ("scenario", "reflection", "thinking", "answer")
SPLITS = ("train", "valid")


@dataclass(frozen=True)
class Template:
    """A scenario skeleton: `<split>/<name>.j2`, compiled, with the values and constraints of `<split>/<name>.yaml`."""

    file: Path
    compiled: object
    slots: dict[str, list]
    constraints: list[dict]

    def allows(self, values: dict) -> bool:
        """Whether a combination of slot values keeps every constraint."""
        return all(_holds(rule["then"], values) for rule in self.constraints if _holds(rule["when"], values))


@dataclass(frozen=True)
class Category:
    """A category's folder: its definition, and its templates of each split in order of file name."""

    folder: Path
    definition: dict[str, str]
    templates: dict[str, list[Template]]


def load_category(folder: Path, library: Path) -> Category:
    """Read and check a category's folder; `library` holds the authors' macros. Raises InputError with every fault."""
    definition = load_definition(folder)
    environment = _environment(library)
    problems: list[Problem] = []
    templates = {split: _load_split(environment, folder / split, problems) for split in SPLITS}
    raise_any(problems)
    return Category(folder, definition, templates)


def _environment(library: Path):
    """A sandbox in which a template finds its slots, and the macros of each library file under the file's name."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, loader=FileSystemLoader(library))
    # What is rendered is a function of the slot values: nothing random, and no name but a slot's or the library's.
    environment.globals.clear()
    del environment.filters["random"]
    for file in sorted(library.glob("*.j2")):
        read_text(file)  # which names a file that is not UTF-8; Jinja does not
        try:
            environment.globals[file.stem] = environment.get_template(file.name).module
        except TemplateSyntaxError as error:
            raise InputError(Problem(str(file), f"line {error.lineno}", error.message, "a Jinja template")) from None
    environment.loader = None  # only the library includes files
    return environment


def _load_split(environment, folder: Path, problems: list[Problem]) -> list[Template]:
    check = validator("writers/template/slots")
    templates = []
    for name in sorted({file.stem for file in folder.glob("*.j2")} | {file.stem for file in folder.glob("*.yaml")}):
        before = len(problems)
        text, values = folder / f"{name}.j2", folder / f"{name}.yaml"
        for file, other in ((text, values), (values, text)):
            if not file.exists():
                problems.append(Problem(str(file), "", "no such file", f"the other half of {other.name}"))
        if len(problems) > before:
            continue
        try:
            document = read_yaml(values)
            raise_any(faults(document, check, values) or _slot_faults(document, values))
        except InputError as error:
            problems.extend(error.problems)
            continue
        compiled = _compile(environment, text, document["slots"], problems)
        templates.append(Template(text, compiled, document["slots"], document.get("constraints", [])))
    return templates


def _slot_faults(document: dict, file: Path) -> list[Problem]:
    """What a schema cannot say: mappings of a slot have the same keys, constraints speak of values that there are."""
    problems, slots = [], document["slots"]
    for slot, values in slots.items():
        first = _keys(values[0])
        for number, value in enumerate(values[1:], 1):
            if _keys(value) != first:
                expected = f"a mapping with the keys of the first value: {', '.join(first)}" if first else "a string"
                got = f"the keys {', '.join(_keys(value))}" if _keys(value) else repr(value)
                problems.append(Problem(str(file), f"slots.{slot}.{number}", got, expected))
    if problems:
        return problems
    for number, rule in enumerate(document.get("constraints", [])):
        for part, name, values in ((part, *item) for part, items in rule.items() for item in items.items()):
            place = f"constraints.{number}.{part}"
            known = _values(slots, name)
            if known is None:
                names = [n for s, v in slots.items() for n in ([f"{s}.{k}" for k in _keys(v[0])] or [s])]
                hint = did_you_mean(name, names)
                problems.append(Problem(str(file), place, f"no slot {name!r}", f"one of {', '.join(names)}", hint))
                continue
            for value in values:
                if value not in known:
                    hint = did_you_mean(value, known)
                    problems.append(Problem(str(file), f"{place}.{name}", repr(value), "a value of that slot", hint))
    return problems


def _keys(value) -> list[str]:
    return sorted(value) if isinstance(value, dict) else []


def _values(slots: dict, name: str) -> list[str] | None:
    """The texts that `slot`, or `slot.key`, may have; None if there is no such slot of texts."""
    slot, _, key = name.partition(".")
    if slot not in slots or (key not in _keys(slots[slot][0]) if key else _keys(slots[slot][0])):
        return None
    return [value[key] if key else value for value in slots[slot]]


def _holds(wanted: dict[str, list[str]], values: dict) -> bool:
    for name, accepted in wanted.items():
        slot, _, key = name.partition(".")
        if (values[slot][key] if key else values[slot]) not in accepted:
            return False
    return True


def _compile(environment, file: Path, slots: dict, problems: list[Problem]):
    """Compile one template; append what is wrong with it to `problems`."""
    try:
        text = read_text(file)
        tree, compiled = environment.parse(text), environment.from_string(text)
    except TemplateSyntaxError as error:
        problems.append(Problem(str(file), f"line {error.lineno}", error.message, "a Jinja template"))
        return None
    except InputError as error:
        problems.extend(error.problems)
        return None
    if sorted(compiled.blocks) != sorted(BLOCKS):
        got = f"the blocks {', '.join(compiled.blocks) or 'none'}"
        problems.append(Problem(str(file), "", got, f"exactly the blocks {', '.join(BLOCKS)}"))
    # Jinja folds constants into the tree that it looks through, hence another.
    used = meta.find_undeclared_variables(environment.parse(text)) - environment.globals.keys()
    values = file.with_suffix(".yaml")
    for slot in sorted(used - slots.keys()):
        expected = f"a slot of {values.name} ({', '.join(slots)}) or a file of the library"
        place, hint = f"line {_line_of(tree, slot)}", did_you_mean(slot, slots)
        problems.append(Problem(str(file), place, f"an undefined slot {slot!r}", expected, hint))
    for slot in sorted(slots.keys() - used):
        expected, hint = f"a slot that {file.name} uses", "use it in the template, or remove it"
        problems.append(Problem(str(values), f"slots.{slot}", "a slot that is not used", expected, hint))
    problems += [replace(problem, file=str(file)) for problem in (*_key_faults(tree, slots), *_choice_faults(tree, slots))]
    return compiled


def _line_of(tree, slot: str) -> int:
    return next(name.lineno for name in tree.find_all(nodes.Name) if name.name == slot)


def _key_faults(tree, slots: dict) -> Iterator[Problem]:
    """Keys that a slot's mappings do not have, and mappings used whole."""
    for attribute in tree.find_all(nodes.Getattr):
        slot = attribute.node.name if isinstance(attribute.node, nodes.Name) else None
        if slot in slots and attribute.attr not in _keys(slots[slot][0]):
            known = _keys(slots[slot][0])
            expected = f"one of {', '.join(known)}" if known else f"{slot!r} alone: its values are strings"
            got, hint = f"an undefined key {slot}.{attribute.attr}", did_you_mean(attribute.attr, known)
            yield Problem("", f"line {attribute.lineno}", got, expected, hint)
    keyed = [node.node for node in tree.find_all((nodes.Getattr, nodes.Getitem))]
    for name in tree.find_all(nodes.Name):
        if name.name in slots and _keys(slots[name.name][0]) and not any(name is other for other in keyed):
            expected = " or ".join(f"{name.name}.{key}" for key in _keys(slots[name.name][0]))
            yield Problem("", f"line {name.lineno}", f"the slot {name.name!r} as a whole, which is a mapping", expected)


def _choice_faults(tree, slots: dict) -> Iterator[Problem]:
    """Texts that a slot is compared with, or that a choice `{…}[slot]` offers, and that the slot never has."""
    for node in tree.find_all((nodes.Compare, nodes.Getitem)):
        if isinstance(node, nodes.Compare):
            chooser = node.expr
            offered = [text for operand in node.ops for text in getattr(operand.expr, "items", [operand.expr])]
        elif isinstance(node.node, nodes.Dict):
            chooser, offered = node.arg, [pair.key for pair in node.node.items]
        else:
            continue
        known = _values(slots, _name(chooser) or "")
        if known is None:
            continue
        texts = [text.value for text in offered if isinstance(text, nodes.Const)]
        for text in texts:
            if text not in known:
                got = f"{_name(chooser)} held against {text!r}, which it never is"
                yield Problem("", f"line {node.lineno}", got, f"one of {', '.join(known)}", did_you_mean(str(text), known))
        if isinstance(node, nodes.Getitem):
            for text in dict.fromkeys(known):
                if text not in texts:
                    got = f"no choice for {_name(chooser)} = {text!r}"
                    yield Problem("", f"line {node.lineno}", got, "a choice for each of its values")


def _name(node) -> str | None:
    """`slot` or `slot.key`, if that is what an expression says."""
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return f"{node.node.name}.{node.attr}"
    return node.name if isinstance(node, nodes.Name) else None


def render_category(category: Category, counts: dict[str, int], seed: int) -> Iterator[dict]:
    """`counts[split]` scenarios of each split, one at a time, every one another combination of slot values.

    A split's scenarios are spread evenly over its templates, and are a function of the folder, the library, the counts
    and the seed alone. Raises InputError when the templates do not yield enough.
    """
    name = category.folder.name
    for split in SPLITS:
        templates, number = category.templates[split], 0
        if counts[split] and not templates:
            expected = f"at least one, for {counts[split]} scenarios"
            raise InputError(Problem(str(category.folder / split), "", "no template (*.j2)", expected))
        for index, template in enumerate(templates):
            share = counts[split] // len(templates) + (index < counts[split] % len(templates))
            for values in _draw(template, share, f"{seed}/{name}/{split}/{template.file.stem}"):
                number += 1
                origin = {"id": f"{name}-{split}-{number:03}", "category": name, "split": split}
                yield origin | {"origin": f"{template.file.as_posix()}{_case(template, values)}"} | _render(template, values)


def _case(template: Template, values: dict) -> str:
    """Which value of its file each slot has, `: case 3, ending 1`; slots with one value only are left out."""
    chosen = [f"{slot} {of.index(values[slot]) + 1}" for slot, of in template.slots.items() if len(of) > 1]
    return f": {', '.join(chosen)}" if chosen else ""


def _draw(template: Template, count: int, seed: str) -> Iterator[dict]:
    """The first `count` combinations of the template's slot values. Raises InputError when there are fewer."""
    drawn = 0
    for values in itertools.islice(combinations(template.slots, template.allows, seed), count):
        drawn += 1
        yield values
    if drawn < count:
        got = f"{drawn} combinations of {', '.join(template.slots) or 'no slot'}"
        hint = "add slot values or templates, or lower the category's count in params.yaml"
        raise InputError(Problem(str(template.file.with_suffix(".yaml")), "", got, f"at least {count}", hint))


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
