"""Config dicts of hls4ml, and types as text."""

import pytest

from keras_hls.errors import InvalidOption
from keras_hls.fixed import Fixed
from keras_hls.hls4ml_config import translate
from keras_hls.options import Options


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("fixed<16,6>", Fixed(True, 16, 6)),
        (" ap_fixed< 16, -6 > ", Fixed(True, 16, -6)),
        ("ufixed<8, 0, RND, SAT>", Fixed(False, 8, 0, "RND", "SAT")),
        ("ap_ufixed<8,0,AP_RND_CONV,AP_SAT_SYM>", Fixed(False, 8, 0, "RND_CONV", "SAT_SYM")),
        ("int<5>", Fixed(True, 5, 5)),
        ("ap_uint<5>", Fixed(False, 5, 5)),
        ("ac_fixed<9,2>", Fixed(True, 9, 2)),
    ],
)
def test_types_as_text(text, fixed):
    assert Fixed.parse(text) == fixed
    if "int" not in text:
        assert Fixed.parse(str(fixed)) == fixed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "float",
        "fixed",
        "fixed<16>",
        "fixed<a,b>",
        "fixed<8,4,UP>",
        "fixed<8,4,RND,SAT,3>",
        "fixed<0,0>",
        "double<8,4>",
    ],
)
def test_texts_that_are_no_types(text):
    with pytest.raises(ValueError, match=r"Type must|Rounding mode|Width of"):
        Fixed.parse(text)


def test_what_config_from_keras_model_makes():
    """The dict that hls4ml 1.3 makes for a small model, by layer name."""
    config = {
        "Model": {
            "Precision": {"default": "fixed<16,6>", "maximum": None},
            "ReuseFactor": 1,
            "Strategy": "Latency",
            "BramFactor": 1_000_000_000,
            "TraceOutput": False,
        },
        "LayerName": {
            "fc1": {
                "Trace": False,
                "Precision": {"weight": "fixed<8,2>", "bias": "auto", "result": "ap_fixed<12,4>", "accum": "auto"},
                "ReuseFactor": 4,
                "Strategy": "resource",
            },
            "fc1_tanh": {"Trace": False, "TableSize": 1024, "Precision": {"result": "auto", "table": "fixed<18,8>"}},
        },
    }
    options = translate(config, {"part": "xcku115-flvb2104-2-i"})
    assert options == {
        "part": "xcku115-flvb2104-2-i",
        "strategy": "Latency",
        "reuse_factor": 1,
        "precision": {
            "*": {"result": "fixed<16,6>", "weight": "fixed<16,6>", "bias": "fixed<16,6>"},
            "fc1": {"weight": "fixed<8,2>", "bias": "auto", "result": "ap_fixed<12,4>"},
            "fc1_tanh": {"result": "auto"},
        },
        "layers": {"fc1": {"reuse_factor": 4, "strategy": "Resource"}},
    }
    chosen = Options.of(hls_config=config)
    assert chosen.precisions().of("fc1", "weight") == Fixed(True, 8, 2)
    assert chosen.precisions().of("fc1", "bias") is None
    assert chosen.precisions().given().of("fc1", "bias") == Fixed(True, 16, 6)
    assert chosen.layers == {"fc1": {"reuse_factor": 4, "strategy": "Resource"}}


def test_what_it_makes_for_vitis():
    """With backend="Vitis", hls4ml says of each layer how it is to be built, and invents layers for activations."""
    table = "fixed<18,8,RND,SAT,0>"
    config = {
        "Model": {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "Latency"},
        "LayerName": {
            "conv": {
                "ParallelizationFactor": 1,
                "ConvImplementation": "LineBuffer",
                "ReuseFactor": 1,
                "Precision": {"weight": "auto", "bias": "auto", "result": "auto", "accum": "auto"},
            },
            "bn": {"Precision": {"scale": "fixed<8,2>", "bias": "auto"}},
            "conv_softmax": {
                "ReuseFactor": 1,
                "Implementation": "stable",
                "Skip": False,
                "Precision": {"result": "auto", "exp_table": table, "inv_table": table, "inv_inp": table},
            },
        },
        "LayerType": {"Dense": {"Trace": False, "Precision": {"result": "auto", "weight": "auto"}}},
    }
    chosen = Options.of(hls_config=config)
    assert chosen.layers == {}
    assert chosen.precisions().of("bn", "weight") == Fixed(True, 8, 2)
    assert chosen.precisions().of("conv", "weight") is None
    assert chosen.precisions().of("other", "weight") == Fixed(True, 16, 6)


def test_a_whole_config_file():
    assert translate({"Backend": "Vitis", "IOType": "io_parallel", "HLSConfig": {"Model": {"ReuseFactor": 2}}}, {}) == {
        "reuse_factor": 2,
        "backend": "Vitis",
        "io_type": "io_parallel",
    }


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (3, "must be a dict of hls4ml's kind, not 3"),
        ({"LayerTypes": {}}, r"hls_config\['LayerTypes'\] can't be taken account of"),
        (
            {"LayerType": {"Dense": {"ReuseFactor": 2}}},
            r"\['LayerType'\]\['Dense'\] can't be .* by name, in 'LayerName'",
        ),
        ({"LayerType": {"Dense": {"Precision": "fixed<8,4>"}}}, r"say it by name, in 'LayerName'"),
        (
            {"LayerName": {"a": {"Implementation": "legacy"}}},
            r"\['Implementation'\]='legacy' can't be taken account of",
        ),
        ({"Model": []}, r"hls_config\['Model'\] must be a dict"),
        ({"Model": {"Compression": True}}, r"\['Compression'\]=True can't be taken account of"),
        ({"LayerName": {"a": {"Skip": True}}}, r"\['LayerName'\]\['a'\]\['Skip'\]=True"),
        ({"LayerName": {"a": {"Precision": {"pointwise_weight": "fixed<8,4>"}}}}, "pointwise_weight"),
        ({"LayerName": {"a": {"Precision": 5}}}, "must be a type or a dict of types, not 5"),
        ({"Model": {"Precision": "float"}}, "Type must be like 'fixed<16, 6>'"),
        ({"Model": {"Strategy": "Unrolled"}}, "strategy must be"),
        ({"Model": {"ReuseFactor": 0}}, "reuse_factor must be a positive integer"),
    ],
)
def test_what_can_not_be_taken_account_of_is_refused(config, sentence):
    with pytest.raises(InvalidOption, match=sentence):
        Options.of(hls_config=config)


def test_said_twice():
    with pytest.raises(InvalidOption, match="'reuse_factor' stands both in hls_config and beside it"):
        Options.of(hls_config={"Model": {"ReuseFactor": 2}}, reuse_factor=4)
