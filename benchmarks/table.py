"""The results of `make bench` as a page."""

from benchmarks.peers.environment import OURS, OURS_BY_DEFAULT


def page(results: dict) -> str:
    """The document in `reports/benchmark.json` as Markdown. Parts that were not measured are left out."""
    parts = [
        "# Speed",
        f"Written by `make bench`: medians of {results['rounds']} rounds. In each round, every peer is measured once, in turn.",
        listed(results["machine"]),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + ".",
    ]
    for name, section in (("training", training), ("generation", generation), ("scoring", scoring), ("busy", busy)):
        if name in results:
            parts += section(results[name])
    for name, title in (("agreement", "Agreement"), ("build", "The build")):
        if name in results:
            parts += [f"## {title}", listed(results[name])]
    if results.get("stages"):
        parts += [
            "The last run of each stage, by kind: seconds, and the highest peak memory.",
            stages(results["stages"]),
        ]
    return "\n\n".join(parts) + "\n"


def training(cases: list[dict]) -> list[str]:
    head = ["tokens × batch", "blocks", "dropout", "floor"]
    names = peer_names(cases)
    rows, memory = [], []
    for case in cases:
        setting = [f"{case['tokens']} × {case['batch']}", case["blocks"], case["dropout"]]
        cells = [speed(case["peers"].get(name)) for name in names]
        rows.append([*setting, f"{case['floor']:.0f}", *cells, against(case["peers"])])
        memory.append([*setting, *(value(case["peers"].get(name), "peak_mb") for name in names)])
    return [
        "## Training",
        "Tokens per second, and the share of the arithmetic floor. All train the same LoRA tensors with AdamW, on the same "
        "float32 weights, records and targets; half of the tokens are in the loss. The floor is the time of the matrix "
        "products that training needs, at the speed of a 1024 × 1024 product in this run "
        "(`benchmarks/arithmetic.py`). \\* One step of one record, without a warm-up step.",
        table([*head, *names, f"{OURS} / next"], rows),
        "Peak memory, MB:",
        table([*head[:3], *names], memory),
    ]


def generation(cases: list[dict]) -> list[str]:
    names = peer_names(cases)
    rows = [
        [case["streams"], *(speed(case["peers"].get(name)) for name in names), against(case["peers"]), case.get("same", "")]
        for case in cases
    ]
    return [
        "## Generation",
        f"Greedy tokens per second, {cases[0]['tokens']} per stream, prompts included; torch with the adapter merged.",
        table(["streams", *names, f"{OURS} / next", "same texts"], rows),
    ]


def scoring(case: dict) -> list[str]:
    names = list(case["peers"])
    rows = [[case["records"], case["tokens"], *(speed(case["peers"][name]) for name in names), against(case["peers"])]]
    return [
        "## Scoring",
        "Tokens per second for the log-probabilities of records. Torch, too, computes logits only where they are needed.",
        table(["records", "tokens each", *names, f"{OURS} / next"], rows),
    ]


def busy(cases: list[dict]) -> list[str]:
    names = peer_names(cases)
    rows = []
    for case in cases:
        speeds = [(peer["idle"], peer["busy"]) for peer in case["peers"].values()]
        rows.append([case["what"], *(f"{idle:.0f}, {loaded:.0f} ({loaded / idle:.0%})" for idle, loaded in speeds)])
    return [
        "## On a busy machine",
        "Tokens per second, alone and beside one process that is never idle, and the share that is left. "
        "With two cores, a fair share is 67 to 75%.",
        table(["", *names], rows),
    ]


def stages(rows: list[dict]) -> str:
    return table(
        ["stage", "runs", "seconds", "share", "of processor time", "peak MB"],
        [
            [row["stage"], row["runs"], row["seconds"], f"{row['share']:.1%}", row["cpu_seconds"], row["peak_mb"]]
            for row in rows
        ],
    )


def peer_names(cases: list[dict]) -> list[str]:
    return list(dict.fromkeys(name for case in cases for name in case["peers"]))


def speed(peer: dict | None) -> str:
    if peer is None:
        return ""
    number = peer["tokens_per_second"]
    text = f"{number:.0f}" if number >= 10 else f"{number:.1f}"
    share = f" ({peer['share']:.0%})" if "share" in peer else ""
    return text + share + (" \\*" if "cold" in peer else "")


def value(peer: dict | None, key: str) -> str:
    return "" if peer is None else f"{peer[key]:.0f}"


def against(peers: dict[str, dict]) -> str:
    """Our speed, divided by that of the fastest other peer."""
    others = [peer["tokens_per_second"] for name, peer in peers.items() if name not in (OURS, OURS_BY_DEFAULT)]
    return f"{peers[OURS]['tokens_per_second'] / max(others):.2f}" if others and OURS in peers else ""


def listed(items: dict) -> str:
    return table(["", ""], [[key, item] for key, item in items.items()])


def table(head: list[str], rows: list[list]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
