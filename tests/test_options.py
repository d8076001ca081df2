"""Options: checked once, and every error offers what would be right."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hls.errors import InvalidOption
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.op import Plan
from keras_hls.options import Options, identifier

_WORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const
    const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern false
    float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private
    protected public register reinterpret_cast return short signed sizeof static static_assert static_cast struct switch
    template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t
    while xor xor_eq main
"""
KEYWORDS = set(_WORDS.split())


@pytest.mark.parametrize("word", sorted(KEYWORDS))
def test_words_of_the_language_are_no_names(word):
    assert identifier(word) not in KEYWORDS
    with pytest.raises(InvalidOption, match="project_name"):
        Options(project_name=word)


@given(st.text(max_size=12))
def test_identifiers(text):
    name = identifier(text)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
    # These belong to the compiler.
    assert "__" not in name
    assert name not in KEYWORDS
    assert identifier(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dense_1", "dense_1"),
        ("dense-1.b/c", "dense_1_b_c"),
        ("2nd", "n2nd"),
        ("_x", "x"),
        ("a__b", "a_b"),
        ("int", "int_"),
        ("_int", "int_"),
        ("", "x"),
        ("größe", "gr_e"),
        ("层", "x"),
    ],
)
def test_identifier_of(text, name):
    assert identifier(text) == name


def test_defaults_are_valid():
    assert Options() == Options.of()
    assert Options().reuse_factor == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"prt": "xcvu13p-flga2577-2-e"}, "'prt' is unknown. Did you mean 'part'?"),
        ({"reuse": 4}, "'reuse' is unknown"),
        ({"part": "xcv13p-flga2577-2-e"}, "such as 'xcvu3p'"),
        ({"part": "nonsense"}, "Part must name a device"),
        ({"part": None}, "Part must be a string"),
        ({"clock_period": 0}, "clock_period must be a positive number"),
        ({"clock_period": -1.0}, "clock_period must be a positive number"),
        ({"clock_period": float("nan")}, "clock_period must be a positive number"),
        ({"clock_period": float("inf")}, "clock_period must be a positive number"),
        ({"clock_period": "5"}, "clock_period must be a positive number"),
        ({"clock_period": True}, "clock_period must be a positive number"),
        ({"io_type": "io_paralel"}, "Did you mean 'io_parallel'?"),
        ({"strategy": "latency"}, "strategy must be 'Latency' or 'Resource', not 'latency'. Did you mean 'Latency'?"),
        ({"strategy": None}, "strategy must be"),
        ({"reuse_factor": 0}, "reuse_factor must be a positive integer"),
        ({"reuse_factor": -2}, "reuse_factor must be a positive integer"),
        ({"reuse_factor": 2.0}, "reuse_factor must be a positive integer"),
        ({"reuse_factor": True}, "reuse_factor must be a positive integer"),
        ({"softmax": "hardwear"}, "Did you mean 'hardware'?"),
        ({"layers": ["dense"]}, "layers must be a dict"),
        ({"layers": {"dense": 4}}, r"layers['dense'] must be a dict of strategy and reuse_factor, not 4"),
        ({"layers": {"dense": {"reuse": 4}}}, "layers['dense'] key must be"),
        ({"layers": {"dense": {"reuse_factor": 0}}}, "layers['dense'] reuse_factor must be"),
        ({"layers": {"dense": {"strategy": "Resorce"}}}, "layers['dense'] strategy must be 'Latency' or 'Resource'"),
        ({"project_name": "my net"}, "project_name must be a C++ identifier"),
        ({"project_name": "9net"}, "project_name must be a C++ identifier"),
        ({"project_name": ""}, "project_name must be a C++ identifier"),
        ({"project_name": 3}, "project_name must be a C++ identifier"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(InvalidOption, match=re.escape(text)):
        Options.of(**options)


@pytest.mark.parametrize("value", [[], {}, ["Latency"], np.array(["Latency"]), np.array([1, 2])])
@pytest.mark.parametrize(
    "name", ["strategy", "io_type", "softmax", "reuse_factor", "clock_period", "project_name", "part"]
)
def test_options_of_any_other_kind(name, value):
    with pytest.raises(InvalidOption, match=f"(?i){name}"):
        Options.of(**{name: value})


def network():
    port = Fixed(True, 8, 3)
    nodes = (
        Node("x", Input((4,), Formats.of(port), port), (), "pixels"),
        Node("a", Dense(Constant(np.ones((4, 6), int), 0)), ("x",), "dense"),
        Node("r", ReLU(), ("a",), "dense"),
        Node("b", Dense(Constant(np.ones((6, 5), int), 0)), ("r",), "head"),
    )
    return Graph(nodes, ("b",), ("head",)).verify()


def test_plans_by_default():
    assert set(Options().plans(network()).values()) == {Plan("Latency", 1)}
    plans = Options(strategy="Resource", reuse_factor=2).plans(network())
    assert plans == {
        "x": Plan("Resource", 1), "a": Plan("Resource", 2), "r": Plan("Resource", 1), "b": Plan("Resource", 2),
    }  # fmt: skip


def test_plans_of_single_layers():
    options = Options(layers={"head": {"strategy": "Resource", "reuse_factor": 30}, "dense": {}})
    assert options.plans(network())["a"] == Plan("Latency", 1)
    assert options.plans(network())["b"] == Plan("Resource", 30)
    # What a layer's entry doesn't say is as for all.
    options = Options(strategy="Resource", reuse_factor=2, layers={"head": {"reuse_factor": 6}})
    assert options.plans(network())["b"] == Plan("Resource", 6)
    options = Options(strategy="Resource", layers={"head": {"strategy": "Latency"}})
    assert options.plans(network())["b"] == Plan("Latency", 1)


def test_plans_that_can_not_be():
    with pytest.raises(InvalidOption, match=r"names 'haed', which isn't a layer of the model. Did you mean 'head'\?"):
        Options(layers={"haed": {}}).plans(network())
    with pytest.raises(InvalidOption, match="'head': reuse_factor must be 3 or 6"):
        Options(strategy="Resource", reuse_factor=1, layers={"head": {"reuse_factor": 4}}).plans(network())
    with pytest.raises(InvalidOption, match="'dense': reuse_factor must be 1 with strategy 'Latency'"):
        Options(reuse_factor=4).plans(network())


def test_numbers_of_numpy_become_plain_ones() -> None:
    """A manifest is JSON, which knows no numpy."""
    options = Options(
        reuse_factor=np.int64(4), strategy="Resource", clock_period=5, layers={"a": {"reuse_factor": np.int32(2)}}
    )
    assert type(options.reuse_factor) is type(options.layers["a"]["reuse_factor"]) is int
    assert type(options.clock_period) is float


def test_a_layer_without_multipliers_has_no_reuse_factor() -> None:
    x = Input((2,), Formats.of(Fixed(True, 4, 2)), Fixed(True, 4, 2))
    graph = Graph((Node("x", x, (), "x"), Node("r", ReLU(), ("x",), "r")), ("r",), ("r",))
    with pytest.raises(InvalidOption, match=r"^Layer 'r' has no multipliers to share, so its reuse_factor must be 1$"):
        Options(strategy="Resource", layers={"r": {"reuse_factor": 4}}).plans(graph)
    assert Options(strategy="Resource", reuse_factor=4).plans(graph)["r"].reuse_factor == 1
