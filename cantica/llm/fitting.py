"""Ask a language model for a JSON object that fits a schema, and send back what does not, with what is wrong with it."""

import json
from pathlib import Path

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cantica.core.documents import faults, read_text
from cantica.core.errors import InputError, Problem
from cantica.dataset.chat import CLOSE


class Prompts:
    """The prompts of a folder, `<name>.j2`, in a sandbox in which a name that is not given is an error.

    values: what every one of them may use. Raises InputError for one that is not well-formed.
    """

    def __init__(self, folder: Path, **values):
        self.environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.values = values
        self.sources = {file.stem: read_text(file) for file in sorted(folder.glob("*.j2"))}
        self.templates, problems = {}, []
        for name, source in self.sources.items():
            try:
                self.templates[name] = self.environment.from_string(source)
            except TemplateSyntaxError as error:
                problems.append(Problem(str(folder / f"{name}.j2"), f"line {error.lineno}", str(error.message), "Jinja"))
        if problems:
            raise InputError(*problems)

    def text(self, name: str, **values) -> str:
        """A prompt with its values filled in."""
        return self.templates[name].render(**self.values, **values).strip()


def fitting(prompts: Prompts, asked, prompt: str, *, check, attempts: int) -> tuple[dict | None, str]:
    """(the first reply that fits the schema, "") or (None, what was wrong with the last); each refusal is told the model.

    asked: a Server or a Local. check: a validator. prompts: `system`, and `again` for what is refused.
    """
    messages = [{"role": "system", "content": prompts.text("system")}, {"role": "user", "content": prompt}]
    said: list[str] = []
    for _ in range(attempts):
        reply = asked.ask(messages)
        document = json_in(reply)
        if document is None:
            said = ["it is not a JSON object"]
        else:
            said = [f"{p.place or 'it'}: {p.got}; expected {p.expected}" for p in faults(document, check, Path())]
        if not said:
            return document, ""
        again = prompts.text("again", faults=said)
        messages = [*messages, {"role": "assistant", "content": reply}, {"role": "user", "content": again}]
        asked.count("refused")
    return None, "; ".join(said)


def json_in(reply: str) -> dict | None:
    """The JSON object that a reply is after its thinking, or that stands in it between words or fences; None without one."""
    reply = reply.rpartition(CLOSE)[2]
    start, end = reply.find("{"), reply.rfind("}")
    try:
        document = json.loads(reply[start : end + 1], strict=False) if 0 <= start < end else None
        json.dumps(document, ensure_ascii=False).encode()
    except (json.JSONDecodeError, UnicodeEncodeError, RecursionError):  # half a surrogate pair cannot be written down
        return None
    return document if isinstance(document, dict) else None
