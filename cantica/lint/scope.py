"""What is linted: the files, which of them are compared with each other, and texts that no example may contain."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from cantica.lint.earlier_commits import validation_prompts
from cantica.lint.files import SPLITS, Place
from cantica.lint.forbidden import Forbidden, forbidden
from cantica.settings.tree import files_of, files_on_paths


@dataclass(frozen=True)
class Scope:
    """What is linted.

    limits: {category or sample: the most tokens that an example may have}.
    compared: whether examples of two categories are compared with each other.
    answers_only: whether only the answers are new. `cut_off` leaves out the turns before them, and two examples with one prompt
    are as similar as their answers.
    """

    places: list[Place]
    forbidden: Forbidden
    limits: dict[str, int]
    compared: Callable[[str, str], bool] = lambda one, other: True
    answers_only: bool = False


class ForSamples(TypedDict):
    """What the audit of the categories writes down for the lint of samples: data/audit/for_samples.json.

    earlier: {fingerprint of the prompt of a validation example of an earlier commit: that commit}.
    apart: {sample that a step trains on: categories with whose validation examples it is not compared}.
    limits: {sample that a step trains on: the most tokens that an example may have}.
    """

    earlier: dict[str, str]
    apart: dict[str, list[str]]
    limits: dict[str, int]


def dataset_scope(data: Path, params: dict) -> Scope:
    """Return the scope of the categories in the folder `data`: all examples are judged."""
    names, paths = list(params["categories"]), files_on_paths(params)
    places = [Place(split, name, data / split / f"{name}.jsonl") for split in SPLITS for name in names]
    audit = params["audit"]
    texts = forbidden(
        data / "held_out.jsonl", data / "behaviour_items.jsonl", audit["held_out_run"], validation_prompts(audit["earlier"])
    )
    return Scope(places, texts, token_limits(params), lambda a, b: a == b or meet(f"train/{a}", f"train/{b}", paths))


def sample_scope(
    sample: str, path: Path, measured: tuple[Path, Path], valid: Path, known: ForSamples, settings: dict, limit: int
) -> Scope:
    """Return the scope of one sample: its examples are judged, and compared with validation examples of categories.

    measured: the evaluation prompts, and the items of behaviours. valid: the folder of validation examples. known:
    data/audit/for_samples.json. settings: the section `audit` of params. limit: the most tokens that an example may have, if
    no step trains on the sample.
    """
    apart = set(known["apart"].get(sample, []))
    validation = [Place("valid", file.stem, file, judged=False) for file in sorted(valid.glob("*.jsonl"))]
    earlier = {int(prompt): commit for prompt, commit in known["earlier"].items()}
    return Scope(
        [Place("train", sample, path), *validation],
        forbidden(*measured, settings["held_out_run"], earlier),
        {sample: known["limits"].get(sample, limit)},
        compared=lambda one, other: apart.isdisjoint((one, other)),
        answers_only=True,
    )


def for_samples(scope: Scope, params: dict) -> ForSamples:
    """Return what the lint of samples needs to know. scope: that of the categories."""
    paths = files_on_paths(params)
    samples = sorted({file.removeprefix("samples/") for files in paths for file in files if file.startswith("samples/")})
    return {
        "earlier": {str(prompt): commit for prompt, commit in scope.forbidden.validation_prompts.items()},
        "apart": {
            sample: [name for name in params["categories"] if not meet(f"samples/{sample}", f"train/{name}", paths)]
            for sample in samples
        },
        "limits": {sample: scope.limits[sample] for sample in samples},
    }


def meet(one: str, other: str, paths: list[set[str]]) -> bool:
    """Return whether two files are on one path from base. A file that is on no path meets all others."""
    found = [{number for number, files in enumerate(paths) if name in files} for name in (one, other)]
    return not all(found) or bool(found[0] & found[1])


def token_limits(params: dict) -> dict[str, int]:
    """Return {category or sample: the smallest max_seq_length of the steps that train on it, or else that of `train`}."""
    usual = params["train"]["max_seq_length"]
    limits: dict[str, list[int]] = {name: [] for name in params["categories"]}
    for step in params["curriculum"].values():
        for file in files_of(step["data"], params["mixes"]):
            limits.setdefault(file.partition("/")[2], []).append(step.get("max_seq_length", usual))
    return {name: min(found, default=usual) for name, found in limits.items()}
