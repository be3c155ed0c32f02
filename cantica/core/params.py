"""Read the params that a stage declares, and check the versions under `toolchain` against the installed ones."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cantica.core.command import READ
from cantica.core.documents import raise_any, read_yaml
from cantica.core.errors import InputError, Problem, did_you_mean

FILE = Path("params.yaml")
# Packages that only some platforms need. Where they are not installed, no result depends on them.
ONLY_ON_LINUX_CPU = {"llvmlite", "numba", "scipy-openblas32"}


def read_params(*keys: str) -> dict:
    """Return the values under dotted `keys`, nested as in `params.yaml`, and nothing else.

    The keys are those that `dvc.yaml` lists under the stage's `params`, so a stage cannot read what DVC does not hash.
    For each `toolchain.<group>` among them, the installed versions are checked. Raises InputError.
    """
    document = read_yaml(FILE)
    chosen: dict = {}
    for key in keys:
        *parents, last = key.split(".")
        source, target = document, chosen
        for name in parents:
            source = _child(source, name, key)
            target = target.setdefault(name, {})
        target[last] = READ[key] = _child(source, last, key)
    sys.audit("cantica.read_params", keys, chosen)  # for tests/support/hermetic.py
    raise_any(toolchain_faults(chosen.get("toolchain", {})))
    return chosen


def _child(mapping: object, name: str, key: str) -> Any:
    if not isinstance(mapping, dict) or name not in mapping:
        known = mapping if isinstance(mapping, dict) else {}
        raise InputError(Problem(str(FILE), key, "no such key", "a value", did_you_mean(name, known)))
    return mapping[name]


def toolchain_faults(toolchain: dict[str, dict[str, str]]) -> list[Problem]:
    """Return a Problem for each package whose installed version differs from the one in params.yaml.

    toolchain: {group: {package: version}}.
    """
    problems = []
    versions = [(group, package, pin) for group, packages in toolchain.items() for package, pin in packages.items()]
    for group, package, expected in versions:
        if package == "blas-core":  # not a package: cantica.engine.backend.blas checks it
            continue
        try:
            installed = version(package)
        except PackageNotFoundError:
            if package in ONLY_ON_LINUX_CPU:
                continue
            installed = "none"
        if installed != expected:
            got = f"{package} {installed} in {sys.prefix}"
            hint = "run `make setup`, or write the installed version into params.yaml and build again"
            problems.append(Problem(str(FILE), f"toolchain.{group}.{package}", got, f"{package} {expected}", hint))
    return problems
