"""Validation losses: the measure, the loss matrix, forgetting and backward transfer. Pure.

Each category has validation examples, which no step trains on. A loss is in nats per token. Every point is measured on the
first of them, and some points on all (`measure` in params.yaml); points are compared on those that they have in common.
"""

from statistics import fmean
from typing import Any

from cantica.reporting.measures import Measure, Table, items
from cantica.reporting.records import LossRow
from cantica.settings.tree import path_to

MATRIX_COLUMNS = ("after", "category", "loss")


def loss_measure(losses: dict[str, LossRow], arms: dict[str, str]) -> Measure:
    """Return the measure of validation loss: one value per example and arm, grouped by category.

    arms: {arm: its point} of the arms that have losses.
    """
    found = {arm: items((e for row in losses[point].values() for e in row), lambda e: e["loss"]) for arm, point in arms.items()}
    tables = {arm: table for arm, table in found.items() if table}
    category = {e["id"]: name for point in arms.values() for name, row in losses[point].items() for e in row}
    return Measure("loss_nats", "validation loss, nats per token", tables, category, digits=3)


def in_common(losses: dict[str, LossRow]) -> dict[str, LossRow]:
    """Return the losses of the examples that every point is measured on. losses: {point: its row}."""
    ids = [{example["id"] for examples in row.values() for example in examples} for row in losses.values()]
    common = set.intersection(*ids) if ids else set()
    return {
        point: {category: [e for e in examples if e["id"] in common] for category, examples in row.items()}
        for point, row in losses.items()
    }


def category_means(row: LossRow) -> dict[str, float]:
    """Return a row of the loss matrix: the mean loss of the validation examples of each category that has some."""
    return {category: fmean(example["loss"] for example in examples) for category, examples in row.items() if examples}


def matrix_rows(matrix: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return the cells of the loss matrix: the loss of a category after a step, or for the base model."""
    return [
        {"after": point, "category": category, "loss": round(loss, 4)}
        for point, row in matrix.items()
        for category, loss in row.items()
    ]


def chain_measures(losses: dict[str, LossRow], arms: dict[str, str], curriculum: dict[str, dict[str, Any]]) -> list[Measure]:
    """Return the measures of forgetting and backward transfer along the chain of steps to each arm. Items are categories.

    The own step of a category is the first step of the chain that trained on its file; a step on a mix belongs to no category.
    An arm gets a table only if a category was learnt before the last step. Losses are those of the examples that every point is
    measured on.
    """
    losses = in_common(losses)
    forgotten: dict[str, Table] = {}
    transferred: dict[str, Table] = {}
    for arm, point in arms.items():
        chain = path_to(point, curriculum)
        rows = [category_means(losses[step]) for step in chain]
        trained = [curriculum[step]["data"] for step in chain]
        learnt = {c: trained.index(f"train/{c}") for c, found in losses[point].items() if found and f"train/{c}" in trained}
        if found := forgetting(rows, learnt):
            forgotten[arm], transferred[arm] = found, backward_transfer(rows, learnt)
    return [
        Measure("forgetting_nats", "forgetting, nats per token", forgotten, digits=3),
        Measure("backward_transfer_nats", "backward transfer, nats per token", transferred, digits=3),
    ]


def backward_transfer(rows: list[dict[str, float]], learnt: dict[str, int]) -> dict[str, float]:
    """Return how much later steps lowered the loss of each category: its loss after its own step minus that after the last.

    rows: for each step of a chain (without the base model), the loss of each category after it, in nats per token. learnt:
    {category: the index of its own step in `rows`}. Lopez-Paz and Ranzato (2017, arXiv:1706.08840) define R(T,i) - R(i,i) on
    accuracies. A lower loss is better, so the terms are swapped here; a positive number still means that later steps helped.
    Categories that were learnt in the last step are left out.
    """
    return {name: rows[own][name] - rows[-1][name] for name, own in learnt.items() if own < len(rows) - 1}


def forgetting(rows: list[dict[str, float]], learnt: dict[str, int]) -> dict[str, float]:
    """Return how much the loss of each category rose: its loss after the last step minus its lowest loss before that step.

    Arguments as in `backward_transfer`. Chaudhry et al. (2018, arXiv:1801.10112) define max over l < k of a(l,j), minus
    a(k,j), on accuracies. For losses the maximum becomes a minimum and the terms are swapped; a positive number still means
    that the category was forgotten. A negative number means that its loss after the last step is lower than ever before.
    """
    return {name: rows[-1][name] - min(row[name] for row in rows[:-1]) for name, own in learnt.items() if own < len(rows) - 1}
