"""Files of Keras 2 models: .json with weights in .h5, whole .h5, and .keras of Keras 2.12 to 2.15 and tf_keras."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_hls.errors import InvalidModel
from keras_hls.frontends.keras2.saved import Arrays, SavedLayer, SavedModel, shared_out
from keras_hls.frontends.keras2.weight_order import from_tree, parts

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"


def is_saved_model(path: Path) -> bool:
    """Whether a file is one that this module opens: by what is in it, and not by its name alone.

    A .keras file of Keras 3 is none.
    """
    if path.suffix == ".json":
        return True
    head = _head(path)
    return head.startswith(_HDF5) or (head.startswith(_ZIP) and _keras_version(path).startswith("2."))


def open_model(path: Path, weights: Path | None = None) -> SavedModel:
    """Return the model of a file.

    Parameters
    ----------
    path : Path
        Architecture (.json), or a whole model (.h5, .keras).
    weights : Path, optional
        Weights in HDF5 (``model.save_weights("weights.h5")``); needed with a .json, and not taken with a whole model.

    Raises
    ------
    InvalidModel
        If a file is missing, damaged or something else, or the weights don't fit the architecture.
    """
    head = _head(path)
    if head.startswith(_ZIP):
        _no_weights(path, weights)
        return _open_zip(path)
    if head.startswith(_HDF5):
        _no_weights(path, weights)
        return _open_whole(path)
    model = _model(_json(path.read_bytes(), path), f"file {str(path)!r}")
    if weights is None:
        raise InvalidModel(
            f"File {str(path)!r} holds an architecture alone; pass its weights as well: weights='....h5', as"
            " model.save_weights(...) wrote them"
        )
    if not _head(weights).startswith(_HDF5):
        raise InvalidModel(
            f"Weights must be an HDF5 file (.h5), as model.save_weights(...) writes it, not {str(weights)!r}"
        )
    with _hdf5(weights) as file:
        return _with_weights(model, file, f"file {str(weights)!r}")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise InvalidModel(f"File {str(path)!r} can't be read: {error.strerror}") from error


def _no_weights(path: Path, weights: Path | None) -> None:
    if weights is not None:
        raise InvalidModel(f"File {str(path)!r} holds its weights itself; leave out weights={str(weights)!r}")


def _json(data: bytes | str, path: Path) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise InvalidModel(f"File {str(path)!r} isn't a Keras model: its JSON can't be read ({error})") from None


def _model(config: Any, where: str) -> SavedLayer:
    version = str(config.get("keras_version", "")) if isinstance(config, dict) else ""
    if version.startswith("3"):
        raise InvalidModel(
            f"{where[0].upper()}{where[1:]} was written by Keras {version}; save the model as .keras, and load it where Keras 3"
            " is installed"
        )
    model = SavedLayer.of(config, where)
    if not model.is_model:
        raise InvalidModel(
            f"{where[0].upper()}{where[1:]} must hold a Sequential or functional model, not a {model.kind}: the calls inside of"
            " other models are code, which isn't written down"
        )
    return model


def _hdf5(path: Path | io.BytesIO) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        name = "" if isinstance(path, io.BytesIO) else f" {str(path)!r}"
        raise InvalidModel(f"File{name} is damaged: HDF5 can't read it ({error})") from None


def _open_whole(path: Path) -> SavedModel:
    where = f"file {str(path)!r}"
    with _hdf5(path) as file:
        if "model_config" not in file.attrs:
            what = (
                "weights alone; pass the model's .json, and this as weights="
                if "layer_names" in file.attrs
                else "no model"
            )
            raise InvalidModel(f"File {str(path)!r} holds {what}")
        config = _json(file.attrs["model_config"], path)
        # The version stands beside the config here.
        version = _text(file.attrs.get("keras_version", ""))
        return _with_weights(
            _model({"keras_version": version, **config}, where), _member(file, "model_weights", where), where
        )


def _with_weights(model: SavedLayer, group: Any, where: str) -> SavedModel:
    if _text(group.attrs.get("backend", "")) in ("theano", "cntk"):
        raise InvalidModel(f"Weights in {where} were trained with {_text(group.attrs['backend'])}, which flips kernels")
    names = _strings(group, "layer_names")
    if names is None:
        if "layers" in group or "_layer_checkpoint_dependencies" in group:
            return SavedModel(where, model, _by_class(model, group, where))
        raise InvalidModel(f"Weights in {where} aren't those of a Keras model")
    expected = {layer.name for layer in model.layers(where)}
    groups = {name: _member(group, name, where) for name in names}
    if missing := sorted(name for name in names if _strings(groups[name], "weight_names") and name not in expected):
        raise InvalidModel(
            f"Weights don't fit the architecture: {where} has weights of layer {missing[0]!r}, which the model doesn't have"
        )
    arrays = {
        name: [_array(groups[name], weight, where) for weight in _strings(groups[name], "weight_names") or ()]
        for name in names
    }
    return SavedModel(where, model, shared_out(model, arrays, where))


def _member(group: Any, name: str, where: str) -> Any:
    """A group or a dataset of a group."""
    if name not in group:
        raise InvalidModel(f"Weights in {where} are damaged: {group.name.rstrip('/')}/{name} isn't there")
    return group[name]


def _array(group: Any, name: str, where: str) -> Any:
    """The numbers of a dataset of a group."""
    found = _member(group, name, where)
    if not hasattr(found, "dtype"):
        raise InvalidModel(f"Weights in {where} are damaged: {found.name} holds no numbers")
    try:
        return np.asarray(found)
    except OSError as error:
        raise InvalidModel(f"Weights in {where} are damaged: {found.name} can't be read ({error})") from None


def _strings(group: Any, key: str) -> list[str] | None:
    """A list of strings among attributes, which Keras cuts into pieces where it is too long for one."""
    if key in group.attrs:
        return [_text(value) for value in group.attrs[key]]
    pieces = [group.attrs[f"{key}{i}"] for i in range(len(group.attrs)) if f"{key}{i}" in group.attrs]
    return [_text(value) for piece in pieces for value in piece] if pieces else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _keras_version(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return ""


def _open_zip(path: Path) -> SavedModel:
    where = f"file {str(path)!r}"
    version = _keras_version(path)
    if not version.startswith("2."):
        raise InvalidModel(
            f"File {str(path)!r} isn't a .keras file of Keras 2" + (f", but of Keras {version}" if version else "")
        )
    with zipfile.ZipFile(path) as archive:
        try:
            config, weights = archive.read("config.json"), archive.read("model.weights.h5")
        except (KeyError, zipfile.BadZipFile):
            raise InvalidModel(f"File {str(path)!r} is damaged: it lacks its config or its weights") from None
    model = _model({"keras_version": version, **_json(config, path)}, where)
    with _hdf5(io.BytesIO(weights)) as file:
        return SavedModel(where, model, _by_class(model, file, where))


def _by_class(model: SavedLayer, group: Any, where: str) -> Mapping[str, Arrays]:
    """Weights from the tree of a .keras file, which names layers by their classes and counts them."""
    found: dict[str, Arrays] = {}

    def walk(owner: SavedLayer, place: Any, scope: str) -> None:
        layers: Any = next((place[key] for key in ("layers", "_layer_checkpoint_dependencies") if key in place), {})
        counts: Counter[str] = Counter()
        for layer in owner.layers(where):
            base = _snake_case(layer.kind)
            key = f"{base}_{counts[base]}" if counts[base] else base
            counts[base] += 1
            if layer.is_model:
                if key in layers:
                    walk(layer, layers[key], f"{scope}{layer.name}/")
                continue
            own = layers.get(key, {})
            places = [own, *(own[part] for part in parts(layer) if part in own)]
            arrays = [array for each in places for array in _numbered(each, where)]
            found[f"{scope}{layer.name}"] = from_tree(layer, arrays)

    walk(model, group, "")
    return found


def _numbered(place: Any, where: str) -> list[Any]:
    """The arrays of one layer of a tree."""
    own = place.get("vars", {})
    return [_array(own, str(i), where) for i in range(len(own))]


def _snake_case(name: str) -> str:
    """A class's name as Keras writes it in paths: "QConv2D" is "q_conv2d"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def model_of(config: Any, weights: Mapping[str, Sequence[Any]], where: str) -> SavedModel:
    """Return a model from its config, and the arrays of all of its layers by full name."""
    return SavedModel(where, _model(config, where), weights)
