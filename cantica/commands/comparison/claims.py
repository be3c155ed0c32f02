"""The claims of variants, decided over their runs with several seeds from what git has of them. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cantica.commands.comparison.claimed import Run, Variant
from cantica.commands.comparison.revisions import CLAIMS, Group, Revision
from cantica.commands.comparison.verdicts import Ruling, verdicts
from cantica.commands.text import few
from cantica.commands.variants.overlays import differences
from cantica.reporting.claims import from_document
from cantica.settings.claims import claims_of


class Finished(Protocol):
    """A finished run as git has it: its params and reports/claims.json."""

    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def claims(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Decisions:
    """The rulings on the claims of a variant.

    lacking: {claim: the variants without runs that it is against}. seeds: of the runs. notes: for readers.
    """

    rulings: list[Ruling]
    lacking: dict[str, list[str]]
    seeds: list[str]
    notes: list[str]

    def word(self, ruling: Ruling) -> str:
        """The verdict on a claim, or "not decided"."""
        return "not decided" if ruling.claim.name in self.lacking else ruling.outcome

    def reason(self, ruling: Ruling) -> str:
        """Why that is the verdict."""
        missing = self.lacking.get(ruling.claim.name)
        return f"it needs runs of {', '.join(missing)}" if missing else ruling.reason


def variant_of(runs: Mapping[str, Finished]) -> Variant:
    """The runs of a variant, by seed. The claims are those of the first run."""
    first = next(iter(runs.values()))
    return Variant(claims_of(first.params), {seed: _read(run) for seed, run in runs.items()})


def _read(run: Finished) -> Run:
    return Run(claims_of(run.params), from_document(run.claims))


def decisions(name: str, variants: Mapping[str, Variant], notes: list[str]) -> Decisions:
    """The rulings on the claims of a variant. variants: all that are known, by name."""
    known = {other: variants[whole] for other, whole in compared(name, variants).items()}
    rulings = verdicts(name, known)
    lacking = {
        ruling.claim.name: [f"{other}{laid(name)}" for other in sorted(_against(ruling) - known.keys())] for ruling in rulings
    }
    return Decisions(rulings, {claim: names for claim, names in lacking.items() if names}, [*variants[name].runs], notes)


def compared(name: str, variants: Collection[str]) -> dict[str, str]:
    """{name in a claim: the variant that a claim of variant `name` means by it}, and itself.

    A variant counts with the same variants laid over it: in joint+smoke, a claim against shuffled is one against
    shuffled+smoke, and never against shuffled alone.
    """
    own = laid(name)
    return {other.removesuffix(own): other for other in variants if other.endswith(own)} | {name: name}


def laid(name: str) -> str:
    """The variants that are laid over the first: "+smoke" of joint+smoke, or ""."""
    return "".join(name.partition("+")[1:])


def _against(ruling: Ruling) -> set[str]:
    return {own.statement.variant for own in ruling.statements} - {""}


# ---- of compared revisions


def together(group: Group) -> tuple[dict[str, Revision], list[str]]:
    """{seed: run} of the runs of a group whose claims are decided together, and a note for each that is left out."""
    found: dict[str, Revision] = {}
    notes: list[str] = []
    for run in (run for run in group.runs if run.params.get("claims")):
        first = next(iter(found.values()), run)
        why = ""
        if not run.claims:
            why = run.lacks or f"it has no {CLAIMS}"
        elif run.edited:
            why = f"edited since it was built: {few([*run.edited])}"
        elif fault := form_fault(run):
            why = fault
        elif twin := next((other.name for other in found.values() if _seeds(other) == _seeds(run)), ""):
            why = f"it has the seeds of {twin}, so it is no other sample"
        elif changed := differences(first.params["claims"], run.params["claims"]):
            why = f"it has other claims than {first.name}: {few(changed)}"
        if why:
            notes.append(f"{run.name} is left out: {why}.")
        else:
            found[run.seed] = run
    return found, notes


def _seeds(run: Finished) -> list[int | None]:
    """The seeds of training and of responses."""
    return [run.params.get(section, {}).get("seed") for section in ("lora", "train", "respond")]


def form_fault(run: Finished) -> str:
    """Why the claims of a run cannot be read, or ""."""
    try:
        _read(run)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        return f"its claims have another form: {type(error).__name__} {error}"
    return ""


def decided(groups: list[Group], notes_on: Callable[[str, dict[str, Revision]], list[str]]) -> dict[str, Decisions]:
    """{group: its decisions} of the groups that have claims. notes_on: returns what readers should know of a variant's runs."""
    chosen = {group.name.removeprefix("variant/"): together(group) for group in groups}
    variants = {name: variant_of(runs) for name, (runs, _) in chosen.items() if runs}
    found = {}
    for name in variants:
        runs, notes = chosen[name]
        own = decisions(name, variants, [*notes_on(name, runs), *notes])
        for other in dict.fromkeys(other for names in own.lacking.values() for other in names):
            more = [f"{other}-s{seed}" for seed in runs]
            command = " ".join(["cantica compare", *(run.name for run in runs.values()), *more])
            own.notes.append(f"What is claimed against {other} is decided by `{command}`.")
        found[name] = own
    return found
