"""UpSampling2D with bilinear interpolation: equal to Keras where its float32 is exact, and to fractions elsewhere."""

from __future__ import annotations

import sys
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

sys.path.insert(0, str(Path(__file__).parent))
from plain_models import FIRST, LAST, L, assert_equal, image, quantizer, refused, samples

import keras_hls

pytestmark = pytest.mark.keras3


def exact(x, axis, size):
    """Each point between the centres of two pixels, as a fraction."""
    x = np.moveaxis(np.asarray(x, object), axis, 0)
    n = len(x)
    rows = []
    for o in range(size):
        place = Fraction(2 * o + 1, 2) * n / size - Fraction(1, 2)
        part = place - floor(place)
        a, b = (x[min(max(floor(place) + k, 0), n - 1)] for k in (0, 1))
        rows.append(a * (1 - part) + b * part)
    return np.moveaxis(np.array(rows, object), 0, axis)


@pytest.mark.parametrize("order", [LAST, FIRST])
@pytest.mark.parametrize("size", [1, 2, (1, 4), (8, 1), (2, 4), (4, 2), (1, 1)])
def test_powers_of_two_are_exact(order, size):
    for spatial in ((3, 4), (1, 2), (5, 1)):
        assert_equal(L.UpSampling2D(size, data_format=order, interpolation="bilinear"), image(spatial, order))


@pytest.mark.parametrize("order", [LAST, FIRST])
@pytest.mark.parametrize("size", [3, (5, 2), (6, 1), (3, 7)])
def test_other_factors_are_exact_fractions(order, size):
    """Rounded by a quantizer as the fractions themselves are; Keras's own floats are a little off."""
    x = keras.Input(image((3, 4), order))
    up = L.UpSampling2D(size, data_format=order, interpolation="bilinear")
    model = keras.Model(x, quantizer(f=3)(up(quantizer()(x))))
    values = samples(model, 20)[0]
    rows, columns = (1, 2) if order == LAST else (2, 3)
    # What enters, in quarters: rounded half up, and saturated.
    entered = np.clip(np.floor(values * 4 + 0.5), -64, 63).astype(int)
    height, width = up.size
    between = exact(exact(entered, rows, values.shape[rows] * height), columns, values.shape[columns] * width)
    wanted = np.vectorize(lambda v: float(np.clip((v * 2 + Fraction(1, 2)) // 1, -128, 127)) / 8)(between)
    got = keras_hls.snapshot(model).predict(values)
    assert np.array_equal(got, wanted)
    assert (np.abs(got - np.asarray(model(values))) <= 1 / 8).all()


@pytest.mark.parametrize("kind", ["bicubic", "lanczos3", "lanczos5"])
def test_other_interpolations_are_refused(kind):
    sentence = f"its interpolation is '{kind}', whose weights no op has; use 'nearest' or 'bilinear'$"
    refused(L.UpSampling2D(2, interpolation=kind), (3, 4, 2), sentence=sentence)


def test_a_project_with_a_division(tmp_path):
    x = keras.Input((3, 2, 2))
    up = L.UpSampling2D((3, 2), interpolation="bilinear")(quantizer()(x))
    model = keras.Model(x, quantizer(f=3)(up))
    project = keras_hls.export_hls(model, tmp_path / "net", verify=False)
    values = samples(model)[0]
    assert np.array_equal(project.predict(values), keras_hls.snapshot(model).predict(values))
