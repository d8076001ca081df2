"""Products of matrices of every size, however they are cut."""

import numpy as np
import pytest

from keras_hls.layers_ext import exact_matmul
from keras_hls.layers_ext.exact_matmul import matmul

SIZES = (0, 1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 300)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_matrices_of_any_size(dtype):
    rng = np.random.default_rng(0)
    for _ in range(120):
        stack = tuple(rng.integers(1, 3, rng.integers(0, 3)))
        count, n_in, n_out = rng.choice(SIZES, 3)
        rows = rng.integers(-99, 100, (*stack, count, n_in)).astype(dtype)
        matrix = rng.integers(-99, 100, (*stack, n_in, n_out)).astype(dtype)
        sums = matmul(rows, matrix)
        assert sums.dtype == dtype
        assert np.array_equal(sums, np.einsum("...ij,...jk->...ik", rows, matrix))


def test_no_call_is_large_enough_for_threads(monkeypatch):
    calls = []

    class Watched(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, out=None, **more):
            plain = [np.asarray(a) for a in inputs]
            if ufunc is np.matmul:
                calls.append(plain[0].shape[-2] * plain[0].shape[-1] * plain[1].shape[-1])
            return getattr(ufunc, method)(*plain, out=out, **more)

    for count, n_in, n_out in [(1, 1024, 1024), (500, 512, 512), (5000, 16, 64), (100, 128, 128), (70, 5000, 3)]:
        matmul(np.zeros((count, n_in), np.float32).view(Watched), np.zeros((n_in, n_out), np.float32))
    assert calls
    assert max(calls) <= exact_matmul._BLAS_ALONE
