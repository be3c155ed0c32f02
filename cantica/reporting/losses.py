"""Validation losses: the measure, the loss matrix, forgetting and backward transfer. Pure.

Validation examples are held out of each category; no step trains on them. A loss is in nats per token.
"""

from statistics import fmean
from typing import Any

from cantica.reporting.measures import Measure, Table, items
from cantica.reporting.records import LossRow
from cantica.settings.tree import path_to


def loss_measure(losses: dict[str, LossRow], arms: dict[str, str]) -> Measure:
    """The loss of each validation example under each arm, grouped by category. arms: {arm: its point}."""
    tables = {
        arm: items((e for row in losses[point].values() for e in row), lambda e: e["loss"]) for arm, point in arms.items()
    }
    category = {e["id"]: name for point in arms.values() for name, row in losses[point].items() for e in row}
    return Measure("loss_nats", "validation loss, nats per token", tables, category, digits=3)


def category_means(row: LossRow) -> dict[str, float]:
    """A row of the loss matrix: the mean loss of each category's validation examples."""
    return {category: fmean(example["loss"] for example in examples) for category, examples in row.items()}


def matrix_rows(matrix: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """The cells of the loss matrix: the loss of a category after a step, or of the base model."""
    return [
        {"after": point, "category": category, "loss": round(loss, 4)}
        for point, row in matrix.items()
        for category, loss in row.items()
    ]


def chain_measures(losses: dict[str, LossRow], arms: dict[str, str], curriculum: dict[str, dict[str, Any]]) -> list[Measure]:
    """Forgetting and backward transfer along the chain of steps to each arm, with categories as items.

    A category's own step is the first of the chain that trained on its file. A mix is no category's own. Arms without a
    category that was learnt before the last step have no table.
    """
    forgotten: dict[str, Table] = {}
    transferred: dict[str, Table] = {}
    for arm, point in arms.items():
        chain = path_to(point, curriculum)
        rows = [category_means(losses[step]) for step in chain]
        trained = [curriculum[step]["data"] for step in chain]
        learnt = {c: trained.index(f"train/{c}") for c in losses[point] if f"train/{c}" in trained}
        if found := forgetting(rows, learnt):
            forgotten[arm], transferred[arm] = found, backward_transfer(rows, learnt)
    return [
        Measure("forgetting_nats", "forgetting, nats per token", forgotten, digits=3),
        Measure("backward_transfer_nats", "backward transfer, nats per token", transferred, digits=3),
    ]


def backward_transfer(rows: list[dict[str, float]], learnt: dict[str, int]) -> dict[str, float]:
    """How much later steps lowered the loss of a category: its loss right after its own step minus its loss after the last.

    rows: the loss of each category in nats per token after each step of a chain, without the base model. learnt: {category:
    the row of the step that trained on it}. Lopez-Paz and Ranzato (2017, arXiv:1706.08840) define R(T,i) - R(i,i) on
    accuracies. Losses are better when lower, so the terms are swapped; as there, a positive number means that later steps
    helped. Only categories that were learnt before the last step have one.
    """
    return {name: rows[own][name] - rows[-1][name] for name, own in learnt.items() if own < len(rows) - 1}


def forgetting(rows: list[dict[str, float]], learnt: dict[str, int]) -> dict[str, float]:
    """How much the loss of a category has risen from its lowest value: its loss after the last step minus that lowest value.

    Arguments as in `backward_transfer`. Chaudhry et al. (2018, arXiv:1801.10112) define max over l < k of a(l,j), minus
    a(k,j), on accuracies. With losses the maximum becomes a minimum and the terms are swapped; as there, a positive number
    means forgotten. A negative one means that the last step left the category better than ever before.
    """
    return {name: rows[-1][name] - min(row[name] for row in rows[:-1]) for name, own in learnt.items() if own < len(rows) - 1}
