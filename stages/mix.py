"""Mix training examples of several categories into one file, each category with its weight.

python -m stages.mix joint data/train data/mixes/joint.jsonl
"""

import random
from pathlib import Path

from cantica.core.command import run
from cantica.core.files import write_jsonl
from cantica.core.params import read_params
from cantica.dataset.lines import Lines


def main(mix: str, train: Path, path: Path) -> None:
    params = read_params(f"mixes.{mix}", "data.seed")
    seed = f"{params['data']['seed']}/{mix}"
    parts = {category: Lines(train / f"{category}.jsonl") for category in params["mixes"][mix]}
    places = mixed({c: len(lines) for c, lines in parts.items()}, params["mixes"][mix], seed)
    print(f"{path}: {write_jsonl(path, (parts[category][number] for category, number in places))} examples")


def mixed(sizes: dict[str, int], weights: dict[str, float], seed: str) -> list[tuple[str, int]]:
    """(category, number) of each example of the mix, in an order that the seed decides.

    A weight of 1 takes each of a category's examples once, 2 twice, 1.5 once and a random half of them again.
    """
    places = []
    for category, weight in weights.items():
        n, (whole, rest) = sizes[category], divmod(weight, 1)
        again = random.Random(f"{seed}/{category}").sample(range(n), round(rest * n))
        places += [(category, number) for number in [*list(range(n)) * int(whole), *sorted(again)]]
    random.Random(seed).shuffle(places)
    return places


if __name__ == "__main__":
    run(main)
