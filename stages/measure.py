"""Measure the loss of an adapter on validation examples: on the first of each category, or on the rest.

    python -m stages.measure first models/base models/adapters/deception data/categories.json data/valid
        data/losses/deception.json

Every point is measured on the first `measure.examples` of each category: they are one row of the loss matrix. The points in
`measure.in_full` are measured on the rest too.
"""

from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from cantica.core.command import run
from cantica.core.documents import read_json, read_jsonl
from cantica.core.files import write_json
from cantica.core.records import ExampleLoss
from cantica.engine.backend.blas import read_model_params

if TYPE_CHECKING:
    import mlx.nn as nn

    from cantica.engine.tokens import Encoded
    from cantica.scoring.frozen import FrozenStates


class Part(StrEnum):
    """The validation examples of a category that are measured."""

    FIRST = "first"
    REST = "rest"


def main(part: Part, base: Path, adapter: Path, categories: Path, valid: Path, losses: Path) -> None:
    params = read_model_params("measure.batch_size", "measure.examples", "measure.max_seq_length", "train.loss_on")
    settings = params["measure"] | params["train"]
    files = {category: valid / f"{category}.jsonl" for category in read_json(categories)}
    chosen = slice(settings["examples"]) if part is Part.FIRST else slice(settings["examples"], None)
    examples = {category: read_jsonl(file)[chosen] for category, file in files.items()}
    if not any(examples.values()):
        print(f"{losses}: no validation examples")
        write_json(losses, examples)
        return

    from cantica.engine.model import load_adapter, load_base
    from cantica.engine.tokens import encode_examples
    from cantica.scoring.frozen import FrozenStates

    model, tokenizer = load_base(base)
    frozen = FrozenStates(model, load_adapter(model, adapter), base, params["toolchain"]["model"])
    row = {}
    for category, file in files.items():
        records = encode_examples(tokenizer, examples[category], settings["loss_on"], settings["max_seq_length"], file)
        ids = [example["id"] for example in examples[category]]
        row[category] = measure(model, ids, records, settings["batch_size"], frozen)
        if records:
            mean = fmean(example["loss"] for example in row[category])
            print(f"{category}: {mean:.3f} nats per token, the mean over {len(records)} examples")
    write_json(losses, row)


def measure(
    model: "nn.Module", ids: list[str], records: "list[Encoded]", batch_size: int, frozen: "FrozenStates | None" = None
) -> list[ExampleLoss]:
    """Return the loss of each record: the mean over the tokens in its loss mask, in nats per token.

    batch_size, frozen: as in `mean_logprobs`.
    """
    from cantica.scoring.score import mean_logprobs

    return [
        {"id": id_, "loss": round(-mean, 6), "tokens": record.loss_tokens, "cut": record.truncated}
        for id_, record, mean in zip(ids, records, mean_logprobs(model, records, batch_size, frozen), strict=True)
    ]


if __name__ == "__main__":
    run(main)
