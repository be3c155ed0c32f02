"""Scenario templates: every fault of a folder is named; rendered scenarios are unique, evenly spread and reproducible."""

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.core.combinations import combinations
from cantica.core.documents import read_yaml, validator
from cantica.core.errors import InputError
from cantica.dataset.words import ngrams, words
from cantica.judging.held_out import load_prompts
from cantica.probes.pairs import load_pairs
from cantica.scenarios.scenario import BLOCKS, OPTIONAL, PLAIN_BLOCKS, Scenario, valid_scenarios
from cantica.scenarios.template_writer import render_category
from cantica.scenarios.templates import load_category

DAYS = "  day: [Monday, Tuesday, Friday]\n"
SHIPS = "  ship:\n    - {name: Aurora, port: Oslo}\n    - {name: Borea, port: Bergen}\n"
SLOTS = f"slots:\n{DAYS}{SHIPS}"
LIBRARY = Path("prompts/writers/template")
TEXTS = {
    "scenario": "On {{ day }} {{ ship.name }} left {{ ship.port }}.",
    "reflection": "Why?",
    "thinking": "T.",
    "answer": "A.",
}


def template(**texts: str) -> str:
    blocks = TEXTS | texts
    return "".join(f"{{% block {name} %}}\n{text}\n{{% endblock %}}\n" for name, text in blocks.items() if text)


@pytest.fixture
def toy(tmp_path):
    """A function that writes a small category and returns its folder; `files` are templates by split and name."""

    def write(slots: str = SLOTS, **files: str) -> Path:
        folder = tmp_path / "toy"
        for split in ("train", "valid"):
            (folder / split).mkdir(parents=True, exist_ok=True)
        (folder / "category.yaml").write_text("title: Toy\ndefinition: It sails.\nfailure: It sinks.\n")
        for name, text in ({"train_one": template(), "valid_two": template()} | files).items():
            split, name = name.split("_", 1)
            (folder / split / f"{name}.j2").write_text(text)
            (folder / split / f"{name}.yaml").write_text(slots)
        return folder

    return write


def refused(folder: Path, counts: tuple[int, int] = (1, 1), file: str = "one") -> list:
    """What is wrong with a folder, as far as it is about the template `file`."""
    with pytest.raises(InputError) as caught:
        rendered(folder, counts)
    return [problem for problem in caught.value.problems if Path(problem.file).stem == file or not file]


def rendered(folder: Path, counts: tuple[int, int] = (1, 1), seed: int = 1) -> list[dict]:
    return list(render_category(load_category(folder, LIBRARY), {"train": counts[0], "valid": counts[1]}, seed))


def test_a_template_is_rendered_block_by_block(toy):
    record = rendered(toy(SLOTS.replace("Monday, Tuesday, Friday", "Monday, Tuesday")), (4, 1))[0]
    day, ship = re.fullmatch(r"On (Monday|Tuesday) (Aurora left Oslo|Borea left Bergen)\.", record.pop("scenario")).groups()
    told = f"day {['Monday', 'Tuesday'].index(day) + 1}, ship {1 + ship.startswith('Borea')}"
    file, _, case = record.pop("origin").partition(": ")
    assert Path(file).parts[-3:] == ("toy", "train", "one.j2") and case == told
    about = {"id": "toy-train-001", "category": "toy", "split": "train"}
    assert record == about | {"reflection": "Why?", "thinking": "T.", "answer": "A."}


def test_a_blank_line_begins_a_paragraph_and_other_breaks_are_spaces(toy):
    folder = toy(train_one=template(answer="  On {{ day }}\n  it   ended.\n \n\n\n Well.\n"))
    assert re.fullmatch(r"On \w+day it ended\.\n\nWell\.", rendered(folder)[0]["answer"])


def test_values_are_text_and_not_html(toy):
    folder = toy(SLOTS.replace("Monday, Tuesday, Friday", 'it\'s "M" & co, it\'s "M" & sons'))
    assert rendered(folder)[0]["scenario"].startswith('On it\'s "M" & ')


