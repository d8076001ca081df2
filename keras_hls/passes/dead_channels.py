"""Remove the channels that no output needs: pruned neurons, and what always is one and the same number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from keras_hls.fixed import BoolArray, Constant, TensorType
from keras_hls.graph import Graph, Input, Names, Node, Place
from keras_hls.op import Needs, Op
from keras_hls.wires import Channels, Known


def drop_dead_channels(graph: Graph, *, stays: Callable[[Node], bool] = lambda node: False) -> Graph:
    """Return the graph without the channels of tensors that aren't needed; a channel is an index of the last axis.

    A channel is dead if all weights that read it are zero, or if all that reads it is dead. One that always is the same
    number isn't made either: weights that read it take it up in their bias, and for others it is filled in. Inputs and
    outputs of the network keep their shapes. What is left answers the same.

    ::

        dense of 4 -> relu -> dense with a row of zeros    =>    dense of 3 -> relu -> dense of 3 rows

    Parameters
    ----------
    graph : Graph
    stays : function
        Says which nodes stay as they are, such as those whose multipliers are shared among all channels.
    """
    return _Channels(graph, stays).graph()


class _Channels:
    """Which channels each node makes, and which it takes of its inputs; found from the outputs back to the inputs."""

    def __init__(self, graph: Graph, stays: Callable[[Node], bool]):
        self.before, self.stays = graph, stays
        #: What readers want of each node.
        self.wanted = {node.name: np.zeros(graph.types[node.name].channels, bool) for node in graph}
        self.needs: dict[str, Needs] = {}
        for name in graph.outputs:
            self.wanted[name][:] = True
        for node in reversed(graph.nodes):
            if isinstance(node.op, Input):
                self.needs[node.name] = Needs(np.ones_like(self.wanted[node.name]), ())
            elif self.wanted[node.name].any():
                self.needs[node.name] = found = self._needs(node)
                for name, channels in zip(node.inputs, found.inputs):
                    self.wanted[name] |= channels
        self.nodes: list[Node] = []
        #: Nodes that have some channels of another one: by its name and the channels.
        self.views: dict[tuple[str, bytes], str] = {}
        self.names = Names(node.name for node in graph)

    def _types(self, node: Node) -> tuple[TensorType, ...]:
        return self.before.input_types(node)

    def _needs(self, node: Node) -> Needs:
        wanted, types = self.wanted[node.name], self._types(node)
        if self.stays(node):
            return Needs(np.ones_like(wanted), tuple(np.ones(x.channels, bool) for x in types))
        kind = self.before.types[node.name]
        if _constant(kind, wanted):
            return Needs(wanted, tuple(np.zeros(x.channels, bool) for x in types))
        found = node.op.needs(wanted, *types)
        varying = wanted & ~_same(kind)
        if varying.any() and not varying[wanted].all():
            # What always is the same is made only if nothing is saved without it.
            less = node.op.needs(varying, *types)
            if any(few.sum() < many.sum() for few, many in zip(less.inputs, found.inputs)):
                return less
        return found

    def graph(self) -> Graph:
        for node in self.before:
            if node.name in self.needs:
                self.nodes.append(self._node(node))
                self.views[node.name, self.needs[node.name].made.tobytes()] = node.name
        outputs = tuple(self._view(name, np.ones_like(self.wanted[name])) for name in self.before.outputs)
        if all(old is new for old, new in zip(self.before.nodes, self.nodes)) and len(self.nodes) == len(self.before):
            return self.before
        moved = {node.name: self._place(node.name) for node in self.before}
        return replace(self.before.moved(moved), nodes=tuple(self.nodes), outputs=outputs)

    def _place(self, name: str) -> Place | None:
        """Where what a node's value was is now."""
        if name not in self.needs:
            return None
        made = self.needs[name].made
        whole = self.views.get((name, np.ones_like(made).tobytes()))
        return Place(name, channels=tuple(np.flatnonzero(made).tolist())) if whole is None else Place(whole)

    def _node(self, node: Node) -> Node:
        needs = self.needs[node.name]
        if isinstance(node.op, Input):
            return node
        if node.inputs and not any(channels.any() for channels in needs.inputs):
            return replace(node, op=self._known(node, needs.made), inputs=(), keeps=None, width=0)
        # What is there is taken as it is, if the op can and nothing is missing.
        given = [self._given(name, channels) for name, channels in zip(node.inputs, needs.inputs)]
        op = self._pruned(node, needs.made, given)
        if op is None:
            given = list(needs.inputs)
            op = self._pruned(node, needs.made, given)
        assert op is not None, f"{type(node.op).__name__} must take the channels that it needs"
        inputs = tuple(self._view(name, channels) for name, channels in zip(node.inputs, given) if channels.any())
        return node if (op, inputs) == (node.op, node.inputs) else replace(node, op=op, inputs=inputs)

    def _given(self, name: str, channels: BoolArray) -> BoolArray:
        """The channels that a node makes, if some are needed and these are among them; else those that are needed."""
        made = self.needs[name].made if channels.any() else channels
        return made if (made | ~channels).all() else channels

    def _pruned(self, node: Node, made: BoolArray, given: list[BoolArray]) -> Op | None:
        if made.all() and all(channels.all() for channels in given):
            return node.op
        return node.op.pruned(made, given, *self._types(node))

    def _known(self, node: Node, channels: BoolArray) -> Op:
        kind = self.before.types[node.name]
        return Known(Constant(kind.low[..., channels] if kind.shape else kind.low, kind.frac))

    def _view(self, name: str, channels: BoolArray) -> str:
        """Return the node that has some channels of another one, which may not make some that are known."""
        key = name, channels.tobytes()
        if key not in self.views:
            kind, node = self.before.types[name], self.before[name]
            same = _same(kind)
            op: Op
            inputs: tuple[str, ...]
            if same[channels].all():
                op, inputs = self._known(node, channels), ()
            else:
                values = Constant(kind.low.reshape(-1, kind.channels)[0], kind.frac)
                op, inputs = Channels.between(self.needs[name].made, channels, same, values), (name,)
            self.nodes.append(Node(self.names.free(f"{name}_channels"), op, inputs, node.layer))
            self.views[key] = self.nodes[-1].name
        return self.views[key]


def _constant(kind: TensorType, channels: BoolArray) -> bool:
    """Whether all elements of some channels are known."""
    known = kind.low == kind.high
    return bool((known[..., channels] if known.shape else known).all())


def _same(kind: TensorType) -> BoolArray:
    """Which channels always are the same number, at all positions."""
    low, high = (end.reshape(-1, kind.channels) for end in (kind.low, kind.high))
    return ((low == high) & (low == low[:1])).all(0)
