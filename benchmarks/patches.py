"""The gain of each patch: what it speeds up, with it and without it, in turn.

    python -m benchmarks.patches 5      # rounds; needs a built project

Each measurement is a process of its own. The numbers in docs/explanation/patches.md come from here.
"""

import statistics
import subprocess
import sys

READ = "import dvc.dvcfile; from dvc.utils.serialize import _yaml; text = open('dvc.lock').read()"
PATCHES = {  # the module before whose import a patch is applied, and what is timed
    "mlx.openblas": ("mlx.core", "import mlx.core as mx; x = mx.ones((768, 768)); mx.eval(x @ x)", "mx.eval(x @ x)"),
    "transformers.contents": ("transformers.dependency_versions_check", "", "import mlx_lm"),
    "dvc.yaml_parser": (
        "dvc.dvcfile",
        "import dvc.dvcfile; from dvc.utils.serialize import _yaml; text = open('params.yaml').read()",
        "for _ in range(50): _yaml.parse_yaml(text, 'params.yaml')",
    ),
    "dvc.lock_parser": ("dvc.dvcfile", READ, "_yaml.parse_yaml_for_update(text, 'dvc.lock')"),
    "dvc.lock_writer": (
        "dvc.dvcfile",
        f"{READ}; lock = _yaml.parse_yaml(text, ''); _yaml.dumps_yaml(lock)",
        "_yaml.dumps_yaml(lock)",
    ),
    "dvc.params_finder": (
        "dvc.dvcfile",
        f"{READ}; import dpath; content = _yaml.parse_yaml(open('params.yaml').read(), 'params.yaml')",
        "for _ in range(50): [dpath.get(content, name, separator='.') for name in ('base', 'train.iters', 'report.seed')]",
    ),
}


def seconds(module: str, setup: str, timed: str, patched: bool) -> float:
    """Seconds of a statement in a new process, in which the patches that wait for a module are applied or not."""
    off = "" if patched else f"import _cantica_startup.startup as s; s.PREPARED.pop({module!r})\n"
    code = f"{off}{setup}\nimport time; begin = time.perf_counter()\n{timed}\nprint(time.perf_counter() - begin)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main(rounds: int) -> None:
    found = {patch: ([], []) for patch in PATCHES}
    for _ in range(rounds):
        for patch, arguments in PATCHES.items():
            for patched in (True, False):
                found[patch][patched].append(seconds(*arguments, patched))
    for patch, (off, on) in found.items():
        print(f"{patch}: {statistics.median(on):.3f} s, without it {statistics.median(off):.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]))
