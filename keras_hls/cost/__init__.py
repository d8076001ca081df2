"""The cost model: from what operations need (`Work`) to LUT, FF, DSP, block RAM, latency and initiation interval.

`estimate` knows no operation by name: it reads units of work, with their widths. Devices, coefficients and formulas
are in this folder, and nowhere else.
"""

from keras_hls.cost.devices import Device, device
from keras_hls.cost.estimate import LayerEstimate, ResourceEstimate, estimate

__all__ = ["Device", "LayerEstimate", "ResourceEstimate", "device", "estimate"]
