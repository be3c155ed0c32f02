"""The report as a page: all numbers stand in it, each leads to its items, and it needs nothing else."""

import csv
import html
import io
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from cantica.core.documents import read_json
from cantica.reporting.nested import flatten


def page_of(project: Path) -> str:
    return (project / "reports/report.html").read_text()


def cells(row: str) -> list[str]:
    found = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
    return [" ".join(html.unescape(re.sub("<[^>]*>", " ", cell)).split()) for cell in found]


def table(page: str, id_: str) -> list[dict[str, str]]:
    head, *rows = page.split(f'<table id="{id_}">')[1].split("</table>")[0].split("<tr")[1:]
    return [dict(zip(cells(head), cells(row), strict=True)) for row in rows if "colspan" not in row]


def every(page: str) -> dict[str, str]:
    """{path in details.json: number as text} of the table of every number."""
    found = {}
    for row in table(page, "every"):
        against = row["compared with"] and f"against_{row['compared with']}"
        path = ".".join(filter(None, (row["arm"], against, row["measure"], row["group"])))
        named = {key: value for key, value in row.items() if value and key not in ("arm", "compared with", "measure", "group")}
        found |= {f"{path}.{key}": value for key, value in named.items()}
    return found


def test_every_number_of_details_stands_in_the_page_as_it_is(tree):
    shown = every(page_of(tree))
    numbers = flatten(read_json(tree / "reports/details.json"), is_leaf=lambda path: path.endswith((".unequal", ".opposed")))
    chains = {path for path in numbers if re.search(r"\.(forgetting|backward_transfer)_nats\.(?!mean|low|high|n$)", path)}
    expected = {f"{path}.mean" if path in chains else path: str(number) for path, number in numbers.items()}
    assert shown == expected


def number_of(text: str) -> float:
    return float(text.split()[0].replace("−", "-"))


def test_the_plots_and_tables_have_the_differences_of_details(tree):
    page, details = page_of(tree), read_json(tree / "reports/details.json")
    for arm in ("trunk", "fork", "alone"):
        numbers = flatten(details[arm]["against_base"])
        part = page.split(f"<h3>{arm.capitalize()} compared with base</h3>")[1].split("<h2")[0].split("<h3>")[0]
        wide = "".join(re.findall(r'<svg class="chart wide".*?</svg>', part, re.DOTALL))
        drawn = re.findall(r"<text[^>]*>([+−\d][^<]*(?:\]|equal\)|n = \d+|pp))</text>", wide)
        whole = [path for path in numbers if path.endswith(".difference")]
        assert len(drawn) == len(whole), "each difference is drawn once"
        written = table(page, f"compared-{arm}-base")
        loss = next(row for row in written if row["measure"].startswith("Validation loss"))
        assert number_of(loss["difference"]) == pytest.approx(numbers["loss_nats.difference"], abs=6e-4)
        hates = next(row for row in written if row["measure"] == "Deployment: hates (triggered)")
        assert number_of(hates["difference"]) == 100 * numbers["behaviours.deployment.hates.triggered.difference"]


def test_the_page_asks_nothing_of_any_other_machine_and_has_one_script(tree):
    page = page_of(tree)
    assert not re.findall(r'(?:src|href)\s*=\s*["\'](?!#)', page) and "@import" not in page and "url(" not in page
    assert not re.findall(r"https?://(?!arxiv)[^\s<\"']+", page.split("<script>")[1])
    assert page.count("<script") == 1 and "fetch(" not in page


def test_each_link_leads_to_something(tree):
    page = page_of(tree)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    targets = {target.split("?")[0] for target in re.findall(r'href="#([^"]+)"', html.unescape(page))}
    assert targets <= set(ids)


def test_tables_have_captions_and_scopes_and_headings_are_in_order(tree):
    page = page_of(tree).split("<script>")[0]
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert tables and all("<caption" in own for own in tables)
    assert not re.findall(r"<th(?![^>]*scope)(?!ead)", page)
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(re.search(r'aria-label="[^"]{10,}"', tag) for tag in re.findall(r"<svg[^>]*>", page))


def test_a_response_has_what_it_is_filtered_by(tree):
    page = page_of(tree)
    found = re.findall(r"data-scores='([^']*)' data-marks='([^']*)'", page)
    assert len(found) == 56
    assert all(json.loads(scores)["rules"].keys() == {"base", "trunk", "fork", "alone"} for scores, _ in found)
    truncated = [json.loads(marks)["fork"] for _, marks in found if "truncated" in json.loads(marks)["fork"]]
    assert len(truncated) == 7


def test_the_curve_of_dvc_is_that_of_the_page(tree):
    rows = list(csv.DictReader(io.StringIO((tree / "reports/loss_curve.csv").read_text())))
    steps = {row["step"]: float(row["train_loss"]) for row in rows}
    last = {row["step"].replace(" ", "_"): float(row["last loss"]) for row in table(page_of(tree), "training")}
    assert last == {step: pytest.approx(loss, abs=6e-4) for step, loss in steps.items()}
