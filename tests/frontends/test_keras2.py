"""In an environment with Keras 2: its models are told apart, not half read."""

import pytest

keras = pytest.importorskip("keras")
if keras.__version__.startswith("3"):
    pytest.skip("this environment has Keras 3", allow_module_level=True)

import keras_hls
from keras_hls.errors import InvalidModel


def test_a_model_of_keras_2_is_refused_with_a_sentence(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    match = rf"^Models are read from Keras 3.12 and later, and this environment has Keras {keras.__version__}$"
    for call in (keras_hls.snapshot, lambda m: keras_hls.export_hls(m, tmp_path / "net")):
        with pytest.raises(InvalidModel, match=match):
            call(model)
    assert not list(tmp_path.iterdir())
    assert not keras_hls.check(model).ok
