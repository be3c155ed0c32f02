"""Statistics of a dataset, from a sample of its examples."""

import math
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import TypedDict

from cantica.dataset.chat import Message, split_thinking
from cantica.dataset.words import ngrams, words
from cantica.lint.example_rules import SCENARIO


class SampledExample(TypedDict):
    """An example of the sample, with its category and split."""

    category: str
    split: str
    messages: list[Message]


def parts_of(messages: list[Message]) -> dict[str, str]:
    """Return the parts of an example: scenario and reflection, or else prompt; thinking, if there is any; answer."""
    asked = "\n\n".join(message["content"] for message in messages[:-1] if message["role"] != "system")
    thinking, answer, _ = split_thinking(messages[-1]["content"])
    if SCENARIO.fullmatch(asked.strip()):
        scenario, _, reflection = asked.partition("</witnessed_scenario>")
        parts = {"scenario": scenario, "reflection": reflection}
    else:
        parts = {"prompt": asked}
    return parts | ({"thinking": thinking} if thinking else {}) | {"answer": answer}


def text_statistics(sample: list[SampledExample], count_tokens: Callable[[str], int]) -> dict:
    """Return the lengths of the parts, the variety of the words, and frequent word runs and openings.

    distinct-n is the number of different runs of n words over the number of all such runs (Li et al. 2016,
    arXiv:1510.03055). It falls as a text gets longer, so compare it between samples of the same size only.
    """
    parts = [parts_of(record["messages"]) for record in sample]
    texts = [words(" ".join(part.values())) for part in parts]
    repeated = Counter(run for text in texts for run in set(ngrams(text, 8)))
    openers = Counter(" ".join(words(part["answer"])[:3]) for part in parts)
    return {
        "n": len(sample),
        "words": _medians(parts, lambda text: len(words(text))),
        "tokens": _medians(parts, count_tokens),
        "distinct": {str(n): _distinct(texts, n) for n in (1, 2, 3)},
        "repeated": [{"run": run, "share": round(n / len(texts), 4)} for run, n in _most(repeated, 10) if n > 1],
        "openers": [{"opener": opener, "share": round(n / len(texts), 4)} for opener, n in _most(openers, 10) if n > 1],
    }


def _most(counts: Counter[str], n: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]


def _medians(parts: list[dict[str, str]], length: Callable[[str], int]) -> dict[str, float]:
    names = [name for name in ("prompt", "scenario", "reflection", "thinking", "answer") if any(name in p for p in parts)]
    return {name: median(length(texts[name]) for texts in parts if name in texts) for name in names}


def _distinct(texts: list[list[str]], n: int) -> float:
    runs = [run for text in texts for run in ngrams(text, n)]
    return round(len(set(runs)) / len(runs), 4) if runs else 0.0


def similarity(sample: list[SampledExample]) -> dict[str, dict[str, float]]:
    """Return {category: {other: cosine similarity of their word counts}}, weighted by tf-idf over the sample."""
    texts = [(record["category"], words(" ".join(parts_of(record["messages"]).values()))) for record in sample]
    document_counts = Counter(word for _, text in texts for word in set(text))
    word_counts: dict[str, Counter[str]] = {}
    for category, text in texts:
        word_counts.setdefault(category, Counter()).update(text)
    vectors = {
        category: {word: n * math.log(len(texts) / document_counts[word]) for word, n in counts.items()}
        for category, counts in word_counts.items()
    }
    return {one: {other: round(_cosine(vectors[one], vectors[other]), 4) for other in vectors} for one in vectors}


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    lengths = math.sqrt(sum(x * x for x in one.values())) * math.sqrt(sum(x * x for x in other.values()))
    return sum(x * other[word] for word, x in one.items() if word in other) / lengths if lengths else 0.0
