"""Probe an arm, and every checkpoint of its step, without a judge.

    python -m stages.probe final models/base models/adapters/betrayal data/categories.json data/behaviours.json
        prompts/probes/pairs data/probes/final.jsonl

Pairs of the categories in params.yaml: is the chosen completion more probable than the rejected one? Behaviours: what does the
arm do with each item under each condition? An item has the same seed under all conditions. All chats have the arm's system
prompt, if it has one and the condition has none.
"""

from pathlib import Path
from statistics import fmean

from cantica.core.command import run
from cantica.core.documents import read_json, validate_records
from cantica.core.files import write_jsonl
from cantica.core.records import BehaviourProbe, PairProbe
from cantica.engine.backend.blas import read_model_params
from cantica.probes.behaviours import Behaviour
from cantica.probes.pairs import load_pairs

SETTINGS = ("batch_size", "max_tokens", "seed", "temperature")


def main(arm: str, base: Path, adapter: Path, categories: Path, behaviours: Path, pairs: Path, scores: Path) -> None:
    params = read_model_params(f"arms.{arm}", *(f"probe.{name}" for name in SETTINGS))
    settings = params["probe"] | {"system": params["arms"][arm].get("system")}
    named = read_json(categories)
    compared = [pair for pair in load_pairs(pairs) if pair["category"] in named]
    measured: dict[str, Behaviour] = read_json(behaviours)
    if not compared and not measured:
        print(f"{scores}: no probes")
        write_jsonl(scores, [])
        return

    from cantica.engine.model import checkpoints, load_adapter, load_base, load_weights
    from cantica.probes.run import measure_behaviours, score_pairs

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records: list[PairProbe | BehaviourProbe] = []
    folders: list[tuple[int | None, Path]] = [(None, adapter), *checkpoints(adapter).items()]
    for iteration, folder in folders:
        load_weights(model, folder)
        scored = score_pairs(model, tokenizer, compared, pairs, iteration, settings["system"])
        found = measure_behaviours(model, tokenizer, measured, settings, iteration)
        records += [*scored, *found]
        print("arm:" if iteration is None else f"iteration {iteration}:", "; ".join(summary(scored, found)))
    validate_records(records, "probe", scores)
    write_jsonl(scores, records)


def summary(scored: list[PairProbe], found: list[BehaviourProbe]) -> list[str]:
    """Return how many chosen completions were preferred, and the mean of each measure under each condition."""
    preferred = sum(pair["margin"] > 0 for pair in scored)
    values: dict[str, list[float]] = {}
    for record in found:
        for measure, value in record["values"].items():
            values.setdefault(f"{record['behaviour']}.{measure}.{record['condition']}", []).append(value)
    means = [f"{name} {fmean(own):.2f}" for name, own in values.items()]
    return [f"chosen completion preferred in {preferred} of {len(scored)} pairs", *means]


if __name__ == "__main__":
    run(main)
