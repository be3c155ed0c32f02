"""The slots of a template and the constraints between them: `<split>/<name>.yaml`.

A slot is a list of values. A value is a text, or a mapping of texts that belong together. A constraint names a text as
`slot`, or as `slot.key` where the values are mappings. With `paired: <slot>`, every combination of the other slots is rendered
with each value of that slot.
"""

from pathlib import Path
from typing import TypedDict

from cantica.core.documents import Validator, faults, raise_any, read_yaml
from cantica.core.errors import Problem, did_you_mean

Value = str | dict[str, str]
Slots = dict[str, list[Value]]


class Constraint(TypedDict):
    """If all conditions of `when` hold, all of `then` must hold. A condition is {name: allowed texts}."""

    when: dict[str, list[str]]
    then: dict[str, list[str]]


def load_slots(file: Path, check: Validator) -> tuple[Slots, list[Constraint], str | None]:
    """Read the slots, the constraints and the paired slot of a template. Raises InputError with every fault."""
    document = read_yaml(file)
    raise_any(faults(document, check, file))
    slots, constraints, paired = document["slots"], document.get("constraints", []), document.get("paired")
    raise_any(
        _mapping_faults(slots, file) or _constraint_faults(slots, constraints, file) + _paired_faults(slots, paired, file)
    )
    return slots, constraints, paired


def keys_of(value: Value) -> list[str]:
    """Return the keys of a value, in order; none if it is a text."""
    return sorted(value) if isinstance(value, dict) else []


def texts_of(slots: Slots, name: str) -> list[str] | None:
    """Return the texts that `slot` or `slot.key` can have, or None if the name does not stand for a text."""
    slot, _, key = name.partition(".")
    if slot not in slots:
        return None
    keys = keys_of(slots[slot][0])
    if key not in keys if key else keys:
        return None
    return [_text(value, key) for value in slots[slot]]


def allowed(values: dict[str, Value], constraints: list[Constraint]) -> bool:
    """Return whether a combination of one value per slot satisfies every constraint."""
    return all(_holds(rule["then"], values) for rule in constraints if _holds(rule["when"], values))


def _holds(condition: dict[str, list[str]], values: dict[str, Value]) -> bool:
    for name, texts in condition.items():
        slot, _, key = name.partition(".")
        if _text(values[slot], key) not in texts:
            return False
    return True


def _text(value: Value, key: str) -> str:
    return value[key] if isinstance(value, dict) else value


def _mapping_faults(slots: Slots, file: Path) -> list[Problem]:
    """Return a Problem for each value whose keys differ from those of the slot's first value."""
    problems = []
    for slot, values in slots.items():
        first = keys_of(values[0])
        for number, value in enumerate(values[1:], 1):
            if keys_of(value) != first:
                expected = f"a mapping with the keys of the first value: {', '.join(first)}" if first else "a string"
                got = f"the keys {', '.join(keys_of(value))}" if keys_of(value) else repr(value)
                problems.append(Problem(str(file), f"slots.{slot}.{number}", got, expected))
    return problems


def _constraint_faults(slots: Slots, constraints: list[Constraint], file: Path) -> list[Problem]:
    """Return a Problem for each slot or text in a constraint that does not exist."""
    problems = []
    names = [name for slot, values in slots.items() for name in ([f"{slot}.{key}" for key in keys_of(values[0])] or [slot])]
    for number, rule in enumerate(constraints):
        for part, condition in (("when", rule["when"]), ("then", rule["then"])):
            place = f"constraints.{number}.{part}"
            for name, texts in condition.items():
                known = texts_of(slots, name)
                if known is None:
                    hint = did_you_mean(name, names)
                    problems.append(Problem(str(file), place, f"no slot {name!r}", f"one of {', '.join(names)}", hint))
                    continue
                for text in texts:
                    if text not in known:
                        hint = did_you_mean(text, known)
                        problems.append(Problem(str(file), f"{place}.{name}", repr(text), "a value of that slot", hint))
    return problems


def _paired_faults(slots: Slots, paired: str | None, file: Path) -> list[Problem]:
    """Return a Problem if the paired slot does not exist."""
    if paired is None or paired in slots:
        return []
    return [Problem(str(file), "paired", f"no slot {paired!r}", f"one of {', '.join(slots)}", did_you_mean(paired, slots))]
