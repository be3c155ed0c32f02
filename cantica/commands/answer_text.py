"""What an arm answered to one item: an evaluation prompt, an item of a behaviour, or one of capability. Pure."""

import textwrap
from collections.abc import Iterator
from typing import Any

# The folders of data/ with a file for each arm, in which records have ids.
FOLDERS = ("responses", "judgements", "probes", "capability")
Records = dict[str, list[Any]]  # by folder, those of one arm


def answer_text(item: str, records: Records, prompts: dict[str, str]) -> str:
    """The prompt, and everything that the arm answered, with its scores; "" if no record has the id. prompts: by id."""
    own = {folder: [record for record in found if record["id"] == item] for folder, found in records.items()}
    if not any(own.values()):
        return ""
    asked = prompts.get(item) or next((record["prompt"] for record in own["capability"]), "")
    parts = [_titled("prompt", asked)] if asked else []
    scores = {record["sample"]: record for record in own["judgements"]}
    for record in own["responses"]:
        parts += _response(record, scores.get(record["sample"]))
    parts += [part for record in own["probes"] for part in _probe(record)]
    parts += [_titled(f"answer, score {record['score']:g}", record["said"] or "") for record in own["capability"]]
    return "\n\n".join(parts)


def ids(records: Records) -> list[str]:
    """Every id, in order."""
    return list(dict.fromkeys(record["id"] for found in records.values() for record in found))


def _response(record: dict[str, Any], score: dict[str, Any] | None) -> Iterator[str]:
    about = "" if record["ended"] is not False else ", truncated"
    if record["thinking"]:
        yield _titled(f"thinking of sample {record['sample']}", record["thinking"])
    yield _titled(f"answer of sample {record['sample']}{about}", record["answer"])
    if score:
        criteria = [f"{name} {'yes' if own['holds'] else 'no'}" for name, own in score["criteria"].items()]
        flags = [f"{name}: {sentence}" for name, sentence in score["flags"].items()]
        yield _titled(f"score {score['score']} of {score['out_of']} by the rules", "\n".join([", ".join(criteria), *flags]))


def _probe(record: dict[str, Any]) -> Iterator[str]:
    if "behaviour" not in record:
        yield f"chosen {record['chosen']:.3f}, rejected {record['rejected']:.3f} nats per token{_at(record)}"
    else:
        values = ", ".join(f"{name} {value:g}" for name, value in record["values"].items())
        yield _titled(f"{record['behaviour']}, {record['condition']}{_at(record)}: {values}", record["answer"] or "")


def _at(record: dict[str, Any]) -> str:
    return "" if record["iteration"] is None else f", at iteration {record['iteration']}"


def _titled(title: str, text: str) -> str:
    return f"{title}\n{textwrap.indent(text.strip() or '(nothing)', '  ')}"
