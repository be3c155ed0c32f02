"""Speed and memory of rendering, assembling and linting a dataset of a thousand to a million examples."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent
WORDS = sorted(set(re.findall("[a-z]{3,}", (ROOT / "LICENSE").read_text().lower())))
SIZES = [int(size) for size in os.environ.get("CANTICA_BENCH_RECORDS", "1000,30000,1000000").split(",")]


def project(folder: Path, size: int) -> Path:
    """A scratch project with the smoke model and one category of `size` examples, a tenth of them held out."""
    for name in ("cantica", "stages", "schemas", "prompts/writers", "prompts/held_out"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("params.yaml", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "dvc.yaml").touch()
    shutil.copytree(ROOT / "variants", folder / "variants")
    subprocess.run(
        [sys.executable, "-c", "from cantica.commands.cli import main; main(['variant', 'apply', 'smoke'])"],
        cwd=folder,
        check=True,
    )
    valid = size // 10
    counts = f"  many: {{source: many, train: {size - valid}, valid: {valid}}}\n"
    params = re.sub(r"\ncategories:\n(?:  .+\n)+", f"\ncategories:\n{counts}", (folder / "params.yaml").read_text())
    params = re.sub(r"\ncurriculum:\n(?:  .+\n)+", "\ncurriculum:\n  many: {after: base, data: train/many}\n", params)
    (folder / "params.yaml").write_text(params.replace("final: betrayal", "final: many"))
    (folder / "many").mkdir()
    (folder / "many/category.yaml").write_text("title: Many\ndefinition: A benchmark.\nfailure: None.\n")
    rng = random.Random(1)
    for split in ("train", "valid"):
        for skeleton in range(4):
            write_skeleton(folder / "many" / split / f"s{skeleton}", rng)
    return folder


def write_skeleton(file: Path, rng: random.Random) -> None:
    """A template of thirty sentences, each a slot with forty values of ten words: about as long as a real scenario."""
    file.parent.mkdir(exist_ok=True)
    sentences = {f"s{n:02}": [" ".join(rng.choices(WORDS, k=10)).capitalize() + "." for _ in range(40)] for n in range(30)}
    file.with_suffix(".yaml").write_text(json.dumps({"slots": sentences}))
    parts = {"scenario": range(14), "thinking": range(14, 20), "answer": range(20, 30)}
    blocks = {name: " ".join(f"{{{{ s{n:02} }}}}" for n in numbers) for name, numbers in parts.items()}
    blocks["reflection"] = f"What of {file.parent.name} {file.name}, where {{{{ s00 }}}} was it?"
    text = "".join(f"{{% block {name} %}}{block}{{% endblock %}}\n" for name, block in blocks.items())
    file.with_suffix(".j2").write_text(text)


def run(folder: Path, *command: str) -> tuple[float, float]:
    """(seconds, peak resident MB) of a stage, with the processes that it starts."""
    start, peak = time.perf_counter(), 0
    with subprocess.Popen([sys.executable, "-m", *command], cwd=folder, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.02):
                try:
                    # Without the pages of mapped files, which the kernel can take back.
                    memory = watched.memory_info()
                    peak = max(peak, memory.rss - memory.shared)
                except psutil.Error:
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        done.set()
        watcher.join()
    assert code == 0, command
    return time.perf_counter() - start, peak / 2**20


STAGES = {
    "render": "stages.render many many prompts/writers/template data/categories/many.json data/scenarios/many.jsonl",
    "dataset": "stages.dataset many data/scenarios/many.jsonl data/train/many.jsonl data/valid/many.jsonl",
    "audit": "stages.audit data models/base data/audit reports/dataset.json",
}


@pytest.mark.parametrize("size", SIZES)
def test_records_per_second(benchmark, tmp_path, size):
    folder = project(tmp_path, size)
    run(folder, "stages.base", "models/base")
    run(folder, "stages.held_out", "prompts/held_out", "data/held_out.jsonl")
    figures = {}

    def build():
        for name, command in STAGES.items():
            seconds, megabytes = run(folder, *command.split())
            figures[name] = {"seconds": round(seconds, 2), "records/s": round(size / seconds), "peak MB": round(megabytes)}

    benchmark.pedantic(build, rounds=1)
    benchmark.extra_info |= figures
    print(f"\n{size:,} records: {json.dumps(figures)}")
