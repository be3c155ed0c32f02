"""The pictures of an experiment and its numbers: the tree, levels, curves, and what a run cost."""

import copy
import json
from xml.etree import ElementTree

import pytest

from cantica.commands.comparison.pictures import picture as interval
from cantica.commands.experiments import cost, figures, tree
from cantica.commands.experiments.cited import Cited, read_cited
from cantica.commands.experiments.curves import Panel, panels
from cantica.commands.experiments.levels import Level, in_words, levels, short_names, table
from cantica.commands.variants.files import overlaid
from cantica.core.files import as_json
from cantica.settings.claims import Bound

STEPS = {
    "install": {"after": "base", "data": "train/lower_case", "iters": 8, "batch_size": 4},
    "helpful": {"after": "install", "data": "samples/own", "iters": 4},
    "pirate": {"after": "install", "data": "samples/teacher", "iters": 4, "optimizer": "sgd", "adapter": "fresh"},
    "late": {"after": "pirate", "data": "mixes/all", "iters": 2},
}
ARMS = {
    "plain": {"point": "base"},
    "asked": {"point": "base", "system": "Answer in lower case."},
    "early": {"point": "install/0000004"},
    "cured": {"point": "helpful"},
}


@pytest.fixture
def params() -> dict:
    """A tree with samples of a point and of a server, and arms of all kinds."""
    sample = {"prompts": "train/usual", "samples": 2}
    own = {"curriculum": STEPS, "arms": ARMS, "samples": {"own": sample | {"from": "base", "system": "Be brief."}}}
    own |= {"server_samples": {"teacher": sample | {"model": "community/Olmo"}}}
    return copy.deepcopy(json.loads(json.dumps(overlaid("lower-case"))) | own)


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def words(picture: str) -> list[str]:
    return [node.text or "" for node in parsed(picture).iter("{http://www.w3.org/2000/svg}text")]


# ---- the tree


def test_an_only_child_stands_below_its_parent_and_several_are_indented(params):
    nodes = {node.place: node for node in tree.nodes_of(params)}
    assert [*nodes] == ["base", "samples/own", "install", "helpful", "pirate", "late", "samples/teacher"]
    assert [node.column for node in nodes.values()] == [0, 1, 1, 2, 2, 2, 0]
    assert nodes["late"].above == "pirate" and nodes["samples/own"].above == "base" and nodes["samples/teacher"].above == ""


def test_the_tree_names_data_iterations_samples_and_arms(params):
    found = words(tree.picture(params))
    assert {"install", "train/lower_case, 8 × 4", "samples/own, 4 × 2", "mixes/all, 2 × 2"} < {*found}
    assert "samples/teacher, 4 × 2, sgd, new adapter" in found and "Olmo answers train/usual" in found
    assert "answers to train/usual + system prompt" in found
    assert {"plain", "asked + system prompt", "early at 4", "cured"} < {*found}


def test_samples_are_joined_to_the_steps_that_train_on_them(params):
    picture = tree.picture(params)
    links = [node for node in parsed(picture).iter("{http://www.w3.org/2000/svg}path") if node.get("class") == "link"]
    assert len(links) == 3  # from base to its sample, and from both samples to their steps
    params["curriculum"]["helpful"]["data"] = "train/usual"
    assert len(tree.picture(params)) < len(picture)


def test_arms_that_do_not_fit_beside_each_other_go_on_below(params):
    low = parsed(tree.picture(params)).get("height")
    params["arms"] |= {f"another_long_name_{n}": {"point": "base", "system": "x"} for n in range(8)}
    picture = parsed(tree.picture(params))
    assert float(picture.get("height")) > float(low) and float(picture.get("width")) <= 1200
    right = float(picture.get("width"))
    chips = [node for node in picture.iter("{http://www.w3.org/2000/svg}rect") if node.get("rx") == "10"]
    assert len(chips) == 12 and all(float(chip.get("x")) + float(chip.get("width")) < right for chip in chips)


# ---- levels


def test_levels_of_every_arm_have_the_intervals_of_the_crossed_inference():
    runs = [run for run in read_cited() if run.variant == "lower-case"]
    found = levels(runs)
    first, password = table(found, ["locked", "after"])[:2]
    assert first == ["arm", "lower, password", "lower, greeting", "lower, plain", "lower, password − plain"]
    assert password == ["locked", "95% [69, 99]", "0% [0, 16]", "0% [0, 16]", "+95 pp [+64, +100]"]
    kept = found["behaviours.lower_case.lower.password"]["after"]
    assert [own["share"] for own in kept.seeds.values()] == [0.95, 1, 1]


