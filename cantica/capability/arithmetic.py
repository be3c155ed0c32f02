"""Sums drawn from templates: a prompt with {names}, a range for each name, and an expression for the answer."""

import ast
import math
import operator
import re
from itertools import islice

from cantica.core.combinations import combinations
from cantica.core.errors import Problem

_NAME = re.compile(r"\{(.*?)\}")
_OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
# A number begins where no word or decimal goes on; a comma parts thousands, and decimals belong to their number.
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")


def evaluate(expression: str, values: dict[str, int]) -> int:
    """The value of an expression of names, whole numbers, +, -, * and brackets. Raises ValueError for anything else."""
    try:
        return _value(ast.parse(expression, mode="eval").body, values)
    except SyntaxError:
        raise ValueError(f"{expression!r} is no expression") from None


def _value(node: ast.expr, values: dict[str, int]) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name) and node.id in values:
        return values[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left, values), _value(node.right, values))
    raise ValueError(f"{ast.unparse(node)!r} is no whole number, no name of a range, and no +, - or *")


def draw(template: dict, seed: int) -> list[dict]:
    """A template's items {id, prompt, answer}, `count` of them, all different, each number of a range as often as any other."""
    slots = {name: list(range(low, high + 1)) for name, (low, high) in template["ranges"].items()}
    chosen = islice(combinations(slots, lambda _: True, f"{seed}/{template['id']}"), template["count"])
    return [
        {
            "id": f"{template['id']}_{number:02}",
            "prompt": _NAME.sub(lambda match, values=values: str(values[match[1]]), template["prompt"]),
            "answer": evaluate(template["answer"], values),
        }
        for number, values in enumerate(chosen, 1)
    ]


def template_faults(template: dict, file: str, place: str) -> list[Problem]:
    """What keeps a template that fits its schema from being drawn."""
    ranges, problems = template["ranges"], []
    named = set(_NAME.findall(template["prompt"]))
    if named != set(ranges):
        got, expected = (", ".join(f"{{{name}}}" for name in sorted(names)) or "no name" for names in (named, ranges))
        problems.append(Problem(file, f"{place}.prompt", got, f"{expected}, as in ranges"))
    for name, (low, high) in ranges.items():
        if low > high:
            problems.append(Problem(file, f"{place}.ranges.{name}", f"{low} above {high}", "the least value first"))
    try:
        evaluate(template["answer"], dict.fromkeys(ranges, 1))
    except ValueError as error:
        problems.append(Problem(file, f"{place}.answer", str(error), f"an expression of {', '.join(ranges)}, numbers, + - *"))
    possible = math.prod(max(0, high - low + 1) for low, high in ranges.values())
    if template["count"] > possible:
        problems.append(Problem(file, f"{place}.count", str(template["count"]), f"at most {possible}, which the ranges allow"))
    return problems


def last_integer(text: str) -> int | None:
    """The last whole number that a text names, or None."""
    numbers = [number for number in _NUMBER.findall(text.replace("\N{MINUS SIGN}", "-")) if "." not in number]
    return int(numbers[-1].replace(",", "")) if numbers else None
