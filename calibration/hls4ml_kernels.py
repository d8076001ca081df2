"""What the kernels of hls4ml need in hardware, in the words of `keras_hls.op.Work`.

The published designs were made by hls4ml, whose kernels differ from ours: each product is cut to the type of the accumulator,
multipliers are shared under strategy Latency as well, Resource kernels choose their inputs with multiplexers. This is where
those differences are said, so that the coefficients hold for both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.records import Design
from keras_hls.fixed import Fixed, Formats, TensorType, bit_length
from keras_hls.layers_ext.counting import csd_digits, extreme_steps, in_turn, sum_steps
from keras_hls.layers_ext.products import multipliers, reuse_factors, sums, unrolled_work, width_counts
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.op import Plan, Step, Unit, Work

Ints = npt.NDArray[np.int64]
Layer = Mapping[str, Any]


def works(design: Design) -> dict[str, Work]:
    """Return the work of each layer that can be told: by name."""
    found = {}
    live = _live(design)
    for layer in design.layers:
        make = _KERNELS.get(layer["fn"])
        known = {**layer, "live": live[layer["name"]]}
        if make is not None and (work := make(design, known)) is not None:
            found[layer["name"]] = work
    return found


def queues(design: Design) -> list[Unit]:
    """Return the queues between the functions of a design with streams: one for each channel, as long as a sample."""
    found = []
    for layer in design.layers[:-1]:
        channels = layer.get("n_filt") or layer.get("n_chan")
        words = (layer.get("out_width") or 0) * (layer.get("out_height") or 1)
        if design.streams and channels and words and layer.get("out_t"):
            found.append(Unit("fifo", channels, (words, _type(layer["out_t"]).width)))
    return found


def handed_bits(design: Design, names: set[str]) -> int:
    """Return the bits between the functions of these layers."""
    live, bits = _live(design), 0
    for layer in design.layers:
        if layer["name"] in names and layer.get("out_t"):
            many = layer.get("n_out") or layer.get("n_in") or layer.get("n_filt") or 0
            alive = live[layer["name"]]
            bits += min(many, len(alive) if alive is not None else many) * _type(layer["out_t"]).width
    return bits


def _live(design: Design) -> dict[str, Ints | None]:
    """For each layer, which of its outputs vary and are read: HLS drops all others."""
    made: dict[str, npt.NDArray[np.bool_] | None] = {}
    before = None
    for layer in design.layers:
        known = _matrix(design, layer)
        # What is between two matrices keeps its channels.
        before = before if known is None else (known != 0).any(0)
        made[layer["name"]] = before
    read = None
    found: dict[str, Ints | None] = {}
    for layer in reversed(design.layers):
        alive = made[layer["name"]]
        if alive is not None and read is not None and read.shape == alive.shape:
            alive = alive & read
        found[layer["name"]] = None if alive is None else np.flatnonzero(alive)
        known = _matrix(design, layer)
        read = (known != 0).any(1) if known is not None else read
    return found


def _matrix(design: Design, layer: Layer) -> Ints | None:
    """The weights of a dense layer, [inputs, outputs]."""
    known = _weights(design, layer, "w") if layer["fn"] == "dense" else None
    return None if known is None else known[0].reshape(layer["n_in"], layer["n_out"])


def _count(layer: Layer) -> int:
    """How many elements of a layer without weights are alive."""
    live = layer["live"]
    return int(layer["n_in"]) if live is None or len(live) > layer["n_in"] else len(live)


def _type(text: str) -> Fixed:
    """A type as the records have it, of an element where it is an array's."""
    inner = re.search(r"ap_u?(?:fixed|int)<[^<>]*>", text)
    assert inner is not None, text
    return Fixed.parse(inner[0])


def _weights(design: Design, layer: Layer, letter: str) -> tuple[Ints, Fixed] | None:
    number = re.search(r"\d+$", layer.get("config") or "")
    for name in (f"{letter}{number[0]}" if number else "", f"{letter}_{layer['name']}"):
        if name in design.weights:
            return design.weights[name], _type(design.types[name])
    return None