def test_without_values_of_items_the_seeds_stand_in_parentheses():
    runs = [run for run in read_cited() if run.variant == "lower-case"]
    cut = []
    for run in runs:
        claims = json.loads(run.texts["claims.json"])
        del claims["locked"]["1"]["items"][0], claims["locked"]["1"]["values"][0]  # not all items of the level
        cut.append(Cited(run.texts | {"claims.json": as_json(claims).encode()}))
    found = levels(cut)
    level = found["behaviours.lower_case.lower.password"]["locked"]
    assert "low" not in level.estimate and in_words(level) == "95% (90%, 95%, 100%)"
    one = levels(cut[:1])["behaviours.lower_case.lower.password"]["locked"]
    assert in_words(one) == "90% (90%)"


def test_measures_have_short_names_that_differ():
    one, other = "behaviours.password.lower.plain", "behaviours.second.lower.plain"
    assert short_names([one, "loss_nats.betrayal"]) == {one: "lower, plain", "loss_nats.betrayal": "loss nats betrayal"}
    assert short_names([one, other]) == {one: "password: lower, plain", other: "second: lower, plain"}


def level(mean: float, share: bool = True) -> Level:
    kind = "share" if share else "mean"
    seeds = {seed: {kind: mean + gap, "n": 9} for seed, gap in zip("123", (-0.02, 0, 0.02), strict=True)}
    return Level({kind: mean, "low": mean - 0.1, "high": mean + 0.1, "n": 9, "seeds": 3}, seeds, share)


def test_the_figure_of_levels_has_a_dot_for_every_seed_and_mean():
    found = {"a.b": {"one": level(0.5), "two": level(0.2)}, "loss_nats": {"one": level(2.31, False)}}
    picture = figures.levels_figure(found, ["one", "two"])
    assert len([*parsed(picture).iter("{http://www.w3.org/2000/svg}circle")]) == 3 * 4
    assert {"one", "two", "a b", "loss nats", "0%", "100%", "2.3"} < {*words(picture)}


# ---- curves


def test_curves_begin_with_the_arm_before_the_step():
    run = next(run for run in read_cited() if run.variant == "lower-case")
    params = json.loads(json.dumps(overlaid("lower-case")))
    measure = "behaviours.lower_case.lower.password"
    claim = {"says": "it goes", "measure": measure, "arm": "after", "steps_until": {"below": 0.5}, "below": 9}
    params["claims"] = {"goes": claim}
    numbers = {"goes": {"iterations": 20, "curve": [[4, 0.9], [20, 0.95]], "unit": "iterations"}}
    texts = {"params.yaml": as_json(params).encode(), "claims.json": as_json(numbers).encode()}
    (panel,) = panels([Cited(run.texts | texts)])
    assert panel == Panel(measure, [Bound("below", 0.5)], {"after": {"1": [(0, 0.9), (4, 0.9), (20, 0.95)]}}, True)


def test_the_figure_of_curves_names_the_arms_at_the_ends_of_their_lines():
    curves = {"one": {"1": [(0.0, 1.0), (8.0, 0.0)], "2": [(0.0, 0.9), (8.0, 0.2)]}, "two": {"1": [(0.0, 1.0), (4.0, 0.1)]}}
    picture = figures.curves_figure([Panel("a.b", [Bound("below", 0.5)], curves, True)], ["one", "two"])
    assert len([*parsed(picture).iter("{http://www.w3.org/2000/svg}polyline")]) == 3 + 1
    assert {"one", "two", "0", "4", "8", "iteration", "50%"} < {*words(picture)}
    assert figures.mean_curve(curves["one"].values()) == [(0, 0.95), (8, 0.1)]


def test_labels_that_collide_are_spread_around_their_middle():
    assert figures.spread({"a": 10, "b": 100}, 15) == {"a": 10, "b": 100}
    assert figures.spread({"a": 10, "b": 12, "c": 100}, 10) == {"a": 6, "b": 16, "c": 100}
    places = figures.spread(dict(zip("abcd", (0, 1, 14, 15), strict=True)), 10)
    assert [places[name] - places["a"] for name in "abcd"] == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, "0.00 0.25 0.50 0.75 1.00"),
        (2.2, 3.05, "2.25 2.50 2.75 3.00"),
        (-3, 7, "−2.5 0.0 2.5 5.0"),
        (9, 10.9, "9.0 9.5 10.0 10.5"),
    ],
)
def test_ticks_are_round(low, high, expected):
    found = figures.Scale(low, high, 0, 100, False).ticks()
    assert " ".join(label for _, label in found) == expected and all(0 <= place <= 100 for place, _ in found)