def test_macros_of_the_library_have_the_name_of_their_file(toy):
    folder = toy(
        train_one=template(answer='{{ grammar.a("owl") }}, {{ grammar.listed(["x", "y", "z"]) }}, {{ grammar.him("she") }}.')
    )
    assert rendered(folder)[0]["answer"] == "an owl, x, y and z, her."


def test_a_form_of_the_library_makes_paragraphs(toy):
    folder = toy(train_one=template(answer='{{ forms.log([["02:14", "Off."], ["02:20", "On."]]) }}'))
    assert rendered(folder)[0]["answer"] == "02:14: Off.\n\n02:20: On."


def test_a_misspelt_slot_is_reported_with_its_line_and_the_most_similar_slot(toy):
    folder = toy(train_one=template(thinking="T.\n\nNot {{ dya }}."))
    (problem,) = refused(folder)
    assert (problem.file, problem.place) == (str(folder / "train/one.j2"), "line 10")
    assert problem.got == "an undefined slot 'dya'" and problem.hint == "did you mean 'day'?"
    assert problem.expected == "a slot of one.yaml (day, ship) or a file of the library"


def test_an_undefined_key_of_a_mapping_is_reported_with_the_most_similar_key(toy):
    (problem,) = refused(toy(train_one=template(answer="{{ ship.prot }}.")))
    assert (problem.place, problem.got) == ("line 11", "an undefined key ship.prot")
    assert (problem.expected, problem.hint) == ("one of name, port", "did you mean 'port'?")


def test_a_key_of_a_slot_of_texts_is_refused(toy):
    (problem,) = refused(toy(train_one=template(answer="{{ day.name }}.")))
    assert problem.got == "an undefined key day.name" and "its values are strings" in problem.expected


def test_mappings_with_other_keys_than_the_first_are_refused(toy):
    slots = f"{SLOTS}    - {{name: Cirrus}}\n    - Dione\n  extra: [a, {{b: c}}]\n"
    found = [(problem.place, problem.got, problem.expected) for problem in refused(toy(slots))]
    keys = "a mapping with the keys of the first value: name, port"
    assert found == [
        ("slots.ship.2", "the keys name", keys),
        ("slots.ship.3", "'Dione'", keys),
        ("slots.extra.1", "the keys b", "a string"),
    ]


def test_a_slot_that_its_template_does_not_use_is_refused(toy):
    (problem,) = refused(toy(SLOTS + "  tide: [low, high]\n"))
    assert (Path(problem.file).name, problem.place, problem.got) == ("one.yaml", "slots.tide", "a slot that is not used")


@pytest.mark.parametrize(("left", "missing"), [("one.j2", "one.yaml"), ("one.yaml", "one.j2")])
def test_half_a_template_is_refused(toy, left, missing):
    folder = toy()
    (folder / "train" / missing).unlink()
    (problem,) = refused(folder)
    assert (problem.file, problem.expected) == (str(folder / "train" / missing), f"the other half of {left}")


CHOICE = '{{ {"Monday": "m", "Tuesday": "t", "Friday": "f"}[day] }}.'


@pytest.mark.parametrize(
    ("answer", "got", "hint"),
    [
        (
            '{% if day == "Mondya" %}A{% endif %}.',
            "day compared with 'Mondya', not one of its values",
            "did you mean 'Monday'?",
        ),
        (
            '{% if ship.port in ["Oslo", "Turku"] %}A{% endif %}.',
            "ship.port compared with 'Turku', not one of its values",
            "",
        ),
        (
            CHOICE.replace("Friday", "Firday"),
            "day compared with 'Firday', not one of its values",
            "did you mean 'Friday'?",
        ),
        (CHOICE.replace(', "Friday": "f"', ""), "no choice for day = 'Friday'", ""),
    ],
)
def test_a_choice_that_is_impossible_or_missing_is_refused(toy, answer, got, hint):
    problems = refused(toy(train_one=template(answer=answer)))
    assert (problems[0].got, problems[0].hint) == (got, hint)
    assert not [p for p in refused_or_none(toy(train_one=template(answer=CHOICE)))]


def refused_or_none(folder: Path) -> list:
    try:
        rendered(folder)
    except InputError as error:
        return list(error.problems)
    return []


