"""The gain of each patch: with all of them, and with all but one, in turn.

    python -m benchmarks.patches 3      # rounds; needs models/base; a quarter of an hour on 2 cores

Each measurement is a process of its own. CPU seconds are steadier than seconds on a machine with other work. The numbers in
docs/explanation/patches.md come from here.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

BASE = Path("models/base")
LENGTH, BATCH, STEPS, TOKENS, STREAMS = 384, 2, 2, 24, 48
AT_IMPORT = {  # the module before whose import a patch is applied, and what is timed
    "mlx.openblas": ("mlx.core", "import mlx.core as mx; x = mx.ones((768, 768)); mx.eval(x @ x)", "mx.eval(x @ x)"),
    "transformers.contents": ("transformers.dependency_versions_check", "", "import mlx_lm"),
    "dvc.lock_parser": (
        "dvc.dvcfile",
        "import dvc.dvcfile; from dvc.utils.serialize import _yaml; text = open('dvc.lock').read()",
        "_yaml.parse_yaml_for_update(text, 'dvc.lock')",
    ),
    "dvc.lock_writer": (
        "dvc.dvcfile",
        "import dvc.dvcfile; from dvc.utils.serialize import _yaml; lock = _yaml.parse_yaml(open('dvc.lock').read(), '');"
        " _yaml.dumps_yaml(lock)",
        "_yaml.dumps_yaml(lock)",
    ),
}


def at_import(module: str, setup: str, timed: str, patched: bool) -> float:
    """Seconds of a statement in a new process, in which the patches that wait for a module are applied or not."""
    off = "" if patched else f"import _cantica_startup.startup as s; s.PREPARED.pop({module!r})\n"
    code = f"{off}{setup}\nimport time; begin = time.perf_counter()\n{timed}\nprint(time.perf_counter() - begin)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def on_cpu(without: str) -> dict[str, float]:
    """Measure training and generation in this process, without one patch of the modules' ON_CPU."""
    from cantica.engine.backend.blas import read_model_params

    params = read_model_params("lora", "train")  # before anything imports MLX

    from benchmarks.peers.ours import Ours, write_adapters
    from cantica.engine.backend.patches import mlx, mlx_lm
    from cantica.engine.lora import LoraShape
    from cantica.engine.model import load_base

    for module in (mlx, mlx_lm):
        module.ON_CPU = tuple(patch for patch in module.ON_CPU if name(patch) != without)
    lora, folder = params["lora"], Path(".cache/bench-patches")
    folder.mkdir(parents=True, exist_ok=True)
    model, _ = load_base(BASE)
    write_adapters(model, LoraShape(lora["layers"], lora["rank"], lora["scale"]), folder / "adapter", folder / "peft")
    ours = Ours()
    ours.load(str(BASE), str(folder / "adapter"), params["train"]["dropout"])
    ids = [[(7 * n + n * n * row) % 40000 + 1 for n in range(LENGTH + 1)] for row in range(BATCH * STEPS)]
    settings = params["train"] | {"batch_size": BATCH, "max_seq_length": LENGTH + 1, "warmup": 0, "schedule": "constant"}
    records = [{"ids": row, "start": LENGTH // 2} for row in ids]
    ours.train(records[:BATCH], settings | {"iters": 1})
    seconds = {}
    for what, work in (
        ("train", lambda: ours.train(records, settings | {"iters": STEPS})),
        ("generate", lambda: ours.generate([row[:100] for row in ids[:1]] * STREAMS, TOKENS)),
    ):
        begin, wall = time.process_time(), time.perf_counter()
        work()
        seconds |= {f"{what}_cpu_seconds": time.process_time() - begin, f"{what}_seconds": time.perf_counter() - wall}
    return seconds | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def name(patch) -> str:
    return f"{patch.__module__.rpartition('.')[-1]}.{patch.__name__}"


def main(rounds: int) -> None:
    from cantica.engine.backend.patches import mlx, mlx_lm

    measured: dict[str, list[dict]] = {without: [] for without in ("", *map(name, (*mlx.ON_CPU, *mlx_lm.ON_CPU)))}
    imports = {patch: ([], []) for patch in AT_IMPORT}
    for _ in range(rounds):
        for patch, arguments in AT_IMPORT.items():
            for patched in (True, False):
                imports[patch][patched].append(at_import(*arguments, patched))
        for without, found in measured.items():
            command = [sys.executable, "-m", "benchmarks.patches", "without", without]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    for patch, (off, on) in imports.items():
        print(f"{patch}: {statistics.median(on):.3f} s, without it {statistics.median(off):.3f} s")
    for without, found in measured.items():
        medians = {key: statistics.median(row[key] for row in found) for key in found[0]}
        print(f"without {without or 'none'}: " + ", ".join(f"{key} {value:.2f}" for key, value in medians.items()))


if __name__ == "__main__":
    if sys.argv[1] == "without":
        print(json.dumps(on_cpu(sys.argv[2])))
    else:
        main(int(sys.argv[1]))
