"""Training, generation and scoring, compared with torch with PEFT and with mlx-lm: `make bench`.

It writes reports/benchmark.{json,md}. Each peer is a process of its own (`peers/`). A round measures each of them once, so that
other work of the machine affects all alike. CANTICA_BENCH_ROUNDS is the number of rounds.
"""

import os
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest

from benchmarks import agreement, build, records
from benchmarks.arithmetic import flops_per_token
from benchmarks.bench import BASE, Bench, say, speed
from benchmarks.peers.client import ROOT, SCRATCH, Client, started
from benchmarks.peers.environment import MLX_ALONE, MLX_BLAS, OURS, OURS_BY_DEFAULT, TORCH_PEFT
from cantica.core.params import read_params

ROUNDS = int(os.environ.get("CANTICA_BENCH_ROUNDS", 3))
BATCH, TOKENS = 2, 48
STEPS = {192: 2, 512: 1}  # that are timed, by the tokens of a record
LORA, TRAIN, CATEGORIES = read_params("lora", "train", "categories").values()
DROPOUT, BLOCKS = TRAIN["dropout"], LORA["layers"]
# (tokens per record, adapted blocks, dropout): all blocks, and those of the default build.
CASES = dict.fromkeys(
    (length, blocks, dropout) for blocks, dropout in ((-1, 0.0), (-1, DROPOUT), (BLOCKS, DROPOUT)) for length in STEPS
)


@pytest.fixture(scope="module")
def bench():
    if not (ROOT / BASE / "config.json").exists():
        pytest.skip("no models/base: run `make bench`, or `dvc repro base dataset` first")
    before = Path.cwd()
    os.chdir(ROOT)
    with Client("ours") as ours:
        shape = {"rank": LORA["rank"], "scale": LORA["scale"]}
        ours("prepare", base=str(BASE), folder=str(SCRATCH), layers=sorted({-1, BLOCKS}), **shape)
    found = Bench.of(list(CATEGORIES), ROUNDS)
    yield found
    found.write()
    os.chdir(before)


def settings(positions: int, dropout: float, iters: int) -> dict:
    """Settings for `training.loop.train`: those of params.yaml, with AdamW at a constant rate, which all peers have."""
    plain = {"optimizer": "adamw", "schedule": "constant", "warmup": 0, "grad_checkpoint": False, "checkpoints": 0}
    return TRAIN | plain | {"iters": iters, "batch_size": BATCH, "max_seq_length": positions + 1, "dropout": dropout}


def load(name: str, client: Client, blocks: int, dropout: float, **merge) -> None:
    """Let a worker load its form of the base model and of the adapter; only torch's can `merge` them."""
    base = BASE if name in (OURS, OURS_BY_DEFAULT) else SCRATCH / "base"
    adapter = SCRATCH / (f"{blocks}-peft" if name == TORCH_PEFT else f"{blocks}")
    client("load", base=str(base), adapter=str(adapter), dropout=dropout, **merge)


def take_turns(benchmark, clients: dict[str, Client], requests: list[dict]) -> dict[str, list[dict]]:
    """The answers of each to the requests, one a round; every other round begins with the last."""
    answers = {name: [] for name in clients}

    def one_round() -> None:
        number = min(map(len, answers.values()))
        for name in list(clients)[:: 1 if number % 2 == 0 else -1]:
            answers[name].append(clients[name](**requests[number]))

    benchmark.pedantic(one_round, rounds=ROUNDS)
    return answers


