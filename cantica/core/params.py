"""Read from `params.yaml` only what a stage declares, and check its toolchain against the installed versions."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cantica.core.command import READ
from cantica.core.documents import raise_any, read_yaml
from cantica.core.errors import InputError, Problem, did_you_mean

FILE = Path("params.yaml")
# Packages that only some platforms have; where they are absent they make no numbers.
ONLY_ON_LINUX_CPU = {"scipy-openblas32"}


def read_params(*keys: str) -> dict:
    """The values under dotted `keys`, nested as they stand in `params.yaml`; everything else is left out.

    The keys are those of the stage's `params` in `dvc.yaml`, so that a stage cannot read what DVC does not hash.
    Every version under a `toolchain.<group>` among them is compared with the installed one. Raises InputError.
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


def _child(mapping, name: str, key: str):
    if not isinstance(mapping, dict) or name not in mapping:
        known = mapping if isinstance(mapping, dict) else {}
        raise InputError(Problem(str(FILE), key, "nothing there", "a value", did_you_mean(name, known)))
    return mapping[name]


def toolchain_faults(toolchain: dict[str, dict[str, str]]) -> list[Problem]:
    """A Problem for each package whose installed version differs from the one in params.yaml, by group."""
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
            hint = "run `make setup`, or write the installed version into params.yaml and rebuild what uses it"
            problems.append(Problem(str(FILE), f"toolchain.{group}.{package}", got, f"{package} {expected}", hint))
    return problems
