"""Tables as text, for people who print results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Return cells in columns as wide as they need, below a head and a rule.

    Parameters
    ----------
    head : sequence of str
    rows : iterable of sequences of str
        Each as long as the head.
    left : collection of int
        Columns that hold text, so start at the left; others, which hold numbers, end at the right.
    """
    table = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(zip(cells, widths))
        )
        for cells in table
    ]
    return "\n".join([lines[0].rstrip(), "-" * len(lines[0]), *(line.rstrip() for line in lines[1:])])
