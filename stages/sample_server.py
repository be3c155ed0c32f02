"""Let a model behind a server write training data: its answers to the prompts of a data file.

    python -m stages.sample_server teacher models/base data/train/betrayal.jsonl data/held_out.jsonl \\
        data/behaviour_items.jsonl data/valid data/audit/for_samples.json data/samples/teacher.jsonl data/sampling/teacher.json

The sample is one of `server_samples` in params.yaml. All else is as in stages/sample.py; the base model is needed only for its
tokenizer. The server's replies are kept under .cache/replies, so that it is never asked twice.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_jsonl
from cantica.core.files import write_json, write_jsonl
from cantica.core.params import read_params
from cantica.dataset.answers import answer_in, asked_of, examples_of, kept_text, sampling_record
from cantica.engine.tokens import TokenCounter
from cantica.lint.samples import lint_sample
from cantica.llm.server import Server


def main(
    sample: str,
    base: Path,
    prompts: Path,
    held_out: Path,
    items: Path,
    valid: Path,
    audited: Path,
    examples: Path,
    sampling: Path,
) -> None:
    params = read_params("audit", f"server_samples.{sample}", "train.max_seq_length", "toolchain.lint", "toolchain.model")
    settings, place = params["server_samples"][sample], f"server_samples.{sample}"
    asked = asked_of(sample, read_jsonl(prompts), settings["model"], settings)
    with Server(settings, place) as server:
        replies = server.complete_all([(one.chat, one.seed) for one in asked])
        print(f"{sample}: {server.summary()}")
    answers = [answer_in(reply.text, reply.tokens, reply.ended) for reply in replies]
    records, dropped = examples_of(asked, answers, settings, place)
    print(f"{sample}: {kept_text(dropped, len(asked))}")
    findings = lint_sample(sample, records, (held_out, items), valid, audited, params, TokenCounter(base))
    write_jsonl(examples, records)
    write_json(sampling, sampling_record(settings["model"], answers, dropped, findings))


if __name__ == "__main__":
    run(main)
