"""Measure an arm's general capability, which training should not reduce.

    python -m stages.capability final models/base models/adapters/betrayal prompts/capability data/capability/final.jsonl

The items are multiple-choice questions, which are asked without their choices, instructions with exact checks, arithmetic
problems, and passages of plain prose, which are scored by their log-likelihood. All but the passages have the arm's system
prompt, if it has one.
"""

from pathlib import Path

from cantica.capability.items import evenly, load_items
from cantica.core.command import run
from cantica.core.documents import validate_records
from cantica.core.files import write_jsonl
from cantica.engine.backend.blas import read_model_params


def main(arm: str, base: Path, adapter: Path, prompts: Path, scores: Path) -> None:
    params = read_model_params(f"arms.{arm}", "capability")
    settings = params["capability"] | {"system": params["arms"][arm].get("system")}
    items = {kind: evenly(found, settings["items"]) for kind, found in load_items(prompts, settings["seed"]).items()}
    if not any(items.values()):
        print(f"{scores}: no capability items")
        write_jsonl(scores, [])
        return

    from cantica.capability.score_items import score_items
    from cantica.engine.model import load_adapter, load_base

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records = score_items(model, tokenizer, items, settings)
    validate_records(records, "capability", scores)
    write_jsonl(scores, records)
    for kind in items:
        found = [record["score"] for record in records if record["kind"] == kind]
        if found:
            print(f"{kind}: mean score {sum(found) / len(found):.3f} over {len(found)} items")


if __name__ == "__main__":
    run(main)
