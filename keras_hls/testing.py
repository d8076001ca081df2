"""The harness that asks every op the same questions, this project's and yours.

::

    from keras_hls.testing import Case, check_op, check_ops

    check_op(MyOp(...), TensorType.of(Fixed(True, 8, 3), (4,)))

Does the type hold every value, both extremes included? Is the C++ equal to the integer meaning, bit for bit, under
every strategy? Is the work there? Is it really an identity, wiring or a cast where it says so? Does the op survive
storage? Equal to Keras, where a reference is given?
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keras_hls import storage
from keras_hls.fixed import Formats, IntArray, Quantization, TensorType, shift_left
from keras_hls.graph import Graph, Input, Node, infer
from keras_hls.op import STRATEGIES, Op, Plan
from keras_hls.options import Options
from keras_hls.sim.csim import CSimulation
from keras_hls.sim.emulator import Emulator

#: Elements whose extremes are sought one by one; beyond, a random choice of them.
_PROBES = 64


@dataclass(frozen=True)
class Case:
    """An op and the types that it is asked about.

    Parameters
    ----------
    op : Op
    types : tuple of TensorType
        Of its inputs. Each becomes a port of one fixed-point type: samples alone keep to an element's own interval.
    reference : function, optional
        The same in floating point: takes one float64 array an input, (n, ...), returns the output; must equal exactly.
    plans : tuple of Plan, optional
        By default every strategy, with the least, a middle and the largest reuse factor.
    """

    op: Op
    types: tuple[TensorType, ...]
    reference: Callable[..., npt.ArrayLike] | None = None
    plans: tuple[Plan, ...] = field(default=())

    def all_plans(self) -> tuple[Plan, ...]:
        """The plans that the case is built with."""
        if self.plans:
            return self.plans
        factors = self.op.reuse_factors(*self.types)
        if factors == (1,):
            return (Plan(),)
        some = dict.fromkeys([factors[0], factors[len(factors) // 2], factors[-1]])
        return (Plan(STRATEGIES[0], 1), *(Plan(STRATEGIES[1], factor) for factor in some))


def check_op(
    op: Op,
    *types: TensorType,
    reference: Callable[..., npt.ArrayLike] | None = None,
    samples: int = 200,
    seed: int = 0,
    compiled: bool = True,
) -> None:
    """Ask one op all questions; see `check_ops`."""
    check_ops([Case(op, types, reference)], samples=samples, seed=seed, compiled=compiled)


def check_ops(cases: Sequence[Case], *, samples: int = 200, seed: int = 0, compiled: bool = True) -> None:
    """Ask many ops all questions; their C++ is one library, so that the compiler is called once.

    Parameters
    ----------
    cases : sequence of Case
    samples : int
        Random samples for each case, besides extreme ones.
    seed : int
    compiled : bool
        Whether to hold C++ against the emulator; needs a compiler.

    Raises
    ------
    AssertionError
        Names the op and the question that it fails.
    """
    rng = np.random.default_rng(seed)
    inputs = [_samples(case, samples, rng) for case in cases]
    outputs = [_check_meaning(case, raws, rng) for case, raws in zip(cases, inputs)]
    for case, raws, output in zip(cases, inputs, outputs):
        _check_claims(case, raws, output)
        _check_work(case, raws, output)
        _check_storage(case)
    if compiled:
        _check_compiled(cases, inputs, outputs)


def _name(case: Case) -> str:
    return f"{type(case.op).__name__} of {', '.join(f'{t.hull}{list(t.shape)}' for t in case.types)}"


def _samples(case: Case, count: int, rng: np.random.Generator) -> list[IntArray]:
    """Random samples on each element's grid, with ends and zeros mixed in, and all-low and all-high ones first."""
    arrays = []
    for kind in case.types:
        step = np.int64(1) << np.where(kind.low == kind.high, 0, kind.zeros)
        raw = rng.integers(kind.low, kind.high, (count, *kind.shape), endpoint=True)
        raw = np.clip(raw // step * step, kind.low, kind.high)
        pick = rng.integers(0, 8, raw.shape)
        near = np.clip(0, kind.low, kind.high)
        raw = np.where(pick == 0, kind.low, np.where(pick == 1, kind.high, np.where(pick == 2, near, raw)))
        arrays.append(np.concatenate([kind.low[None], kind.high[None], raw]).astype(np.int64))
    return arrays


def _check_meaning(case: Case, inputs: list[IntArray], rng: np.random.Generator) -> IntArray:
    kind = case.op.infer(*case.types)
    run = case.op.bind(*case.types)
    before = [raw.copy() for raw in inputs]
    output = run(*inputs)
    name = _name(case)
    assert all(np.array_equal(a, b) for a, b in zip(before, inputs)), f"{name}: bind's function changes its argument"
    assert output.dtype == np.int64, f"{name}: output must be int64, not {output.dtype}"
    assert output.shape == (len(inputs[0]), *kind.shape), (
        f"{name}: output has shape {output.shape}, inferred {kind.shape}"
    )
    for part in (slice(0, 0), slice(0, 1), slice(-1, None), slice(1, None, 2)):
        few = run(*(raw[part] for raw in inputs))
        assert np.array_equal(few, output[part]), f"{name}: a batch of {len(output[part])} has another answer"
    extremes = _extremes(case, run, kind, rng)
    for values in (output, extremes):
        assert (values >= kind.low).all(), f"{name}: a value lies below the inferred interval"
        assert (values <= kind.high).all(), f"{name}: a value lies above the inferred interval"
        grid = np.int64(1) << np.where(kind.low == kind.high, 0, kind.zeros)
        assert (values % grid == 0).all(), f"{name}: a value lies off the inferred grid"
    if case.reference is not None:
        floats = [t.to_float(raw) for t, raw in zip(case.types, inputs)]
        wanted = np.asarray(case.reference(*floats), np.float64)
        assert np.array_equal(kind.to_float(output), wanted), f"{name}: differs from its reference"
    return output


def _extremes(case: Case, run: Callable[..., IntArray], kind: TensorType, rng: np.random.Generator) -> IntArray:
    """Outputs for the samples that push each output element as far as each input element alone says."""
    lows = [t.low.reshape(-1) for t in case.types]
    highs = [t.high.reshape(-1) for t in case.types]
    sizes = [t.size for t in case.types]
    total = sum(sizes)
    if not total or not kind.size:
        return np.zeros((0, *kind.shape), np.int64)
    low, high = np.concatenate(lows), np.concatenate(highs)

    def call(flat: IntArray) -> IntArray:
        cuts = np.cumsum(sizes)[:-1]
        parts = np.split(flat, cuts, axis=1)
        return run(*(part.reshape(len(part), *t.shape) for part, t in zip(parts, case.types))).reshape(len(flat), -1)

    base = call(low[None])
    moved = np.repeat(low[None], total, 0)
    np.fill_diagonal(moved, high)
    effect = call(moved) - base
    chosen = rng.permutation(kind.size)[:_PROBES]
    most = np.where(effect.T[chosen] > 0, high, low)
    least = np.where(effect.T[chosen] > 0, low, high)
    return call(np.concatenate([most, least])).reshape(-1, *kind.shape)


def _check_claims(case: Case, inputs: list[IntArray], output: IntArray) -> None:
    """What passes believe without a look at the values."""
    name, op, x = _name(case), case.op, case.types[0]
    kind = op.infer(*case.types)
    grid = max(x.frac, kind.frac)
    first, answer = shift_left(inputs[0], grid - x.frac), shift_left(output, grid - kind.frac)
    if op.identity(*case.types):
        assert np.array_equal(answer, first), f"{name}: it changes what it says that it leaves as it is"
    if op.wiring:
        same = np.array_equal(output.reshape(-1), inputs[0].reshape(-1)) and kind.frac == x.frac
        assert same, f"{name}: wiring hands on the elements of its input in their order"
    if op.cast is not None:
        cast = Quantization(op.cast, x)
        same = np.array_equal(cast(inputs[0]), output) and cast.type.frac == kind.frac
        assert same, f"{name}: it does more than to cast, or another cast"
    factors = op.reuse_factors(*case.types)
    sane = factors[:1] == (1,) and factors == tuple(sorted(set(factors)))
    assert sane, f"{name}: reuse factors are positive integers in order, 1 among them, not {factors}"


def _check_work(case: Case, inputs: list[IntArray], output: IntArray) -> None:
    name = _name(case)
    for plan in case.all_plans():
        work = case.op.work(*case.types, plan=plan)
        kernel = case.op.hls(*case.types, plan=plan)
        assert (kernel is None) == case.op.wiring, f"{name}: hls must be None exactly where the op is only wiring"
        if kernel is not None and kernel.cast is not None:
            to = replace(kernel.cast, rounding="TRN", overflow="WRAP")
            assert to == case.op.infer(*case.types).hull, (
                f"{name}: its C++ casts to {to}, which isn't the type of its output"
            )
        assert work.interval >= 1, f"{name}: an interval is at least one cycle"
        assert all(u.count > 0 and min(u.widths) >= 0 for u in work.units), f"{name}: a unit counts nothing"
        if case.op.wiring:
            assert not work.units, f"{name}: wiring needs no hardware"
        assert all(step.units and step.passing >= 0 for step in work.steps), f"{name}: a step without hardware"
        assert work.steps or not work.units, f"{name}: hardware that no value passes"
        assert work.units or _is_wired(inputs, output), (
            f"{name}: its answer takes more than wires, but no work is there"
        )


def _is_wired(inputs: list[IntArray], output: IntArray) -> bool:
    """Whether each bit of the output is always 0, always 1, or always the same bit of an input."""
    constant = np.repeat([[0], [-1]], len(output), 1)
    known = {column for array in (*inputs, *constant) for column in _bits(array)}
    return known.issuperset(_bits(output))


def _bits(array: IntArray) -> set[bytes]:
    """The values that each bit of each element takes, sample by sample."""
    flat = np.ascontiguousarray(array.reshape(len(array), -1).T).astype("<i8")
    bits = np.unpackbits(flat[..., None].view(np.uint8), axis=-1)
    return {row.tobytes() for row in np.packbits(bits.swapaxes(1, 2).reshape(-1, len(array)), axis=1)}


def _check_storage(case: Case) -> None:
    graph = _graph([case], [1])
    text = storage.to_json(graph)
    again = storage.from_json(text)
    assert storage.to_json(again) == text, f"{_name(case)}: changes when it is stored and read"


@dataclass(frozen=True, eq=False)
class _Asked(Graph):
    """A graph whose inputs have the types that are asked about: narrower than their ports where elements differ."""

    asked: Mapping[str, TensorType] = field(default_factory=dict)

    @cached_property
    def types(self) -> dict[str, TensorType]:
        types = dict(self.asked)
        for node in self.nodes:
            if node.name not in types:
                types[node.name] = infer(node, [types[name] for name in node.inputs])
        return types


def _graph(cases: Sequence[Case], repeats: Sequence[int]) -> _Asked:
    """All cases side by side, each with ports of its own, once for each of its plans."""
    nodes, outputs = [], []
    asked: dict[str, TensorType] = {}
    for i, case in enumerate(cases):
        for j in range(repeats[i]):
            names = []
            for k, kind in enumerate(case.types):
                port = kind.hull
                names.append(f"x{i}_{j}_{k}")
                asked[names[-1]] = kind
                nodes.append(Node(names[-1], Input(kind.shape, Formats.of(port), port), (), f"case{i}"))
            nodes.append(Node(f"y{i}_{j}", case.op, tuple(names), f"case{i}"))
            outputs.append(f"y{i}_{j}")
    return _Asked(tuple(nodes), tuple(outputs), tuple(outputs), asked=asked)


def _check_compiled(cases: Sequence[Case], inputs: Sequence[list[IntArray]], outputs: Sequence[IntArray]) -> None:
    from keras_hls.emitters import backend
    from keras_hls.emitters.base import Samples

    repeats = [len(case.all_plans()) for case in cases]
    graph = _graph(cases, repeats)
    plans = {node.name: Plan() for node in graph}
    for i, case in enumerate(cases):
        plans |= {f"y{i}_{j}": plan for j, plan in enumerate(case.all_plans())}
    count = max(len(raws[0]) for raws in inputs)
    # Ports of one library take as many samples each; what is short is repeated.
    order = np.arange(count)
    raws = [raw[order % len(raw)] for i, case in enumerate(inputs) for _ in range(repeats[i]) for raw in case]
    wanted = [out[order % len(out)] for i, out in enumerate(outputs) for _ in range(repeats[i])]
    with tempfile.TemporaryDirectory(prefix="keras_hls-") as folder:
        bench = Samples([r[:2] for r in raws], [w[:2] for w in wanted])
        for path, data in backend("Vitis").files(graph, plans, Options(), "checked", bench).items():
            place = Path(folder) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        answers = CSimulation(Path(folder), "checked", graph).run(raws)
    emulated = Emulator(graph).run(raws)
    for node, answer, mine, expected in zip(graph.outputs, answers, emulated, wanted):
        case = cases[int(node[1:].split("_")[0])]
        assert np.array_equal(mine, expected), f"{_name(case)}: the emulator differs from bind"
        different = int((answer != expected).sum())
        assert not different, f"{_name(case)} with {plans[node]}: {different} of {answer.size} values of its C++ differ"
