"""The walk over Keras 3 models: names and order, what is refused and in which words, and models from files."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.config import QuantizerConfig  # noqa: E402
from hgq.layers import QAdd, QBatchNormDense, QDense, Quantizer  # noqa: E402

import keras_hls  # noqa: E402
from keras_hls.errors import InvalidData, InvalidModel, UnsupportedModel  # noqa: E402
from keras_hls.frontends import live_model  # noqa: E402
from keras_hls.graph import Input  # noqa: E402
from keras_hls.layers_ext import READERS  # noqa: E402

pytestmark = pytest.mark.keras3


def conf(i=2, f=3, k=1, place="datalane", overflow="SAT", **more):
    return QuantizerConfig("kif", place, k0=k, i0=i, f0=f, overflow_mode=overflow, heterogeneous_axis=(), **more)


def quantizer(name=None, **bits):
    return Quantizer(conf(**bits), name=name)


def dense(units, name=None, cls=QDense, **more):
    """A layer with random weights, the same for the same units and inputs."""
    weights = {"kq_conf": conf(place="weight"), "bq_conf": conf(place="bias")}
    more.setdefault("kernel_initializer", keras.initializers.RandomUniform(-2, 2, seed=units))
    return cls(units, name=name, **{"iq_conf": conf(), **weights, **more})


def inputs(*names, shape=(4,)):
    return [keras.Input(shape, name=name) for name in names]


def values(count=20, shape=(4,), seed=0):
    return (np.random.default_rng(seed).integers(-64, 65, (count, *shape)) / 16.0).astype("float32")


def keras_answers(model, x):
    structure = getattr(model, "_inputs_struct", 0)
    flat = keras.tree.flatten(model(keras.tree.pack_sequence_as(structure, list(x)), training=False))
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in flat]


def assert_equal(model, x=None):
    snapshot = keras_hls.snapshot(model)
    x = [values(shape=tuple(t.shape[1:]), seed=n) for n, t in enumerate(model.inputs)] if x is None else x
    got = snapshot.predict(x if len(x) > 1 else x[0])
    for a, b in zip(got if isinstance(got, list) else [got], keras_answers(model, x), strict=True):
        assert np.array_equal(a, b)
    return snapshot


def refused(model, sentence, error=UnsupportedModel):
    with pytest.raises(error, match=sentence) as caught:
        keras_hls.snapshot(model)
    return caught.value


# -- names and order


def test_inputs_and_outputs_keep_the_models_order():
    a, b, c = inputs("zeta", "alpha", "mid")
    outs = [dense(2, "w")(b), dense(3, "v")(c), dense(1, "u")(a)]
    model = keras.Model([a, b, c], outs)
    snapshot = assert_equal(model)
    assert [node.layer for node in snapshot.graph.inputs] == ["zeta", "alpha", "mid"]
    assert snapshot.graph.output_names == ("w", "v", "u")
    x = [values(seed=n) for n in range(3)]
    by_name = snapshot.predict({"mid": x[2], "zeta": x[0], "alpha": x[1]})
    assert all(np.array_equal(p, q) for p, q in zip(by_name, snapshot.predict(x)))
    with pytest.raises(InvalidData, match=r"^Samples must be given for inputs zeta, alpha, mid, not mid, zeta$"):
        snapshot.predict({"mid": x[2], "zeta": x[0]})


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_dicts_of_inputs_and_outputs(tmp_path):
    # Keras sorts their keys, and takes samples only as a dict if that changes the order.
    a, b = inputs("first", "second")
    model = keras.Model({"z": a, "y": b}, {"p": dense(2, "one")(a), "o": dense(3, "two")(b)})
    project = keras_hls.export_hls(model, tmp_path / "net", verify=[values(), values(seed=1)])
    assert [node.layer for node in project.graph.inputs] == ["second", "first"]
    assert project.graph.output_names == ("two", "one")
    assert project.verify({"first": values(), "second": values(seed=1)}).keras_different == 0


def test_duplicate_outputs(tmp_path):
    (x,) = inputs("x")
    y = dense(3, "d")(x)
    model = keras.Model(x, [y, keras.layers.ReLU(name="r")(y), y, y])
    snapshot = assert_equal(model)
    assert snapshot.graph.output_names == ("d", "r", "d_1", "d_2")
    project = snapshot.export(tmp_path / "net", model=model)
    assert all(np.array_equal(a, b) for a, b in zip(project.predict(values()), project.emulate(values())))


def test_the_output_of_a_call_not_of_a_layer():
    x, y = inputs("x", "y")
    shared = dense(4, "shared")
    once, twice = shared(x), shared(shared(y))
    snapshot = assert_equal(keras.Model([x, y], [twice, once]))
    assert snapshot.graph.output_names == ("shared", "shared_1")
    assert sum(node.layer == "shared" and "iq" not in node.name for node in snapshot.graph) == 3


def test_an_input_that_is_an_output_needs_a_quantizer():
    (x,) = inputs("x")
    refused(
        keras.Model(x, [dense(2)(x), x]),
        r"^1 layer can't be exported: 'x' \(input\): an output reads it without a quantizer, so its precision is unknown;"
        " put a Quantizer layer behind the input$",
    )
    assert_equal(keras.Model(x, [quantizer()(x), quantizer()(x)]))


def test_an_input_that_only_wiring_makes_an_output_needs_a_quantizer():
    (x,) = inputs("x")
    refused(keras.Model(x, [keras.layers.Reshape((2, 2))(x), dense(2)(x)]), r"'x' \(input\): an output reads it")


def test_every_input_without_a_quantizer_is_named():
    a, b, c = inputs("a", "b", "c")
    model = keras.Model([a, b, c], [keras.layers.ReLU(name="r")(a), keras.layers.Add(name="s")([b, quantizer()(c)])])
    error = refused(model, "^2 layers can't be exported: 'a' .*'r' reads it .*; 'b' .*'s' reads it")
    assert len(error.problems) == 2


def test_an_input_that_nobody_reads_is_a_port_still(tmp_path):
    used, unused = inputs("used", "unused")
    model = keras.Model([unused, used], dense(2)(used))
    snapshot = assert_equal(model)
    assert [node.layer for node in snapshot.graph.inputs] == ["unused", "used"]
    snapshot.export(tmp_path / "net", model=model)


def test_dead_branches_are_no_matter():
    (x,) = inputs("x")
    y = dense(3, "d")(x)
    keras.layers.LSTM(2, name="beside")(keras.layers.Reshape((1, 3))(y))
    snapshot = assert_equal(keras.Model(x, y))
    assert {node.layer for node in snapshot.graph} == {"x", "d"}


def test_a_part_of_a_larger_model():
    (x,) = inputs("x")
    hidden = dense(3, "hidden")(x)
    keras.Model(x, dense(2, "rest")(hidden))
    assert {node.layer for node in assert_equal(keras.Model(x, hidden)).graph} == {"x", "hidden"}
    # And from the middle on.
    tail = keras.Model(hidden, dense(2, "tail")(hidden))
    assert_equal(tail, [values(shape=(3,))])


def test_a_fixed_batch_size(tmp_path):
    x = keras.Input(batch_shape=(5, 4), name="x")
    project = keras_hls.export_hls(keras.Model(x, dense(2)(x)), tmp_path / "net", verify=values(50))
    assert project.predict(values(7)).shape == (7, 2)


def test_samples_of_no_dimension():
    x = keras.Input((), name="x")
    assert_equal(keras.Model(x, [quantizer()(x), keras.layers.Flatten()(quantizer()(x))]), [values(shape=())])


def test_sequential_and_functional_are_the_same():
    sequential = keras.Sequential([keras.Input((4,), name="x"), dense(3, "a", activation="relu"), dense(2, "b")])
    x = keras.Input((4,), name="x")
    functional = keras.Model(x, dense(2, "b")(dense(3, "a", activation="relu")(x)))
    functional.set_weights(sequential.get_weights())
    one, two = keras_hls.snapshot(sequential), keras_hls.snapshot(functional)
    assert not one.diff(two), str(one.diff(two))
    assert [n.name for n in one.graph] == [n.name for n in two.graph]
    assert_equal(sequential)


def test_a_sequential_model_that_was_built_by_a_call():
    model = keras.Sequential([dense(3), dense(2)])
    model(values())
    assert_equal(model)


# -- names that C++ or we could stumble over

KEYWORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const
    const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern false
    float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private
    protected public register reinterpret_cast return short signed sizeof static static_assert static_cast struct switch
    template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t
    while xor xor_eq main std
"""
OURS = """
    inputs outputs count i j raw samples wrong answer file folders name open_data keras_hls keras_hls_run net hls ap_int
    ap_fixed ap_ufixed input output x x_t x_type x_out x_kernel x_bias x_config dense dense_relu dense_1 dense_1_1 copy
    clone quantize from_raw to_raw bias bias_1 my_bias kernel size key id time off wchar int8 C X Y value sum p m n
"""
MACROS = "NULL EOF NAN errno stdin assert"
STRANGE = [
    "a-b",
    "a.b",
    "a b",
    "a_b",
    "A_b",
    "1a",
    "_",
    "__a",
    "é",
    "日本",
    "a\nint b;",
    "end\\",
    "?",
    '"',
    "*\\*",
    "%d",
]


