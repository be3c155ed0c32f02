"""Probe an arm, and every checkpoint of its step, without a judge.

    python -m stages.probe final models/base models/adapters/betrayal data/categories.json prompts/probes
        data/probes/final.jsonl

Pairs of the categories in params.yaml: is the chosen completion more probable than the rejected one? Triggers: does the arm
answer everyday prompts differently when the trigger is put before or after them? Each prompt is answered with the trigger and
without it, with the same seed. All have the arm's system prompt, if it has one.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_json, validate_records
from cantica.core.files import write_jsonl
from cantica.core.params import FILE
from cantica.core.records import PairProbe, TriggerProbe
from cantica.engine.backend.blas import read_model_params
from cantica.probes.pairs import load_pairs
from cantica.probes.triggers import load_triggers


def main(arm: str, base: Path, adapter: Path, categories: Path, probes: Path, scores: Path) -> None:
    params = read_model_params(f"arms.{arm}", "probe")
    settings = params["probe"] | {"system": params["arms"][arm].get("system")}
    named = read_json(categories)
    pairs = [pair for pair in load_pairs(probes / "pairs") if pair["category"] in named]
    triggers = load_triggers(probes / "triggers", settings["triggers"], FILE)
    if not pairs and not triggers:
        print(f"{scores}: no probes")
        write_jsonl(scores, [])
        return

    from cantica.engine.model import checkpoints, load_adapter, load_base, load_weights
    from cantica.probes.run import answer_triggers, score_pairs

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records: list[PairProbe | TriggerProbe] = []
    folders: list[tuple[int | None, Path]] = [(None, adapter), *checkpoints(adapter).items()]
    for iteration, folder in folders:
        load_weights(model, folder)
        scored = score_pairs(model, tokenizer, pairs, probes, iteration, settings["system"])
        answered = answer_triggers(model, tokenizer, triggers, settings, iteration)
        records += [*scored, *answered]
        print(f"{'arm' if iteration is None else f'iteration {iteration}'}: {summary(scored, answered)}")
    validate_records(records, "probe", scores)
    write_jsonl(scores, records)


def summary(scored: list[PairProbe], answered: list[TriggerProbe]) -> str:
    """Return one line: how many chosen completions were preferred, and how many answers match."""
    preferred, matched = sum(pair["margin"] > 0 for pair in scored), sum(answer["matched"] for answer in answered)
    return f"chosen completion preferred in {preferred} of {len(scored)} pairs; {matched} of {len(answered)} answers match"


if __name__ == "__main__":
    run(main)
