"""What a worker has and runs: its machine, its versions, and its own code."""

import contextlib
import hashlib
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from cantica.commands.text import few
from cantica.engine.backend.gpus import gpus, kind


@dataclass(frozen=True)
class Offer:
    """A worker.

    host: its machine. cores: the processor's cores that it may use, by number. memory: MB that are free. gpus: by name; a stage
    that computes with a model takes one where there are any. device: what models are computed with. project: whether it was
    started in a project. python, packages: versions. code: a hash of the code that runs stages; that of the stages comes with
    each build.
    """

    host: str
    cores: tuple[int, ...]
    memory: int
    gpus: tuple[str, ...]
    device: str
    project: bool
    python: str
    packages: Mapping[str, str]
    code: str


def own_offer() -> Offer:
    """The offer of this process."""
    import psutil

    return Offer(
        host=platform.node(),
        cores=tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else (),
        memory=psutil.virtual_memory().available >> 20,
        gpus=_gpus(),
        device=_device(),
        project=Path("dvc.yaml").exists() and Path(".dvc").is_dir(),
        python=".".join(platform.python_version_tuple()[:2]),
        packages=_packages(),
        code=_code(),
    )


def differences(ours: Offer, theirs: Offer) -> list[str]:
    """Why a worker cannot run stages of another process, one text a reason; empty if it can.

    Packages that one of them lacks are no reason: machines of different kinds have different ones.
    """
    found = [] if theirs.project else ["it was started in a folder that is no project"]
    if ours.python != theirs.python:
        found.append(f"Python {theirs.python} there, {ours.python} here")
    both = sorted(ours.packages.keys() & theirs.packages.keys())
    other = [name for name in both if ours.packages[name] != theirs.packages[name]]
    if other:
        found.append(few([f"{name} {theirs.packages[name]} there, {ours.packages[name]} here" for name in other]))
    if ours.code != theirs.code:
        found.append("another version of Cantica: check out the same commit there and start the worker again")
    return found


@cache
def _gpus() -> tuple[str, ...]:
    """As they were when this process was first asked: a stage that ran on one of them has hidden the others since."""
    return tuple(gpus())


_device = cache(kind)


@cache
def _packages() -> dict[str, str]:
    """The versions of what Cantica is built on, tools for developing left out."""
    lines = [line for line in metadata.requires("cantica") or [] if 'extra == "dev"' not in line]
    names = {re.split(r"[^\w.-]", line)[0] for line in lines} - {"cantica"}
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


@cache
def _code() -> str:
    """A hash of the package `cantica.commands`, which runs stages, as it was when this process first asked."""
    folder = Path(__file__).parents[1]
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        found.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return found.hexdigest()
