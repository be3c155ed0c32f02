"""Variants: overlays on params.yaml that follow RFC 7386, fit its schema, and change only what they name."""

import re
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.variants import apply_variant, differences, load_variant, merge_patch, names, overlaid
from stages.check import check_params
from stages.lib.common.documents import read_yaml
from stages.lib.common.errors import InputError
from stages.lib.tree import tree_faults

VARIANTS = sorted(path.stem for path in (Path(__file__).parent.parent / "variants").glob("*.yaml"))
KEYS = st.sampled_from("abc")
SCALARS = st.integers(0, 3) | st.sampled_from(["x", "y"]) | st.lists(st.integers(0, 3), max_size=2)


def documents(leaves):
    return st.recursive(leaves, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """What variants need of the project, in a folder of its own; the test runs there."""
    root = Path(__file__).parent.parent
    shutil.copy(root / "params.yaml", tmp_path)
    for folder in ("variants", "schemas"):
        shutil.copytree(root / folder, tmp_path / folder)
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
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_an_overlay_follows_the_examples_of_rfc_7386(target, patch, result):
    assert merge_patch(target, patch) == result


@settings(max_examples=100, deadline=None)
@given(documents(SCALARS), documents(SCALARS | st.none()))
def test_an_overlay_that_lies_already_changes_nothing(target, patch):
    once = merge_patch(target, deepcopy(patch))
    assert merge_patch(deepcopy(once), deepcopy(patch)) == once


@settings(max_examples=100, deadline=None)
@given(documents(SCALARS), documents(SCALARS))
def test_keys_that_an_overlay_does_not_name_stay(target, patch):
    before = deepcopy(target)
    result = merge_patch(target, patch)
    if isinstance(before, dict) and isinstance(patch, dict):
        assert all(result[key] == value for key, value in before.items() if key not in patch)
        assert set(result) == set(before) | set(patch)
    else:
        assert result == patch or isinstance(patch, dict)


def test_differences_name_each_value_by_its_path():
    before = {"train": {"iters": 6, "rate": 0.5}, "arms": {"base": "base"}, "fuse": {"step": "x"}, "same": [1]}
    after = {"train": {"iters": 9, "rate": 0.5}, "arms": {"base": "base", "end": "y"}, "same": [1], "new": {"a": 1}}
    assert differences(before, after) == [
        "train.iters: 6 → 9",
        "arms.end: (none) → y",
        "fuse: {'step': 'x'} → (none)",
        "new: (none) → {'a': 1}",
    ]


@settings(max_examples=60, deadline=None)
@given(documents(SCALARS), documents(SCALARS))
def test_there_are_differences_just_where_documents_differ(before, after):
    assert differences(before, before) == []
    assert bool(differences(before, after)) == (before != after)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_overlays_into_params_that_can_be_built(name, project):
    params = overlaid(name)
    check_params(params, Path("params.yaml"))
    assert tree_faults(params, "params.yaml") == []
    assert params == merge_patch(read_yaml("params.yaml"), load_variant(name)["params"])
    assert params != read_yaml("params.yaml"), "a variant that changes nothing"


@pytest.mark.parametrize("name", VARIANTS)
def test_applying_a_variant_keeps_comments_and_changes_only_what_it_names(name, project):
    text, before = Path("params.yaml").read_text(), read_yaml("params.yaml")
    changes = apply_variant(name)
    after = read_yaml("params.yaml")
    assert after == merge_patch(deepcopy(before), load_variant(name)["params"])
    assert changes == differences(before, after) != []
    assert comments(Path("params.yaml").read_text()) == comments(text)


def test_one_changed_value_is_one_changed_line(project):
    write_variant("longer", "train: {iters: 7}")
    before = read_yaml("params.yaml")
    assert apply_variant("longer") == [f"train.iters: {before['train']['iters']} → 7"]
    assert read_yaml("params.yaml") == before | {"train": before["train"] | {"iters": 7}}
    assert list(read_yaml("params.yaml")) == list(before)


def test_a_list_in_an_overlay_replaces_and_null_removes(project):
    write_variant("answers", "train: {loss_on: [answer]}\n  arms: {final: null, middle: deception}")
    apply_variant("answers")
    params = read_yaml("params.yaml")
    assert params["train"]["loss_on"] == ["answer"]
    assert params["arms"] == {"base": "base", "middle": "deception"}


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
