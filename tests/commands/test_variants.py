"""Variants: overlays on params.yaml that compose, fit its schema, and change only what they name."""

import re
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.commands.git import head
from cantica.commands.variants.files import apply_variant, load_variant, names, overlaid, parts
from cantica.commands.variants.overlays import differences, has_key, inlined, lay, remove
from cantica.commands.yaml_text import _yaml, commented, from_text, to_text
from cantica.core.documents import read_yaml
from cantica.core.errors import InputError
from cantica.core.params import read_params
from cantica.lint.dataset_rules import trained_tokens
from cantica.settings.check import check_params
from cantica.settings.tree import path_to
from cantica.settings.tree_faults import tree_faults
from tests.support.projects import ROOT, commit, edit, ok

VARIANTS = sorted(path.stem for path in (ROOT / "variants").glob("*.yaml"))
# Smoke has fewer examples of the default categories, so it cannot be laid over a variant without them; that goes over smoke.
FILES = {name: read_yaml(ROOT / f"variants/{name}.yaml") for name in VARIANTS}
OTHERS = [name for name in VARIANTS if any("categories" in FILES[part].get("remove", []) for part in parts(name, FILES.get))]
SMOKED = [*(f"{name}+smoke" for name in VARIANTS if name not in OTHERS), *(f"smoke+{name}" for name in VARIANTS)]
KEYS = st.sampled_from("abc")
SCALARS = st.integers(0, 3) | st.sampled_from(["x", "y"]) | st.lists(st.integers(0, 3), max_size=2)


