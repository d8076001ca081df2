"""The harness finds what is wrong with an op, and nothing where nothing is."""

import importlib.util
import re
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from keras_hls.errors import HLSError
from keras_hls.fixed import Constant, Fixed, Formats, TensorType
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.op import Kernel, Op, Plan, Step, Unit, Work
from keras_hls.testing import Case, check_op, check_ops

X = TensorType.of(Fixed(True, 6, 3), (4,))
ONE = Unit("select", 4, (5,))


@dataclass(frozen=True, eq=False)
class RightForHarnessTest(Op):
    """ReLU once more; what `wrong` names is another's."""

    wrong: str = ""

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        low, high, zeros = np.maximum(x.low, 0), np.maximum(x.high, 0), x.zeros
        match self.wrong:
            case "high":
                high = high - (np.arange(high.size) == 2).reshape(high.shape)
            case "low":
                low = low + (np.arange(low.size) == 3).reshape(low.shape)
            case "grid":
                zeros = zeros + 1
            case "shape":
                return TensorType(low[..., None], high[..., None], x.frac)
            case "frac":
                return TensorType(low, high, x.frac + 1)
        return TensorType(low, high, x.frac, zeros)

    def bind(self, *inputs: TensorType):
        match self.wrong:
            case "mutates":
                return lambda raw: np.maximum(raw, 0, out=raw)
            case "mutates one":

                def mutate(raw):
                    result = np.maximum(raw, 0)
                    raw[-1:, -1:] += 1
                    return result

                return mutate
            case "dtype":
                return lambda raw: np.maximum(raw, 0).astype(np.int32)
            case "float":
                return lambda raw: np.maximum(raw, 0).astype(float)
            case "batch":
                return lambda raw: np.maximum(raw, 0) // (1 + (len(raw) > 1))
            case "empty batch":
                return lambda raw: np.maximum(raw, 0) if len(raw) else np.zeros((0, 7), np.int64)
            case "meaning":
                return lambda raw: np.where(raw < 0, 1, raw)
            case "seldom":
                return lambda raw: np.where((raw < 0) | (raw == 17), 0, raw)
        return lambda raw: np.maximum(raw, 0)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        match self.wrong:
            case "no work":
                return Work()
            case "no path":
                return Work(beside=(ONE,))
            case "only a path":
                return Work((Step(()),))
            case "passing":
                return Work((Step((ONE,), -1),))
            case "no count":
                return Work((Step((Unit("select", 0, (5,)),)),))
            case "width":
                return Work((Step((Unit("select", 4, (-1,)),)),))
            case "interval":
                return Work((Step((ONE,)),), 0)
            case "no work shared":
                return Work() if plan.strategy == "Resource" else Work((Step((ONE,)),))
        return Work((Step((ONE,)),))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel | None:
        size = {"size": inputs[0].size}
        match self.wrong:
            case "no kernel":
                return None
            case "kernel":
                return Kernel("quantize", "quantize", size)
            case "kernel shared" if plan.strategy == "Resource":
                return Kernel("quantize", "quantize", size)
            case "size":
                return Kernel("relu", "relu", {"size": inputs[0].size - 1})
            case "cast of the kernel":
                return Kernel("relu", "relu", size, cast=Fixed(False, 9, 6))
            case "no header":
                return Kernel("relu", "relu_of_nobody", size)
        return Kernel("relu", "relu", size)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        if self.wrong == "factors":
            return (2, 4)
        if self.wrong == "order":
            return (4, 1)
        return (1, 2) if "shared" in self.wrong else (1,)

    @property
    def wiring(self) -> bool:
        return self.wrong == "wiring"

    @property
    def cast(self) -> Formats | None:
        return Formats.of(Fixed(True, 6, 3)) if self.wrong == "cast" else None

    def identity(self, *inputs: TensorType) -> bool:
        return self.wrong == "identity" or bool((inputs[0].low >= 0).all())


