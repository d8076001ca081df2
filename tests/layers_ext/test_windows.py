"""Windows: where each element of each window lies, against the definition."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hls.layers_ext.windows import Window, padding, patches, sizes, transposed


def stretched_and_padded(values, w: Window, fill):
    """The axis as the definition has it, point by point."""
    points = [fill] * w.before
    for i, value in enumerate(values):
        points += [fill] * (w.input_dilation - 1) * (i > 0) + [value]
    points += [fill] * w.after
    points = points[-w.before if w.before < 0 else 0 :]
    return points[: len(points) + min(w.after, 0)]


@st.composite
def windows(draw):
    size, kernel = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    small = st.integers(1, 3)
    w = Window(size, kernel, draw(small), draw(small), draw(st.integers(-2, 4)), draw(st.integers(-2, 4)), draw(small))
    return w if w.outputs > 0 and w.points > 0 else Window(size, 1)


@given(windows())
def test_taps(w):
    points = stretched_and_padded(range(w.size), w, -1)
    assert len(points) == w.points
    taps = w.taps()
    assert taps.shape == (w.outputs, w.kernel)
    for o, k in product(range(w.outputs), range(w.kernel)):
        assert taps[o, k] == points[o * w.stride + k * w.dilation]
    # One output more would reach beyond the end.
    assert w.outputs * w.stride + w.span > w.points


@given(st.lists(windows(), min_size=1, max_size=3), st.sampled_from([0, -99, 2.5]), st.integers(0, 2))
def test_patches(axes, fill, n):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 50, (n, *(w.size for w in axes), 2)).astype(type(fill))
    before = image.copy()
    seen = patches(image, axes, fill)
    assert np.array_equal(image, before)
    assert seen.shape == (n, *(w.outputs for w in axes), *(w.kernel for w in axes), 2)
    wanted, inside = image, np.ones(image.shape[1:-1], bool)
    for axis, w in enumerate(axes):
        # Taps of each axis become two axes: outputs stay, elements of the window go behind those of the axes before.
        taps = w.taps()
        wanted = np.moveaxis(np.take(wanted, taps, axis + 1), axis + 2, -2)
        inside = np.moveaxis(np.take(inside, taps, axis), axis + 1, -1)
        ok = taps >= 0
        shape = [1] * inside.ndim
        shape[axis], shape[-1] = ok.shape
        inside = inside & ok.reshape(shape)
    assert np.array_equal(seen, np.where(inside[None, ..., None], wanted, np.array(fill, image.dtype)))


def test_patches_without_padding_are_a_view():
    image = np.zeros((2, 9, 9, 3))
    seen = patches(image, [Window(9, 3, 2), Window(9, 2, 1, 3)])
    assert np.shares_memory(seen, image)
    assert not seen.flags.writeable


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))
def test_padding(size, kernel, stride, dilation):
    assert padding("valid", size, kernel, stride, dilation) == (0, 0)
    before, after = padding("same", size, kernel, stride, dilation)
    assert before <= after <= before + 1
    assert Window(size, kernel, stride, dilation, before, after).outputs == -(-size // stride)
    if before:
        # No point more than it takes.
        assert Window(size, kernel, stride, dilation, before, after - 1).outputs < -(-size // stride)
    before, after = padding("causal", size, kernel, stride, dilation)
    causal = Window(size, kernel, stride, dilation, before, after)
    assert causal.outputs == -(-size // stride)
    # The last element of a window is the output's own.
    assert causal.taps()[:, -1].tolist() == list(range(0, size, stride))


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.none() | st.integers(0, 3))
def test_transposed(size, kernel, stride, dilation, more):
    span = (kernel - 1) * dilation + 1
    w = transposed("valid", size, kernel, stride, dilation, more)
    assert w.outputs == (size - 1) * stride + (max(span, stride) if more is None else span + more)
    wanted = size * stride if more is None else (size - 1) * stride + span % 2 + more
    same = transposed("same", size, kernel, stride, dilation, more)
    assert same.outputs == wanted
    if more is None and wanted >= 1:
        # It is the transpose of the convolution that makes that many outputs out of so many.
        forward = Window(wanted, kernel, stride, dilation, *padding("same", wanted, kernel, stride, dilation))
        back = [(o, i, k) for i, row in enumerate(forward.taps()) for k, o in enumerate(row) if o >= 0]
        met = [(o, i, kernel - 1 - k) for o, row in enumerate(same.taps()) for k, i in enumerate(row) if i >= 0]
        assert sorted(back) == sorted(met)


@pytest.mark.parametrize("ask", [padding, transposed])
def test_other_modes_are_refused(ask):
    with pytest.raises(ValueError, match=r"must be 'valid'.*not 'full'"):
        ask("full", 3, 2)


def test_sizes():
    found = sizes([Window(9, 3, 2, 1, 1, 2, 2), Window(5, 2)])
    assert [found[f"{key}_0"] for key in ("in", "out", "kernel", "stride", "dilation", "before", "stretch")] == [
        1
    ] * 5 + [0, 1]
    assert found["in_1"] == 9
    assert found["out_1"] == 9
    assert found["before_1"] == 1
    assert found["stretch_1"] == 2
    assert found["out_2"] == 4