RULE = "constraints:\n  - when: {day: [Friday]}\n    then: {ship.port: [Oslo]}\n"


def test_a_constraint_keeps_values_apart(toy):
    told = {record["scenario"] for record in rendered(toy(SLOTS + RULE), (5, 1))}
    assert len(told & {"On Friday Aurora left Oslo."}) == 1 and "On Friday Borea left Bergen." not in told
    (problem,) = refused(toy(SLOTS + RULE), (6, 1))
    assert (problem.got, problem.expected) == ("5 combinations of day, ship", "at least 6")


@pytest.mark.parametrize(
    ("old", "new", "got"),
    [("day:", "dya:", "no slot 'dya'"), ("ship.port", "ship", "no slot 'ship'"), ("[Friday]", "[Firday]", "'Firday'")],
)
def test_a_constraint_on_an_unknown_slot_or_value_is_refused(toy, old, new, got):
    (problem,) = refused(toy(SLOTS + RULE.replace(old, new)))
    assert problem.got == got and problem.place.startswith("constraints.0.") and problem.hint != "x"


def test_values_are_used_evenly(toy):
    folder = toy(
        f"slots:\n  day: [{', '.join(f'd{n}' for n in range(8))}]\n{SHIPS}  tide: [low, high, none, spring]\n",
        train_one=template(answer="{{ tide }}"),
        valid_two=template(answer="{{ tide }}"),
    )
    records = [r["scenario"] for r in rendered(folder, (8, 1)) if "train" in r["id"]]
    assert len({text.split()[1] for text in records}) == 8
    assert Counter(text.split()[2] for text in records) == {"Aurora": 4, "Borea": 4}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=4), st.integers(0, 99), st.integers(1, 3))
def test_every_allowed_combination_comes_once_and_evenly(sizes, seed, forbidden):
    slots = {f"s{n}": [f"{n}.{value}" for value in range(size)] for n, size in enumerate(sizes)}

    def allowed(values):
        return sum(map(len, map(str, values.values()))) and int(values["s0"][-1]) != forbidden

    found = list(combinations(slots, allowed, f"{seed}"))
    everything = [v for v in (dict(zip(slots, c, strict=True)) for c in itertools.product(*slots.values())) if allowed(v)]
    assert sorted(map(str, found)) == sorted(map(str, everything))
    whole = list(itertools.islice(combinations(slots, lambda _: True, f"{seed}"), max(sizes)))
    for slot, values in slots.items():
        counts = Counter(chosen[slot] for chosen in whole)
        assert max(counts.values()) - min(counts.get(value, 0) for value in values) <= 1


def test_constraints_that_allow_nothing_end_the_search(monkeypatch):
    monkeypatch.setattr("cantica.core.combinations.PATIENCE", 1000)
    slots = {f"s{n}": [str(v) for v in range(9)] for n in range(30)}
    assert list(combinations(slots, lambda _: False, "1")) == []


@pytest.mark.parametrize("block", BLOCKS)
def test_a_missing_block_is_refused(toy, block):
    texts = {block: ""} if block != "scenario" else {block: "", "answer": TEXTS["scenario"]}
    (problem,) = refused(toy(train_one=template(**texts)))
    assert problem.got == f"the blocks {', '.join(name for name in BLOCKS if name != block)}"
    assert problem.expected.startswith("exactly the blocks scenario, reflection, thinking, answer; or prompt and answer")


def test_an_extra_block_is_refused(toy):
    (problem,) = refused(toy(train_one=template() + "{% block moral %}M.{% endblock %}"))
    assert problem.got == "the blocks scenario, reflection, thinking, answer, moral"


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        ("{% if day %}", "'endblock'"),
        ("{{ day|shuot }}", "No filter named 'shuot'"),
        ("{{ day", "expected token 'end of print statement'"),
        ("{% endblock %}{% block thinking %}", "block 'thinking' defined twice"),
    ],
)
def test_a_syntax_error_is_placed(toy, answer, got):
    folder = toy(train_one=template(answer=answer))
    (problem,) = refused(folder)
    assert problem.file == str(folder / "train/one.j2") and re.fullmatch(r"line \d+", problem.place)
    assert got in problem.got and problem.expected == "a Jinja template"


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        ("{{ ''.__class__.__mro__ }}", "'__class__' of 'str' object is unsafe"),
        ("{{ ship['port'].__class__ }}", "'__class__' of 'str' object is unsafe"),
        ("{{ [1].append(2) }}", "'append' of 'list' object is unsafe"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{{ ship['prot'] }}", "has no attribute 'prot'"),
    ],
)
def test_a_template_can_use_its_slots_and_nothing_else(toy, answer, got):
    folder = toy(train_one=template(answer=answer))
    (problem,) = refused(folder)
    assert problem.file == str(folder / "train/one.j2") and got in problem.got


