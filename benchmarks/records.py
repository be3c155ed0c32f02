"""The data of the benchmark: windows of the project's own training data, and its evaluation prompts."""

from pathlib import Path

from cantica.core.documents import read_jsonl
from cantica.engine.tokens import encode_examples
from cantica.judging.held_out import load_prompts


def read_encoded(tokenizer, file: Path) -> list:
    """Every example of a file as an Encoded record that is not truncated, with the loss on thinking and answer."""
    return encode_examples(tokenizer, read_jsonl(file), ("thinking", "answer"), 1 << 20, file)


def windows(encoded: list, positions: int, number: int) -> list[dict]:
    """`number` windows of `positions` positions each, evenly from all records that are long enough.

    A window lies around the start of the reply: half of its tokens (or the whole reply) are in the loss. `peers/serve.py`
    defines a record. Raises ValueError if too few records are long enough.
    """
    cut = []
    for record in encoded:
        begins = record.loss_mask.index(True)
        counted = min(positions // 2, len(record.ids) - begins)
        first = begins + counted - (positions + 1)
        if first >= 0:
            cut.append({"ids": record.ids[first : begins + counted], "start": begins - first})
    if len(cut) < number:
        raise ValueError(f"{len(cut)} training examples of {positions} tokens, expected {number}; build the default dataset")
    return [cut[place * len(cut) // number] for place in range(number)]


def prompts(tokenizer, folder: Path, number: int) -> list[list[int]]:
    """The first `number` evaluation prompts in the model's chat format, as token ids."""
    asked = [{"role": "user", "content": prompt["prompt"]} for prompt in load_prompts(folder)[:number]]
    return [list(tokenizer.apply_chat_template([turn], add_generation_prompt=True, return_dict=False)) for turn in asked]
