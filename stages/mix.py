"""Mix the training examples of several categories into one file. Each category has a weight.

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
    files = {category: Lines(train / f"{category}.jsonl") for category in params["mixes"][mix]}
    places = mixed({category: len(lines) for category, lines in files.items()}, params["mixes"][mix], seed)
    print(f"{path}: {write_jsonl(path, (files[category][number] for category, number in places))} examples")


def mixed(sizes: dict[str, int], weights: dict[str, float], seed: str) -> list[tuple[str, int]]:
    """Return (category, number) of each example of the mix, in an order that the seed determines.

    A weight of 1 takes each example of a category once, 2 takes it twice, and 1.5 takes it once and a random half twice.
    """
    places = []
    for category, weight in weights.items():
        n, (whole, fraction) = sizes[category], divmod(weight, 1)
        again = random.Random(f"{seed}/{category}").sample(range(n), round(fraction * n))
        places += [(category, number) for number in [*list(range(n)) * int(whole), *sorted(again)]]
    random.Random(seed).shuffle(places)
    return places


if __name__ == "__main__":
    run(main)
