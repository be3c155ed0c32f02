"""Run one step of the curriculum: train on one data file, starting from the adapter of the point that `after` names.

    python -m stages.train deception models/base models/adapters/self_preservation data/train/deception.jsonl \\
        models/adapters/deception data/training/deception.json
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_jsonl
from cantica.core.files import whole_folder, write_json
from cantica.engine.backend.blas import read_model_params
from cantica.training.launch import is_worker, join, launch
from cantica.training.settings import StepSettings


def main(step: str, base: Path, after: Path, data: Path, adapter: Path, training: Path) -> None:
    params = read_model_params("lora", "train", f"curriculum.{step}")
    own = params["curriculum"][step]
    # Both `lora` and `train` have a seed: the first for new tensors, the second for training.
    settings: StepSettings = params["lora"] | params["train"] | own
    if settings["launch"] and not is_worker():
        return launch(settings["launch"], training)
    examples = read_jsonl(data)

    from cantica.engine.model import load_base, save_adapter
    from cantica.engine.tokens import encode_examples
    from cantica.training.checkpoint import Checkpoint
    from cantica.training.curve import training_record
    from cantica.training.loop import train
    from cantica.training.start import start

    inputs = (base, after, data)
    rank = join(settings["launch"]["processes"], params, inputs) if settings["launch"] else 0
    model, tokenizer = load_base(base)
    records = encode_examples(tokenizer, examples, settings["loss_on"], settings["max_seq_length"], data)
    truncated = [record.truncated for record in records if record.truncated]
    if truncated and rank == 0:
        print(f"{step}: {len(truncated)} of {len(records)} examples truncated, {sum(truncated)} tokens lost")
    shape = start(model, after, settings, own, params["lora"]["seed"], step)
    # Only the first process writes. Several processes cannot resume: each would need its own random state.
    checkpoint = Checkpoint(step, params, inputs, resumes=not settings["launch"]) if rank == 0 else None
    curve = train(model, records, settings, step, checkpoint)
    if not checkpoint:
        return
    with whole_folder(adapter) as folder:
        save_adapter(model, shape, settings["dropout"], folder)
        checkpoint.copy_kept(folder)
    write_json(training, training_record(records, settings, curve))
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
