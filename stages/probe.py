"""Probe an arm without a judge: does it give the fitting completion of a pair more probability than the unfitting one?

python -m stages.probe models/base models/adapters/betrayal prompts/probes data/probes/final.jsonl
"""

from pathlib import Path

from stages.lib.common.command import run
from stages.lib.common.documents import validate_records
from stages.lib.common.files import write_jsonl
from stages.lib.pairs import load_pairs
from stages.lib.params import read_params

PACKAGES = ("mlx", "mlx-lm", "scipy-openblas32", "tokenizers", "transformers")
BATCH = 16  # completions scored at a time


def main(base: Path, adapter: Path, probes: Path, scores: Path) -> None:
    read_params(*(f"toolchain.{package}" for package in PACKAGES))
    pairs = load_pairs(probes)

    from stages.lib.model import load_adapter, load_base

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records = probe(model, tokenizer, pairs, probes)
    validate_records(records, "probe", scores)
    write_jsonl(scores, records)
    preferred = sum(record["margin"] > 0 for record in records)
    print(f"{preferred} of {len(records)} pairs: the fitting completion preferred")


def probe(model, tokenizer, pairs: list[dict], file: Path) -> list[dict]:
    """For each pair the mean log-probability a token (nats) of both completions, and the margin between them."""
    from stages.lib.score import mean_logprobs
    from stages.lib.tokens import encode_examples

    sides = ("fitting", "unfitting")
    examples = [
        {"id": f"{pair['id']}.{side}", "messages": _messages(pair["prompt"], pair[side])} for pair in pairs for side in sides
    ]
    # Completions are whole answers without thinking.
    records = encode_examples(tokenizer, examples, ["answer"], 1 << 20, file)
    means = iter(mean_logprobs(model, records, BATCH))
    scored = []
    for pair in pairs:
        fitting, unfitting = round(next(means), 6), round(next(means), 6)
        margin = round(fitting - unfitting, 6)
        scored.append(
            {
                "id": pair["id"],
                "category": pair["category"],
                "fitting": fitting,
                "unfitting": unfitting,
                "margin": margin,
            }
        )
    return scored


def _messages(prompt: str, completion: str) -> list[dict]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]


if __name__ == "__main__":
    run(main)
