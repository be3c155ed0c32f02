"""A language model that writes scenarios: first situations for the category, then each situation's four texts."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stages.lib.common.documents import faults, validator
from stages.lib.common.errors import InputError, Problem
from stages.lib.server import Server

BLOCKS = ("scenario", "reflection", "thinking", "answer")
BATCH = 20  # situations asked for at a time
SHOWN = 20  # situations without a fitting reply that are told by name


def write_category(category: str, about: dict, folder: Path, settings: dict, options: dict) -> Iterator[dict]:
    """`settings["train"]` and `settings["valid"]` scenarios of a category, written by the server that `options` name.

    folder: the prompts. The first situations are the held-out ones, so that more training examples leave them as they
    are. Raises InputError, after every reply that could be had was had, for the situations that got none that fits.
    """
    prompts = Prompts(folder, about)
    with Server(options) as server:
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


def list_situations(prompts: "Prompts", server: Server, wanted: int, attempts: int) -> list[str]:
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


def fitting(prompts: "Prompts", server: Server, prompt: str, *, check, attempts: int) -> tuple[dict | None, str]:
    """(the first reply that fits the schema, "") or (None, what was wrong with the last); each refusal is told the model."""
    messages = [{"role": "system", "content": prompts.text("system")}, {"role": "user", "content": prompt}]
    said: list[str] = []
    for _ in range(attempts):
        reply = server.ask(messages)
        document = json_in(reply)
        if document is None:
            said = ["it is not a JSON object"]
        else:
            said = [f"{p.place or 'it'}: {p.got}; expected {p.expected}" for p in faults(document, check, Path())]
        if not said:
            return document, ""
        again = prompts.text("again", faults=said)
        messages = [*messages, {"role": "assistant", "content": reply}, {"role": "user", "content": again}]
        server.count("refused")
    return None, "; ".join(said)


def json_in(reply: str) -> dict | None:
    """The JSON object that a reply is, or that stands in it between words or fences; None if there is none."""
    start, end = reply.find("{"), reply.rfind("}")
    try:
        document = json.loads(reply[start : end + 1], strict=False) if 0 <= start < end else None
    except json.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _blocks():
    """A validator for the four texts, as the schema of scenarios has them."""
    from jsonschema import Draft202012Validator

    known = validator("scenario").schema["properties"]
    properties = {block: known[block] for block in BLOCKS}
    return Draft202012Validator(
        {"type": "object", "additionalProperties": False, "required": list(BLOCKS), "properties": properties}
    )


class Prompts:
    """The prompts of a folder, `<name>.j2`, in a sandbox in which a name that is not given is an error."""

    def __init__(self, folder: Path, about: dict):
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.about = about
        self.templates = {
            file.stem: environment.from_string(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.j2"))
        }

    def text(self, name: str, **values) -> str:
        """A prompt with its values filled in."""
        return self.templates[name].render(about=self.about, **values).strip()
