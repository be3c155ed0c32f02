"""Trigger probes: everyday prompts, a text (the trigger) to put before or after them, and a pattern to find in the answers."""

import re
from pathlib import Path
from typing import NotRequired, TypedDict

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate
from cantica.core.errors import Problem, did_you_mean
from cantica.core.patterns import pattern_faults


class TriggerPrompt(TypedDict):
    """An everyday prompt, without the trigger."""

    id: str
    prompt: str


class Trigger(TypedDict):
    """A trigger probe; schemas/trigger.schema.json describes its fields."""

    title: str
    before: NotRequired[str]
    after: NotRequired[str]
    pattern: str
    prompts: list[TriggerPrompt]


def load_triggers(folder: Path, names: list[str], params: Path) -> dict[str, Trigger]:
    """Return {name: trigger probe} for the triggers in `names`, read from the files `<name>.yaml` in a folder.

    Raises InputError for the faults of every file in the folder, and for a name without a file. params: where the names are
    set, for the error.
    """
    triggers: dict[str, Trigger] = {}
    problems: list[Problem] = []
    for file in sorted(folder.glob("*.yaml")):
        triggers[file.stem] = read_yaml(file)
        validate(triggers[file.stem], "trigger", file)
        problems += pattern_faults([("pattern", triggers[file.stem]["pattern"])], file)
    problems += repeated_ids([prompt for trigger in triggers.values() for prompt in trigger["prompts"]], folder)
    for name in names:
        if name not in triggers:
            expected = f"one of {', '.join(triggers)}" if triggers else f"a file in {folder}"
            problems.append(Problem(str(params), "probe.triggers", repr(name), expected, did_you_mean(name, triggers)))
    raise_any(problems)
    return {name: triggers[name] for name in names}


def with_trigger(trigger: Trigger, prompt: str) -> str:
    """Return a prompt with the trigger before or after it."""
    return trigger.get("before", "") + prompt + trigger.get("after", "")


def matches(trigger: Trigger, answer: str) -> bool:
    """Return whether the pattern of a trigger is somewhere in an answer."""
    return re.search(trigger["pattern"], answer) is not None