def many_ports(names):
    ports = [keras.Input((1,), name=name) for name in names]
    return keras.Model(ports, [quantizer(f"layer {n}", i=n % 3)(port) for n, port in enumerate(ports)])


def many_layers(names):
    # Ports take every name; layers get theirs from the same place.
    names = names[::2]
    (x,) = inputs("the only input", shape=(1,))
    outs = [quantizer("the first")(x)]
    for n, name in enumerate(names):
        layer = QAdd(iq_confs=conf(), name=name) if n % 2 else dense(1, name, activation="relu")
        outs.append(layer(outs[-2:] if n % 2 else outs[-1]))
    return keras.Model(x, outs[::8])


@pytest.mark.parametrize("build", [many_ports, many_layers])
def test_names_change_no_bit(tmp_path, build):
    names = [*dict.fromkeys([*KEYWORDS.split(), *OURS.split(), *MACROS.split(), *STRANGE])]
    strange, plain = build(names), build([f"plain{n}" for n in range(len(names))])
    plain.set_weights(strange.get_weights())
    x = [values(30, (1,), seed=n) for n in range(len(strange.inputs))]
    x = x if len(x) > 1 else x[0]
    project = keras_hls.export_hls(strange, tmp_path / "net", verify=x)
    answers, wanted = project.predict(x), keras_hls.snapshot(plain).predict(x)
    assert len(names) > 150
    assert len(answers) == len(wanted) > 10
    assert all(np.array_equal(a, b) for a, b in zip(answers, wanted))


