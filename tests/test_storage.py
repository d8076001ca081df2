"""Graphs as JSON: nothing is lost, equal graphs are equal text, and what is damaged is said to be."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hls import storage
from keras_hls.errors import HLSError
from keras_hls.fixed import Constant, Fixed, Formats, TensorType
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.softmax import Softmax
from keras_hls.op import Kernel, Op, Plan, Work


@dataclass(frozen=True, eq=False)
class EveryFieldForStorageTest(Op):
    """An op with a field of every kind."""

    whole: int = -3
    real: float = 0.1
    text: str = 'süß "quoted"\n'
    flag: bool = True
    nothing: None = None
    constant: Constant | None = None
    fixed: Fixed | None = None
    formats: Formats | None = None
    body: Graph | None = None
    many: tuple = ()

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def bind(self, *inputs):
        return lambda raw: raw

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work()

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel | None:
        return None

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)


PORT = Fixed(True, 8, 3)
X = Node("x", Input((2, 3), Formats.of(PORT), PORT), (), "pixels")


def network() -> Graph:
    rng = np.random.default_rng(0)
    nodes = (
        X,
        Node(
            "q",
            Quantize(Formats(rng.random((2, 3)) < 0.5, rng.integers(-1, 6, (2, 3)), 2, "RND_CONV", "SAT_SYM")),
            ("x",),
            "q",
        ),
        Node("f", Reshape((-1,)), ("q",), "f"),
        Node(
            "d", Dense(Constant(rng.integers(-99, 99, (6, 4)), 5), Constant(rng.integers(-99, 99, 4), 7)), ("f",), "d"
        ),
        Node("r", ReLU(), ("d",), "d"),
        Node("s", Softmax(8, 12), ("r",), "s"),
    )
    return Graph(nodes, ("s", "d"), ("one", "two"), ("A note.",), ("softmax", ""))


def through_text(graph: Graph) -> Graph:
    return storage.from_json(json.loads(json.dumps(storage.to_json(graph))))


def test_a_network_survives():
    graph, again = network(), through_text(network())
    assert storage.to_json(again) == storage.to_json(graph)
    assert (again.outputs, again.output_names, again.notes, again.host) == (
        graph.outputs, graph.output_names, graph.notes, graph.host,
    )  # fmt: skip
    for node, copy in zip(graph, again):
        assert (copy.name, copy.inputs, copy.layer, type(copy.op)) == (
            node.name,
            node.inputs,
            node.layer,
            type(node.op),
        )
        for side in ("low", "high", "zeros", "frac"):
            assert np.array_equal(getattr(graph.types[node.name], side), getattr(again.types[node.name], side))
    assert again["q"].op.formats == graph["q"].op.formats
    assert np.array_equal(again["d"].op.kernel.raw, graph["d"].op.kernel.raw)


def test_equal_networks_are_equal_text():
    first, second = (json.dumps(storage.to_json(network()), sort_keys=True) for _ in range(2))
    assert first == second
    assert first == json.dumps(storage.to_json(through_text(network())), sort_keys=True)


INT63 = st.one_of(
    st.integers(-(2**62), 2**62 - 1),
    st.integers(-300, 300),
    st.sampled_from([s * 2**k + d for k in (7, 8, 15, 16, 31, 32, 62) for s in (1, -1) for d in (-1, 0, 1)]),
).filter(lambda n: -(2**62) <= n < 2**62)
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


def field_after(value):
    graph = Graph((X, Node("y", EveryFieldForStorageTest(many=(value,)), ("x",))), ("y",), ("y",))
    return through_text(graph)["y"].op.many[0]


@given(st.data(), SHAPES, st.integers(-70, 70))
def test_integers_survive(data, shape, frac):
    size = int(np.prod(shape, dtype=int))
    raw = np.array(data.draw(st.lists(INT63, min_size=size, max_size=size)), np.int64).reshape(shape)
    again = field_after(Constant(raw, frac))
    assert again.raw.dtype == np.int64
    assert again.raw.shape == shape
    assert again.raw.tolist() == raw.tolist()
    assert again.frac == frac


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 255], "uint8"),
        ([0, 256], "uint16"),
        ([-128, 127], "int8"),
        ([-1, 128], "int16"),
        ([-(2**31), 2**31 - 1], "int32"),
        ([-1, 2**31], "int64"),
        ([0, 2**40], "uint64"),
        ([-(2**40), 2**40], "int64"),
        ([-(2**62), 2**62 - 1], "int64"),
        ([], "uint8"),
    ],
)
def test_integers_take_few_bytes(values, dtype):
    (stored,) = storage.to_json(
        Graph(
            (X, Node("y", EveryFieldForStorageTest(constant=Constant(np.array(values, int), 0)), ("x",))),
            ("y",),
            ("y",),
        )
    )["nodes"][1:]
    assert stored["fields"]["constant"]["constant"]["dtype"] == dtype


@given(st.data(), SHAPES)
def test_formats_survive(data, shape):
    size = int(np.prod(shape, dtype=int))

    def draw(values):
        return np.array(data.draw(st.lists(values, min_size=size, max_size=size))).reshape(shape)

    formats = Formats(
        draw(st.booleans()), draw(st.integers(-3, 62)), draw(st.integers(-80, 80)), "TRN_ZERO", "SAT_ZERO"
    )
    assert field_after(formats) == formats


@pytest.mark.parametrize(
    "value",
    [
        0, -(2**62), 1.5, 1e-300, True, False, None, "", "constant", "a\n\"b\"", (), (1, (2, ("x", None))), ((),),
        (True, 1),
        Fixed(True, 8, -3, "RND_MIN_INF", "SAT"), (Fixed(False, 1, 99),),
    ],
)  # fmt: skip
def test_plain_fields_survive(value):
    again = field_after(value)
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value)


def test_a_body_survives():
    again = field_after(network())
    assert isinstance(again, Graph)
    assert storage.to_json(again) == storage.to_json(network())


def test_numbers_of_numpy_are_stored_as_numbers():
    assert field_after(Constant(np.array([1, 2]), np.int64(3))).frac == 3
    assert field_after(Fixed(np.bool_(True), np.int64(5), np.int32(2))) == Fixed(True, 5, 2)


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, np.zeros(3), object(), {1}, b"x", 1j, TensorType(0, 1, 0)])
def test_other_fields_are_refused(value):
    with pytest.raises(HLSError, match="An op's field must be"):
        storage.to_json(Graph((X, Node("y", EveryFieldForStorageTest(many=(value,)), ("x",))), ("y",), ("y",)))


def test_equal():
    a, b = Constant(np.array([1, 2]), 3), Constant(np.array([1, 2]), 3)
    assert storage.equal(a, b)
    assert storage.equal((a, None, Fixed(True, 3, 3)), (b, None, Fixed(True, 3, 3)))
    assert storage.equal(network(), network())
    for other in (Constant(np.array([1, 3]), 3), Constant(np.array([1, 2]), 4), Constant(np.array([[1, 2]]), 3), None):
        assert not storage.equal(a, other)


# --- what can't be read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 1, 3, None, "2"])
def test_other_versions_are_refused(version):
    with pytest.raises(HLSError, match=f"must be of version 2, not {version!r}"):
        storage.from_json({**storage.to_json(network()), "version": version})


def test_unknown_ops_are_named():
    stored = storage.to_json(network())
    stored["nodes"][3]["op"] = "MyDense"
    with pytest.raises(HLSError, match="'MyDense' that isn't known; import the module"):
        storage.from_json(stored)


def drop(*path):
    def change(stored):
        for key in path[:-1]:
            stored = stored[key]
        del stored[path[-1]]

    return change


def put(value, *path):
    def change(stored):
        for key in path[:-1]:
            stored = stored[key]
        stored[path[-1]] = value

    return change


KERNEL = ("nodes", 3, "fields", "kernel")


@pytest.mark.parametrize(
    "damage",
    [
        drop("nodes"),
        drop("outputs"),
        drop("host"),
        drop("nodes", 2, "op"),
        drop("nodes", 2, "inputs"),
        drop("nodes", 2, "fields", "shape"),
        put(None, "nodes"),
        put("x", "nodes", 1),
        put(3, "nodes", 1, "fields", "nonsense"),
        put(5, "outputs"),
        put(["nowhere"], "outputs"),
        put("x", *KERNEL, "constant", "data"),
        put("AAAA", *KERNEL, "constant", "data"),
        put([7, 4], *KERNEL, "constant", "shape"),
        put("float64", *KERNEL, "constant", "dtype"),
        put("object", *KERNEL, "constant", "dtype"),
        put("nonsense", *KERNEL, "constant", "dtype"),
        put("x", *KERNEL, "frac"),
        put([True, 8, 3, "RND", "SIT"], "nodes", 0, "fields", "port", "fixed"),
        put([True, 8], "nodes", 0, "fields", "port", "fixed"),
        put([], "nodes", 0, "fields", "formats", "formats"),
    ],
)
def test_damage_is_one_clear_error(damage):
    stored = json.loads(json.dumps(storage.to_json(network())))
    damage(stored)
    with pytest.raises(HLSError):
        storage.from_json(stored)


@pytest.mark.parametrize("stored", [[], None, "text", 3, {}])
def test_other_json_is_refused(stored):
    with pytest.raises(HLSError):
        storage.from_json(stored)
