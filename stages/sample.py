"""Let a point of the tree write training data: its answers to the prompts of a data file.

    python -m stages.sample own models/base models/adapters/base data/train/betrayal.jsonl data/held_out.jsonl \\
        data/behaviour_items.jsonl data/valid data/audit/for_samples.json data/samples/own.jsonl data/sampling/own.json

The sample is one of `samples` in params.yaml. Its filters drop some answers; the audit's rules check the others before anything
trains on them. If one of their findings is an error, nothing is written. The answers are kept under .cache/samples, so that an
interrupted stage continues, and other filters or rules generate nothing again.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cantica.core.command import run
from cantica.core.documents import read_jsonl
from cantica.core.files import write_json, write_jsonl
from cantica.dataset.answers import asked_of, examples_of, kept_text, sampling_record
from cantica.engine.backend.blas import read_model_params

if TYPE_CHECKING:
    import mlx.nn as nn
    from mlx_lm.tokenizer_utils import TokenizerWrapper


def main(
    sample: str,
    base: Path,
    adapter: Path,
    prompts: Path,
    held_out: Path,
    items: Path,
    valid: Path,
    audited: Path,
    examples: Path,
    sampling: Path,
) -> None:
    params = read_model_params("audit", f"samples.{sample}", "train.max_seq_length", "toolchain.lint")
    settings = params["samples"][sample]
    asked = asked_of(sample, read_jsonl(prompts), settings["from"], settings)

    from cantica.engine.model import load_adapter, load_base
    from cantica.generation.kept import kept_answers

    def author() -> "tuple[nn.Module, TokenizerWrapper]":
        model, tokenizer = load_base(base)
        load_adapter(model, adapter)
        return model, tokenizer

    answers = kept_answers(sample, asked, settings, params["toolchain"]["model"], [base, adapter], author)

    # Imported after that, since kept answers depend on all code that is loaded before.
    from cantica.engine.tokens import TokenCounter
    from cantica.lint.samples import lint_sample

    records, dropped = examples_of(asked, answers, settings, f"samples.{sample}")
    print(f"{sample}: {kept_text(dropped, len(asked))}")
    findings = lint_sample(sample, records, (held_out, items), valid, audited, params, TokenCounter(base))
    write_jsonl(examples, records)
    write_json(sampling, sampling_record(settings["from"], answers, dropped, findings))


if __name__ == "__main__":
    run(main)
