"""`cantica plan --variant NAME… --seeds …`: what building a family would run, with each stage counted once."""

import hashlib
import json
from dataclasses import dataclass

from cantica.commands.dvc.records import UNKNOWN, outputs
from cantica.commands.plan import Plan, parallel, plan, times
from cantica.commands.table import aligned
from cantica.commands.text import counted, duration


@dataclass(frozen=True)
class Joined:
    """The stages that several builds run, each once: its name, those before it, and its seconds where they are known.

    per_run: for each run, how many stages it needs, and how many of them an earlier run has too.
    """

    names: dict[str, str]
    makers: dict[str, list[str]]
    seconds: dict[str, float]
    per_run: dict[str, tuple[int, int]]


def joined(plans: dict[str, Plan], seconds: dict[str, dict[str, float]]) -> Joined:
    """The stages that the builds of several runs have to run, by what they do. Pure.

    plans, seconds: by run, and then by stage. Two stages are one if they have the same command, params and inputs; inputs that
    are not made yet are the same if one stage makes them.
    """
    found = Joined({}, {}, {}, {})
    for run, own in plans.items():
        keys = _keys(own)
        found.per_run[run] = len(keys), sum(key in found.names for key in keys.values())
        for name, key in keys.items():
            found.names.setdefault(key, name)
            found.makers[key] = [keys[maker] for maker in own.makers[name] if maker in keys]
            if name in seconds[run]:
                found.seconds[key] = seconds[run][name]
    return found


def _keys(own: Plan) -> dict[str, str]:
    """For each stage that runs, a hash of what it does."""
    keys: dict[str, str] = {}
    for name, forecast in own.forecasts.items():
        if forecast.action == "runs":
            entry = forecast.entry
            made = sorted(keys[maker] for maker in own.makers[name] if maker in keys)
            deps = sorted((dep["path"], dep.get("md5", "")) for dep in entry["deps"])
            unknown = made if any(md5 == UNKNOWN for _, md5 in deps) else []
            parts = [entry["cmd"], deps, unknown, entry.get("params"), sorted(outputs(entry))]
            keys[name] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return keys


def family_plan(runs: dict[str, str]) -> str:
    """What building runs on HEAD would run. runs: the text of params.yaml of each. Raises InputError."""
    plans = {run: plan(text) for run, text in runs.items()}
    seconds = {run: times(own, list(own.forecasts)) for run, own in plans.items()}
    return family_text(joined(plans, seconds))


def family_text(found: Joined) -> str:
    """A line for each run, then the stages that all of them run, and the time that they take."""
    if not found.names:
        return f"nothing to run for {counted(len(found.per_run), 'run')}"
    rows = [("run", "stages", "shared"), *((run, str(of), str(shared)) for run, (of, shared) in found.per_run.items())]
    needed = sum(of for of, _ in found.per_run.values())
    untimed = len(found.names) - len(found.seconds)
    took = f"{duration(sum(found.seconds.values()))} by earlier timings" if found.seconds else "time unknown"
    took += f", without {counted(untimed, 'stage')} of unknown time" if untimed and found.seconds else ""
    summary = f"{counted(needed, 'stage')} to run, {len(found.names)} of them distinct; {took}"
    return "\n".join([*aligned(rows), "", summary, *parallel(found.makers, found.seconds, found.names)])
