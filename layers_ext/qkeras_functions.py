"""QKeras's functions by name, as activations: straight lines and signs, where its quantizers would have levels.

They are the same whatever ``set_internal_sigmoid`` says, which is about quantizers.
"""

from __future__ import annotations

import numpy as np

from keras_hls.fixed import Constant
from keras_hls.layers_ext.activation import ACTIVATIONS, Activation
from keras_hls.layers_ext.piecewise import Piecewise
from keras_hls.layers_ext.reading import Builder, LayerView, Ref
from keras_hls.layers_ext.scale import Scale
from keras_hls.op import Op

# Of the line 0.1875 * x + 0.5, which stands for a sigmoid.
_SMOOTH_SLOPE = 0.1875


def _op(op: Op) -> Activation:
    return lambda layer, build, x, name: build.add(op, x, name=name, layer=layer.name)


def _line(slope: float, offset: float, low: float) -> Activation:
    """A line between two ends, which it needn't reach at a number of few bits: so it is computed first, and then cut."""
    line = Scale(*(Constant.exactly(np.float64(number)) for number in (slope, offset)))
    ends = Piecewise.of((0, low), (1, 0), (0, 1), bounds=(low, 1))

    def add(layer: LayerView, build: Builder, x: Ref, name: str) -> Ref:
        y = build.add(line, x, name=f"{name}_line", layer=layer.name)
        return build.add(ends, y, name=name, layer=layer.name)

    return add


ACTIVATIONS |= {
    # Keras has a function of this name with another slope.
    "qkeras.hard_sigmoid": _op(Piecewise.of((0, 0), (0.5, 0.5), (0, 1), bounds=(-1, 1))),
    # One half is rounded to even.
    "binary_sigmoid": _op(Piecewise.of((0, 0), (0, 1), bounds=(0,), above=(True,))),
    "smooth_sigmoid": _line(_SMOOTH_SLOPE, 0.5, 0.0),
    "smooth_tanh": _line(2 * _SMOOTH_SLOPE, 0.0, -1.0),
}
