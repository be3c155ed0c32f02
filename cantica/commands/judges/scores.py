"""The scores of every judge of a build, and scores from a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cantica.core.documents import raise_any, read_jsonl, read_yaml, validate_records
from cantica.core.errors import Problem, did_you_mean
from cantica.core.params import FILE

DATA = Path("data")
RULES = "rules"
JUDGED_BY = {"arms": "judge", "answers": "judge_answers", "servers": "judge_server"}  # {section of arms: stage}
SHOWN = 20  # faults that are reported at once


@dataclass(frozen=True)
class Scores:
    """The scores of one judge.

    values: score, or None for a null verdict (no valid reply), by (arm, id, sample); for a pairwise judge by (arm, other, id,
    sample), where 1 says that the response of `arm` is better, 0 that of `other`, 0.5 neither.
    scale: the highest score by kind of prompt; empty where it is not known.
    """

    name: str
    values: dict[tuple, float | None]
    scale: Mapping[str, float]
    pairwise: bool = False

    def describe(self) -> str:
        """The number of verdicts, and how many of them are null."""
        null = sum(value is None for value in self.values.values())
        return f"{len(self.values)} {'comparisons' if self.pairwise else 'scores'}" + (f", {null} of them null" if null else "")


def load_scores() -> tuple[list[Scores], dict[str, str]]:
    """(the scores of the rules and of each judge in params.yaml, the kind of each prompt by its id). Raises InputError."""
    params = read_yaml(FILE)
    judged_by = {arm: f"{stage}@{arm}" for section, stage in JUDGED_BY.items() for arm in params[section]}
    files = {stage: DATA / "judgements" / f"{arm}.jsonl" for arm, stage in judged_by.items()}
    files |= {f"verdict@{judge}": DATA / "judgements/models" / f"{judge}.jsonl" for judge in params["judges"]}
    missing = {stage: file for stage, file in files.items() if not file.exists()}
    raise_any([Problem(str(f), "", "no such file", "verdicts", f"run `dvc repro {s}`") for s, f in missing.items()])
    judged = [{"arm": arm} | record for arm, stage in judged_by.items() for record in _read(files[stage], "judgement")]
    found = [_scores(RULES, judged)]
    found += [_scores(judge, _read(files[f"verdict@{judge}"], "verdict")) for judge in params["judges"]]
    return found, {record["id"]: record["kind"] for record in judged}


def _read(file: Path, schema: str) -> list[dict]:
    records = read_jsonl(file)
    validate_records(records, schema, file)
    wrong = [p for n, r in enumerate(records, 1) for p in _scale_faults(r["score"], r.get("out_of"), file, f"line {n}")]
    raise_any(first_of(wrong, file))
    return records


def _scale_faults(score: float | None, highest: float | None, file: Path, place: str) -> list[Problem]:
    """A Problem for a score outside its scale, 0 to `highest`; none if either is not known."""
    if score is None or highest is None or 0 <= score <= highest:
        return []
    return [Problem(str(file), place, f"a score of {score:g}", f"0 to {highest:g}, the scale")]


def _scores(name: str, records: list[dict]) -> Scores:
    pairwise = bool(records) and "other" in records[0]
    unit = ("arm", "other", "id", "sample") if pairwise else ("arm", "id", "sample")
    values = {tuple(record[key] for key in unit): record["score"] for record in records}
    return Scores(name, values, {} if pairwise else {record["kind"]: record["out_of"] for record in records}, pairwise)


def load_file(file: Path, known: Scores, kinds: dict[str, str]) -> Scores:
    """The scores in a JSON Lines file, on the scale of another judge, `known`.

    kinds: the kind of each prompt by its id. Raises InputError for a response that `known` did not judge, and for a score
    outside the scale.
    """
    values: dict[tuple, float | None] = {}
    problems: list[Problem] = []
    for line, record in enumerate(_read(file, "scores"), 1):
        unit = (record["arm"], record["id"], record.get("sample", 0))
        about = f"arm {unit[0]}, id {unit[1]}, sample {unit[2]}"
        if unit not in known.values:
            problems.append(Problem(str(file), f"line {line}", about, "a response of this build", _hint(unit, known)))
        elif unit in values:
            problems.append(Problem(str(file), f"line {line}", f"{about} again", "one score for each response"))
        else:
            problems += _scale_faults(record["score"], known.scale.get(kinds[unit[1]]), file, f"line {line}")
        values[unit] = record["score"]
    raise_any(first_of(problems, file))
    return Scores(file.name, values, {})


def _hint(unit: tuple, known: Scores) -> str:
    """A hint for an unknown arm, or else for an unknown id: the closest known one, or all arms."""
    arms, ids = ({known_unit[place]: None for known_unit in known.values} for place in (0, 1))
    if unit[0] not in arms:
        return did_you_mean(unit[0], arms) or f"the arms are {', '.join(arms)}"
    return did_you_mean(unit[1], ids) if unit[1] not in ids else ""


def first_of(problems: list[Problem], file: Path) -> list[Problem]:
    """The first faults of a file, and the number of the others."""
    more = len(problems) - SHOWN
    return problems if more <= 0 else [*problems[:SHOWN], Problem(str(file), "", f"{more} more faults", "none")]


def preferences(scores: Scores, arms: list[str]) -> Scores:
    """Scores of single responses as those of a pairwise judge: of two arms, the one with the higher score is better."""
    if scores.pairwise:
        return scores
    values: dict[tuple, float | None] = {}
    for arm, other in combinations(arms, 2):
        for (of, id_, sample), score in scores.values.items():
            if of == arm and (other, id_, sample) in scores.values:
                values[arm, other, id_, sample] = _better(score, scores.values[other, id_, sample])
    return Scores(scores.name, values, {}, pairwise=True)


def _better(score: float | None, other: float | None) -> float | None:
    """1 if the first score is higher, 0 if it is lower, 0.5 if they are equal."""
    return None if score is None or other is None else ((score > other) - (score < other) + 1) / 2
