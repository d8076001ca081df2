"""Tables drawn with dashes and bars, as all these tools write them.

The rules say where the columns are; a bar inside a cell is no end of it. Whatever is not drawn to its last rule is
refused: half a table has wrong figures that nobody would see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keras_hls.reports.figures import cut_off, problem

_RULE = re.compile(r"\+(?:-+\+)+")


@dataclass(frozen=True)
class Table:
    """A table's cells as text.

    Attributes
    ----------
    columns : tuple of str
        Headings, with those that several columns share in front: "Interval min".
    rows : tuple of tuple of str
        Cells without blanks around them.
    depths : tuple of int
        Of each row, how many blanks stand before its first cell's text: trees are drawn so.
    where, what : str
        File and table, for errors.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    depths: tuple[int, ...]
    where: str
    what: str

    def find(self, pattern: str) -> int | None:
        """Return the only column whose whole heading is of a pattern; None if there is none."""
        found = [i for i, name in enumerate(self.columns) if re.fullmatch(pattern, name)]
        return found[0] if len(found) == 1 else None

    def column(self, pattern: str, meaning: str) -> int:
        """Return the column of a pattern.

        Raises
        ------
        HLSError
            If there isn't exactly one.
        """
        found = self.find(pattern)
        if found is None:
            raise problem(
                self.where,
                f"has no column for {meaning} in its {self.what} (it has {', '.join(self.columns)})",
                "it may come from a tool version that keras_hls doesn't know",
            )
        return found


def is_drawn(line: str) -> bool:
    """Return whether a line is part of a table."""
    return line.lstrip().startswith(("+-", "|"))


def read_table(lines: Sequence[str], where: str, what: str) -> Table:
    """Return the table that starts in the first line.

    Raises
    ------
    HLSError
        If it isn't drawn to its end, or not straight.
    """
    rule = lines[0].strip()
    indent = len(lines[0]) - len(lines[0].lstrip())
    if not _RULE.fullmatch(rule):
        raise cut_off(where, f"its {what} has no first line")
    edges = [i for i, char in enumerate(rule) if char == "+"]
    drawn = _drawn(lines, indent, rule, where, what)
    ruled = [i for i, line in enumerate(drawn) if line == rule]
    if len(ruled) < 2 or ruled[-1] != len(drawn) - 1:
        raise cut_off(where, f"its {what} has no end")
    if len(ruled) == 2 and len(drawn) == len(lines):
        # Headings alone are drawn so far in an empty table as well, but something follows it.
        raise cut_off(where, f"its {what} ends with the headings")
    head = drawn[1 : ruled[1]]
    if not head:
        raise problem(where, f"has a {what} without headings")
    rows = [_cells(line, edges, where, what) for line in drawn[ruled[1] + 1 :] if line != rule]
    depths = [len(row[0]) - len(row[0].lstrip()) for row in rows]
    plain = [tuple(cell.strip() for cell in row) for row in rows]
    return Table(_headings(head, edges), tuple(plain), tuple(depths), where, what)


def _drawn(lines: Sequence[str], indent: int, rule: str, where: str, what: str) -> list[str]:
    drawn = []
    for line in lines:
        if not is_drawn(line):
            break
        text = line[indent:].rstrip()
        straight = not line[:indent].strip() and len(text) == len(rule)
        if not straight or (text != rule and not (text[0] == text[-1] == "|")):
            raise cut_off(where, f"its {what} has a line that isn't whole: {line.strip()[:60]!r}")
        drawn.append(text)
    return drawn


def _cells(line: str, edges: Sequence[int], where: str, what: str) -> list[str]:
    if any(line[edge] != "|" for edge in edges):
        raise problem(where, f"has a line in its {what} with other columns than its heading: {line.strip()[:60]!r}")
    return [line[a + 1 : b] for a, b in zip(edges, edges[1:])]


def _headings(head: Sequence[str], edges: Sequence[int]) -> tuple[str, ...]:
    """The heading of each column, from top to bottom; one that spans several columns has no bars inside."""
    names = []
    for left, right in zip(edges, edges[1:]):
        parts = []
        for line in head:
            first = max(edge for edge in edges if edge <= left and line[edge] == "|")
            last = min(edge for edge in edges if edge >= right and line[edge] == "|")
            parts.append(line[first + 1 : last].strip())
        names.append(" ".join(part for part in parts if part))
    return tuple(names)


def tables(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the first line, and the one after the last, of everything that is drawn."""
    start = None
    for number, line in enumerate([*lines, ""]):
        if is_drawn(line) and start is None and line.lstrip().startswith("+-"):
            start = number
        elif start is not None and not is_drawn(line):
            yield start, number
            start = None