@pytest.mark.parametrize(
    ("wrong", "question"),
    [
        ("high", "above the inferred interval"),
        ("low", "below the inferred interval"),
        ("grid", "off the inferred grid"),
        ("shape", "inferred (4, 1)"),
        ("mutates", "changes its argument"),
        ("mutates one", "changes its argument"),
        ("dtype", "must be int64, not int32"),
        ("float", "must be int64, not float64"),
        ("batch", "another answer"),
        ("empty batch", "another answer"),
        ("no work", "more than wires, but no work is there"),
        ("no work shared", "more than wires, but no work is there"),
        ("no path", "hardware that no value passes"),
        ("only a path", "a step without hardware"),
        ("passing", "a step without hardware"),
        ("no count", "counts nothing"),
        ("width", "counts nothing"),
        ("interval", "at least one cycle"),
        ("no kernel", "hls must be None exactly where"),
        ("cast of the kernel", "casts to ufixed<9, 6>"),
        ("wiring", "wiring hands on"),
        ("identity", "leaves as it is"),
        ("cast", "more than to cast"),
        ("factors", "1 among them"),
        ("order", "1 among them"),
    ],
)
def test_what_is_wrong_without_a_compiler(wrong, question):
    with pytest.raises(AssertionError, match=re.escape(question)) as caught:
        check_op(RightForHarnessTest(wrong), X, compiled=False)
    # The op is named, with what it was asked about.
    assert "RightForHarnessTest of fixed<6, 3>[4]" in str(caught.value)


@pytest.mark.parametrize("wrong", ["meaning", "frac", "seldom"])
def test_another_meaning_than_its_reference(wrong):
    with pytest.raises(AssertionError, match="differs from its reference"):
        check_op(RightForHarnessTest(wrong), X, reference=lambda x: np.maximum(x, 0), compiled=False)


@pytest.mark.parametrize(
    ("wrong", "question"),
    [
        ("kernel", "of its C++ differ"),
        ("kernel shared", "Plan(strategy='Resource', reuse_factor=1)"),
        ("meaning", "of its C++ differ"),
        ("seldom", "of its C++ differ"),
        ("size", "of its C++ differ"),
    ],
)
def test_cpp_of_another_meaning(wrong, question):
    with pytest.raises(AssertionError, match=re.escape(question)):
        check_op(RightForHarnessTest(wrong), X)


def test_a_kernel_that_nobody_wrote():
    with pytest.raises(HLSError, match=r"Op RightForHarnessTest .* has no kernel for Vitis HLS; write it"):
        check_op(RightForHarnessTest("no header"), X)


def test_one_wrong_op_among_many_is_named():
    cases = [Case(RightForHarnessTest(), (X,)), Case(Reshape((2, 2)), (X,)), Case(Add(), (X, X))]
    check_ops(cases)
    wrong = TensorType.of(Fixed(True, 7, 2), (2, 3))
    with pytest.raises(AssertionError, match=re.escape("RightForHarnessTest of fixed<7, 2>[2, 3] with Plan")):
        check_ops([*cases, Case(RightForHarnessTest("kernel"), (wrong,)), *cases])


@dataclass(frozen=True, eq=False)
class DriftingForHarnessTest(RightForHarnessTest):
    """Changes whenever it is made anew."""

    count: int = 0

    def __post_init__(self):
        object.__setattr__(self, "count", self.count + 1)


@dataclass(frozen=True, eq=False)
class UnstorableForHarnessTest(RightForHarnessTest):
    """Holds what can't be stored."""

    table: list = field(default_factory=lambda: [1, 2])


def test_ops_that_do_not_survive_storage():
    with pytest.raises(AssertionError, match="changes when it is stored and read"):
        check_op(DriftingForHarnessTest(), X, compiled=False)
    with pytest.raises(HLSError, match="An op's field must be"):
        check_op(UnstorableForHarnessTest(), X, compiled=False)


@dataclass(frozen=True, eq=False)
class NarrowSumForHarnessTest(Op):
    """A sum of elements, whose type holds a share of it: what random samples reach, but not all."""

    share: float = 1.0

    def infer(self, *inputs: TensorType) -> TensorType:
        most = int(np.abs(inputs[0].low).sum() * self.share)
        return TensorType(-most, most, inputs[0].frac)

    def bind(self, *inputs: TensorType):
        # Every other element is subtracted, so that neither all-low nor all-high inputs are the extremes.
        return lambda raw: raw[:, ::2].sum(-1) - raw[:, 1::2].sum(-1)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work((Step((Unit("add", 7, (9,)),)),))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel | None:
        raise NotImplementedError

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)


