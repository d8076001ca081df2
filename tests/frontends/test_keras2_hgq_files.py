"""Models of HGQ (the first) in every kind of file: a proxy holds all that its live model does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
if keras.__version__.startswith("3"):
    pytest.skip("HGQ needs Keras 2", allow_module_level=True)
pytest.importorskip("HGQ")

sys.path.insert(0, str(Path(__file__).parent))
import HGQ
from HGQ.layers import HActivation, HConv2D, HConv2DBatchNorm, HDense, PFlatten, PMaxPooling2D
from hgq1_models import RELU, chain, quantizer, randomize, samples, trace

import keras_hls
from keras_hls.errors import UnsupportedModel


def model_of(**kept):
    """A model whose quantizers have this configuration, or HGQ's own."""
    model = chain(
        (6, 6, 2),
        HConv2DBatchNorm(3, 2, activation=RELU, **kept),
        PMaxPooling2D(2, strides=1),
        HConv2D(2, 2, **kept),
        PFlatten(),
        HDense(4, **kept),
        HActivation("tanh", **kept),
    )
    return randomize(model, bits=(1, 5))


def test_proxies(tmp_path):
    model, x = model_of(paq_conf=quantizer()), samples((6, 6, 2))
    trace(model, x)
    wanted = keras_hls.snapshot(model).predict(x)
    proxy = HGQ.to_proxy_model(model, unary_lut_max_table_size=4096)
    # What stands before a ReLU has the bits of its whole tensor, which are single numbers.
    inside = [layer for layer in proxy._flatten_layers() if type(layer).__name__ == "FixedPointQuantizer"]
    assert {len(layer.weights[1].shape) for layer in inside} >= {0, 4}
    assert np.array_equal(np.asarray(proxy(x)), wanted) and len(np.unique(wanted)) > 2
    proxy.save(tmp_path / "net.h5")
    proxy.save(tmp_path / "net.keras")
    proxy.save_weights(tmp_path / "weights.h5")
    proxy.save_weights(tmp_path / "new.weights.h5")
    (tmp_path / "net.json").write_text(proxy.to_json())
    json = tmp_path / "net.json"
    for made in (
        keras_hls.snapshot(proxy),
        keras_hls.snapshot(tmp_path / "net.h5"),
        keras_hls.snapshot(tmp_path / "net.keras"),
        keras_hls.snapshot(json, weights=tmp_path / "weights.h5"),
        keras_hls.snapshot(json, weights=tmp_path / "new.weights.h5"),
    ):
        assert np.array_equal(made.predict(x), wanted)


@pytest.mark.parametrize("name", ["net.h5", "net.keras"])
def test_models_that_are_no_proxies_lack_their_ranges(name, tmp_path):
    model = model_of(paq_conf=quantizer())
    trace(model, samples((6, 6, 2)))
    model.save(tmp_path / name)
    with pytest.raises(
        UnsupportedModel, match=r"save what HGQ.to_proxy_model\(model\) returns, as HGQ saves no ranges"
    ):
        keras_hls.snapshot(tmp_path / name)
