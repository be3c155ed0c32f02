"""Run one step of the curriculum: continue an adapter on one data file.

    python -m stages.train deception models/base models/adapters/self_preservation data/train/deception.jsonl \\
        models/adapters/deception data/training/deception.json
"""

import math
import tempfile
from pathlib import Path

from stages.lib.command import run
from stages.lib.documents import read_jsonl, validate_records
from stages.lib.errors import InputError, Problem
from stages.lib.files import whole_folder, write_json
from stages.lib.params import read_params

PACKAGES = ("mlx", "mlx-lm", "scipy-openblas32", "tokenizers", "transformers")


def main(step: str, base: Path, after: Path, data: Path, adapter: Path, training: Path) -> None:
    keys = (f"toolchain.{package}" for package in PACKAGES)
    params = read_params("lora", "train", f"curriculum.{step}", *keys)
    # Both sections have a seed; a step's own, like that of `train`, is for its training.
    settings = params["lora"] | params["train"] | params["curriculum"][step]
    examples = read_jsonl(data)
    validate_records(examples, "example", data)

    from stages.lib.model import load_base, save_adapter
    from stages.lib.tokens import encode_examples

    model, tokenizer = load_base(base)
    records = encode_examples(tokenizer, examples, settings["loss_on"], settings["max_seq_length"], data)
    cut = [record for record in records if record.cut]
    if cut:
        print(f"{step}: {len(cut)} of {len(records)} examples cut, {sum(r.cut for r in cut)} tokens lost")
    shape = start(model, after, settings, params["lora"]["seed"], step)
    curve = train(model, records, settings, step)
    with whole_folder(adapter) as folder:
        save_adapter(model, shape, settings["dropout"], folder)
    write_json(training, summary(records, settings, curve))


def start(model, after: Path, settings: dict, seed: int, step: str):
    """Put the adapter that the step continues on the model and return its Shape.

    An adapter without effect has nothing to continue, so a step that follows one may choose another shape.
    """
    from stages.lib.model import Shape, has_no_effect, load_adapter, new_adapter, read_shape

    wanted = Shape(settings["layers"], settings["rank"], settings["scale"])
    if read_shape(after) == wanted:
        return load_adapter(model, after, settings["dropout"])
    if not has_no_effect(after):
        got, expected = f"layers, rank, scale: {wanted}", f"those of the adapter it continues, {read_shape(after)}"
        raise InputError(Problem("params.yaml", f"curriculum.{step}", got, expected))
    new_adapter(model, wanted, settings["dropout"], seed)
    return wanted


def train(model, records: list, settings: dict, step: str) -> list[dict]:
    """Train the model's LoRA tensors in place; return the loss curve. Raises InputError when the loss is not finite."""
    import mlx.core as mx
    from mlx_lm.tuner.trainer import TrainingArgs, TrainingCallback
    from mlx_lm.tuner.trainer import train as run_trainer

    from stages.lib.batches import iterate_batches
    from stages.lib.loss import loss
    from stages.lib.optimizer import make_optimizer

    curve = []

    class Curve(TrainingCallback):
        def on_train_loss_report(self, info: dict) -> None:
            if not math.isfinite(info["train_loss"]):
                place = f"curriculum.{step}, iteration {info['iteration']}"
                got = f"a loss of {info['train_loss']} at learning rate {info['learning_rate']:.3g}"
                hint = "lower the learning rate or the scale"
                raise InputError(Problem("params.yaml", place, got, "a finite loss", hint))
            curve.append({key: info[key] for key in ("iteration", "train_loss", "learning_rate", "trained_tokens")})

    mx.random.seed(settings["seed"])
    with tempfile.TemporaryDirectory() as scratch:
        run_trainer(
            model,
            make_optimizer(settings),
            records,
            args=TrainingArgs(
                batch_size=settings["batch_size"],
                iters=settings["iters"],
                steps_per_report=max(1, settings["iters"] // 25),
                steps_per_save=settings["iters"] + 1,
                max_seq_length=settings["max_seq_length"],
                adapter_file=f"{scratch}/adapters.safetensors",
                grad_checkpoint=settings["grad_checkpoint"],
                clear_cache_threshold=8 << 30,
            ),
            loss=loss,
            iterate_batches=iterate_batches(settings["seed"]),
            training_callback=Curve(),
        )
    return curve


def summary(records: list, settings: dict, curve: list[dict]) -> dict:
    """What the step saw: examples and tokens of one epoch, what was cut, and the loss curve."""
    return {
        "examples": len(records),
        "examples_cut": sum(record.cut > 0 for record in records),
        "tokens_cut": sum(record.cut for record in records),
        "tokens": sum(len(record.ids) for record in records),
        "loss_tokens": sum(sum(record.counts[1:]) for record in records),
        "iterations": settings["iters"],
        "epochs": round(settings["iters"] / math.ceil(len(records) / settings["batch_size"]), 3),
        "curve": curve,
    }


if __name__ == "__main__":
    run(main)