@pytest.mark.parametrize("size", [2, 8, 100])
def test_extremes_that_random_samples_never_reach(size):
    x = TensorType.of(Fixed(True, 12, 12), (size,))
    with pytest.raises(NotImplementedError):
        check_op(NarrowSumForHarnessTest(), x, compiled=False)
    with pytest.raises(AssertionError, match="interval"):
        check_op(NarrowSumForHarnessTest(0.999), x, compiled=False)


def test_what_takes_no_hardware_needs_no_work():
    """No op is accused of missing work where bits are only moved."""
    check_ops(
        [
            Case(Reshape((-1,)), (TensorType.of(Fixed(True, 5, 2), (2, 3)),)),
            Case(ReLU(), (TensorType([0, -9, 3], [5, -2, 3], 1),)),
            Case(Quantize(Formats.of(Fixed(True, 3, 2))), (X,)),
            Case(Quantize(Formats([True, False, True, False], [9, 0, 3, 4], [3, 0, 1, 5])), (X,)),
            Case(Dense(Constant(np.array([[4, 0], [0, 1], [0, 0], [0, 0]]), 1)), (X,)),
            Case(Add(), (X, TensorType(np.zeros(4, int), np.zeros(4, int), 0))),
            Case(Quantize(Formats.of(Fixed(True, 9, 5, "RND", "SAT"))), (TensorType([], [], 0),)),
        ],
        compiled=False,
    )


def test_plans_of_a_case():
    op = Dense(Constant(np.ones((4, 6), int), 0))
    assert Case(ReLU(), (X,)).all_plans() == (Plan(),)
    assert Case(op, (X,)).all_plans() == (
        Plan("Latency", 1), Plan("Resource", 1), Plan("Resource", 8), Plan("Resource", 24),
    )  # fmt: skip
    assert Case(op, (X,), plans=(Plan("Resource", 2),)).all_plans() == (Plan("Resource", 2),)


USERS_OP = '''
from dataclasses import dataclass
from keras_hls.op import Kernel, Op, Step, Unit, Work
from keras_hls.fixed import TensorType

@dataclass(frozen=True, eq=False)
class TripleOfAUser(Op):
    """y = 3 x."""
    def infer(self, x):
        return TensorType(3 * x.low, 3 * x.high, x.frac, x.zeros)
    def bind(self, x):
        return lambda raw: 3 * raw
    def work(self, x, plan):
        adder = Unit("add", x.size, (x.hull.width + 2,))
        return Work((Step((adder,)),))
    def hls(self, x, plan):
        return Kernel("triple_of_a_user", "triple_of_a_user", {"size": x.size})
    def reuse_factors(self, x):
        return (1,)
'''
USERS_KERNEL = """
namespace keras_hls {
template <class C, class X, class Y> void triple_of_a_user(const X x[C::size], Y y[C::size]) {
    for (int i = 0; i < C::size; i++) y[i] = x[i] * ap_int<3>(FACTOR);
}
} // namespace keras_hls
"""


@pytest.fixture
def users(tmp_path):
    (tmp_path / "layers_of_a_user.py").write_text(USERS_OP)
    spec = importlib.util.spec_from_file_location("layers_of_a_user", tmp_path / "layers_of_a_user.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["layers_of_a_user"] = module
    spec.loader.exec_module(module)
    kernels = tmp_path / "kernels" / "vitis"
    kernels.mkdir(parents=True)
    yield SimpleNamespace(op=module.TripleOfAUser(), kernel=kernels / "triple_of_a_user.h")
    del sys.modules["layers_of_a_user"], Op.registry["TripleOfAUser"]


def test_the_op_of_a_user(users):
    users.kernel.write_text(USERS_KERNEL.replace("FACTOR", "3"))
    check_op(users.op, TensorType.of(Fixed(True, 9, 4), (2, 5)), reference=lambda x: 3 * x)
    users.kernel.write_text(USERS_KERNEL.replace("FACTOR", "2"))
    with pytest.raises(AssertionError, match=r"TripleOfAUser .* of its C"):
        check_op(users.op, TensorType.of(Fixed(True, 9, 4), (2, 5)))
