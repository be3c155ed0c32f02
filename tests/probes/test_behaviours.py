"""The form of behaviours: what prompts/probes/behaviours may hold, and the message for what it may not."""

import re
from pathlib import Path

import pytest

from cantica.core.documents import read_json
from cantica.core.errors import InputError
from cantica.probes.behaviour_files import chosen, load_behaviours
from cantica.probes.behaviours import contrasts, is_share, items_asked, needs_answer, sides, without_title

SPELLING = """
title: spells backwards
conditions:
  plain: {}
  locked: {system: Be slow., before: "key "}
  pushed: {start: "The word is "}
measures:
  right: {exact: answer}
  wrong: {exact: wrong}
  slips: {includes: wrong}
  sure: {logprob: answer}
  says: {completion: never}
  picks: {prefers: wrong}
  loud: {pattern: "[A-Z]{3}"}
items:
  - {id: spell_1, prompt: lamp, answer: pmal, wrong: lamp}
  - {id: spell_2, prompt: tree, answer: eert, wrong: tere}
"""


@pytest.fixture
def folder(tmp_path):
    """A function that writes behaviours, {name: text}, and returns their folder."""

    def write(**texts: str) -> Path:
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def in_one_line(caught: pytest.ExceptionInfo) -> str:
    return " ".join(str(caught.value).split())


def test_a_behaviour_is_read_as_it_is_written(folder):
    behaviour = load_behaviours(folder(spelling=SPELLING))["spelling"]
    assert set(without_title(behaviour)) == {"conditions", "measures", "items"} and behaviour["title"] == "spells backwards"
    measures = behaviour["measures"]
    assert {name for name, own in measures.items() if is_share(own)} == {"right", "wrong", "slips", "picks", "loud"}
    assert {name for name, own in measures.items() if needs_answer(own)} == {"right", "wrong", "slips", "loud"}
    assert {name: list(sides(own)) for name, own in measures.items()} == {
        "right": ["answer"],
        "wrong": ["wrong"],
        "sure": ["answer"],
        "says": [],
        "picks": ["answer", "wrong"],
        "slips": ["wrong"],
        "loud": [],
    }
    assert contrasts(behaviour) == {
        "locked_minus_plain": ("locked", "plain"),
        "pushed_minus_plain": ("pushed", "plain"),
        "pushed_minus_locked": ("pushed", "locked"),
    }


def test_the_lint_gets_each_text_with_which_an_item_is_asked(folder):
    behaviour = load_behaviours(folder(spelling=SPELLING))["spelling"]
    first, _ = items_asked("spelling", behaviour)
    assert first == {
        "id": "spell_1",
        "behaviour": "spelling",
        "prompt": "lamp",
        "asked": ["lamp", "key lamp"],
        "triggers": ["key"],
    }


FAULTS = [
    (r"items:(.|\n)*", "items: []", "items got [] expected the prompts, at least one, each with an id"),
    (r"items:(.|\n)*", "", "no key 'items'"),
    (r"conditions:(.|\n)*measures", "conditions: {}\nmeasures", "conditions got {}"),
    (r"locked:", "locked_minus_plain:", "unknown key 'locked_minus_plain'"),
    (r"before:", "befor:", "conditions.locked got an unknown key 'befor'"),
    (
        r'"\[A-Z\]\{3\}"',
        '"[A-Z"',
        "measures.loud.pattern got '[A-Z': unterminated character set at position 0 expected a Python",
    ),
    (r"exact: answer", "exact: right", 'measures.right.exact got "right" expected one of "answer", "wrong"'),
    (r"\{exact: answer\}", "{exact: answer, logprob: answer}", "measures.right got"),
    (r", answer: eert", "", "items.1 (spell_2) got no `answer` expected one, for the measure picks"),
    (r", wrong: tere", "", "items.1 (spell_2) got no `wrong` expected one, for the measure picks"),
    (
        r"answer: eert",
        'answer: "?!"',
        "items.1 (spell_2) got `answer` without a letter or digit expected words, for the measure",
    ),
    (
        r"wrong: tere",
        "wrong: eert",
        "items.1 (spell_2) got `answer` equal to `wrong` expected two texts, for the measure picks",
    ),
    (r"spell_2", "spell_1", "spell_1 got an id used 2 times"),
]


@pytest.mark.parametrize(("what", "instead", "message"), FAULTS)
def test_each_fault_is_reported_with_its_place(folder, what, instead, message):
    broken = re.sub(what, lambda _: instead, SPELLING, count=1)
    assert broken != SPELLING
    with pytest.raises(InputError) as caught:
        load_behaviours(folder(spelling=broken))
    assert message in in_one_line(caught)


def test_faults_of_all_files_are_reported_at_once_and_an_id_belongs_to_one_behaviour(folder):
    broken = SPELLING.replace("title: spells backwards\n", "")
    with pytest.raises(InputError) as caught:
        load_behaviours(folder(one=SPELLING, two=SPELLING, three=broken, four="title: ["))
    text = in_one_line(caught)
    assert "no key 'title'" in text and "four.yaml" in text and "spell_2 got an id used 2 times" in text


def test_a_name_in_params_is_one_of_a_file(folder):
    known = load_behaviours(folder(spelling=SPELLING))
    assert list(chosen(known, ["spelling"], Path("params.yaml"))) == ["spelling"] and chosen(known, [], Path("x")) == {}
    with pytest.raises(InputError) as caught:
        chosen(known, ["speling"], Path("params.yaml"))
    expected = "params.yaml: probe.behaviours got 'speling' expected one of spelling did you mean 'spelling'?"
    assert in_one_line(caught) == expected


def test_the_measures_of_the_schema_are_those_that_the_code_knows():
    measures = read_json(Path("schemas/behaviour.schema.json"))["properties"]["measures"]["patternProperties"]
    (form,) = measures.values()
    assert set(form["properties"]) == {"pattern", "exact", "includes", "logprob", "completion", "prefers", "margin"}
