"""Quantizers of QKeras, ours against QKeras itself.

QKeras answers ``x + (y - x)`` with its quantized value y, in float32, which rounds where x and y are far from each other (a
saturated value, say). Ours is y. So what is compared is that sum of y, on every input; where it is exact, it is y itself.
"""

import inspect
from dataclasses import fields

import numpy as np
import pytest
from quantizer_graphs import OPTIONS, combinations, emulated

tf = pytest.importorskip("tensorflow")
qkeras = pytest.importorskip("qkeras.quantizers")
if not hasattr(qkeras, "quantized_po2"):
    pytest.skip("HGQ2's package of the same name isn't QKeras", allow_module_level=True)

from keras_hls.fixed import Fixed
from keras_hls.quantizers import QUANTIZERS, QuantizerError, parse
from keras_hls.quantizers.tensorflow_floats import flushed, tanh

HERE = {name: kind for name, kind in QUANTIZERS.items() if hasattr(qkeras, name)}
#: Whether it is of QKeras's repository, which has gone on since the last release, 0.9.
NEWER = "quantized_linear" in HERE
# What only one of these two takes.
LATER = {
    "elements_per_scale",
    "min_po2_exponent",
    "max_po2_exponent",
    "post_training_scale",
    "enable_fast_inference",
    "scale_axis",
    "use_ste",
    "newer",
    # Of ours: what is one for all of its quantizers there.
    "internal_sigmoid",
}


def grid():
    """Ties, edges, huge, tiny, negative zero, and floats of all kinds."""
    rng = np.random.default_rng(0)
    even = np.arange(-(2**11), 2**11) / 2.0**8
    fine = np.arange(-300, 300) / 2.0**14
    coarse = np.arange(-300, 300) / 2.0
    beside = np.concatenate([np.nextafter(np.float32(v), np.float32(s * 1e9)) for v in [even] for s in (-1, 1)])
    special = [0.0, -0.0, 1e-40, -1e-40, 1e-38, 1e-7, 9.9e-8, -1e-7, 0.33, -0.33, 1e30, -1e30, 2.0**31, -(2.0**24) - 2]
    wild = np.exp(rng.uniform(-25, 12, 2000)) * rng.choice([-1, 1], 2000)
    found = np.concatenate([even, fine, coarse, beside, special, rng.normal(0, 1, 2000), wild]).astype(np.float32)
    return whole_vectors(found)


