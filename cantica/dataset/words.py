"""Words and runs of words, as every comparison of texts here counts them."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from itertools import takewhile

TAG, WORD = re.compile(r"</?\w+>"), re.compile(r"\w+(?:['’]\w+)*")
# English words that make up most of what everybody says: function words, and the commonest of the others.
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
    """The words of a text in lower case, without tags and punctuation."""
    return WORD.findall(TAG.sub(" ", text).lower())


def runs(sequence: list[str], n: int) -> Iterable[str]:
    """Every run of n words that follow each other, as a text."""
    return map(" ".join, zip(*(sequence[start:] for start in range(n)), strict=False))


def shingles(told: list[str]) -> set[str]:
    """The runs of five words; of fewer words, all together."""
    return set(runs(told, 5)) or {" ".join(told)}


def fingerprint(told: list[str]) -> int:
    """64 bits that stand for these words."""
    return int.from_bytes(blake2b(" ".join(told).encode(), digest_size=8).digest(), "little")


def jaccard(one: set, other: set) -> float:
    """Share of what two sets have together that is in both."""
    return len(one & other) / len(one | other)


def content(told: list[str]) -> int:
    """How many of the words are not common ones."""
    return sum(word.replace("’", "'") not in COMMON for word in told)


class Runs:
    """The texts of `texts`, {name: words}, to find runs of words in that other texts share with them.

    A run counts from `n` words on, of which half of n are not common; or when it is the whole of a text.
    """

    def __init__(self, texts: dict[str, list[str]], n: int):
        self.texts, self.n, self.content = texts, n, -(-n // 2)
        self.places: dict[str, list[tuple[str, int]]] = {}
        for name, told in texts.items():
            for place, run in enumerate(runs(told, n)):
                self.places.setdefault(run, []).append((name, place))

    def shared(self, told: list[str]) -> dict[str, list[str]]:
        """Each run that `told` shares, as long as it goes, with the names of all texts that share just as much."""
        found: dict[str, dict[str, bool]] = {}
        for start, run in enumerate(runs(told, self.n)):
            for name, place in self.places.get(run, ()):
                other = self.texts[name]
                if start and place and told[start - 1] == other[place - 1]:
                    continue  # found from where it begins
                pairs = takewhile(lambda pair: pair[0] == pair[1], zip(told[start:], other[place:], strict=False))
                whole = [word for word, _ in pairs]
                counts = content(whole) >= self.content or len(whole) == len(other)
                found.setdefault(" ".join(whole), {})[name] = counts
        return {run: list(names) for run, names in found.items() if any(names.values())}
