"""Make ``designs.json`` and ``weights.npz`` of a larger collection of records: only what the calibration needs, with sources.

    python -m calibration.pack FOLDER

FOLDER holds ``designs.json`` and the files of weights that its records name.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.records import DESIGNS
from keras_hls.fixed import Fixed, Formats
from keras_hls.fixed.floats import from_float

#: What is kept of a record.
_KEPT = (
    *("id", "design_id", "group", "source", "stage", "reuse_factor", "strategy", "io_type", "mult_impl", "part"),
    *("clock_ns", "est_clock_ns", "tool", "tool_version", "backend", "lut", "ff", "dsp", "bram", "bram_unit", "uram"),
    *("latency_cycles", "latency_cycles_min", "ii", "ii_min", "confidence"),
)
#: Floats of a model whose designs differ in types alone: its names for the layers of the designs.
_FLOATS = {"dense0": "fc1", "dense1": "fc2", "dense2": "fc3", "dense3": "output"}
_NORMALISED = {"bn0": "batch_norm1", "bn1": "batch_norm2", "bn2": "batch_norm3"}


def main(folder: Path) -> None:
    """Write both files beside this one."""
    arrays: dict[str, npt.NDArray[np.int32]] = {}
    records = []
    for record in json.loads((folder / "designs.json").read_text())["designs"]:
        kept = {name: record[name] for name in _KEPT if record.get(name) is not None}
        layers = [{k: v for k, v in layer.items() if k != "wstats"} for layer in record["model"]["layers"]]
        kept["model"] = {"layers": layers}
        if record.get("layers_measured"):
            kept["layers_measured"] = record["layers_measured"]
        if record.get("weights_file"):
            content = json.loads((folder / record["weights_file"]).read_text())
            if "fc1" in content:
                kept["weights"] = _quantized(content, layers, arrays)
            else:
                kept["weights"] = {
                    name: _stored(np.asarray(entry["q"]), entry["type"], arrays) for name, entry in content.items()
                }
        records.append(kept)
    DESIGNS.write_text(json.dumps({"designs": records}, indent=0, separators=(",", ":")) + "\n")
    np.savez_compressed(DESIGNS.with_name("weights.npz"), **arrays)


def _quantized(content: dict[str, Any], layers: list[dict[str, Any]], arrays: dict[str, Any]) -> dict[str, Any]:
    """The integers of a design whose weights are published as floats: cut to its types, as hls4ml does."""
    found = {}
    for layer in layers:
        if layer["name"] in _FLOATS:
            entry = content[_FLOATS[layer["name"]]]
            given = {"w": entry["kernel"], "b": entry["bias"]}
        elif layer["name"] in _NORMALISED:
            entry = content[_NORMALISED[layer["name"]]]
            given = {"s": entry["scale"], "b": entry["bias"]}
        else:
            continue
        for letter, values in given.items():
            to = Formats.of(Fixed.parse(layer["weight_t"]))
            raw = from_float(np.asarray(values, np.float64), to)
            found[f"{letter}_{layer['name']}"] = _stored(raw, layer["weight_t"], arrays)
    return found


def _stored(raw: npt.NDArray[Any], kind: str, arrays: dict[str, Any]) -> dict[str, str]:
    """Where an array is; equal ones are there once."""
    flat = raw.reshape(-1).astype(np.int32)
    name = hashlib.sha256(flat.tobytes()).hexdigest()[:16]
    arrays[name] = flat
    return {"array": name, "type": kind}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
