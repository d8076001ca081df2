"""HGQ (the first): which of a layer's arrays is what. Files hold them in Keras's order, and not all of them with names.

Keras's order is what is trained, and then the rest. What that is depends on the configs of the quantizers, and on how a batch
normalisation was made, of which nothing is written down: the shapes tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy.typing as npt

from keras_hls.frontends.view import ReadError

_KERNELS = frozenset({"HDense", "HDenseBatchNorm", "HConv1D", "HConv1DBatchNorm", "HConv2D", "HConv2DBatchNorm"})
_NORMALIZED = frozenset({"HDenseBatchNorm", "HConv1DBatchNorm", "HConv2DBatchNorm", "HBatchNormalization"})
_QUANTIZED = _KERNELS | _NORMALIZED | {"HQuantize", "HActivation", "HAdd"}
_PROXY = {"FixedPointQuantizer": ("keep_negative", "bits", "integers"), "UnaryLUT": ("table",)}
# A number that is never trained, in the place of what a normalisation does without.
_NOTHING = "Variable"
_SCALARS = frozenset({"beta", "bops", "step_counter", _NOTHING})


def named_weights(
    kind: str, config: Mapping[str, Any], arrays: Sequence[npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Return a layer's arrays by name.

    Parameters
    ----------
    kind : str
        The class's own name, as "HDense".
    config : mapping
        The layer's config.
    arrays : sequence of arrays
        In Keras's order.

    Raises
    ------
    ReadError
        If they aren't those of such a layer.
    """
    for names in _orders(kind, config):
        # In a proxy, the bits of a whole tensor are numbers as well; but its layers have one order alone.
        fits = kind in _PROXY or all((n in _SCALARS) == (a.shape == ()) for n, a in zip(names, arrays))
        if len(names) == len(arrays) and fits:
            return {name: array for name, array in zip(names, arrays) if name != _NOTHING}
    expected = ", ".join(name for name in next(_orders(kind, config)) if name != _NOTHING)
    shapes = ", ".join(str(array.shape) for array in arrays)
    raise ReadError(
        f"it takes {expected or 'no weights'}, but the weights hold arrays of shapes {shapes or 'none'} for it"
    )


def _orders(kind: str, config: Mapping[str, Any]) -> Iterator[list[str]]:
    """Every order that arrays of such a layer can have; no two of them agree in which arrays are numbers."""
    if kind not in _QUANTIZED:
        yield list(_PROXY.get(kind, ()))
        return
    own = [bool((config.get(key) or {}).get("trainable", True)) for key in ("kq_conf", "paq_conf")]
    # A layer that was made not to train has quantizers that don't, also if it trained later.
    made = [own] if not any(own) else [own, [False, False]]
    choices = product((True, False), repeat=2) if kind in _NORMALIZED else [(None, None)]
    for (kernel, activation), (center, scale) in product(made, list(choices)):
        trained, rest = [], ["beta"]
        if kind in _KERNELS:
            trained += ["kernel", "bias"] if config.get("use_bias", True) else ["kernel"]
        if kind == "HBatchNormalization":
            rest.append("step_counter")
        if kind in _KERNELS | {"HBatchNormalization"}:
            (trained if kernel else rest).append("kernel_bw")
        (trained if activation else rest).append("activation_bw")
        rest.append("bops")
        if center is not None:
            trained += ["bn_beta"] * center + ["bn_gamma"] * bool(scale)
            rest += ["moving_mean" if center else _NOTHING, "moving_variance" if scale else _NOTHING]
        yield trained + rest
