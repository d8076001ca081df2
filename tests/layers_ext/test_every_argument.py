"""Change any argument of any layer: either the answer changes as Keras's does, or the export is refused."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from every_argument import SPECS, Spec, arguments, classes
from hgq.config import QuantizerConfig
from hgq.layers import Quantizer
from hgq.utils import trace_minmax

import keras_hls
from keras_hls.errors import InvalidModel, TooWide, UnsupportedModel

#: What a layer that isn't read is: a later version's work, or none for hardware.
REFUSED_WHOLE = {
    "QConvT1D",
    "QConvT2D",
    "QDenseT",
    "QEinsumDenseT",
    "QMultiHeadAttention",
    "QMultiHeadAttentionT",
    "QLinformerAttention",
    "QLinformerAttentionT",
    "QSALTAttention",
    "QLIF",
    "QSimpleSNN",
}


def cases():
    for cls in classes():
        if cls.__name__ in REFUSED_WHOLE:
            continue
        spec = SPECS.get(cls, Spec([(4,)]))
        yield pytest.param(cls, None, None, id=f"{cls.__name__}")
        for name, values in spec.changes.items():
            for i, value in enumerate(values):
                yield pytest.param(cls, name, value, id=f"{cls.__name__}-{name}-{i}")


def test_every_class_and_argument_is_here():
    missing = [cls.__name__ for cls in classes() if cls not in SPECS and cls.__name__ not in REFUSED_WHOLE]
    assert not missing
    for cls, spec in SPECS.items():
        known = {*spec.base, *spec.changes}
        assert not (left := set(arguments(cls)) - known), f"{cls.__name__} has arguments that nobody tries: {left}"


def build(cls, spec, changed):
    """The layer behind quantized inputs, with weights and samples of few bits, so that Keras's float32 is exact."""
    rng = np.random.default_rng(0)
    options = {
        key: value() if callable(value) and key in ("layer", "cell") else value
        for key, value in {**spec.base, **changed}.items()
    }
    lora = {key: options.pop(key) for key in ("lora_rank", "lora_alpha") if key in options}
    inputs = [keras.Input(shape, dtype=spec.dtype) for shape in spec.shapes]
    few = QuantizerConfig("kif", "datalane", k0=1, i0=2, f0=3, overflow_mode="SAT", heterogeneous_axis=())
    tensors = inputs if spec.dtype == "int32" else [Quantizer(few)(x) for x in inputs]
    layer = cls(**options, **lora)
    call = {"training": False} if "training" in getattr(layer, "_call_signature_parameters", ()) else {}
    outputs = layer(tensors if len(tensors) > 1 else tensors[0], **call)
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)
    for variable in layer.weights:
        name = variable.path.rsplit("/")[-1]
        if variable.dtype != "float32" or name in ("count", "mean", "variance") or "quantizer" in variable.path:
            continue
        values = rng.integers(-8, 9, variable.shape) / 8
        variable.assign(np.abs(values) + 0.25 if "variance" in name else values)
    x = [samples(rng, shape, spec.dtype) for shape in spec.shapes]
    if cls.__module__.startswith("hgq"):
        trace_minmax(model, x if len(x) > 1 else x[0], verbose=0)
    return model, x


def samples(rng, shape, dtype):
    if dtype == "int32":
        return rng.integers(0, 6, (64, *shape)).astype("int32")
    return (rng.integers(-24, 25, (64, *shape)) / 8).astype("float32")


def answers(model, x):
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(model(x if len(x) > 1 else x[0], training=False))]


@pytest.mark.parametrize(("cls", "name", "value"), cases())
def test_an_argument_does_what_it_does_in_keras_or_is_refused(cls, name, value):
    spec = SPECS[cls]
    changed = {} if name is None else {name: value, **spec.also.get(name, {})}
    if value == "channels_first" and keras.backend.backend() == "tensorflow" and cls.__name__.startswith(("ConvLSTM",)):
        pytest.skip("TensorFlow has no such kernel on a CPU")
    try:
        model, x = build(cls, spec, changed)
        wanted = answers(model, x)
    except Exception as error:
        pytest.skip(f"Keras itself refuses it: {type(error).__name__}: {str(error)[:80]}")
    refusal = None
    try:
        snapshot = keras_hls.snapshot(model, calibration=x if len(x) > 1 else x[0], bits=20, softmax="hardware")
    except (UnsupportedModel, InvalidModel, TooWide) as error:
        refusal = str(error)
    if refusal is not None:
        # For this layer: its name stands in the sentence.
        assert model.layers[-1].name in refusal
        return
    got = snapshot.predict(x if len(x) > 1 else x[0])
    for mine, theirs in zip(got if isinstance(got, list) else [got], wanted, strict=True):
        assert mine.shape == theirs.shape
        scale = max(float(np.abs(theirs).max()), 1.0)
        # Wrong options are off by far more than types that were chosen, and tables of twelve bits.
        assert np.abs(mine - theirs).max() <= 0.02 * scale
