"""Give results that have no last bit, such as quotients and functions by table, the precision that their readers need."""

from __future__ import annotations

from keras_hls.fixed import TensorType
from keras_hls.graph import Graph, Place, infer, settle
from keras_hls.op import Op


def settle_precision(graph: Graph) -> Graph:
    """Return the graph with the precision of every op settled.

    A quantizer says at how many fractional bits it cuts; through ops that only select elements, the question goes on to
    their readers. Where something takes the result as it is, its precision is the op's own choice.
    """
    needs = _needs(graph)
    types: dict[str, TensorType] = {}
    ops: dict[str, Op] = {}
    #: How far values are from results of which their readers need no more.
    off: dict[str, float] = {}
    for node in graph:
        inputs, frac = [types[name] for name in node.inputs], needs[node.name]
        ops[node.name] = settle(node, inputs, frac)
        types[node.name] = infer(node, inputs, ops[node.name])
        cut = frac is not None and ops[node.name] is not node.op
        before = max((off[name] for name in node.inputs), default=0.0) if node.op.selects else 0.0
        off[node.name] = 2.0 ** -(frac + 2) if cut and frac is not None else before
    return graph.with_ops(ops).moved({name: Place(name, off=by) for name, by in off.items() if by})


def _needs(graph: Graph) -> dict[str, int | None]:
    """At how many fractional bits, at most, each node's result is cut; None where it leaves or is computed with uncut."""
    needs: dict[str, int | None] = {}
    for node in reversed(graph.nodes):
        found: list[int | None] = [None] if node.name in graph.outputs else []
        for reader in graph.readers[node.name]:
            cast = reader.op.cast
            found.append(cast.frac if cast is not None else needs[reader.name] if reader.op.selects else None)
        known = [frac for frac in found if frac is not None]
        needs[node.name] = max(known) if found and len(known) == len(found) else None
    return needs
