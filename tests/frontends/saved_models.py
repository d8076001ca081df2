"""Keras 2 models as files, written here as Keras wrote them, without it."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np

RNG = np.random.default_rng(0)


def layer(kind, name, config=None, calls=None, **more):
    """One entry of a config; `calls` lists the names that each call takes."""
    entry = {"class_name": kind, "config": {"name": name, "trainable": True, **(config or {})}, "name": name, **more}
    if calls is not None:
        addresses = [[source if isinstance(source, tuple) else (source, 0, 0) for source in call] for call in calls]
        entry["inbound_nodes"] = [[[*address, {}] for address in call] for call in addresses]
    return entry


def dense(name, units, calls=None, **config):
    return layer(
        "Dense", name, {"units": units, "use_bias": True, "activation": "linear", "dtype": "float32", **config}, calls
    )


def given(name, *shape):
    return layer("InputLayer", name, {"batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False}, [])


def functional(layers, inputs, outputs, name="net", kind="Functional"):
    def addresses(names):
        return [list(n) if isinstance(n, tuple) else [n, 0, 0] for n in names]

    config = {"name": name, "layers": layers, "input_layers": addresses(inputs), "output_layers": addresses(outputs)}
    return {"class_name": kind, "config": config, "keras_version": "2.11.0", "backend": "tensorflow"}


def sequential(*layers, name="net"):
    return {
        "class_name": "Sequential",
        "config": {"name": name, "layers": list(layers)},
        "keras_version": "2.4.0",
        "backend": "tensorflow",
    }


def write_weights(group, weights, limit=None):
    """Write arrays by outermost layer as Keras does, the names cut into pieces of `limit` if given."""
    names = list(weights)
    group.attrs["backend"], group.attrs["keras_version"] = "tensorflow", "2.11.0"
    if limit is None:
        group.attrs["layer_names"] = [name.encode() for name in names]
    else:
        for piece in range(-(-len(names) // limit)):
            group.attrs[f"layer_names{piece}"] = [n.encode() for n in names[piece * limit : (piece + 1) * limit]]
    for name, arrays in weights.items():
        own = group.create_group(name)
        # No name says what a weight is: its place does.
        labels = [f"{name}/bias_kernel_{i}:0" for i in range(len(arrays))]
        own.attrs["weight_names"] = [label.encode() for label in labels]
        for label, array in zip(labels, arrays):
            own[label] = array


def save(folder, model, weights, **kwargs):
    """Write a .json and its .h5; return both paths."""
    (folder / "net.json").write_text(json.dumps(model))
    with h5py.File(folder / "net.h5", "w") as file:
        write_weights(file, weights, **kwargs)
    return folder / "net.json", folder / "net.h5"


def save_whole(path, model, weights):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(model), "2.11.0"
        write_weights(file.create_group("model_weights"), weights)
    return path


def save_zip(path, model, tree, version="2.15.0"):
    """Write a .keras file of Keras 2; `tree` holds arrays by the paths of their lists."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for place, arrays in tree.items():
            for i, array in enumerate(arrays):
                file[f"{place}/vars/{i}"] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", data.getvalue())
    return path


def numbers(*shape):
    """Numbers that few bits hold, so that types of 16 bits lose nothing."""
    return (RNG.integers(-8, 9, shape) / 8).astype("float32")


def samples(*shape, count=50):
    return (RNG.integers(-16, 17, (count, *shape)) / 16).astype("float32")
