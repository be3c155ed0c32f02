"""Behaviours: what a model does on given prompts under given conditions, measured without a judge."""

from collections.abc import Iterator
from itertools import combinations
from typing import Literal, NotRequired, TypedDict

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
    includes: Side
    logprob: Side
    completion: str
    prefers: Side
    margin: Side


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
    """An item for the lint, a line of data/behaviour_items.jsonl.

    asked: its prompt, alone and with the texts of conditions. triggers: those of the behaviour.
    """

    id: str
    behaviour: str
    prompt: str
    asked: list[str]
    triggers: list[str]


def without_title(behaviour: TitledBehaviour) -> Behaviour:
    """Return what a measurement depends on."""
    return {"conditions": behaviour["conditions"], "measures": behaviour["measures"], "items": behaviour["items"]}


def asked(item: Item, condition: Condition) -> str:
    """Return the prompt of an item under a condition."""
    return condition.get("before", "") + item["prompt"] + condition.get("after", "")


def triggers(behaviour: Behaviour) -> list[str]:
    """Return the texts around prompts under later conditions, but for those that the first condition has too."""
    first, *later = ([own.get("before", ""), own.get("after", "")] for own in behaviour["conditions"].values())
    return [*dict.fromkeys(text.strip() for texts in later for text in texts if text.strip() and text not in first)]


def items_asked(name: str, behaviour: Behaviour) -> Iterator[AskedItem]:
    """Yield each item of a behaviour for the lint."""
    known = triggers(behaviour)
    for item in behaviour["items"]:
        texts = dict.fromkeys([item["prompt"], *(asked(item, condition) for condition in behaviour["conditions"].values())])
        yield {"id": item["id"], "behaviour": name, "prompt": item["prompt"], "asked": list(texts), "triggers": known}


def sides(measure: BehaviourMeasure) -> Iterator[Side]:
    """Yield which texts of an item a measure needs: its right answer, its wrong one, both or none."""
    if measure.keys() & {"prefers", "margin"}:
        yield from ("answer", "wrong")
    for side in (measure.get("exact"), measure.get("includes"), measure.get("logprob")):
        if side:
            yield side


def is_share(measure: BehaviourMeasure) -> bool:
    """Return whether a measure counts items; otherwise it is a log-probability or a difference of two, in nats per token."""
    return not measure.keys() & {"logprob", "completion", "margin"}


def needs_answer(measure: BehaviourMeasure) -> bool:
    """Return whether a measure looks at an answer that the model generates."""
    return bool(measure.keys() & {"pattern", "exact", "includes"})


def contrasts(behaviour: Behaviour) -> dict[str, tuple[str, str]]:
    """Return {name: (later condition, earlier condition)} for every two conditions of a behaviour."""
    return {f"{later}{MINUS}{earlier}": (later, earlier) for earlier, later in combinations(behaviour["conditions"], 2)}


def paths(behaviour: Behaviour) -> dict[str, tuple[bool, bool]]:
    """Return {"<measure>.<condition>" or "<measure>.<contrast>": (whether it is a share, whether it is a difference)}."""
    conditions = [*((name, False) for name in behaviour["conditions"]), *((name, True) for name in contrasts(behaviour))]
    return {
        f"{measure}.{name}": (is_share(kind), within or "margin" in kind)
        for measure, kind in behaviour["measures"].items()
        for name, within in conditions
    }
