"""Start workers and send them requests, one at a time."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from cantica.core.documents import read_yaml
from cantica.engine.backend.cores import cores

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / ".cache/benchmark"


def default_core() -> str:
    """The core whose kernel of OpenBLAS params.yaml names."""
    return read_yaml(ROOT / "params.yaml")["toolchain"]["model"]["blas-core"]


class Client:
    """A worker in a process of its own: `client("train", records=…)` returns its answer. Its output is in `log`.

    threads: the number of threads and of cores that it may use; 0 for all cores. core: whose kernel of OpenBLAS Cantica
    computes with, by default that of params.yaml. All others let their libraries choose.
    """

    def __init__(
        self,
        module: str,
        python: str = sys.executable,
        log: Path | None = None,
        threads: int = 0,
        core: str = "",
        **environment,
    ):
        self.module, self.log = module, log or SCRATCH / f"{module}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        count = str(threads or cores())
        environment |= {"OPENBLAS_NUM_THREADS": count, "OMP_NUM_THREADS": count, "PYTHONPATH": str(ROOT)}
        environment["CANTICA_BENCH_CORE"] = core or default_core()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
        with self.log.open("w") as errors:
            self.process = subprocess.Popen(
                [python, "-m", f"benchmarks.peers.{module}"],
                cwd=ROOT,
                env=inherited | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        if threads:
            os.sched_setaffinity(self.process.pid, sorted(os.sched_getaffinity(0))[:threads])

    def __call__(self, do: str, **request):
        try:
            self.process.stdin.write(json.dumps({"do": do} | request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        if not (answer := self.process.stdout.readline()):
            raise RuntimeError(f"{self.module} {do}: no answer; {self.log} ends with\n{self.log.read_text()[-1500:]}")
        return json.loads(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def started(peers: dict[str, dict], stack: ExitStack) -> dict[str, Client]:
    """A Client for each of the peers, {name: arguments of Client}; they end with the stack."""
    return {name: stack.enter_context(Client(**arguments)) for name, arguments in peers.items()}
