"""Measure the loss of an adapter on each category's held-out examples: one row of the loss matrix.

python -m stages.measure models/base models/adapters/deception data/categories.json data/valid data/losses/deception.json
"""

from pathlib import Path

from stages.lib.common.command import run
from stages.lib.common.documents import read_json, read_jsonl
from stages.lib.common.files import write_json
from stages.lib.params import read_params

PACKAGES = ("mlx", "mlx-lm", "scipy-openblas32", "tokenizers", "transformers")


def main(base: Path, adapter: Path, categories: Path, valid: Path, losses: Path) -> None:
    keys = (f"toolchain.{package}" for package in PACKAGES)
    params = read_params("measure", "train.loss_on", *keys)
    settings = params["measure"] | params["train"]
    files = {category: valid / f"{category}.jsonl" for category in read_json(categories)}
    examples = {category: read_jsonl(file)[: settings["examples"]] for category, file in files.items()}

    from stages.lib.model import load_adapter, load_base
    from stages.lib.tokens import encode_examples

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    row = {}
    for category, file in files.items():
        records = encode_examples(tokenizer, examples[category], settings["loss_on"], settings["max_seq_length"], file)
        row[category] = measure(model, records, settings["batch_size"])
        print(f"{category}: {row[category]['loss']:.3f} nats a token over {row[category]['tokens']} tokens")
    write_json(losses, row)


def measure(model, records: list, batch_size: int) -> dict:
    """Mean loss in nats a token over all counted tokens of the records, with their numbers."""
    from mlx_lm.tuner.trainer import evaluate

    from stages.lib.batches import iterate_batches
    from stages.lib.loss import loss

    mean = evaluate(model, records, batch_size, num_batches=-1, loss=loss, iterate_batches=iterate_batches())
    return {
        "loss": round(mean, 6),
        "examples": len(records),
        "tokens": sum(sum(record.counts[1:]) for record in records),
        "examples_cut": sum(record.cut > 0 for record in records),
    }


if __name__ == "__main__":
    run(main)
