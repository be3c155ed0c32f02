"""The loss matrix, forgetting and backward transfer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.reporting.losses import (
    backward_transfer,
    category_means,
    chain_measures,
    forgetting,
    in_common,
    loss_measure,
    matrix_rows,
)


def row_of(**losses: tuple[float, ...]) -> dict[str, list[dict]]:
    """A file of data/losses: the losses of each category's validation examples."""
    return {c: [{"id": f"{c}-{n}", "loss": loss} for n, loss in enumerate(values)] for c, values in losses.items()}


def test_the_loss_matrix_has_a_row_for_each_cell():
    losses = {"base": row_of(alpha=(2.0, 3.0), beta=(1.00004,)), "one": row_of(alpha=(1.0, 2.75), beta=(1.5,))}
    rows = matrix_rows({point: category_means(row) for point, row in losses.items()})
    assert len(rows) == 4 and rows[1] == {"after": "base", "category": "beta", "loss": 1.0}
    assert [row["after"] for row in rows] == ["base", "base", "one", "one"]


def test_forgetting_follows_the_chain_of_an_arm():
    curriculum = {
        "one": {"after": "base", "data": "train/alpha"},
        "aside": {"after": "one", "data": "train/beta"},
        "two": {"after": "one", "data": "train/beta"},
        "three": {"after": "two", "data": "mixes/joint"},
    }
    values = {"base": (9.0, 9.0), "one": (2.0, 8.0), "aside": (0.0, 0.0), "two": (1.0, 3.0), "three": (1.5, 2.0)}
    losses = {point: row_of(alpha=(a - 1, a + 1), beta=(b,)) for point, (a, b) in values.items()}
    lost, helped = chain_measures(losses, {point: point for point in values}, curriculum)
    assert lost.tables["three"] == {"alpha": 0.5, "beta": -1.0} and lost.tables["two"] == {"alpha": -1.0}
    assert helped.tables["three"] == {"alpha": 0.5, "beta": 1.0}
    assert "one" not in lost.tables and "base" not in lost.tables and lost.tables.keys() == helped.tables.keys()


def test_points_are_compared_on_the_examples_that_they_have_in_common():
    """The last step has more examples, and its worst ones do not count as forgetting."""
    curriculum = {"one": {"after": "base", "data": "train/alpha"}, "two": {"after": "one", "data": "train/beta"}}
    losses = {"base": row_of(alpha=(3.0,), beta=(3.0,)), "one": row_of(alpha=(2.0,), beta=(2.5,))}
    losses["two"] = row_of(alpha=(2.25, 9.0, 9.0), beta=(2.0, 9.0))
    assert in_common(losses)["two"] == row_of(alpha=(2.25,), beta=(2.0,)) and in_common(losses)["one"] == losses["one"]
    lost, helped = chain_measures(losses, {"final": "two"}, curriculum)
    assert (lost.tables, helped.tables) == ({"final": {"alpha": 0.25}}, {"final": {"alpha": -0.25}})
    measure = loss_measure(losses, {"base": "base", "final": "two"})
    assert [len(measure.tables[arm]) for arm in ("base", "final")] == [2, 5]
    assert in_common({}) == {}


def test_without_common_examples_nothing_is_forgotten_and_points_without_losses_are_no_arms():
    curriculum = {"one": {"after": "base", "data": "train/alpha"}, "two": {"after": "one", "data": "train/beta"}}
    losses = {"base": row_of(alpha=()), "one": row_of(alpha=()), "two": row_of(alpha=(2.0,))}
    assert all(not measure.tables for measure in chain_measures(losses, {"final": "two"}, curriculum))
    assert loss_measure(losses, {"base": "base", "final": "two"}).tables == {"final": {"alpha-0": 2.0}}


ROWS = [{"a": 2.0, "b": 3.0, "c": 4.0}, {"a": 1.5, "b": 2.0, "c": 4.5}, {"a": 2.5, "b": 1.75, "c": 3.0}]
LEARNT = {"a": 0, "b": 1, "c": 2}


def test_backward_transfer_and_forgetting_by_hand():
    assert backward_transfer(ROWS, LEARNT) == {"a": -0.5, "b": 0.25}
    assert forgetting(ROWS, LEARNT) == {"a": 1.0, "b": -0.25}


def test_with_accuracies_the_signs_are_those_of_the_papers():
    """Their R, with the sign of a loss: BWT is R[T,i] - R[i,i], forgetting max over l < T of a[l,j], minus a[T,j]."""
    accuracy = [{name: -value for name, value in row.items()} for row in ROWS]
    transfer = {"a": accuracy[2]["a"] - accuracy[0]["a"], "b": accuracy[2]["b"] - accuracy[1]["b"]}
    forgotten = {name: max(row[name] for row in accuracy[:2]) - accuracy[2][name] for name in "ab"}
    assert backward_transfer(ROWS, LEARNT) == transfer
    assert forgetting(ROWS, LEARNT) == forgotten


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), st.floats(0, 9)), min_size=3, max_size=3))
def test_what_is_forgotten_is_at_least_what_was_lost_since_the_own_step(matrix):
    rows = [dict(zip("abc", row, strict=True)) for row in matrix]
    transfer, forgotten = backward_transfer(rows, LEARNT), forgetting(rows, LEARNT)
    assert set(transfer) == set(forgotten) == {"a", "b"}
    assert all(forgotten[name] >= -transfer[name] for name in transfer)


def test_a_chain_of_one_step_forgets_nothing():
    assert forgetting(ROWS[:1], {"a": 0}) == backward_transfer(ROWS[:1], {"a": 0}) == {}
    assert forgetting([], {}) == backward_transfer([], {}) == {}
