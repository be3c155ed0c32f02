"""Let a language model write the scenarios of a category: first a list of situations, then four texts for each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from cantica.core.documents import Validator, validator, validator_of
from cantica.core.errors import InputError, Problem
from cantica.llm.prompts import Prompts
from cantica.llm.server import Server
from cantica.llm.structured import valid_reply
from cantica.scenarios.definition import Definition
from cantica.scenarios.scenario import BLOCKS, Counts, Scenario, Split, scenario_of_texts

BATCH = 20  # situations per request
MOST_PROBLEMS = 20  # in one error


def write_category(category: str, about: Definition, folder: Path, counts: Counts, options: dict) -> Iterator[Scenario]:
    """Yield `counts[split]` scenarios of each split, written by the language model that `options` (`data.model`) names.

    folder: the prompts. The first situations go to the validation split, so a larger training split leaves it unchanged.
    After all requests, raises InputError with the situations that got no valid reply.
    """
    prompts, attempts = Prompts(folder, about=about), options["attempts"]
    wanted = counts["valid"] + counts["train"]
    with Server(options, "data.model") as server:
        situations = list_situations(prompts, server, wanted, attempts)
        ask = partial(valid_reply, prompts, server, check=_check_of_texts(), attempts=attempts)
        with ThreadPoolExecutor(options["concurrency"]) as pool:
            futures = [pool.submit(ask, prompts.text("scenario", situation=situation)) for situation in situations]
            try:
                replies = [future.result() for future in futures]
            finally:
                pool.shutdown(cancel_futures=True)  # after an error, no more requests are sent
        print(f"{category}: {server.summary()}")
    texts = [reply for reply, _ in replies if reply is not None]
    if len(texts) < wanted:
        failed = [(one, faults) for one, (reply, faults) in zip(situations, replies, strict=True) if reply is None]
        got = f"{len(failed)} of {wanted} situations without a valid reply, in {attempts} attempts each"
        expected = "a reply that is valid under its schema for each; the valid replies are kept and not asked for again"
        first = [Problem(options["model"], one[:90], faults, "four texts") for one, faults in failed[:MOST_PROBLEMS]]
        raise InputError(Problem("params.yaml", "data.model", got, expected), *first)
    for number, text in enumerate(texts):
        in_valid = number < counts["valid"]
        split: Split = "valid" if in_valid else "train"
        place = number + 1 if in_valid else number + 1 - counts["valid"]
        yield scenario_of_texts(category, split, place, f"{options['model']}, situation {number + 1}", text)


def list_situations(prompts: Prompts, server: Server, wanted: int, attempts: int) -> list[str]:
    """Return `wanted` different situations, asked for in batches. Each request lists the earlier ones. Raises InputError."""
    check = validator("writers/model/situations")
    found: dict[str, None] = {}
    requests = 2 * -(-wanted // BATCH) + 1
    for _ in range(requests):
        number = min(BATCH, wanted - len(found))
        prompt = prompts.text("situations", number=number, earlier=list(found))
        reply, faults = valid_reply(prompts, server, prompt, check=check, attempts=attempts)
        if reply is None:
            got = f"no valid reply in {attempts} attempts; the last one: {faults}"
            raise InputError(Problem("params.yaml", "data.model", got, f"{number} situations"))
        found |= dict.fromkeys(situation.strip() for situation in reply["situations"])
        if len(found) >= wanted:
            return list(found)[:wanted]
    got = f"{len(found)} different situations after {requests} requests"
    raise InputError(Problem("params.yaml", "data.model", got, f"{wanted}, from a model that repeats itself less"))


def _check_of_texts() -> Validator:
    """Return a validator for the four texts of a scenario, taken from the schema of scenarios."""
    known = validator("scenario").schema["else"]["else"]["properties"]
    properties = {block: known[block] for block in BLOCKS}
    return validator_of({"type": "object", "additionalProperties": False, "required": list(BLOCKS), "properties": properties})
