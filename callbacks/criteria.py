"""What decides which epoch is best: a figure to watch, and limits that it has to keep."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_hls.cost import ResourceEstimate
from keras_hls.cost.devices import RESOURCES, Device
from keras_hls.errors import InvalidOption, did_you_mean

#: What a budget may limit.
QUANTITIES = ("lut", "ff", "dsp", "bram", "latency_cycles", "ii")
#: Their keys in ``logs``.
KEYS = tuple(f"hls_{quantity}" for quantity in QUANTITIES)
# Words in the names of metrics, as Keras names its own. Losses come first: "mean_squared_error_accuracy" isn't a name.
_LESS_IS_BETTER = ("loss", "error", "mse", "mae", "mape", "msle", "entropy", "divergence", "hinge", "logcosh", "ebops")
_MORE_IS_BETTER = (
    "acc",
    "auc",
    "precision",
    "recall",
    "sensitivity",
    "specificity",
    "f1",
    "fbeta",
    "iou",
    "r2",
    "cosine",
)


@dataclass(frozen=True)
class Monitor:
    """A figure in Keras's ``logs`` by which epochs are compared.

    Parameters
    ----------
    name : str
        Its key.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" becomes one of the others, by the name.

    Raises
    ------
    InvalidOption
        If the name doesn't tell.
    """

    name: str
    mode: str = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidOption(f"monitor must be the name of a figure in the logs, not {self.name!r}")
        if self.mode not in ("auto", "min", "max"):
            raise InvalidOption(f"mode must be 'auto', 'min' or 'max', not {self.mode!r}")
        if self.mode == "auto":
            object.__setattr__(self, "mode", self._by_name())

    def _by_name(self) -> str:
        name = self.name.lower()
        if name.startswith("hls_") or any(word in name for word in _LESS_IS_BETTER):
            return "min"
        if any(word in name for word in _MORE_IS_BETTER):
            return "max"
        raise InvalidOption(
            f"mode='auto' can't tell by its name whether more or less of {self.name!r} is better; pass mode='max' or"
            " mode='min'"
        )

    def value(self, logs: Mapping[str, Any]) -> float | None:
        """Return the figure of an epoch; None if it is NaN.

        Raises
        ------
        InvalidOption
            If it isn't there; names what is.
        """
        if self.name not in logs:
            raise InvalidOption(
                f"monitor {self.name!r} isn't in the logs of this epoch.{did_you_mean(self.name, logs)} There are:"
                f" {', '.join(sorted(logs))}"
            )
        value = float(np.asarray(logs[self.name]))
        return None if math.isnan(value) else value

    def better(self, value: float | None, best: float | None) -> bool:
        """Whether an epoch replaces the best one so far; a later one without a value replaces only one without."""
        if value is None or best is None:
            return best is None
        return value < best if self.mode == "min" else value > best


@dataclass(frozen=True)
class Budget:
    """Limits that the cost of a network must keep.

    Parameters
    ----------
    limits : mapping of str to number or str
        Of "lut", "ff", "dsp", "bram" (blocks of 18 kbit), "latency_cycles" or "ii" (clock cycles); of a resource also a share of
        what the part has, as "50%".

    Raises
    ------
    InvalidOption
        For an unknown resource, or a limit that is neither a number from 0 nor such a share.
    """

    limits: Mapping[str, float | str]

    def __post_init__(self) -> None:
        if not isinstance(self.limits, Mapping):
            raise InvalidOption(f"budget must be a dict from a resource to its limit, not {self.limits!r}")
        for name, limit in self.limits.items():
            if name not in QUANTITIES:
                near = did_you_mean(str(name).removeprefix("hls_").lower(), QUANTITIES)
                raise InvalidOption(f"budget can't limit {name!r}.{near} It can limit {', '.join(QUANTITIES)}")
            if isinstance(limit, str) and _SHARE.fullmatch(limit):
                if name not in RESOURCES:
                    raise InvalidOption(f"budget[{name!r}] must be a number: no part has {name}, to take {limit} of it")
                continue
            number = isinstance(limit, (int, float, np.integer, np.floating)) and not isinstance(limit, bool)
            if not number or not 0 <= float(limit) < math.inf:
                or_share = ", or a share of the part such as '50%'," if name in RESOURCES else ","
                raise InvalidOption(f"budget[{name!r}] must be a number, 0 or more{or_share} not {limit!r}")

    def excess(self, estimate: ResourceEstimate) -> Excess | None:
        """Return by how much a cost exceeds the limits; None if it doesn't."""
        limits = {name: _absolute(name, limit, estimate.device) for name, limit in self.limits.items()}
        costs = {name: int(getattr(estimate, name)) for name in limits}
        over = {name: cost - limits[name] for name, cost in costs.items() if cost > limits[name]}
        if not over:
            return None
        # A limit of 0 has no percentage.
        share = max(more / max(limits[name], 1) for name, more in over.items())
        phrases = (f"{name} {costs[name]:,} ({more:,.0f} over {limits[name]:,.0f})" for name, more in over.items())
        return Excess(share, " and ".join(phrases))


#: A share of what a part has.
_SHARE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*")


def _absolute(name: str, limit: float | str, device: Device) -> float:
    if not isinstance(limit, str):
        return limit
    share = _SHARE.fullmatch(limit)
    assert share is not None
    return device.resources[name] * float(share[1]) / 100


@dataclass(frozen=True)
class Excess:
    """By how much a cost exceeds a budget.

    Attributes
    ----------
    share : float
        The largest excess, as a fraction of its limit.
    text : str
        For people: each quantity above its limit.
    """

    share: float
    text: str
