"""Ask a language model for a JSON object that is valid under a schema."""

import json
from pathlib import Path

from cantica.core.documents import Validator, faults
from cantica.dataset.chat import CLOSE, Message
from cantica.llm.client import Client
from cantica.llm.prompts import Prompts


def valid_reply(prompts: Prompts, client: Client, prompt: str, *, check: Validator, attempts: int) -> tuple[dict | None, str]:
    """Return (the first valid reply, ""), or (None, the faults of the last reply) after `attempts` invalid ones.

    prompts: must have the templates `system`, the system prompt, and `again`, which reports faults to the model.
    """
    messages: list[Message] = [
        {"role": "system", "content": prompts.text("system")},
        {"role": "user", "content": prompt},
    ]
    problems: list[str] = []
    for _ in range(attempts):
        reply = client.ask(messages)
        document = json_in(reply)
        if document is None:
            problems = ["it is not a JSON object"]
        else:
            problems = [f"{p.place or 'it'}: {p.got}; expected {p.expected}" for p in faults(document, check, Path())]
            if not problems:
                return document, ""
        again = prompts.text("again", faults=problems)
        messages = [*messages, {"role": "assistant", "content": reply}, {"role": "user", "content": again}]
        client.count("invalid")
    return None, "; ".join(problems)


def json_in(reply: str) -> dict | None:
    """Return the JSON object in a reply, which may have thinking before it and words or fences around it, or None."""
    reply = reply.rpartition(CLOSE)[2]
    start, end = reply.find("{"), reply.rfind("}")
    try:
        document = json.loads(reply[start : end + 1], strict=False) if 0 <= start < end else None
        json.dumps(document, ensure_ascii=False).encode()
    except (json.JSONDecodeError, UnicodeEncodeError, RecursionError):  # half a surrogate pair cannot be written to a file
        return None
    return document if isinstance(document, dict) else None
