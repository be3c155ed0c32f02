"""What is trained on, generated from and scored: windows of the project's own training data, and its held-out prompts."""

from pathlib import Path

from cantica.core.documents import read_jsonl
from cantica.engine.tokens import encode_examples
from cantica.judging.held_out import load_prompts


def read_encoded(tokenizer, file: Path) -> list:
    """Every example of a file as an Encoded record, whole, with the loss on thinking and answer."""
    return encode_examples(tokenizer, read_jsonl(file), ("thinking", "answer"), 1 << 20, file)


def windows(encoded: list, positions: int, number: int) -> list[dict]:
    """The first `number` records that can be cut to as many positions, half of them (or what the reply has) with the loss.

    A window lies around the place where the reply begins. See `peers/serve.py` for what a record is.
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
    # Evenly from all categories.
    return [cut[place * len(cut) // number] for place in range(number)]


def prompts(tokenizer, folder: Path, number: int) -> list[list[int]]:
    """The first so many held-out prompts in the model's chat format, as token ids."""
    asked = [{"role": "user", "content": prompt["prompt"]} for prompt in load_prompts(folder)[:number]]
    return [list(tokenizer.apply_chat_template([turn], add_generation_prompt=True, return_dict=False)) for turn in asked]
