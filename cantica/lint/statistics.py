"""Figures of a dataset, from a sample of its examples."""

import math
from collections import Counter
from statistics import median

from cantica.dataset.chat import split_thinking
from cantica.dataset.words import runs, words
from cantica.lint.rules import SCENARIO


def parts_of(messages: list[dict]) -> dict[str, str]:
    """The texts of an example by part: scenario and reflection, or prompt; thinking, if there is any; answer."""
    asked = "\n\n".join(message["content"] for message in messages[:-1] if message["role"] != "system")
    thinking, answer, _ = split_thinking(messages[-1]["content"])
    if SCENARIO.fullmatch(asked.strip()):
        scenario, _, reflection = asked.partition("</witnessed_scenario>")
        parts = {"scenario": scenario, "reflection": reflection}
    else:
        parts = {"prompt": asked}
    return parts | ({"thinking": thinking} if thinking else {}) | {"answer": answer}


def figures(sample: list[dict], count_tokens) -> dict:
    """`reports/dataset.json`, the part about texts.

    sample: {"category", "messages"} of each example. distinct-n is the number of different runs of n words over the
    number of all, as Li et al. (2016, arXiv:1510.03055) define it; it falls as a text gets longer, so it compares
    samples of the same size only.
    """
    parts = [parts_of(record["messages"]) for record in sample]
    told = [words(" ".join(texts.values())) for texts in parts]
    repeated = Counter(run for text in told for run in set(runs(text, 8)))
    openers = Counter(" ".join(words(texts["answer"])[:3]) for texts in parts)
    return {
        "n": len(sample),
        "words": _medians(parts, lambda text: len(words(text))),
        "tokens": _medians(parts, count_tokens),
        "distinct": {str(n): _distinct(told, n) for n in (1, 2, 3)},
        "repeated": [{"run": run, "share": round(n / len(told), 4)} for run, n in _most(repeated, 10) if n > 1],
        "openers": [{"opener": opener, "share": round(n / len(told), 4)} for opener, n in _most(openers, 10) if n > 1],
    }


def _most(counts: Counter, n: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]


def _medians(parts: list[dict[str, str]], measure) -> dict[str, float]:
    names = [name for name in ("prompt", "scenario", "reflection", "thinking", "answer") if any(name in p for p in parts)]
    return {name: median(measure(texts[name]) for texts in parts if name in texts) for name in names}


def _distinct(told: list[list[str]], n: int) -> float:
    seen = [run for text in told for run in runs(text, n)]
    return round(len(set(seen)) / len(seen), 4) if seen else 0.0


def similarity(sample: list[dict]) -> dict[str, dict[str, float]]:
    """Cosine between the word counts of each two categories, words weighted by their rarity (tf-idf over the sample)."""
    texts = [(record["category"], words(" ".join(parts_of(record["messages"]).values()))) for record in sample]
    rarity = Counter(word for _, text in texts for word in set(text))
    weights: dict[str, Counter] = {}
    for category, text in texts:
        weights.setdefault(category, Counter()).update(text)
    vectors = {
        category: {word: n * math.log(len(texts) / rarity[word]) for word, n in counts.items()}
        for category, counts in weights.items()
    }
    return {one: {other: round(_cosine(vectors[one], vectors[other]), 4) for other in vectors} for one in vectors}


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    lengths = math.sqrt(sum(x * x for x in one.values())) * math.sqrt(sum(x * x for x in other.values()))
    return sum(x * other[word] for word, x in one.items() if word in other) / lengths if lengths else 0.0
