"""The report in a browser: everybody can read it at any width, in light and dark, and its filters work."""

from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM, WIDTHS, violations

# One of each kind of what can be opened: axe looks at every cell.
OPENED = "details.more, #items-loss_nats, #items-behaviours-deployment, .response:nth-child(-n+3)"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")


@pytest.fixture(scope="module")
def file(tree) -> Path:
    return tree / "reports/report.html"


@pytest.fixture
def opened(browse, file):
    """A function: the report in a new window."""
    return lambda width=1200, scheme="light", fragment="": browse(f"{file.as_uri()}{fragment}", width, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(opened, scheme):
    page = opened(1200, scheme)
    page.evaluate("selector => document.querySelectorAll(selector).forEach(own => own.open = true)", OPENED)
    assert violations(page) == []


def test_the_page_never_scrolls_sideways(opened):
    page = opened()
    page.evaluate("document.querySelectorAll('details').forEach(own => own.open = true)")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        forms = "form => [...document.querySelectorAll(`.chart.${form}`)].some(own => own.getClientRects().length)"
        assert [page.evaluate(forms, form) for form in ("wide", "narrow")] == [width > 420, width == 420]


def test_it_follows_light_and_dark(opened):
    page = opened()
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(18, 23, 29)")):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == colour
        fills = "[...new Set([...document.querySelectorAll('.forest .wide text')].map(own => getComputedStyle(own).fill))]"
        assert colour not in page.evaluate(fills), "no text has the colour of the page"


def shown(page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('.response:not([hidden])')].map(own => own.id)")


def test_responses_are_filtered_and_sorted(opened):
    page = opened()
    assert len(shown(page)) == 56 and page.text_content("#shown") == "56 of 56 prompts"
    assert page.input_value("[name=left]") == "base" and page.input_value("[name=right]") == "fork"
    page.select_option("[name=mark]", "truncated")
    assert len(shown(page)) == 7
    page.select_option("[name=mark]", "")
    page.select_option("[name=group]", "format_transfer")
    transfer = shown(page)
    page.select_option("[name=change]", "higher")
    assert shown(page) == transfer and transfer
    page.select_option("[name=right]", "alone")
    assert shown(page) == [], "these two arms score alike"
    page.click("button[type=reset]")
    page.wait_for_function("document.querySelector('#shown').textContent === '56 of 56 prompts'")
    page.select_option("[name=order]", "up")
    scores = page.evaluate("[...document.querySelectorAll('.response')].map(own => JSON.parse(own.dataset.scores).rules)")
    changes = [own["fork"] - own["base"] for own in scores]
    assert changes == sorted(changes, reverse=True) and changes[0] == 1 and changes[-1] < 0
    page.fill("[name=search]", "lighthouse zzzz")
    assert shown(page) == []


def test_two_arms_stand_side_by_side_with_what_differs_marked(opened):
    page = opened()
    page.evaluate("document.querySelector('.response [data-arm=fork] .answer').textContent = 'one two four'")
    page.evaluate("document.querySelector('.response [data-arm=base] .answer').textContent = 'one three four'")
    page.click(".response summary")
    page.wait_for_selector(".response[open] mark")
    assert page.evaluate("[...document.querySelectorAll('.response[open] mark')].map(own => own.textContent)") == [
        "three",
        "two",
    ]
    arms = "[...document.querySelectorAll('.response[open] .side:not([hidden])')].map(own => own.dataset.arm)"
    assert page.evaluate(arms) == ["base", "fork"]
    page.select_option("[name=left]", "trunk")
    assert page.evaluate(arms) == ["trunk", "fork"]
    page.select_option("[name=right]", "")
    assert page.evaluate(arms) == ["trunk"] and not page.query_selector(".response[open] mark")


def test_a_difference_leads_to_its_items_and_a_table_is_saved(opened, tmp_path):
    page = opened(fragment="#answers?left=base&right=fork&kind=general&group=novel_scenario")
    groups = page.evaluate("[...document.querySelectorAll('.response:not([hidden])')].map(own => own.dataset.group)")
    assert groups and set(groups) == {"novel_scenario"}
    page = opened()
    page.click("svg.wide a[href='#items-behaviours-deployment'] >> nth=0")
    page.wait_for_function("document.getElementById('items-behaviours-deployment').open")
    with page.expect_download() as download:
        page.click("button[aria-label='Download as CSV: Fork compared with base']")
    download.value.save_as(tmp_path / "table.csv")
    head, *rows = (tmp_path / "table.csv").read_text().splitlines()
    assert head == "measure,base,fork,difference,p,effect,detectable,n,conclusion" and rows[0].startswith(
        '"Validation loss, nats'
    )