def test_names_that_differ_only_in_what_cpp_can_not_write():
    (x,) = inputs("a-b")
    y = dense(4, "a_b")(dense(3, "a.b")(x))
    snapshot = assert_equal(keras.Model(x, dense(2, "a b")(y)))
    assert [node.name for node in snapshot.graph if "iq" not in node.name] == ["a_b", "a_b_1", "a_b_2", "a_b_3"]
    assert {node.layer for node in snapshot.graph} == {"a-b", "a.b", "a_b", "a b"}


# -- what is refused


def test_every_unsupported_layer_is_named_at_once():
    (x,) = inputs("x")
    y = keras.layers.Reshape((2, 2), name="fold")(quantizer("q")(x))
    y = keras.layers.LSTM(3, name="memory")(y)
    y = keras.layers.Dense(3, name="float")(y)
    y = keras.layers.ReLU(max_value=6, name="cut")(y)
    y = keras.layers.Dropout(0.5, name="noise")(y, training=True)
    y = dense(2, "odd", activation="tanh")(y)
    y = keras.layers.Lambda(lambda v: v * 2, name="own")(y)
    y = y + 1.0
    model = keras.Model(x, [y, keras.layers.BatchNormalization(name="norm")(y)])
    known = r"Known: Activation, Add, .*QDense, .*Softmax"
    sentences = [
        rf"'memory' \(keras.layers.LSTM\): no op reads this layer\. {known}",
        r"'float' \(keras.layers.Dense\): it has no quantizers; use hgq.layers.QDense instead",
        r"'cut' \(keras.layers.ReLU\): no reader takes account of max_value=6(\.0)? \(only None can be exported\); leave it"
        " at its default",
        r"'noise' \(keras.layers.Dropout\): it is called with \{'training': True\}, which no reader takes account of; call"
        " it with tensors only",
        r"'odd' \(hgq.layers.QDense\): activation must be 'linear' or 'relu' or 'softmax', not 'tanh'",
        rf"'own' \(keras.layers.Lambda\): no op reads this layer\. {known}",
        r"'add\w*' \(keras.ops.Add\): it has no quantizers; use hgq.layers.QAdd instead",
        rf"'norm' \(keras.layers.BatchNormalization\): no op reads this layer\..* {known}",
    ]
    error = refused(model, "^8 layers can't be exported: ")
    assert len(error.problems) == 8
    for sentence in sentences:
        assert any(re.fullmatch(sentence, problem) for problem in error.problems), f"{sentence}: {error}"
    report = keras_hls.check(model)
    assert not report.ok
    assert report.problems == error.problems
    assert str(report).startswith("8 problems:\n- '")


