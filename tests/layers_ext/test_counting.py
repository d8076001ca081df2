"""Counting hardware, against plain recodings and trees that are really built."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hls.layers_ext.counting import (
    by_kind,
    choice_steps,
    constant_bits,
    csd_digits,
    extreme_steps,
    growing_steps,
    in_turn,
    sum_steps,
    tree_depth,
    units,
)
from keras_hls.op import Step, Unit, Work


def recoded(n: int) -> list[int]:
    """Canonical signed digits of an integer, least first (Reitwiesner): no two neighbours are both nonzero."""
    digits = []
    while n:
        digit = 2 - n % 4 if n % 2 else 0
        digits.append(digit)
        n = (n - digit) // 2
    return digits


def test_the_recoding_itself():
    for n in range(-300, 301):
        digits = recoded(n)
        assert sum(d << i for i, d in enumerate(digits)) == n
        assert not any(a and b for a, b in itertools.pairwise(digits))


def test_csd_digits_of_small_integers():
    values = np.arange(-2000, 2001)
    assert csd_digits(values).tolist() == [sum(map(abs, recoded(int(n)))) for n in values]


@given(st.lists(st.integers(-(2**61) + 1, 2**61 - 1), min_size=1))
def test_csd_digits_of_any_integer(values):
    assert csd_digits(values).tolist() == [sum(map(abs, recoded(n))) for n in values]


@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (2, 0, 1)])
def test_csd_digits_keep_the_shape(shape):
    assert csd_digits(np.full(shape, 7)).shape == shape
    assert (csd_digits(np.full(shape, 7)) == 2).all()


def test_units_are_counted_by_what_they_are():
    found = units("add", [[3, 4], [3, 4]], [[1, 1], [1, 2]], digits=[5, 6])
    assert sorted(found, key=lambda u: u.widths) == [
        Unit("add", 2, (3, 1), 5),
        Unit("add", 1, (4, 1), 6),
        Unit("add", 1, (4, 2), 6),
    ]
    assert units("select", np.zeros((0, 4))) == []
    assert units("select", 7) == [Unit("select", 1, (7,))]


def test_units_in_turn():
    add, select, none = Unit("add", 2, (5,)), Unit("select", 1, (4,)), Unit("add", 0, (9,))
    assert in_turn([none, add], [none], [], [select]) == Work((Step((add,)), Step((select,))))
    assert by_kind([add, select, none, replace(add, widths=(7,))]) == Work(
        (Step((add, Unit("add", 2, (7,)))), Step((select,)))
    )


def built(leaves: list[int], most: int) -> list[tuple[list[int], int]]:
    """The adders of a balanced tree of terms of these bits, level by level, and the bits that wait beside them."""
    levels = []
    while len(leaves) > 1:
        pairs = [min(max(pair) + 1, most) for pair in zip(leaves[::2], leaves[1::2])]
        odd = leaves[len(leaves) // 2 * 2 :]
        levels.append((sorted(pairs), sum(odd)))
        leaves = pairs + odd
    return levels


def listed(steps: list[Step]) -> list[tuple[list[int], int]]:
    return [(sorted(w for u in step.units for w in u.widths * u.count), step.passing) for step in steps]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=40), st.integers(20, 24))
def test_trees_of_terms_that_differ(leaves, most):
    assert listed(growing_steps(np.array(leaves)[:, None], np.array([most]), np.array([1]))) == built(leaves, most)


def test_trees_side_by_side():
    """Empty places don't count, sums that are ready wait for the longest, and each kind is there as often as it is."""
    leaves = np.array([[0, 4], [5, 4], [3, 0], [0, 0], [6, 0]])
    found = growing_steps(leaves, np.array([20, 20]), np.array([2, 3]))
    assert listed(found) == [([5] * 3 + [6] * 2, 2 * 6), ([7] * 2, 3 * 5)]
    assert growing_steps(leaves * 0, np.array([20, 20]), np.array([2, 3])) == []


@pytest.mark.parametrize("terms", range(40))
def test_trees(terms):
    levels, left = 0, max(terms, 1)
    while left > 1:
        left, levels = (left + 1) // 2, levels + 1
    assert tree_depth(terms) == levels
    found = sum_steps(terms, 20)
    # The last sum has all bits, and each level one more than that before.
    assert [{u.widths for u in step.units} for step in found] == [{(width,)} for width in range(21 - levels, 21)]
    assert sum(u.count for step in found for u in step.units) == max(terms - 1, 0)
    several = sum_steps([terms, 3, terms], [20, 9, 20])
    assert sum(u.count for step in several for u in step.units) == 2 * max(terms - 1, 0) + 2
    chosen = choice_steps(terms, 20)
    assert [{(u.kind, u.widths) for u in step.units} for step in chosen] == [{("select", (20,))}] * levels
    largest = extreme_steps(terms, 20)
    assert [{u.kind for u in step.units} for step in largest] == [{"compare"}, {"select"}] * levels


def test_what_waits_in_trees():
    """Of three numbers one has no partner; a sum of one is ready at once."""
    assert [step.passing for step in sum_steps([3], 9)] == [7, 0]
    assert [step.passing for step in sum_steps([3, 1, 0], [9, 5, 5])] == [7 + 5, 5]
    assert [step.passing for step in extreme_steps([3], 9)] == [9 + 18, 9, 18, 0]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1))
def test_bits_of_constants(values):
    assert constant_bits(values).tolist() == [n.bit_length() if n >= 0 else (-n - 1).bit_length() + 1 for n in values]
