"""Where an output comes from: `cantica explain PATH` and `cantica explain --diff REV PATH`."""

import json
import os
import textwrap

from cantica.commands.dvc.records import (
    KINDS,
    MISSING,
    Change,
    LinesChanged,
    Records,
    altered,
    causes,
    downstream,
    edges,
    edits,
    is_code,
    is_version,
    maker_of,
    outputs,
    read_foreseen,
    read_lock,
    read_present,
    read_records,
    settled,
    upstream,
    within,
)
from cantica.commands.variants.progress import few
from cantica.core.errors import InputError, Problem, did_you_mean

WIDTH = 128
WHOLE_WORDS = {"break_long_words": False, "break_on_hyphens": False}
AT_MOST = "at most: an output that comes out as before stops the chain, and DVC's run cache may have what was built so before"


def explain(path: str) -> str:
    """What made a path, from what, and which edits since would build it again; or who reads it.

    Raises InputError where no stage makes or reads it.
    """
    path, records = _relative(path), read_records()
    if made := maker_of(path, records.graph, records.lock):
        return "\n".join(_output(path, *made, records))
    outs = [(out, name) for name, entry in records.graph.items() for out in outputs(entry) if within(out, path)]
    return "\n".join(_folder(path, sorted(outs), records) if outs else _source(path, records))


def _output(path: str, name: str, out: str, records: Records) -> list[str]:
    """An output of a stage. One that was never built is told as it would be made."""
    current = edges(records.graph, records.graph)
    present = read_present(records, upstream(current, name)) if name in current else {}
    lock = records.lock if name in records.lock else present
    graph = edges(lock, current)
    stage = records.stages.get(name)
    text = [path if path == out else f"{path}, part of {out}"]
    text += table("hash", [(_size(name, out, records.lock),)])
    text += wrapped("made by", f"{name}: {stage.desc}" if stage else f"{name}, which dvc.yaml has no more")
    text += [*wrapped("command", lock[name]["cmd"]), "", "made from", *direct_text(lock[name], graph[name])]
    if before := upstream(graph, name)[:-1]:
        text += ["", "after these stages, in order, with what people edit in each", *chain_text(before, lock, graph)]
    if lock is present:
        return text
    if not present:
        return [*text, "", "edits since", f"  {name} is no stage of dvc.yaml any more, so nothing builds it again"]
    found = edits(records.lock, present)
    would_run = downstream(current, found, name, settled=settled(records.lock, read_foreseen()))
    return [*text, "", "edits since", *edits_text(found, altered(records.lock, present), would_run)]


def _size(name: str, out: str, lock: dict) -> str:
    made = next((item for item in lock.get(name, {}).get("outs", []) if item["path"] == out), None)
    if made is None:
        return f"none: not built yet, `dvc repro {name}` builds it"
    files = f" in {made['nfiles']} files" if "nfiles" in made else ""
    return f"{short(made['md5'])}, {made['size']:,} bytes{files}"


def _folder(path: str, outs: list[tuple[str, str]], records: Records) -> list[str]:
    rows = [(out, short(outputs(records.lock.get(name, {})).get(out, "not built")), f"from {name}") for out, name in outs]
    return [f"{path} holds {len(outs)} outputs; name one to see what it was made from", *table("", rows, indent=2)]


def _source(path: str, records: Records) -> list[str]:
    """Who reads a source file or folder. Raises InputError where nobody does."""
    readers = {}
    for name, entry in records.graph.items():
        files = [dep["path"] for dep in entry["deps"] if within(path, dep["path"]) or within(dep["path"], path)]
        keys = entry["params"].get(path, {})
        versions = ", ".join(key.removeprefix("toolchain.") for key in keys if is_version(key))
        named = [*files, *(key for key in keys if not is_version(key))]
        if read := [*named, *([f"toolchain ({versions})"] if versions else [])]:
            readers[name] = ", ".join(read)
    if not readers:
        known = [out for entry in records.graph.values() for out in outputs(entry)]
        expected = "an output, such as models/base, or an input, such as params.yaml, of a stage in dvc.yaml"
        raise InputError(Problem(path, "", "a path that no stage makes or reads", expected, did_you_mean(path, known)))
    kinds = ("params", "versions") if path == "params.yaml" else ()
    found = [
        change
        for change in edits(records.lock, read_present(records, list(readers)))
        if change.kind in kinds or within(path, change.key) or within(change.key, path)
    ]
    current = edges(records.graph, records.graph)
    text = [f"{path} is an input, not an output", "", "read by", *table("", list(readers.items()), indent=2)]
    would_run = downstream(current, found, *current, settled=settled(records.lock, read_foreseen()))
    return [*text, "", "edits since", *edits_text(found, [], would_run)]


def explain_difference(rev: str, path: str) -> str:
    """Why an output in the working tree's dvc.lock differs from the one in a commit's.

    Raises InputError where there is no such commit, or no such output in one of the two.
    """
    path, records = _relative(path), read_records()
    old, lock = read_lock(rev), records.lock
    made = maker_of(path, {name: lock[name] for name in records.graph if name in lock}, lock)
    there = maker_of(path, {name: old[name] for name in (made or [])[:1] if name in old}, old)
    if not made or not there:
        file, built = (f"{rev}:dvc.lock", old) if made else ("dvc.lock", lock)
        known = [out for entry in built.values() for out in outputs(entry)]
        raise InputError(Problem(file, "", f"no output {path}", "an output that was built there", did_you_mean(path, known)))
    was, now = outputs(old[there[0]])[there[1]], outputs(lock[made[0]])[made[1]]
    roots, through = causes(made[0], old, lock, records.graph)
    why = changes_text(roots, LinesChanged(rev))
    head = made[1] if path == made[1] else f"{made[1]}, which holds {path},"
    if was == now:
        return "\n".join(
            [f"{head} is the same as in {rev}: {short(now)}", *(["", "although these differ", *why] if why else [])]
        )
    why = why or ["  no input that DVC recorded: another machine, or something that no stage declares"]
    text = [f"{head} differs from {rev}: {short(was)} → {short(now)}", "", "because of", *why]
    return "\n".join([*text, "", *wrapped("through", " → ".join(through))])