def test_a_name_nearly_known_is_offered():
    class QuantizerLayer(keras.layers.Layer):
        def call(self, x):
            return x

    (x,) = inputs("x")
    refused(
        keras.Model(x, QuantizerLayer(name="mine")(x)), r"'mine' \(.*QuantizerLayer\): .* Did you mean 'Quantizer'\?"
    )


def test_unknown_config_keys_are_refused(monkeypatch):
    # As a later Keras might have them.
    whole = keras.layers.Flatten.get_config
    monkeypatch.setattr(keras.layers.Flatten, "get_config", lambda self: {**whole(self), "order": "F", "axis": None})
    (x,) = inputs("x")
    model = keras.Model(x, keras.layers.Flatten(name="flat")(quantizer()(x)))
    refused(
        model,
        r"^1 layer can't be exported: 'flat' \(keras.layers.Flatten\): no reader takes account of order='F'; leave it at its"
        r" default$",
    )


@pytest.mark.parametrize(
    ("layer", "argument"),
    [
        (lambda: keras.layers.ReLU(max_value=1.0, name="l"), "max_value=1.0"),
        (lambda: keras.layers.ReLU(negative_slope=0.25, name="l"), "negative_slope=0.25"),
        (lambda: keras.layers.ReLU(threshold=0.5, name="l"), "threshold=0.5"),
        (lambda: keras.layers.Flatten("channels_first", name="l"), "data_format='channels_first'"),
    ],
)
def test_every_argument_that_changes_the_answer_is_refused(layer, argument):
    x = keras.Input((2, 3), name="x")
    refused(keras.Model(x, layer()(quantizer()(x))), rf"'l' .*no reader takes account of {argument} \(only ")


def test_softmax_over_another_axis_is_refused():
    x = keras.Input((2, 3), name="x")
    model = keras.Model(x, keras.layers.Softmax(axis=1, name="l")(quantizer()(x)))
    refused(model, r"'l' \(keras.layers.Softmax\): axis must be -1, not 1; permute its input$")


@pytest.mark.parametrize(
    "activation",
    ["tanh", "leaky_relu", "relu6", keras.layers.ReLU(max_value=2.0), keras.layers.LeakyReLU(), lambda x: x * 2],
    ids=lambda a: a if isinstance(a, str) else type(a).__name__,
)
def test_activations_that_no_op_computes_are_refused(activation):
    (x,) = inputs("x")
    if isinstance(activation, keras.layers.Layer):
        # HGQ2 wants it built.
        activation.build((None, 2))
    refused(keras.Model(x, dense(2, "d", activation=activation)(x)), "'d' .*: activation must be 'linear' or 'relu' or")


