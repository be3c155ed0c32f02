"""Training, generation and scoring beside torch with PEFT and mlx-lm: `make bench`, which writes reports/benchmark.{json,md}.

Everyone is a process of its own (`peers/`), and a round asks each for one measurement, so that what else the machine does
falls on all alike. CANTICA_BENCH_ROUNDS says how many rounds there are.
"""

import os
import platform
import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from benchmarks import agreement, build, records
from benchmarks.arithmetic import flops_per_token
from benchmarks.peers.client import ROOT, SCRATCH, Client, cores, started
from benchmarks.peers.environment import MLX_ALONE, MLX_BLAS, OURS, TORCH_PEFT, peers
from benchmarks.table import page
from stages.lib.common.documents import read_json
from stages.lib.common.files import write_json, write_text
from stages.lib.params import read_params

ROUNDS = int(os.environ.get("CANTICA_BENCH_ROUNDS", 3))
BASE, BATCH, STEPS, TOKENS = Path("models/base"), 2, 2, 48
PARAMS = read_params("lora", "train", "categories")
LENGTHS, DROPOUT, BLOCKS = (192, 512), PARAMS["train"]["dropout"], PARAMS["lora"]["layers"]
# (tokens a record, adapted blocks, dropout): all blocks, and what the default build trains.
CASES = dict.fromkeys(
    (length, blocks, dropout) for blocks, dropout in ((-1, 0.0), (-1, DROPOUT), (BLOCKS, DROPOUT)) for length in LENGTHS
)


@dataclass
class Bench:
    """What all measurements share, and their results."""

    peers: dict[str, dict]
    tokenizer: object
    encoded: dict[str, list]
    config: dict
    results: dict = field(default_factory=dict)
    gflops: list[float] = field(default_factory=list)

    def windows(self, positions: int, number: int) -> list[dict]:
        return records.windows([record for found in self.encoded.values() for record in found], positions, number)

    def settings(self, positions: int, dropout: float, iters: int) -> dict:
        own = {"iters": iters, "batch_size": BATCH, "max_seq_length": positions + 1, "dropout": dropout}
        return PARAMS["train"] | {"optimizer": "adamw", "schedule": "constant", "warmup": 0, "grad_checkpoint": False} | own


@pytest.fixture(scope="module")
def bench():
    if not (ROOT / BASE / "config.json").exists():
        pytest.skip("no models/base: run `make bench`, or `dvc repro base dataset` first")
    before = Path.cwd()
    os.chdir(ROOT)
    from mlx_lm.utils import load_tokenizer

    tokenizer = load_tokenizer(BASE)
    encoded = {name: records.read_encoded(tokenizer, [Path(f"data/train/{name}.jsonl")]) for name in PARAMS["categories"]}
    with Client("ours") as ours:
        shape = {"layers": sorted({-1, BLOCKS}), "rank": PARAMS["lora"]["rank"], "scale": PARAMS["lora"]["scale"]}
        ours("prepare", base=str(BASE), folder=str(SCRATCH), **shape)
    found = Bench(peers(), tokenizer, encoded, read_json(BASE / "config.json"))
    found.results |= {"rounds": ROUNDS, "machine": {}}
    yield found
    if len(found.results) > 2:
        write(found)
    os.chdir(before)


def load(name: str, client: Client, blocks: int, dropout: float, **merge) -> None:
    """Let a worker load its form of the base model and of the adapter; only torch's can `merge` them."""
    base = BASE if name == OURS else SCRATCH / "base"
    adapter = SCRATCH / (f"{blocks}-peft" if name == TORCH_PEFT else f"{blocks}")
    client("load", base=str(base), adapter=str(adapter), dropout=dropout, **merge)


def take_turns(benchmark, clients: dict[str, Client], request) -> dict[str, list[dict]]:
    """The answers of each in every round to `request(round)`; every other round begins with the last."""
    answers = {name: [] for name in clients}

    def one_round() -> None:
        number = min(map(len, answers.values()))
        for name in list(clients)[:: 1 if number % 2 == 0 else -1]:
            answers[name].append(clients[name](**request(number)))

    benchmark.pedantic(one_round, rounds=ROUNDS)
    return answers


