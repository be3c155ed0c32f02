"""The curriculum as a tree: trees pass, and faults that a schema cannot express are named."""

from copy import deepcopy
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.settings.tree import adapter_shape, branches, kept_iterations
from cantica.settings.tree_faults import cycles, parents, tree_faults

TRAIN = {"iters": 6, "warmup": 0, "batch_size": 2, "launch": None, "checkpoints": 0}


def params_of(curriculum: dict[str, dict], **sections) -> dict:
    """Params with a curriculum; a step's data is that of the category `alpha` unless it says otherwise."""
    steps = {name: {"data": "train/alpha"} | settings for name, settings in curriculum.items()}
    return {
        "curriculum": steps,
        "categories": {"alpha": {"train": 1, "valid": 1}, "beta": {"train": 1, "valid": 1}},
        "mixes": {"both": {"alpha": 1, "beta": 0.5}},
        "samples": {},
        "server_samples": {},
        "arms": {"base": {"point": "base"}, "final": {"point": list(steps)[-1]}},
        "measure": {"in_full": []},
        "fuse": {"step": list(steps)[-1]},
        "lora": {"seed": 1, "layers": 8, "rank": 16, "scale": 2.0},
        "train": TRAIN,
    } | sections


def faults(curriculum: dict[str, dict], **sections) -> list:
    return tree_faults(params_of(curriculum, **sections), "params.yaml")


CHAIN = {"one": {"after": "base"}, "two": {"after": "one"}, "three": {"after": "two"}}


def follows(names: list[str], after: list[str]) -> dict[str, dict]:
    return {name: {"after": point} for name, point in zip(names, after, strict=True)}


def changed(**settings: dict) -> dict[str, dict]:
    """The chain with settings added to some of its steps."""
    return {name: step | settings.get(name, {}) for name, step in deepcopy(CHAIN).items()}


def test_a_chain_a_fork_and_a_forest_of_one_step_trees_pass():
    assert faults(CHAIN) == []
    assert faults(CHAIN | {"fork": {"after": "one"}}) == []
    assert faults({"one": {"after": "base"}, "two": {"after": "base"}}) == []


def test_steps_may_stand_in_any_order():
    assert faults(dict(reversed(CHAIN.items()))) == []


def test_an_unknown_after_is_reported_with_the_most_similar_step():
    (fault,) = faults(changed(three={"after": "tow"}))
    assert (fault.file, fault.place, fault.got) == ("params.yaml", "curriculum.three.after", "'tow'")
    assert fault.expected == "base or a step: base, one, two, three" and fault.hint == "did you mean 'two'?"


def test_a_cycle_is_refused_with_its_steps():
    (fault,) = faults(changed(one={"after": "three"}))
    assert fault.got == "a cycle: one → two → three → one"
    assert fault.place == "curriculum.one.after" and "after: base" in fault.hint


def test_a_step_after_itself_is_refused():
    (fault,) = faults(changed(two={"after": "two"}))
    assert (fault.place, fault.got) == ("curriculum.two.after", "a cycle: two → two")


def test_two_cycles_are_two_faults():
    curriculum = follows(["a", "b", "c", "d", "e"], ["b", "a", "d", "c", "base"])
    assert {fault.got for fault in faults(curriculum)} == {"a cycle: a → b → a", "a cycle: c → d → c"}


def test_a_step_that_follows_a_cycle_is_not_part_of_it():
    curriculum = follows(["hanging", "a", "b"], ["b", "b", "a"])
    assert [set(cycle) for cycle in cycles(parents(params_of(curriculum)))] == [{"a", "b"}]


def test_a_cycle_and_an_unknown_name_are_reported_at_once():
    found = faults(changed(one={"after": "two"}, three={"after": "nowhere"}))
    assert [fault.got for fault in found] == ["'nowhere'", "a cycle: one → two → one"]


@pytest.mark.parametrize("key", ["layers", "rank"])
def test_a_step_that_continues_an_adapter_keeps_its_shape(key):
    (fault,) = faults(changed(three={key: 4}))
    assert (fault.place, fault.got) == ("curriculum.three", f"{key} 4")
    assert fault.expected == f"{key} {16 if key == 'rank' else 8}, as in two, whose adapter it continues"


def test_a_different_scale_is_a_different_shape():
    found = faults(changed(two={"scale": 4.0}, three={"scale": 4.0}))
    assert [(fault.place, fault.got) for fault in found] == [("curriculum.two", "scale 4.0"), ("curriculum.three", "scale 4.0")]


def test_a_step_after_base_may_choose_a_shape_that_the_steps_after_it_take_up():
    shape = {"rank": 4, "layers": 2, "scale": 1.0}
    assert faults(changed(one=shape, two=shape, three=shape)) == []
    assert faults(changed(one=shape)) == []
    for params in (params_of(changed(one=shape)), params_of(changed(one=shape, two=shape, three=shape))):
        assert [adapter_shape(params, step) for step in CHAIN] == [shape] * 3


