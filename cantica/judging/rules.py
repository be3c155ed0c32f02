"""The rule-based judge: criteria and safety flags from `prompts/judge/rules.yaml`, each verdict with its reasons."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from cantica.core.documents import raise_any, read_yaml, validate
from cantica.core.errors import Problem, did_you_mean

_WORD = re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*")
_ITEM = re.compile(r"\s*(\d+[.)]|[-*•+|])\s")  # how a line of a list or of a table begins
# What ends the reach of a "not": a stop, and a conjunction or a comma where a new clause has its own subject.
_SUBJECT = r"(?=(?:i|you|he|she|it|we|they|there|this|that|my|your|the)\b)"
_BOUNDARY = re.compile(
    rf"[.!?;:—–()\n]+|\s-\s|,\s+but\b|\s(?:although|because|however|though|whereas|while|yet)\s|,\s+(?:and\s+|or\s+|so\s+)?{_SUBJECT}"
    rf"|\s(?:and|but|so)\s+{_SUBJECT}",
    re.IGNORECASE,
)
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
                for key in rule.keys() & {"pattern", "absent", "unless"}:
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
    tried = [test(rule, prompt, answer) for key, test in _TESTS.items() if key in rule]
    holds = bool(answer.strip()) and all(held for held, _ in tried)
    return {"holds": holds, "reason": rule["reason"], "found": "; ".join(found for _, found in tried)}


def _markers(rule, prompt, answer):
    present = [marker for marker in prompt["markers"] if _marker(marker).search(answer)]
    return len(present) >= rule["markers"], f"{len(present)} of {len(prompt['markers'])}: {', '.join(present) or 'none'}"


@cache
def _marker(marker: str) -> re.Pattern:
    """A marker as whole words with their regular endings; `*` at its end stands for any ending."""
    stem = r"\s+".join(map(re.escape, marker.removesuffix("*").split()))
    last = marker[-1]
    if last == "*":
        forms = [stem + r"\w*"]
    elif not last.isalpha():
        forms = [stem]
    else:
        forms = [stem + rf"(?:['’]?s|es|e?d|ing|{last}(?:ed|ing))?"]
        forms += [stem[:-1] + "ing"] if last == "e" else [stem[:-1] + "ie[ds]"] if last == "y" else []
    return re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", _FLAGS)


def _pattern(rule, prompt, answer):
    matches = list(re.finditer(rule["pattern"], answer, _FLAGS))
    if "share" in rule:
        share = len(matches) / max(1, len(words(answer)))
        return share >= rule["share"], f"{share:.0%} of the words"
    return len(matches) >= rule.get("at_least", 1), _places(matches)


def _places(matches: list[re.Match]) -> str:
    found = sorted({match.group(0).strip().lower() for match in matches})
    return f"{len(matches)} {'place' if len(matches) == 1 else 'places'}: {', '.join(found)}" if matches else "none"


def _absent(rule, prompt, answer):
    matches = list(_unexcused(rule["absent"], rule.get("unless"), answer))
    if "up_to" in rule:
        return len(matches) <= max(1, rule["up_to"] * len(words(answer))), _places(matches)
    return not matches, matches[0].group(0).strip() if matches else "none"


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


def _listed(rule, prompt, answer):
    listed = sum(len(words(line[mark.end() :])) for line in answer.splitlines() if (mark := _ITEM.match(line)))
    share = listed / max(1, len(words(answer)))
    return share <= rule["listed"], f"{share:.0%} of the words"


_TESTS = {
    "markers": _markers,
    "pattern": _pattern,
    "absent": _absent,
    "words": _words,
    "repeats": _repeats,
    "new_words": _new_words,
    "listed": _listed,
}


def _unexcused(pattern: str, unless: str | None, text: str) -> Iterator[re.Match]:
    """The matches of a pattern whose clause does not match `unless`."""
    boundaries = list(_BOUNDARY.finditer(text)) if unless else []
    starts = [0, *(boundary.end() for boundary in boundaries)]
    ends = [*(boundary.start() for boundary in boundaries), len(text)]
    for match in re.finditer(pattern, text, _FLAGS):
        word = re.search(r"\w|$", match[0])  # a pattern may begin with the stop before its own clause
        first = starts[bisect_right(starts, match.start() + word.start()) - 1]
        last = ends[bisect_left(ends, match.end())]
        if not (unless and re.search(unless, text[first:last], _FLAGS)):
            yield match


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
        if any(_unexcused(flag["pattern"], flag.get("unless"), sentence)):
            return sentence.strip()
    return None
