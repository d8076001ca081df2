"""Graphs as JSON and back: deterministic text, no code, readable without Keras."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from keras_hls.errors import HLSError
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Node, Place
from keras_hls.op import Op, op_fields

VERSION = 2


def _pack(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Integers in as few bytes as hold them, little-endian, deflated."""
    ints = np.asarray(array)
    dtype = np.dtype(bool) if ints.dtype == bool else _narrowest(ints)
    data = np.ascontiguousarray(ints).astype(dtype.newbyteorder("<")).tobytes()
    return {"shape": list(ints.shape), "dtype": dtype.name, "data": base64.b64encode(zlib.compress(data, 6)).decode()}


def _narrowest(ints: np.ndarray[Any, Any]) -> np.dtype[Any]:
    low, high = (int(ints.min()), int(ints.max())) if ints.size else (0, 0)
    # Beside a negative end, the other one needs a sign as well: -high - 1 has as many bits as high.
    return np.min_scalar_type(high if low >= 0 else min(low, -high - 1))


def _unpack(stored: dict[str, Any]) -> np.ndarray[Any, Any]:
    dtype = np.dtype(stored["dtype"])
    if dtype.kind not in "iub":
        raise HLSError(f"A stored array must hold integers, not {dtype.name}")
    data = zlib.decompress(base64.b64decode(stored["data"]))
    array = np.frombuffer(data, dtype.newbyteorder("<")).reshape(stored["shape"])
    return array.astype(bool if dtype.kind == "b" else np.int64)


def _encode(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case tuple():
            return [_encode(v) for v in value]
        case Constant():
            return {"constant": _pack(value.raw), "frac": int(value.frac)}
        case Fixed():
            numbers = [bool(value.signed), int(value.width), int(value.integer)]
            return {"fixed": [*numbers, value.rounding, value.overflow]}
        case Formats():
            arrays = [_pack(value.signed), _pack(value.width), _pack(value.integer)]
            return {"formats": arrays, "modes": [value.rounding, value.overflow]}
        case Graph():
            return {"graph": to_json(value)}
    raise HLSError(f"An op's field must be a number, text, Constant, Fixed, Formats, Graph or tuple, not {value!r}")


def _decode(value: Any) -> Any:
    match value:
        case list():
            return tuple(_decode(v) for v in value)
        case {"constant": stored, "frac": frac}:
            return Constant(_unpack(stored), frac)
        case {"fixed": parts}:
            return Fixed(*parts)
        case {"formats": arrays, "modes": modes}:
            signed, width, integer = map(_unpack, arrays)
            return Formats(signed, width, integer, *modes)
        case {"graph": stored}:
            return from_json(stored)
    return value


def to_json(graph: Graph) -> dict[str, Any]:
    """Return the graph as plain JSON types; equal graphs give equal text."""
    return {
        "version": VERSION,
        "nodes": [
            {
                "name": node.name,
                "op": type(node.op).__name__,
                "fields": {name: _encode(value) for name, value in op_fields(node.op).items()},
                "inputs": list(node.inputs),
                "layer": node.layer,
                "keeps": _encode(node.keeps),
                "width": node.width,
            }
            for node in graph.nodes
        ],
        "outputs": list(graph.outputs),
        "output_names": list(graph.output_names),
        "notes": list(graph.notes),
        "host": list(graph.host),
        "chosen": list(graph.chosen),
        # In their order, which a JSON object needn't keep.
        "places": [
            [label, None if place is None else [_encode(value) for value in vars(place).values()]]
            for label, place in graph.places.items()
        ],
    }


def from_json(stored: dict[str, Any]) -> Graph:
    """Return the graph that `to_json` stored.

    Raises
    ------
    HLSError
        If it is damaged, was stored by a newer version, or holds an op that isn't known here (a user's own op must be
        imported first).
    """
    try:
        return _graph(stored)
    except HLSError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise HLSError(f"Stored graph is damaged ({type(error).__name__}: {error})") from None


def _graph(stored: dict[str, Any]) -> Graph:
    if stored.get("version") != VERSION:
        raise HLSError(f"Stored graph must be of version {VERSION}, not {stored.get('version')!r}")
    nodes = []
    for item in stored["nodes"]:
        if item["op"] not in Op.registry:
            raise HLSError(
                f"Stored graph holds an op {item['op']!r} that isn't known; import the module that defines it"
            )
        op = Op.registry[item["op"]](**{name: _decode(value) for name, value in item["fields"].items()})
        about = tuple(item["inputs"]), item["layer"], _decode(item["keeps"]), item["width"]
        nodes.append(Node(item["name"], op, *about))
    keys = ("outputs", "output_names", "notes", "host", "chosen")
    outputs, output_names, notes, host, chosen = (tuple(stored[key]) for key in keys)
    places = {label: None if place is None else Place(*_decode(place)) for label, place in stored["places"]}
    return Graph(tuple(nodes), outputs, output_names, notes, host, chosen, places).verify()


def equal(a: Any, b: Any) -> bool:
    """Whether two values of an op's field are the same."""
    return bool(_encode(a) == _encode(b))
