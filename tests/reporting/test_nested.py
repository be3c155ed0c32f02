"""Nested mappings and their flat form."""

from hypothesis import given
from hypothesis import strategies as st

from cantica.reporting.nested import flatten, nest

NAMES = st.text("abc", min_size=1, max_size=2)
NESTED = st.recursive(st.integers(), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)


def test_leaves_have_dotted_paths_and_an_empty_mapping_is_a_leaf():
    nested = {"train": {"iters": 3, "loss_on": ["answer"]}, "judges": {}}
    assert flatten(nested) == {"train.iters": 3, "train.loss_on": ["answer"], "judges": {}}
    assert flatten(nested["train"], "train") == {"train.iters": 3, "train.loss_on": ["answer"]}
    assert flatten(7, "seed") == {"seed": 7}


def test_a_path_can_be_named_as_a_leaf():
    nested = {"mixes": {"joint": {"deception": 1}}, "seed": 1}
    assert flatten(nested, is_leaf=lambda path: path.startswith("mixes.")) == {"mixes.joint": {"deception": 1}, "seed": 1}


def test_mappings_at_one_path_are_merged_and_keys_keep_their_first_place():
    found = nest([("loss", {"mean": 1}), ("judge.general", {"n": 2}), ("loss.alpha", 3), ("loss", {"n": 4})])
    assert found == {"loss": {"mean": 1, "alpha": 3, "n": 4}, "judge": {"general": {"n": 2}}}
    assert list(found) == ["loss", "judge"] and list(found["loss"]) == ["mean", "alpha", "n"]


@given(st.dictionaries(NAMES, NESTED, min_size=1, max_size=3))
def test_nesting_undoes_flattening(nested):
    assert nest(flatten(nested).items()) == nested
