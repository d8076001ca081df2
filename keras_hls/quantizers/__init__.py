"""The quantizers of QKeras, computed without it: what they make of weights, and of activations, at inference.

`parse` reads what stands in a model's config; the classes hold a quantizer's parameters and compute with numpy alone.
"""

from keras_hls.quantizers.adaptive import integer_bits
from keras_hls.quantizers.base import Quantizer, QuantizerError
from keras_hls.quantizers.bounded import QuantizedHSwish, QuantizedSigmoid, QuantizedTanh, QuantizedULaw
from keras_hls.quantizers.parsing import QUANTIZERS, parse
from keras_hls.quantizers.powers import QuantizedPo2, QuantizedReLUPo2
from keras_hls.quantizers.relu import QuantizedReLU
from keras_hls.quantizers.signs import Bernoulli, Binary, StochasticBinary, StochasticTernary, Ternary
from keras_hls.quantizers.stairs import Stairs
from keras_hls.quantizers.uniform import QuantizedBits, QuantizedLinear

__all__ = [
    "QUANTIZERS",
    "Bernoulli",
    "Binary",
    "QuantizedBits",
    "QuantizedHSwish",
    "QuantizedLinear",
    "QuantizedPo2",
    "QuantizedReLU",
    "QuantizedReLUPo2",
    "QuantizedSigmoid",
    "QuantizedTanh",
    "QuantizedULaw",
    "Quantizer",
    "QuantizerError",
    "Stairs",
    "StochasticBinary",
    "StochasticTernary",
    "Ternary",
    "integer_bits",
    "parse",
]
