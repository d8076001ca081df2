"""Integer bits from averages, next to every power of two: equal to QKeras's, and right by what they are for."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from keras_hls.quantizers import integer_bits

OPTIONS = list(product((1, 4, 8, 24), (False, True), (False, True), (False, True)))


def ends():
    """Powers of two with their neighbours, and those of what types hold at most."""
    powers = np.exp2(np.arange(-6, 21)).astype("float32")
    found = [powers, powers - powers / 8, powers - powers / 128, powers * 1.4142135, [0.0, 1e-40, 1e-30]]
    values = np.concatenate(found).astype("float32")
    near = np.concatenate([values, np.nextafter(values, np.float32(9e9)), np.nextafter(values, np.float32(-9e9))])
    return np.concatenate([near, -near])


@pytest.mark.parametrize(("bits", "symmetric", "signed", "rounded"), OPTIONS)
def test_qkeras_agrees(bits, symmetric, signed, rounded):
    keras = pytest.importorskip("keras")
    if keras.__version__.startswith("3"):
        pytest.skip("QKeras needs Keras 2")
    quantizers = pytest.importorskip("qkeras.quantizers")
    rng = np.random.default_rng(0)
    low, high = rng.permutation(ends()), rng.permutation(ends())
    own = {"bits": bits, "symmetric": symmetric, "keep_negative": signed, "is_clipping": rounded}
    ours = {"bits": bits, "symmetric": symmetric, "signed": signed, "rounded": rounded}
    # Vectors of eight are computed otherwise than single numbers.
    for size in (1, 11, len(low)):
        for start in range(0, 30 * size, size):
            part = slice(start, start + size)
            wanted = quantizers._get_integer_bits(low[part], high[part], **own)
            assert np.array_equal(integer_bits(low[part], high[part], **ours), wanted)


@pytest.mark.parametrize(("bits", "symmetric", "signed"), [(8, True, True), (8, False, True), (6, False, False)])
def test_a_type_holds_its_averages(bits, symmetric, signed):
    rng = np.random.default_rng(1)
    high = np.exp2(rng.uniform(-3, 5, 1000)).astype("float32")
    low = -high if signed else np.zeros_like(high)
    found = integer_bits(low, high, bits=bits, symmetric=symmetric, signed=signed, rounded=False)
    # Up to as many integer bits as there are bits.
    most = np.exp2(found) - np.exp2(np.minimum(found - (bits - signed), 0))
    assert (high <= most).all()
    assert (high > np.exp2(found - 1) - np.exp2(np.minimum(found - 1 - (bits - signed), 0)))[found > 0].all()
