"""hls4ml's config dicts, as options of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_hls.errors import InvalidOption
from keras_hls.precision import AUTO, EVERY

# What hls4ml needs to be told and we needn't: accumulators and tables are exact here, whatever their size.
_NEEDLESS = frozenset(
    {
        *("Trace", "TraceOutput", "TableSize", "TableRangePower2", "BramFactor", "ConvImplementation"),
        *("accum", "table", "exp_table", "inv_table", "inv_inp", "maximum", "backend"),
    }
)
# Values that ask for nothing.
_NEUTRAL = {
    "ParallelizationFactor": 1,
    "Compression": False,
    "PipelineStyle": "auto",
    "Skip": False,
    "Implementation": "stable",
}
_VARIABLES = {
    **{name: name for name in ("result", "weight", "bias", "default")},
    **dict.fromkeys(("scale", "embeddings", "param"), "weight"),
}


def translate(config: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with what a config dict of hls4ml says.

    Parameters
    ----------
    config : mapping
        With "Model" and "LayerName", as ``hls4ml.utils.config_from_keras_model`` makes it: "Precision", "ReuseFactor" and
        "Strategy". Types "auto" follow from calibration samples; without any, they are the model's. A "LayerType" must say
        nothing else.
    options : mapping
        Further options; they must not say what the config says.

    Raises
    ------
    InvalidOption
        For a key that can't be taken account of, or for one that `options` has as well.
    """
    if not isinstance(config, Mapping):
        raise InvalidOption(f"hls_config must be a dict of hls4ml's kind, not {config!r}")
    for key in config:
        if key not in ("Model", "LayerName", "LayerType", "IOType", "Backend", "HLSConfig"):
            raise InvalidOption(
                f"hls_config[{key!r}] can't be taken account of; leave it out (known: Model, LayerName)"
            )
    if "HLSConfig" in config:
        # The dict of a config file, in which the model's own lies.
        outer = {key: config[key] for key in ("IOType", "Backend") if key in config}
        return translate({**config["HLSConfig"], **outer}, options)
    found: dict[str, Any] = {}
    if "IOType" in config:
        found["io_type"] = config["IOType"]
    if "Backend" in config:
        found["backend"] = config["Backend"]
    model = _section(config.get("Model", {}), "hls_config['Model']")
    found |= {key: model[key] for key in ("strategy", "reuse_factor") if key in model}
    for kind, entry in config.get("LayerType", {}).items():
        own = _section(entry, f"hls_config['LayerType'][{kind!r}]")
        types = own.pop("precision", {})
        if own or set(types.values()) - {AUTO}:
            raise InvalidOption(
                f"hls_config['LayerType'][{kind!r}] can't be taken account of; say it by name, in 'LayerName'"
            )
    precision: dict[str, Any] = {EVERY: model["precision"]} if "precision" in model else {}
    layers: dict[str, Any] = {}
    for name, entry in config.get("LayerName", {}).items():
        own = _section(entry, f"hls_config['LayerName'][{name!r}]")
        if types := own.pop("precision", None):
            precision[name] = types
        # hls4ml has names for layers that are none, such as "dense_relu", and says of each what it says of all.
        if own := {key: value for key, value in own.items() if key not in model or model[key] != value}:
            layers[name] = own
    if precision:
        found["precision"] = precision
    if layers:
        found["layers"] = layers
    if twice := [key for key in found if key in options]:
        raise InvalidOption(f"Option {twice[0]!r} stands both in hls_config and beside it; give it once")
    return {**options, **{key: value for key, value in found.items() if value is not None}}


def _section(entry: Any, where: str) -> dict[str, Any]:
    """One layer's entry, or the model's, in our words."""
    if not isinstance(entry, Mapping):
        raise InvalidOption(f"{where} must be a dict, not {entry!r}")
    found: dict[str, Any] = {}
    for key, value in entry.items():
        if key == "Precision":
            if types := _types(value, where):
                found["precision"] = types
        elif key == "ReuseFactor":
            found["reuse_factor"] = value
        elif key == "Strategy":
            found["strategy"] = value.capitalize() if isinstance(value, str) else value
        elif key not in _NEEDLESS and not (key in _NEUTRAL and _NEUTRAL[key] == value):
            raise InvalidOption(f"{where}[{key!r}]={value!r} can't be taken account of; leave it out")
    return found


def _types(value: Any, where: str) -> dict[str, str]:
    if isinstance(value, str):
        value = {"default": value}
    if not isinstance(value, Mapping):
        raise InvalidOption(f"{where}['Precision'] must be a type or a dict of types, not {value!r}")
    found: dict[str, str] = {}
    for key, text in value.items():
        if text is None or key in _NEEDLESS:
            continue
        if key not in _VARIABLES:
            raise InvalidOption(f"{where}['Precision'][{key!r}] can't be taken account of; leave it out")
        found[_VARIABLES[key]] = text
    if "default" in found:
        whole = found.pop("default")
        found = dict.fromkeys(("result", "weight", "bias"), whole) | found
    return found
