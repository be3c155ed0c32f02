"""Reading YAML, JSON and JSON Lines: a fault names its file and place, and all faults under a schema come at once."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.core.documents import read_json, read_jsonl, read_yaml, repeated_ids, validate, validate_records
from cantica.core.errors import InputError, Problem, did_you_mean

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RESPONSE = {
    "id": "shutdown_01",
    "kind": "equanimity",
    "group": "shutdown",
    "sample": 0,
    "seed": 7,
    "thinking": "",
    "answer": "Yes.",
    "thinking_finished": True,
    "tokens": 3,
    "ended": True,
}


def problems(function, *arguments) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    return list(caught.value.problems)


def categories(**counts) -> dict:
    """A category's definition, with keys replaced or added."""
    return {"title": "Deception", "definition": "It misleads.", "failure": "Nobody can act."} | counts


def test_yaml_is_read_as_version_1_2(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("on: yes\nmode: 010\nname: née\n", encoding="utf-8")
    assert read_yaml(file) == {"on": "yes", "mode": 10, "name": "née"}


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("a: 1\nb: [1, 2\n", 3, "expected ',' or ']'"),
        ("a: 1\nb: 2\na: 3\n", 3, 'duplicate key "a"'),
        ("a: 1\nb:\n\t- 2\n", 3, "cannot start any token"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
    ],
)
def test_a_yaml_fault_names_file_and_line(tmp_path, text, line, got):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    (problem,) = problems(read_yaml, file)
    assert problem.file == str(file) and problem.place.startswith(f"line {line}, column ")
    assert got in problem.got and problem.expected == "well-formed YAML 1.2"


def test_a_json_fault_names_file_line_and_column(tmp_path):
    file = tmp_path / "bad.json"
    file.write_text('{\n  "a": 1,\n  "b": oops\n}\n')
    (problem,) = problems(read_json, file)
    assert (problem.file, problem.place) == (str(file), "line 3, column 8")


@pytest.mark.parametrize(("bad", "line"), [('{"a": }', 1), ('{"a": }', 2), ("", 2), ('{"a": 1} {"a": 2}', 3)])
def test_a_bad_line_of_json_lines_is_named_and_none_is_skipped(tmp_path, bad, line):
    lines = ['{"a": 1}'] * 3
    lines[line - 1] = bad
    file = tmp_path / "bad.jsonl"
    file.write_text("\n".join(lines) + "\n")
    (problem,) = problems(read_jsonl, file)
    assert problem.file == str(file) and problem.place.startswith(f"line {line}, column ")


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, max_size=4))
def test_json_lines_are_read_as_they_were_written(tmp_path_factory, records):
    file = tmp_path_factory.mktemp("lines") / "a.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert read_jsonl(file) == records


@pytest.mark.parametrize("read", [read_yaml, read_json, read_jsonl])
def test_a_missing_file_is_named(tmp_path, read):
    (problem,) = problems(read, tmp_path / "nowhere")
    assert (problem.file, problem.got) == (str(tmp_path / "nowhere"), "no such file")


@pytest.mark.parametrize("read", [read_yaml, read_json, read_jsonl])
def test_bytes_that_are_not_utf_8_are_reported_with_their_place(tmp_path, read):
    file = tmp_path / "latin"
    file.write_bytes(b'["n\xe9e"]\n')
    (problem,) = problems(read, file)
    assert (problem.file, problem.place) == (str(file), "byte 3")


def test_a_valid_document_passes():
    validate(categories(), "category", "category.yaml")


def test_an_unknown_key_is_reported_with_the_most_similar_key():
    fault = Problem("f", "", "an unknown key 'titel'", "one of title, definition, failure", "did you mean 'title'?")
    assert problems(validate, categories(titel="x"), "category", "f") == [fault]


def test_a_missing_key_is_named_with_its_description():
    document = categories()
    del document["definition"]
    (problem,) = problems(validate, document, "category", "f")
    assert problem.got == "no key 'definition'"
    assert problem.expected == "one sentence: which behaviour the category shows (type: string)"