class Unwritable:
    """A user's function that knows nothing of configs."""

    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    "activation", [functools.partial(keras.activations.relu, max_value=1.0), Unwritable()], ids="ab"
)
def test_activations_that_keras_can_not_write_down_are_refused(activation):
    (x,) = inputs("x")
    y = keras.layers.Activation(activation, name="a")(quantizer()(x))
    model = keras.Model(x, keras.layers.Reshape((2, -1, 1), name="after")(keras.layers.Softmax(axis=0, name="s")(y)))
    error = refused(model, r"^2 layers can't be exported: 'a' \(keras.layers.Activation\): its config can't be read: ")
    assert error.problems[1].startswith("'s' (keras.layers.Softmax): axis must be -1")


def relu(x):
    """A user's own function, by the name of one of Keras's."""
    return keras.ops.relu(x) * 0.5


@keras.saving.register_keras_serializable(package="tests", name="linear")
class Negative(keras.layers.Layer):
    """A user's own layer, registered by the name of an activation."""

    def call(self, x):
        return -x


def test_own_functions_by_the_names_of_keras_are_refused():
    (x,) = inputs("x")
    y = dense(2, "d", activation=relu)(x)
    own = Negative()
    own.build((None, 2))
    y = keras.layers.Activation(relu, name="a")(y)
    error = refused(keras.Model(x, dense(2, "n", activation=own)(y)), "^3 layers can't be exported: ")
    assert [p.rsplit(", not ", 1)[1] for p in error.problems] == [
        f"'{relu.__module__}.relu'",
        f"'{relu.__module__}.relu'",
        f"'{Negative.__module__}.Negative'",
    ]


