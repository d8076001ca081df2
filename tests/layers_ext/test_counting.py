"""Counting hardware, against plain recodings and trees that are really built."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hls.layers_ext.counting import adder_trees, constant_bits, csd_digits, tree_depth, tree_path, units
from keras_hls.op import Unit


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


@pytest.mark.parametrize("terms", range(40))
def test_trees(terms):
    levels, left = 0, max(terms, 1)
    while left > 1:
        left, levels = (left + 1) // 2, levels + 1
    assert tree_depth(terms) == levels
    path = tree_path(terms, 20)
    assert [u.count for u in path] == [1] * levels
    # The last sum has all bits, and no level has more than the next.
    assert [u.widths[0] for u in path] == list(range(20 - levels + 1, 21))
    assert sum(u.count for u in adder_trees(terms, 20)) == max(terms - 1, 0)
    assert sum(u.count for u in adder_trees([terms, 3, terms], [20, 9, 20])) == 2 * max(terms - 1, 0) + 2


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1))
def test_bits_of_constants(values):
    assert constant_bits(values).tolist() == [n.bit_length() if n >= 0 else (-n - 1).bit_length() + 1 for n in values]
