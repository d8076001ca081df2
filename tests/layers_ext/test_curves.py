"""Curves by straight pieces stay within the bound that they state, at every mantissa."""

import numpy as np
import pytest

from keras_hls.layers_ext.curves import Curve

FUNCTIONS = {
    "log": (np.log, lambda m: m**-2.0, 1, False),
    "root": (lambda m: m**-0.5, lambda m: 0.75 * m**-2.5, 2, True),
    "scaled root": (lambda m: 1.7 * m**-0.5, lambda m: 1.7 * 0.75 * m**-2.5, 2, True),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("index_bits", "rest_bits", "frac"), [(1, 0, 3), (2, 6, 8), (5, 7, 14), (8, 10, 20), (10, 6, 26), (4, 12, 8)]
)
def test_every_mantissa(name, index_bits, rest_bits, frac):
    function, bend, octaves, relative = FUNCTIONS[name]
    curve = Curve.of(
        function, bend, octaves=octaves, index_bits=index_bits, rest_bits=rest_bits, frac=frac, relative=relative
    )
    assert len(curve.starts) == len(curve.slopes) == ((1 << octaves) - 1) << index_bits
    mantissas = np.arange(1 << curve.mantissa_bits, 1 << (curve.mantissa_bits + octaves))
    real = function(np.ldexp(mantissas.astype(float), -curve.mantissa_bits))
    off = np.abs(np.ldexp(curve(mantissas).astype(float), -frac) - real)
    worst = (off / real if relative else off).max()
    assert worst <= curve.error
    # A bound is worth something if it is near.
    assert curve.error <= 3 * worst + 4 * 2.0**-frac


@pytest.mark.parametrize("octaves", [1, 2])
@pytest.mark.parametrize("width", [4, 10, 40, 62])
def test_the_leading_one(octaves, width):
    curve = Curve.of(
        lambda m: 1 / m, lambda m: 2 / m**3, octaves=octaves, index_bits=3, rest_bits=5, frac=10, relative=True
    )
    rng = np.random.default_rng(0)
    values = np.concatenate([[1, 2, 3, (1 << width) - 1], rng.integers(1, 1 << rng.integers(1, width + 1, 500))])
    mantissas, shifts = curve.normalized(values, width)
    assert (mantissas >= 1 << curve.mantissa_bits).all()
    assert (mantissas < 1 << (curve.mantissa_bits + octaves)).all()
    for value, mantissa, shift in zip(values.tolist(), mantissas.tolist(), shifts.tolist()):
        power = width - octaves - curve.mantissa_bits - octaves * shift
        # Cut, and exact where there is nothing to cut.
        assert (mantissa << power) <= value < ((mantissa + 1) << power) if power >= 0 else mantissa == value << -power
