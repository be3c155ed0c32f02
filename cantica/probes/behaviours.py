"""Behaviours: what a model does on given prompts under given conditions, measured without a judge."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.patterns import pattern_faults

Side = Literal["answer", "wrong"]  # the right answer of an item, or its chosen wrong one
MINUS = "_minus_"  # between the names of two conditions


class Condition(TypedDict, total=False):
    """How the items are asked.

    system: the system prompt, in place of the arm's own. before, after: texts around each prompt. start: the start of the
    answer, which the model continues.
    """

    system: str
    before: str
    after: str
    start: str


class BehaviourMeasure(TypedDict, total=False):
    """What is measured of an answer; it has exactly one key. schemas/behaviour.schema.json describes them."""

    pattern: str
    exact: Side
    logprob: Side
    completion: str
    prefers: Side


class Item(TypedDict):
    """A prompt, without the text of a condition, with its right answer and a chosen wrong one where a measure needs them."""

    id: str
    prompt: str
    answer: NotRequired[str]
    wrong: NotRequired[str]


class Behaviour(TypedDict):
    """A behaviour, as the stage `probe` measures it."""

    conditions: dict[str, Condition]
    measures: dict[str, BehaviourMeasure]
    items: list[Item]


class TitledBehaviour(Behaviour):
    """A behaviour as its file has it, with a title for readers."""

    title: str


class AskedItem(TypedDict):
    """An item for the lint, a line of data/behaviour_items.jsonl. asked: its prompt, under each condition that changes it."""

    id: str
    behaviour: str
    prompt: str
    asked: list[str]


def load_behaviours(folder: Path) -> dict[str, TitledBehaviour]:
    """Return {name: behaviour} for every `<name>.yaml` in a folder. Raises InputError with the faults of all files."""
    behaviours: dict[str, TitledBehaviour] = {}
    problems: list[Problem] = []
    for file in sorted(folder.glob("*.yaml")):
        try:
            document = read_yaml(file)
            validate(document, "behaviour", file)
        except InputError as error:
            problems += error.problems
            continue
        behaviours[file.stem] = document
        problems += _faults(document, file)
    problems += repeated_ids([item for behaviour in behaviours.values() for item in behaviour["items"]], folder)
    raise_any(problems)
    return behaviours


def chosen(behaviours: dict[str, TitledBehaviour], names: Sequence[str], params: Path) -> dict[str, TitledBehaviour]:
    """Return the named behaviours, in the order of the names. Raises InputError for an unknown one.

    params: the file in which `probe.behaviours` has the names, for the error.
    """
    expected = f"one of {', '.join(behaviours)}" if behaviours else "a file in prompts/probes/behaviours"
    unknown = [name for name in names if name not in behaviours]
    raise_any([Problem(str(params), "probe.behaviours", repr(n), expected, did_you_mean(n, behaviours)) for n in unknown])
    return {name: behaviours[name] for name in names}


def without_title(behaviour: TitledBehaviour) -> Behaviour:
    """Return what a measurement depends on."""
    return {"conditions": behaviour["conditions"], "measures": behaviour["measures"], "items": behaviour["items"]}


def asked(item: Item, condition: Condition) -> str:
    """Return the prompt of an item under a condition."""
    return condition.get("before", "") + item["prompt"] + condition.get("after", "")


def items_asked(name: str, behaviour: Behaviour) -> Iterator[AskedItem]:
    """Yield each item of a behaviour for the lint."""
    for item in behaviour["items"]:
        texts = dict.fromkeys(asked(item, condition) for condition in behaviour["conditions"].values())
        yield {"id": item["id"], "behaviour": name, "prompt": item["prompt"], "asked": list(texts)}


def _faults(behaviour: Behaviour, file: Path) -> list[Problem]:
    """Return a Problem for each pattern that is none, and for each item without a text that a measure needs."""
    patterns = [(f"measures.{name}.pattern", m["pattern"]) for name, m in behaviour["measures"].items() if "pattern" in m]
    needed = {side: name for name, measure in behaviour["measures"].items() for side in sides(measure)}
    missing = [
        Problem(str(file), f"items.{number} ({item['id']})", f"no `{side}`", f"one, for the measure {name}")
        for number, item in enumerate(behaviour["items"])
        for side, name in needed.items()
        if side not in item
    ]
    return pattern_faults(patterns, file) + missing


def sides(measure: BehaviourMeasure) -> Iterator[Side]:
    """Yield which texts of an item a measure needs: its right answer, its wrong one, both or none."""
    if "prefers" in measure:
        yield from ("answer", "wrong")
    for side in (measure.get("exact"), measure.get("logprob")):
        if side:
            yield side


def is_share(measure: BehaviourMeasure) -> bool:
    """Return whether a measure counts items; otherwise it is a log-probability, in nats per token."""
    return not measure.keys() & {"logprob", "completion"}


def needs_answer(measure: BehaviourMeasure) -> bool:
    """Return whether a measure looks at an answer that the model generates."""
    return bool(measure.keys() & {"pattern", "exact"})


def contrasts(behaviour: Behaviour) -> dict[str, tuple[str, str]]:
    """Return {name: (later condition, earlier condition)} for every two conditions of a behaviour."""
    return {f"{later}{MINUS}{earlier}": (later, earlier) for earlier, later in combinations(behaviour["conditions"], 2)}


def paths(behaviour: Behaviour) -> dict[str, tuple[bool, bool]]:
    """Return {"<measure>.<condition>" or "<measure>.<contrast>": (whether it is a share, whether it is a difference)}."""
    conditions = [*((name, False) for name in behaviour["conditions"]), *((name, True) for name in contrasts(behaviour))]
    return {
        f"{measure}.{name}": (is_share(kind), within)
        for measure, kind in behaviour["measures"].items()
        for name, within in conditions
    }
