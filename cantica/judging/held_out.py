"""The evaluation prompts in `prompts/held_out/`, which every arm answers."""

from pathlib import Path
from typing import NotRequired, TypedDict

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.records import Question


class JudgedPrompt(TypedDict):
    """The parts of a prompt that the rules use: its kind, its text, and the words that a good answer would contain."""

    kind: str
    prompt: str
    markers: list[str]


class EvaluationPrompt(JudgedPrompt):
    """An evaluation prompt. Its kind is the name of its file; schemas/held_out.schema.json describes the other fields."""

    group: str
    id: str
    category: NotRequired[str]
    evaluates: str


def load_prompts(folder: Path) -> list[EvaluationPrompt]:
    """Return the prompts of every `<kind>.yaml` in a folder, sorted by kind and in the order of each file.

    Raises InputError with the faults of all files, and for an id that occurs twice.
    """
    prompts: list[EvaluationPrompt] = []
    problems: list[Problem] = []
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


def asked_of(prompts: list[EvaluationPrompt], per_group: dict[str, int], file: Path) -> list[EvaluationPrompt]:
    """Return the first `per_group[kind]` prompts of each group. Kinds that are not in per_group are left out.

    Raises InputError if a kind in per_group has no prompts. file: where per_group is set, for the error.
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


def question_of(prompt: EvaluationPrompt) -> Question:
    """Return a prompt as arms receive it, without the fields that only judges use."""
    return {"id": prompt["id"], "kind": prompt["kind"], "group": prompt["group"], "prompt": prompt["prompt"]}


def kind_faults(kinds: list[str], per_group: dict[str, int], file: Path) -> list[Problem]:
    """Return a Problem for each kind in per_group that has no prompts. kinds: the kinds that have some."""
    expected = f"one of {', '.join(kinds)}" if kinds else "a kind that has prompts, but there are no prompts at all"
    return [
        Problem(str(file), f"held_out.{kind}", "a kind without prompts", expected, did_you_mean(kind, kinds))
        for kind in per_group
        if kind not in kinds
    ]


def load_groups(folder: Path) -> dict[str, dict[str, str]]:
    """Return the titles of the groups of each kind: {kind: {group: title}}."""
    files = sorted(folder.glob("*.yaml"))
    return {f.stem: {name: group["title"] for name, group in read_yaml(f)["groups"].items()} for f in files}
