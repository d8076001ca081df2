"""QKeras's quantizers as activations: the ops that compute them on fixed-point tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, Formats
from keras_hls.layers_ext.merge import Add, Multiply, Subtract
from keras_hls.layers_ext.piecewise import Piecewise
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.quotient import divide
from keras_hls.layers_ext.reading import Builder, ReadError, Ref
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.steps import Steps
from keras_hls.layers_ext.table import Function, Table
from keras_hls.op import Op
from keras_hls.quantizers import (
    Binary,
    QuantizedBits,
    QuantizedHSwish,
    QuantizedLinear,
    QuantizedPo2,
    QuantizedReLU,
    QuantizedReLUPo2,
    QuantizedSigmoid,
    QuantizedTanh,
    QuantizedULaw,
    Quantizer,
    QuantizerError,
    Stairs,
    StochasticBinary,
    StochasticTernary,
    Ternary,
)
from keras_hls.quantizers.sigmoids import SLOPES, InternalSigmoid, internal_sigmoid

#: Appends one op to a chain, under the name of the chain and a word for it.
_Append = Callable[..., Ref]


# Bits of a cast in which nothing overflows.
_WIDE = 60


def quantized(layer_name: str, build: Builder, x: Ref, quantizer: Quantizer, name: str) -> Ref:
    """Append the ops that compute a quantizer of QKeras as an activation, exactly.

    Parameters
    ----------
    layer_name : str
        Of the layer that the ops belong to.
    build : Builder
    x : Ref
        A fixed-point tensor, or an input of the model, which then gets its type from the quantizer if that is a plain cast.
    quantizer : Quantizer
    name : str
        What the nodes are called after.

    Raises
    ------
    ReadError
        If the quantizer is no exact function of each element.
    """

    def append(op: Op, *inputs: Ref, word: str = "") -> Ref:
        return build.add(op, *inputs, name=f"{name}_{word}" if word else name, layer=layer_name)

    try:
        quantizer.check_activation()
    except QuantizerError as error:
        raise ReadError(str(error)) from None
    if isinstance(quantizer, QuantizedBits):
        return _bits(append, x, quantizer)
    if isinstance(quantizer, QuantizedLinear):
        return _linear(append, build, x, quantizer, layer_name, name)
    if isinstance(quantizer, QuantizedReLU):
        return _relu(append, x, quantizer)
    if isinstance(quantizer, QuantizedTanh):
        return _tanh(append, x, quantizer)
    if isinstance(quantizer, QuantizedSigmoid):
        return _sigmoid(append, x, quantizer)
    if isinstance(quantizer, QuantizedHSwish):
        return _hswish(append, build, x, quantizer, layer_name, name)
    if isinstance(quantizer, QuantizedULaw):
        return _ulaw(append, x, quantizer)
    if isinstance(quantizer, (QuantizedPo2, QuantizedReLUPo2)):
        return append(_steps(quantizer.stairs), x)
    if isinstance(quantizer, (Binary, StochasticBinary, Ternary, StochasticTernary)):
        return _signs(append, x, quantizer)
    raise ReadError(f"no op computes {quantizer.name} as an activation")


def _exact(values: npt.ArrayLike) -> Constant:
    """Numbers that broadcast to a sample: axes of one element before all others are none."""
    array = np.asarray(values, np.float64)
    while array.ndim and array.shape[0] == 1:
        array = array[0]
    return Constant.exactly(array)


def _times(append: _Append, x: Ref, factor: npt.ArrayLike | None, word: str = "scaled") -> Ref:
    """Append a product by known numbers, if they aren't all one."""
    if factor is None or bool((np.asarray(factor) == 1).all()):
        return x
    return append(Scale(_exact(factor)), x, word=word)


def _cast(signed: bool, width: Any, integer: Any, overflow: str = "SAT") -> Quantize:
    """A cast that rounds half to even, as TensorFlow does."""
    return Quantize(Formats(np.asarray(signed), np.asarray(width), np.asarray(integer), "RND_CONV", overflow))


def _clip(low: float, high: float) -> Piecewise:
    return Piecewise.of((0, low), (1, 0), (0, high), bounds=(low, high))


def _steps(stairs: Stairs, factor: float = 1.0) -> Steps:
    return Steps.of(stairs.bounds, stairs.above, tuple(value * factor for value in stairs.values))