def whole_vectors(x):
    """What a vector of eight leaves over, TensorFlow computes with the C library's logarithm, which rounds as it likes."""
    return x[: x.size // 8 * 8]


GRID = grid()


def before(quantizer, theirs, x):
    """What QKeras adds the difference to; None where it answers the quantized value itself."""
    kind = quantizer.name
    if kind in ("quantized_tanh", "quantized_sigmoid", "quantized_ulaw") or not getattr(quantizer, "use_ste", True):
        return None
    if kind == "quantized_relu":
        top = np.float32(2.0**quantizer.integer - 2.0 ** (quantizer.integer - quantizer.magnitude))
        top = top if quantizer.is_quantized_clip else np.float32(quantizer.relu_upper_bound or np.inf)
        if quantizer.relu_upper_bound == 0.0 and not quantizer.is_quantized_clip:
            top = np.float32(0)
        return np.where(x <= top, np.where(x < 0, x * np.float32(quantizer.negative_slope), x), top)
    if kind == "quantized_relu_po2":
        top = np.float32(np.inf if quantizer.max_value is None else quantizer.max_value)
        return np.where(x <= top, np.where(x < 0, x * np.float32(quantizer.negative_slope), x), top)
    if kind == "quantized_hswish":
        top = np.float32(quantizer.relu_upper_bound)
        return x * np.clip(x + np.float32(quantizer.relu_shift), np.float32(0), top) / top
    if kind in ("binary", "stochastic_binary", "ternary", "stochastic_ternary") and quantizer.alpha is None:
        return tanh(x)
    return x


def assert_same(mine, theirs, x):
    answer = np.asarray(theirs(tf.constant(x)))
    constant = mine.weights(x)
    y = constant.type.to_float(constant.raw).astype(np.float32)
    base = before(mine, theirs, flushed(x))
    wanted = y if base is None else base + (-base + y)
    different = answer != wanted
    assert not different.any(), (
        f"{mine}: {int(different.sum())} of {x.size} differ, {x[different][:5]} are {answer[different][:5]}, ours"
        f" {y[different][:5]}"
    )


CASES = {
    "quantized_bits": [
        *combinations(
            bits=[1, 2, 3, 4, 8],
            integer=[0, 1, 3, 6],
            symmetric=[0, 1],
            keep_negative=[True, False],
            alpha=[None, 1.0, 0.5, 0.3, -3.7],
        ),
        *combinations(bits=[16, 24, 25], integer=[0, 5], use_ste=[False, True], alpha=[None, 0.7]),
        *combinations(bits=[6], integer=[2], use_stochastic_rounding=[True]),
    ],
    "quantized_linear": combinations(
        bits=[1, 2, 4, 8],
        integer=[0, 2],
        symmetric=[0, 1],
        keep_negative=[True, False],
        alpha=[None, 1.0, 0.5, 0.3],
    ),
    "quantized_relu": [
        *combinations(
            bits=[1, 2, 3, 4, 8],
            integer=[0, 1, 3, 6],
            use_sigmoid=[0, 1],
            negative_slope=[0.0, 0.25, 1.0, 2.0, 2.0**-7],
        ),
        *combinations(
            bits=[4, 8],
            integer=[2],
            relu_upper_bound=[None, 0.0, 1.0, 1.3, 7.7],
            is_quantized_clip=[True, False],
            negative_slope=[0.0, 0.125],
            use_sigmoid=[0, 1],
            use_ste=[True, False],
        ),
        *combinations(bits=[6], integer=[2], use_stochastic_rounding=[True]),
    ],
    "quantized_tanh": combinations(
        bits=[1, 2, 4, 8, 12, 16], symmetric=[False, True], use_real_tanh=[False, True], use_stochastic_rounding=[0, 1]
    ),
    "quantized_sigmoid": combinations(
        bits=[1, 2, 4, 8, 12, 16],
        symmetric=[False, True],
        use_real_sigmoid=[False, True],
        use_stochastic_rounding=[0, 1],
    ),
    "quantized_hswish": combinations(
        bits=[4, 8],
        integer=[0, 2],
        symmetric=[0, 1],
        alpha=[None, 0.5, 0.3],
        relu_shift=[3, 2],
        relu_upper_bound=[6, 5],
    ),
    "quantized_ulaw": combinations(bits=[1, 2, 4, 8, 10], integer=[0, 2], symmetric=[0, 1], u=[255.0, 15.0, 3.5]),
    "quantized_po2": combinations(
        bits=[3, 4, 5, 6],
        max_value=[None, 1.0, 0.7, 3.0, 8.0],
        quadratic_approximation=[False, True],
        log2_rounding=["rnd", "floor"],
        use_stochastic_rounding=[False],
    ),
    "quantized_relu_po2": combinations(
        bits=[2, 3, 4, 5, 8],
        max_value=[None, 1.0, 0.7, 8.0],
        negative_slope=[0, 0.25, 1.0],
        quadratic_approximation=[False, True],
        log2_rounding=["rnd", "floor"],
    ),
    "binary": combinations(use_01=[False, True], alpha=[None, 1.0, 0.5, 0.3, -2.0]),
    "stochastic_binary": combinations(alpha=[None, 0.3], temperature=[6.0, 2.0]),
    "ternary": combinations(alpha=[None, 1.0, 0.3], threshold=[None, 0.5, 0.1, 0.0, 2.0]),
    "stochastic_ternary": combinations(alpha=[None, 0.3], threshold=[None, 0.5]),
}
TINY = {"quantized_po2", "quantized_relu_po2"}


def inputs(name, options):
    """The grid, without what a value beside it would take more than 63 bits."""
    if name not in TINY:
        return GRID
    return whole_vectors(GRID[np.abs(GRID) < (2.0**12 if options["bits"] < 6 else 2.0**6)])


@pytest.mark.parametrize("name", sorted(HERE))
def test_parameters_have_qkeras_names_and_order(name):
    theirs = [p for p in inspect.signature(getattr(qkeras, name).__init__).parameters if p != "self"]
    mine = [f.name for f in fields(QUANTIZERS[name])]
    assert [key for key in mine if key in theirs] == theirs
    assert set(mine) - set(theirs) <= LATER


@pytest.mark.parametrize("name", sorted(set(HERE) & set(CASES)))
def test_elementwise_values(name):
    for options in CASES[name]:
        theirs = getattr(qkeras, name)(**options)
        x = inputs(name, options)
        assert_same(parse({"class_name": name, "config": options}), theirs, x)


@pytest.mark.parametrize("name", sorted(set(HERE) & set(OPTIONS)))
def test_emulated_ops(name):
    fixed = Fixed(True, 10, 4)
    raw = np.arange(fixed.low, fixed.high + 1)
    x = np.ldexp(raw.astype(np.float32), -fixed.frac)
    for options in OPTIONS[name]:
        if options.get("integer", 0) < 0 and not NEWER:
            continue  # QKeras 0.9 takes no whole number to a negative power.
        theirs = getattr(qkeras, name)(**options)
        mine = parse({"class_name": name, "config": options})
        y = emulated(mine, fixed, raw).astype(np.float32)
        base = before(mine, theirs, x)
        wanted = y if base is None else base + (-base + y)
        assert np.array_equal(np.asarray(theirs(tf.constant(x))), wanted), str(mine)


@pytest.mark.parametrize("name", sorted(set(HERE) & set(OPTIONS)))
def test_graphs_of_tensorflow_take_the_same_steps(name):
    """TensorFlow rewrites the graphs of compiled models: products by reciprocals, sums in another order. No step changes."""
    for options in OPTIONS[name][::7]:
        if options.get("integer", 0) < 0:
            continue
        theirs = tf.function(getattr(qkeras, name)(**options))
        mine = parse({"class_name": name, "config": options})
        x = inputs(name, {"bits": 0, **options})
        constant = mine.weights(x)
        y = constant.type.to_float(constant.raw)
        assert (np.abs(np.asarray(theirs(tf.constant(x))) - y) <= 2.0**-22 * np.maximum(np.abs(x), np.abs(y))).all(), (
            str(mine)
        )


@pytest.mark.parametrize("name", sorted(set(HERE) & set(CASES)))
def test_activations_are_what_weights_are_where_float32_is_exact(name):
    x = (np.arange(-(2**12), 2**12) / 2.0**9).astype(np.float32)
    for options in CASES[name]:
        if name == "quantized_linear" and options["alpha"] == 0.3:
            continue  # It divides by alpha, and float32 rounds that.
        quantizer = parse({"class_name": name, "config": options})
        constant = quantizer.weights(x)
        assert np.array_equal(quantizer.activation(x), constant.type.to_float(constant.raw)), str(quantizer)


SHAPES = [
    (7,),
    (16,),
    (5, 3),
    (40, 16),
    (17, 1),
    (1, 9),
    (100, 33),
    (3, 4, 8),
    (5, 1, 12),
    (3, 3, 2, 5),
    (3, 3, 16, 20),
    (3, 3, 4, 1),
    (1, 1, 3, 17),
    (3, 3, 6, 2),
]


def kernels(shape, seed):
    rng = np.random.default_rng([seed, *shape])
    base = rng.normal(0, 10.0 ** rng.uniform(-2, 1), shape)
    each = base * 2.0 ** rng.integers(-3, 4, shape[-1])
    sparse = np.where(rng.random(shape) < 0.4, 0, base)
    empty = base * (rng.random(shape[-1]) < 0.6)
    coarse = rng.integers(-9, 10, shape) / 8
    uniform = rng.uniform(-1, 1, shape)
    return [a.astype(np.float32) for a in (base, each, sparse, empty, coarse, uniform)]


AUTOMATIC = [
    *[("quantized_bits", o) for o in combinations(bits=[2, 3, 4, 8, 12], integer=[0, 2], alpha=["auto", "auto_po2"])],
    *[("quantized_bits", o) for o in combinations(bits=[5], keep_negative=[False], alpha=["auto", "auto_po2"])],
    *[
        ("quantized_bits", o)
        for o in combinations(bits=[4], scale_axis=[0, *([] if NEWER else [-1])], alpha=["auto", "auto_po2"])
    ],
    *[("quantized_hswish", o) for o in combinations(bits=[6], integer=[1], alpha=["auto", "auto_po2"])],
    *[("quantized_linear", o) for o in combinations(bits=[1, 2, 4, 8], symmetric=[0, 1], alpha=["auto", "auto_po2"])],
    *[("quantized_linear", o) for o in combinations(keep_negative=[False], alpha=["auto", "auto_po2"])],
    *[("binary", o) for o in combinations(use_01=[False, True], alpha=["auto", "auto_po2"])],
    *[("stochastic_binary", o) for o in combinations(alpha=["auto", "auto_po2"])],
    *[("ternary", o) for o in combinations(alpha=["auto", "auto_po2"], number_of_unrolls=[1, 5])],
    *[("ternary", o) for o in combinations(alpha=["auto", "auto_po2"], use_stochastic_rounding=[True])],
    *[("stochastic_ternary", o) for o in combinations(alpha=["auto", "auto_po2"])],
]


@pytest.mark.parametrize("shape", SHAPES)
def test_scales_found_in_weights(shape):
    for name, options in AUTOMATIC:
        if name not in HERE:
            continue
        for x in kernels(shape, 1):
            if name == "quantized_linear" and not options.get("keep_negative", True):
                x = np.abs(x)
            assert_same(parse(getattr(qkeras, name)(**options)), getattr(qkeras, name)(**options), x)


@pytest.mark.parametrize("shape", [(6, 4, 5), (3, 3, 4, 8)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scales_along_any_axis(shape, axis):
    for alpha in ("auto", "auto_po2"):
        for x in kernels(shape, 2):
            theirs = qkeras.quantized_bits(4, 1, alpha=alpha, scale_axis=axis)
            assert_same(parse(theirs), theirs, x)


def test_a_number_a_channel():
    rng = np.random.default_rng(3)
    alpha = rng.uniform(0.1, 2, 5).astype(np.float32)
    # Newer versions compare the numbers with a text, which fails.
    for name in ("binary", "ternary", *(() if NEWER else ("quantized_bits",))):
        theirs = getattr(qkeras, name)(alpha=alpha)
        assert_same(parse(theirs), theirs, kernels((3, 4, 5), 4)[0])
        written = parse({"class_name": name, "config": {"alpha": alpha.tolist()}})
        assert_same(written, theirs, kernels((3, 4, 5), 4)[0])


@pytest.mark.parametrize("name", sorted(HERE))
def test_what_qkeras_writes_is_read(name):
    theirs = getattr(qkeras, name)()
    config = theirs.get_config()
    mine = parse({"class_name": name, "config": config})
    assert type(parse(name)) is type(parse(f"{name}()")) is type(mine) is type(parse(theirs))
    for key, value in config.items():
        if hasattr(mine, key) and value is not None:
            assert getattr(mine, key) == value


@pytest.mark.parametrize(
    "text",
    [
        "quantized_bits(4,0,1,alpha='auto')",
        "quantized_bits(4, 1, keep_negative=False)",
        'quantized_bits(6,2,1,alpha="auto_po2")',
        "quantized_relu(4,2,negative_slope=0.25)",
        "quantized_relu(4,2,1)",
        "quantized_tanh(5,0,1)",
        "quantized_sigmoid(5,1)",
        "quantized_po2(4,2)",
        "quantized_relu_po2(4,1,0.5)",
        "binary(alpha=0.5)",
        "ternary(threshold=0.2)",
        "stochastic_ternary(alpha='auto')",
        "quantized_ulaw(4,1)",
        "quantized_relu",
    ],
)
def test_texts_are_read_as_qkeras_reads_them(text):
    for x in kernels((12, 9), 5):
        assert_same(parse(text), qkeras.get_quantizer(text), x)


def test_kernels_without_alpha_get_one():
    from qkeras import QDense

    for text in (
        "quantized_bits(4,0)",
        "ternary",
        "binary",
        "stochastic_binary",
        "quantized_relu(4)",
        "quantized_po2(4)",
    ):
        layer = QDense(5, kernel_quantizer=text)
        kernel = kernels((20, 5), 6)[0]
        assert_same(parse(text).kernel(), layer.kernel_quantizer_internal, kernel)
        assert_same(parse(layer.kernel_quantizer_internal), layer.kernel_quantizer_internal, kernel)


def test_bernoulli_is_random_at_inference():
    x = np.zeros(1000, np.float32)
    assert 0 < np.asarray(qkeras.bernoulli()(x)).sum() < 1000
    with pytest.raises(QuantizerError, match="at random, at inference too"):
        parse(qkeras.bernoulli()).weights(x)


def test_stochastic_rounding_of_binary_has_no_meaning_at_inference():
    theirs = qkeras.binary(use_stochastic_rounding=True)
    with pytest.raises(Exception, match=r"ncompatible shapes|required broadcastable"):
        theirs(np.zeros((4, 5), np.float32))
    with pytest.raises(QuantizerError, match="set it to False"):
        parse(theirs)


def test_numbers_of_float32_that_no_arithmetic_takes():
    """Too small for a normal float32, they are 0 on the way; the sign of 0 is 1."""
    x = np.tile(np.array([1e-40, -1e-40, -0.0, 0.0], np.float32), 8)
    for theirs in (qkeras.binary(), qkeras.quantized_po2(4), qkeras.quantized_relu_po2(8)):
        assert_same(parse(theirs), theirs, x)


@pytest.mark.skipif(not NEWER, reason="only newer versions of QKeras have these parameters")
@pytest.mark.parametrize("shape", [(8, 4), (6, 4, 8), (3, 3, 4, 8)])
def test_groups_of_elements_share_a_scale(shape):
    last = len(shape) - 1
    for options in (
        {"scale_axis": last, "elements_per_scale": 2},
        {"scale_axis": 0, "elements_per_scale": 1},
        {"scale_axis": [0, last], "elements_per_scale": [1, 4]},
        {"scale_axis": [0, last], "elements_per_scale": 1},
        {"scale_axis": [0, last]},
        {"min_po2_exponent": -2, "max_po2_exponent": 0},
        {"max_po2_exponent": -3},
    ):
        for x in kernels(shape, 7):
            for name in ("quantized_bits", "binary"):
                theirs = getattr(qkeras, name)(alpha="auto_po2", **options)
                assert_same(parse(theirs), theirs, x)


@pytest.mark.skipif(not NEWER, reason="only newer versions of QKeras have these parameters")
def test_a_scale_found_after_training():
    x = kernels((6, 5), 8)[0]
    scale = np.float32([0.5, 0.3, 1, 2, 0.25])
    for alpha in ("auto", "auto_po2"):
        theirs = qkeras.quantized_bits(4, 1, alpha=alpha, post_training_scale=scale)
        assert_same(parse(theirs), theirs, x)
        assert_same(parse({"class_name": "quantized_bits", "config": theirs.get_config()}), theirs, x)
    assert_same(parse(qkeras.quantized_relu(4, 2, enable_fast_inference=True)), qkeras.quantized_relu(4, 2), x)


@pytest.mark.parametrize("kind", ["hard", "smooth", "real"])
def test_the_sigmoid_that_all_quantizers_share(kind):
    """Which a live quantizer computes is known when it is parsed; a config means the hard one."""
    texts = (
        "quantized_tanh(6)",
        "quantized_tanh(5,symmetric=1)",
        "quantized_tanh(5,use_real_tanh=1)",
        "quantized_sigmoid(6)",
        "quantized_sigmoid(5,use_real_sigmoid=1)",
        "quantized_relu(5,1,use_sigmoid=1)",
        "quantized_relu(5,1,use_sigmoid=1,negative_slope=0.25)",
        "quantized_ulaw(6,1)",
    )
    qkeras.set_internal_sigmoid(kind)
    try:
        for text in texts:
            for x in kernels((6, 5), 9):
                theirs = qkeras.get_quantizer(text)
                mine = parse(theirs)
                assert mine.internal_sigmoid == kind and parse(text).internal_sigmoid == "hard"
                assert_same(mine, theirs, x)
    finally:
        qkeras.set_internal_sigmoid("hard")
