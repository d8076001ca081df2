"""How a convolution's constants lie in the tables of its C++ kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from keras_hls.fixed import MAX_BITS, Constant, IntArray, TensorType
from keras_hls.layers_ext.windows import Window, sizes
from keras_hls.op import Kernel

#: Bytes of the vectors that C-simulation calculates with.
_VECTORS = (16, 32, 64)
#: Positions whose sums stay in registers together, where one fills so many bytes.
_TOGETHER = {16: 10, 32: 10, 64: 6}


@dataclass(frozen=True, eq=False)
class _Words(Constant):
    """Numbers in whole native words: C-simulation then reads them as vectors, without a conversion for each."""

    word: int = 16

    @property
    def type(self) -> TensorType:
        limit = 1 << (min(self.word, MAX_BITS) - 1)
        return TensorType(np.full(self.shape, -limit), np.full(self.shape, limit - 1), self.frac)


def latency_kernel(windows: Sequence[Window], kernel: Constant, bias: Constant, groups: int, width: int) -> Kernel:
    """Return the fully unrolled kernel of a convolution.

    Parameters
    ----------
    windows : sequence of Window
    kernel, bias : Constant
        As the op's, in units of the output.
    groups : int
    width : int
        Bits of the widest output.
    """
    inputs, outputs = kernel.shape[-2], kernel.shape[-1] // groups
    hull = kernel.type.hull
    weight_width = hull.width + (not hull.signed)
    word = _word(max(width, weight_width))
    depthwise = groups > 1 and inputs == 1
    lanes = _lanes(groups if depthwise else outputs, word)
    arrange = _by_channels if depthwise else _by_outputs
    row = windows[-1].outputs
    limit = _TOGETHER[min(lanes * word // 8, max(_VECTORS))]
    steps = -(-row // limit)
    about = {
        **sizes(windows),
        "channels": inputs * groups,
        "groups": groups,
        "inputs": inputs,
        "outputs": outputs,
        "lanes": lanes,
        "blocks": -(-(groups if depthwise else outputs) // lanes),
        "together": -(-row // steps),
        "word": word,
        "weight_width": weight_width,
    }
    weights = kernel.raw.reshape(prod(kernel.shape[:-2]), inputs, groups, outputs)
    tables: dict[str, Constant] = {
        "kernel": _Words(arrange(weights, lanes).reshape(-1), kernel.frac, word),
        "bias": Constant(arrange(bias.raw.reshape(1, 1, groups, outputs), lanes).reshape(-1), bias.frac),
    }
    return Kernel("depthwise_latency" if depthwise else "convolution_latency", "convolution", about, tables)


def resource_kernel(
    windows: Sequence[Window], kernel: Constant, bias: Constant | None, groups: int, width: int, reuse_factor: int
) -> Kernel:
    """Return the kernel that uses each multiplier several times for each position; parameters as of `latency_kernel`.

    Constants keep their own units, as wider ones would take more memory.
    """
    inputs, outputs = kernel.shape[-2:]
    about = {
        **sizes(windows),
        "channels": inputs * groups,
        "groups": groups,
        "inputs": inputs,
        "outputs": outputs,
        "reuse_factor": reuse_factor,
        "word": _word(width),
    }
    tables = {
        "kernel": Constant(kernel.raw.reshape(-1), kernel.frac),
        "bias": bias or Constant(np.zeros(outputs, np.int64), 0),
    }
    return Kernel("convolution_resource", "convolution", about, tables)


def _word(width: int) -> int:
    """Bits of the native word that C-simulation sums numbers of so many bits in."""
    return next(word for word in (16, 32, 64) if width <= word)


def _lanes(outputs: int, word: int) -> int:
    """Outputs that are calculated side by side: the least vector that holds them, or the largest one."""
    choices = [8 * size // word for size in _VECTORS]
    return next((lanes for lanes in choices if lanes >= outputs), choices[-1])


def _by_outputs(weights: IntArray, lanes: int) -> IntArray:
    """From [tap, input, group, output] to [group, block, tap, input, lane]."""
    blocks = _blocks(weights, lanes)
    return blocks.transpose(2, 3, 0, 1, 4)


def _by_channels(weights: IntArray, lanes: int) -> IntArray:
    """From [tap, 1, channel, output] to [output, block, tap, lane]."""
    blocks = _blocks(weights[:, 0].transpose(0, 2, 1), lanes)
    return blocks.transpose(1, 2, 0, 3)


def _blocks(weights: IntArray, lanes: int) -> IntArray:
    """Split the last axis into blocks, the last of them filled up with zeros."""
    *rest, last = weights.shape
    filled = np.pad(weights, [(0, 0)] * len(rest) + [(0, -last % lanes)])
    return filled.reshape(*rest, -1, lanes)
