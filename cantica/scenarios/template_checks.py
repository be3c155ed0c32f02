"""Check a template's expressions before it is rendered: find undefined slots, keys and texts, and unused slots."""

from collections.abc import Iterator
from pathlib import Path

from jinja2 import nodes

from cantica.core.errors import Problem, did_you_mean
from cantica.scenarios.slots import Slots, keys_of, texts_of


def template_faults(tree: nodes.Template, used: set[str], slots: Slots, file: Path) -> list[Problem]:
    """Return every fault of a template's expressions.

    tree: the parsed template. used: the names in the template that are not macros of the library.
    """
    return [
        *_name_faults(tree, used, slots, file),
        *_key_faults(tree, slots, str(file)),
        *_choice_faults(tree, slots, str(file)),
    ]


def _name_faults(tree: nodes.Template, used: set[str], slots: Slots, file: Path) -> Iterator[Problem]:
    """Yield a Problem for each name that is not a slot, and for each slot that is not used."""
    values = file.with_suffix(".yaml")
    for name in sorted(used - slots.keys()):
        line = next(node.lineno for node in tree.find_all(nodes.Name) if node.name == name)
        expected = f"a slot of {values.name} ({', '.join(slots)}) or a file of the library"
        yield Problem(str(file), f"line {line}", f"an undefined slot {name!r}", expected, did_you_mean(name, slots))
    for slot in sorted(slots.keys() - used):
        expected, hint = f"a slot that {file.name} uses", "use it in the template, or remove it"
        yield Problem(str(values), f"slots.{slot}", "a slot that is not used", expected, hint)


def _key_faults(tree: nodes.Template, slots: Slots, file: str) -> Iterator[Problem]:
    """Yield a Problem for each key that the values of a slot do not have, and for each mapping that is used without a key."""
    for attribute in tree.find_all(nodes.Getattr):
        slot = attribute.node.name if isinstance(attribute.node, nodes.Name) else None
        if slot in slots and attribute.attr not in (known := keys_of(slots[slot][0])):
            expected = f"one of {', '.join(known)}" if known else f"{slot!r} alone: its values are strings"
            got, hint = f"an undefined key {slot}.{attribute.attr}", did_you_mean(attribute.attr, known)
            yield Problem(file, f"line {attribute.lineno}", got, expected, hint)
    lookups: list[nodes.Getattr | nodes.Getitem] = [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]
    with_key = [lookup.node for lookup in lookups]
    for name in tree.find_all(nodes.Name):
        keys = keys_of(slots[name.name][0]) if name.name in slots else []
        if keys and not any(name is node for node in with_key):
            expected = " or ".join(f"{name.name}.{key}" for key in keys)
            yield Problem(file, f"line {name.lineno}", f"the slot {name.name!r} as a whole, which is a mapping", expected)


def _choice_faults(tree: nodes.Template, slots: Slots, file: str) -> Iterator[Problem]:
    """Yield a Problem for each text in a comparison with a slot, or in a choice `{…}[slot]`, that is not a value of the slot.

    A choice must also have an entry for every value of the slot.
    """
    for node in tree.find_all((nodes.Compare, nodes.Getitem)):
        if isinstance(node, nodes.Compare):
            name = _slot_name(node.expr)
            offered = [text for operand in node.ops for text in getattr(operand.expr, "items", [operand.expr])]
        elif isinstance(node, nodes.Getitem) and isinstance(node.node, nodes.Dict):
            name, offered = _slot_name(node.arg), [pair.key for pair in node.node.items]
        else:
            continue
        known = texts_of(slots, name)
        if known is None:
            continue
        place = f"line {node.lineno}"
        texts = [text.value for text in offered if isinstance(text, nodes.Const)]
        for text in texts:
            if text not in known:
                got = f"{name} compared with {text!r}, not one of its values"
                yield Problem(file, place, got, f"one of {', '.join(known)}", did_you_mean(text, known))
        if isinstance(node, nodes.Getitem):
            for text in dict.fromkeys(known):
                if text not in texts:
                    yield Problem(file, place, f"no choice for {name} = {text!r}", "a choice for each of its values")


def _slot_name(node: nodes.Node) -> str:
    """Return `slot` or `slot.key` if this is the whole expression, otherwise ""."""
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return f"{node.node.name}.{node.attr}"
    return node.name if isinstance(node, nodes.Name) else ""