def test_the_data_of_a_step_is_a_category_or_a_mixture():
    assert faults(changed(two={"data": "mixes/both"}, three={"data": "train/beta"})) == []
    (fault,) = faults(changed(two={"data": "mixes/bth"}))
    assert (fault.place, fault.expected) == ("curriculum.two.data", "mixes/ and a mix: both")
    (fault,) = faults(CHAIN, mixes={"both": {"gamma": 1}})
    assert (fault.place, fault.got) == ("mixes.both", "'gamma'")
    (fault,) = faults(changed(two={"data": "train/alhpa"}))
    assert (fault.place, fault.got) == ("curriculum.two.data", "'alhpa'")
    assert fault.expected == "train/ and a category: alpha, beta" and fault.hint == "did you mean 'alpha'?"


def test_arms_fuse_and_what_is_measured_in_full_are_points_of_the_tree():
    assert faults(CHAIN, arms={"base": {"point": "base"}, "middle": {"point": "two"}}, fuse={"step": "base"}) == []
    assert faults(CHAIN, measure={"in_full": ["base", "three"]}) == []
    arms, in_full = {"base": {"point": "bse"}, "final": {"point": "three"}}, ["base", "tow", "two/0000004"]
    found = faults(CHAIN, arms=arms, measure={"in_full": in_full}, fuse={"step": "thre"})
    assert [(fault.place, fault.hint) for fault in found] == [
        ("arms.base.point", "did you mean 'base'?"),
        ("measure.in_full", "did you mean 'two'?"),
        ("measure.in_full", ""),
        ("fuse.step", "did you mean 'three'?"),
    ]


@pytest.mark.parametrize(("step", "warmup"), [({"iters": 3}, 3), ({"warmup": 6}, 0), ({"iters": 2, "warmup": 5}, 0)])
def test_a_warmup_as_long_as_the_step_is_refused(step, warmup):
    found = faults(changed(two=step), train=TRAIN | {"warmup": warmup})
    assert [fault.place for fault in found] == ["curriculum.two"] and found[0].got.startswith("warmup ")


def test_a_warmup_shorter_than_every_step_passes():
    assert faults(changed(two={"iters": 4}), train=TRAIN | {"warmup": 3}) == []


def test_more_processes_than_a_batch_has_examples_are_refused():
    assert faults(changed(two={"launch": {"processes": 2}})) == []
    (fault,) = faults(changed(two={"batch_size": 1}), train=TRAIN | {"launch": {"processes": 2}})
    assert (fault.place, fault.got) == ("curriculum.two", "2 processes")


@st.composite
def forests(draw) -> dict[str, dict]:
    """Steps in any order, each after base or after one that was drawn before it."""
    number = draw(st.integers(1, 12))
    names = [f"step{n}" for n in range(number)]
    after = [draw(st.sampled_from(["base", *names[:n]])) for n in range(number)]
    return dict(draw(st.permutations(list(follows(names, after).items()))))


@settings(max_examples=60, deadline=None)
@given(forests())
def test_a_forest_has_no_cycle_and_no_fault(curriculum):
    assert cycles(parents(params_of(curriculum))) == [] and faults(curriculum) == []


@settings(max_examples=60, deadline=None)
@given(forests(), st.data())
def test_a_root_that_follows_one_of_its_descendants_makes_exactly_one_cycle(curriculum, data):
    end = data.draw(st.sampled_from(list(curriculum)))
    path = [end]
    while (after := curriculum[path[-1]]["after"]) != "base":
        path.append(after)
    curriculum[path[-1]] = {"after": end}
    (cycle,) = cycles(parents(params_of(curriculum)))
    assert sorted(cycle) == sorted(path)
    assert all(curriculum[step]["after"] == cycle[i - 1] for i, step in enumerate(cycle))


@settings(max_examples=60, deadline=None)
@given(forests())
def test_every_step_is_on_one_branch_and_branches_end_in_leaves(curriculum):
    found = branches(curriculum)
    assert sorted(step for steps in found.values() for step in steps) == sorted(curriculum)
    for last, steps in found.items():
        assert steps[-1] == last and all(curriculum[step]["after"] != last for step in curriculum)
        assert all(curriculum[after]["after"] == step for step, after in pairwise(steps))


def test_the_first_of_several_following_steps_continues_the_branch():
    tree = follows(["a", "b", "c", "d", "e", "f"], ["base", "a", "a", "c", "base", "b"])
    assert branches(tree) == {"f": ["a", "b", "f"], "d": ["c", "d"], "e": ["e"]}


# ---- shapes


def test_a_new_adapter_adds_to_the_rank_and_a_later_step_takes_up_the_sum():
    curriculum = changed(
        one={"rank": 4, "layers": 6, "scale": 3.0}, two={"adapter": "fresh", "rank": 8, "layers": 2, "scale": 1.0}
    )
    assert faults(curriculum) == []
    shapes = [adapter_shape(params_of(curriculum), step) for step in CHAIN]
    assert shapes[1] == shapes[2] == {"layers": 6, "rank": 12, "scale": 1.0}


