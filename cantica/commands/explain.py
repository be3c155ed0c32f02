"""`cantica explain PATH`: what an output was made from. `cantica explain --diff REV PATH`: why it differs from a commit's."""

import functools
import os
from dataclasses import dataclass

from cantica.commands.dvc.changes import KINDS, Change, altered, causes, edits
from cantica.commands.dvc.forecast import AT_MOST, predict
from cantica.commands.dvc.graph import Graph, downstream, edges, upstream
from cantica.commands.dvc.project import Project, read_lock, read_present, read_project
from cantica.commands.dvc.records import (
    MISSING,
    Entry,
    Lock,
    dependencies,
    is_code,
    is_gate,
    is_version,
    maker_of,
    outputs,
    overlap,
    within,
)
from cantica.commands.git import git
from cantica.commands.table import titled
from cantica.commands.text import few, flow, short
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.reporting.nested import flatten


def explain(path: str) -> str:
    """What made an output, from what, and which edits since would build it again; or the stages that read an input.

    Raises InputError where no stage makes or reads the path.
    """
    path, project = _relative(path), read_project()
    if made := maker_of(path, project.graph, project.lock):
        return "\n".join(_output(path, *made, project))
    outs = [(out, name) for name, entry in project.graph.items() for out in outputs(entry) if within(out, path)]
    return "\n".join(_folder(path, sorted(outs), project) if outs else _source(path, project))


def explain_difference(rev: str, path: str) -> str:
    """Why an output in the working tree's dvc.lock differs from the one in a commit's.

    Raises InputError where there is no such commit, or no such output in one of the two.
    """
    path, project = _relative(path), read_project()
    old, lock = read_lock(rev), project.lock
    made = maker_of(path, {name: lock[name] for name in project.graph if name in lock}, lock)
    there = maker_of(path, {name: old[name] for name in (made or [])[:1] if name in old}, old)
    if not made or not there:
        file, built = (f"{rev}:dvc.lock", old) if made else ("dvc.lock", lock)
        known = [out for entry in built.values() for out in outputs(entry)]
        raise InputError(Problem(file, "", f"no output {path}", "an output that was built there", did_you_mean(path, known)))
    was, now = outputs(old[there[0]])[there[1]], outputs(lock[made[0]])[made[1]]
    roots, through = causes(made[0], old, lock, project.graph)
    why = changes_text(roots, LinesChanged(rev))
    head = made[1] if path == made[1] else f"{made[1]}, which holds {path},"
    if was == now:
        same = f"{head} is the same as in {rev}: {short(now)}"
        return "\n".join([same, *(["", "although these inputs differ", *why] if why else [])])
    why = why or ["  no recorded input: another machine, or something that no stage declares"]
    text = [f"{head} differs from {rev}: {short(was)} → {short(now)}", "", "because of", *why]
    return "\n".join([*text, "", *titled("through", [(" → ".join(through),)])])


def _relative(path: str) -> str:
    """A path from the project's root, as DVC writes it."""
    return os.path.relpath(path).replace(os.sep, "/")


# ---- one path


def _output(path: str, name: str, out: str, project: Project) -> list[str]:
    """Text on an output of a stage. One that was never built is explained as it would be built."""
    current = edges(project.graph, project.graph)
    present = read_present(project, list(project.graph)) if name in current else {}
    lock = project.lock if name in project.lock else present
    graph = edges(lock, current)
    stage = project.stages.get(name)
    text = [path if path == out else f"{path}, part of {out}"]
    text += titled("hash", [(_size(name, out, project.lock),)])
    text += titled("made by", [(f"{name}: {stage.desc}" if stage else f"{name}, which is no longer in dvc.yaml",)])
    if readers := [reader for reader, paths in current.items() if any(overlap(out, path) for path in paths)]:
        text += titled("read by", [(few(readers),)])
    text += [*titled("command", [(lock[name]["cmd"],)]), "", "made from", *direct_text(lock[name], graph[name])]
    if before := upstream(graph, name)[:-1]:
        text += ["", "after these stages (with the inputs of each that people edit)", *chain_text(before, lock, graph)]
    if lock is present:
        return text
    if not present:
        return [*text, "", "edits since", f"  {name} is no longer a stage of dvc.yaml, so nothing builds it again"]
    way = upstream(current, name)
    of_way = {stage: present[stage] for stage in way}
    found, disk = edits(project.lock, of_way), altered(project.lock, of_way)
    return [*text, "", "edits since", *edits_text(found, disk, _to_run(way, project, present))]


def _to_run(stages: list[str], project: Project, present: Lock) -> list[str]:
    """Those of some stages that `dvc repro` would run."""
    forecasts = predict(project.lock, present)
    return [stage for stage in stages if forecasts[stage].action == "runs"]


def _size(name: str, out: str, lock: Lock) -> str:
    made = next((item for item in lock.get(name, {}).get("outs", []) if item["path"] == out), None)
    if made is None:
        return f"none: not built yet, `dvc repro {name}` builds it"
    files = f" in {made['nfiles']} files" if "nfiles" in made else ""
    return f"{short(made['md5'])}, {made['size']:,} bytes{files}"


def _folder(path: str, outs: list[tuple[str, str]], project: Project) -> list[str]:
    rows = [(out, short(outputs(project.lock.get(name, {})).get(out, "not built")), f"from {name}") for out, name in outs]
    return [f"{path} holds {len(outs)} outputs; name one to see what it was made from", *titled("", rows, indent=2)]