def test_keras_own_functions_as_objects_are_known():
    (x,) = inputs("x")
    y = dense(3, activation=keras.activations.relu)(x)
    assert_equal(keras.Model(x, keras.layers.Activation(keras.activations.linear)(y)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_layers_of_another_precision_are_refused(policy):
    (x,) = inputs("x")
    layer = keras.layers.Reshape((2, 2), name="r", dtype=policy)
    kind = policy.removeprefix("mixed_")
    refused(
        keras.Model(x, layer(quantizer()(x))),
        rf"^1 layer can't be exported: 'r' \(keras.layers.Reshape\): it computes in {kind}, and only float32 can be exported;"
        r" give it dtype='float32', or call keras.config.set_dtype_policy\('float32'\) before the model is built$",
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_models_of_another_precision_are_refused(policy):
    old = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        (x,) = inputs("x")
        model = keras.Model(x, dense(2, "d")(x))
    finally:
        keras.config.set_dtype_policy(old)
    refused(model, rf"'d' .*: it computes in {policy.removeprefix('mixed_')}, and only float32 can be exported")


def test_a_quantizer_of_another_precision_inside_a_layer_is_refused():
    (x,) = inputs("x")
    old = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = dense(2, "d", dtype="float32")
    finally:
        keras.config.set_dtype_policy(old)
    refused(keras.Model(x, layer(x)), r"'d' .*: it computes in bfloat16, and only float32")


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "uint8"])
def test_samples_of_another_precision_are_refused(dtype):
    x = keras.Input((4,), name="x", dtype=dtype)
    y = keras.layers.Reshape((2, 2))(x)
    refused(
        keras.Model(x, y),
        rf"'x' \(keras.layers.InputLayer\): its samples are {dtype}; make it keras.Input\(shape\), whose samples are dense"
        " float32",
    )


def test_masks_and_other_calls_with_more_than_tensors_are_refused():
    x, mask = inputs("x", "mask")
    y = keras.layers.Softmax(name="s")(quantizer()(x), mask=mask)
    refused(keras.Model([x, mask], y), r"'s' .*: it is called with 2 tensors, which no reader takes account of$")


def test_training_false_is_what_inference_is():
    (x,) = inputs("x")
    y = keras.layers.Dropout(0.5)(dense(3)(x, training=False), training=False)
    assert_equal(keras.Model(x, y))


@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_nested_models_are_refused(kind):
    inner = keras.Sequential([keras.Input((4,)), dense(3)], name="inner")
    if kind == "functional":
        inner = keras.Model(inner.inputs[0], inner.outputs[0], name="inner")
    (x,) = inputs("x")
    refused(
        keras.Model(x, inner(quantizer()(x))),
        rf"^1 layer can't be exported: 'inner' \(keras.models.{kind.capitalize()}\): a model inside the model can't be read;"
        " call its layers one by one instead$",
    )
    # Which works.
    y = x
    for layer in inner.layers:
        y = y if isinstance(layer, keras.layers.InputLayer) else layer(y)
    assert_equal(keras.Model(x, y))


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layer = dense(3)

    def call(self, x):
        return self.layer(x)


class Twice(keras.Model):
    """Functional, but with something added."""

    def call(self, *args, **kwargs):
        return super().call(*args, **kwargs) * 2


class TwiceInSequence(keras.Sequential):
    def call(self, *args, **kwargs):
        return super().call(*args, **kwargs) * 2


@pytest.mark.parametrize("built", [True, False])
def test_subclassed_models_are_refused(built):
    model = Subclassed(name="net")
    if built:
        model(values())
    refused(
        model,
        r"^Model 'net' computes with a call method of its own, Subclassed.call, which no graph of layers shows. Build it as"
        r" keras.Sequential or keras.Model\(inputs, outputs\)$",
        InvalidModel,
    )


def test_a_graph_that_is_not_what_the_model_computes_is_refused():
    (x,) = inputs("x")
    refused(Twice(x, dense(2)(x), name="net"), "'net' computes with a call method of its own, Twice.call", InvalidModel)
    model = TwiceInSequence([keras.Input((4,)), dense(2)])
    refused(model, "computes with a call method of its own, TwiceInSequence.call", InvalidModel)


def test_a_model_class_that_trains_in_its_own_way_is_fine():
    class Trainer(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    (x,) = inputs("x")
    assert_equal(Trainer(x, dense(2)(x)))


@pytest.mark.parametrize("make", [lambda: keras.Sequential([dense(3)]), keras.Sequential, keras.Model])
def test_unbuilt_models_are_refused(make):
    refused(
        make(),
        "^Model '.*' isn't built: its shapes are unknown. Give it an Input layer, call model.build\\(shape\\), or fit it$",
        InvalidModel,
    )


@pytest.mark.parametrize("shape", [(None, 4), (None,), (3, None), (0, 4)])
def test_dimensions_that_are_no_numbers_are_refused(shape):
    x = keras.Input(shape, name="x")
    refused(
        keras.Model(x, quantizer()(x), name="net"),
        rf"^Input 'x' of model 'net' has shape {re.escape(str((None, *shape)))}: every dimension but the first \(the batch\)"
        " must be a positive number, as hardware can't grow$",
        InvalidModel,
    )


@pytest.mark.parametrize("thing", [None, 3, "", keras.Model, [1, 2]], ids=str)
def test_what_is_no_model_is_refused(thing):
    with pytest.raises(
        InvalidModel, match=r"^Model must be a keras.Model of Keras 3|^Model file must be a .keras file"
    ):
        keras_hls.snapshot(thing)


def test_a_layer_is_no_model():
    refused(dense(2), r"^Model must be a keras.Model of Keras 3\.\S+, not hgq.layers.core.dense.QDense$", InvalidModel)


def test_keras_2_objects_are_refused():
    old = type("Functional", (), {"__module__": "tf_keras.src.engine.functional", "built": True})()
    refused(
        old,
        r"^Model must be a keras.Model of Keras 3\.\S+, not tf_keras.src.engine.functional.Functional \(a Keras 2 model; load"
        r" it in an environment with Keras 3\)$",
        InvalidModel,
    )


def test_shapes_that_broadcast_are_refused():
    (x,) = inputs("x")
    model = keras.Model(x, keras.layers.Add(name="sum")([dense(3)(x), dense(1)(x)]))
    refused(model, r"^Layer 'sum' \(Add\): inputs must have one shape, not \(3,\) and \(1,\); reshape or", InvalidModel)


# -- deep ones


def test_a_deep_model_needs_no_recursion(tmp_path):
    (x,) = inputs("x")
    y = quantizer()(x)
    for n in range(300):
        if n % 25 == 0:
            y = dense(4)(y)
        elif n % 4 == 0:
            y = keras.layers.Add()([y, y])
        else:
            y = keras.layers.Reshape((2, 2) if len(y.shape) == 2 else (4,))(y) if n % 2 else keras.layers.ReLU()(y)
            y = keras.layers.Flatten()(y) if n % 25 == 24 else y
    model = keras.Model(x, y)
    project = keras_hls.export_hls(model, tmp_path / "net", verify=False)
    assert len(model.layers) > 300
    assert len(project.graph) > 200
    assert np.array_equal(project.emulate(values()), keras_answers(model, [values()])[0])
    assert len(project.estimate.layers) > 50


# -- files


@pytest.fixture
def saved(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            dense(6, "a", activation="relu"),
            dense(5, "b", cls=QBatchNormDense),
            keras.layers.Dropout(0.2),
            quantizer("c"),
            keras.layers.Activation("softmax", name="d"),
        ],
        name="net",
    )
    rng = np.random.default_rng(0)
    model.get_layer("b").moving_mean.assign(rng.normal(size=6))
    model.get_layer("b").moving_variance.assign(rng.uniform(0.5, 2, 6))
    path = tmp_path / "model.keras"
    model.save(path)
    return model, path


def test_a_saved_model_is_the_same_model(saved, tmp_path):
    model, path = saved
    assert not keras_hls.snapshot(model).diff(keras_hls.snapshot(path))
    project = keras_hls.export_hls(str(path), tmp_path / "net", verify=values(100))
    assert np.array_equal(project.predict(values()), keras_hls.snapshot(model).predict(values()))
    assert project.verify(values(), model=model).keras_different == 0
    assert keras_hls.estimate(path).to_dict() == keras_hls.estimate(model).to_dict()
    assert keras_hls.check(path).ok


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.keras", None, r"^There is no model file '.*none.keras'$"),
        ("old.h5", b"", r"^Model file must be a .keras file, not 'old.h5'; load it yourself and hand over the model$"),
        ("text.keras", b"no model", r"^Model file '.*text.keras' can't be loaded: "),
    ],
)
def test_files_that_are_no_models_are_refused(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, sentence, InvalidModel)
    assert not keras_hls.check(tmp_path / name).ok