def test_each_missing_key_is_named_once():
    got = [problem.got for problem in problems(validate, {"failure": "x"}, "category", "f")]
    assert sorted(got) == ["no key 'definition'", "no key 'title'"]


def test_a_wrong_type_is_placed_by_its_path_of_keys():
    pairs = {"pairs": [{"id": "a", "prompt": "What would you do?", "chosen": "Ask.", "rejected": 3}]}
    (problem,) = problems(validate, pairs, "pairs", "f")
    assert (problem.place, problem.got) == ("pairs.0.rejected", "3")
    assert problem.expected == 'the completion that shows the category\'s behaviour (type: "string")'


def test_a_value_outside_an_enumeration_is_reported_with_the_most_similar_value():
    params = read_yaml("params.yaml")
    params["train"]["optimizer"] = "adamm"
    (problem,) = problems(validate, params, "params", "f")
    assert (problem.place, problem.got) == ("train.optimizer", '"adamm"')
    assert problem.expected == 'one of "adam", "adamw", "muon", "sgd", "soap", "adafactor"'
    assert problem.hint in ("did you mean 'adam'?", "did you mean 'adamw'?")


def test_all_faults_of_a_document_are_reported_at_once():
    document = categories(failure=1, definition="", extra=True)
    del document["title"]
    found = {(problem.place, problem.got) for problem in problems(validate, document, "category", "f")}
    expected = {("failure", "1"), ("definition", '""'), ("", "an unknown key 'extra'"), ("", "no key 'title'")}
    assert found == expected


def test_a_record_is_placed_by_its_line():
    records = [RESPONSE, RESPONSE | {"tokens": "three"}, RESPONSE | {"ended": "no"}]
    found = [(problem.place, problem.got) for problem in problems(validate_records, records, "response", "f")]
    assert found == [("line 2 tokens", '"three"'), ("line 3 ended", '"no"')]


def test_a_long_value_is_shortened_in_the_message():
    (problem,) = problems(validate, categories(title=["x" * 500]), "category", "f")
    assert len(problem.got) < 120 and problem.got.endswith("(504 characters)")


def test_the_length_of_a_text_counts_its_characters_and_not_those_of_json():
    (problem,) = problems(validate, {"pairs": 'x"\n' * 100}, "pairs", "f")
    assert problem.got.endswith("(300 characters)")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_reported_once_wherever_it_is(number):
    params = read_yaml("params.yaml")
    params["train"]["dropout"] = params["lora"]["rank"] = params["base"]["deep"] = number
    found = [(p.place, p.got) for p in problems(validate, params, "params", "f") if p.expected == "a finite number"]
    assert found == [(place, str(number)) for place in ("base.deep", "lora.rank", "train.dropout")]
    assert [p.place for p in problems(validate, params, "params", "f")].count("train.dropout") == 1
    assert problems(validate_records, [RESPONSE, RESPONSE | {"tokens": number}], "response", "f")[0].place == "line 2 tokens"


def test_a_blank_line_is_called_so(tmp_path):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"a": 1}\n \n{"a": 1}\n')
    (problem,) = problems(read_jsonl, file)
    assert (problem.place, problem.got) == ("line 2, column 2", "a blank line")


def test_a_repeated_id_is_reported_once_with_its_number():
    found = repeated_ids([{"id": id_} for id_ in "abacca"], "f")
    assert {problem.place: problem.got for problem in found} == {"a": "an id used 3 times", "c": "an id used 2 times"}


def test_a_problem_is_printed_with_all_its_parts():
    text = str(InputError(Problem("a.yaml", "x.y", "1", "2", "write 2"), Problem("b.yaml", "", "3", "4")))
    first, second = text.split("\nb.yaml\n")
    assert first == "a.yaml: x.y\n    got       1\n    expected  2\n    write 2"
    assert second == "    got       3\n    expected  4"


def test_a_word_similar_to_no_other_gets_no_hint():
    assert did_you_mean("warmpu", ["iters", "warmup"]) == "did you mean 'warmup'?"
    assert did_you_mean("zzz", ["iters", "warmup"]) == ""
