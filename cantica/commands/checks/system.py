"""System prompts in params.yaml against the base model's chat template, which may refuse them."""

from pathlib import Path

from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE
from cantica.dataset.chat import question


def system_faults(params: dict, folder: Path | None) -> list[Problem]:
    """A Problem for each system prompt for the base model, if its chat template refuses them.

    folder: the folder with the base model's tokenizer; None if it is not there, and nothing can be known.
    """
    places = prompted(params)
    if not places or folder is None:
        return []
    from cantica.engine.tokens import TokenCounter

    try:
        TokenCounter(folder).examples([[*question("Hello?", "Be brief."), {"role": "assistant", "content": "Hello!"}]])
    except InputError as error:
        expected = f"null, since the chat template in {folder} refuses system prompts"
        return [Problem(str(FILE), place, problem.got, expected) for place in places for problem in error.problems]
    return []


def prompted(params: dict) -> list[str]:
    """The places in params of all system prompts for the base model or an adapter on it."""
    data, arms = params["data"], params["arms"]
    sections = {"data": data}
    if any("system" not in own for own in arms.values()):
        sections["respond"] = params["respond"]
    sections |= {f"data.categories.{name}": own for name, own in data["categories"].items()}
    sections |= {f"{section}.{name}": own for section in ("samples", "arms") for name, own in params[section].items()}
    return [f"{place}.system" for place, own in sections.items() if own.get("system")]
