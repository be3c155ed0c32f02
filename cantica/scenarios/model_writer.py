"""A language model that writes scenarios: first situations for the category, then each situation's four texts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from cantica.core.documents import validator
from cantica.core.errors import InputError, Problem
from cantica.llm.fitting import Prompts, fitting
from cantica.llm.server import Server

BLOCKS = ("scenario", "reflection", "thinking", "answer")
BATCH = 20  # situations asked for at a time
SHOWN = 20  # situations without a fitting reply that are told by name


def write_category(category: str, about: dict, folder: Path, settings: dict, options: dict) -> Iterator[dict]:
    """`settings["train"]` and `settings["valid"]` scenarios of a category, written by the server that `options` name.

    folder: the prompts. The first situations are the held-out ones, so that more training examples leave them as they
    are. Raises InputError, after every reply that could be had was had, for the situations that got none that fits.
    """
    prompts = Prompts(folder, about=about)
    with Server(options, "data.model") as server:
        wanted = settings["valid"] + settings["train"]
        situations = list_situations(prompts, server, wanted, options["attempts"])
        ask = partial(fitting, prompts, server, check=_blocks(), attempts=options["attempts"])
        with ThreadPoolExecutor(options["concurrency"]) as pool:
            futures = [pool.submit(ask, prompts.text("scenario", situation=situation)) for situation in situations]
            try:
                texts = [future.result() for future in futures]
            finally:
                pool.shutdown(cancel_futures=True)  # one error is enough
        print(f"{category}: {server.told()}")
    failed = [(situation, said) for situation, (text, said) in zip(situations, texts, strict=True) if text is None]
    if failed:
        got = f"{len(failed)} of {wanted} situations without a reply that fits, in {options['attempts']} attempts each"
        expected = "a reply that fits its schema for each; the other replies are kept and not asked for again"
        last = [Problem(options["model"], situation[:90], said, "four texts") for situation, said in failed[:SHOWN]]
        raise InputError(Problem("params.yaml", "data.model", got, expected), *last)
    numbers = {"valid": 0, "train": 0}
    for number, (text, _) in enumerate(texts):
        split = "valid" if number < settings["valid"] else "train"
        numbers[split] += 1
        origin = {"id": f"{category}-{split}-{numbers[split]:03}", "category": category, "split": split}
        yield origin | {"origin": f"{options['model']}, situation {number + 1}"} | {block: text[block] for block in BLOCKS}


def list_situations(prompts: Prompts, server: Server, wanted: int, attempts: int) -> list[str]:
    """`wanted` different situations, asked for in batches that each name the earlier ones. Raises InputError."""
    check = validator("writers/model/situations")
    found: dict[str, None] = {}
    batches = 2 * -(-wanted // BATCH) + 1
    for _ in range(batches):
        number = min(BATCH, wanted - len(found))
        reply, said = fitting(
            prompts, server, prompts.text("situations", number=number, earlier=list(found)), check=check, attempts=attempts
        )
        if reply is None:
            got = f"no reply that fits in {attempts} attempts; the last: {said}"
            raise InputError(Problem("params.yaml", "data.model", got, f"{number} situations"))
        found |= dict.fromkeys(situation.strip() for situation in reply["situations"])
        if len(found) >= wanted:
            return list(found)[:wanted]
    got = f"{len(found)} different situations after {batches} requests"
    raise InputError(Problem("params.yaml", "data.model", got, f"{wanted}, of a model that repeats itself less"))


def _blocks():
    """A validator for the four texts, as the schema of scenarios has them."""
    from jsonschema import Draft202012Validator

    known = validator("scenario").schema["properties"]
    properties = {block: known[block] for block in BLOCKS}
    return Draft202012Validator(
        {"type": "object", "additionalProperties": False, "required": list(BLOCKS), "properties": properties}
    )
