"""The simulation of verdicts: how often they are wrong, that the docs show its table, and that claims have its intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.commands.comparison.claimed import Run, Variant
from cantica.commands.comparison.crossed import difference_interval, level_interval
from cantica.commands.comparison.verdicts import verdicts, word
from cantica.reporting.claims import from_document
from cantica.settings.claims import claims_of
from tests.support.projects import ROOT
from tests.support.simulation import CASES, CLAIMS, MOST, SAMPLES, all_rows, table

PAGE = ROOT / "docs/explanation/verdicts.md"
TABLE = [line for line in PAGE.read_text().splitlines() if line.startswith("|") and line.count("|") == 8]


@pytest.mark.slow
def test_wrong_verdicts_are_at_most_five_percent_and_the_docs_have_this_table():
    """Each share has at most MOST, also with two Monte-Carlo standard errors: 0.3% for one claim, 0.6% for four."""
    rows = all_rows()
    for row in rows:
        for shares in (row.reproduced, row.null):
            for claims, share in zip(CLAIMS, shares, strict=False):
                error = claims * (share / claims / SAMPLES) ** 0.5
                assert share + 2 * error <= MOST, (row.case.claim, row.size)
    assert table(rows).splitlines() == TABLE


def test_the_table_in_the_docs_has_every_case_and_no_share_over_five_percent():
    _, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in TABLE)
    expected = [[case.claim, str(size.seeds), str(size.items or "–")] for case in CASES for size in case.sizes]
    assert [line[:3] for line in lines] == expected
    shares = [float(share) for line in lines for cell in line[3:5] if cell != "–" for share in cell.split(" / ")]
    assert len(shares) > len(lines) and max(shares) <= 100 * MOST


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0, 1]), min_size=8, max_size=8), min_size=3, max_size=5),
    st.lists(st.lists(st.sampled_from([0, 1]), min_size=8, max_size=8), min_size=5, max_size=5),
    st.floats(-0.9, 0.9),
)
def test_a_claim_is_decided_by_the_intervals_that_are_simulated(first, second, bound):
    """Whatever the answers of two arms are, unless both are at the floor or the ceiling."""
    arm, other = np.array(first, float), np.array(second[: len(first)], float)
    names = [str(n) for n in range(8)]
    statement = {"measure": "behaviours.b.m.c", "arm": "x"}
    own = claims_of(
        {
            "claims": {
                "level": statement | {"says": "", "above": abs(bound)},
                "difference": statement | {"says": "", "against": "y", "above": bound, "negligible": 0.5},
            }
        }
    )
    runs = {}
    for seed, (one, two) in enumerate(zip(arm.tolist(), other.tolist(), strict=True)):
        level = {"unit": "share", "items": names, "values": one}
        runs[str(seed)] = Run(own, from_document({"level": level, "difference": level | {"against": two}}))
    rulings = verdicts("v", {"v": Variant(own, runs)})
    found = level_interval(arm, True, 0.025), difference_interval(other, arm, True, True, 0.025)
    for ruling, interval, negligible in zip(rulings, found, (None, 0.5), strict=True):
        (decided,) = ruling.statements
        assert (decided.estimate["low"], decided.estimate["high"]) == (interval.low, interval.high)
        if ruling.outcome != "uninformative":
            assert ruling.outcome == word(interval.low, interval.high, decided.statement.bound, negligible)
