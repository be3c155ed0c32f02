"""What a step starts from: the adapter of `after`, new layers on top of it, or new ones alone; and steps of no iterations."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_unflatten
from ruamel.yaml import YAML

from cantica.core.documents import read_yaml
from cantica.core.errors import InputError
from cantica.engine.lora import LoraShape, lora_tensors, new_adapter
from cantica.engine.model import CONFIG, WEIGHTS, checkpoints, load_adapter, load_base, read_shape, save_adapter
from cantica.settings import tree
from cantica.training.loop import train
from cantica.training.settings import kept_iterations
from cantica.training.start import start
from tests.support.examples import EXAMPLES, SHAPE, STEP
from tests.support.processes import wait_until
from tests.support.projects import ENVIRONMENT

TEXT = mx.array([[5, 17, 300, 42, 8, 8, 121, 399]])
LORA = {"seed": 1, "layers": SHAPE.layers, "rank": SHAPE.rank, "scale": SHAPE.scale}
FRESH = {"after": "first", "adapter": "fresh", "layers": 1, "rank": 3, "scale": 0.5}
BOTH = LoraShape(-1, 7, 0.5)


@pytest.fixture
def trained(adapted, tmp_path):
    """The folder of an adapter with an effect."""
    (tmp_path / "first").mkdir()
    save_adapter(adapted(SHAPE)[0], SHAPE, 0.05, tmp_path / "first")
    return tmp_path / "first"


@pytest.fixture
def begin(tiny_model, trained):
    """A function: (the model of a step with some settings of its own, the shape of its adapter)."""

    def begin(own: dict, dropout: float = 0.0, seed: int = 1):
        model, _ = tiny_model()
        return model, start(model, trained, LORA | STEP | {"dropout": dropout} | own, own, seed, "deception")

    return begin


def tensors_of(folder: Path) -> dict[str, mx.array]:
    return mx.load(str(folder / WEIGHTS))


# what a step starts from


@pytest.mark.parametrize("adapter", [{}, {"adapter": "continue"}, {"adapter": "fresh"}])
def test_a_step_after_base_has_new_tensors_of_its_own_shape(begin, tiny_model, adapter):
    model, shape = begin({"after": "base", "layers": 1, "rank": 8} | adapter)
    assert shape == LoraShape(1, 8, 2.0)
    assert len(lora_tensors(model)) == 14 and lora_tensors(model)["model.layers.1.mlp.up_proj.lora_a"].shape == (32, 8)
    plain, _ = tiny_model()
    assert mx.array_equal(model(TEXT), plain(TEXT))
    new_adapter(plain, shape, 0.0, seed=1)
    assert all(mx.array_equal(tensor, lora_tensors(model)[name]) for name, tensor in lora_tensors(plain).items())


@pytest.mark.parametrize("own", [{}, {"rank": 4, "scale": 2, "layers": -1}, {"adapter": "continue"}])
def test_a_step_goes_on_with_the_tensors_of_the_step_before(begin, trained, own):
    model, shape = begin({"after": "first"} | own)
    assert shape == SHAPE
    assert all(mx.array_equal(tensor, lora_tensors(model)[name]) for name, tensor in tensors_of(trained).items())


def test_a_step_that_continues_has_the_shape_of_the_step_before_whatever_lora_says(tiny_model, trained):
    model, _ = tiny_model()
    own = {"after": "first"}
    assert start(model, trained, LORA | STEP | {"rank": 8, "layers": 1, "scale": 5.0} | own, own, 1, "deception") == SHAPE


def test_a_step_that_continues_cannot_name_another_shape(begin):
    with pytest.raises(InputError) as error:
        begin({"after": "first", "rank": 8, "scale": 2.0, "layers": 1})
    found = {problem.place: (problem.got, problem.expected) for problem in error.value.problems}
    assert found.keys() == {"curriculum.deception.rank", "curriculum.deception.layers"}
    assert found["curriculum.deception.rank"][0] == "8" and found["curriculum.deception.rank"][1].startswith("4, as in ")
    assert all("adapter: fresh" in problem.hint for problem in error.value.problems)


def test_a_fresh_step_trains_new_tensors_of_its_own_shape(begin, trained):
    model, shape = begin(FRESH)
    assert shape == BOTH
    assert sum("lora_a" in name for name in lora_tensors(model)) == 7, "the second block alone"
    assert lora_tensors(model)["model.layers.1.mlp.up_proj.lora_a"].shape == (32, 3)


def test_new_tensors_follow_from_the_seed_and_are_not_those_that_the_step_before_began_with(begin, tiny_model):
    same = FRESH | {"layers": SHAPE.layers, "rank": SHAPE.rank}
    one, again, other = (lora_tensors(begin(same, seed=seed)[0]) for seed in (1, 1, 2))
    first = tiny_model()[0]
    new_adapter(first, SHAPE, 0.0, seed=1)
    for name in one:
        assert mx.array_equal(one[name], again[name])
        if "lora_a" in name:
            assert not mx.any(one[name] == other[name]).item()
            assert not mx.any(one[name] == lora_tensors(first)[name]).item()


SETTINGS = {"layers": st.sampled_from([-1, 1, 2, 3]), "rank": st.integers(1, 9), "scale": st.sampled_from([0.5, 2.0])}
OWN = st.fixed_dictionaries({}, optional=SETTINGS)


@settings(max_examples=25, deadline=None)
@given(first=OWN, second=OWN)
def test_params_alone_tell_the_shape_of_a_step(tiny_base, tmp_path_factory, first, second):
    """The shape that `cantica check` and the report show is the one that training gives."""
    first, second = first | {"after": "base"}, second | {"after": "first", "adapter": "fresh"}
    params = {"lora": LORA, "curriculum": {"first": first, "second": second}}
    folder = tmp_path_factory.mktemp("first")
    for step in ("first", "second"):
        model, _ = load_base(tiny_base)
        own = params["curriculum"][step]
        shape = start(model, folder, LORA | STEP | own, own, 1, step)
        assert vars(shape) == tree.adapter_shape(params, step)
        save_adapter(model, shape, 0.0, folder)


# training on top of a frozen adapter


def test_a_fresh_step_changes_its_own_part_and_nothing_else(begin, encoded, trained, tmp_path):
    model, shape = begin(FRESH, dropout=0.1)
    curve = train(model, encoded(), STEP, "deception")
    assert curve[-1]["train_loss"] < curve[0]["train_loss"]
    save_adapter(model, shape, 0.1, tmp_path)
    before, after = tensors_of(trained), tensors_of(tmp_path)
    fresh, _ = begin(FRESH)
    for name, tensor in after.items():
        is_a = name.endswith("lora_a")
        frozen, new = (tensor[:, :4], tensor[:, 4:]) if is_a else (tensor[:4], tensor[4:])
        assert mx.array_equal(frozen, before[name] * (1 if is_a else SHAPE.scale / 0.5))
        assert mx.array_equal(new, lora_tensors(fresh).get(name, mx.zeros(new.shape))) == (".layers.0." in name)


def test_a_later_step_goes_on_with_both_parts(begin, encoded, tiny_model, tmp_path):
    model, shape = begin(FRESH | {"layers": -1})
    train(model, encoded(), STEP | {"iters": 3}, "deception")
    save_adapter(model, shape, 0.0, tmp_path)
    later, _ = tiny_model()
    own = {"after": "deception"}
    assert start(later, tmp_path, LORA | STEP | own, own, 1, "later") == shape
    curve = train(later, encoded(), STEP, "later")
    assert curve[-1]["train_loss"] < curve[0]["train_loss"]
    for name, tensor in tensors_of(tmp_path).items():
        changed = mx.any(lora_tensors(later)[name] != tensor, axis=0 if name.endswith("lora_a") else 1)
        assert changed.shape == (7,) and changed.all()


@pytest.mark.parametrize("optimizer", ["adafactor", "adamw", "muon", "sgd", "soap"])
def test_a_part_that_a_block_lacks_stays_zero_in_later_steps(begin, encoded, tiny_model, tmp_path, optimizer):
    model, shape = begin(FRESH)
    save_adapter(model, shape, 0.0, tmp_path)
    later, _ = tiny_model()
    start(later, tmp_path, LORA | STEP | {"after": "deception"}, {}, 1, "later")
    train(later, encoded(), STEP | {"optimizer": optimizer, "iters": 25}, "later")
    for name, tensor in lora_tensors(later).items():
        if ".layers.0." in name:
            new = tensor[:, 4:] if name.endswith("lora_a") else tensor[4:]
            assert mx.any(tensor != tensors_of(tmp_path)[name]).item() and not mx.any(new).item()


def test_checkpointing_gradients_changes_nothing_but_memory(begin, encoded):
    # mlx-lm wraps the layers' class for good, so the class is put back.
    from mlx_lm.models.llama import TransformerBlock

    call, losses = TransformerBlock.__call__, []
    try:
        for less_memory in (False, True):
            curve = train(begin(FRESH)[0], encoded(), STEP | {"iters": 4, "grad_checkpoint": less_memory}, "x")
            losses.append([row["train_loss"] for row in curve])
    finally:
        TransformerBlock.__call__ = call
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


# kept adapters, and steps of no iterations, through the stage


@given(st.integers(0, 40), st.integers(0, 12) | st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True))
def test_params_alone_tell_which_checkpoints_a_step_keeps(iters, wanted):
    own = {"iters": iters, "checkpoints": wanted}
    kept = kept_iterations(own)
    assert sorted(kept) == tree.kept_iterations({"train": STEP, "curriculum": {"x": own}}, "x")
    assert all(iteration < iters for iteration in kept)


@pytest.fixture
def project(in_the_root, tiny_base, trained, tmp_path) -> Path:
    """A folder in which `stages.train` and `stages.fuse` run, with the adapter `first`."""
    for room in ("cantica", "stages"):
        shutil.copytree(room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tiny_base, tmp_path / "base")
    (tmp_path / "data.jsonl").write_text("".join(f"{json.dumps(example)}\n" for example in EXAMPLES))
    return tmp_path


def process(project: Path, *command: str) -> subprocess.Popen:
    environment = ENVIRONMENT | {"PYTHONPATH": str(project), "CANTICA_CHECKPOINT_SECONDS": "0"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", *command], cwd=project, env=environment, **pipes)


def run(project: Path, *command: str) -> str:
    """What a command prints."""
    printed, errors = (started := process(project, *command)).communicate()
    assert started.returncode == 0, errors
    return printed


def step(project: Path, **own) -> tuple[str, ...]:
    """The command of a step with settings of its own."""
    params = read_yaml(Path("params.yaml"))
    params["lora"] |= LORA
    params["train"] |= STEP | {"iters": 6, "loss_on": ["thinking", "answer"]}
    params["curriculum"] = {"step": {"after": "first", "data": "train/x"} | own}
    with (project / "params.yaml").open("w") as file:
        YAML().dump(params, file)
    return "stages.train", "step", "base", params["curriculum"]["step"]["after"], "data.jsonl", "step", "training.json"


def train_stage(project: Path, **own) -> tuple[Path, dict]:
    """(the folder of the step's adapter, its record)."""
    run(project, *step(project, **own))
    return project / "step", json.loads((project / "training.json").read_text())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_fresh_step_that_is_killed_goes_on_and_ends_in_the_same_bytes(project):
    command = step(project, **FRESH, iters=100, checkpoints=[0, 1, 40, 90])
    run(project, *command)
    undisturbed = files(project / "step"), (project / "training.json").read_text()
    shutil.rmtree(project / "step")
    killed = process(project, *command)
    wait_until(lambda: any(path.is_file() for path in project.glob(".cache/checkpoints/step.*")))
    killed.kill()
    killed.communicate()
    assert not (project / "step").exists()
    assert "step: continues after iteration " in run(project, *command)
    assert (files(project / "step"), (project / "training.json").read_text()) == undisturbed
    assert len(undisturbed[0]) == 10 and list(project.glob(".cache/checkpoints/*")) == []


def logits(project: Path, *adapters: Path) -> list[mx.array]:
    """The logits of the base model with each adapter."""
    found = []
    for adapter in adapters:
        model, _ = load_base(project / "base")
        load_adapter(model, adapter)
        found.append(model(TEXT))
    return found


def close(found: mx.array, expected: mx.array, tolerance: float = 1e-5) -> None:
    """Equal within a part of the largest logit."""
    assert mx.abs(found - expected).max().item() <= tolerance * mx.abs(expected).max().item()


def test_a_step_of_no_iterations_writes_the_adapter_that_it_continues(project, trained):
    folder, record = train_stage(project, iters=0, checkpoints=[0])
    assert (folder / WEIGHTS).read_bytes() == (trained / WEIGHTS).read_bytes() and read_shape(folder) == SHAPE
    assert checkpoints(folder) == {}
    assert (record["iterations"], record["epochs"], record["curve"]) == (0, 0.0, [])
    assert record["examples"] == 5 and record["loss_tokens"] > 0


def test_a_fresh_step_of_no_iterations_has_the_effect_of_the_adapter_before(project, trained):
    folder, record = train_stage(project, **FRESH, iters=0)
    assert record["curve"] == [] and read_shape(folder) == BOTH
    close(*logits(project, trained, folder), 1e-6)


def test_a_step_of_no_iterations_after_base_has_no_effect(project):
    folder, _ = train_stage(project, after="base", iters=0)
    assert not any(mx.any(tensor).item() for name, tensor in tensors_of(folder).items() if name.endswith("lora_b"))


@pytest.mark.parametrize("own", [{}, FRESH], ids=["continue", "fresh"])
def test_a_step_keeps_the_adapters_of_the_iterations_in_a_list(project, trained, own):
    folder, _ = train_stage(project, **own, checkpoints=[4, 0, 1, 6])
    kept = checkpoints(folder)
    assert list(kept) == [0, 1, 4], "the last iteration is the step's own adapter"
    assert all((path / CONFIG).read_text() == (folder / CONFIG).read_text() for path in kept.values())
    weights = {iteration: (path / WEIGHTS).read_bytes() for iteration, path in kept.items()}
    assert len({*weights.values(), (folder / WEIGHTS).read_bytes()}) == 4
    close(*logits(project, trained, kept[0]), 1e-6)
    shorter, _ = train_stage(project, **own, iters=4)
    assert (shorter / WEIGHTS).read_bytes() == weights[4]


def test_an_adapter_on_top_of_another_is_fused(project, trained):
    folder, _ = train_stage(project, **FRESH)
    run(project, "stages.fuse", "base", "step", "fused")
    fused, _ = load_base(project / "fused")
    (expected,) = logits(project, folder)
    close(expected, fused(TEXT))


@pytest.mark.slow
@pytest.mark.parametrize("layers", [4, 12])
def test_on_the_default_model_a_fresh_step_is_one_adapter_after_the_other(project, trained, layers):
    """Rank 16 on the last 8 of 30 blocks; on top of it rank 8 on fewer, or more, of them."""
    shutil.copy("params.yaml", project)
    run(project, "stages.base", "base")
    lora = {"layers": 8, "rank": 16, "scale": 2.0}
    first = train_stage(project, after="base", **lora)[0].rename(project / "before")
    own = {"after": "before", "adapter": "fresh", "layers": layers, "rank": 8, "scale": 0.5, "checkpoints": [0]}
    folder, _ = train_stage(project, **own)
    close(*logits(project, first, checkpoints(folder)[0]), 1e-6)

    one_by_one, _ = load_base(project / "base")
    load_adapter(one_by_one, first)
    fused = [(name, module.fuse()) for name, module in one_by_one.named_modules() if hasattr(module, "fuse")]
    one_by_one.update_modules(tree_unflatten(fused))
    one_by_one.freeze()
    new_adapter(one_by_one, LoraShape(layers, 8, 0.5), 0.0, seed=0)
    new = {name: w[:, 16:] if name.endswith("lora_a") else w[16:] for name, w in tensors_of(folder).items()}
    one_by_one.load_weights([(name, new[name]) for name in lora_tensors(one_by_one)], strict=False)
    before, both = logits(project, first, folder)
    close(both, one_by_one(TEXT), 1e-5)
    assert mx.abs(both - before).max().item() > 1e-3 * mx.abs(before).max().item()
