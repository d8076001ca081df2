"""The options of an export, checked once, with hls4ml's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any

from keras_hls.errors import InvalidOption, TooWide, did_you_mean
from keras_hls.fixed import Fixed
from keras_hls.graph import Graph, check_plan
from keras_hls.hls4ml_config import translate
from keras_hls.op import STRATEGIES, Plan
from keras_hls.precision import AUTO, EVERY, Precision

#: What an entry of ``layers`` may hold.
LAYER_OPTIONS = ("strategy", "reuse_factor")
#: What an entry of ``precision`` may hold.
PRECISION_OF = ("result", "weight", "bias")
#: Bits of a type that follows from calibration samples, at most: so that products of two still fit.
MOST_BITS = 24
IO_TYPES = ("io_parallel",)
SOFTMAX = ("host", "hardware")
# Words that can't name a C++ function or variable of the project.
_WORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const
    const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern
    false float for friend goto if inline int long main mutable namespace new noexcept not not_eq nullptr operator
    or or_eq private protected public register reinterpret_cast return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using
    virtual void volatile wchar_t while xor xor_eq std ap_int ap_uint ap_fixed ap_ufixed hls keras_hls
"""
_RESERVED = frozenset(_WORDS.split())


def identifier(text: str) -> str:
    """Return `text` as a C identifier."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII) or "_"
    # Names with a double underscore, or one before a capital, belong to the compiler.
    name = re.sub(r"__+", "_", name).lstrip("_") or "x"
    return f"n{name}" if name[0].isdigit() else f"{name}_" if name in _RESERVED else name


@dataclass(frozen=True)
class Options:
    """How a network is to be built.

    Parameters
    ----------
    backend : str
        Which HLS tool the project is for; "Vitis".
    part : str
        The device, as Vivado names it.
    clock_period : float
        In nanoseconds.
    io_type : str
        "io_parallel": all values of a sample at once, as arrays.
    strategy : {"Latency", "Resource"}
        For all layers that `layers` doesn't name.
    reuse_factor : int
        Likewise; how often each multiplier is used for one sample.
    layers : mapping of str to mapping
        By layer name: "strategy" and "reuse_factor" of that layer.
    softmax : {"host", "hardware"}
        Whether a softmax at an output is left to whoever reads the hardware's answer (argmax doesn't need it), or computed.
    precision : str or mapping, optional
        Types of layers that have no quantizers: one for all, as "fixed<16, 6>", or by layer, where an entry is a type or a
        dict of types for "result", "weight" and "bias", and "*" stands for all others. What isn't named, or is "auto",
        follows from calibration samples.
    bits : int
        Bits of the types that follow from calibration samples.
    max_error : float, optional
        Instead of `bits`: the fewest bits with which no output is off by more than that, for the calibration samples.
    project_name : str, optional
        Name of the top function; by default that of the output folder.
    coefficients : str or path, optional
        What the cost is estimated with: "Vitis HLS" (the default), "Vivado HLS", or a file of ``keras-hls calibrate``.

    Raises
    ------
    InvalidOption
        For a value that an option can't take; names the nearest spelling.
    """

    backend: str = "Vitis"
    part: str = "xcvu13p-flga2577-2-e"
    clock_period: float = 5.0
    io_type: str = "io_parallel"
    strategy: str = "Latency"
    reuse_factor: int = 1
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    softmax: str = "host"
    precision: str | Mapping[str, str | Mapping[str, str]] | None = None
    bits: int = 16
    max_error: float | None = None
    project_name: str | None = None
    coefficients: str | None = None

    def __post_init__(self) -> None:
        from keras_hls.cost.devices import device

        device(self.part)
        _one_of("io_type", self.io_type, IO_TYPES)
        _one_of("softmax", self.softmax, SOFTMAX)
        if not _is_number(self.clock_period) or not 0 < self.clock_period < float("inf"):
            raise InvalidOption(f"clock_period must be a positive number of nanoseconds, not {self.clock_period!r}")
        if not isinstance(self.layers, Mapping):
            raise InvalidOption(f"layers must be a dict from layer name to its options, not {self.layers!r}")
        _check_plan("", {"strategy": self.strategy, "reuse_factor": self.reuse_factor})
        for name, entry in self.layers.items():
            if not isinstance(entry, Mapping):
                raise InvalidOption(f"layers[{name!r}] must be a dict of {' and '.join(LAYER_OPTIONS)}, not {entry!r}")
            for key in entry:
                _one_of(f"layers[{name!r}] key", key, LAYER_OPTIONS)
            _check_plan(f"layers[{name!r}] ", entry)
        # Plain numbers, as a project's manifest holds them.
        plain = {
            name: {k: int(v) if k == "reuse_factor" else v for k, v in e.items()} for name, e in self.layers.items()
        }
        for name, value in (
            ("layers", plain),
            ("reuse_factor", int(self.reuse_factor)),
            ("clock_period", float(self.clock_period)),
            ("coefficients", None if self.coefficients is None else str(self.coefficients)),
        ):
            object.__setattr__(self, name, value)
        self._check_precision()
        top = self.project_name
        if top is not None and (not isinstance(top, str) or identifier(top) != top):
            raise InvalidOption(f"project_name must be a C++ identifier, not {self.project_name!r}")

    def _check_precision(self) -> None:
        bits = self.bits
        if not isinstance(bits, Integral) or isinstance(bits, bool) or not 2 <= bits <= MOST_BITS:
            raise InvalidOption(f"bits must be an integer from 2 to {MOST_BITS}, not {bits!r}")
        object.__setattr__(self, "bits", int(bits))
        error = self.max_error
        if error is not None and (not _is_number(error) or not 0 < error < float("inf")):
            raise InvalidOption(f"max_error must be a positive number, not {error!r}")
        object.__setattr__(self, "max_error", None if error is None else float(error))
        self.precisions()

    def precisions(self) -> Precision:
        """Return the types that the options give to layers without quantizers."""
        given = {EVERY: self.precision} if isinstance(self.precision, str) else self.precision or {}
        if not isinstance(given, Mapping):
            raise InvalidOption(f"precision must be a type such as 'fixed<16, 6>', or a dict by layer, not {given!r}")
        layers: dict[str, dict[str, Fixed | None]] = {}
        for name, entry in given.items():
            where = "precision" if isinstance(self.precision, str) else f"precision[{name!r}]"
            if isinstance(entry, str):
                layers[name] = dict.fromkeys(PRECISION_OF, _fixed(where, entry))
                continue
            if not isinstance(entry, Mapping):
                raise InvalidOption(f"{where} must be a type or a dict of {', '.join(PRECISION_OF)}, not {entry!r}")
            for key in entry:
                _one_of(f"{where} key", key, PRECISION_OF)
            layers[name] = {key: _fixed(f"{where}[{key!r}]", text) for key, text in entry.items()}
        return Precision(self.bits, layers=layers)

    @classmethod
    def of(cls, **options: Any) -> Options:
        """Return checked options; an unknown name is an error that offers the nearest.

        An `hls_config` is read as hls4ml's config dict: see `keras_hls.hls4ml_config`.
        """
        if "hls_config" in options:
            options = translate(options.pop("hls_config"), options)
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise InvalidOption(f"Option {name!r} is unknown.{did_you_mean(name, known)} Known: {', '.join(known)}")
        return cls(**options)

    def shares(self, layer: str) -> bool:
        """Whether a layer's multipliers are used several times for a sample."""
        plan = self._plan(layer)
        return plan.strategy == "Resource" and plan.reuse_factor > 1

    def _plan(self, layer: str) -> Plan:
        return Plan(**{"strategy": self.strategy, "reuse_factor": self.reuse_factor, **self.layers.get(layer, {})})

    def plans(self, graph: Graph) -> dict[str, Plan]:
        """Return how each node is to be built.

        Raises
        ------
        InvalidOption
            If `layers` names a layer that isn't there, or a reuse factor doesn't fit.
        """
        left = {node.layer for node in graph}
        # Of a layer that changes nothing, or is never needed, no node is left.
        names = left | {label.split("#")[0] for label in graph.places}
        for name in self.layers:
            if name not in names:
                raise InvalidOption(
                    f"layers names {name!r}, which isn't a layer of the model.{did_you_mean(name, names)}"
                    f" Known: {', '.join(sorted(names))}"
                )
            shares = any(
                node.op.reuse_factors(*graph.input_types(node)) != (1,) for node in graph if node.layer == name
            )
            if self.layers[name].get("reuse_factor", 1) != 1 and name in left and not shares:
                raise InvalidOption(f"Layer {name!r} has no multipliers to share, so its reuse_factor must be 1")
        return {node.name: check_plan(node, self._plan(node.layer), graph.input_types(node)) for node in graph}


def _fixed(what: str, text: Any) -> Fixed | None:
    if text == AUTO:
        return None
    if not isinstance(text, str):
        raise InvalidOption(f"{what} must be a type such as 'fixed<16, 6>', not {text!r}")
    try:
        return Fixed.parse(text)
    except (ValueError, TooWide) as error:
        raise InvalidOption(f"{what}: {error}") from None


def _one_of(what: str, value: Any, known: Iterable[str]) -> None:
    known = tuple(known)
    if not isinstance(value, str) or value not in known:
        raise InvalidOption(
            f"{what} must be {' or '.join(map(repr, known))}, not {value!r}.{did_you_mean(value, known)}"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _check_plan(where: str, entry: Mapping[str, Any]) -> None:
    if "strategy" in entry:
        _one_of(f"{where}strategy", entry["strategy"], STRATEGIES)
    if "reuse_factor" in entry:
        factor = entry["reuse_factor"]
        if not isinstance(factor, Integral) or isinstance(factor, bool) or factor < 1:
            raise InvalidOption(f"{where}reuse_factor must be a positive integer, not {factor!r}")