def _relative(path: str) -> str:
    """A path from the project's root, as DVC writes it."""
    return os.path.relpath(path).replace(os.sep, "/")


# ---- text


def short(value) -> str:
    """A hash by its first eight digits, any other value as it would stand in YAML."""
    if not isinstance(value, str):
        return textwrap.shorten(json.dumps(value, ensure_ascii=False), 60, placeholder=" …")
    digits = value.removesuffix(".dir")
    return digits[:8] if len(digits) == 32 and set(digits) <= set("0123456789abcdef") else value


def table(title: str, rows: list, indent: int = 12) -> list[str]:
    """Rows of text cells as aligned lines, the title at the left of the first; no lines where there are no rows.

    A last cell that is too long goes on in the next line. A no-break space in it is printed as a space.
    """
    widths = [max((len(row[i]) for row in rows if len(row) > i + 1), default=0) for i in range(max(map(len, rows), default=0))]
    lines = []
    for *cells, last in rows:
        head = "".join(f"{cell:{width}}  " for cell, width in zip(cells, widths, strict=False))
        for part in textwrap.wrap(last, max(WIDTH - indent - len(head), 40), **WHOLE_WORDS) or [""]:
            lines.append(f"{head}{part}".replace("\xa0", " ").rstrip())
            head = " " * len(head)
    return [f"{f'  {title}' if n == 0 else '':{indent}}{line}" for n, line in enumerate(lines)]


def wrapped(title: str, text: str) -> list[str]:
    """One text over as many lines as it needs, the title at the left of the first."""
    return table(title, [(text,)] if text else [])


def direct_text(entry: dict, makers: dict[str, list[str]]) -> list[str]:
    """The direct inputs of a stage, by kind."""
    hashes = {dep["path"]: short(dep.get("md5", MISSING)) for dep in entry.get("deps", [])}
    files = [(path, md5, _from(makers[path])) for path, md5 in hashes.items() if not is_code(path)]
    code = ", ".join(f"{path.removeprefix('stages/')}\xa0{md5}" for path, md5 in hashes.items() if is_code(path))
    params = {key: value for values in entry.get("params", {}).values() for key, value in values.items()}
    versions = ", ".join(f"{key.removeprefix('toolchain.')}\xa0{value}" for key, value in params.items() if is_version(key))
    values = [(key, f"= {flow(value)}") for key, value in params.items() if not is_version(key)]
    return [*table("files", files), *table("params", values), *wrapped("versions", versions), *wrapped("code", code)]


def flow(value) -> str:
    """A value of a param on one line, as params.yaml would have it; lines break between pairs only."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}:\xa0{flow(child)}" for key, child in value.items()) + "}"
    return short(value)


def _from(makers: list[str]) -> str:
    return f"from {few(makers)}" if makers else ""


def chain_text(names: list[str], lock: dict, graph: dict) -> list[str]:
    """A line for each stage, with the inputs of it that people edit."""
    rows = []
    for name in names:
        files = [
            path for path, makers in graph[name].items() if not makers and not is_code(path) and not path.startswith("schemas/")
        ]
        keys = [key for values in lock[name].get("params", {}).values() for key in values if not is_version(key)]
        rows.append((name, ", ".join([*files, *keys])))
    return table("", rows, indent=2)


def changes_text(found: list[Change], lines_changed: LinesChanged) -> list[str]:
    """Changes by kind, each once, with the stages that read it; of a file its lines too."""
    readers: dict[tuple, list[str]] = {}
    for change in found:
        key = f"{change.stage}: command" if change.kind == "commands" else change.key
        readers.setdefault((change.kind, key, short(change.was), short(change.now)), []).append(change.stage)
    text = []
    for kind in KINDS:
        rows = []
        for (_, key, was, now), stages in ((row, names) for row, names in readers.items() if row[0] == kind):
            if kind == "commands":
                rows += [(key, "was", was), ("", "is", now)]
                continue
            rows.append((key, f"{was} → {now}", f"read by {few(stages)}" if kind != "stages" else ""))
            if kind in ("files", "code") and (lines := lines_changed(key)):
                rows.append(("", f"git diff {lines_changed.rev}", few([line.replace(" ", "\xa0") for line in lines])))
        text += table(kind, rows)
    return text


def edits_text(found: list[Change], disk: list[tuple[str, str, str]], would_run: list[str]) -> list[str]:
    """What was edited since an output was built, what lies otherwise on the disk, and what `dvc repro` would do about both."""
    if not found and not disk:
        return ["  nothing changed since it was built"]
    text = changes_text(found, LinesChanged("HEAD"))
    text += table("outputs", [(path, f"{short(was)} → {short(now)} on the disk") for path, was, now in disk if now != MISSING])
    text += wrapped("missing", few([path for path, _, now in disk if now == MISSING]))
    text += wrapped(
        "", "`dvc repro` restores these from DVC's cache, or builds them again where it has them no more" if disk else ""
    )
    if would_run:
        text += ["", "so `dvc repro` would run", *table("", [(", ".join(would_run),), (AT_MOST,)], indent=2)]
    return text
