"""Random networks of many kinds of ops, and whether two of them answer the same: for tests of passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keras_hls.cost import estimate
from keras_hls.errors import TooWide
from keras_hls.fixed import OVERFLOW, ROUNDING, Constant, Fixed, Formats, from_float
from keras_hls.graph import Graph, Input, Node, Place, infer
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.contraction import Product
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.embedding import Lookup
from keras_hls.layers_ext.merge import Add, Maximum, Minimum, Multiply, Subtract
from keras_hls.layers_ext.movement import Concatenate, Pad, Permute, Repeat, Slice
from keras_hls.layers_ext.piecewise import Piecewise
from keras_hls.layers_ext.pool import Pool
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.quotient import Quotient
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.softmax import Softmax
from keras_hls.layers_ext.table import Table
from keras_hls.layers_ext.upsampling import Interpolate
from keras_hls.op import Plan
from keras_hls.sim.emulator import Emulator


def port(shape, width=5):
    fixed = Fixed(True, width, 3)
    return Input(shape, Formats.of(fixed), fixed)


def graph(*nodes, outputs, inputs=(("x", (2, 3, 4)),)):
    """Nodes as (name, op, *inputs)."""
    made = [Node(name, port(shape)) for name, shape in inputs]
    made += [Node(name, op, tuple(sources), f"layer_{name}") for name, op, *sources in nodes]
    return Graph(tuple(made), tuple(outputs), tuple(outputs)).verify()


def samples(network, count=8, seed=0):
    """Raw integers for each input, its extremes among them."""
    rng = np.random.default_rng(seed)
    found = []
    for node in network.inputs:
        low, high = node.op.port.low, node.op.port.high
        raw = rng.integers(low, high, (count, *node.op.shape), endpoint=True)
        raw[:2] = np.array([low, high]).reshape(2, *[1] * len(node.op.shape))[: len(raw)]
        found.append(raw)
    return found


def answers(network, raws):
    """The values of all outputs."""
    return [
        network.types[name].to_float(raw)
        for name, raw in zip(network.outputs, Emulator(network).run(raws), strict=True)
    ]


def assert_same_answers(before, after, count=8, seed=0):
    """The same ports, the same values."""
    after.verify()
    assert after.output_names == before.output_names
    assert [n.name for n in after.inputs] == [n.name for n in before.inputs]
    assert [before.types[name].shape for name in before.outputs] == [after.types[name].shape for name in after.outputs]
    raws = samples(before, count, seed)
    for name, a, b in zip(before.output_names, answers(before, raws), answers(after, raws), strict=True):
        assert np.array_equal(a, b), f"output {name}: {int((a != b).sum())} of {a.size} values differ"


def side_by_side(networks):
    """All networks as one, whose C++ is compiled at once."""
    nodes, outputs = [], []
    for i, network in enumerate(networks):
        for node in network:
            nodes.append(replace(node, name=f"g{i}_{node.name}", inputs=tuple(f"g{i}_{name}" for name in node.inputs)))
        outputs += [f"g{i}_{name}" for name in network.outputs]
    return Graph(tuple(nodes), tuple(outputs), tuple(f"o{i}" for i in range(len(outputs)))).verify()


def assert_same_in_cpp(networks, folder, count=20):
    """What C-simulation answers is what the emulator does, of many networks in one library."""
    from keras_hls.emitters import backend
    from keras_hls.emitters.base import Samples
    from keras_hls.options import Options
    from keras_hls.sim.csim import CSimulation

    whole = side_by_side(networks)
    raws = samples(whole, count)
    wanted = Emulator(whole).run(raws)
    plans = {node.name: Plan() for node in whole}
    bench = Samples([raw[:2] for raw in raws], [raw[:2] for raw in wanted])
    for path, data in backend("Vitis").files(whole, plans, Options(), "several", bench).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    for name, mine, theirs in zip(whole.outputs, wanted, CSimulation(folder, "several", whole).run(raws), strict=True):
        assert np.array_equal(mine, theirs), f"{name}: {int((mine != theirs).sum())} of {mine.size} values differ"


# -- ops


def formats(rng, shape, rounding="RND", overflow="SAT"):
    width = rng.integers(0, 6, shape)
    return Formats(rng.integers(0, 2, shape) > 0, width, rng.integers(-1, 5, shape), rounding, overflow)


def some_shape(rng, shape):
    """One that broadcasts to `shape`."""
    part = [n if rng.integers(2) else 1 for n in shape]
    return tuple(part[rng.integers(len(part) + 1) :])


def random_op(rng, shape):
    """An op of one input, and the shape that it gives."""
    rank = len(shape)
    kind = rng.integers(12)
    if kind == 0:
        before, after = (tuple(int(n) for n in rng.integers(0, 2, rank)) for _ in range(2))
        return Pad(before, after), tuple(b + n + a for b, n, a in zip(before, shape, after))
    if kind == 1:
        step = tuple(int(n) for n in rng.choice([1, -1, 2], rank))
        return Slice((None,) * rank, (None,) * rank, step), tuple(len(range(0, n, abs(s))) for n, s in zip(shape, step))
    if kind == 2 and np.prod(shape) < 60:
        repeats = tuple(int(n) for n in rng.integers(1, 3, rank))
        return Repeat(repeats), tuple(n * r for n, r in zip(shape, repeats))
    if kind == 3:
        slopes = Constant(rng.integers(-2, 3, some_shape(rng, shape)), 1)
        return Piecewise(
            Constant(np.array([1]), 1), (False,), (slopes, Constant(np.array(1), 0)), Constant(np.array([0, 0]), 0)
        ), shape
    if kind == 4:
        return Scale(*(Constant(rng.integers(-2, 3, some_shape(rng, shape)), 1) for _ in range(2))), shape
    if kind == 5:
        return Table.of(rng.integers(-9, 9, 16), 2, -8, 14), shape
    if kind == 6:
        axis = int(rng.integers(rank))
        return Interpolate(axis, shape[axis] + 1), (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :])
    if kind == 7:
        return Quotient(Constant(rng.integers(1, 4, some_shape(rng, shape)), 0), frac=3), shape
    if kind == 8:
        return ReLU(), shape
    return Quantize(formats(rng, some_shape(rng, shape))), shape


def sparse(rng, shape, rows, columns):
    """Weights of few bits, of which some rows and columns are all zero, and half of the others."""
    kernel = rng.integers(-3, 4, shape) * rng.integers(0, 2, shape)
    return kernel * (rng.random((rows, 1)) < 0.6) * (rng.random(columns) < 0.7) << int(rng.integers(0, 2))


# -- networks


class Maker:
    """Puts together a network whose values need no more than a few bits more than its inputs."""

    def __init__(self, rng, overflows=OVERFLOW):
        self.rng, self.overflows = rng, overflows
        shapes = [tuple(int(n) for n in rng.integers(1, 5, rng.choice([1, 2, 3, 3]))) for _ in range(2)]
        self.nodes = [Node(f"x{i}", port(shape), (), f"x{i}") for i, shape in enumerate(shapes)]
        self.types = {node.name: node.op.infer() for node in self.nodes}

    def add(self, op, *sources):
        """Append an op, if it suits; return its name, or else its input's."""
        node = Node(f"n{len(self.nodes)}", op, sources, f"layer{len(self.nodes)}")
        try:
            kind = infer(node, [self.types[name] for name in sources])
        except TooWide:
            return sources[0]
        self.nodes.append(node)
        self.types[node.name] = kind
        return node.name

    def shape(self, name):
        return self.types[name].shape

    def pick(self, rank=None):
        names = [name for name in self.types if rank is None or len(self.shape(name)) in rank]
        # Late ones more often, so that networks are deep.
        places = self.rng.integers(len(names), size=2) if names else [0]
        return names[max(places)] if names else None

    def cast(self, source, width=None):
        """A quantizer: one type for all, or one a channel or element; some have no bits."""
        rng, shape = self.rng, self.shape(source)
        kind = self.types[source]
        rounding = str(rng.choice(ROUNDING if rng.integers(3) == 0 else ["TRN", "RND"]))
        overflow = str(rng.choice(self.overflows))
        per = [(), shape[-1:], shape][rng.integers(3)]
        frac = int(rng.integers(-1, 4))
        top = kind.hull.width - kind.frac
        integer = rng.integers(max(top - 3, -frac), max(top, -frac, 0) + 1, per)
        bits = np.minimum(integer + frac, width or 6)
        dead = rng.random(per) < (0.3 if per else 0)
        least = 0 if per else 1
        return self.add(
            Quantize(
                Formats(
                    rng.random(per) < 0.6,
                    np.where(dead, 0, np.maximum(bits, least)),
                    np.maximum(bits, least) - frac,
                    rounding,
                    overflow,
                )
            ),
            source,
        )

    def narrow(self, source):
        """So that what comes next needs few bits; not always, so that there are chains without a cast."""
        wide = self.types[source].hull.width
        return self.cast(source) if wide > 16 or self.rng.integers(2) else source

    def dense(self, source):
        n, m = self.shape(source)[-1], int(self.rng.integers(1, 6))
        kernel = sparse(self.rng, (n, m), n, m)
        bias = Constant(self.rng.integers(-5, 6, m), int(self.rng.integers(0, 5))) if self.rng.integers(2) else None
        return self.add(Dense(Constant(kernel, int(self.rng.integers(0, 3))), bias), source)

    def convolution(self, source):
        rng, (*sizes, channels) = self.rng, self.shape(source)
        taps = [int(rng.integers(1, n + 1)) for n in sizes]
        groups = int(rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
        each = int(rng.integers(1, 4 if groups == 1 else 3))
        kernel = sparse(rng, (*taps, channels // groups, groups * each), channels // groups, groups * each)
        pads = (
            [tuple(int(n) for n in rng.integers(0, 2, len(sizes))) for _ in range(2)] if rng.integers(2) else [(), ()]
        )
        strides = tuple(int(n) for n in rng.integers(1, 3, len(sizes)))
        bias = Constant(rng.integers(-5, 6, groups * each), 2) if rng.integers(2) else None
        op = Convolution(Constant(kernel, 1), bias, strides, before=pads[0], after=pads[1], groups=groups)
        return self.add(op, source)

    def joined(self, source):
        rng, shape = self.rng, self.shape(source)
        op = [Add, Subtract, Multiply, Maximum, Minimum][rng.integers(5)]()
        same = [name for name in self.types if self.shape(name) == shape]
        other = str(rng.choice(same))
        if rng.integers(4) == 0:
            rank = len(shape)
            axis = int(rng.integers(rank))
            # One channel, or one position, beside all of them.
            other = self.add(
                Slice((0,) * rank, tuple(1 if a == axis else None for a in range(rank)), (1,) * rank), other
            )
        return self.add(op, *([source, other] if rng.integers(2) else [other, source]))

    def concatenated(self, source):
        shape = self.shape(source)
        axis = int(self.rng.choice([len(shape) - 1, self.rng.integers(len(shape))]))
        rest = shape[:axis] + shape[axis + 1 :]
        fits = [
            name
            for name in self.types
            if len(self.shape(name)) == len(shape) and self.shape(name)[:axis] + self.shape(name)[axis + 1 :] == rest
        ]
        return self.add(Concatenate(axis), source, str(self.rng.choice(fits)))

    def reshaped(self, source):
        shape = self.shape(source)
        new = [(-1,), shape[::-1], (*shape[:-1], 1, shape[-1]), (1, *shape), (-1, *shape[1:])][self.rng.integers(5)]
        return self.add(Reshape(new), source)

    def pooled(self, source):
        shape = self.shape(source)
        axis = int(self.rng.integers(len(shape)))
        size = int(self.rng.integers(1, shape[axis] + 1))
        windows = shape[axis] - size + 1
        return self.add(Pool(str(self.rng.choice(["sum", "max", "min"])), axis, windows, size), source)

    def looked_up(self, source):
        count = int(self.rng.integers(2, 5))
        whole = self.add(Quantize(Formats.of(Fixed(False, 2, 2, "TRN", "SAT"))), source)
        return self.add(Lookup(Constant(sparse(self.rng, (count, 4), count, 4), 1)), whole)

    def multiplied(self, source):
        """A tensor times its own transpose."""
        turned = self.add(Permute((0, 2, 1)), source)
        return self.add(Product(), source, turned)

    def normalized(self, source):
        """Something that takes all channels at once."""
        return self.add(Softmax(frac=4), source)

    def step(self):
        rng = self.rng
        source = self.pick()
        shape = self.shape(source)
        kind = int(rng.integers(20))
        if kind < 4:
            made = self.dense(source)
        elif kind < 6:
            image = self.pick((2, 3))
            if image is None:
                return
            made = self.convolution(image)
        elif kind < 9:
            made = self.joined(source)
        elif kind == 9:
            made = self.concatenated(source)
        elif kind == 10:
            made = self.reshaped(source)
        elif kind == 11:
            made = self.pooled(source)
        elif kind == 12:
            made = self.add(Permute(tuple(int(n) for n in rng.permutation(len(shape)))), source)
        elif kind == 13 and len(shape) < 3:
            made = self.looked_up(source)
        elif kind == 14 and len(shape) == 3:
            made = self.multiplied(self.cast(source))
        elif kind == 15 and rng.integers(2):
            made = self.normalized(self._small(source))
        elif kind == 16:
            made = self.cast(self.cast(source))
        else:
            op, _ = random_op(rng, shape)
            made = self.add(op, self._small(source) if isinstance(op, Table) else source)
        self.narrow(made)
        self._shrink(made)

    def _small(self, source):
        return self.add(Quantize(Formats.of(Fixed(True, 5, 3, "RND", "SAT"))), source)

    def _shrink(self, name):
        """Large tensors would only be slow."""
        if self.types[name].size > 200:
            rank = len(self.shape(name))
            self.add(Slice((0,) * rank, (2,) * rank, (1,) * rank), name)

    def network(self, outputs=3):
        """The network, of which some nodes at the end and some others leave."""
        names = list(self.types)
        chosen = [names[-1], *(str(self.rng.choice(names)) for _ in range(int(self.rng.integers(outputs))))]
        left = tuple(dict.fromkeys(chosen))
        return Graph(tuple(self.nodes), left, left).verify()


def random_network(seed, overflows=OVERFLOW, steps=14):
    """A network of any ops, with weights, channels and whole tensors that don't matter."""
    rng = np.random.default_rng(seed)
    maker = Maker(rng, overflows)
    for _ in range(int(rng.integers(3, steps))):
        maker.step()
    return maker.network()


# -- what passes promise


def everywhere(network):
    """The same network, every node of which is a layer."""
    layers = [node.name for node in network if node.inputs]
    return replace(network, places={name: Place(name) for name in layers})


def assert_true_places(before, after, seed=0):
    """Every place holds what it says, and what leaves the network has one."""
    assert list(after.places) == list(before.places)
    raws = samples(before, 8, seed)
    names, old = [node.name for node in after], [node.name for node in before]
    wanted = dict(zip(old, Emulator(before).run(raws, old)))
    found = dict(zip(names, Emulator(after).run(raws, names)))
    for label, place in after.places.items():
        was = before.places[label].node
        assert place is not None or was not in before.outputs
        if place is None:
            continue
        value = after.types[place.node].to_float(found[place.node])
        answer = before.types[was].to_float(wanted[was])
        if place.axes:
            value = value.transpose(0, *(axis + 1 for axis in place.axes))
        if place.channels:
            answer = answer.take(place.channels, place.axes.index(len(place.axes) - 1) + 1 if place.axes else -1)
        for to in place.casts:
            answer = np.ldexp(from_float(answer, to).astype(float), -to.frac)
        assert np.array_equal(value, answer), label


def lut(network):
    """What the network costs."""
    plans = {node.name: Plan() for node in network}
    return estimate(network, part="xcvu13p-flga2577-2-e", clock_period=5.0, plans=plans).lut