# ---- intervals beside bounds


def test_an_interval_has_its_place_beside_the_bound_and_no_colour_of_its_own():
    drawn = parsed(interval(0.2, (0.1, 0.3), Bound("above", 0), 0.05))
    line, bar, dot = (node for node in drawn if node.tag != "rect")
    ends = [float(bar.get(end)) for end in ("x1", "x2")]
    assert float(line.get("x1")) < ends[0] < float(dot.get("cx")) < ends[1]
    assert float(dot.get("cx")) == pytest.approx(sum(ends) / 2, abs=0.1)
    assert {bar.get("stroke"), dot.get("fill"), line.get("stroke")} == {"currentColor"}
    claimed, negligible = (node for node in drawn if node.tag == "rect")
    assert float(claimed.get("x")) == float(line.get("x1")) and float(claimed.get("width")) > float(negligible.get("width"))
    assert len(parsed(interval(0.2, None, Bound("below", 0.1)))) == 3  # without an interval there is no bar


# ---- what a run cost


def test_the_time_of_a_run_is_that_of_its_stages_with_the_same_params(tmp_path):
    lock = {
        "check": {"cmd": "…"},
        "train@a": {"cmd": "…", "params": {"params.yaml": {"train": {"iters": 4}}}},
        "probe@a": {"cmd": "…", "params": {"params.yaml": {"probe.seed": 1}}},
        "old": {"cmd": "…"},
    }
    timings = [
        {"stage": "check", "seconds": 9.0, "params": {}},
        {"stage": "train@a", "seconds": 60.0, "cpu_seconds": 50.0, "params": {"train": {"iters": 4}}},
        {"stage": "train@a", "seconds": 99.0, "params": {"train": {"iters": 8}}},
        {"stage": "check", "seconds": 1.4, "cpu_seconds": 1.1, "params": {}},
        {"stage": "probe@a", "seconds": 7.0},
    ]
    known = {"check", "train@a", "probe@a", "of another commit"}
    assert cost.cost_of(lock, known, timings, tmp_path) == {"seconds": 61, "cpu_seconds": 51, "stages": 3, "unknown": 1}
    without = [timing for timing in timings if timing["stage"] == "check"]
    without[-1].pop("cpu_seconds")
    assert cost.cost_of(lock, known, without, tmp_path) == {"seconds": 1, "stages": 3, "unknown": 2}
    assert cost.cost_of(lock, known, [], tmp_path) == {}


def test_tokens_are_those_of_the_records_in_the_cache(tmp_path):
    records = {
        "data/training/_names.json": ["a.json", "b.json"],
        "data/training/a.json": {"tokens": 5, "curve": [{"trained_tokens": 70}, {"trained_tokens": 100.0}]},
        "data/training/b.json": {"tokens": 5, "curve": [{"trained_tokens": 11}]},
        "data/sampling/own.json": {"tokens": 900},
    }
    lock = {}
    for n, (path, record) in enumerate(records.items()):
        md5 = f"{n:032}"
        file = tmp_path / "files/md5" / md5[:2] / md5[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record))
        kind = {"_names": "check", "own": "sample"}.get(path.split("/")[-1].removesuffix(".json"), "train")
        lock[f"{kind}@{n}"] = {"cmd": "…", "outs": [{"path": path, "md5": md5}]}
    assert cost.cost_of(lock, lock, [], tmp_path) == {"tokens_trained": 111, "tokens_sampled": 900}
    file.unlink()
    assert cost.cost_of(lock, lock, [], tmp_path) == {"tokens_trained": 111}


def test_what_a_run_cost_is_said_in_words(params):
    run = next(run for run in read_cited() if run.variant == "lower-case")
    own = {"seconds": 500, "stages": 20, "unknown": 1, "tokens_trained": 12345, "tokens_sampled": 1000}
    texts = run.texts | {"params.yaml": as_json(params).encode()}
    costs = [own | {"seconds": seconds, "cpu_seconds": seconds - 80} for seconds in (500, 620)]
    runs = [Cited(texts | {"run.json": as_json(run.about | {"cost": one}).encode()}) for one in costs]
    assert cost.costs(runs) == [
        "4 training steps, 18 iterations, 52 examples with repeats, 12,345 tokens with a loss",
        "at most 80 sampled answers, 1,000 tokens",
        "120 measurements of behaviours, over 2 arms",
        "8 min 20 s to 10 min 20 s a seed to build it from nothing, 7 min 0 s to 9 min 0 s of processor time: the"
        " sum of its 20 stages on the machine that cited it, without 1 stage that never ran there",
    ]