def _source(path: str, project: Project) -> list[str]:
    """Text on a file or folder that people edit: the stages that read it. Raises InputError where no stage does."""
    readers = {name: read for name, entry in project.graph.items() if (read := _reads(entry, path))}
    if not readers:
        known = [out for entry in project.graph.values() for out in outputs(entry)]
        expected = "an output, such as models/base, or an input, such as params.yaml, of a stage in dvc.yaml"
        raise InputError(Problem(path, "", "a path that no stage makes or reads", expected, did_you_mean(path, known)))
    kinds = ("params", "versions") if path == "params.yaml" else ()
    present = read_present(project, list(project.graph))
    found = edits(project.lock, {name: present[name] for name in readers})
    found = [change for change in found if change.kind in kinds or overlap(path, change.key)]
    text = [f"{path} is an input, not an output", "", "read by", *titled("", list(readers.items()), indent=2)]
    current = edges(project.graph, project.graph)
    after = downstream(current, {change.stage for change in found}, *current)
    return [*text, "", "edits since", *edits_text(found, [], _to_run(after, project, present) if after else [])]


def _reads(entry: Entry, path: str) -> str:
    """What a stage reads of a path: files and folders, or params; "" for nothing."""
    keys = entry["params"].get(path, {})
    versions = ", ".join(key.removeprefix("toolchain.") for key in keys if is_version(key))
    files = [dep["path"] for dep in entry["deps"] if overlap(path, dep["path"])]
    named = [*files, *(key for key in keys if not is_version(key))]
    return ", ".join([*named, *([f"toolchain ({versions})"] if versions else [])])


# ---- text


@dataclass
class LinesChanged:
    """By how many lines each file that git tracks differs from a commit."""

    rev: str

    def __call__(self, path: str) -> list[str]:
        """`file +added −removed` for each such file at or in a path."""
        found = [(added, removed, file) for added, removed, file in self._counts if within(file, path)]
        return [f"{file.removeprefix(path).lstrip('/')} +{added} −{removed}".strip() for added, removed, file in found]

    @functools.cached_property
    def _counts(self) -> list[list[str]]:
        return [line.split("\t", 2) for line in (git("diff", "--numstat", "--relative", self.rev) or "").splitlines()]


def direct_text(entry: Entry, makers: dict[str, list[str]]) -> list[str]:
    """The direct inputs of a stage, by kind."""
    hashes = {path: short(md5) for path, md5 in dependencies(entry).items()}
    files = [
        (path, md5, f"from {few(makers[path])}" if makers[path] else "") for path, md5 in hashes.items() if not is_code(path)
    ]
    code = ", ".join(f"{path.removeprefix('stages/')}\xa0{md5}" for path, md5 in hashes.items() if is_code(path))
    params = {key: value for values in entry.get("params", {}).values() for key, value in values.items()}
    installed = {
        leaf: version for key, value in params.items() if is_version(key) for leaf, version in flatten(value, key).items()
    }
    versions = ", ".join(f"{leaf.split('.', 2)[-1]}\xa0{version}" for leaf, version in installed.items())
    values = [(key, f"= {flow(value)}") for key, value in params.items() if not is_version(key)]
    text = [*titled("files", files), *titled("params", values)]
    for title, line in (("versions", versions), ("code", code)):
        text += titled(title, [(line,)] if line else [])
    return text


def chain_text(names: list[str], lock: Lock, graph: Graph) -> list[str]:
    """A line for each stage, with those of its inputs that people edit."""
    rows = []
    for name in names:
        sources = [path for path, makers in graph[name].items() if not makers and not is_gate(path)]
        files = [path for path in sources if not is_code(path) and not path.startswith("schemas/")]
        keys = [key for values in lock[name].get("params", {}).values() for key in values if not is_version(key)]
        rows.append((name, ", ".join([*files, *keys])))
    return titled("", rows, indent=2)


def changes_text(found: list[Change], lines_changed: LinesChanged) -> list[str]:
    """Changes by kind, each once, with the stages that read it, and for a file with its changed lines."""
    readers: dict[tuple[str, str, str, str], list[str]] = {}
    for change in found:
        key = f"{change.stage}: command" if change.kind == "commands" else change.key
        readers.setdefault((change.kind, key, short(change.was), short(change.now)), []).append(change.stage)
    text = []
    for kind in KINDS:
        rows: list[tuple[str, ...]] = []
        for (of, key, was, now), stages in readers.items():
            if of != kind:
                continue
            if kind == "commands":
                rows += [(key, "was", was), ("", "is", now)]
                continue
            rows.append((key, f"{was} → {now}", f"read by {few(stages)}" if kind != "stages" else ""))
            if kind in ("files", "code") and (lines := lines_changed(key)):
                rows.append(("", f"git diff {lines_changed.rev}", few([line.replace(" ", "\xa0") for line in lines])))
        text += titled(kind, rows)
    return text


def edits_text(found: list[Change], disk: list[tuple[str, str, str]], to_run: list[str]) -> list[str]:
    """Edits since an output was built, outputs on the disk that differ from it, and what `dvc repro` would do about both."""
    if not found and not disk:
        return ["  nothing changed since it was built"]
    text = changes_text(found, LinesChanged("HEAD"))
    text += titled("outputs", [(path, f"{short(was)} → {short(now)} on the disk") for path, was, now in disk if now != MISSING])
    if missing := [path for path, _, now in disk if now == MISSING]:
        text += titled("missing", [(few(missing),)])
    if disk:
        text += titled("", [("`dvc repro` restores these from DVC's cache, or builds them again if the cache has lost them",)])
    if to_run:
        text += ["", "so `dvc repro` would run", *titled("", [(", ".join(to_run),), (AT_MOST,)], indent=2)]
    elif found:
        text += ["", "`dvc repro` would run none of these stages: DVC's cache holds what they would make"]
    return text
