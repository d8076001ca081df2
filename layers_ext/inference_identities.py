"""Layers that work in training only, and layers that say something of a tensor and leave it as it is."""

from __future__ import annotations

from keras_hls.layers_ext.layout import channels_last_shape
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads


@reads("keras.layers.Identity")
def read_identity(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Nothing."""
    return x


@reads(
    "keras.layers.Dropout",
    "HGQ.layers.PDropout",
    "keras.layers.AlphaDropout",
    "keras.layers.GaussianDropout",
    "keras.layers.SpatialDropout1D",
    "keras.layers.SpatialDropout2D",
    "keras.layers.SpatialDropout3D",
    "keras.layers.GaussianNoise",
    consumes="rate noise_shape stddev data_format",
)
def read_noise(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Nothing: noise is for training only."""
    return x


@reads("keras.layers.ActivityRegularization", consumes="l1 l2")
def read_activity_regularization(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Nothing: the loss alone sees it."""
    return x


# What says how an image is changed in training.
_AUGMENTATION = (
    "factor height_factor width_factor x_factor y_factor brightness_factor contrast_factor saturation_factor hue_factor"
    " mode scale sigma kernel_size value_range interpolation fill_mode fill_value alpha num_chains chain_depth all_ops num_ops"
    " addition_factor threshold_factor max_number data_format bounding_box_format"
)


@reads(
    "keras.layers.AugMix",
    "keras.layers.CutMix",
    "keras.layers.MaxNumBoundingBoxes",
    "keras.layers.MixUp",
    "keras.layers.RandAugment",
    "keras.layers.RandomBrightness",
    "keras.layers.RandomColorDegeneration",
    "keras.layers.RandomColorJitter",
    "keras.layers.RandomContrast",
    "keras.layers.RandomElasticTransform",
    "keras.layers.RandomErasing",
    "keras.layers.RandomFlip",
    "keras.layers.RandomGaussianBlur",
    "keras.layers.RandomGrayscale",
    "keras.layers.RandomHue",
    "keras.layers.RandomInvert",
    "keras.layers.RandomPerspective",
    "keras.layers.RandomPosterization",
    "keras.layers.RandomRotation",
    "keras.layers.RandomSaturation",
    "keras.layers.RandomSharpness",
    "keras.layers.RandomShear",
    "keras.layers.RandomTranslation",
    "keras.layers.RandomZoom",
    "keras.layers.Solarization",
    consumes=_AUGMENTATION,
)
def read_augmentation(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Nothing: images are changed in training only."""
    return x


@reads(
    "keras.layers.RandomCrop",
    consumes="height width data_format bounding_box_format",
    conditions={"height": "that of the image", "width": "that of the image"},
)
def read_random_crop(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Nothing: at inference, Keras neither crops nor resizes, whatever shape the layer promises."""
    size, wanted = channels_last_shape(layer)[:2], (int(layer.config["height"]), int(layer.config["width"]))
    if size != wanted:
        raise ReadError(
            f"at inference it leaves an image of {size[0]} x {size[1]} as it is, but layers behind it were built for"
            f" {wanted[0]} x {wanted[1]}; crop samples before the model, or use CenterCrop"
        )
    return x


@reads("keras.layers.Masking", consumes="mask_value", conditions={"mask_value": "0"})
def read_masking(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Nothing: time steps of zeros stay zero. Layers behind it that would skip them are refused."""
    value = layer.config["mask_value"]
    if not isinstance(value, (int, float)) or value != 0:
        raise ReadError(
            f"it turns time steps whose elements are all {value} into zeros, which no op does; fill them with zeros before"
            " the model, and use mask_value=0"
        )
    return x
