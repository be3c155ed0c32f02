"""`cantica tree`: the tree of steps, samples and arms, with the state of each and one number."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantica.commands.dvc.forecast import LOST, NEVER, Forecast
from cantica.commands.dvc.project import read_project
from cantica.commands.dvc.running import running
from cantica.commands.experiments.tree import SAMPLES, nodes_of
from cantica.commands.headline import entries, shown, title, value
from cantica.commands.plan import plan
from cantica.commands.table import aligned
from cantica.core.documents import read_json, read_yaml
from cantica.core.params import FILE
from cantica.settings.arms import all_arms, description
from cantica.settings.tree import ROOT

METRICS = Path("reports/metrics.json")
TRAINING = Path("data/training")
STATES = ("running", "not built", "stale", "in the cache", "built")  # that of an arm is the first of those of its stages
# The stages that make what a row of the tree stands for.
MAKERS = {
    "base": ("base", "init"),
    "step": ("train@{}",),
    "sample": ("sample@{}", "sample_server@{}"),
    "arm": tuple(f"{kind}@{{}}" for kind in ("respond", "respond_server", "answers", "judge", "probe", "capability")),
}
MARKS = {"base": "○", "step": "●", "sample": "◆", "arm": "▸"}
LEGEND = "○ base model  ● step  ◆ sample, training data that the point above it writes  ▸ arm, which is evaluated"
FILLS = {"running": "#bfdbfe", "not built": "#e5e7eb", "stale": "#fde68a", "in the cache": "#d1fae5", "built": "#a7f3d0"}


@dataclass(frozen=True)
class Row:
    """A row of the tree. kind: a key of MARKS. above: the name of the row that it hangs from, "" for none; data: as in Node."""

    kind: str
    name: str
    label: str
    above: str
    about: str
    data: str
    state: str
    number: str


def tree(mermaid: bool = False) -> str:
    """The tree of the current folder's project as text, or as a Mermaid flowchart. Raises InputError for wrong params."""
    params, forecasts = read_yaml(FILE), plan().forecasts
    found = rows(params, states(forecasts, running(read_project().graph)), _numbers(params))
    return mermaid_text(found) if mermaid else text(found)


# ---- what is in the tree


def states(forecasts: dict[str, Forecast], now: set[str]) -> dict[str, str]:
    """One of STATES for each stage. now: the stages that run at this moment."""
    known = {"up to date": "built", "restored": "in the cache"}
    found = {}
    for name, forecast in forecasts.items():
        missing = forecast.why in (NEVER, *LOST)
        found[name] = known.get(forecast.action) or ("not built" if missing else "stale")
    return found | dict.fromkeys(now & found.keys(), "running")


def rows(params: dict[str, Any], state: dict[str, str], numbers: dict[tuple[str, str], str]) -> list[Row]:
    """Every point, sample and arm: each after the one that it hangs from, arms right after their points."""
    found = []
    for node in nodes_of(params):
        name = node.place.removeprefix(SAMPLES)
        kind = "base" if node.place == ROOT else "sample" if node.place.startswith(SAMPLES) else "step"
        found.append(_row(kind, name, name, node.above, node.about, node.data, state, numbers))
        found += [_row("arm", arm, label, node.place, "", "", state, numbers) for arm, label in node.arms.items()]
    others = [arm for arm in all_arms(params) if arm not in params["arms"]]
    return found + [_row("arm", arm, arm, "", description(params, arm), "", state, numbers) for arm in others]


def _row(kind: str, name: str, label: str, above: str, about: str, data: str, state: dict, numbers: dict) -> Row:
    makers = [maker.format(name) for maker in MAKERS[kind]]
    own = min((state[maker] for maker in makers if maker in state), key=STATES.index, default="not built")
    return Row(kind, name, label, above, about, data, own, numbers.get((kind, name), ""))


def _numbers(params: dict[str, Any]) -> dict[tuple[str, str], str]:
    """The final training loss of each step, and the first headline number of each arm, by (kind, name)."""
    files = {step: TRAINING / f"{step}.json" for step in params["curriculum"]}
    curves = {step: read_json(file)["curve"] for step, file in files.items() if file.exists()}
    found = {("step", step): f"training loss {curve[-1]['train_loss']:.3f}" for step, curve in curves.items() if curve}
    for arm, measures in (read_json(METRICS) if METRICS.exists() else {}).items():
        own = entries(measures)
        for place in shown(own)[:1]:
            found["arm", arm] = f"{title(place)} {value(own[place])}"
    return found


# ---- as text


def text(found: list[Row]) -> str:
    """The tree, as `git log --graph` would draw it: what stands below something continues it."""
    lines = [line for row in found if not row.above for line in _branch(row, found, "", "")]
    counts = Counter(row.state for row in found)
    stale = "; `cantica plan` says why, and what would run" if counts.keys() & {"stale", "not built"} else ""
    summary = ", ".join(f"{counts[state]} {state}" for state in reversed(STATES) if counts[state])
    return "\n".join([*aligned(lines, left=4), "", LEGEND, f"{summary}{stale}"])


def _branch(row: Row, found: list[Row], first: str, rest: str) -> Iterator[tuple[str, str, str, str]]:
    """The lines of a row and of all that hangs from it. first, rest: what is drawn before the first line and the others."""
    yield _line(first, row)
    place = {"arm": None, "sample": SAMPLES + row.name}.get(row.kind, row.name)
    below = [other for other in found if other.above == place]
    points = [other for other in below if other.kind != "arm"]
    yield from (_line(f"{rest}{'│' if points else ' '}   ", arm) for arm in below if arm.kind == "arm")
    if len(points) == 1:
        yield from _branch(points[0], found, rest, rest)
    for n, point in enumerate(points if len(points) > 1 else ()):
        last = n + 1 == len(points)
        yield from _branch(point, found, rest + ("└─" if last else "├─"), rest + ("  " if last else "│ "))


def _line(drawn: str, row: Row) -> tuple[str, str, str, str]:
    return f"{drawn}{MARKS[row.kind]} {row.label}", row.state, row.number, row.about


# ---- as Mermaid


def mermaid_text(found: list[Row]) -> str:
    """The tree as a Mermaid flowchart, which GitHub and many editors draw."""
    known = {(row.kind, row.name) for row in found}
    lines = ["flowchart TD"]
    for row in found:
        words = "<br/>".join(filter(None, [row.label, row.about, row.number, row.state])).replace('"', "#quot;")
        left, right = {"base": ("([", "])"), "sample": ("{{", "}}"), "arm": (">", "]")}.get(row.kind, ("[", "]"))
        lines.append(f'  {row.kind}_{row.name}{left}"{words}"{right}:::{row.state.replace(" ", "_")}')
        if row.above:
            kind = "sample" if row.above.startswith(SAMPLES) else "base" if row.above == ROOT else "step"
            arrow = "-->" if row.kind == "step" else "-.->"
            lines.append(f"  {kind}_{row.above.removeprefix(SAMPLES)} {arrow} {row.kind}_{row.name}")
        source = ("sample", row.data.removeprefix(SAMPLES))
        if row.data.startswith(SAMPLES) and source in known:
            lines.append(f"  {'_'.join(source)} -. data .-> {row.kind}_{row.name}")
    used = {row.state for row in found}
    return "\n".join(lines + [f"  classDef {s.replace(' ', '_')} fill:{FILLS[s]},color:#111" for s in STATES if s in used])
