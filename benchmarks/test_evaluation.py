"""Prompts per second in evaluation, on models/base with the settings of params.yaml (a few minutes on a CPU)."""

import os
import time
from pathlib import Path

import pytest

from cantica.capability.items import evenly, load_items
from cantica.capability.score_items import score_items
from cantica.core.params import FILE, read_params
from cantica.judging.held_out import load_prompts
from cantica.probes.behaviour_files import chosen, load_behaviours
from cantica.probes.pairs import load_pairs
from cantica.probes.run import measure_behaviours, score_pairs
from stages.respond import respond

ROOT = Path(__file__).parent.parent
BASE, PROMPTS = Path("models/base"), Path("prompts")


@pytest.fixture(scope="module")
def loaded():
    """(model, tokenizer) of the base model in models/base with LoRA layers on it, in the project's root."""
    if not (ROOT / BASE / "config.json").exists():
        pytest.skip("no models/base: run `dvc repro base` first")
    before = Path.cwd()
    os.chdir(ROOT)
    from cantica.engine.lora import LoraShape, new_adapter
    from cantica.engine.model import load_base

    lora = read_params("lora")["lora"]
    model, tokenizer = load_base(BASE)
    new_adapter(model, LoraShape(lora["layers"], lora["rank"], lora["scale"]), 0.0, lora["seed"])
    yield model, tokenizer
    os.chdir(before)


def run_respond(model, tokenizer) -> list[dict]:
    return respond(model, tokenizer, load_prompts(PROMPTS / "held_out"), read_params("respond")["respond"])


def run_probe(model, tokenizer) -> list[dict]:
    settings = read_params("probe")["probe"]
    behaviours = chosen(load_behaviours(PROMPTS / "probes/behaviours"), settings["behaviours"], FILE)
    scored = score_pairs(model, tokenizer, load_pairs(PROMPTS / "probes/pairs"), PROMPTS / "probes")
    return [*scored, *measure_behaviours(model, tokenizer, behaviours, settings | {"system": None})]


def run_capability(model, tokenizer) -> list[dict]:
    settings = read_params("capability")["capability"]
    items = load_items(PROMPTS / "capability", settings["seed"])
    return score_items(model, tokenizer, {kind: evenly(found, settings["items"]) for kind, found in items.items()}, settings)


@pytest.mark.parametrize("stage", [run_respond, run_probe, run_capability], ids=["respond", "probe", "capability"])
def test_prompts_per_second(benchmark, loaded, stage):
    start = time.perf_counter()
    records = benchmark.pedantic(stage, loaded, rounds=1)
    seconds = time.perf_counter() - start
    figures = {"prompts": len(records), "seconds": round(seconds, 1), "prompts/s": round(len(records) / seconds, 2)}
    benchmark.extra_info |= figures
    print(f"\n{stage.__name__.removeprefix('run_')}: {figures}")