def test_a_new_adapter_on_all_blocks_is_on_all_blocks():
    shapes = adapter_shape(params_of(changed(two={"adapter": "fresh", "layers": -1})), "two")
    assert shapes["layers"] == -1
    assert adapter_shape(params_of(changed(one={"layers": -1}, two={"adapter": "fresh", "layers": 2})), "two")["layers"] == -1


def test_a_new_adapter_after_base_has_only_its_own_rank():
    assert adapter_shape(params_of(changed(one={"adapter": "fresh", "rank": 4})), "one")["rank"] == 4


def test_a_step_that_continues_the_sum_with_another_rank_is_refused():
    (fault,) = faults(changed(two={"adapter": "fresh", "rank": 8}, three={"rank": 8}))
    assert (fault.place, fault.got) == ("curriculum.three", "rank 8")
    assert fault.expected == "rank 24, as in two, whose adapter it continues" and fault.hint == "or set `adapter: fresh`"


# ---- checkpoints


@pytest.mark.parametrize(("checkpoints", "kept"), [(0, []), (2, [2, 4]), (6, []), ([1, 2, 4, 6], [1, 2, 4]), ([4, 0], [0, 4])])
def test_checkpoints_are_kept_before_the_last_iteration(checkpoints, kept):
    assert kept_iterations(params_of(changed(two={"checkpoints": checkpoints})), "two") == kept


def test_an_arm_is_at_a_checkpoint_that_its_step_keeps():
    steps = changed(two={"checkpoints": [1, 4]})
    assert faults(steps, arms={"early": {"point": "two/0000004"}}) == []
    (fault,) = faults(steps, arms={"early": {"point": "two/0000003"}})
    assert (fault.place, fault.got) == ("arms.early.point", "'two/0000003'")
    assert fault.expected == "a checkpoint that two keeps: two/0000001, two/0000004"
    (last,) = faults(steps, arms={"early": {"point": "two/0000006"}})
    assert last.hint == "its last iteration is the step itself: two"
    (none,) = faults(steps, arms={"early": {"point": "base/0000001"}})
    assert none.expected == "a checkpoint that base keeps: none"


def test_a_checkpoint_after_the_last_iteration_is_refused():
    (fault,) = faults(changed(two={"checkpoints": [1, 8, 16]}))
    assert (fault.place, fault.got, fault.expected) == ("curriculum.two.checkpoints", "8, 16", "at most iters of two, 6")


# ---- samples

SAMPLE = {"from": "base", "prompts": "train/alpha"}


def test_samples_of_points_and_of_samples_pass():
    own, again = SAMPLE, {"from": "two/0000002", "prompts": "samples/own"}
    taught = {"prompts": "mixes/both"}
    curriculum = changed(two={"checkpoints": 2}, three={"data": "samples/again"}) | {
        "four": {"after": "three", "data": "samples/taught"}
    }
    assert faults(curriculum, samples={"own": own, "again": again}, server_samples={"taught": taught}) == []


def test_an_unknown_point_and_unknown_prompts_of_a_sample_are_refused():
    found = faults(CHAIN, samples={"own": {"from": "thre", "prompts": "samples/owm"}})
    assert [(fault.place, fault.hint) for fault in found] == [
        ("samples.own.prompts", "did you mean 'own'?"),
        ("samples.own.from", "did you mean 'three'?"),
    ]


def test_a_sample_in_a_mix_is_refused():
    (fault,) = faults(CHAIN, mixes={"both": {"own": 1}}, samples={"own": SAMPLE})
    assert (fault.place, fault.got, fault.expected) == ("mixes.both", "'own'", "a category: alpha, beta")


@pytest.mark.parametrize(
    ("steps", "samples", "cycle"),
    [
        ({"two": {"data": "samples/own"}}, {"own": SAMPLE | {"from": "three"}}, "two → three → samples/own → two"),
        ({"two": {"data": "samples/own"}}, {"own": SAMPLE | {"from": "two/0000003"}}, "two → samples/own → two"),
        ({}, {"own": SAMPLE | {"prompts": "samples/own"}}, "samples/own → samples/own"),
        (
            {"two": {"data": "samples/own"}},
            {"own": SAMPLE | {"prompts": "samples/other"}, "other": SAMPLE | {"from": "two"}},
            "two → samples/other → samples/own → two",
        ),
    ],
)
def test_a_cycle_over_samples_is_refused(steps, samples, cycle):
    (fault,) = faults(changed(**steps), samples=samples)
    assert fault.got == f"a cycle: {cycle}" and fault.hint == "let the sample come from an earlier point"


# ---- nothing to train on


def test_a_step_and_a_sample_of_a_category_that_is_only_evaluated_are_refused():
    categories = {"alpha": {"train": 1, "valid": 1}, "beta": {"train": 0, "valid": 1}}
    assert faults(changed(two={"data": "mixes/both"}), categories=categories) == []
    found = faults(
        changed(two={"data": "train/beta"}), categories=categories, samples={"own": SAMPLE | {"prompts": "train/beta"}}
    )
    assert [fault.place for fault in found] == ["curriculum.two.data", "samples.own.prompts"]