def _signed_cast(bits: int, integer: Any, symmetric: bool) -> Quantize:
    return _cast(True, bits, np.asarray(integer) + 1, "SAT_SYM" if symmetric else "SAT")


def _bits(append: _Append, x: Ref, q: QuantizedBits) -> Ref:
    if not q.magnitude:
        start = -1.0 if q.keep_negative else 0.0
        y = append(Steps.of((0.0,), (False,), (start, 1.0)), x)
    elif q.keep_negative:
        y = append(_signed_cast(q.bits, q.integer, q.symmetric), x)
    else:
        y = append(_cast(False, q.bits, q.integer), x)
    return _times(append, y, q.factor)


def _linear(append: _Append, build: Builder, x: Ref, q: QuantizedLinear, layer: str, name: str) -> Ref:
    step = q.step.astype(np.float64)
    if q.sign_only:
        y = append(Steps.of((0.0,), (False,), (-0.5, 0.5)), x)
        return _times(append, y, step)
    mantissa, exponent = np.frexp(step)
    overflow = "SAT_SYM" if q.keep_negative and q.symmetric else "SAT"
    if (mantissa == 0.5).all():
        while exponent.ndim and exponent.shape[0] == 1:
            exponent = exponent[0]
        return append(_cast(q.keep_negative, q.bits, q.bits + exponent - 1, overflow), x)
    # What isn't a power of two divides before anything is rounded.
    exact = _exact(step)
    y = _times(append, x, 2.0**exact.frac, "moved")
    y = divide(build, y, exact.raw, name=f"{name}_divided", layer=layer)
    y = append(_cast(q.keep_negative, q.bits, q.bits, overflow), y)
    return _times(append, y, step)


def _relu(append: _Append, x: Ref, q: QuantizedReLU) -> Ref:
    if isinstance(q.integer, np.ndarray):
        # A type a channel is one type between two shifts.
        unit = np.ldexp(1.0, q.integer)
        y = _relu_of(append, _times(append, x, 1 / unit, "moved"), q, 0)
        y = _times(append, y, unit)
    else:
        y = _relu_of(append, x, q, q.integer)
    return y if q.ceiling is None else append(_below(q.ceiling), y, word="bounded")


def _below(ceiling: float) -> Piecewise:
    return Piecewise.of((1, 0), (0, ceiling), bounds=(ceiling,))


def _relu_of(append: _Append, x: Ref, q: QuantizedReLU, integer: int) -> Ref:
    """ReLU, or what a sigmoid makes of it, without a ceiling of its own."""
    slope, one = q.negative_slope, 2.0**integer
    if q.use_sigmoid:
        return _relu_of_sigmoid(append, x, q, integer)
    if not slope:
        return append(_cast(False, q.bits, integer), x)
    y = append(Piecewise.of((slope, 0), (1, 0), bounds=(0,)), x, word="leaky")
    # Slopes above one reach further below zero than the type does above it.
    more = max(int(np.log2(slope)), 0)
    y = append(_signed_cast(q.bits + more, integer + more, False), y)
    low, high = -slope * one, one * (1 - 2.0**-q.magnitude)
    return y if slope == 1 else append(_clip(low, high), y, word="clipped")


def _relu_of_sigmoid(append: _Append, x: Ref, q: QuantizedReLU, integer: int) -> Ref:
    """The sigmoid in whole steps, of which the upper half is kept, and a share of the lower one by the slope."""
    slope, one, m = q.negative_slope, 2.0**integer, 2.0**q.magnitude
    p = _sigmoid_times(append, x, q.internal_sigmoid, m, one)
    whole = append(_cast(False, q.magnitude + 1, q.magnitude + 1), p, word="whole")
    top = one * (1 - 1 / m)
    upper = Piecewise.of((0, 0), (2 * one / m, -one), (0, top), bounds=(m / 2, m - 0.5))
    y = append(upper, whole)
    if not slope:
        return y
    bits = max(int(np.rint(slope * m)).bit_length(), 1)
    # A function by table is cut by what reads it, so each reader has its own.
    real = q.internal_sigmoid == "real"
    share = (
        _sigmoid_times(append, x, q.internal_sigmoid, slope * m, one) if real else _times(append, p, slope, "sloped")
    )
    rest = append(_cast(False, bits, bits), share, word="rest")
    lower = Piecewise.of((2 * one / m, -one * slope), (0, 0), bounds=(slope * m / 2,))
    return append(Add(), y, append(lower, rest, word="lower"), word="both")