@pytest.mark.parametrize(("positions", "blocks", "dropout"), CASES)
def test_training(benchmark, bench, positions, blocks, dropout):
    steps = STEPS[positions]
    found = bench.windows(positions, BATCH * (1 + steps * ROUNDS))
    warm, later = found[:BATCH], found[BATCH:]
    one, some = (settings(positions, dropout, iters) for iters in (1, steps))
    # Without OpenBLAS a step of one record takes a minute or more, so that is measured by itself, once.
    slow = MLX_ALONE if MLX_BLAS in bench.peers else None
    first, measured, size = {}, {}, BATCH * steps
    with ExitStack() as stack:
        clients = started({name: arguments for name, arguments in bench.peers.items() if name != slow}, stack)
        for name, client in clients.items():
            load(name, client, blocks, dropout)
            first[name] = client("train", records=warm, settings=one)["losses"][0]
        requests = [{"do": "train", "records": later[n * size :][:size], "settings": some} for n in range(ROUNDS)]
        for name, answers in take_turns(benchmark, clients, requests).items():
            measured[name] = speed(answers, size * positions) | {"peak_mb": clients[name]("peak_mb")}
            if name in (OURS, TORCH_PEFT):
                bench.gflops.setdefault(name, []).append(clients[name]("gigaflops"))
    if slow and (blocks, dropout) == (-1, 0.0):
        with Client(**bench.peers[slow]) as client:
            load(slow, client, blocks, dropout)
            answer = client("train", records=warm[:1], settings=one | {"batch_size": 1})
            measured[slow] = speed([answer], positions) | {"peak_mb": client("peak_mb"), "cold": True}
    counted = statistics.mean((positions + 1 - record["start"]) / positions for record in found)
    case = {
        "tokens": positions,
        "batch": BATCH,
        "blocks": bench.config["num_hidden_layers"] if blocks == -1 else blocks,
        "dropout": dropout,
        "flops_per_token": flops_per_token(bench.config, blocks, LORA["rank"], positions, counted),
        "first_losses": first,
        "peers": measured,
    }
    bench.results.setdefault("training", []).append(case)
    say(f"{positions} × {BATCH}, {case['blocks']} blocks, dropout {dropout}", measured, f"; first losses {first}")
    # Without dropout, the first loss of every peer is for the same tokens, targets and weights.
    assert dropout or max(first.values()) - min(first.values()) < 1e-3


@pytest.fixture(scope="module")
def speakers(bench):
    """Those who generate and score, on an arm of the default shape."""
    with ExitStack() as stack:
        clients = started(
            {name: bench.peers[name] for name in (OURS, OURS_BY_DEFAULT, TORCH_PEFT) if name in bench.peers}, stack
        )
        for name, client in clients.items():
            load(name, client, BLOCKS, 0.0, **({"merge": True} if name == TORCH_PEFT else {}))
        yield clients


@pytest.mark.parametrize("streams", [1, 8, 24, 48])
def test_generation(benchmark, bench, speakers, streams):
    asked = records.prompts(bench.tokenizer, Path("prompts/held_out"), streams)
    request = {"do": "generate", "prompts": asked, "tokens": TOKENS}
    for client in speakers.values():
        client(**request | {"tokens": 2})
    answers = take_turns(benchmark, speakers, [request] * ROUNDS)
    case = {"streams": streams, "tokens": TOKENS}
    if TORCH_PEFT in answers:
        theirs = [bench.tokenizer.decode(ids) for ids in answers[TORCH_PEFT][0]["ids"]]
        same = sum(one == other for one, other in zip(answers[OURS][0]["texts"], theirs, strict=True))
        case["same"] = f"{same} of {streams}"
    case["peers"] = {name: speed(found, streams * TOKENS) for name, found in answers.items()}
    bench.results.setdefault("generation", []).append(case)
    say(f"{streams} streams", case["peers"], f"; same texts: {case['same']}" if "same" in case else "")


def test_scoring(benchmark, bench, speakers):
    found = bench.windows(192, 32)
    request = {"do": "score", "records": found, "batch_size": 16}
    for client in speakers.values():
        client(**request | {"records": found[:16]})
    answers = take_turns(benchmark, speakers, [request] * ROUNDS)
    measured = {name: speed(given, len(found) * 192) for name, given in answers.items()}
    bench.results["scoring"] = {"records": len(found), "tokens": 192, "peers": measured}
    say("scoring", measured)
    means = [given[0]["means"] for given in answers.values()]
    assert all(max(values) - min(values) < 1e-3 for values in zip(*means, strict=True))


