"""The experiments of the field, in miniature and at full size, built on tiny models: all that they are made of is text."""

import html
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from cantica.core.documents import read_jsonl, read_yaml
from cantica.probes.behaviour_files import load_behaviours
from cantica.training.settings import kept_iterations
from tests.support.projects import ROOT, clone, commit, ok, overlay

VARIANTS = {path.stem: read_yaml(path) for path in sorted((ROOT / "variants").glob("*.yaml"))}
MINIATURES = [name for name, variant in VARIANTS.items() if "question" in variant.get("experiment", {})]
FULL_SIZE = [name for name, variant in VARIANTS.items() if "experiment" in variant and name not in MINIATURES]
# Tiny random models, by a word in the name of the model whose architecture they have.
TINY = VARIANTS["smoke"]["params"]["base"]
FAMILIES = {"llama": "llama", "qwen2.5": "qwen2", "qwen3": "qwen3", "olmo-3": "olmo3"}


def lay_in_less_time(project: Path, **sections) -> None:
    """Lay settings over a project's params, and others with which stages do less.

    Batches are small, answers short, and steps end two iterations after their last checkpoint. A random model ends no answer
    and repeats itself, so all its samples are kept, and linted less strictly.
    """
    params = read_yaml(project / "params.yaml")
    steps = {step: max(kept_iterations(params["train"] | own), default=0) for step, own in params["curriculum"].items()}
    samples = params["samples"]
    choices = [f"samples.{name}.keep" for name, own in samples.items() if "keep" in own]
    sections |= {
        "lora": {"layers": -1},
        "train": {"batch_size": 2, "warmup": 0},
        "curriculum": {step: {"iters": last + 2, "warmup": 1} for step, last in steps.items()},
        "samples": {name: {"temperature": 1, "max_tokens": 6} for name in samples},
        "audit": {"categories": {name: {"cut_off": "off", "same_answer": "off"} for name in samples}},
        "probe": {"max_tokens": 4},
        "capability": {"max_tokens": 4, "items": min(2, params["capability"]["items"])},
        "report": {"resamples": 1000},
    }
    quick = {"tests": "an experiment in less time", "params": sections} | ({"remove": choices} if choices else {})
    (project / "variants/quick.yaml").write_text(json.dumps(quick))
    overlay(project, "quick")


@pytest.fixture(scope="module")
def miniature(tmp_path_factory) -> Callable[[str], Path]:
    """A function: a project with a miniature, built on the model of the smoke variant."""

    @cache
    def built(name: str) -> Path:
        project = clone(tmp_path_factory.mktemp(name) / "project")
        overlay(project, "smoke", name)
        lay_in_less_time(project)
        ok(project, "dvc", "repro")
        commit(project, "Build")
        return project

    return built


def asked(project: Path, params: dict, arm: str) -> Counter:
    """{(behaviour, condition, iteration): number of items} of what the arm must be asked; None is the end of its step."""
    step = params["arms"][arm]["point"]
    kept = kept_iterations(params["train"] | params["curriculum"][step]) if step in params["curriculum"] else []
    behaviours = load_behaviours(project / "prompts/probes/behaviours")
    return Counter(
        (name, condition, iteration)
        for name in params["probe"]["behaviours"]
        for condition in behaviours[name]["conditions"]
        for iteration in [None, *kept]
        for _ in behaviours[name]["items"]
    )


def answered(project: Path, arm: str) -> Counter:
    """The same of the rows that it has."""
    rows = read_jsonl(project / f"data/probes/{arm}.jsonl")
    return Counter((row["behaviour"], row["condition"], row["iteration"]) for row in rows if "behaviour" in row)


@pytest.mark.parametrize("name", MINIATURES)
def test_every_arm_is_asked_every_item_under_every_condition_at_every_checkpoint(name, miniature):
    project = miniature(name)
    params = read_yaml(project / "params.yaml")
    for arm in params["arms"]:
        assert answered(project, arm) == asked(project, params, arm)


@pytest.mark.parametrize("name", MINIATURES)
def test_every_claim_has_its_numbers_and_stands_in_the_report(name, miniature):
    project = miniature(name)
    claims = read_yaml(project / "params.yaml")["claims"]
    measured = json.loads((project / "reports/claims.json").read_text())
    report = html.unescape((project / "reports/report.html").read_text())
    assert list(measured) == list(claims)
    for claim, own in claims.items():
        numbers = [measured[claim][str(n)] for n, _ in enumerate(own["all"], 1)] if "all" in own else [measured[claim]]
        for found in numbers:
            value = next(found[key] for key in ("difference", "share", "mean", "steps") if key in found)
            assert value is None or math.isfinite(value)
        assert own["says"][1:] in report
    assert "are in order" in ok(project, "cantica", "check")


@pytest.mark.parametrize("name", FULL_SIZE)
def test_its_full_size_builds_on_a_tiny_model_of_the_same_architecture(name, miniature, tmp_path):
    (over,) = VARIANTS[name]["over"]
    project = Path(shutil.copytree(miniature(over), tmp_path / "project", symlinks=True))
    ok(project, "git", "checkout", "HEAD~1", "--", "params.yaml")
    overlay(project, name)
    repo = read_yaml(project / "params.yaml")["base"]["hub"]["repo"].lower()
    (family,) = [family for word, family in FAMILIES.items() if word in repo]
    config = TINY["random"]["config"] | {"model_type": family}
    lay_in_less_time(project, base=TINY | {"model": "random/tiny", "random": TINY["random"] | {"config": config}})
    params = read_yaml(project / "params.yaml")
    last = list(params["arms"])[-1]
    ok(project, "dvc", "repro", "train", f"probe@{last}")
    assert json.loads((project / "models/base/config.json").read_text())["model_type"] == family
    assert answered(project, last) == asked(project, params, last)
    assert "are in order" in ok(project, "cantica", "check")
