"""The rule-based judge: criteria and safety flags from `prompts/judge/rules.yaml`, each verdict with its reasons."""

import re
from collections.abc import Iterable
from pathlib import Path

from stages.lib.common.documents import raise_any, read_yaml, validate
from stages.lib.common.errors import Problem, did_you_mean

_WORD = re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*")
_FLAGS = re.IGNORECASE


def load_rules(file: Path) -> dict:
    """The rules, held against their schema, with every regular expression tried. Raises InputError."""
    rules = read_yaml(file)
    validate(rules, "rules", file)
    raise_any(
        [
            Problem(str(file), place, f"{pattern!r}: {error}", "a Python regular expression")
            for place, pattern in _patterns(rules)
            if (error := _error(pattern))
        ]
    )
    return rules


def criteria_faults(rules: dict, kinds: Iterable[str], file: Path) -> list[Problem]:
    """A Problem for each kind of held-out prompt that the rules have no criteria for."""
    known = rules["kinds"]
    return [
        Problem(str(file), "kinds", ", ".join(known), f"criteria for the kind {kind!r} too", did_you_mean(kind, known))
        for kind in kinds
        if kind not in known
    ]


def _patterns(rules: dict):
    for kind, criteria in rules["kinds"].items():
        for name, criterion in criteria.items():
            for number, rule in enumerate(criterion["rules"]):
                for key in rule.keys() & {"pattern", "absent"}:
                    yield f"kinds.{kind}.{name}.rules.{number}.{key}", rule[key]
    flags = {f"flags.{name}": flag for name, flag in rules["flags"].items()}
    for place, flag in (flags | {"refusals": rules["refusals"]}).items():
        for key in flag.keys() & {"pattern", "unless"}:
            yield f"{place}.{key}", flag[key]


def _error(pattern: str) -> str:
    try:
        re.compile(pattern, _FLAGS)
    except re.error as error:
        return str(error)
    return ""


def judge(rules: dict, prompt: dict, answer: str) -> dict:
    """The verdict on one answer to a held-out prompt: score, criteria with reasons, flags and refusal with sentences.

    The judge sees the prompt and the answer and nothing of whose answer it is.
    """
    criteria = {}
    for name, criterion in rules["kinds"][prompt["kind"]].items():
        reasons = [check(rule, prompt, answer) for rule in criterion["rules"]]
        criteria[name] = {"holds": all(reason["holds"] for reason in reasons), "reasons": reasons}
    return {
        "score": sum(criterion["holds"] for criterion in criteria.values()),
        "out_of": len(criteria),
        "criteria": criteria,
        "flags": flags(rules, answer),
        "refusal": raising(rules["refusals"], answer),
    }


def check(rule: dict, prompt: dict, answer: str) -> dict:
    """Whether a rule holds for an answer, why, and what was found."""
    held, found = [], []
    for key in ("markers", "pattern", "absent", "words", "repeats", "new_words"):
        if key in rule:
            holds, what = _TESTS[key](rule, prompt, answer)
            held.append(holds)
            found.append(what)
    return {"holds": bool(answer.strip()) and all(held), "reason": rule["reason"], "found": "; ".join(found)}


def _markers(rule, prompt, answer):
    present = [marker for marker in prompt["markers"] if marker in answer.lower()]
    return len(present) >= rule["markers"], f"{len(present)} of {len(prompt['markers'])}: {', '.join(present) or 'none'}"


def _pattern(rule, prompt, answer):
    matches = sorted({match.group(0).lower() for match in re.finditer(rule["pattern"], answer, _FLAGS)})
    return len(matches) >= rule.get("at_least", 1), ", ".join(matches) or "none"


def _absent(rule, prompt, answer):
    match = re.search(rule["absent"], answer, _FLAGS)
    return match is None, match.group(0).strip() if match else "none"


def _words(rule, prompt, answer):
    count = len(words(answer))
    return count >= rule["words"], f"{count} words"


def _repeats(rule, prompt, answer):
    share = repetition(answer)
    return share <= rule["repeats"], f"{share:.0%} of word triples again"


def _new_words(rule, prompt, answer):
    known = set(words(prompt["prompt"]))
    fresh = {word for word in words(answer) if len(word) >= 5 and word not in known}
    return len(fresh) >= rule["new_words"], f"{len(fresh)} new words"


_TESTS = {
    "markers": _markers,
    "pattern": _pattern,
    "absent": _absent,
    "words": _words,
    "repeats": _repeats,
    "new_words": _new_words,
}


def words(text: str) -> list[str]:
    """Lower-case words of a text."""
    return _WORD.findall(text.lower())


def repetition(text: str) -> float:
    """Share of a text's word triples that stood in it before: 0 for a text that never repeats itself."""
    tokens = words(text)
    triples = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return 1 - len(set(triples)) / len(triples) if triples else 0.0


def flags(rules: dict, answer: str) -> dict[str, str]:
    """Each flag that is raised, with the first sentence that raises it."""
    return {name: sentence for name, flag in rules["flags"].items() if (sentence := raising(flag, answer)) is not None}


def raising(flag: dict, answer: str) -> str | None:
    """The first sentence of an answer that raises a flag, or None."""
    for sentence in re.split(r"(?<=[.!?])\s+", answer):
        excused = "unless" in flag and re.search(flag["unless"], sentence, _FLAGS)
        if re.search(flag["pattern"], sentence, _FLAGS) and not excused:
            return sentence.strip()
    return None