@contextmanager
def busy_loop():
    """Another process that is never idle."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def test_busy(benchmark, bench, speakers):
    found = bench.windows(192, BATCH + 8)
    short = [ids[-32:] for ids in records.prompts(bench.tokenizer, Path("prompts/held_out"), 24)]
    requests = {
        "training": {"do": "train", "records": found[:BATCH], "settings": settings(192, DROPOUT, 1)},
        "generation, 24 streams": {"do": "generate", "prompts": short, "tokens": 8},
        "scoring": {"do": "score", "records": found[BATCH:], "batch_size": 8},
    }
    tokens = dict(zip(requests, (BATCH * 192, 24 * 8, 8 * 192), strict=True))
    names = [name for name in speakers if name != OURS_BY_DEFAULT]
    seconds = {what: {name: {"idle": [], "busy": []} for name in names} for what in requests}

    def one_round(clients: dict[str, dict[str, Client]]) -> None:
        for load_, beside in (("idle", nullcontext()), ("busy", busy_loop())):
            with beside:
                for what, request in requests.items():
                    for name in names:
                        seconds[what][name][load_].append(clients[what][name](**request)["seconds"])

    with ExitStack() as stack:
        trained = started({name: bench.peers[name] for name in names}, stack)
        for name, client in trained.items():
            load(name, client, BLOCKS, DROPOUT)
            client(**requests["training"])
        clients = {what: trained if what == "training" else speakers for what in requests}
        benchmark.pedantic(one_round, [clients], rounds=ROUNDS)
    bench.results["busy"] = [
        {
            "what": what,
            "peers": {
                name: {load_: tokens[what] / statistics.median(times) for load_, times in by_load.items()}
                for name, by_load in by_name.items()
            },
        }
        for what, by_name in seconds.items()
    ]
    print(f"\nbusy: {bench.results['busy']}")


def test_agreement(benchmark, bench):
    found, twenty, checked = bench.windows(192, 40), settings(192, 0.0, 20), {}
    stock = bench.peers.get(MLX_BLAS) or bench.peers.get(MLX_ALONE) or {"module": "stock"}

    # The stock cross-entropy is itself off by 2e-4 nats, which at a higher rate is soon another path.
    published, default = ({"learning_rate": rate} for rate in (1e-5, TRAIN["learning_rate"]))

    def check() -> None:
        checked["losses"] = []
        for rate, in_pieces in ((published, False), (default, False), (default, True)):
            with Client("ours") as ours, Client(**stock) as theirs:
                pairs = agreement.losses(ours, theirs, BASE, SCRATCH, -1, found, twenty | rate, in_pieces)
            checked["losses"].append(max(abs(one - other) for one, other in pairs))
        with Client("ours") as ours, Client("float64") as exact:
            checked["gradients"], _ = agreement.gradient_errors(ours, exact, BASE, SCRATCH, -1, bench.windows(48, 1))
        short, digests = settings(192, DROPOUT, 3), set()
        for threads in (1, 2, 2):
            with Client("ours", threads=threads) as ours:
                digests.add(agreement.digest(ours, BASE, SCRATCH, BLOCKS, found[: 3 * BATCH], short))
        checked["digests"] = digests

    benchmark.pedantic(check, rounds=1)
    same = len(checked["digests"]) == 1
    as_published, as_here, in_pieces = checked["losses"]
    bench.results["agreement"] = {
        "largest difference of a loss from the stock trainer's, 20 iterations at 1e-5": f"{as_published:.1e} nats",
        f"the same at {TRAIN['learning_rate']:g}": f"{as_here:.1e} nats",
        "the same, where the stock trainer's cross-entropy adds its terms in pieces": f"{in_pieces:.1e} nats",
        "our gradient from float64's": f"{checked['gradients']:.1e} of its length",
        "adapter of 3 iterations with one thread, with two, with two again": "the same bytes" if same else "different bytes",
    }
    print(f"\nagreement: {bench.results['agreement']}")
    assert same and as_published < 5e-4 and as_here < 1e-3 and in_pieces < 1e-4 and checked["gradients"] < 1e-5


def test_around_the_training(benchmark, bench):
    share = build.padding(bench.encoded, TRAIN["batch_size"], TRAIN["seed"])
    nothing = benchmark.pedantic(build.empty_repro, [ROUNDS], rounds=1)
    bench.results["build"] = {"padding, of an epoch's positions": f"{share:.1%}"}
    around = None
    if nothing:
        bench.results["build"][f"`dvc repro` of {nothing[1]} stages with nothing to do"] = f"{nothing[0]:.2f} s"
        around = build.around_a_stage([f"dataset@{name}" for name in CATEGORIES])
        bench.results["build"]["a stage, in addition to its own time"] = f"{around:.2f} s"
    if rows := build.stages(around):
        bench.results["stages"] = rows
        bench.results["build"]["all but training and evaluating, of a build's time"] = (
            f"{build.share_without_the_model(rows):.0%}"
        )
    print(f"\nbuild: {bench.results['build']}")
