"""Responses from anywhere, with their prompts and scores, which the rules of this project score too."""

from collections import Counter
from pathlib import Path

from cantica.commands.judges.scores import RULES, Scores, first_of
from cantica.core.documents import iterate_jsonl, raise_any, read_jsonl, validate_records
from cantica.core.errors import Problem, did_you_mean
from cantica.dataset.words import COMMON
from cantica.judging.apply_rules import judge, words
from cantica.judging.held_out import JudgedPrompt
from cantica.judging.rules import Rules


def holds_answers(file: Path) -> bool:
    """Whether a file's first line is a response with its scores, and not a score of a response of this build.

    Raises InputError.
    """
    first = next(iter(iterate_jsonl(file)), None)
    return isinstance(first, dict) and bool(first.keys() & {"answer", "prompt", "scores"})


def load_answers(file: Path, rules: Rules) -> tuple[list[Scores], dict[str, str], list[str]]:
    """(the scores of the rules and of each judge in the file, the kind of each prompt by its id, the arms).

    A prompt's id is its kind and its text. Raises InputError.
    """
    records = read_jsonl(file)
    validate_records(records, "scored_answer", file)
    raise_any(_faults(records, rules["kinds"], file))
    given: dict[str, dict[tuple, float | None]] = {RULES: {}}
    kinds: dict[str, str] = {}
    counted: Counter[tuple[str, str]] = Counter()
    for record in records:
        arm, id_ = record.get("arm", file.stem), f"{record['kind']}: {record['prompt']}"
        unit = (arm, id_, counted[arm, id_])
        counted[arm, id_] += 1
        kinds[id_] = record["kind"]
        markers = record.get("markers") or own_words(record["prompt"])
        prompt: JudgedPrompt = {"markers": markers} | record
        given[RULES][unit] = judge(rules, prompt, record["answer"])["score"]
        for name, score in record["scores"].items():
            given.setdefault(name, {})[unit] = score
    scale = {kind: len(rules["kinds"][kind]) for kind in dict.fromkeys(kinds.values())}
    scores = [Scores(RULES, given.pop(RULES), scale)]
    scores += [Scores(name, values, _scale(values, kinds, scale)) for name, values in given.items()]
    return scores, kinds, list(dict.fromkeys(arm for arm, *_ in scores[0].values))


def own_words(prompt: str) -> list[str]:
    """The words of a prompt with five letters or more, in order: its markers if the file names none."""
    return [word for word in dict.fromkeys(words(prompt)) if len(word) >= 5 and word.replace("’", "'") not in COMMON]


def _faults(records: list[dict], known: dict, file: Path) -> list[Problem]:
    """The first faults: kinds without criteria, and judges with the name of the rules."""
    problems = []
    for line, record in enumerate(records, 1):
        if (kind := record["kind"]) not in known:
            hint = did_you_mean(kind, known)
            problems.append(Problem(str(file), f"line {line} kind", repr(kind), f"one of {', '.join(known)}", hint))
        for name in record["scores"]:
            if name == RULES:
                problems.append(Problem(str(file), f"line {line} scores", repr(name), "a name other than that of the rules"))
    return first_of(problems, file)


def _scale(values: dict[tuple, float | None], kinds: dict[str, str], scale: dict[str, int]) -> dict[str, float]:
    """By kind: the scale of the rules if all scores lie on it; otherwise the highest score, as another scale."""
    own: dict[str, list[float]] = {}
    for (_, id_, _), score in values.items():
        if score is not None:
            own.setdefault(kinds[id_], []).append(score)
    on_it = {kind: set(found) <= set(range(scale[kind] + 1)) for kind, found in own.items()}
    return {kind: scale[kind] if on_it[kind] else max(found) for kind, found in own.items()}
