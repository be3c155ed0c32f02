"""Spearman's rank correlation of two judges, and its interval."""

from collections.abc import Sequence

FEWEST = 10  # prompts from which on an interval is given: of fewer, resamples are alike too often
RESAMPLES, SEED = 2000, 1


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None when a judge gave one score throughout."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def interval(first: Sequence[float], second: Sequence[float], prompts: Sequence[str]) -> tuple[float, float] | None:
    """Its 95% percentile interval over prompts, drawn whole: answers to one are not independent of each other.

    None where there is no correlation, or fewer than `FEWEST` prompts.
    """
    places: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(place)
    if spearman(first, second) is None or len(places) < FEWEST:
        return None
    import numpy as np
    from scipy.stats import rankdata

    scores, groups = np.array([first, second], dtype=float), [np.array(own) for own in places.values()]
    draws, found = np.random.default_rng(SEED), []
    for chosen in draws.integers(0, len(groups), (RESAMPLES, len(groups))):
        one, two = rankdata(scores[:, np.concatenate([groups[n] for n in chosen])], axis=1)
        if one.std() and two.std():  # a resample in which a judge gave one score throughout has none
            found.append(np.corrcoef(one, two)[0, 1])
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