def _dense(design: Design, layer: Layer) -> Work | None:
    kernel = _matrix(design, layer)
    if kernel is None or layer.get("in_t") is None:
        return None
    x = TensorType.of(_type(layer["in_t"]), (layer["n_in"],))
    if layer["strategy"] == "resource":
        return _shared(design, layer, kernel, 1)
    return _unrolled(design, layer, x, kernel)


def _unrolled(design: Design, layer: Layer, x: TensorType, kernel: Ints) -> Work:
    """Each product is cut to the accumulator's type, and then added."""
    accumulator, weight = _type(layer["accum_t"]), _type(layer["weight_t"])
    bias, bias_type = _weights(design, layer, "b") or (np.zeros(kernel.shape[1], np.int64), accumulator)
    # One multiplier serves all outputs that take the same multiple of an input.
    constants = np.sort(kernel, axis=1)
    new = np.diff(constants, axis=1, prepend=constants[:, :1] - 1) != 0
    rows, columns = np.nonzero(new & (constants != 0))
    chosen = constants[rows, columns]
    multiplies = multipliers(width_counts(x.widths[None])[rows], chosen)
    shifted = int(x.widths[(csd_digits(kernel) == 1).any(1)].sum())
    dropped = x.frac + weight.frac - accumulator.frac
    ends = x.low[:, None] * kernel, x.high[:, None] * kernel
    least, largest = (_moved(each, -dropped) for each in (np.minimum(*ends), np.maximum(*ends)))
    constant = _moved(bias.astype(np.int64), accumulator.frac - bias_type.frac)
    most = np.full((1, kernel.shape[1]), accumulator.width)
    if accumulator.overflow == "WRAP":
        trees = sums(least[:, None], largest[:, None], constant[None], most, np.ones(1, np.int64))
    else:
        trees = _saturating(int((kernel != 0).sum()), kernel.shape[1], accumulator)
    reuse = layer["reuse_factor"] or 1
    if reuse == 1:
        return unrolled_work(multiplies, shifted, trees)
    many = int((csd_digits(chosen) > 2).sum())
    limit = max(-(-kernel.size // reuse) - int((kernel == 0).sum()) // reuse, 1)
    return _limited(multiplies, shifted, trees, many, min(limit, many), reuse)


def _moved(values: Ints, left: int) -> Ints:
    return values << left if left >= 0 else values >> -left


def _saturating(products: int, outputs: int, accumulator: Fixed) -> list[Step]:
    """Products that are rounded and saturate, and sums that saturate each: no tree may do that in another order."""
    width = accumulator.width
    cast = Step((Unit("round", products, (width,)), Unit("saturate", products, (width, width))))
    chain = -(-products // outputs)
    added = [Unit("add", outputs, (width + 1,))], [Unit("saturate", outputs, (width + 1, width))]
    return [cast, *(step for _ in range(chain) for step in in_turn(*added).steps)]


def _limited(multiplies: list[Unit], shifted: int, trees: list[Step], many: int, limit: int, reuse: int) -> Work:
    """A pragma limits the multipliers: they take turns, and what they are fed is chosen."""
    shared = [unit for unit in multiplies if unit.digits > 2]
    own = [unit for unit in multiplies if unit.digits <= 2]
    turns = ceil(many / limit) if many else 1
    widest = [max((unit.widths[i] for unit in shared), default=0) for i in (0, 1)]
    together = [Unit("constant_multiply", limit, (widest[0], widest[1]), 3)] if many else []
    steps = tuple(
        step for step in (Step((*together, *own), shifted, turns) if together or own else None, *trees) if step
    )
    # What a multiplier works on is chosen each turn.
    beside = (Unit("multiplex", limit, (turns, widest[0])),) if turns > 1 else ()
    return Work(steps, max(reuse, 1) if not many else min(reuse, turns + len(trees)), beside)


def _shared(design: Design, layer: Layer, kernel: Ints, positions: int) -> Work:
    n_in, n_out = kernel.shape
    # As hls4ml rounds what doesn't divide the matrix.
    reuse = min(
        reuse_factors(n_in, n_out), key=lambda valid: (abs(valid - layer["reuse_factor"]), valid not in _listed(design))
    )
    x, weight, accumulator = (_type(layer[name]) for name in ("in_t", "weight_t", "accum_t"))
    count = -(-n_in * n_out // reuse)
    bits = _word_bits(kernel.reshape(-1), count, reuse, weight.width)
    saturates = accumulator.overflow != "WRAP"
    cast = [Unit("round", count, (accumulator.width,)), Unit("saturate", count, (accumulator.width,) * 2)]
    steps = [
        Step((Unit("memory", reuse, (bits,)),), x.width),
        Step((Unit("multiply", count, (x.width, weight.width)),), repeats=reuse * positions),
        *([Step(tuple(cast))] if saturates else []),
        Step((Unit("add", count, (accumulator.width,)),)),
        *([Step((cast[1],))] if saturates else []),
    ]
    # Each multiplier chooses its input, unless all take the same one; inputs and sums are held as long as the loop runs.
    streams = "array" in layer["in_t"]
    choices = 1 if n_in <= reuse else n_in // reuse if streams else count
    beside = (
        Unit("multiplex", choices, (min(reuse, n_in), x.width)),
        Unit("select", 2 * n_in, (x.width,)),
        Unit("register", 2 * n_in, (x.width,)),
        Unit("register", n_out + count, (accumulator.width,)),
    )
    return Work(tuple(steps), reuse * positions, beside, loops=True)


def _listed(design: Design) -> list[int]:
    reuse = design.record.get("reuse_factor")
    return reuse if isinstance(reuse, list) else [reuse]


def _word_bits(values: Ints, count: int, reuse: int, width: int) -> int:
    """Bits of a word of weights: the topmost of them takes what its values need, each other its type's width."""
    padded = np.zeros(count * reuse, np.int64)
    padded[: len(values)] = values
    top = padded.reshape(count, reuse)[-1]
    negative = bool((top < 0).any())
    needed = int(np.maximum(bit_length(np.maximum(top, 0)), bit_length(np.maximum(-top - 1, 0))).max()) + negative
    return max((count - 1) * width + min(needed, width), 1)


def _cast(source: Fixed, to: Fixed, count: int) -> list[Step]:
    """A type's rounding and saturation."""
    work = Quantize(Formats.of(to)).work(TensorType.of(source, (count,)), plan=Plan())
    return list(work.steps)


def _relu(design: Design, layer: Layer) -> Work | None:
    if layer.get("in_t") is None:
        return None
    source, to, n = _type(layer["in_t"]), _type(layer["out_t"]), _count(layer)
    compare, cast = Unit("compare", n, (source.width,)), _cast(source, to, n)
    # The sign is looked at beside the cast.
    first = Step((compare, *(cast[0].units if cast else ())), n * source.width)
    return Work((first, *cast[1:], Step((Unit("select", n, (to.width,)),))))


def _normalize(design: Design, layer: Layer) -> Work | None:
    scale, bias = _weights(design, layer, "s"), _weights(design, layer, "b")
    if scale is None or bias is None:
        return None
    x, to = _type(layer["in_t"]), _type(layer["out_t"])
    counts = np.zeros((len(scale[0]), 64), np.int64)
    counts[:, x.width] = 1
    added = int((bias[0] != 0).sum())
    return in_turn(multipliers(counts, scale[0]), [Unit("add", added, (to.width,))])


def _linear(design: Design, layer: Layer) -> Work | None:
    return Work(tuple(_cast(_type(layer["in_t"]), _type(layer["out_t"]), _count(layer))))


def _softmax(design: Design, layer: Layer) -> Work | None:
    """Differences to the largest, exponentials from a table, their sum, its reciprocal from a table, and products."""
    if layer.get("in_t") is None:
        return None
    n, wide = layer["n_in"], _type(layer["in_t"]).width
    index = int(layer.get("table_size") or 1024).bit_length() - 1
    entry = _type(layer.get("table_t") or "ap_fixed<18,8>").width
    inside = in_turn(
        [Unit("add", n, (wide + 1,))],
        [Unit("saturate", n, (wide + 1, wide))],
        [Unit("table", n, (index, entry))],
    )
    after = in_turn([Unit("saturate", 1, (entry + 1, entry))], [Unit("table", 1, (index, entry))])
    products = [Unit("multiply", n, (entry, entry))]
    waits = n * entry
    sums = tuple(replace(step, passing=step.passing + waits) for step in (*sum_steps([n], [entry + 3]), *after.steps))
    return Work((*extreme_steps([n], [wide]), *inside.steps, *sums, Step(tuple(products))))


def _table(design: Design, layer: Layer) -> Work | None:
    """An activation that is looked up."""
    n, wide = _count(layer), _type(layer["in_t"]).width
    index = int(layer.get("table_size") or 1024).bit_length() - 1
    entry = _type(layer.get("table_t") or "ap_fixed<18,8>").width
    return in_turn([Unit("saturate", n, (wide, index))], [Unit("table", n, (index, entry))])


def _conv_stream(design: Design, layer: Layer) -> Work | None:
    """A line buffer, and the matrix of one position, gone through for each pixel that comes in."""
    known = _weights(design, layer, "w")
    if known is None or layer.get("in_t") is None:
        return None
    taps = layer["filt_width"] * (layer.get("filt_height") or 1) * layer["n_chan"]
    kernel = known[0].reshape(taps, layer["n_filt"])
    pixels = layer["in_width"] * (layer.get("in_height") or 1)
    inside = {**layer, "n_in": taps, "n_out": layer["n_filt"]}
    x = _type(layer["in_t"])
    if layer["strategy"] == "resource":
        work = _shared(design, inside, kernel, 1)
    else:
        work = _unrolled(design, inside, TensorType.of(x, (taps,)), kernel)
    rows = (layer.get("filt_height") or 1) - 1
    lines = [Unit("register", taps, (x.width,))]
    if rows:
        lines.append(Unit("memory", layer["in_width"], (rows * layer["n_chan"] * x.width,)))
    turns = pixels * max(step.repeats for step in work.steps)
    first, *others = work.steps
    return Work((replace(first, repeats=turns), *others), turns, (*work.beside, *lines), loops=True)


def _padding(design: Design, layer: Layer) -> Work:
    """A state machine that hands on pixels."""
    width = _type(layer["in_t"]).width * layer["n_chan"]
    return Work((Step((Unit("select", 1, (width,)),), repeats=layer["out_width"]),), layer["out_width"], loops=True)


def _gru(design: Design, layer: Layer) -> Work | None:
    """Two matrices side by side, then gates from tables and products, for each step of the sequence."""
    kernel, recurrent = _weights(design, layer, "w"), _weights(design, layer, "wr")
    if kernel is None or recurrent is None:
        return None
    n, states, length = layer["n_in"], layer["n_state"], layer["n_sequence"]
    wide = _type(layer["in_t"]).width
    matrices = [
        _shared(
            design, {**layer, "n_in": inputs, "n_out": 3 * states, "strategy": "resource"}, k[0].reshape(inputs, -1), 1
        )
        for inputs, k in ((n, kernel), (states, recurrent))
    ]
    longest = max(matrices, key=lambda work: work.interval)
    other = next(work for work in matrices if work is not longest)
    gates = in_turn(
        [Unit("add", 3 * states, (wide,))],
        [Unit("table", 3 * states, (10, 18))],
        [Unit("multiply", 3 * states, (wide, wide))],
        [Unit("add", 2 * states, (wide,))],
    )
    held = Unit("register", 2 * states, (wide,))
    body = longest.interval + _GRU_CYCLES
    first, *others = longest.steps
    steps = (replace(first, repeats=length * body), *(replace(step, repeats=1) for step in others), *gates.steps)
    return Work(steps, length * body, (*longest.beside, *other.units, held), loops=True)


#: Cycles of a step of a GRU beside those of its larger matrix: 11 in two of three published designs, 20 in one.
_GRU_CYCLES = 11


_KERNELS: dict[str, Callable[[Design, Layer], Work | None]] = {
    "dense": _dense,
    "relu": _relu,
    "normalize": _normalize,
    "linear": _linear,
    "softmax": _softmax,
    "conv_1d_cl": _conv_stream,
    "conv_2d_cl": _conv_stream,
    "zeropad1d_cl": _padding,
    "gru_stack": _gru,
    "sigmoid": _table,
}
