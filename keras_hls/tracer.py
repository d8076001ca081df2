"""Running samples through Keras, the integer emulator and C-simulation so that every layer's answer is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from keras_hls.errors import InvalidData, InvalidModel
from keras_hls.fixed import FloatArray, IntArray, TensorType
from keras_hls.graph import Graph, Place
from keras_hls.layer_traces import LayerTrace, Trace
from keras_hls.sim.emulator import Emulator, Samples, sample_arrays, to_raw
from keras_hls.verification import tolerances

#: Values that are worked on at a time.
_CHUNK = 1 << 23

#: What every call of a layer answers, for one array an input.
Keras = Callable[[Sequence[npt.NDArray[Any]]], Mapping[str, FloatArray]]
#: Raw integers at nodes, for those of the inputs.
Simulate = Callable[[Sequence[IntArray]], Mapping[str, IntArray]]


def traced_nodes(graph: Graph) -> list[str]:
    """Return the nodes that have what layers answer, each once."""
    return list(dict.fromkeys(place.node for place in graph.places.values() if place is not None))


def samples_to_trace(graph: Graph, x: Samples) -> tuple[list[npt.NDArray[Any]], list[IntArray]]:
    """Return samples as one array an input, and as the raw integers that enter the hardware.

    Raises
    ------
    InvalidData
        If they don't suit the network, or there are none.
    """
    arrays, raws = sample_arrays(graph, x), to_raw(graph, x)
    if not len(raws[0]):
        raise InvalidData("Samples to trace must be at least one")
    return arrays, raws


def traces(
    graph: Graph,
    arrays: Sequence[npt.NDArray[Any]],
    raws: Sequence[IntArray],
    keras: Keras | None,
    simulate: Simulate | None = None,
) -> Iterator[Trace]:
    """Yield what every layer answers to samples, piece by piece of the batch.

    Raises
    ------
    InvalidModel
        If Keras's layers aren't the network's.
    """
    nodes, allowed, emulator = traced_nodes(graph), tolerances(graph), Emulator(graph)
    step = max(_CHUNK // max(sum(graph.types[name].size for name in nodes), 1), 16)
    for start in range(0, len(raws[0]), step):
        inputs = [raw[start : start + step] for raw in raws]
        answers = None if keras is None else keras([array[start : start + step] for array in arrays])
        emulated = dict(zip(nodes, emulator.run(inputs, nodes)))
        simulated = None if simulate is None else simulate(inputs)
        layers = []
        for label, place in graph.places.items():
            own = None if answers is None else answers[label]
            if place is None:
                layers.append(LayerTrace(label, "", None, 0.0, (), own, None, None))
                continue
            kind = _kind(graph, place)
            own = _left(own, place)
            _check_shape(label, own, kind)
            mine, theirs = (
                None if raw is None else _arranged(raw[place.node], place, kind) for raw in (emulated, simulated)
            )
            notes = [f"before {place.before}"] if place.before else ["as read"] if place.casts else []
            note = ", ".join([*notes, *(["without dead channels"] if place.channels else [])])
            off = allowed[place.node] + place.off
            layers.append(LayerTrace(label, note, kind, off, place.casts, own, mine, theirs))
        yield Trace(len(inputs[0]), layers)


def _kind(graph: Graph, place: Place) -> TensorType:
    """The type of a layer's answer, its axes in the layer's order."""
    kind = graph.types[place.node]
    if not place.axes:
        return kind
    low, high, zeros = (array.transpose(place.axes) for array in (kind.low, kind.high, kind.zeros))
    return TensorType(low, high, kind.frac, zeros)


def _arranged(raw: IntArray, place: Place, kind: TensorType) -> npt.NDArray[Any]:
    narrow = raw.astype(kind.hull.native)
    return narrow.transpose(0, *(axis + 1 for axis in place.axes)) if place.axes else narrow


def _left(own: FloatArray | None, place: Place) -> FloatArray | None:
    """Of a layer's answer the channels that the network has."""
    if own is None or not place.channels:
        return own
    axis = place.axes.index(len(place.axes) - 1) + 1 if place.axes else -1
    if place.channels[-1] >= own.shape[axis]:
        return own
    return own.take(place.channels, axis)


def _check_shape(label: str, own: FloatArray | None, kind: TensorType) -> None:
    if own is not None and own.shape[1:] != kind.shape:
        raise InvalidModel(
            f"The model must be the one that the network was made from, but its layer {label!r} answers in shape"
            f" {own.shape[1:]}, not {kind.shape}"
        )


def keras_answers(model: Any, graph: Graph) -> Keras:
    """Return what a model's own layers answer, by the names in a graph's places.

    Where the host applies the last function, it is what the layer applies that to.

    Raises
    ------
    InvalidModel
        If the model can't be called, or has other layers.
    """
    from keras_hls.frontends import models
    from keras_hls.layers_ext import READERS

    layers = models.layer_outputs(model, READERS)
    #: Which output of the graph has what stands before a layer's last function.
    left = {
        label: list(zip(graph.outputs, graph.host)).index((place.node, place.before))
        for label, place in graph.places.items()
        if place is not None and place.before
    }
    bare = models.reference(model, [bool(function) for function in graph.host]) if left else None

    def answer(arrays: Sequence[npt.NDArray[Any]]) -> Mapping[str, FloatArray]:
        found = dict(layers(arrays))
        if found.keys() != graph.places.keys():
            odd = sorted(found.keys() ^ graph.places.keys())[0]
            raise InvalidModel(
                f"The model must be the one that the network was made from, but layer {odd!r} is in one of them alone"
            )
        outputs = [] if bare is None else bare(arrays)
        return found | {label: outputs[number] for label, number in left.items()}

    return answer
