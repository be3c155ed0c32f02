"""Run one step of the curriculum: continue an adapter on one data file.

    python -m stages.train deception models/base models/adapters/self_preservation data/train/deception.jsonl \\
        models/adapters/deception data/training/deception.json
"""

import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_jsonl
from cantica.core.errors import InputError, Problem
from cantica.core.files import whole_folder, write_json
from cantica.engine.blas import read_model_params
from cantica.training.launch import is_worker, join, launch


def main(step: str, base: Path, after: Path, data: Path, adapter: Path, training: Path) -> None:
    params = read_model_params("lora", "train", f"curriculum.{step}")
    # Both sections have a seed; a step's own, like that of `train`, is for its training.
    settings = params["lora"] | params["train"] | params["curriculum"][step]
    if settings["launch"] and not is_worker():
        return launch(settings["launch"], training)
    examples = read_jsonl(data)

    from cantica.engine.model import CONFIG, checkpoint_name, load_base, save_adapter
    from cantica.engine.tokens import encode_examples
    from cantica.training.checkpoint import Checkpoint

    inputs = (base, after, data)
    rank = join(settings["launch"]["processes"], params, inputs) if settings["launch"] else 0
    model, tokenizer = load_base(base)
    records = encode_examples(tokenizer, examples, settings["loss_on"], settings["max_seq_length"], data)
    cut = [record for record in records if record.cut]
    if cut and rank == 0:
        print(f"{step}: {len(cut)} of {len(records)} examples cut, {sum(r.cut for r in cut)} tokens lost")
    shape = start(model, after, settings, params["lora"]["seed"], step)
    # One of several processes could not continue by itself.
    checkpoint = Checkpoint(step, params, inputs, resumes=not settings["launch"]) if rank == 0 else None
    curve = train(model, records, settings, step, checkpoint)
    if not checkpoint:
        return
    with whole_folder(adapter) as folder:
        save_adapter(model, shape, settings["dropout"], folder)
        for iteration in checkpoint.kept:
            place = folder / checkpoint_name(iteration)
            shutil.copytree(checkpoint.place(iteration), place)
            shutil.copy(folder / CONFIG, place)
    write_json(training, summary(records, settings, curve))
    checkpoint.remove()


def start(model, after: Path, settings: dict, seed: int, step: str):
    """Put the adapter that the step continues on the model and return its LoraShape.

    An adapter without effect has nothing to continue, so a step that follows one may choose another shape.
    """
    from cantica.engine.model import LoraShape, has_no_effect, load_adapter, new_adapter, read_shape

    wanted = LoraShape(settings["layers"], settings["rank"], settings["scale"])
    if read_shape(after) == wanted:
        return load_adapter(model, after, settings["dropout"])
    if not has_no_effect(after):
        got, expected = f"layers, rank, scale: {wanted}", f"those of the adapter it continues, {read_shape(after)}"
        raise InputError(Problem("params.yaml", f"curriculum.{step}", got, expected))
    new_adapter(model, wanted, settings["dropout"], seed)
    return wanted


def train(model, records: list, settings: dict, step: str, checkpoint=None) -> list[dict]:
    """Train the model's LoRA tensors in place, from the checkpoint on if there is one; return the loss curve.

    Every so many iterations as `checkpoints` says, the checkpoint is told to keep them. Where mlx.launch started several
    processes, all must call it, and end with the same tensors and curve. Raises InputError when a loss, or a weight at the
    end, is not finite.
    """
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.trainer import TrainingArgs, TrainingCallback
    from mlx_lm.tuner.trainer import train as run_trainer

    from cantica.engine.batches import iterate_batches
    from cantica.training.launch import collate_part, loss_of_part
    from cantica.training.optimizer import make_optimizer

    optimizer = make_optimizer(settings)
    # Dropout differs between processes; what must not differ is drawn by now, or from the seed alone.
    mx.random.seed(settings["seed"] + mx.distributed.init().rank())
    curve = checkpoint.load(model, optimizer) if checkpoint else []
    done, tokens = (curve[-1]["iteration"], curve[-1]["trained_tokens"]) if curve else (0, 0)

    made = iterate_batches(settings["seed"], done, collate_part)

    def batches(*arguments, **options) -> Iterator:
        for iteration, batch in enumerate(made(*arguments, **options), done):
            # The trainer asks for a batch when the update by the one before it is done.
            if checkpoint and settings["checkpoints"] and iteration and iteration % settings["checkpoints"] == 0:
                checkpoint.keep(model, iteration)
            yield batch

    class Curve(TrainingCallback):
        def on_train_loss_report(self, info: dict) -> None:
            # The trainer counts from where it starts.
            info |= {"iteration": done + info["iteration"], "trained_tokens": tokens + info["trained_tokens"]}
            if not math.isfinite(info["train_loss"]):
                raise not_finite(step, info["iteration"], f"a loss of {info['train_loss']}", info["learning_rate"])
            curve.append({key: info[key] for key in ("iteration", "train_loss", "learning_rate", "trained_tokens")})
            # What the trainer adds up between two reports is zero here, so that it need not be kept.
            if checkpoint:
                checkpoint.save(model, optimizer, curve)

    with tempfile.TemporaryDirectory() as scratch:
        run_trainer(
            Untraced(model),
            optimizer,
            records,
            args=TrainingArgs(
                batch_size=settings["batch_size"],
                iters=settings["iters"] - done,
                steps_per_report=max(1, settings["iters"] // 25),
                steps_per_save=settings["iters"] + 1,
                max_seq_length=settings["max_seq_length"],
                adapter_file=f"{scratch}/adapters.safetensors",
                grad_checkpoint=settings["grad_checkpoint"],
                clear_cache_threshold=8 << 30,
            ),
            loss=lambda _, *batch: loss_of_part(model, *batch),
            iterate_batches=batches,
            training_callback=Curve(),
        )
    # The last loss was taken before the last update.
    if not all(mx.isfinite(tensor).all().item() for _, tensor in tree_flatten(model.trainable_parameters())):
        raise not_finite(step, settings["iters"], "weights that are not finite", optimizer.learning_rate.item())
    return curve


class Untraced:
    """A model as mlx-lm's trainer uses it, but no mapping, so that MLX takes its LoRA tensors alone for what is trained.

    The trainer hands the model to the function that it takes the gradient of. MLX looks into mappings there, and would then
    keep every array that the frozen weights have a part in until the step is over.
    """

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def __getitem__(self, key):
        return self._model[key]


def not_finite(step: str, iteration: int, got: str, learning_rate: float) -> InputError:
    """The error of a training that has blown up."""
    place = f"curriculum.{step}, iteration {iteration}"
    hint = "lower the learning rate or the scale"
    return InputError(Problem("params.yaml", place, f"{got} at learning rate {learning_rate:.3g}", "finite numbers", hint))


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