def told(answers: list[dict], tokens: int) -> dict:
    seconds = [answer["seconds"] for answer in answers]
    return {"tokens_per_second": tokens / statistics.median(seconds), "seconds": seconds}


@pytest.mark.parametrize(("positions", "blocks", "dropout"), CASES)
def test_training(benchmark, bench, positions, blocks, dropout):
    found, first = bench.windows(positions, BATCH * (1 + STEPS * ROUNDS)), {}
    settings = [bench.settings(positions, dropout, number) for number in (1, STEPS)]
    measured = {}
    # Without OpenBLAS a step takes a minute or more, so that is measured by itself, once.
    slow = MLX_ALONE if MLX_BLAS in bench.peers else None
    with ExitStack() as stack:
        clients = started({name: arguments for name, arguments in bench.peers.items() if name != slow}, stack)
        for name, client in clients.items():
            load(name, client, blocks, dropout)
            first[name] = client("train", records=found[:BATCH], settings=settings[0])["losses"][0]
        size = BATCH * STEPS
        answers = take_turns(
            benchmark,
            clients,
            lambda n: {"do": "train", "records": found[BATCH + n * size :][:size], "settings": settings[1]},
        )
        for name, client in clients.items():
            measured[name] = told(answers[name], size * positions) | {"peak_mb": client("peak_mb"), "first_loss": first[name]}
            if name in (OURS, TORCH_PEFT):
                bench.gflops.append(client("gigaflops"))
    if slow and (blocks, dropout) == (-1, 0.0):
        with Client(**bench.peers[slow]) as client:
            load(slow, client, blocks, dropout)
            answer = client("train", records=found[:BATCH], settings=settings[0])
            first[slow] = answer["losses"][0]
            measured[slow] = told([answer], BATCH * positions) | {"peak_mb": client("peak_mb"), "cold": True}
    every = bench.config["num_hidden_layers"]
    case = {"tokens": positions, "batch": BATCH, "blocks": every if blocks == -1 else blocks, "dropout": dropout}
    counted = statistics.mean((positions + 1 - record["start"]) / positions for record in found)
    case["flops_per_token"] = flops_per_token(bench.config, blocks, PARAMS["lora"]["rank"], positions, counted)
    bench.results.setdefault("training", []).append(case | {"peers": measured})
    benchmark.extra_info |= {name: round(peer["tokens_per_second"], 1) for name, peer in measured.items()}
    print(f"\n{positions} × {BATCH}, blocks {blocks}, dropout {dropout}: tok/s {benchmark.extra_info}, first losses {first}")
    # Without dropout, everyone's first loss is that of the same tokens, targets and weights.
    assert dropout or max(first.values()) - min(first.values()) < 1e-3


@pytest.fixture(scope="module")
def speakers(bench):
    """Those who generate and score, on an arm of the default shape."""
    with ExitStack() as stack:
        clients = started({name: bench.peers[name] for name in (OURS, TORCH_PEFT) if name in bench.peers}, stack)
        for name, client in clients.items():
            load(name, client, BLOCKS, 0.0, **({"merge": True} if name == TORCH_PEFT else {}))
        yield clients


@pytest.mark.parametrize("streams", [1, 8, 24, 48])
def test_generation(benchmark, bench, speakers, streams):
    asked = records.prompts(bench.tokenizer, Path("prompts/held_out"), streams)
    request = {"do": "generate", "prompts": asked, "tokens": TOKENS}
    for client in speakers.values():
        client(**request | {"tokens": 2})
    answers = take_turns(benchmark, speakers, lambda _: request)
    case = {"streams": streams, "tokens": TOKENS}
    if TORCH_PEFT in answers:
        theirs = [bench.tokenizer.decode(ids) for ids in answers[TORCH_PEFT][0]["ids"]]
        same = sum(one == other for one, other in zip(answers[OURS][0]["texts"], theirs, strict=True))
        case["same"] = f"{same} of {streams}"
    case["peers"] = {name: told(found, streams * TOKENS) for name, found in answers.items()}
    bench.results.setdefault("generation", []).append(case)
    benchmark.extra_info |= {name: round(peer["tokens_per_second"], 1) for name, peer in case["peers"].items()}
    print(f"\n{streams} streams: tok/s {benchmark.extra_info}, same texts: {case.get('same', 'no peer')}")


