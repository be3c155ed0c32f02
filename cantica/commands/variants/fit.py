"""Do variants fit over a params.yaml, and can their claims be measured and decided?"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cantica.commands.checks.claims import Measured, claims_on_measures
from cantica.commands.variants.files import FOLDER, laid_over, load_variant, parts, variant_faults, written_for
from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE
from cantica.settings.arms import all_arms
from cantica.settings.claims import Statement, claims_of


@dataclass
class Fit:
    """The check of variants over one params.yaml. Each variant is laid over it once.

    text: of params.yaml. measured: the texts in prompts/ on which measures depend. laid: {variant: the params with it, or why
    it does not fit}.
    """

    text: str
    measured: Measured
    laid: dict[str, dict[str, Any] | InputError] = field(default_factory=dict)

    def faults(self, name: str) -> list[Problem]:
        """The faults of params.yaml with a variant laid over it, and of its claims, with the files in which these stand.

        If the variant fits over the params.yaml of a recent commit, one Problem that names the commit.
        """
        found = self._faults(name)
        older = written_for(name, self.text, found[0], lambda text: self._fits(name, text, found)) if found else None
        return [older] if older else found

    def _fits(self, name: str, text: str, found: list[Problem]) -> bool:
        """Whether a variant fits over another params.yaml, and the claims that are at fault over this one stand there too."""
        other = Fit(text, self.measured)
        return not other._faults(name) and all(
            claim in other._params(name)["claims"] for claim in map(claim_of, found) if claim
        )

    def _faults(self, name: str) -> list[Problem]:
        try:
            params, file = self._params(name), f"variant {name} over {FILE}"
            found = claims_on_measures(params, self.measured, file) + self.undecided(params, file, name)
        except InputError as error:
            found = list(error.problems)
        files = _stated_in(name) if any(map(claim_of, found)) else {}
        return [replace(problem, file=str(files.get(claim_of(problem), problem.file))) for problem in found]

    def _params(self, name: str) -> dict[str, Any]:
        """params.yaml with a variant laid over it. Raises InputError."""
        if name not in self.laid:
            try:
                self.laid[name] = laid_over(name, self.text)
            except InputError as error:
                self.laid[name] = error
        found = self.laid[name]
        if isinstance(found, InputError):
            raise found
        return found

    def undecided(self, params: dict[str, Any], file: str, name: str = "") -> list[Problem]:
        """A Problem for each claim against a variant that is not there, or whose runs will not have the number.

        name: the variant that makes the claims. Those that are laid over its first part are laid over the other variant too.
        """
        unknown = variant_faults(params["claims"], file, name)
        places = {problem.place for problem in unknown}
        return unknown + [
            problem
            for claim in claims_of(params).values()
            for own in claim.statements
            if own.variant and f"{own.place}.against.variant" not in places
            for problem in self._without_number(own, "+".join([own.variant, *name.split("+")[1:]]), file)
        ]

    def _without_number(self, own: Statement, other: str, file: str) -> Iterator[Problem]:
        try:
            params = self._params(other)
        except InputError:
            return  # it does not fit, which is reported of the variant itself
        stated = [statement for claim in claims_of(params).values() for statement in claim.statements]
        if _subject(own) in map(_subject, stated):
            return
        subject = f"{own.measure} of the arm {own.arm}" + (", with the same steps_until" if own.steps_until else "")
        got = f"{other!r}, which {'makes no claim on it' if own.arm in all_arms(params) else f'has no arm {own.arm}'}"
        hint = "a run records only the numbers of its own claims; any bound will do"
        yield Problem(file, f"{own.place}.against.variant", got, f"a variant with a claim on {subject}", hint)


def _subject(own: Statement) -> tuple[object, ...]:
    """What a statement is about, apart from what it is compared with and its bound."""
    return own.measure, own.arm, own.steps_until


def claim_of(problem: Problem) -> str:
    """The claim that a Problem is about, or ""."""
    section, _, rest = problem.place.partition(".")
    return rest.split(".")[0] if section == "claims" else ""


def _stated_in(name: str) -> dict[str, Path]:
    """{claim: the file of the last variant that states it} of a variant and those that it is over."""
    claims = {part: load_variant(part).get("params", {}).get("claims", {}) for part in parts(name)}
    return {claim: FOLDER / f"{part}.yaml" for part, own in claims.items() for claim in own}
