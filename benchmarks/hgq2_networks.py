"""HGQ2 networks with a bit width for every weight. The widths start spread out, as a long training leaves them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def _widths(shared_axes: tuple[int, ...] | None = None) -> Iterator[None]:
    """Layers made inside get quantizers with a bit width of their own for every weight, and for every value or channel.

    Parameters
    ----------
    shared_axes : tuple of int, optional
        Axes that share the widths of values; by default only the batch.
    """
    import keras
    from hgq.config import LayerConfigScope, QuantizerConfigScope

    def between(low: float, high: float) -> Any:
        return keras.initializers.RandomUniform(low, high)

    shared = {} if shared_axes is None else {"homogeneous_axis": shared_axes}
    with ExitStack() as stack:
        # One scope takes either the integer bits or a width: it would calculate with them.
        for scope in (
            QuantizerConfigScope(place=("weight", "bias"), i0=0, overflow_mode="SAT_SYM"),
            QuantizerConfigScope(place="weight", b0=between(0, 7)),
            QuantizerConfigScope(place="bias", b0=between(3, 9)),
            QuantizerConfigScope(place="datalane", i0=2, overflow_mode="SAT", **shared),
            QuantizerConfigScope(place="datalane", f0=between(1, 6)),
            LayerConfigScope(enable_ebops=True, beta0=3e-7),
        ):
            stack.enter_context(scope)
        yield


def dense(inputs: int, hidden: Sequence[int], outputs: int) -> Any:
    """Return an untrained network of dense layers."""
    import keras
    from hgq.layers import QDense

    with _widths():
        layers = [QDense(units, activation="relu", name=f"dense_{i}") for i, units in enumerate(hidden)]
        return keras.Sequential([keras.Input((inputs,)), *layers, QDense(outputs, enable_oq=True, name="logits")])


def convolutional() -> Any:
    """Return an untrained network for pictures of 32 x 32 x 3: two convolutions, each with its pooling, and two dense layers."""
    import keras
    from hgq.layers import QConv2D, QDense, QMaxPooling2D

    x = y = keras.Input((32, 32, 3))
    # A width for every channel: a convolution in hardware sees all places alike.
    with _widths((0, 1, 2)):
        y = QConv2D(8, 3, strides=2, activation="relu", name="conv_0")(y)
        y = QMaxPooling2D(2, name="pool_0")(y)
        y = QConv2D(8, 3, activation="relu", name="conv_1")(y)
        y = QMaxPooling2D(2, name="pool_1")(y)
    y = keras.layers.Flatten(name="flat")(y)
    with _widths():
        y = QDense(16, activation="relu", name="dense")(y)
        y = QDense(10, enable_oq=True, name="logits")(y)
    return keras.Model(x, y)
