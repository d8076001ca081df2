"""Give every tensor the order of axes with which the fewest permutations are left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from keras_hls.graph import Graph, Input, Names, Node, Place
from keras_hls.op import Op
from keras_hls.passes.smallest_cut import Cut

#: An order of axes, as numpy's transpose takes it; () is the order as it is, whatever the rank.
Axes = tuple[int, ...]


def cancel_transposes(graph: Graph) -> Graph:
    """Return the graph with the fewest permutations that this pass can find, and never with more.

    Permutations in a row become one, one that several readers want is made once, and ops that answer in another order as
    well (`Op.permuted`) do so where that saves some. Every output stays as it is. Nothing here needs types.

    ::

        conv -> to first -> relu -> to last -> conv    =>    conv -> relu -> conv
    """
    count = sum(node.op.permutation is not None for node in graph)
    if not count:
        return graph
    layout = _Layout(graph)
    while layout.improve():
        pass
    found = layout.graph()
    return found if sum(node.op.permutation is not None for node in found) < count else graph


def _then(first: Axes, second: Axes) -> Axes:
    """Return the one permutation that is two in a row."""
    if not first or not second:
        return first or second
    both = tuple(first[axis] for axis in second)
    return () if both == tuple(range(len(both))) else both


def _inverse(axes: Axes) -> Axes:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


class _Layout:
    """The order of axes in which each op answers, and what follows from it.

    Permutations are no nodes here: a use of a tensor says in which order, seen from the order that it had at first, it takes
    the tensor. One is needed for each order in which a tensor is taken and its op doesn't answer.
    """

    def __init__(self, graph: Graph):
        self.before = graph
        #: The op behind the permutations at each node, and the order in which the node has its result.
        self.views: dict[str, tuple[str, Axes]] = {}
        self.permutes: dict[tuple[str, Axes], Node] = {}
        #: One permutation of each rank, of which others can be made.
        self.patterns: dict[int, Op] = {}
        for node in graph:
            axes = node.op.permutation
            if axes is None:
                self.views[node.name] = (node.name, ())
                continue
            source, order = self.views[node.inputs[0]]
            self.views[node.name] = (source, _then(order, _then(axes, tuple(range(len(axes))))))
            self.permutes.setdefault(self.views[node.name], node)
            self.patterns.setdefault(len(axes), node.op)
        self.nodes = [node for node in graph if node.op.permutation is None]
        self.uses = {node.name: [self.views[name] for name in node.inputs] for node in self.nodes}
        self.leaves = [self.views[name] for name in graph.outputs]
        self.ranks = self._ranks()
        self.orders: dict[str, Axes] = {node.name: () for node in self.nodes}

    def _ranks(self) -> dict[str, int]:
        """How many axes tensors have, as far as permutations and inputs show; ops that can be permuted keep them."""
        ranks = {source: len(axes) for (source, _), node in self.permutes.items() if (axes := node.op.permutation)}
        for node in self.nodes:
            if isinstance(node.op, Input):
                ranks[node.name] = len(node.op.shape)
            found = {ranks.get(source) for source, _ in self.uses[node.name]}
            rank = found.pop() if len(found) == 1 else None
            if rank is not None and node.op.permuted(tuple(range(rank))) is not None:
                ranks[node.name] = rank
        return ranks

    def _op(self, node: Node, order: Axes) -> Op | None:
        """The op that answers in another order, if there is one."""
        if not order:
            return node.op
        tensors = [node.name, *(source for source, _ in self.uses[node.name])]
        same = all(self.ranks.get(name) == len(order) for name in tensors)
        return node.op.permuted(order) if same and not self._types_an_input(node) else None

    def _types_an_input(self, node: Node) -> bool:
        """Whether the type of an input follows from this op, which must not move away from it."""
        sources = (self.before[source].op for source, _ in self.uses[node.name])
        return any(isinstance(op, Input) and op.port is None for op in sources)

    def _wanted(self, orders: dict[str, Axes]) -> Iterator[tuple[str, Axes]]:
        """Every tensor with the order that a reader takes it in."""
        for node in self.nodes:
            for source, order in self.uses[node.name]:
                yield source, _then(order, orders[node.name])
        yield from self.leaves

    def _permutations(self, orders: dict[str, Axes]) -> list[tuple[str, Axes]]:
        wanted = dict.fromkeys(self._wanted(orders))
        return [(source, order) for source, order in wanted if order != orders[source]]

    def improve(self) -> bool:
        """Let some ops answer in another order, if that leaves fewer permutations."""
        before = len(self._permutations(self.orders))
        for orders in self._attempts():
            if len(self._permutations(orders)) < before:
                self.orders = orders
                return True
        return False

    def _attempts(self) -> Iterator[dict[str, Axes]]:
        """Other orders that may be better: the best choice of one for many ops, and each for one op beside a permutation."""
        found = {order for _, order in self._wanted(self.orders) if order}
        new = sorted({(), *found, *map(_inverse, found)})
        for order in new:
            yield self._moved(order, sure=False)
            yield self._moved(order, sure=True)
        permuted = set(self._permutations(self.orders))
        for node in self.nodes:
            taken = [(source, _then(seen, self.orders[node.name])) for source, seen in self.uses[node.name]]
            if permuted.intersection(taken) or any(source == node.name for source, _ in permuted):
                yield from (self.orders | {node.name: order} for order in new if self._op(node, order) is not None)

    def _moved(self, order: Axes, *, sure: bool) -> dict[str, Axes]:
        """Return orders in which the best choice of ops answers in `order`, and all others as they do: a smallest cut.

        Every permutation that a choice needs is a penalty that the cut pays. Cuts can't say that two ops pay if they do the
        same, as they do on either side of a permutation: with `sure`, one pays whatever the other does; without, none pays.
        So what a cut finds is an attempt. Where permutations stand beside ops that can't change, it is the best there is.
        """
        free = {n.name for n in self.nodes if self.orders[n.name] != order and self._op(n, order) is not None}
        cut = Cut()
        for source, wanted, always, staying, changing in self._readers(free, order):
            if self.orders[source] == wanted:
                if source in free:
                    cut.penalty([Cut.START] if always or (sure and changing) else staying, [source])
            elif source in free and order == wanted:
                cut.penalty([source], [Cut.END] if always or (sure and staying) else changing)
            elif not always:
                cut.penalty(staying, [Cut.END])
                cut.penalty([Cut.START], changing)
        changed = cut.far_side()
        return {name: order if name in changed else old for name, old in self.orders.items()}

    def _readers(self, free: set[str], order: Axes) -> Iterator[tuple[str, Axes, bool, list[str], list[str]]]:
        """Every tensor and order in which it may be wanted: by any reader always, by which if they stay, by which if not."""
        found: dict[tuple[str, Axes], tuple[list[str], list[str], list[str]]] = {}

        def reader(source: str, wanted: Axes, kind: int, name: str) -> None:
            found.setdefault((source, wanted), ([], [], []))[kind].append(name)

        for source, wanted in self.leaves:
            reader(source, wanted, 0, "")
        for node in self.nodes:
            for source, seen in self.uses[node.name]:
                now = _then(seen, self.orders[node.name])
                # What isn't free may have tensors of other ranks.
                if node.name in free and now != (then := _then(seen, order)):
                    reader(source, now, 1, node.name)
                    reader(source, then, 2, node.name)
                else:
                    reader(source, now, 0, node.name)
        for (source, wanted), (always, staying, changing) in found.items():
            yield source, wanted, bool(always), staying, changing

    def graph(self) -> Graph:
        """Return the graph in these orders."""
        needed: dict[str, list[Axes]] = {}
        for source, order in self._permutations(self.orders):
            needed.setdefault(source, []).append(order)
        names = {(node.name, self.orders[node.name]): node.name for node in self.nodes}
        free = Names(node.name for node in self.before)
        nodes: list[Node] = []
        for node in self.nodes:
            inputs = [names[source, _then(seen, self.orders[node.name])] for source, seen in self.uses[node.name]]
            op = self._op(node, self.orders[node.name])
            assert op is not None
            nodes.append(replace(node, op=op, inputs=tuple(inputs)))
            for order in needed.get(node.name, ()):
                nodes.append(self._permute(node, order, free))
                names[node.name, order] = nodes[-1].name
        places = {
            name: Place(source, _then(_inverse(self.orders[source]), order))
            for name, (source, order) in self.views.items()
        }
        outputs = tuple(names[leaf] for leaf in self.leaves)
        return replace(self.before.moved(places), nodes=tuple(nodes), outputs=outputs)

    def _permute(self, node: Node, order: Axes, names: Names) -> Node:
        """A permutation of a node's result; one that was there before keeps its name."""
        axes = _then(_inverse(self.orders[node.name]), order)
        pattern = self.patterns[len(axes)]
        op = pattern.then_permuted(_then(_inverse(pattern.permutation or ()), axes) or tuple(range(len(axes))))
        assert op is not None
        if (old := self.permutes.get((node.name, order))) is not None:
            return replace(old, op=op, inputs=(node.name,))
        return Node(names.free(f"{node.name}_permuted"), op, (node.name,), node.layer)
