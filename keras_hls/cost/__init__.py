"""The cost model: from what operations need (`Work`) to LUT, FF, DSP, block RAM, latency and initiation interval.

`estimate` knows no operation by name: it reads units of work, with their widths. `silicon` says what a unit is made of,
`schedule` cuts work into clock cycles, `pricing` turns ingredients into the figures of each stage. Devices, coefficients and
formulas are in this folder, and nowhere else.
"""

from keras_hls.cost.devices import Device, device
from keras_hls.cost.estimate import estimate
from keras_hls.cost.resources import LayerEstimate, ResourceEstimate, Resources

__all__ = ["Device", "LayerEstimate", "ResourceEstimate", "Resources", "device", "estimate"]
