"""Published designs: what was synthesised, and what the reports said.

The records of ``designs.json`` in this folder, and any other file of that form: for each design its layers with shapes and
types, tool, part and clock, its source, and the figures at one stage, of the whole and of its modules. ``weights.npz`` holds the
integers that the weights are made of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent
DESIGNS = HERE / "designs.json"

#: Stages as the records say them, and as keras_hls does: what is after logic synthesis, and after placement, must fit.
STAGES = {"csynth": "csynth", "vsynth": "impl", "pnr": "impl"}


@dataclass(frozen=True, eq=False)
class Module:
    """What a report says of one module.

    Attributes
    ----------
    layer : str
    lut, ff, dsp : int
    bram : int or None
        Blocks of 18 kbit.
    latency, ii : int or None
        Cycles; the larger where a report says two.
    """

    layer: str
    lut: int
    ff: int
    dsp: int
    bram: int | None
    latency: int | None
    ii: int | None


@dataclass(frozen=True, eq=False)
class Design:
    """One design at one stage.

    Attributes
    ----------
    record : Mapping
        As the file has it.
    weights : Mapping of str to int array
        By name; empty where they aren't known.
    types : Mapping of str to str
        Of the weights.
    """

    record: Mapping[str, Any]
    weights: Mapping[str, npt.NDArray[np.int64]]
    types: Mapping[str, str]

    @property
    def name(self) -> str:
        return str(self.record["id"])

    @property
    def source(self) -> str:
        """The repository: what is left out together when errors are told."""
        return str(self.record["group"])

    @property
    def stage(self) -> str:
        return STAGES[self.record["stage"]]

    @property
    def tool(self) -> str:
        """The family of the HLS tool that the design went through."""
        backend = str(self.record.get("backend") or "")
        return "Vitis HLS" if "Vitis" in str(self.record["tool"]) or backend == "Vitis" else "Vivado HLS"

    @property
    def part(self) -> str:
        return str(self.record["part"]).split(" ")[0]

    @property
    def layers(self) -> list[dict[str, Any]]:
        return list(self.record["model"]["layers"])

    @property
    def streams(self) -> bool:
        return self.record["io_type"] == "io_stream"

    def figure(self, name: str) -> int | None:
        """Return "lut", "ff", "dsp", "bram" (of 18 kbit), "latency_cycles" or "ii" of the whole."""
        value = self.record.get(name)
        if value is None:
            return None
        if name == "bram" and self.record.get("bram_unit") == "BRAM36":
            value *= 2
        return int(value)

    @cached_property
    def modules(self) -> dict[str, Module]:
        """By layer; those that belong to no layer, or to one with several, aren't there."""
        found: dict[str, Module | None] = {}
        for each in self.record.get("layers_measured") or ():
            name = each.get("layer")
            if name:
                module = Module(
                    name,
                    each["lut"],
                    each["ff"],
                    each["dsp"],
                    each.get("bram18"),
                    each.get("latency_max"),
                    each.get("ii_max"),
                )
                found[name] = None if name in found else module
        return {name: module for name, module in found.items() if module is not None}


def designs(path: Path = DESIGNS) -> list[Design]:
    """Read a file of records; their weights are in ``weights.npz`` beside it, or in the JSON files that they name."""
    data = json.loads(path.read_text(encoding="utf-8"))["designs"]
    packed = path.parent / "weights.npz"
    arrays = dict(np.load(packed)) if packed.exists() else {}
    return [_design(record, path.parent, arrays) for record in data]


def _design(record: Mapping[str, Any], folder: Path, arrays: Mapping[str, npt.NDArray[np.int64]]) -> Design:
    if "weights" in record:
        named = record["weights"]
        return Design(
            record,
            {name: arrays[entry["array"]].astype(np.int64) for name, entry in named.items()},
            {name: entry["type"] for name, entry in named.items()},
        )
    file = record.get("weights_file")
    if not file:
        return Design(record, {}, {})
    content = json.loads((folder / file).read_text(encoding="utf-8"))
    whole = {name: entry for name, entry in content.items() if isinstance(entry, dict) and "q" in entry}
    return Design(
        record,
        {name: np.asarray(entry["q"], np.int64).reshape(-1) for name, entry in whole.items()},
        {name: entry["type"] for name, entry in whole.items()},
    )
