"""Do the numbers in the claims.json of a cited run follow from its values, and are they those of its details.json?"""

from collections.abc import Iterator
from typing import Any

from cantica.commands.comparison.claims import form_fault
from cantica.commands.experiments.cited import Cited
from cantica.commands.headline import NUMBERS, number
from cantica.core.errors import Problem
from cantica.reporting import inference
from cantica.reporting.claims import Numbers, Side, from_document, steps_until
from cantica.reporting.inference import Estimate, Resampling
from cantica.settings.claims import Bound, Statement, claims_of

# Estimates have four decimals, and the values behind them six.
TOLERANCE = 1e-4
# p is not among them: it depends on whether differences are exactly equal, and the values are rounded.
KEYS = ("mean", "share", "difference", "low", "high", "n")


def number_faults(run: Cited) -> list[Problem]:
    """A Problem for each number of a claim that does not follow from its values, or that details.json does not have."""
    file = str(run.folder / "claims.json")
    if fault := form_fault(run):
        return [Problem(file, "", fault, "the form that this version reads")]
    claims, numbers = claims_of(run.params), from_document(run.claims)
    stated = {name: len(claim.statements) for name, claim in claims.items()}
    if stated != {name: len(found) for name, found in numbers.items()}:
        return [Problem(file, "", f"numbers of {', '.join(numbers)}", f"those of each statement of {', '.join(claims)}")]
    pairs = [pair for name, claim in claims.items() for pair in zip(claim.statements, numbers[name], strict=True)]
    return [
        Problem(file, f"{statement.place}: {key}", f"{got}", f"{expected}, {why}")
        for statement, own in pairs
        for key, got, expected, why in [*_from_values(statement, own, run.params["report"]), *_of_details(statement, own, run)]
        if got is None or expected is None or abs(got - expected) > TOLERANCE
    ]


Compared = tuple[str, float | None, float | None, str]  # what is compared, the number, the number expected, and from where


def _from_values(statement: Statement, own: Numbers, resampling: Resampling) -> Iterator[Compared]:
    why = "as follows from its values"
    if own.steps is not None and statement.steps_until:
        yield "steps", own.steps, _steps(own.sides, statement.steps_until), why
        return
    expected = _estimate(own, resampling)
    for key in [key for key in KEYS if key in own.estimate or key in expected]:
        yield key, own.estimate.get(key), expected.get(key), why  # type: ignore[misc]  # the keys are numbers


def _steps(sides: tuple[Side, ...], bound: Bound) -> int:
    first, *second = [steps_until(side.curve, bound) for side in sides]
    return first - sum(second)


def _estimate(own: Numbers, resampling: Resampling) -> Estimate:
    """The estimate that follows from the values of items."""
    table, *other = [side.table for side in own.sides]
    if "share" in own.estimate:
        return inference.share(table.values())
    if "mean" in own.estimate:
        return inference.mean(table.values(), **resampling)
    return inference.paired(other[0] if other else dict.fromkeys(table, 0.0), table, **resampling)


def _of_details(statement: Statement, own: Numbers, run: Cited) -> Iterator[Compared]:
    """The numbers of a statement beside those of details.json: its curve, its difference if it is there, or its levels."""
    why = "as in details.json"
    sides = list(zip((statement.arm, statement.against), own.sides, strict=False))
    if own.steps is not None:
        for arm, side in sides:
            for iteration, value in side.curve:
                at_end = iteration == side.curve[-1][0]
                expected = _level(run.details, arm, statement.measure, iteration, at_end)
                yield f"curve of {arm} at {iteration}", value, expected, why
        return
    against = f"against_{statement.against}"
    place = [statement.arm, against, statement.measure] if statement.against else [statement.arm, statement.measure]
    found = at(run.details, ".".join(place))
    if found is not None:
        written = KEYS if len(found) > 1 else ("mean",)  # forgetting of one category is a number alone
        for key in [key for key in written if key in own.estimate]:
            yield key, own.estimate[key], found.get(key), why  # type: ignore[literal-required]
        return
    for arm, side in sides:
        level = at(run.details, f"{arm}.{statement.measure}")
        if level is None or level.get("n") == len(side.table):  # else only the items that both arms have are in the claim
            middle = sum(side.table.values()) / len(side.table) if side.table else None
            yield f"level of {arm}", middle, _number(level), why


def _level(details: dict[str, Any], arm: str, measure: str, iteration: int, at_end: bool) -> float | None:
    """The level of a measure at a checkpoint of an arm's step. The last iteration is the arm itself."""
    found = at(details, f"{arm}.checkpoints.{iteration}.{measure}")
    return _number(found or at(details, f"{arm}.{measure}") if at_end else found)


def _number(estimate: dict[str, Any] | None) -> float | None:
    return number(estimate) if estimate and estimate.keys() & NUMBERS else None


def at(details: Any, path: str) -> dict[str, Any] | None:
    """The estimate at a dotted path, or None. A number alone is a mean."""
    for name in path.split("."):
        details = details.get(name) if isinstance(details, dict) else None
    return {"mean": details} if isinstance(details, int | float) else details if isinstance(details, dict) else None
