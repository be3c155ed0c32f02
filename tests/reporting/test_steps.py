"""The tree of steps as a picture."""

from cantica.reporting.steps import edges, nodes, tree_picture
from cantica.reporting.summary import seen_of, summary
from tests.support.steps import PARAMS, TRAINING


def test_a_branch_is_a_lane_and_a_point_has_what_happened_there():
    found = {node.point: node for node in nodes(PARAMS, TRAINING, {"base": {"a": 4.0, "b": 2.0}})}
    assert {point: node.lane for point, node in found.items()} == {"base": 0, "one": 0, "two": 0, "fork": 1, "alone": 2}
    assert [node.row for node in found.values()] == [0, 1, 2, 3, 4]
    assert found["two"].arms == ["early (iteration 2)", "final"] and found["base"].arms == ["base"]
    assert found["one"].train == (3.0, 2.5) and found["alone"].train == () and found["base"].valid == 3.0
    assert (found["fork"].after, found["two"].after, found["base"].after) == (1, 1, None)


def test_a_line_goes_down_to_the_next_point_and_aside_for_a_new_branch():
    corners = {}
    for corner in edges(nodes(PARAMS, TRAINING, {})):
        corners.setdefault(corner["edge"], []).append((corner["x"], corner["y"]))
    assert corners == {
        1: [(0, 0), (0, 0), (0, 1)],
        2: [(0, 1), (0, 1), (0, 2)],
        3: [(0, 1), (1, 1.5), (1, 3)],
        4: [(0, 0), (2, 0.5), (2, 4)],
    }


def test_base_alone_is_a_tree():
    params = PARAMS | {"curriculum": {}, "arms": {}}
    (base,) = nodes(params, {}, {})
    assert edges([base]) == [] and tree_picture([base])["height"] == 30


def test_the_first_sentences_say_what_was_trained_on_how_much_and_against_what():
    pairs = [("final", "base"), ("early", "base")]
    assert seen_of(TRAINING) == (15, 34)
    assert summary(PARAMS, TRAINING, pairs) == (
        "random/llama was trained in 4 LoRA steps, by the category of the data: one, two, fork and alone. "
        "The training saw 15 of 34 examples (44%), in one run with one seed (3). "
        "Compared: final with base and early with base."
    )
    assert summary(PARAMS | {"curriculum": {}}, {}, []) == "random/llama was not trained. Nothing is compared."
