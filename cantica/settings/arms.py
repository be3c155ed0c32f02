"""The arms of a build, of all kinds, and the pairs of arms that are compared.

An arm is a point of the tree (the section `arms`), a file of answers (`answers`) or a model behind a server (`servers`). All
have responses and scores. Only points have probes and capability, and only points without a system prompt have losses.
"""

from collections.abc import Iterable
from typing import Any

from cantica.settings.tree import ROOT

SECTIONS = ("arms", "answers", "servers")


def all_arms(params: dict[str, Any]) -> list[str]:
    """Return the names of all arms: points, files of answers and servers. The first is the baseline of the others."""
    return [name for section in SECTIONS for name in params[section]]


def with_losses(params: dict[str, Any]) -> dict[str, str]:
    """Return {arm: its point} for the arms whose losses are measured: base and steps, without a system prompt of their own."""
    return {name: arm["point"] for name, arm in params["arms"].items() if "/" not in arm["point"] and not arm.get("system")}


def pairs(params: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each pair (arm, the arm that it is compared with) once: every other arm with the first, then `contrasts`."""
    first, *others = all_arms(params)
    return list(dict.fromkeys([*((arm, first) for arm in others), *(_pair(found) for found in params["contrasts"])]))


def _pair(names: Iterable[str]) -> tuple[str, str]:
    arm, against = names
    return arm, against


def description(params: dict[str, Any], arm: str) -> str:
    """Return what an arm is, as a phrase for readers."""
    if arm in params["answers"]:
        return f"a file of answers, {params['answers'][arm]['file']}"
    if arm in params["servers"]:
        return f"{params['servers'][arm]['model']}, behind a server{_with_system(params['servers'][arm])}"
    about = params["arms"][arm]
    step, _, iteration = about["point"].partition("/")
    words = step.replace("_", " ")
    point = "the base model" if step == ROOT else f"the model after step {words}"
    if iteration:
        point = f"the model after iteration {int(iteration)} of step {words}"
    return f"{point}{_with_system(about)}"


def _with_system(about: dict[str, Any]) -> str:
    return ", with a system prompt of its own" if about.get("system") else ""
