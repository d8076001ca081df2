"""Drawn tables: what is drawn is read, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hls.errors import HLSError
from keras_hls.reports.text_tables import read_table

words = st.text("abcz019_|~%.-", min_size=1, max_size=9)


@given(st.data())
def test_what_is_drawn_is_read(draw, data):
    count = data.draw(st.integers(1, 5))
    head = data.draw(st.lists(st.text("AB c", max_size=6).map(str.strip), min_size=count, max_size=count))
    rows = data.draw(st.lists(st.lists(words, min_size=count, max_size=count), max_size=5))
    rules = data.draw(st.sets(st.integers(0, max(len(rows) - 2, 0)))) if rows else ()
    indent = " " * data.draw(st.integers(0, 4))
    depths = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    drawn = [[" " * depth + row[0], *row[1:]] for depth, row in zip(depths, rows)]
    text = draw.table([[(name, 1) for name in head]], drawn, indent=indent, left=0, rules=rules)
    table = read_table([*text.splitlines(), "", "| something else |"], "file", "table")
    assert table.columns == tuple(head)
    assert table.rows == tuple(map(tuple, rows))
    assert table.depths == tuple(depths)
    lines = text.splitlines()
    for end in range(1, len(lines) + (not rows)):
        # Up to a rule in the middle a table looks whole; its readers look for their last row.
        if end <= 3 or not lines[end - 1].strip().startswith("+-"):
            with pytest.raises(HLSError, match="cut off"):
                read_table(lines[:end], "file", "table")


def test_headings_that_span_columns(draw):
    head = [[("", 1), ("Latency (cycles)", 2), ("Type", 1)], [("Name", 1), ("min", 1), ("max", 1), ("of it", 1)]]
    table = read_table(draw.table(head, [["a", 1, 2, "b"]]).splitlines(), "file", "table")
    assert table.columns == ("Name", "Latency (cycles) min", "Latency (cycles) max", "Type of it")
    assert table.column("Latency.*max", "latency") == 2


def test_a_column_that_is_missing_or_there_twice_is_named(draw):
    table = read_table(draw.table([[("A", 1), ("B", 1), ("B", 1)]], [[1, 2, 3]]).splitlines(), "some.rpt", "table of x")
    for pattern in ("B", "C"):
        assert table.find(pattern) is None
        with pytest.raises(HLSError, match=r"'some.rpt' has no column for it in its table of x \(it has A, B, B\)"):
            table.column(pattern, "it")


@pytest.mark.parametrize("change", [("|b", "b|"), ("|b", "|bb"), ("3|", "3"), ("+-+", "+--+")])
def test_crooked_tables_are_refused(draw, change):
    text = draw.table([[("A", 1), ("B", 1)]], [["a", 1], ["b", 3]], left=0, right=0)
    assert change[0] in text
    with pytest.raises(HLSError, match=r"cut off|other columns"):
        read_table(text[::-1].replace(change[0][::-1], change[1][::-1], 1)[::-1].splitlines(), "file", "table")
