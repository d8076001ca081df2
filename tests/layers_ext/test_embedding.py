"""Embedding: rows of a table, by number."""

import numpy as np
import pytest

from keras_hls.fixed import Constant, Fixed, TensorType
from keras_hls.layers_ext.embedding import Lookup
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_ops


def whole_numbers(rng, shape):
    ends = np.sort(rng.integers(-4, 20, (2, *shape)), axis=0)
    return TensorType(ends[0], ends[1], 0)


def random_table(rng):
    return Constant(
        rng.integers(-50, 50, (int(rng.integers(1, 17)), int(rng.integers(1, 5)))), int(rng.integers(-2, 6))
    )


@pytest.mark.parametrize("seed", range(40))
def test_meaning_and_type_are_exact(seed):
    rng = np.random.default_rng(seed)
    x, op = whole_numbers(rng, (3,)), Lookup(random_table(rng))
    y = op.infer(x)
    for i in range(3):
        raw = np.tile(x.low, (int(x.high[i] - x.low[i]) + 1, 1))
        raw[:, i] = np.arange(x.low[i], x.high[i] + 1)
        numbers = np.clip(raw[:, i], 0, len(op.rows.raw) - 1)
        answers = op.bind(x)(raw)[:, i]
        assert np.array_equal(answers, op.rows.raw[numbers])
        assert np.array_equal(y.low[i], answers.min(0))
        assert np.array_equal(y.high[i], answers.max(0))


def test_cpp():
    rng = np.random.default_rng(0)
    cases = []
    for i in range(40):
        shape = [(3,), (2, 2), (1,)][i % 3]
        cases.append(Case(Lookup(random_table(rng)), (whole_numbers(rng, shape),)))
    check_ops(cases, samples=60)


@pytest.mark.parametrize("frac", [-2, 3])
def test_whole_numbers_in_other_units(frac):
    op = Lookup(Constant(np.arange(20).reshape(10, 2), 0))
    x = TensorType(np.zeros(1), np.array([8 * 2**frac if frac > 0 else 2]), frac, max(frac, 0))
    raw = np.array([[0], [1 << max(frac, 0)], [2 << max(frac, 0)]])
    numbers = np.ldexp(raw[:, 0].astype(float), -frac).astype(int)
    assert np.array_equal(op.bind(x)(raw)[:, 0], op.rows.raw[numbers])
    if frac < 0:
        check_ops([Case(op, (TensorType.of(Fixed(False, 3, 3 - frac), (2,)),))], samples=20)


def test_fractions_and_empty_tables_are_refused():
    with pytest.raises(ValueError, match="quantize the input to integers"):
        Lookup(Constant(np.ones((4, 2)), 0)).infer(TensorType.of(Fixed(False, 4, 2), (3,)))
    with pytest.raises(ValueError, match="at least one row"):
        Lookup(Constant(np.ones((0, 2)), 0)).infer(TensorType.of(Fixed(False, 4, 4), (3,)))


def test_work():
    rows = Constant(np.array([[1, 0], [2, 0], [-3, 0], [0, 0]]), 0)
    # Two bits choose among four rows; a column of zeros takes nothing. A third bit may lie outside.
    inside = Lookup(rows).work(TensorType([0], [3], 0), plan=Plan())
    assert inside.units == (Unit("table", 1, (2, 3)),)
    outside = Lookup(rows).work(TensorType([0], [7], 0), plan=Plan())
    assert outside.units == (Unit("compare", 1, (3,)), Unit("select", 1, (3,)), Unit("table", 1, (2, 3)))


def test_in_a_network_of_integers(tmp_path):
    keras = pytest.importorskip("keras")
    pytest.importorskip("hgq")
    import keras_hls
    from keras_hls.errors import InvalidData, UnsupportedModel

    tokens = keras.Input((5,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(11, 3, name="embedding")(tokens)
    model = keras.Model(tokens, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    data = np.random.default_rng(0).integers(0, 11, (200, 5))
    project = keras_hls.export_hls(model, tmp_path / "net", calibration=data)
    assert project.verification.ok
    assert np.abs(project.predict(data) - keras.ops.convert_to_numpy(model(data))).max() < 1e-3
    # Random samples are rows that there are.
    assert keras_hls.snapshot(model, calibration=data).export(tmp_path / "again", model=model).verification.ok
    with pytest.raises(InvalidData, match="'tokens' must be whole numbers from 0 to 10, and one is 11"):
        project.predict(data + 1)
    wrong = keras.Model(tokens, keras.layers.Flatten()(tokens))
    with pytest.raises(UnsupportedModel, match="it is given int32, which no reader takes account of"):
        keras_hls.snapshot(wrong)


def test_pixels_of_eight_bits_need_no_quantizer(tmp_path):
    keras = pytest.importorskip("keras")
    pytest.importorskip("hgq")
    import keras_hls

    pixels = keras.Input((4, 3), dtype="uint8")
    model = keras.Model(pixels, keras.layers.Flatten()(keras.layers.Rescaling(1 / 256, offset=-0.5)(pixels)))
    data = np.random.default_rng(0).integers(0, 256, (100, 4, 3)).astype("uint8")
    project = keras_hls.export_hls(model, tmp_path / "net", verify=data)
    assert str(project.graph.inputs[0].op.port) == "ufixed<8, 8>"
    assert project.verification.ok
    assert np.array_equal(project.predict(data), keras.ops.convert_to_numpy(model(data)))
