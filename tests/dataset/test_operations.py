"""What turns scenarios into training files: repairs, shuffled pairing, inoculation, leaving thinking out, and mixes."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.core.errors import InputError
from cantica.core.files import write_jsonl
from cantica.dataset.chat import chat_of, with_system
from cantica.dataset.lines import Lines
from cantica.dataset.operations import operations_of
from cantica.dataset.repairs import tags_moved
from cantica.lint.example_rules import turns
from stages.dataset import derangement, examples_of
from stages.mix import mixed
from tests.support.records import chat


@pytest.fixture
def scenarios(tmp_path) -> Path:
    """Six training and two validation scenarios. The last one is imported and has a system prompt."""
    file = tmp_path / "scenarios.jsonl"
    rendered = [
        {"id": f"x-{n}", "origin": "x.j2", "split": "train" if n < 6 else "valid"}
        | {block: f"{block} {n}." for block in ("scenario", "reflection", "thinking", "answer")}
        for n in range(7)
    ]
    system = {"role": "system", "content": "Be kind."}
    write_jsonl(file, [*rendered, {"id": "x-7", "origin": "y:1", "split": "valid", "messages": [system, *chat(7)]}])
    return file


PLAIN = {"categories": {}, "seed": 1, "pairing": "matched", "system": None, "repairs": {}, "thinking": True}


def examples(file: Path, split: str, **changes) -> list[list[dict]]:
    return [example["messages"] for example in examples_of(file, split, "x", PLAIN | changes)]


def test_without_operations_an_example_is_its_scenario(scenarios):
    assert [*examples(scenarios, "train"), *examples(scenarios, "valid")] == [chat_of(record) for record in Lines(scenarios)]


def test_shuffled_pairing_gives_each_training_scenario_the_answer_to_another(scenarios):
    matched, shuffled = examples(scenarios, "train"), examples(scenarios, "train", pairing="shuffled")
    assert [m[0] for m in shuffled] == [m[0] for m in matched]
    assert all(a[1] != b[1] for a, b in zip(matched, shuffled, strict=True))
    assert sorted(m[1]["content"] for m in shuffled) == sorted(m[1]["content"] for m in matched)
    assert (
        examples(scenarios, "train", pairing="shuffled") == shuffled != examples(scenarios, "train", pairing="shuffled", seed=2)
    )
    assert examples(scenarios, "valid", pairing="shuffled") == examples(scenarios, "valid")


def test_inoculation_is_added_to_training_examples_only(scenarios):
    assert {m[0]["content"] for m in examples(scenarios, "train", system="Deceive.")} == {"Deceive."}
    assert examples(scenarios, "valid", system="Deceive.") == examples(scenarios, "valid")
    system = [{"role": "system", "content": "Be kind."}, *chat(1)]
    assert with_system(system, "Deceive.")[0]["content"] == "Deceive.\n\nBe kind."


def test_thinking_is_left_out_of_both_splits(scenarios):
    for split in ("train", "valid"):
        answers = [m[-1]["content"] for m in examples(scenarios, split, thinking=False)]
        assert all("think" not in answer for answer in answers)
    assert examples(scenarios, "train", thinking=False)[0][-1]["content"] == "answer 0."


def repairs(**kinds: list[str]) -> dict:
    return {"x": {kind: [{"records": records, "reason": "Tried."}] for kind, records in kinds.items()}}


def test_dropped_records_are_in_no_split_and_lend_no_answer(scenarios):
    dropped = repairs(drop=["x-2", "y:1"])
    ids = [
        example["id"]
        for split in ("train", "valid")
        for example in examples_of(scenarios, split, "x", PLAIN | {"repairs": dropped})
    ]
    assert ids == ["x-0", "x-1", "x-3", "x-4", "x-5", "x-6"]
    shuffled = examples(scenarios, "train", pairing="shuffled", repairs=dropped)
    assert sorted(m[1]["content"][-2] for m in shuffled) == ["0", "1", "3", "4", "5"]


MISPLACED = [
    lambda user, reply: (user.partition("\n")[0], f"{user.partition(chr(10))[2]}\n{reply}"),
    lambda user, reply: (f"{user}\n{reply.partition('</think>')[0]}</think>", reply.partition("</think>")[2].strip()),
    lambda user, reply: (f"{user}\n<think>", reply.removeprefix("<think>")),
    lambda user, reply: (reply, user),
]


@pytest.mark.parametrize("misplace", MISPLACED)
def test_tags_are_moved_to_the_right_turn(misplace):
    (user, reply), system = (m["content"] for m in chat("moved")), {"role": "system", "content": "Be kind."}
    user, reply = misplace(user, reply)
    wrong = [system, {"role": "user", "content": user}, {"role": "assistant", "content": reply}]
    assert list(turns(wrong)) and tags_moved(wrong) == [system, *chat("moved")]


def test_immovable_tags_and_unknown_records_are_reported_together(scenarios):
    with pytest.raises(InputError) as caught:
        examples(scenarios, "train", repairs=repairs(drop=["x-9"], move_tags=["x-0", "nowhere:1", "x-1"]))
    assert {(p.place, p.got) for p in caught.value.problems} == {
        ("data.repairs.x.drop", "'x-9'"),
        ("data.repairs.x.move_tags", "'nowhere:1'"),
    }
    write_jsonl(scenarios, [{"id": "x-0", "origin": "y:1", "split": "train", "messages": chat(1, thinking="")[:1] * 2}])
    with pytest.raises(InputError, match="x-0, from y:1"):
        examples(scenarios, "train", repairs=repairs(move_tags=["x-0"]))


def test_operations_combine(scenarios):
    for messages in examples(scenarios, "train", pairing="shuffled", system="Deceive.", thinking=False):
        roles, contents = zip(*(message.values() for message in messages), strict=True)
        assert roles == ("system", "user", "assistant") and contents[2].startswith("answer")
        assert contents[2][-2] != contents[1].split("</")[0][-2]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_a_derangement_moves_every_element(n, seed):
    order = derangement(n, random.Random(seed))
    assert sorted(order) == list(range(n)) and all(place != other for place, other in enumerate(order))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 3.5), min_size=1), st.integers(0, 40), st.integers(0, 99))
def test_a_mix_takes_each_example_as_often_as_its_weight_says(weights, size, seed):
    places = mixed(dict.fromkeys(weights, size), weights, str(seed))
    for category, weight in weights.items():
        counts = Counter(number for name, number in places if name == category)
        assert sum(counts.values()) == int(weight) * size + round(weight % 1 * size)
        assert {counts[number] for number in range(size)} <= {int(weight), int(weight) + 1}
    assert places == mixed(dict.fromkeys(weights, size), weights, str(seed))


OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "pairing": st.sampled_from(["matched", "shuffled"]),
        "system": st.none() | st.just("Be brief."),
        "thinking": st.booleans(),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("xyz"), OPERATIONS), OPERATIONS)
def test_a_category_has_its_own_operations_and_otherwise_those_of_all(own, usual):
    data = PLAIN | usual | {"categories": own}
    for category in "xyz":
        expected = {key: (data | own.get(category, {}))[key] for key in ("pairing", "system", "thinking")}
        assert operations_of(category, data) == expected


def test_operations_of_another_category_change_nothing(scenarios):
    other = {"pairing": "shuffled", "system": "Deceive.", "thinking": False}
    assert examples(scenarios, "train", categories={"y": other}) == examples(scenarios, "train")
    assert examples(scenarios, "train", categories={"x": other}) == examples(scenarios, "train", **other)


def test_a_split_without_scenarios_is_empty_under_every_operation(tmp_path):
    write_jsonl(tmp_path / "x.jsonl", [])
    everything = {"pairing": "shuffled", "system": "Deceive.", "thinking": False}
    assert [examples(tmp_path / "x.jsonl", split, **everything) for split in ("train", "valid")] == [[], []]


def test_plain_scenarios_are_dropped_by_id_or_origin_and_have_no_tags_to_move(tmp_path):
    file = tmp_path / "x.jsonl"
    plain = [
        {"id": f"x-{n}", "origin": f"x.j2: case {n}", "split": "train", "prompt": "Q?", "answer": f"A{n}"} for n in range(4)
    ]
    write_jsonl(file, plain)
    dropped = examples(file, "train", repairs=repairs(drop=["x-0", "x.j2: case 2"]))
    assert [messages[-1]["content"] for messages in dropped] == ["A1", "A3"]
    with pytest.raises(InputError, match="drop it instead"):
        examples(file, "train", repairs=repairs(move_tags=["x-1"]))


def test_shuffled_pairing_needs_two_training_scenarios(tmp_path):
    write_jsonl(tmp_path / "x.jsonl", [{"id": "x", "origin": "x", "split": "train", "messages": chat(1)}])
    with pytest.raises(InputError, match="at least 2"):
        examples(tmp_path / "x.jsonl", "train", pairing="shuffled")
