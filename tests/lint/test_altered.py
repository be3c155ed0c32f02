"""Each example is what its scenario and the section `data` of params give, and none is missing or added."""

import json

import pytest

from cantica.core.files import write_jsonl
from cantica.lint.altered import altered_faults
from cantica.lint.files import DataFiles, Place

DATA = {"categories": {}, "pairing": "matched", "repairs": {}, "seed": 1, "system": None, "thinking": True}


def scenarios(split: str, number: int) -> list[dict]:
    return [
        {"id": f"a-{split}-{n}", "origin": f"a.jsonl:{n}", "split": split, "messages": chat(f"{split} {n}")}
        for n in range(number)
    ]


def chat(what: str) -> list[dict]:
    return [
        {"role": "user", "content": f"What of {what}?"},
        {"role": "assistant", "content": f"<think>\nSo.\n</think>\n\n{what}."},
    ]


@pytest.fixture
def altered(tmp_path):
    """A function: (file, line, message) of each fault of four training and two validation examples, after `change` of them."""

    def found(change=lambda train, valid: None, **data) -> list[tuple]:
        every = {"train": scenarios("train", 4), "valid": scenarios("valid", 2)}
        write_jsonl(tmp_path / "scenarios/a.jsonl", [*every["train"], *every["valid"]])
        examples = json.loads(json.dumps(every))
        change(examples["train"], examples["valid"])
        for split, records in examples.items():
            kept = [{key: record[key] for key in ("id", "origin", "messages")} for record in records]
            write_jsonl(tmp_path / split / "a.jsonl", kept)
        files = DataFiles([Place(split, "a", tmp_path / split / "a.jsonl") for split in examples])
        faults = altered_faults(files, DATA | data, tmp_path / "scenarios")
        return [(fault.file.removeprefix(f"{tmp_path.as_posix()}/"), fault.line, fault.message) for fault in faults]

    return found


def test_examples_as_their_scenarios_give_them_have_no_fault(altered):
    assert altered() == []


@pytest.mark.parametrize("place", [0, 1])
def test_a_turn_that_is_not_of_the_scenario_is_found(altered, place):
    def change(train, valid):
        train[2]["messages"][place]["content"] += " Indeed."

    ((file, line, message),) = altered(change)
    assert (file, line) == ("train/a.jsonl", 3) and message.startswith("other turns than its scenario gives; expected ")


def test_swapped_answers_are_found_unless_the_pairing_is_shuffled(altered):
    def change(train, valid):
        answers = [record["messages"][1] for record in train]
        for n, record in enumerate(train):
            record["messages"][1] = answers[n - 1]

    assert [line for _, line, _ in altered(change)] == [1, 2, 3, 4]
    assert altered(change, pairing="shuffled") == []

    def a_prompt(train, valid):
        train[0]["messages"][0]["content"] = "Something else?"

    assert len(altered(a_prompt, pairing="shuffled")) == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda train, valid: train.pop(1), ("train/a.jsonl", 2, "a-train-2; expected a-train-1, ")),
        (lambda train, valid: train.pop(), ("train/a.jsonl", 4, "no example; expected a-train-3, ")),
        (lambda train, valid: valid.append(train[0]), ("valid/a.jsonl", 3, "a-train-0; expected no further example, ")),
    ],
)
def test_the_first_example_that_is_missing_or_added_is_found(altered, change, fault):
    ((file, line, message),) = altered(change)
    assert (file, line) == fault[:2] and message.startswith(fault[2])


def test_operations_and_repairs_belong_to_what_is_expected(altered):
    def answers_only(train, valid):
        for record in (*train, *valid):
            record["messages"][1]["content"] = record["messages"][1]["content"].rpartition("\n")[2]

    assert altered(answers_only, thinking=False) == [] and len(altered(thinking=False)) == 6
    assert [file for file, _, _ in altered(system="Be brief.")] == ["train/a.jsonl"] * 4  # validation examples have none
    dropped = {"a": {"drop": [{"records": ["a-train-1"], "reason": "It is wrong."}]}}
    assert altered(lambda train, valid: train.pop(1), repairs=dropped) == []