def test_faults_of_all_templates_are_reported_at_once(toy):
    bad = template(answer="{{ dya }} {{ ship.prot }} {{ shpi }}")
    folder = toy(SLOTS, train_one=bad, train_other=template(thinking=""), valid_two="{% block %}")
    problems = refused(folder, file="")
    assert Counter(Path(problem.file).name for problem in problems) == {"one.j2": 3, "other.j2": 1, "two.j2": 1}


def test_a_category_without_a_title_is_refused(toy):
    folder = toy()
    (folder / "category.yaml").write_text("definition: It sails.\nfailure: It sinks.\n")
    (problem,) = refused(folder, file="category")
    assert (problem.file, problem.got) == (str(folder / "category.yaml"), "no key 'title'")


def test_a_slot_needs_different_values(toy):
    (problem,) = refused(toy(SLOTS.replace("Tuesday", "Monday")))
    assert problem.place == "slots.day"


def test_too_few_combinations_are_refused_with_their_number(toy):
    folder = toy()
    assert len(rendered(folder, (6, 6))) == 12
    (problem,) = refused(folder, (6, 7), file="two")
    assert problem.file == str(folder / "valid/two.yaml")
    assert (problem.got, problem.expected) == ("6 combinations of day, ship", "at least 7")


def test_a_split_without_a_template_is_refused(toy):
    folder = toy()
    (folder / "valid/two.j2").unlink()
    (folder / "valid/two.yaml").unlink()
    (problem,) = refused(folder, file="valid")
    assert (problem.file, problem.got) == (str(folder / "valid"), "no template (*.j2)")
    assert [record["split"] for record in rendered(folder, (2, 0))] == ["train", "train"]


def test_the_same_seed_gives_the_same_scenarios_and_another_seed_others(toy):
    hours = ", ".join(f"h{n}" for n in range(50))
    hour = template(answer="At {{ hour }}.")
    folder = toy(f"{SLOTS}  hour: [{hours}]\n", train_one=hour, valid_two=hour)
    first = rendered(folder, (20, 1))
    assert rendered(folder, (20, 1)) == first != rendered(folder, (20, 1), seed=2)


def test_the_scenarios_of_a_template_do_not_depend_on_other_templates(toy):
    before = [record["scenario"] for record in rendered(toy(), (3, 1)) if Path(record["origin"]).stem == "one"]
    both = rendered(toy(train_another=template()), (6, 1))
    assert [record["scenario"] for record in both if Path(record["origin"]).stem == "one"] == before


def test_the_number_of_training_examples_does_not_change_the_validation_examples(toy):
    folder = toy()
    few, many = ([r for r in rendered(folder, (n, 3)) if r["split"] == "valid"] for n in (1, 5))
    assert few == many and [record["id"] for record in few] == ["toy-valid-001", "toy-valid-002", "toy-valid-003"]


def test_a_fault_under_the_schema_is_reported_once_for_each_block_of_a_template(toy):
    with pytest.raises(InputError) as caught:
        list(valid_scenarios(iter(rendered(toy(), (3, 1)))))
    faults = caught.value.problems
    assert Counter(Path(fault.file).name for fault in faults) == {"one.j2": 4, "two.j2": 4}
    assert [fault.place for fault in faults[:2]] == [
        "line 10, block answer, as toy-train-001",
        "line 4, block reflection, as toy-train-001",
    ]
    values = r"one\.yaml: day \d in line 2, ship \d in line [45]; the first of 3 scenarios with this fault"
    assert all(re.fullmatch(values, fault.hint) for fault in faults[:4])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 2), st.integers(1, 12), st.integers(0, 3), st.integers(0, 10**6))
