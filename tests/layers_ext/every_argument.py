"""Every layer class with every constructor argument: how to make one, and other values to give its arguments.

A class that isn't here, or an argument of it, fails `test_every_argument`: new versions of Keras and HGQ2 can't slip by.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import hgq.layers
import keras

L, Q = keras.layers, hgq.layers

#: Arguments that say how a layer is trained or named, in every layer.
TRAINING = {"self", "name", "trainable", "dtype", "args", "kwargs", "seed", "activity_regularizer", "autocast"}
TRAINING_ENDS = ("_initializer", "_regularizer", "_constraint")
#: Arguments of HGQ2 that configure quantizers, which have tests of their own, or how costs are counted.
QUANTIZERS = {"enable_ebops", "beta0", "ebops_factor", "parallelization_factor"}

#: Not layers to build a model of: bases, cells, and what takes text or another framework's modules.
NO_LAYERS = {
    L.Layer,
    L.Wrapper,
    L.InputLayer,
    L.GRUCell,
    L.LSTMCell,
    L.SimpleRNNCell,
    L.StackedRNNCells,
    L.TFSMLayer,
    L.TorchModuleWrapper,
    L.JaxLayer,
    L.FlaxLayer,
    L.StringLookup,
    L.TextVectorization,
    L.Pipeline,
    L.HashedCrossing,
    L.MaxNumBoundingBoxes,
    Q.Quantizer,
    Q.QLayerBase,
    Q.QLayerBaseSingleInput,
    Q.QLayerBaseMultiInputs,
    Q.QLIFCell,
    Q.QSimpleSNNCell,
}


@dataclass(frozen=True)
class Spec:
    """One layer class.

    Parameters
    ----------
    shapes : sequence of shapes
        Of one sample of each input.
    base : mapping
        Arguments that it can't be made without, or that make the others matter.
    changes : mapping
        By argument, other values to try, each alone.
    also : mapping
        By argument, what to change besides, so that Keras takes it.
    dtype : str
        Of its samples.
    """

    shapes: Sequence[tuple[int, ...]]
    base: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    also: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dtype: str = "float32"


FIRST = "channels_first"
CONV = {"padding": ["same"], "activation": ["relu", "tanh"], "use_bias": [False], "data_format": [FIRST]}
RNN = {key: [True] for key in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")} | {
    "activation": ["relu"],
    "use_bias": [False],
    "dropout": [0.5],
    "recurrent_dropout": [0.5],
}
GATED = RNN | {"recurrent_activation": ["hard_sigmoid"], "use_cudnn": [False]}


def conv(rank: int, **more: Sequence[Any]) -> Spec:
    # With as many positions as filters, Keras 3.15 on TensorFlow adds the bias along the wrong axis of channels_first.
    shape = (*(8, 7, 6)[:rank], 6)
    changes = {**CONV, "filters": [5], "kernel_size": [2], "strides": [2], "dilation_rate": [2], "groups": [2], **more}
    if rank == 1:
        changes["padding"] = ["same", "causal"]
    return Spec([shape], {"filters": 2, "kernel_size": 3}, changes)


def transposed(rank: int) -> Spec:
    shape = (*(5, 4, 3)[:rank], 2)
    changes = {**CONV, "filters": [3], "kernel_size": [2], "strides": [2], "dilation_rate": [2], "output_padding": [1]}
    return Spec([shape], {"filters": 2, "kernel_size": 3}, changes, {"output_padding": {"strides": 2}})


def depthwise(rank: int, **base: Any) -> Spec:
    shape = (*(8, 7)[:rank], 3)
    changes = {**CONV, "kernel_size": [2], "strides": [2], "dilation_rate": [2], "depth_multiplier": [2]}
    if base:
        changes["filters"] = [3]
    if rank == 1:
        changes["padding"] = ["same", "causal"] if base else ["same"]
    return Spec([shape], {"kernel_size": 3, **base}, changes)


def pool(rank: int) -> Spec:
    shape = (*(8, 7, 6)[:rank], 4)
    return Spec(
        [shape], {"pool_size": 3}, {"pool_size": [2], "strides": [1], "padding": ["same"], "data_format": [FIRST]}
    )


def overall(rank: int) -> Spec:
    return Spec([(*(4, 3, 5)[:rank], 2)], {}, {"keepdims": [True], "data_format": [FIRST]})


def adaptive(rank: int) -> Spec:
    return Spec([(*(7, 5, 6)[:rank], 2)], {"output_size": 2}, {"output_size": [3], "data_format": [FIRST]})


IMAGE = (6, 5, 3)


def image(**changes: Sequence[Any]) -> Spec:
    """Layers that change images in training only."""
    return Spec([IMAGE], {}, changes)


PAIR = [(3, 4), (3, 4)]
TWO = Spec(PAIR)
INTERPOLATION = {"interpolation": ["nearest"], "fill_value": [1.0], "data_format": [FIRST]}
COLOUR = {"value_range": [(0, 1)], "data_format": [FIRST]}

SPECS: dict[type, Spec] = {
    L.Activation: Spec([(4,)], {"activation": "relu"}, {"activation": ["tanh", "softmax", "linear"]}),
    L.ActivityRegularization: Spec([(4,)], {}, {"l1": [0.1], "l2": [0.1]}),
    L.Add: TWO,
    L.Subtract: TWO,
    L.Multiply: TWO,
    L.Average: TWO,
    L.Maximum: TWO,
    L.Minimum: TWO,
    L.Dot: Spec([(3, 4), (3, 4)], {"axes": 1}, {"axes": [2, (1, 1)], "normalize": [True]}),
    L.Concatenate: Spec(PAIR, {}, {"axis": [1, 2]}),
    L.AdditiveAttention: Spec(PAIR, {}, {"use_scale": [False], "dropout": [0.5]}),
    L.Attention: Spec(PAIR, {}, {"use_scale": [True], "score_mode": ["concat"], "dropout": [0.5]}),
    L.MultiHeadAttention: Spec(
        PAIR,
        {"num_heads": 2, "key_dim": 2},
        {
            "num_heads": [1],
            "key_dim": [3],
            "value_dim": [3],
            "dropout": [0.5],
            "use_bias": [False],
            "output_shape": [5],
            "attention_axes": [(1,)],
            "sliding_window": [2],
            "flash_attention": [False],
            "use_gate": [True],
        },
    ),
    L.GroupQueryAttention: Spec(
        PAIR,
        {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1},
        {
            "head_dim": [3],
            "num_query_heads": [4],
            "num_key_value_heads": [2],
            "dropout": [0.5],
            "use_bias": [False],
            "sliding_window": [2],
            "flash_attention": [False],
            "use_gate": [True],
        },
    ),
    L.Dropout: Spec([(4, 3)], {"rate": 0.5}, {"rate": [0.1], "noise_shape": [(None, 1, 3)]}),
    L.AlphaDropout: Spec([(4, 3)], {"rate": 0.5}, {"rate": [0.1], "noise_shape": [(None, 1, 3)]}),
    L.GaussianDropout: Spec([(4,)], {"rate": 0.5}, {"rate": [0.1]}),
    L.GaussianNoise: Spec([(4,)], {"stddev": 0.5}, {"stddev": [0.1]}),
    L.SpatialDropout1D: Spec([(4, 3)], {"rate": 0.5}, {"rate": [0.1]}),
    L.SpatialDropout2D: Spec([(4, 3, 2)], {"rate": 0.5}, {"rate": [0.1], "data_format": [FIRST]}),
    L.SpatialDropout3D: Spec([(4, 3, 2, 2)], {"rate": 0.5}, {"rate": [0.1], "data_format": [FIRST]}),
    L.Identity: Spec([(4,)]),
    L.Masking: Spec([(4, 3)], {}, {"mask_value": [1.0]}),
    L.Lambda: Spec(
        [(4,)],
        {"function": keras.ops.square},
        {"function": [keras.ops.absolute], "output_shape": [(4,)], "mask": [None], "arguments": [{}]},
    ),
    L.BatchNormalization: Spec(
        [(3, 4)],
        {},
        {
            "axis": [1],
            "momentum": [0.5],
            "epsilon": [0.5],
            "center": [False],
            "scale": [False],
            "renorm": [True],
            "renorm_clipping": [{"rmax": 2.0}],
            "renorm_momentum": [0.5],
            "synchronized": [True],
        },
        {"renorm_clipping": {"renorm": True}, "renorm_momentum": {"renorm": True}},
    ),
    L.LayerNormalization: Spec(
        [(3, 4)],
        {},
        {"axis": [1, [1, 2]], "epsilon": [0.5], "center": [False], "scale": [False], "rms_scaling": [True]},
    ),
    L.RMSNormalization: Spec([(3, 4)], {}, {"axis": [1], "epsilon": [0.5]}),
    L.GroupNormalization: Spec(
        [(3, 4)],
        {"groups": 2},
        {"groups": [4, 1, -1], "axis": [1], "epsilon": [0.5], "center": [False], "scale": [False]},
        {"axis": {"groups": 3}},
    ),
    L.UnitNormalization: Spec([(3, 4)], {}, {"axis": [1, (1, 2)]}),
    L.SpectralNormalization: Spec(
        [(4,)], {"layer": lambda: L.Dense(3)}, {"layer": [lambda: L.Dense(2)], "power_iterations": [3]}
    ),
    L.Normalization: Spec(
        [(3, 4)],
        {"mean": [1.0, 2.0, 0.5, -1.0], "variance": [1.0, 4.0, 2.0, 0.25]},
        {"mean": [0.0], "variance": [2.0], "invert": [True], "axis": [None, 1]},
        {
            "axis": {"mean": 0.5, "variance": 2.0},
            "mean": {"variance": 2.0, "axis": None},
            "variance": {"mean": 2.0, "axis": None},
        },
    ),
    L.Rescaling: Spec([(3, 2)], {"scale": 0.5}, {"scale": [2.0, 1 / 255, [0.5, 0.25]], "offset": [1.0]}),
    L.Dense: Spec(
        [(4,)],
        {"units": 3},
        {
            "units": [2],
            "activation": ["relu", "softmax"],
            "use_bias": [False],
            "lora_rank": [2],
            "lora_alpha": [2],
            "quantization_config": [None],
        },
        {"lora_alpha": {"lora_rank": 2}},
    ),
    L.EinsumDense: Spec(
        [(3, 4)],
        {"equation": "abc,cd->abd", "output_shape": (None, 5)},
        {
            "equation": ["abc,bd->adc"],
            "output_shape": [(3, 6)],
            "activation": ["relu"],
            "bias_axes": ["d"],
            "lora_rank": [2],
            "lora_alpha": [2],
            "gptq_unpacked_column_size": [None],
            "quantization_config": [None],
        },
        {"equation": {"output_shape": (5, 4)}, "lora_alpha": {"lora_rank": 2}},
    ),
    L.Embedding: Spec(
        [(3,)],
        {"input_dim": 6, "output_dim": 2},
        {
            "input_dim": [9],
            "output_dim": [3],
            "mask_zero": [True],
            "weights": [None],
            "lora_rank": [2],
            "lora_alpha": [2],
            "quantization_config": [None],
        },
        {"lora_alpha": {"lora_rank": 2}},
        dtype="int32",
    ),
    L.ReversibleEmbedding: Spec(
        [(3,)],
        {"input_dim": 6, "output_dim": 2},
        {
            "input_dim": [9],
            "output_dim": [3],
            "tie_weights": [False],
            "mask_zero": [True],
            "reverse_dtype": ["float32"],
            "logit_soft_cap": [2.0],
        },
        dtype="int32",
    ),
    L.ReLU: Spec([(4,)], {}, {"max_value": [1.5], "negative_slope": [0.25], "threshold": [0.5]}),
    L.LeakyReLU: Spec([(4,)], {}, {"negative_slope": [0.25]}),
    L.PReLU: Spec([(3, 4)], {}, {"shared_axes": [[1], [2]]}),
    L.ELU: Spec([(4,)], {}, {"alpha": [0.5]}),
    L.Softmax: Spec([(3, 4)], {}, {"axis": [1, [1, 2]]}),
    L.Flatten: Spec([(3, 4)], {}, {"data_format": [FIRST]}),
    L.Reshape: Spec([(3, 4)], {"target_shape": (12,)}, {"target_shape": [(4, 3), (2, -1)]}),
    L.Permute: Spec([(3, 4)], {"dims": (1, 2)}, {"dims": [(2, 1)]}),
    L.RepeatVector: Spec([(4,)], {"n": 2}, {"n": [3]}),
    L.Cropping1D: Spec([(6, 2)], {}, {"cropping": [2, (0, 1)]}),
    L.Cropping2D: Spec(
        [(6, 5, 2)],
        {"cropping": 1},
        {"cropping": [(2, 1), ((0, 1), (2, 0))], "data_format": [FIRST]},
        {"data_format": {"cropping": ((1, 0), (0, 1))}},
    ),
    L.Cropping3D: Spec(
        [(6, 5, 4, 2)],
        {},
        {"cropping": [((0, 1), (2, 0), (1, 1))], "data_format": [FIRST]},
        {"data_format": {"cropping": ((1, 0), (0, 1), (1, 0))}},
    ),
    L.ZeroPadding1D: Spec([(4, 2)], {}, {"padding": [2, (0, 3)], "data_format": [FIRST]}),
    L.ZeroPadding2D: Spec([(4, 3, 2)], {}, {"padding": [(2, 1), ((0, 1), (2, 0))], "data_format": [FIRST]}),
    L.ZeroPadding3D: Spec(
        [(3, 2, 2, 2)], {}, {"padding": [(2, 1, 0), ((0, 1), (2, 0), (1, 1))], "data_format": [FIRST]}
    ),
    L.UpSampling1D: Spec([(4, 2)], {}, {"size": [3]}),
    L.UpSampling2D: Spec(
        [(4, 3, 2)],
        {},
        {"size": [3, (1, 2)], "data_format": [FIRST], "interpolation": ["bilinear", "bicubic", "lanczos3"]},
    ),
    L.UpSampling3D: Spec([(3, 2, 2, 2)], {}, {"size": [3, (1, 2, 1)], "data_format": [FIRST]}),
    L.CenterCrop: Spec(
        [IMAGE],
        {"height": 4, "width": 3},
        {"height": [2], "width": [5], "data_format": [FIRST]},
        {"data_format": {"height": 3, "width": 2}},
    ),
    L.Resizing: Spec(
        [IMAGE],
        {"height": 4, "width": 3},
        {
            "height": [8],
            "width": [5],
            "interpolation": ["nearest"],
            "crop_to_aspect_ratio": [True],
            "pad_to_aspect_ratio": [True],
            "fill_mode": ["constant"],
            "fill_value": [1.0],
            "antialias": [True],
            "data_format": [FIRST],
        },
    ),
    L.CategoryEncoding: Spec(
        [(3,)],
        {"num_tokens": 6},
        {"num_tokens": [9], "output_mode": ["count", "one_hot"], "sparse": [False]},
        dtype="int32",
    ),
    L.Discretization: Spec(
        [(3,)],
        {"bin_boundaries": [0.0, 1.0]},
        {
            "bin_boundaries": [[0.5]],
            "num_bins": [None],
            "epsilon": [0.1],
            "output_mode": ["one_hot"],
            "sparse": [False],
        },
    ),
    L.Hashing: Spec(
        [(3,)],
        {"num_bins": 4},
        {"num_bins": [8], "mask_value": [0], "salt": [5], "output_mode": ["one_hot"], "sparse": [False]},
        dtype="int32",
    ),
    L.IntegerLookup: Spec(
        [(3,)],
        {"vocabulary": [1, 2, 5]},
        {
            key: []
            for key in (
                "max_tokens",
                "num_oov_indices",
                "mask_token",
                "oov_token",
                "vocabulary",
                "vocabulary_dtype",
                "idf_weights",
                "invert",
                "output_mode",
                "sparse",
                "pad_to_max_tokens",
                "oov_method",
                "salt",
            )
        },
        dtype="int32",
    ),
    L.MelSpectrogram: Spec(
        [(512,)],
        {},
        {
            key: []
            for key in (
                "fft_length",
                "sequence_stride",
                "sequence_length",
                "window",
                "sampling_rate",
                "num_mel_bins",
                "min_freq",
                "max_freq",
                "power_to_db",
                "top_db",
                "mag_exp",
                "min_power",
                "ref_power",
            )
        },
    ),
    L.STFTSpectrogram: Spec(
        [(512, 1)],
        {},
        {
            key: []
            for key in (
                "mode",
                "frame_length",
                "frame_step",
                "fft_length",
                "window",
                "periodic",
                "scaling",
                "padding",
                "expand_dims",
                "data_format",
            )
        },
    ),
    L.GRU: Spec([(5, 3)], {"units": 2}, GATED | {"units": [3], "reset_after": [False]}),
    L.LSTM: Spec([(5, 3)], {"units": 2}, GATED | {"units": [3], "unit_forget_bias": [False]}),
    L.SimpleRNN: Spec([(5, 3)], {"units": 2}, RNN | {"units": [3]}),
    L.RNN: Spec(
        [(5, 3)],
        {"cell": lambda: L.GRUCell(2)},
        {
            key: [True]
            for key in (
                "return_sequences",
                "return_state",
                "go_backwards",
                "stateful",
                "unroll",
                "zero_output_for_mask",
            )
        }
        | {"cell": [lambda: L.SimpleRNNCell(2)]},
    ),
    L.Bidirectional: Spec(
        [(5, 3)],
        {"layer": lambda: L.GRU(2)},
        {"layer": [lambda: L.LSTM(2)], "merge_mode": ["sum"], "weights": [None], "backward_layer": [None]},
    ),
    L.TimeDistributed: Spec([(5, 3)], {"layer": lambda: L.Dense(2)}, {"layer": [lambda: L.ReLU()]}),
    L.AugMix: image(
        value_range=[(0, 1)],
        num_chains=[2],
        chain_depth=[2],
        factor=[0.1],
        alpha=[0.5],
        all_ops=[False],
        interpolation=["nearest"],
        data_format=[FIRST],
    ),
    L.AutoContrast: image(value_range=[(0, 1)]),
    L.ContrastLimitedAdaptiveHistogramEqualization: image(
        value_range=[(0, 1)], clip_limit=[2.0], tile_grid_size=[(2, 2)], data_format=[FIRST]
    ),
    L.CutMix: image(factor=[0.5], data_format=[FIRST]),
    L.Equalization: image(value_range=[(0, 1)], bins=[64], data_format=[FIRST]),
    L.MixUp: image(alpha=[0.5], data_format=[FIRST]),
    L.RandAugment: image(
        value_range=[(0, 1)], num_ops=[1], factor=[0.1], interpolation=["nearest"], data_format=[FIRST]
    ),
    L.RandomBrightness: Spec([IMAGE], {"factor": 0.5}, {"factor": [0.1], "value_range": [(0, 1)]}),
    L.RandomColorDegeneration: Spec([IMAGE], {"factor": 0.5}, {"factor": [0.1], **COLOUR}),
    L.RandomColorJitter: image(
        brightness_factor=[0.1], contrast_factor=[0.1], saturation_factor=[0.1], hue_factor=[0.1], **COLOUR
    ),
    L.RandomContrast: Spec([IMAGE], {"factor": 0.5}, {"factor": [0.1], "value_range": [(0, 1)]}),
    L.RandomCrop: Spec(
        [IMAGE],
        {"height": 4, "width": 3},
        {"height": [2], "width": [5], "data_format": [FIRST]},
        {"data_format": {"height": 3, "width": 2}},
    ),
    L.RandomElasticTransform: image(
        factor=[0.1], scale=[0.5], fill_mode=["constant"], value_range=[(0, 1)], **INTERPOLATION
    ),
    L.RandomErasing: image(factor=[0.5], scale=[(0.1, 0.2)], fill_value=[1.0], **COLOUR),
    L.RandomFlip: image(mode=["horizontal"], data_format=[FIRST]),
    L.RandomGaussianBlur: image(factor=[0.5], kernel_size=[5], sigma=[2.0], **COLOUR),
    L.RandomGrayscale: image(factor=[0.1], data_format=[FIRST]),
    L.RandomHue: Spec([IMAGE], {"factor": 0.5}, {"factor": [0.1], **COLOUR}),
    L.RandomInvert: image(factor=[0.1], **COLOUR),
    L.RandomPerspective: image(factor=[0.5], scale=[0.5], **INTERPOLATION),
    L.RandomPosterization: Spec([IMAGE], {"factor": 4}, {"factor": [2], **COLOUR}),
    L.RandomRotation: Spec([IMAGE], {"factor": 0.5}, {"factor": [0.1], "fill_mode": ["constant"], **INTERPOLATION}),
    L.RandomSaturation: Spec([IMAGE], {"factor": 0.5}, {"factor": [0.1], **COLOUR}),
    L.RandomSharpness: Spec([IMAGE], {"factor": 0.5}, {"factor": [0.1], **COLOUR}),
    L.RandomShear: image(x_factor=[0.5], y_factor=[0.5], fill_mode=["constant"], **INTERPOLATION),
    L.RandomTranslation: Spec(
        [IMAGE],
        {"height_factor": 0.5, "width_factor": 0.5},
        {"height_factor": [0.1], "width_factor": [0.1], "fill_mode": ["constant"], **INTERPOLATION},
    ),
    L.RandomZoom: Spec(
        [IMAGE],
        {"height_factor": 0.5},
        {"height_factor": [0.1], "width_factor": [0.1], "fill_mode": ["constant"], **INTERPOLATION},
    ),
    L.Solarization: image(addition_factor=[0.5], threshold_factor=[0.5], value_range=[(0, 1)]),
    Q.QAdd: TWO,
    Q.QSubtract: TWO,
    Q.QMultiply: TWO,
    Q.QMaximum: TWO,
    Q.QMinimum: TWO,
    Q.QAveragePow2: TWO,
    Q.QDot: Spec(PAIR, {"axes": 1}, {"axes": [2, (1, 1)]}),
    Q.QEinsum: Spec([(3, 4), (4, 3)], {"equation": "abc,acd->abd"}, {"equation": ["abc,acb->ac", "abc,adb->acd"]}),
    Q.QSum: Spec([(3, 4)], {}, {"axes": [1, (1, 2)], "scale": [0.25], "keepdims": [True]}),
    Q.QMeanPow2: Spec([(3, 4)], {}, {"axes": [1, (1, 2)], "keepdims": [True]}),
    Q.QSoftmax: Spec(
        [(3, 4)],
        {},
        {"axis": [1, (1, 2)], "stable": [False], "allow_heterogeneous_table": [True], "input_scaler": [0.5]},
    ),
    Q.QUnaryFunctionLUT: Spec(
        [(4,)],
        {"activation": "tanh"},
        {
            "activation": ["sigmoid"],
            "allow_heterogeneous_input": [False],
            "allow_heterogeneous_table": [False],
            "override_oq_k0_to_0": [True],
        },
    ),
    Q.QAffinedUnaryFunctionLUT: Spec(
        [(4,)],
        {"activation": "tanh"},
        {"activation": ["sigmoid"], "allow_heterogeneous_input": [False], "allow_heterogeneous_table": [False]},
    ),
    Q.QDense: Spec([(4,)], {"units": 3}, {"units": [2], "activation": ["relu", "tanh"], "use_bias": [False]}),
    Q.QBatchNormDense: Spec(
        [(4,)],
        {"units": 3},
        {
            "units": [2],
            "activation": ["relu"],
            "use_bias": [False],
            "scale": [False],
            "momentum": [0.5],
            "epsilon": [0.5],
            "synchronized": [False],
        },
    ),
    Q.QEinsumDense: Spec(
        [(3, 4)],
        {"equation": "abc,cd->abd", "output_shape": (3, 5)},
        {"equation": ["abc,bd->adc"], "output_shape": [(3, 6)], "activation": ["relu"], "bias_axes": ["d"]},
        {"equation": {"output_shape": (5, 4)}},
    ),
    Q.QEinsumDenseBatchnorm: Spec(
        [(3, 4)],
        {"equation": "abc,cd->abd", "output_shape": (3, 5), "bias_axes": "d"},
        {
            "equation": ["abc,bd->adc"],
            "output_shape": [(3, 6)],
            "activation": ["relu"],
            "bias_axes": ["bd"],
            "normalize_axes": [(2,)],
            "momentum": [0.5],
            "epsilon": [0.5],
            "center": [False],
            "scale": [False],
            "synchronized": [False],
        },
        {"equation": {"output_shape": (5, 4)}},
    ),
    Q.QBatchNormalization: Spec(
        [(3, 4)],
        {},
        {
            "axis": [1],
            "momentum": [0.5],
            "epsilon": [0.5],
            "center": [False],
            "scale": [False],
            "synchronized": [False],
        },
    ),
    Q.QSimpleRNN: Spec([(5, 3)], {"units": 2}, RNN | {"units": [3]}),
    Q.QGRU: Spec(
        [(5, 3)], {"units": 2}, RNN | {"units": [3], "recurrent_activation": ["linear"], "reset_after": [False]}
    ),
}

for rank in (1, 2, 3):
    SPECS |= {
        getattr(L, f"Conv{rank}D"): conv(rank),
        getattr(L, f"Conv{rank}DTranspose"): transposed(rank),
        getattr(Q, f"QConv{rank}D"): conv(rank),
        getattr(L, f"ConvLSTM{rank}D"): Spec(
            [(3, *(5, 4, 4)[:rank], 2)],
            {"filters": 2, "kernel_size": 2},
            GATED
            | {
                "filters": [3],
                "kernel_size": [3],
                "unit_forget_bias": [False],
                **{k: v for k, v in CONV.items() if k == "padding"},
                "strides": [2],
                "dilation_rate": [2],
                "data_format": [FIRST],
            },
        ),
    }
    for kind in ("Max", "Average"):
        SPECS |= {
            getattr(L, f"{kind}Pooling{rank}D"): pool(rank),
            getattr(Q, f"Q{kind}Pooling{rank}D"): pool(rank),
            getattr(L, f"Global{kind}Pooling{rank}D"): overall(rank),
            getattr(Q, f"QGlobal{kind}Pooling{rank}D"): overall(rank),
            getattr(L, f"Adaptive{kind}Pooling{rank}D"): adaptive(rank),
        }
    if rank < 3:
        SPECS |= {
            getattr(L, f"DepthwiseConv{rank}D"): depthwise(rank),
            getattr(L, f"SeparableConv{rank}D"): depthwise(rank, filters=2),
        }


def classes() -> list[type]:
    """Every layer class of Keras and HGQ2 that a model can be built of."""
    found = {
        cls: None
        for module in (L, Q)
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, L.Layer) and not issubclass(cls, keras.Model)
    }
    # Attention and tables by their own issue: they are refused as unknown, whatever their arguments.
    return sorted((c for c in found if c not in NO_LAYERS), key=lambda c: (c.__module__.split(".")[0], c.__name__))


def arguments(cls: type) -> list[str]:
    """The constructor's arguments that say what the layer computes."""
    names = [name for base in (cls,) for name in inspect.signature(base.__init__).parameters]
    quantized = cls.__module__.startswith("hgq.")
    return [
        name
        for name in names
        if name not in TRAINING
        and not name.endswith(TRAINING_ENDS)
        and not (quantized and (name in QUANTIZERS or name.endswith(("_conf", "_confs")) or name.startswith("enable_")))
    ]