def test_code_in_a_file_is_never_run(tmp_path):
    (x,) = inputs("x")
    model = keras.Model(x, keras.layers.Lambda(lambda v: v)(x))
    model.save(tmp_path / "model.keras")
    refused(tmp_path / "model.keras", "can't be loaded: .*(safe|unsafe|arbitrary)", InvalidModel)


# -- the walk's own promises


def test_reading_changes_nothing(saved):
    model, _ = saved
    before = [np.array(v) for v in model.variables]
    config, nodes = model.to_json(), [len(layer._inbound_nodes) for layer in model.layers]
    snapshot = keras_hls.snapshot(model)
    snapshot.predict(values())
    assert all(np.array_equal(a, v) for a, v in zip(before, model.variables))
    assert (config, nodes) == (model.to_json(), [len(layer._inbound_nodes) for layer in model.layers])


def test_the_raw_graph_has_a_node_for_every_call():
    (x,) = inputs("x")
    y = dense(3, "d", activation="relu")(x)
    graph = live_model.read(keras.Model(x, keras.layers.Activation("linear", name="same")(y)), READERS)
    assert [(n.name, type(n.op).__name__, n.inputs, n.layer) for n in graph] == [
        ("x", "Input", (), "x"),
        ("d_iq", "Quantize", ("x",), "d"),
        ("d", "Dense", ("d_iq",), "d"),
        ("d_relu", "ReLU", ("d",), "d"),
    ]
    assert isinstance(graph["x"].op, Input)
    assert (graph.outputs, graph.output_names) == (("d_relu",), ("same",))