def _sigmoid_times(append: _Append, x: Ref, kind: InternalSigmoid, m: float, one: float) -> Ref:
    """m * sigmoid(x / one), for m and one that are powers of two."""
    if kind == "real":
        return append(Function(lambda v: m * internal_sigmoid(kind, v / one), "sigmoid"), x, word="function")
    slope = m / one * SLOPES[kind]
    if kind == "hard":
        return append(Piecewise.of((0, 0), (slope, m / 2), (0, m), bounds=(-one, one)), x, word="sigmoid")
    # No number of few bits is where this line ends: it is computed first, and then cut.
    y = append(Scale(_exact(slope), _exact(m / 2)), x, word="line")
    return append(_clip(0, m), y, word="sigmoid")


def _tanh(append: _Append, x: Ref, q: QuantizedTanh) -> Ref:
    if q.use_real_tanh or q.internal_sigmoid == "real":
        x = append(Function(q.activation, q.name), x, word="function")
    else:
        # The hard one saturates where the type does.
        x = _times(append, x, 2 * SLOPES[q.internal_sigmoid], "line")
    return append(_signed_cast(q.bits, 0, q.symmetric), x)


def _sigmoid(append: _Append, x: Ref, q: QuantizedSigmoid) -> Ref:
    if q.sigmoid == "real":
        return append(_cast(False, q.bits, 0), append(Function(q.activation, q.name), x, word="function"))
    line = Scale(_exact(SLOPES[q.sigmoid]), _exact(0.5))
    y = append(_cast(False, q.bits, 0), append(line, x, word="sigmoid"))
    least = 2.0**-q.bits
    return append(Piecewise.of((0, least), (1, 0), bounds=(least,)), y, word="symmetric") if q.symmetric else y


def _hswish(append: _Append, build: Builder, x: Ref, q: QuantizedHSwish, layer: str, name: str) -> Ref:
    shift, ceiling = q.relu_shift, q.relu_upper_bound
    gate = append(Piecewise.of((0, 0), (1, shift), (0, ceiling), bounds=(-shift, ceiling - shift)), x, word="gate")
    y = append(Multiply(), x, gate, word="product")
    # A ceiling with a fraction, or of many twos, divides as the odd number that it is a multiple of.
    odd = Constant.exactly(ceiling)
    y = _times(append, y, 2.0**odd.frac, "moved")
    if int(odd.raw) != 1:
        # The last bit that decides the rounding, before it is divided, is that of half a step.
        y = _cut_to_odd(append, y, int(np.max(q.bits - q.behind.integer)))
    y = divide(build, y, odd.raw, name=f"{name}_divided", layer=layer)
    return _bits(append, y, q.behind)


def _cut_to_odd(append: _Append, x: Ref, frac: int) -> Ref:
    """Append a cut to so many fractional bits, and one more that says whether anything lay beyond.

    A product of two wide numbers has too many bits to be divided. What is left lies between the same two multiples of
    ``2**-frac``, or on the same one.
    """
    # As wide as any: nothing overflows.
    cut = append(Quantize(Formats(np.array(True), np.array(_WIDE), np.array(_WIDE - frac))), x, word="cut")
    rest = append(Subtract(), x, cut, word="rest")
    return append(
        Add(), cut, append(Steps.of((0.0,), (True,), (0.0, 2.0 ** -(frac + 1))), rest, word="beyond"), word="odd"
    )


def _ulaw(append: _Append, x: Ref, q: QuantizedULaw) -> Ref:
    m, one = 2.0 ** (q.bits - 1), 2.0**q.integer
    whole = append(_cast(False, q.bits, q.bits), _sigmoid_times(append, x, q.internal_sigmoid, m, one), word="whole")
    entries = Constant.exactly(q.law(np.arange(int(m) + 1)))
    return append(Table.of(entries.raw, entries.frac, 0, 0), whole)


def _signs(append: _Append, x: Ref, q: Binary | StochasticBinary | Ternary | StochasticTernary) -> Ref:
    factor = q.factor
    if factor is not None and not factor.ndim and np.frexp(np.abs(factor))[0] in (0.5, 0.0):
        return append(_steps(q.stairs, float(factor)), x)
    return _times(append, append(_steps(q.stairs), x), factor)
