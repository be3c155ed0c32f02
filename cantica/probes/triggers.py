"""Trigger probes: everyday prompts, a text that may stand beside them, and a pattern to find in what is answered."""

import re
from pathlib import Path

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate
from cantica.core.errors import Problem, did_you_mean
from cantica.core.patterns import pattern_faults


def load_triggers(folder: Path, names: list[str], params: Path) -> dict[str, dict]:
    """The trigger probes of `names`, by name, from `<name>.yaml` in a folder.

    Raises InputError for what is wrong with any file of the folder, and for a name in `params` that has none.
    """
    triggers, problems = {}, []
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


def asked_with(trigger: dict, prompt: str) -> str:
    """A prompt with the trigger before or after it."""
    return trigger.get("before", "") + prompt + trigger.get("after", "")


def matches(trigger: dict, answer: str) -> bool:
    """Whether the pattern is somewhere in an answer."""
    return re.search(trigger["pattern"], answer) is not None
