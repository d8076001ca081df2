"""Names of layers: whatever C++ or we could stumble over, no bit changes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QAdd

import keras_hls

sys.path.insert(0, str(Path(__file__).parent))
from small_models import assert_equal, conf, dense, inputs, quantizer, values

pytestmark = pytest.mark.keras3

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
