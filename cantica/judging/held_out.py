"""The held-out prompts that every arm answers."""

from pathlib import Path

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate
from cantica.core.errors import InputError, Problem, did_you_mean


def load_prompts(folder: Path) -> list[dict]:
    """Every prompt of `<kind>.yaml` in a folder, in order of kind and place, with its `kind` and `group`.

    Raises InputError for what does not fit the schema, in all files together, and for an id that occurs twice.
    """
    prompts, problems = [], []
    for file in sorted(folder.glob("*.yaml")):
        try:
            document = read_yaml(file)
            validate(document, "held_out", file)
        except InputError as error:
            problems.extend(error.problems)
            continue
        for group, content in document["groups"].items():
            prompts += [{"kind": file.stem, "group": group} | prompt for prompt in content["prompts"]]
    raise_any(problems + repeated_ids(prompts, folder))
    return prompts


def asked_of(prompts: list[dict], per_group: dict[str, int], file: Path) -> list[dict]:
    """The first `per_group[kind]` prompts of each group; a kind that is not named is not asked.

    Raises InputError for a kind that there is no prompt of.
    """
    raise_any(kind_faults(list(dict.fromkeys(prompt["kind"] for prompt in prompts)), per_group, file))
    numbers: dict[tuple[str, str], int] = {}
    asked = []
    for prompt in prompts:
        place = prompt["kind"], prompt["group"]
        numbers[place] = numbers.get(place, 0) + 1
        if numbers[place] <= per_group.get(prompt["kind"], 0):
            asked.append(prompt)
    return asked


def kind_faults(kinds: list[str], per_group: dict[str, int], file: Path) -> list[Problem]:
    """A Problem for each kind to be asked that is not among the `kinds` that there are prompts of."""
    expected = f"one of {', '.join(kinds)}" if kinds else "a kind that has prompts: there are none at all"
    return [
        Problem(str(file), f"held_out.{kind}", "a kind without prompts", expected, did_you_mean(kind, kinds))
        for kind in per_group
        if kind not in kinds
    ]


def load_groups(folder: Path) -> dict[str, dict[str, str]]:
    """Titles of the groups of each kind: {kind: {group: title}}."""
    files = sorted(folder.glob("*.yaml"))
    return {f.stem: {name: group["title"] for name, group in read_yaml(f)["groups"].items()} for f in files}
