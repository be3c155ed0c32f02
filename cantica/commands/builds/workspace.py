"""Bring a build into the workspace: what its stages made, their records in dvc.lock, and what DVC has to run itself."""

from collections.abc import Iterable
from pathlib import Path

from cantica.commands.builds.copy import fill
from cantica.commands.dvc.records import Entry, Lock


def restore(built: Lock) -> None:
    """Put what stages made from DVC's cache into the current folder, and their records into dvc.lock.

    DVC does that too, but one stage after the other, each with all of dvc.lock. Raises DvcException.
    """
    from dvc.repo import Repo, lock_repo

    if not built:
        return
    with Repo(".") as repo, lock_repo(repo):
        stages = {stage.name: stage for stage in repo.index.stages if hasattr(stage, "name")}
        for name, entry in built.items():
            fill(stages[name], entry)
            for out in stages[name].outs:
                if out.use_scm_ignore and not repo.scm.is_ignored(out.fspath):  # `ignore` reads all of git's index each time
                    out.ignore()
        stages[next(iter(built))].dvcfile.dump_stages([stages[name] for name in built], update_pipeline=False)


def reproduce(targets: Iterable[str] = (), one_by_one: bool = False) -> None:
    """Let DVC build targets in the current folder. If that changes dvc.lock, put it into the order of dvc.yaml.

    one_by_one: each of the stages `targets` alone, without those before it. Raises DvcException where a stage fails.
    """
    from dvc.repo import Repo

    before = _lock_text()
    with Repo(".") as repo:
        order = [stage.name for stage in repo.index.stages if hasattr(stage, "name")]
        try:
            repo.reproduce(list(targets) or None, single_item=one_by_one)
        finally:
            if _lock_text() != before:
                _order_lock(order)


def _lock_text() -> bytes:
    file = Path("dvc.lock")
    return file.read_bytes() if file.exists() else b""


def _order_lock(order: list[str]) -> None:
    from dvc.utils.serialize import dump_yaml, load_yaml

    file = Path("dvc.lock")
    if not file.exists():
        return
    lock = load_yaml(str(file))
    stages: dict[str, Entry] = lock["stages"]
    ordered = {name: stages[name] for name in dict.fromkeys([*order, *stages]) if name in stages}
    if list(ordered) != list(stages):
        dump_yaml(str(file), lock | {"stages": ordered})
