"""What the measurements of `make bench` share, and the files with their results."""

import platform
import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import psutil

from benchmarks import records
from benchmarks.peers.client import cores, default_core, started
from benchmarks.peers.environment import fastest_core, peers
from benchmarks.table import page
from cantica.core.documents import read_json
from cantica.core.files import write_json, write_text

BASE = Path("models/base")
RESULTS, PAGE = Path("reports/benchmark.json"), Path("reports/benchmark.md")


@dataclass
class Bench:
    """The peers and the data of a measurement, and the results so far."""

    peers: dict[str, dict]  # arguments of Client
    tokenizer: object
    encoded: list[list]  # every category's training examples
    config: dict
    results: dict
    gflops: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, categories: list[str], rounds: int) -> "Bench":
        from mlx_lm.utils import load_tokenizer

        tokenizer = load_tokenizer(BASE)
        encoded = [records.read_encoded(tokenizer, Path(f"data/train/{name}.jsonl")) for name in categories]
        return cls(peers(), tokenizer, encoded, read_json(BASE / "config.json"), {"rounds": rounds})

    def windows(self, positions: int, number: int) -> list[dict]:
        return records.windows([record for found in self.encoded for record in found], positions, number)

    def write(self) -> None:
        """Add the machine and the shares of the arithmetic floor to the results; write them, and write and print their page."""
        results = {"rounds": self.results.pop("rounds"), "machine": machine(), "versions": self._versions(), **self.results}
        if self.gflops:
            best = max(map(statistics.median, self.gflops.values()))
            results["machine"]["float32 product, 1024 × 1024"] = f"{best:.0f} GFLOP/s"
            for case in results["training"]:
                case["floor"] = best * 1e9 / case["flops_per_token"]
                for peer in case["peers"].values():
                    peer["share"] = peer["tokens_per_second"] / case["floor"]
        write_json(RESULTS, results)
        write_text(PAGE, page(results))
        print(f"\n{page(results)}\n{RESULTS}, {PAGE}")

    def _versions(self) -> dict[str, str]:
        with ExitStack() as stack:
            answers = [client("about") for client in started(self.peers, stack).values()]
        return dict(sorted((name, version) for answer in answers for name, version in answer.items()))


def speed(answers: list[dict], tokens: int) -> dict:
    """Tokens per second, from the median of the seconds."""
    seconds = [answer["seconds"] for answer in answers]
    return {"tokens_per_second": tokens / statistics.median(seconds), "seconds": seconds}


def say(what: str, measured: dict[str, dict], more: str = "") -> None:
    speeds = ", ".join(f"{name} {peer['tokens_per_second']:.1f}" for name, peer in measured.items())
    print(f"\n{what}: tokens/s {speeds}{more}", flush=True)


def machine() -> dict:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": date.today().isoformat(),
        "processor": models[0] if models else platform.processor(),
        "cores used": cores(),
        "fastest kernel of OpenBLAS, which Cantica computes with here": fastest_core() or "not OpenBLAS",
        "default kernel (toolchain.model.blas-core)": default_core(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
        "Python": platform.python_version(),
    }
