"""Arithmetic problems made from templates: a prompt with {names}, a range for each name, an expression for the answer."""

import ast
import math
import operator
import re
from itertools import islice

from cantica.core.combinations import combinations
from cantica.core.errors import Problem

_NAME = re.compile(r"\{(.*?)\}")
_OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
# A number does not start inside a word or after a decimal point. Commas separate thousands; decimals are part of the number.
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")


def evaluate(expression: str, values: dict[str, int]) -> int:
    """Return the value of an expression of names, whole numbers, +, -, * and brackets. Raises ValueError for anything else."""
    try:
        return _value(ast.parse(expression, mode="eval").body, values)
    except SyntaxError:
        raise ValueError(f"{expression!r} is not an expression") from None


def _value(node: ast.expr, values: dict[str, int]) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name) and node.id in values:
        return values[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left, values), _value(node.right, values))
    raise ValueError(f"{ast.unparse(node)!r} is not a whole number, a name of a range, +, - or *")


def make_items(template: dict, seed: int) -> list[dict]:
    """Return `count` different items {id, prompt, answer} of a template. Each number of a range is used equally often."""
    slots = {name: list(range(low, high + 1)) for name, (low, high) in template["ranges"].items()}
    chosen = islice(combinations(slots, lambda _: True, f"{seed}/{template['id']}"), template["count"])
    return [
        {
            "id": f"{template['id']}_{number:02}",
            "prompt": _fill(template["prompt"], values),
            "answer": evaluate(template["answer"], values),
        }
        for number, values in enumerate(chosen, 1)
    ]


def _fill(prompt: str, values: dict[str, int]) -> str:
    return _NAME.sub(lambda match: str(values[match[1]]), prompt)


def template_faults(template: dict, file: str, place: str) -> list[Problem]:
    """Return the faults of a template that the schema does not find."""
    ranges: dict[str, list[int]] = template["ranges"]
    problems: list[Problem] = []
    named = set(_NAME.findall(template["prompt"]))
    if named != set(ranges):
        got, expected = (", ".join(f"{{{name}}}" for name in sorted(names)) or "no name" for names in (named, ranges))
        problems.append(Problem(file, f"{place}.prompt", got, f"{expected}, as in ranges"))
    for name, (low, high) in ranges.items():
        if low > high:
            problems.append(Problem(file, f"{place}.ranges.{name}", f"{low} above {high}", "the lowest value first"))
    try:
        evaluate(template["answer"], dict.fromkeys(ranges, 1))
    except ValueError as error:
        problems.append(Problem(file, f"{place}.answer", str(error), f"an expression of {', '.join(ranges)}, numbers, + - *"))
    possible = math.prod(max(0, high - low + 1) for low, high in ranges.values())
    if template["count"] > possible:
        problems.append(Problem(file, f"{place}.count", str(template["count"]), f"at most {possible} (all that ranges allow)"))
    return problems


def last_integer(text: str) -> int | None:
    """Return the last whole number in a text, or None if there is none."""
    numbers = [number for number in _NUMBER.findall(text.replace("\N{MINUS SIGN}", "-")) if "." not in number]
    return int(numbers[-1].replace(",", "")) if numbers else None
