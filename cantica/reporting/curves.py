"""The data of the charts over iterations: the training loss, and measures at checkpoints. Pure."""

from typing import Any

from cantica.core.records import TrainingRecord
from cantica.reporting.probes import Trajectory
from cantica.settings.tree import branches, path_to

CURVE_COLUMNS = ("iteration", "branch", "step", "train_loss")


def curve_rows(trainings: dict[str, TrainingRecord], curriculum: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the training loss of every step. iteration: counted from base along the tree. branch: its last step."""
    branch = {step: last for last, steps in branches(curriculum).items() for step in steps}
    rows = []
    for step in curriculum:
        done = sum(trainings[s]["iterations"] for s in path_to(curriculum[step]["after"], curriculum))
        for point in trainings[step]["curve"]:
            row = {"iteration": done + point["iteration"], "branch": branch[step], "step": step}
            rows.append(row | {"train_loss": round(point["train_loss"], 4)})
    return rows


def started(curve: list[dict[str, Any]], curriculum: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows branch by branch, each from the point of the line that it leaves, if that is a step."""
    ends = {row["step"]: row for row in curve}
    rows = []
    for branch, steps in branches(curriculum).items():
        own = sorted((row for row in curve if row["branch"] == branch), key=lambda row: row["iteration"])
        after = curriculum[steps[0]]["after"]
        start = [ends[after] | {"branch": branch}] if own and after in ends else []
        rows += [*start, *own]
    return rows


def values_of(trajectory: Trajectory, keys: dict[str, str]) -> list[dict[str, Any]]:
    """Return the values of some measures at the checkpoints of an arm; without an interval, low and high are the value.

    keys: {key of a measure: the name of its series}.
    """
    rows = []
    for iteration, levels in trajectory.items():
        for measure, entry in levels:
            if measure.key in keys and entry["n"]:
                value = entry["share"] if "share" in entry else entry["mean"]
                ends = {"low": entry.get("low", value), "high": entry.get("high", value)}
                rows.append({"iteration": iteration, "series": keys[measure.key], "value": value, **ends})
    return rows
