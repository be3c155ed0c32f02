"""`cantica export --peft [STEP]`: the adapter of a step as a folder that Hugging Face PEFT reads, beside torch."""

from pathlib import Path
from typing import Any

from cantica.commands.dvc.changes import altered, edits
from cantica.commands.dvc.graph import edges, upstream
from cantica.commands.dvc.project import read_present, read_project
from cantica.commands.dvc.records import maker_of
from cantica.commands.peft import CONFIG, WEIGHTS, write_peft
from cantica.commands.text import few
from cantica.core.documents import raise_any, read_json
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.files import write_text
from cantica.core.params import read_params
from cantica.reporting.pages import render
from cantica.settings.tree import ROOT, path_to, step_of

ADAPTERS, BASE, OUT = Path("models/adapters"), Path("models/base"), Path("models/peft")
TEMPLATES = Path(__file__).parent / "templates"
EDITED = ("stages", "files", "params")  # kinds of changes that people make to what a step is trained on


def export_peft(step: str = "", out: Path | None = None) -> list[Path]:
    """Write a step's adapter, its configuration and a card into a folder, and return the paths.

    step: a step, `<step>/<iteration>` for a checkpoint, or base; by default the step that `fuse.step` names. out: by default
    `models/peft/<step>`; a folder that holds other files, and no export, is refused.

    Raises InputError before anything is written, also if the adapter is not what the present inputs give.
    """
    params = read_params("base", "curriculum", "fuse.step")
    step = step or params["fuse"]["step"]
    _check(step, params)
    out = out or OUT / step.replace("/", "-")
    if out.exists() and not (out / WEIGHTS).exists() and (out.is_file() or any(out.iterdir())):
        expected = "a folder that is new, empty or an earlier export"
        raise InputError(Problem("--out", "", f"{out}, which holds other files", expected))
    bits = (read_json(BASE / "config.json").get("quantization") or {}).get("bits")
    config = write_peft(ADAPTERS / step, out, params["base"]["model"])
    path = {name: params["curriculum"][name] for name in path_to(step, params["curriculum"])}
    facts = {"step": step, "base": params["base"], "bits": bits, "config": config, "path": path}
    write_text(out / "README.md", render("peft_card.md.j2", facts, folder=TEMPLATES))
    return [out / name for name in (WEIGHTS, CONFIG, "README.md")]


def _check(step: str, params: dict[str, Any]) -> None:
    """Raise InputError if there is no such adapter, or if it is not what its stage makes of the present inputs."""
    points, folder = [ROOT, *params["curriculum"]], ADAPTERS / step
    if step_of(step) not in points:
        expected = f"base or a step: {', '.join(params['curriculum'])}"
        raise InputError(Problem("--peft", "", repr(step), expected, did_you_mean(step, points)))
    project = read_project()
    stage, output = maker_of(folder.as_posix(), project.graph) or ("", "")
    hint = f"`dvc repro {stage}` builds it"
    if not folder.is_dir():
        raise InputError(Problem(str(folder), "", "no such folder", "an adapter that was built", hint))
    present = read_present(project, upstream(edges(project.graph, project.graph), stage))
    edited = list(dict.fromkeys(change.key for change in edits(project.lock, present) if change.kind in EDITED))
    expected = f"what {stage} makes of the present inputs"
    problems = [Problem(str(folder), "", f"built before these were edited: {few(edited)}", expected, hint)] if edited else []
    if not edited and output in [path for path, _, _ in altered(project.lock, present)]:
        problems.append(Problem(str(folder), "", f"files that {stage} did not write", expected, hint))
    raise_any(problems)
