"""What `dvc repro` would run, and why, down the whole graph (`dvc status` and `dvc repro --dry` stop at the first stage)."""

from pathlib import Path

from cantica.records import is_gate, within


def plan(root: Path) -> dict[str, str]:
    """Stages that are out of date in a project, in the order of the build, each with why.

    A stage is out of date when DVC finds one of its own inputs, its command or its outputs changed, or when a stage that
    makes one of its inputs is: that one's output may come out the same, and then the later stage does not run.
    """
    return out_of_date(*state(root))


def state(root: Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    """(stages that DVC finds changed by themselves, with why; every stage, in order, with those that it depends on)."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        # Keys are names of stages, after the path of a dvc.yaml that is not in the current folder.
        changed = {key.split(":")[-1]: _reasons(changes) for key, changes in repo.status().items()}
        graph = repo.index.graph
        follows = {stage.name: {s.name for s in graph.successors(stage) if _feeds(s, stage)} for stage in repo.index.stages}
    return changed, follows


def _feeds(before, stage) -> bool:
    """Whether one DVC stage reads what another writes, and not just waits for a gate of it."""
    outs = [out.def_path for out in before.outs if not is_gate(out.def_path)]
    return any(within(dep.def_path, out) or within(out, dep.def_path) for dep in stage.deps for out in outs)


def out_of_date(changed: dict[str, str], follows: dict[str, set[str]]) -> dict[str, str]:
    """`changed` stages and all that follow them; `follows` gives every stage, in order, with those that it depends on."""
    reasons = dict(changed)
    waiting = list(changed)
    while waiting:
        stage = waiting.pop()
        for later in (name for name, before in follows.items() if stage in before and name not in reasons):
            reasons[later] = f"follows {stage}"
            waiting.append(later)
    return {name: reasons[name] for name in follows if name in reasons}


def _reasons(changes: list) -> str:
    parts = []
    for change in changes:
        if isinstance(change, str):
            parts.append(change)
            continue
        for kind, items in change.items():
            parts += [f"{kind}: {', '.join(_names(items))}"]
    return "; ".join(parts)


def _names(items: dict) -> list[str]:
    """Files that changed; of params, the keys and not the file."""
    return [name for file, how in items.items() for name in (how if isinstance(how, dict) else [file])]
