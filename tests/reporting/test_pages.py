"""Tables as CSV."""

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.reporting.pages import as_csv

WORDS = st.text("ab_ ,;'\"\n", max_size=8)


def test_rows_become_csv_with_a_header():
    assert as_csv([{"a": 1, "b": "x, y"}, {"a": 2.5, "b": "z"}], ["a", "b"]) == 'a,b\n1,"x, y"\n2.5,z\n'


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries({"step": WORDS, "loss": st.floats(allow_nan=False)}), min_size=1, max_size=5))
def test_csv_is_read_back_as_it_was_written(rows):
    read = list(csv.DictReader(io.StringIO(as_csv(rows, list(rows[0])), newline="")))
    assert [{"step": row["step"], "loss": float(row["loss"])} for row in read] == rows