def test_scoring(benchmark, bench, speakers):
    found = bench.windows(192, 32)
    request = {"do": "score", "records": found, "batch_size": 16}
    for client in speakers.values():
        client(**request | {"records": found[:16]})
    answers = take_turns(benchmark, speakers, lambda _: request)
    measured = {name: told(told_by, len(found) * 192) for name, told_by in answers.items()}
    bench.results["scoring"] = {"records": len(found), "tokens": 192, "peers": measured}
    benchmark.extra_info |= {name: round(peer["tokens_per_second"], 1) for name, peer in measured.items()}
    print(f"\nscoring: tok/s {benchmark.extra_info}")
    means = [told_by[0]["means"] for told_by in answers.values()]
    assert all(max(values) - min(values) < 1e-3 for values in zip(*means, strict=True))


def test_agreement(benchmark, bench):
    found, settings, checked = bench.windows(192, 40), bench.settings(192, 0.0, 20), {}
    stock = bench.peers.get(MLX_BLAS) or bench.peers.get(MLX_ALONE) or {"module": "stock"}

    def check() -> None:
        with Client("ours") as ours, Client(**stock) as theirs:
            pairs = agreement.losses(ours, theirs, BASE, SCRATCH, -1, found, settings)
        checked["losses"] = max(abs(one - other) for one, other in pairs)
        with Client("ours") as ours, Client("float64") as exact:
            checked["gradients"], _ = agreement.gradient_errors(ours, exact, BASE, SCRATCH, -1, bench.windows(48, 1))
        short, digests = settings | {"iters": 3, "dropout": DROPOUT}, set()
        for threads in (1, 2, 2):
            with Client("ours", threads=threads) as ours:
                digests.add(agreement.digest(ours, BASE, SCRATCH, BLOCKS, found[: 3 * BATCH], short))
        checked["digests"] = digests

    benchmark.pedantic(check, rounds=1)
    same = len(checked["digests"]) == 1
    bench.results["agreement"] = {
        "largest difference of a loss from the stock trainer's, 20 iterations": f"{checked['losses']:.1e} nats",
        "our gradient from float64's": f"{checked['gradients']:.1e} of its length",
        "adapter of 3 iterations with one thread, with two, with two again": "the same bytes" if same else "different bytes",
    }
    print(f"\nagreement: {bench.results['agreement']}")
    assert same and checked["losses"] < 5e-4 and checked["gradients"] < 1e-5


def test_around_the_training(benchmark, bench):
    share = build.padding(list(bench.encoded.values()), PARAMS["train"]["batch_size"], PARAMS["train"]["seed"])
    nothing = benchmark.pedantic(build.empty_repro, [ROUNDS], rounds=1)
    bench.results["build"] = {"padding, of an epoch's positions": f"{share:.1%}"}
    if nothing:
        bench.results["build"][f"`dvc repro` of {nothing[1]} stages with nothing to do"] = f"{nothing[0]:.2f} s"
    bench.results["stages"] = build.stages()
    print(f"\nbuild: {bench.results['build']}")


def write(bench: Bench) -> None:
    """Put what is known at the end to the results, and write them."""
    results = bench.results
    with ExitStack() as stack:
        everyone = started(bench.peers, stack)
        versions = {name: version for client in everyone.values() for name, version in client("about").items()}
    gflops = statistics.median(bench.gflops) if bench.gflops else None
    results["machine"] = {
        "processor": processor(),
        "cores used": cores(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
        "Python": platform.python_version(),
    }
    if gflops:
        results["machine"]["float32 product, 1024 × 1024"] = f"{gflops:.0f} GFLOP/s"
    results["machine"]["versions"] = versions
    for case in results.get("training", []):
        case["floor"] = gflops * 1e9 / case["flops_per_token"]
        for peer in case["peers"].values():
            peer["share"] = peer["tokens_per_second"] / case["floor"]
    write_json(Path("reports/benchmark.json"), results)
    write_text(Path("reports/benchmark.md"), page(results))
    print(f"\n{page(results)}\nreports/benchmark.json, reports/benchmark.md")


def processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
