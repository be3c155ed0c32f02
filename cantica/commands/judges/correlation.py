"""Spearman's rank correlation of two judges, and its interval."""

from collections.abc import Sequence

FEWEST = 10  # with fewer prompts there is no interval: too many resamples are equal
RESAMPLES, SEED = 2000, 1


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None if all scores of a judge are equal."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def interval(first: Sequence[float], second: Sequence[float], prompts: Sequence[str]) -> tuple[float, float] | None:
    """The 95% percentile bootstrap interval of `spearman`. Prompts are resampled as a whole: their responses are dependent.

    prompts: the prompt of each score. None where there is no correlation, or fewer than `FEWEST` prompts.
    """
    places: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(place)
    if spearman(first, second) is None or len(places) < FEWEST:
        return None
    import numpy as np
    from scipy.stats import rankdata

    scores, groups = np.array([first, second], dtype=float), [np.array(own) for own in places.values()]
    rng, found = np.random.default_rng(SEED), []
    for chosen in rng.integers(0, len(groups), (RESAMPLES, len(groups))):
        one, two = rankdata(scores[:, np.concatenate([groups[n] for n in chosen])], axis=1)
        if one.std() and two.std():  # without variance there is no correlation
            found.append(np.corrcoef(one, two)[0, 1])
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
