"""The scores of every judge of a build, and those of a file that people wrote."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from stages.lib.common.documents import raise_any, read_jsonl, read_yaml, validate_records
from stages.lib.common.errors import InputError, Problem, did_you_mean
from stages.lib.params import FILE

DATA = Path("data")
RULES = "rules"
SHOWN = 20  # faults told at once


@dataclass(frozen=True)
class Scores:
    """What one judge gave.

    values: score, or None for a verdict that never validated, by (arm, id, sample); of a pairwise judge by (arm, other,
    id, sample), where 1 says that `arm` is better, 0 that `other` is, and 0.5 neither.
    scale: the highest score by kind of prompt; empty where nothing says.
    """

    name: str
    values: dict[tuple, float | None]
    scale: dict[str, int]
    pairwise: bool = False

    def told(self) -> str:
        """How many verdicts there are, and how many of them are null."""
        null = sum(value is None for value in self.values.values())
        return f"{len(self.values)} {'comparisons' if self.pairwise else 'scores'}" + (f", {null} of them null" if null else "")


def load_scores() -> tuple[list[Scores], dict[str, str]]:
    """(the scores of the rules and of each judge in params.yaml, the kind of each prompt by its id). Raises InputError."""
    params = read_yaml(FILE)
    arms, judges = list(params["arms"]), params["judges"]
    files = {f"judge@{arm}": DATA / "judgements" / f"{arm}.jsonl" for arm in arms}
    files |= {f"verdict@{judge}": DATA / "judgements/models" / f"{judge}.jsonl" for judge in judges}
    missing = {stage: file for stage, file in files.items() if not file.exists()}
    raise_any([Problem(str(f), "", "no such file", "verdicts", f"run `dvc repro {s}`") for s, f in missing.items()])
    judged = [{"arm": arm} | record for arm in arms for record in _read(files[f"judge@{arm}"], "judgement")]
    found = [_scores(RULES, judged)]
    found += [_scores(judge, _read(files[f"verdict@{judge}"], "verdict")) for judge in judges]
    return found, {record["id"]: record["kind"] for record in judged}


def _read(file: Path, schema: str) -> list[dict]:
    records = read_jsonl(file)
    validate_records(records, schema, file)
    return records


def _scores(name: str, records: list[dict]) -> Scores:
    pairwise = bool(records) and "other" in records[0]
    unit = ("arm", "other", "id", "sample") if pairwise else ("arm", "id", "sample")
    values = {tuple(record[key] for key in unit): record["score"] for record in records}
    return Scores(name, values, {} if pairwise else {record["kind"]: record["out_of"] for record in records}, pairwise)


def load_file(file: Path, known: Scores) -> Scores:
    """The scores of a JSON Lines file. Raises InputError for a line that is about no answer that was `known` to be judged."""
    values, problems = {}, []
    for line, record in enumerate(_read(file, "scores"), 1):
        unit = (record["arm"], record["id"], record.get("sample", 0))
        about = f"arm {unit[0]}, id {unit[1]}, sample {unit[2]}"
        if unit not in known.values:
            hint = next((text for text in map(did_you_mean, unit[:2], _names(known)) if text), "")
            problems.append(Problem(str(file), f"line {line}", about, "an answer of this build", hint))
        elif unit in values:
            problems.append(Problem(str(file), f"line {line}", f"{about} again", "one score for each answer"))
        values[unit] = record["score"]
    if len(problems) > SHOWN:
        problems = [*problems[:SHOWN], Problem(str(file), "", f"{len(problems) - SHOWN} faults more", "none")]
    if problems:
        raise InputError(*problems)
    return Scores(file.name, values, {})


def _names(known: Scores) -> tuple[set[str], set[str]]:
    return {unit[0] for unit in known.values}, {unit[1] for unit in known.values}


def preferences(scores: Scores, arms: list[str]) -> Scores:
    """Scores of single answers as those of a pairwise judge: of every two arms' answers, the one with the higher score."""
    if scores.pairwise:
        return scores
    values = {}
    for arm, other in combinations(arms, 2):
        for (of, id_, sample), score in scores.values.items():
            if of == arm and (other, id_, sample) in scores.values:
                against = scores.values[other, id_, sample]
                values[arm, other, id_, sample] = None if None in (score, against) else _better(score, against)
    return Scores(scores.name, values, {}, pairwise=True)


def _better(score: float, against: float) -> float:
    return ((score > against) - (score < against) + 1) / 2
