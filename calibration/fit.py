"""Refit the coefficients of the cost model to the published designs, and write them to the package.

    python -m calibration.fit

Every coefficient starts at its law (the "law" of its entry). What a user calibrates starts at what this writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.built import Built, built
from calibration.records import designs
from keras_hls.cost.coefficient_files import PREDICTED
from keras_hls.cost.devices import RESOURCES
from keras_hls.cost.fit import FITTED, SMALL, Sample, fitted, left_out, spread
from keras_hls.cost.pricing import figure

Floats = npt.NDArray[np.float64]
#: What each source counts as, in samples: a repository of fifty alike designs says no more than one of five.
SOURCE = 12.0
FOLDER = Path(str(files("keras_hls.cost"))) / "coefficients"
TOOLS = ("vivado_hls.json", "vitis_hls.json")


def main() -> None:
    """Write both files."""
    results = fit()
    for name in TOOLS:
        data = json.loads((FOLDER / name).read_text())
        (FOLDER / name).write_text(json.dumps(refitted(data, results), indent=1) + "\n")
    _print(results)


def fit() -> dict[str, Any]:
    """Return for each stage the weights, spreads and errors that follow from the published designs."""
    every = [built(design) for design in designs() if design.weights]
    return {stage: _stage(stage, [each for each in every if each.design.stage == stage]) for stage in PREDICTED}


def refitted(data: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a file of coefficients with what `fit` returned."""
    data = deepcopy(data)
    for stage, result in results.items():
        entry = data["stages"][stage]
        for name, weights in result["weights"].items():
            for key, value in weights.items():
                entry[name][key]["value"] = value
        entry["spread"], entry["errors"], entry["fitted on"] = result["spread"], result["errors"], result["designs"]
    return data


def _stage(stage: str, every: Sequence[Built]) -> dict[str, Any]:
    laws = laws_of(stage)
    weights, spreads, errors = {}, {"layer": {}, "total": {}}, {}
    for name in FITTED:
        layers, totals = layer_samples(every, name), total_samples(every, name)
        samples = shared(layers + totals)
        weights[name] = {key: float(f"{value:.4g}") for key, value in fitted(samples, laws[name], name).items()}
        apart = left_out(samples, laws[name], name)
        inside = np.array([figure(s.amounts, weights[name]) for s in samples])
        truth = np.array([s.truth for s in samples])
        plain = np.array([s.plain for s in samples])
        level = np.array(["layer"] * len(layers) + ["total"] * len(totals))
        for each in ("layer", "total"):
            part = (level == each) & plain
            if part.any():
                share = np.array([s.share for s in shared([s for s, there in zip(samples, part) if there])])
                spreads[each][name] = spread(apart[part], truth[part], share, SMALL[name])
            for what, chosen in (("", part), (" (all)", level == each)):
                if chosen.any():
                    errors[f"{name}, {each}{what}"] = {
                        "in-sample": _errors(inside[chosen], truth[chosen]),
                        "source left out": _errors(apart[chosen], truth[chosen]),
                    }
        spreads["layer"].setdefault(name, spreads["total"][name])
    _laws(every, laws, spreads, errors)
    return {
        "weights": weights,
        "spread": {
            level: {key: [round(x, 3) for x in ends] for key, ends in entry.items()} for level, entry in spreads.items()
        },
        "errors": errors,
        "designs": sorted({each.design.name for each in every}),
    }


def _laws(every: Sequence[Built], laws: dict[str, Any], spreads: dict[str, Any], errors: dict[str, Any]) -> None:
    """How far the figures are off that follow from rules alone.

    The rules were chosen by looking at these same designs, so that this is an in-sample error: no source was left out.
    """
    of: dict[str, Callable[[Built], float]] = {
        "dsp": lambda each: figure(each.amounts, laws["dsp"]),
        "bram": lambda each: figure(each.amounts, laws["bram"]),
        "latency_cycles": lambda each: each.latency,
        "ii": lambda each: each.interval,
    }
    for name, guess in of.items():
        told = [each for each in every if each.whole and each.plain and each.design.figure(name) is not None]
        truth = np.array([float(each.design.figure(name) or 0) for each in told])
        estimate = np.array([guess(each) for each in told])
        share = np.array([s.share for s in shared([Sample({}, 0, each.design.source) for each in told])])
        ends = spread(estimate, truth, share, 2.0)
        for level in spreads:
            spreads[level][name] = ends
        errors[f"{name}, total"] = {"rules chosen on these designs": _errors(estimate, truth)}
    for level in spreads:
        spreads[level]["uram"] = spreads[level]["bram"]


def laws_of(stage: str) -> dict[str, dict[str, float]]:
    """Return what one of each ingredient counts before anything is fitted: by figure."""
    start = json.loads((FOLDER / TOOLS[0]).read_text())["stages"][stage]
    return {name: {key: entry["law"] for key, entry in start[name].items()} for name in RESOURCES}


def layer_samples(every: Sequence[Built], name: str) -> list[Sample]:
    """Return a sample for each module that is one layer."""
    found = []
    for each in every:
        if each.design.stage != "csynth":
            # Logic synthesis moves hardware between modules.
            continue
        for layer, module in each.design.modules.items():
            if layer in each.layers:
                found.append(
                    Sample(each.layers[layer].amounts, getattr(module, name), each.design.source, plain=each.plain)
                )
    return found


def total_samples(every: Sequence[Built], name: str) -> list[Sample]:
    """Return a sample for each design all of whose layers can be told."""
    told = [(each, each.design.figure(name)) for each in every if each.whole]
    return [
        Sample(each.amounts, truth, each.design.source, plain=each.plain) for each, truth in told if truth is not None
    ]


def shared(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with shares such that every source counts the same."""
    counts: dict[str, int] = {}
    for sample in samples:
        counts[sample.source] = counts.get(sample.source, 0) + 1
    return [replace(sample, share=SOURCE / counts[sample.source]) for sample in samples]


def _errors(estimate: Floats, truth: Floats) -> dict[str, Any]:
    there = truth > 0
    relative = np.abs(estimate[there] / truth[there] - 1)
    return {
        "samples": len(truth),
        "MAPE": round(float(relative.mean()), 3),
        "median": round(float(np.median(relative)), 3),
    }


def _print(results: dict[str, Any]) -> None:
    for stage, result in results.items():
        print(stage)
        for what, errors in result["errors"].items():
            print(f"  {what}: {errors}")
        for level, entry in result["spread"].items():
            print(f"  80 % of {level}: {entry}")
        for name, weights in result["weights"].items():
            print(f"  {name}: {weights}")


if __name__ == "__main__":
    main()