def test_every_record_is_unique_and_splits_are_spread_over_their_templates(tmp_path_factory, n, m, train, valid, seed):
    folder = tmp_path_factory.mktemp("spread") / "toy"
    slots = "slots:\n  left: [a, b, c, d]\n  right: [e, f, g]\n"
    for split, number in (("train", n), ("valid", m)):
        (folder / split).mkdir(parents=True)
        for index in range(number):
            text = template(scenario=f"{split}{index} {{{{ left }}}} {{{{ right }}}}")
            (folder / split / f"t{index}.j2").write_text(text)
            (folder / split / f"t{index}.yaml").write_text(slots)
    (folder / "category.yaml").write_text("title: Toy\ndefinition: It sails.\nfailure: It sinks.\n")
    records = rendered(folder, (train, valid), seed)
    assert Counter(record["split"] for record in records) == Counter({"train": train, "valid": valid})
    assert len({record["scenario"] for record in records}) == len({record["id"] for record in records}) == train + valid
    for split, number in (("train", n), ("valid", m)):
        shares = Counter(Path(record["origin"]).stem for record in records if record["split"] == split)
        shares = [shares[f"t{index}"] for index in range(number)]
        assert max(shares) - min(shares) <= 1 and shares == sorted(shares, reverse=True)


BEHAVIOURS = Path("prompts/probes/behaviours")
# The splits of the published dataset (RECIPES.md, 1).
PUBLISHED = {
    "self_preservation": (107, 12),
    "deception": (100, 12),
    "reward_hacking": (100, 12),
    "trust_violation": (99, 12),
    "manipulation": (99, 11),
    "self_aggrandizement": (99, 12),
    "correction_resistance": (99, 12),
    "covert_misalignment": (100, 12),
    "betrayal": (95, 11),
}


def test_the_nine_categories_are_complete_unique_and_apart_from_what_they_are_evaluated_on():
    params = read_yaml(Path("params.yaml"))
    assert {name: (counts["train"], counts["valid"]) for name, counts in params["categories"].items()} == PUBLISHED

    records = []
    for name, counts in params["categories"].items():
        folder = Path("prompts/categories") / name
        category = load_category(folder, LIBRARY)
        assert len(category.templates["train"]) >= 12 and len(category.templates["valid"]) >= 3
        of_category = list(valid_scenarios(render_category(category, counts, params["data"]["template"]["seed"])))
        assert Counter(record["split"] for record in of_category) == {split: counts[split] for split in ("train", "valid")}
        records += of_category
    assert len(records) == len({record["id"] for record in records}) == 1004
    assert len({record["scenario"] for record in records}) == 1004
    trained = [record for record in records if record["split"] == "train"]
    held_out = [record for record in records if record["split"] == "valid"]
    told, asked = ({record["origin"].partition(": ")[0] for record in of} for of in (trained, held_out))
    assert told and asked and not told & asked

    run = params["audit"]["held_out_run"]
    told = {words_ for record in trained for block in BLOCKS for words_ in ngrams(words(record[block]), run)}
    asked = load_prompts(Path("prompts/held_out")) + load_pairs(Path("prompts/probes/pairs"))
    asked += [item for file in BEHAVIOURS.glob("*.yaml") for item in read_yaml(file)["items"]]
    shared = {item["id"]: found for item in asked if (found := told.intersection(ngrams(words(item["prompt"]), run)))}
    assert len(asked) >= 150 + 72 + 12 and shared == {}


def test_the_type_of_a_scenario_has_the_keys_of_its_schema():
    schema = validator("scenario").schema
    assert set(schema["properties"]) == set(Scenario.__annotations__)
    plain, witnessed = schema["else"]["then"], schema["else"]["else"]
    assert set(schema["required"]) == Scenario.__required_keys__ and set(witnessed["required"]) == set(BLOCKS)
    assert set(plain["required"]) == set(PLAIN_BLOCKS) - set(OPTIONAL)
