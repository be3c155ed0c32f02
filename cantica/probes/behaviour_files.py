"""Read the files of behaviours. Stages that measure do not need this, so another schema of these files does not run them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.patterns import pattern_faults
from cantica.probes.behaviours import Behaviour, BehaviourMeasure, Item, TitledBehaviour, sides
from cantica.probes.values import plain


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


def _faults(behaviour: Behaviour, file: Path) -> list[Problem]:
    """Return a Problem for each pattern that is none, and for each item whose texts a measure cannot use."""
    patterns = [(f"measures.{name}.pattern", m["pattern"]) for name, m in behaviour["measures"].items() if "pattern" in m]
    needed = {side: name for name, measure in behaviour["measures"].items() for side in sides(measure)}
    places = [(f"items.{number} ({item['id']})", item) for number, item in enumerate(behaviour["items"])]
    missing = [
        Problem(str(file), place, f"no `{side}`", f"one, for the measure {name}")
        for place, item in places
        for side, name in needed.items()
        if side not in item
    ]
    unusable = [] if missing else [p for name, m in behaviour["measures"].items() for p in _unusable(name, m, places, file)]
    return pattern_faults(patterns, file) + missing + unusable


def _unusable(name: str, measure: BehaviourMeasure, places: list[tuple[str, Item]], file: Path) -> Iterator[Problem]:
    """Yield a Problem for each item whose texts say nothing by a measure. places: (place in the file, item)."""
    for place, item in places:
        side = measure.get("exact") or measure.get("includes")
        if side and not plain(item[side]):
            got = f"`{side}` without a letter or digit"
            yield Problem(str(file), place, got, f"words, for the measure {name}: closing punctuation does not count")
        if measure.keys() & {"prefers", "margin"} and item["answer"] == item["wrong"]:
            yield Problem(str(file), place, "`answer` equal to `wrong`", f"two texts, for the measure {name}")
