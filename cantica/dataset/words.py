"""Words and n-grams. All comparisons of texts use this definition of a word."""

import re
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from itertools import takewhile

TAG = re.compile(r"</?\w+>")
OPERATOR = re.compile(r"[-+−*/×÷=<>^%]")
WORD = re.compile(r"\w+(?:['’]\w+)*")
# Common English words: function words, and the most frequent other words.
COMMON = frozenset(
    WORD.findall("""
    a about above after again against ago ai all almost along already also although always am among an and another
    answer any anyone anything are aren't around as ask asked at away back be became because become been before began
    being below best better between big both but by call came can can't cannot come could couldn't day days did didn't
    different do does doesn't doing don't done down during each either else end enough even ever every everyone
    everything example far feel few find first for found from further gave get give given go going good got great had
    hadn't half happen hard has hasn't have haven't having he he'd he'll he's hear help her here hers herself him
    himself his hold how however i i'd i'll i'm i've if in instead into is isn't it it'd it'll it's its itself just keep
    kept kind knew know last later least left less let life like little long look looked lot made make many matter may
    maybe me mean means might mine more most much must my myself need never new next no nobody none nor not nothing now
    of off often old on once one ones only or other others our ours ourselves out over own part people perhaps place
    point put question quite rather really reason right said same saw say saying see seem seemed seems seen sense
    several shall she she'd she'll she's should shouldn't side since so some someone something sometimes soon sort still
    such sure take taken talk tell than that that's the their theirs them themselves then there there's these they
    they'd they'll they're they've thing things think this those though thought three through time times to today
    together told too took toward towards true try turn two under understand until up upon us use used very want wanted
    was wasn't way ways we we'd we'll we're we've well went were weren't what what's whatever when where whether which
    while who whole whom whose why will with within without won't word words work world would wouldn't year years yes
    yet you you'd you'll you're you've your yours yourself
    """)
)


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without tags and punctuation."""
    return WORD.findall(TAG.sub(" ", text).lower())


def ngrams(words: Sequence[str], n: int) -> Iterable[str]:
    """Return every run of n consecutive words, joined by spaces."""
    return map(" ".join, zip(*(words[start:] for start in range(n)), strict=False))


def shingles(words: Sequence[str]) -> set[str]:
    """Return the five-word runs of a text, or the whole text if it has fewer than five words."""
    return set(ngrams(words, 5)) or {" ".join(words)}


def fingerprint(words: Sequence[str]) -> int:
    """Return a 64-bit hash of the words."""
    return int.from_bytes(blake2b(" ".join(words).encode(), digest_size=8).digest(), "little")


def prompt_fingerprint(text: str) -> int:
    """Return a 64-bit hash of the words of a prompt and its arithmetic signs, in which alone two sums may differ."""
    return fingerprint([*words(text), *OPERATOR.findall(text)])


def jaccard(one: set, other: set) -> float:
    """Return the Jaccard similarity of two sets: the size of their intersection over the size of their union."""
    return len(one & other) / len(one | other)


def count_uncommon(words: Iterable[str]) -> int:
    """Count the words that are not in COMMON."""
    return sum(word.replace("’", "'") not in COMMON for word in words)


class NgramIndex:
    """Finds the runs of words that a text has in common with any of `texts`, {name: words}.

    A run counts if it has at least `n` words, of which at least n/2 are not in COMMON, or if it is the whole of one of `texts`.
    repeated: more words that are as good as in COMMON, because many of the texts have them.
    """

    def __init__(self, texts: dict[str, list[str]], n: int, repeated: Collection[str] = ()):
        self.texts, self.n, self.least_uncommon, self.repeated = texts, n, -(-n // 2), repeated
        self.places: dict[str, list[tuple[str, int]]] = {}
        for name, text in texts.items():
            for place, ngram in enumerate(ngrams(text, n)):
                self.places.setdefault(ngram, []).append((name, place))

    def shared(self, words: list[str]) -> dict[str, list[str]]:
        """Return {run: names of the texts that share exactly this run with `words`}. Each run is as long as possible."""
        found: dict[str, dict[str, bool]] = {}
        for start, ngram in enumerate(ngrams(words, self.n)):
            for name, place in self.places.get(ngram, ()):
                text = self.texts[name]
                if start and place and words[start - 1] == text[place - 1]:
                    continue  # part of a run that was found one word earlier
                pairs = takewhile(lambda pair: pair[0] == pair[1], zip(words[start:], text[place:], strict=False))
                run = [word for word, _ in pairs]
                uncommon = count_uncommon(word for word in run if word not in self.repeated)
                counts = uncommon >= self.least_uncommon or len(run) == len(text)
                found.setdefault(" ".join(run), {})[name] = counts
        return {run: list(names) for run, names in found.items() if any(names.values())}