def documents(leaves):
    return st.recursive(leaves, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


def mappings(leaves):
    return st.dictionaries(KEYS, documents(leaves), max_size=3)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """What variants need of the project, in a folder of its own; the test runs there."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for folder in ("variants", "schemas"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_variant(name: str, params: str) -> None:
    Path("variants", f"{name}.yaml").write_text(f"tests: a test\nparams:\n  {params}\n")


def comments(text: str) -> list[str]:
    return [line.strip() for line in re.findall(r"(?<!\S)#.*", text)]


def refused(function, *arguments) -> list:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {"a": None}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d", "c": None}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "b"}, {"a": {"c": {"d": 1}}}, {"a": {"c": {"d": 1}}}),
        ({"a": {}}, {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}),
    ],
)
def test_an_overlay_merges_mappings_and_replaces_everything_else(target, patch, result):
    assert lay(target, patch) == result


@settings(max_examples=100, deadline=None)
@given(mappings(SCALARS), mappings(SCALARS | st.none()))
def test_an_overlay_that_lies_already_changes_nothing(target, patch):
    once = lay(target, deepcopy(patch))
    assert lay(deepcopy(once), deepcopy(patch)) == once


@settings(max_examples=100, deadline=None)
@given(mappings(SCALARS), mappings(SCALARS))
def test_keys_that_an_overlay_does_not_name_stay(target, patch):
    before = deepcopy(target)
    result = lay(target, patch)
    assert all(result[key] == value for key, value in before.items() if key not in patch)
    assert set(result) == set(before) | set(patch)


def test_a_removed_key_goes_with_all_that_is_in_it():
    target = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    remove(target, ["a.c", "e"], {}, "variants/x.yaml")
    assert target == {"a": {"b": 1}}


def test_what_is_removed_and_set_again_is_replaced_in_its_place():
    target = {"a": {"b": 1}, "c": {"d": 2}}
    remove(target, ["a"], {"a": {"e": 3}}, "variants/x.yaml")
    assert list(lay(target, {"a": {"e": 3}}).items()) == [("a", {"e": 3}), ("c", {"d": 2})]


@pytest.mark.parametrize(("key", "meant"), [("curiculum", "curriculum"), ("categories.betrayel", "betrayal"), ("arms.x.y", "")])
def test_a_key_that_is_not_there_cannot_be_removed(project, key, meant):
    Path("variants/typo.yaml").write_text(f"tests: a test\nremove: [{key}]\n")
    (problem,) = refused(overlaid, "typo")
    assert (problem.file, problem.place, problem.got) == ("variants/typo.yaml", "remove", repr(key))
    assert problem.hint == (f"did you mean {meant!r}?" if meant else "")


def test_keys_behind_a_reference_are_known_as_others_are():
    closed = {"type": "object", "additionalProperties": False}
    point = closed | {"properties": {"x": {"$ref": "#/$defs/number"}}}
    definitions = {"number": {"type": "number", "description": "a number"}, "point": point}
    schema = closed | {"properties": {"at": {"$ref": "#/$defs/point", "description": "where"}}, "$defs": definitions}
    whole = inlined(schema)
    own = point | {"properties": {"x": definitions["number"]}, "description": "where"}
    assert whole == closed | {"properties": {"at": own}}
    assert has_key(whole, ["at", "x"]) and not has_key(whole, ["at", "y"])


def test_differences_name_each_value_by_its_path():
    before = {"train": {"iters": 6, "rate": 0.5}, "arms": {"base": "base"}, "fuse": {"step": "x"}, "nothing": None}
    after = {"train": {"iters": 9, "rate": 0.5}, "arms": {"base": "base", "end": "y"}, "nothing": "y", "new": {"a": 1}}
    assert differences(before, after) == [
        "train.iters: 6 → 9",
        "arms.end: (none) → y",
        "fuse: {step: x} → (none)",
        "nothing: null → y",
        "new: (none) → {a: 1}",
    ]


@settings(max_examples=60, deadline=None)
@given(documents(SCALARS), documents(SCALARS))
def test_there_are_differences_just_where_documents_differ(before, after):
    assert differences(before, before) == []
    assert bool(differences(before, after)) == (before != after)


@pytest.mark.parametrize("name", [*VARIANTS, *SMOKED])
def test_a_variant_overlays_into_params_that_can_be_built(name, project):
    params = overlaid(name)
    check_params(params, Path("params.yaml"))
    assert tree_faults(params, "params.yaml") == []
    plain = read_yaml("params.yaml")
    assert params != plain
    assert (params | {"claims": plain["claims"]} == plain) == (name == "sequential"), "sequential changes only what is claimed"


@pytest.mark.parametrize("name", sorted({*VARIANTS} - {"sequential"}))
def test_applying_a_variant_keeps_comments_and_writes_what_it_shows(name, project):
    text, before, shown = Path("params.yaml").read_text(), read_yaml("params.yaml"), to_text(overlaid(name))
    changes = apply_variant(name)
    assert Path("params.yaml").read_text() == shown
    assert changes == differences(before, read_yaml("params.yaml")) != []
    assert comments(shown) == comments(text)
    assert list(read_yaml("params.yaml")) == list(before)


@pytest.mark.parametrize("other", ["sequential", "smoke", "dante-olmo-7b"])
@pytest.mark.parametrize("name", ["joint", "reversed", "replay", "shuffled", "joint-shuffled"])
def test_arms_that_are_compared_see_as_many_examples_and_tokens(name, other, project):
    for variant in (f"{name}+{other}", f"{other}+{name}"):
        params, plain = overlaid(variant), overlaid(other)
        tokens = {"train": {category: 600 * settings["train"] for category, settings in plain["categories"].items()}}
        sizes, others = (
            {"train": {category: settings["train"] for category, settings in of["categories"].items()}}
            for of in (params, plain)
        )
        trained = trained_tokens(params["arms"]["final"]["point"], params, sizes, tokens)
        assert trained == trained_tokens("betrayal", plain, others, tokens) > 0
        steps = path_to(params["fuse"]["step"], params["curriculum"])
        assert sum((params["train"] | params["curriculum"][step])["iters"] for step in steps) == 9 * params["train"]["iters"]


def test_overlays_compose_from_left_to_right(project):
    write_variant("seven", "train: {iters: 7, batch_size: 1}")
    write_variant("eight", "train: {iters: 8}")
    assert (overlaid("seven+eight")["train"]["iters"], overlaid("eight+seven")["train"]["iters"]) == (8, 7)
    assert overlaid("seven+eight")["train"]["batch_size"] == 1
    assert overlaid("shuffled+joint") == overlaid("joint-shuffled") == overlaid("joint+shuffled")
    assert parts("joint-shuffled+smoke") == ["joint", "shuffled", "joint-shuffled", "smoke"]


def test_replay_mixes_a_part_of_each_earlier_category_and_no_later_one(project):
    params = overlaid("replay")
    order = list(params["categories"])
    for number, step in enumerate(order[1:], 1):
        assert params["curriculum"][step]["data"] == f"mixes/replay_{step}"
        assert params["mixes"][f"replay_{step}"] == {step: 1} | dict.fromkeys(order[:number], 0.25)


def test_a_seed_is_of_training_and_answering_and_not_of_the_data(project):
    before, after = overlaid("sequential"), overlaid("sequential", seed=7)
    assert [line.split(":")[0] for line in differences(before, after)] == ["lora.seed", "train.seed", "respond.seed"]
    assert read_params("train.seed")["train"]["seed"] == 1


def test_a_seed_is_also_of_samples_and_of_arms_behind_servers(project):
    asked = {"prompts": "train/betrayal", "seed": 1, "samples": 1, "temperature": 1, "max_tokens": 9}
    server = {"base_url": "http://127.0.0.1:9/v1", "model": "large", "concurrency": 1}
    large = server | {"seed": 1, "temperature": 1, "max_tokens": 9}
    params = {"samples": {"own": asked | {"from": "base", "batch_size": 1}}, "server_samples": {"taught": asked | server}}
    Path("variants/sampled.yaml").write_text(to_text({"tests": "a test", "params": params | {"servers": {"large": large}}}))
    changed = [line.split(":")[0] for line in differences(overlaid("sampled"), overlaid("sampled", seed=7))]
    assert changed == ["samples.own.seed", "lora.seed", "train.seed", "servers.large.seed", "respond.seed"]


def test_a_variant_over_itself_is_refused(project):
    Path("variants/one.yaml").write_text("tests: a test\nover: [shuffled, two]\n")
    Path("variants/two.yaml").write_text("tests: a test\nover: [one]\n")
    (problem,) = refused(overlaid, "one")
    assert (problem.file, problem.place, problem.got) == ("variants/one.yaml", "over", "one over two over one")


@pytest.mark.parametrize("name", ["typo+shuffled", "shuffled+typo", "over_typo"])
def test_a_fault_is_told_of_the_variant_that_brings_it(name, project):
    write_variant("typo", "train: {itters: 7}")
    Path("variants/over_typo.yaml").write_text("tests: a test\nover: [typo]\nparams: {train: {iters: 3}}\n")
    (problem,) = refused(overlaid, name)
    assert (problem.file, problem.place) == ("variants/typo.yaml over params.yaml", "train")


def test_a_budget_of_no_step_is_refused(project):
    Path("variants/long.yaml").write_text("tests: a test\nbudget: {betrayel: 2}\n")
    (problem,) = refused(overlaid, "long")
    assert (problem.file, problem.place, problem.hint) == ("variants/long.yaml", "budget.betrayel", "did you mean 'betrayal'?")


def test_one_changed_value_is_one_changed_line(project):
    write_variant("longer", "train: {iters: 7}")
    before = read_yaml("params.yaml")
    assert apply_variant("longer") == [f"train.iters: {before['train']['iters']} → 7"]
    assert read_yaml("params.yaml") == before | {"train": before["train"] | {"iters": 7}}
    assert list(read_yaml("params.yaml")) == list(before)


def test_a_list_in_an_overlay_replaces_and_null_is_null(project):
    write_variant("answers", "train: {loss_on: [answer]}\n  data: {system: Be kind.}")
    apply_variant("answers")
    assert read_yaml("params.yaml")["train"]["loss_on"] == ["answer"]
    write_variant("without", "data: {system: null}")
    assert apply_variant("without") == ["data.system: Be kind. → null"]
    assert "  system: null " in Path("params.yaml").read_text()


def test_a_comment_after_a_removed_key_stays(project):
    Path("variants/bare.yaml").write_text("tests: a test\nremove: [claims]\nparams: {claims: {}}\n")
    apply_variant("bare")  # the claims are about the arm
    text = Path("params.yaml").read_text()
    Path("variants/middle.yaml").write_text(
        "tests: a test\nremove: [arms.final]\nparams: {arms: {middle: {point: deception}}}\n"
    )
    apply_variant("middle")
    assert read_yaml("params.yaml")["arms"] == {"base": {"point": "base"}, "middle": {"point": "deception"}}
    assert comments(Path("params.yaml").read_text()) == comments(text)


def test_a_new_key_comes_last_before_the_comment_on_what_follows():
    text = "claims:\n  one:\n    says: one\n  # on two\n  two:\n    all:\n    - {x: 1, y: 2}\n\n# on b\nb: 1\n"
    patch = {"claims": {"three": {"says": "three"}, "four": {"all": [{"x": 1, "y": 2}], "says": "a" * 90}}}
    rows = "  three: {says: three}\n  four:\n    all: [{x: 1, y: 2}]\n    says: " + "a" * 90 + "\n"
    assert to_text(lay(_yaml().load(text), patch)) == text.replace("{x: 1, y: 2}\n\n", "{x: 1, y: 2}\n" + rows + "\n")


def test_a_comment_after_a_removed_key_in_the_middle_stays():
    text = "a:\n  # on one\n  one: 1\n  # on two\n  two:\n    x: 2\n  # on three\n  three: 3\n"
    target = _yaml().load(text)
    remove(target, ["a.two"], {}, "variants/x.yaml")
    assert to_text(target) == text.replace("  two:\n    x: 2\n", "")


def test_a_variant_that_lies_over_params_already_writes_nothing(project):
    apply_variant("smoke")
    before = Path("params.yaml").stat().st_mtime_ns, Path("params.yaml").read_bytes()
    assert apply_variant("smoke") == []
    assert (Path("params.yaml").stat().st_mtime_ns, Path("params.yaml").read_bytes()) == before


def test_names_are_those_of_the_files_in_order(project):
    write_variant("alpha", "train: {iters: 7}")
    assert names() == sorted(["alpha", *VARIANTS])


def test_an_unknown_variant_is_refused_with_the_one_that_was_meant(project):
    (problem,) = refused(load_variant, "smok")
    assert problem.got == "no variant 'smok'" and problem.hint == "did you mean 'smoke'?"
    assert problem.expected == f"one of {', '.join(VARIANTS)}"


def test_an_unknown_key_in_an_overlay_is_refused_and_params_stay(project):
    before = Path("params.yaml").read_bytes()
    write_variant("typo", "train: {itters: 7}")
    (problem,) = refused(apply_variant, "typo")
    assert (problem.file, problem.place) == ("variants/typo.yaml over params.yaml", "train")
    assert problem.got == "an unknown key 'itters'" and problem.hint == "did you mean 'iters'?"
    assert Path("params.yaml").read_bytes() == before


def test_an_overlay_that_breaks_the_tree_is_refused(project):
    write_variant("loop", "curriculum: {self_preservation: {after: betrayal}}")
    (problem,) = refused(overlaid, "loop")
    assert problem.file == "variants/loop.yaml over params.yaml" and "a cycle: " in problem.got


def test_a_variant_says_what_it_tests(project):
    Path("variants/mute.yaml").write_text("params: {train: {iters: 7}}\n")
    (problem,) = refused(load_variant, "mute")
    assert (problem.file, problem.got) == ("variants/mute.yaml", "no key 'tests'")


OWN = """tests: another category alone
remove: [categories, curriculum, arms]
params:
  categories: {mine: {source: prompts/categories/deception, train: 6, valid: 2}}
  curriculum: {one: {after: base, data: train/mine}}
  arms: {base: {point: base}, final: {point: one}}
  fuse: {step: one}
"""


@pytest.fixture
def committed(project) -> str:
    """A commit with the params that variants were written for, by its hash, and after it one with those of another variant."""
    ok(project, "git", "init", "--quiet")
    commit(project, "Start")
    start = ok(project, "git", "rev-parse", "--short", "HEAD").strip()
    Path("variants/own.yaml").write_text(OWN)
    apply_variant("own")
    commit(project, "Take data of my own")
    return start


@pytest.mark.parametrize("name", ["smoke", "joint", "reversed", "replay", "shuffled+smoke"])
def test_params_that_a_variant_was_not_written_for_are_named_with_those_that_it_was(committed, name):
    for text in (None, head()[1]):
        (problem,) = refused(overlaid, name, text)
        assert problem.file == "params.yaml" and f"not the params that {name} was written for" in problem.got
        assert problem.expected == f"params such as those of {committed} (Start)"
        assert problem.hint.startswith(f"`git restore --source {committed} params.yaml` brings them back")
    ok(Path(), "git", "restore", "--source", committed, "params.yaml")
    assert overlaid(name)["curriculum"]
    assert overlaid("own", head()[1]) == overlaid("own")


def test_a_fault_of_the_params_or_of_the_variant_is_no_matter_of_commits(committed):
    write_variant("typo", "train: {itters: 7}")
    (problem,) = refused(overlaid, "typo")
    assert (problem.file, problem.got) == ("variants/typo.yaml over params.yaml", "an unknown key 'itters'")
    edit(Path("params.yaml"), "  warmup:", "  warmpu:")
    assert {problem.hint for problem in refused(overlaid, "shuffled")} >= {"did you mean 'warmup'?"}


TEXTS = [
    "(?i)arr|aye",
    "why?",
    "a: b",
    "a, b",
    "{x}",
    "[x]",
    "# no",
    "- a",
    "yes",
    "null",
    "1.5",
    "1e-3",
    "'q'",
    '"',
    "a\nb",
    "",
    " ",
    "@",
    "%",
    "*a",
    "&a",
    "|",
    ">",
]


@pytest.mark.parametrize("text", TEXTS)
def test_dvc_reads_the_texts_that_an_overlay_adds(text):
    document = deepcopy(commented("a: {b: 1}\nc:\n  d: 1\n"))
    document["a"]["b"], document["c"]["d"] = text, [text, {"e": text}]
    assert from_text(to_text(document)) == {"a": {"b": text}, "c": {"d": [text, {"e": text}]}}
