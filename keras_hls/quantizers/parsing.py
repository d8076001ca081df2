"""Quantizers from what stands in a model's config. Nothing of it is ever executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from keras_hls.errors import did_you_mean
from keras_hls.quantizers.base import Quantizer, QuantizerError
from keras_hls.quantizers.bounded import QuantizedHSwish, QuantizedSigmoid, QuantizedTanh, QuantizedULaw
from keras_hls.quantizers.powers import QuantizedPo2, QuantizedReLUPo2
from keras_hls.quantizers.relu import QuantizedReLU
from keras_hls.quantizers.sigmoids import InternalSigmoid, chosen_sigmoid
from keras_hls.quantizers.signs import Bernoulli, Binary, StochasticBinary, StochasticTernary, Ternary
from keras_hls.quantizers.uniform import QuantizedBits, QuantizedLinear

#: Every quantizer, by the name of QKeras's class.
QUANTIZERS: dict[str, type[Quantizer]] = {
    kind.name: kind
    for kind in (
        QuantizedBits,
        QuantizedLinear,
        QuantizedReLU,
        QuantizedTanh,
        QuantizedSigmoid,
        QuantizedHSwish,
        QuantizedULaw,
        QuantizedPo2,
        QuantizedReLUPo2,
        Binary,
        Ternary,
        Bernoulli,
        StochasticBinary,
        StochasticTernary,
    )
}

#: A key that only configs of QKeras after 0.9 have.
_NEWER = "post_training_scale"
# Keys of ours that no config can set.
_OURS = frozenset({"newer", "internal_sigmoid"})
# Where QKeras has its quantizers. HGQ2 comes with a package of the same name, whose modules lie deeper and compute otherwise.
_MODULES = ("qkeras", "qkeras.quantizers")
# Characters of a text at most, so that no text takes long to read.
_LONGEST = 10_000


def parse(value: Any, changes: Mapping[str, Any] = MappingProxyType({})) -> Quantizer | None:
    """Return the quantizer that a value of a config says, or that a live quantizer of QKeras is.

    Parameters
    ----------
    value : mapping, str, object or None
        ``{"class_name": ..., "config": {...}}``; a text such as ``"quantized_bits(4, 0, 1, alpha='auto')"``, of which literals
        alone are read; a quantizer of QKeras itself, whose configs leave out some of its parameters; None for none.
    changes : mapping, optional
        Parameters of a live quantizer to take in place of its own: those that its layer sets anew whenever it is called.

    Raises
    ------
    QuantizerError
        If it is none that is known, or has parameters that can't be exact.
    """
    if value is None or isinstance(value, Quantizer):
        return value
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, Mapping):
        return _from_config(value)
    return _from_object(value, changes)


def _known(name: object) -> type[Quantizer]:
    kind = QUANTIZERS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise QuantizerError(
            f"{name!r} is no quantizer of QKeras.{did_you_mean(name, QUANTIZERS)} One of your own can't be exported; take one"
            f" of {', '.join(QUANTIZERS)}"
        )
    return kind


def _made(
    kind: type[Quantizer], args: tuple[Any, ...], given: Mapping[str, Any], sigmoid: InternalSigmoid = "hard"
) -> Quantizer:
    """The quantizer with these arguments; what it doesn't know must be without meaning."""
    names = [f.name for f in fields(kind) if f.name not in _OURS]
    if len(args) > len(names):
        raise QuantizerError(f"{kind.name} takes {len(names)} arguments at most, not {len(args)}")
    known = dict(zip(names, args))
    for key, value in given.items():
        if key in known:
            raise QuantizerError(f"{kind.name} is given {key} twice")
        if key in names:
            known[key] = _plain(value)
        elif value is not None and not (key in kind.neutral and kind.neutral[key] == value):
            raise QuantizerError(
                f"{kind.name} has no argument {key!r}, and {value!r} may mean something.{did_you_mean(key, names)}"
            )
    if _NEWER in given and _has(kind, "newer"):
        known["newer"] = True
    if _has(kind, "internal_sigmoid"):
        known["internal_sigmoid"] = sigmoid
    return kind(**known)


def _has(kind: type[Quantizer], name: str) -> bool:
    return any(f.name == name for f in fields(kind))


def _plain(value: Any) -> Any:
    """A value of a live quantizer as numpy has it: variables and tensors of TensorFlow say it themselves."""
    numpy = getattr(value, "numpy", None)
    return numpy() if callable(numpy) else value


def _from_config(value: Mapping[str, Any]) -> Quantizer:
    kind = _known(value.get("class_name"))
    module, registered = value.get("module"), value.get("registered_name")
    if (module is not None and not _of_qkeras(module)) or str(registered).startswith("hgq"):
        raise QuantizerError(
            f"{kind.name} of {module or registered} isn't that of QKeras, and what it computes isn't known"
        )
    config = value.get("config", {})
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise QuantizerError(f"{kind.name} has no mapping of its arguments, but {config!r}")
    return _made(kind, (), config)


def _of_qkeras(module: object) -> bool:
    return module in _MODULES


def _from_object(value: Any, changes: Mapping[str, Any]) -> Quantizer:
    """A live quantizer: its attributes have the names of its parameters."""
    of = type(value)
    if not _of_qkeras(of.__module__):
        raise QuantizerError(
            f"{value!r} of {of.__module__} is no quantizer of QKeras; one of your own can't be exported"
        )
    kind = _known(of.__name__)
    names = [f.name for f in fields(kind) if f.name not in _OURS]
    given = {name: getattr(value, name) for name in names if hasattr(value, name)}
    sigmoid = chosen_sigmoid(value) if _has(kind, "internal_sigmoid") else "hard"
    return _made(kind, (), {**given, **changes}, sigmoid)


def _from_text(text: str) -> Quantizer:
    if len(text) > _LONGEST:
        raise QuantizerError(f"a quantizer's text has {_LONGEST} characters at most, not {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise QuantizerError(f"{text!r} is no call of a quantizer, such as 'quantized_bits(8, 0, 1)'") from None
    if isinstance(tree, ast.Name):
        return _made(_known(tree.id), (), {})
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise QuantizerError(f"{text!r} is no call of a quantizer, such as 'quantized_bits(8, 0, 1)'")
    kind = _known(tree.func.id)
    given: dict[str, Any] = {}
    for keyword in tree.keywords:
        if keyword.arg is None or keyword.arg in given:
            raise QuantizerError(f"{text!r} must give each argument by one name")
        given[keyword.arg] = _literal(keyword.value, text)
    return _made(kind, tuple(_literal(node, text) for node in tree.args), given)


def _literal(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise QuantizerError(
            f"{text!r} must have numbers, texts, True, False or None as arguments; nothing else is evaluated"
        ) from None
