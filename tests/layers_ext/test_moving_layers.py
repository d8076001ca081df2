"""Layers that move, repeat, drop and join elements, and layers that do nothing at inference: equal to Keras."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

sys.path.insert(0, str(Path(__file__).parent))
from plain_models import FIRST, IMAGE_LAYER, LAST, L, assert_equal, image, quantizer, refused, samples

import keras_hls
from keras_hls.errors import UnsupportedModel

pytestmark = pytest.mark.keras3


@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 3, 4), (2, 3, 4, 2)])
@pytest.mark.parametrize("order", [LAST, FIRST])
def test_flatten(shape, order):
    assert_equal(L.Flatten(data_format=order), shape)


@pytest.mark.parametrize("target", [(24,), (4, 6), (-1,), (3, -1, 2), (2, 3, 4)])
def test_reshape(target):
    assert_equal(L.Reshape(target), (2, 3, 4))


@pytest.mark.parametrize("dims", [(1, 2, 3), (2, 1, 3), (3, 1, 2), (2, 3, 1), (3, 2, 1)])
def test_permute(dims):
    assert_equal(L.Permute(dims), (2, 3, 4))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_repeat_vector(n):
    assert_equal(L.RepeatVector(n), (4,))


@pytest.mark.parametrize("order", [LAST, FIRST])
def test_zero_padding(order):
    for padding in (0, 2, (1, 3), (0, 1)):
        assert_equal(L.ZeroPadding1D(padding, data_format=order), image((4,), order))
    for padding in (1, (1, 2), ((1, 0), (2, 3)), ((0, 0), (0, 1)), 0):
        assert_equal(L.ZeroPadding2D(padding, data_format=order), image((3, 2), order))
    for padding in (1, (2, 0, 1), ((1, 0), (2, 3), (0, 1))):
        assert_equal(L.ZeroPadding3D(padding, data_format=order), image((2, 1, 2), order))


@pytest.mark.parametrize("order", [LAST, FIRST])
def test_cropping(order):
    if order == LAST:
        for cropping in (0, 2, (1, 3), (0, 1), (3, 0)):
            assert_equal(L.Cropping1D(cropping), image((6,), order))
    for cropping in (1, (1, 2), ((1, 0), (2, 3)), ((0, 0), (0, 1)), ((2, 2), (0, 0)), 0):
        assert_equal(L.Cropping2D(cropping, data_format=order), image((5, 6), order))
    for cropping in (1, (1, 0, 1), ((1, 0), (2, 1), (0, 1)), ((0, 2), (0, 0), (0, 0)), 0):
        assert_equal(L.Cropping3D(cropping, data_format=order), image((3, 4, 3), order))


@pytest.mark.parametrize("order", [LAST, FIRST])
@pytest.mark.parametrize(("height", "width"), [(5, 6), (3, 4), (4, 3), (1, 1), (5, 1)])
def test_center_crop(order, height, width):
    assert_equal(L.CenterCrop(height, width, data_format=order), image((5, 6), order))


@pytest.mark.parametrize("order", [LAST, FIRST])
def test_center_crop_refuses_to_enlarge(order):
    sentence = "it makes an image of 5 x 6 larger, 4 x 7, which isn't a crop; use UpSampling2D before it$"
    refused(L.CenterCrop(4, 7, data_format=order), image((5, 6), order), sentence=sentence)


@pytest.mark.parametrize("order", [LAST, FIRST])
def test_upsampling_to_the_nearest(order):
    for n in (1, 2, 5):
        assert_equal(L.UpSampling1D(n), (3, 2))
    for size in (1, 2, (2, 1), (1, 3), (3, 2)):
        assert_equal(L.UpSampling2D(size, data_format=order), image((2, 3), order))
    for size in (2, (2, 1, 3), (1, 3, 2)):
        assert_equal(L.UpSampling3D(size, data_format=order), image((2, 1, 2), order))


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (-1, [(3,), (2,)]),
        (1, [(3,), (2,), (4,)]),
        (-1, [(2, 3), (2, 1), (2, 2), (2, 3), (2, 1)]),
        (1, [(2, 3), (4, 3)]),
        (-2, [(2, 3), (4, 3), (1, 3)]),
        (2, [(2, 3, 2), (2, 1, 2)]),
        (-3, [(2, 3, 2), (1, 3, 2)]),
        (3, [(2, 3, 2), (2, 3, 1), (2, 3, 1)]),
    ],
)
def test_concatenate(axis, shapes):
    assert_equal(L.Concatenate(axis), *shapes)


def test_concatenating_one_tensor_twice():
    x = keras.Input((2, 3))
    y = quantizer()(x)
    model = keras.Model(x, L.Concatenate()([y, y, L.ReLU()(y)]))
    values = samples(model)
    assert np.array_equal(keras_hls.snapshot(model).predict(values[0]), np.asarray(model(values[0])))


@pytest.mark.parametrize("axis", [0, -2])
def test_samples_arent_joined(axis):
    sentence = (
        r"it joins samples along the batch \(axis=0\), and hardware takes one sample after the other; use another axis$"
    )
    refused(L.Concatenate(axis), (3,), (3,), sentence=sentence)


# -- layers that do nothing at inference


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.Identity(),
        lambda: L.Dropout(0.5, noise_shape=(None, 1, 3), seed=3),
        lambda: L.Dropout(1),
        lambda: L.AlphaDropout(0.5, noise_shape=(None, 1, 3)),
        lambda: L.GaussianDropout(0.3),
        lambda: L.GaussianNoise(0.3, seed=1),
        lambda: L.SpatialDropout1D(0.5, seed=1),
        lambda: L.ActivityRegularization(l1=0.1, l2=0.2),
    ],
)
def test_training_layers(make):
    snapshot = assert_equal(make(), (4, 3))
    assert len(snapshot.graph) == 2, "an input and its quantizer"


@pytest.mark.parametrize("order", [LAST, FIRST])
def test_spatial_dropout(order):
    assert_equal(L.SpatialDropout2D(0.5, data_format=order), (4, 3, 2))
    assert_equal(L.SpatialDropout3D(0.5, data_format=order), (4, 3, 2, 2))


# Arguments away from their defaults, for every layer that changes images at random.
AUGMENTATIONS = {
    "AugMix": {"num_chains": 2, "factor": 0.2},
    "CutMix": {"factor": 0.7},
    "MaxNumBoundingBoxes": {"max_number": 4},
    "MixUp": {"alpha": 0.4},
    "RandAugment": {"num_ops": 1, "factor": 0.3},
    "RandomBrightness": {"factor": 0.5, "value_range": (0, 1)},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomColorJitter": {
        "brightness_factor": 0.5,
        "hue_factor": 0.5,
        "saturation_factor": 0.2,
        "contrast_factor": 0.1,
    },
    "RandomContrast": {"factor": 0.5, "value_range": (0, 1)},
    "RandomElasticTransform": {"fill_mode": "constant", "fill_value": 3.0},
    "RandomErasing": {"factor": 1.0, "fill_value": 1.0},
    "RandomFlip": {"mode": "vertical"},
    "RandomGaussianBlur": {"kernel_size": 5},
    "RandomGrayscale": {"factor": 1.0},
    "RandomHue": {"factor": 0.5},
    "RandomInvert": {"factor": 1.0},
    "RandomPerspective": {"interpolation": "nearest"},
    "RandomPosterization": {"factor": 4},
    "RandomRotation": {"factor": 0.2, "fill_mode": "constant", "fill_value": 1.0},
    "RandomSaturation": {"factor": 0.5},
    "RandomSharpness": {"factor": 0.5},
    "RandomShear": {"x_factor": 0.3, "y_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.3, "interpolation": "nearest"},
    "RandomZoom": {"height_factor": 0.2, "width_factor": 0.1},
    "Solarization": {"addition_factor": 0.5, "threshold_factor": 0.5},
}
#: Layers for images that compute something at inference as well, or another shape.
OTHER_IMAGE_LAYERS = {
    "AutoContrast",
    "CenterCrop",
    "ContrastLimitedAdaptiveHistogramEqualization",
    "Equalization",
    "RandomCrop",
    "Resizing",
}


@pytest.mark.parametrize("order", [LAST, FIRST])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation(name, order):
    if not hasattr(L, name):
        pytest.skip(f"Keras {keras.__version__} has no {name}")
    snapshot = assert_equal(getattr(L, name)(**AUGMENTATIONS[name], data_format=order), image((4, 5), order))
    assert len(snapshot.graph) == 2, "an input and its quantizer"


def test_every_augmentation_is_known():
    found = {n for n in dir(L) if isinstance(getattr(L, n), type) and issubclass(getattr(L, n), IMAGE_LAYER)}
    assert found <= set(AUGMENTATIONS) | OTHER_IMAGE_LAYERS


@pytest.mark.parametrize("order", [LAST, FIRST])
def test_random_crop(order):
    assert_equal(L.RandomCrop(4, 5, data_format=order), image((4, 5), order))
    refused(
        L.RandomCrop(3, 5, data_format=order),
        image((4, 5), order),
        sentence="at inference it leaves an image of 4 x 5 as it is, but layers behind it were built for 3 x 5; crop samples"
        " before the model, or use CenterCrop$",
    )


def test_a_call_in_training_mode_is_refused():
    x = keras.Input((3,))
    model = keras.Model(x, L.Dropout(0.5)(quantizer()(x), training=True))
    with pytest.raises(UnsupportedModel, match=r"it is called with \{'training': True\}"):
        keras_hls.snapshot(model)


def test_masking_of_zeros_changes_no_value():
    x = keras.Input((4, 3))
    y = L.Masking()(quantizer()(x))
    model = keras.Model(x, [y, L.ReLU()(y)])
    values = samples(model)[0]
    values[:, 1] = 0
    for got, wanted in zip(keras_hls.snapshot(model).predict(values), model(values)):
        assert np.array_equal(got, np.asarray(wanted))


@pytest.mark.parametrize("value", [7.0, -1, float("nan")])
def test_masking_of_another_value_is_refused(value):
    refused(
        L.Masking(value),
        (4, 3),
        sentence="it turns time steps whose elements are all .* into zeros, which no op does; fill",
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.LSTM(2),
        lambda: L.Bidirectional(L.GRU(2)),
        lambda: L.GlobalAveragePooling1D(),
        lambda: L.Softmax(),
        lambda: L.BatchNormalization(),
        lambda: L.TimeDistributed(L.Dense(2)),
    ],
)
def test_layers_that_skip_what_is_masked_are_refused(make):
    x = keras.Input((4, 3))
    model = keras.Model(x, make()(L.ReLU()(L.Masking()(quantizer()(x)))))
    with pytest.raises(UnsupportedModel):
        keras_hls.snapshot(model, precision="fixed<12, 6>")


def test_projects_of_moving_layers(tmp_path):
    """From Keras to C++: a small net in which everything moves."""
    x = keras.Input((4, 5, 2))
    y = quantizer()(x)
    y = L.ZeroPadding2D(((1, 0), (0, 2)))(y)
    left = L.UpSampling2D((2, 1))(L.Cropping2D(((1, 1), (2, 0)))(y))
    right = L.UpSampling2D((2, 1), interpolation="bilinear")(L.Cropping2D(((2, 0), (0, 2)))(y))
    y = L.Permute((3, 1, 2))(L.Concatenate()([left, right, L.ReLU()(left)]))
    model = keras.Model(x, [L.Flatten(data_format=FIRST)(y), y])
    values = samples(model)[0]
    project = keras_hls.export_hls(model, tmp_path / "net", verify=values)
    for got, wanted in zip(project.predict(values), model(values)):
        assert np.array_equal(got, np.asarray(wanted))
