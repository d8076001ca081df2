"""The cost model against published reports: ``python -m benchmarks.cost``.

For each design whose weights are known: what the cost model says, with the coefficients as they are shipped and with ones that
were fitted without the design's source, against what the reports say. Ours reads the weights of a network; learned
estimators, which are compared where they are installed, see the sizes of its layers alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import rule4ml_peer
from calibration.built import Built, built
from calibration.fit import laws_of, layer_samples, shared, total_samples
from calibration.records import DESIGNS, designs
from keras_hls.cost.coefficient_files import PREDICTED, coefficients
from keras_hls.cost.fit import FITTED, fitted
from keras_hls.cost.pricing import figure, interval
from keras_hls.text_table import text_table

Floats = npt.NDArray[np.float64]
FIGURES = ("lut", "ff", "dsp", "bram")
CYCLES = ("latency_cycles", "ii")


@dataclass(frozen=True)
class Pair:
    """One figure of one design, estimated and published.

    Attributes
    ----------
    design, source, strategy, stage, name : str
        `name` is the figure.
    plain : bool
        Whether the design is neither a stream nor recurrent.
    truth, shipped, apart : float
        Published; estimated as shipped; estimated by coefficients that were fitted without the source.
    inside : bool
        Whether the truth is within the 80 % interval around `apart`.
    """

    design: str
    source: str
    strategy: str
    stage: str
    name: str
    plain: bool
    truth: float
    shipped: float
    apart: float
    inside: bool


def pairs(every: Sequence[Built], known: Sequence[Built]) -> list[Pair]:
    """Return a pair for each figure of each design.

    Parameters
    ----------
    every : sequence of Built
        The designs to be estimated.
    known : sequence of Built
        Those that the coefficients are fitted to; of each source all are left out together.
    """
    return [pair for stage in PREDICTED for pair in _stage(stage, every, known)]


def _stage(stage: str, every: Sequence[Built], known: Sequence[Built]) -> list[Pair]:
    told = [each for each in every if each.design.stage == stage and each.whole]
    learned = [each for each in known if each.design.stage == stage]
    laws = laws_of(stage)
    found = []
    for source in {each.design.source for each in told}:
        others = [each for each in learned if each.design.source != source]
        apart = {
            name: fitted(shared(layer_samples(others, name) + total_samples(others, name)), laws[name], name)
            for name in FITTED
        }
        for each in told:
            if each.design.source == source:
                found += _design(each, stage, apart)
    return found


def _design(each: Built, stage: str, apart: Mapping[str, Mapping[str, float]]) -> list[Pair]:
    chosen = coefficients(each.design.tool)
    guesses: dict[str, tuple[float, float]] = {}
    for name in FIGURES:
        ours = figure(each.amounts, chosen.weights[stage][name])
        guesses[name] = ours, figure(each.amounts, apart[name]) if name in apart else ours
    if stage == "csynth":
        guesses["latency_cycles"] = (float(each.latency),) * 2
        guesses["ii"] = (float(each.interval),) * 2
    spreads = chosen.spreads[stage]["total"]
    pairs = []
    for name, (ours, other) in guesses.items():
        truth = each.design.figure(name)
        if truth is not None:
            low, high = interval(other, spreads[name])
            design = each.design
            strategy = str(design.record.get("strategy"))
            within = low <= truth <= high
            pairs.append(
                Pair(design.name, design.source, strategy, stage, name, each.plain, truth, ours, other, within)
            )
    return pairs


def measures(chosen: Sequence[Pair], of: Callable[[Pair], float]) -> dict[str, float]:
    """Return how far estimates are off.

    Returns
    -------
    dict
        "designs"; "MAPE", "median" and "SMAPE" as shares, where the truth isn't 0; "Spearman" (rank correlation); "exact" and
        "inside", shares of all.
    """
    truth, guess = np.array([pair.truth for pair in chosen]), np.array([of(pair) for pair in chosen])
    there = truth > 0
    relative = np.abs(guess[there] / truth[there] - 1)
    both = np.abs(guess - truth) / np.maximum((np.abs(guess) + np.abs(truth)) / 2, 1e-9)
    return {
        "designs": len(truth),
        "MAPE": float(relative.mean()) if there.any() else 0.0,
        "median": float(np.median(relative)) if there.any() else 0.0,
        "SMAPE": float(both.mean()),
        "Spearman": spearman(guess, truth),
        "exact": float((np.round(guess) == truth).mean()),
        "inside": float(np.mean([pair.inside for pair in chosen])),
    }


def spearman(first: Floats, second: Floats) -> float:
    """Return the rank correlation, equal values sharing their mean rank; NaN if either is constant."""
    ranks = [_ranks(each) for each in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: Floats = (ends - (counts - 1) / 2)[place]
    return mean


def report(found: Sequence[Pair], of: Callable[[Pair], float]) -> str:
    """Return a table with a row for each stage and figure: all designs, then each source, then each strategy."""
    rows = []
    for stage in PREDICTED:
        for name in (*FIGURES, *CYCLES):
            here = [pair for pair in found if (pair.stage, pair.name) == (stage, name)]
            groups: list[tuple[str, list[Pair]]] = [("all", here)]
            groups.append(("parallel, feed-forward", [pair for pair in here if pair.plain]))
            for key in sorted({pair.source for pair in here}):
                groups.append((key, [pair for pair in here if pair.source == key]))
            for key in sorted({pair.strategy for pair in here}):
                groups.append((key, [pair for pair in here if pair.strategy == key]))
            rows += [_row(stage, name, group, measures(chosen, of)) for group, chosen in groups if chosen]
    head = ("Stage", "Figure", "Designs", "", "MAPE", "Median", "SMAPE", "Spearman", "Exact", "In 80 %")
    return text_table(head, rows, left=(0, 1, 2))


def _row(stage: str, name: str, group: str, found: Mapping[str, float]) -> tuple[str, ...]:
    shares = (f"{found[key]:.1%}" for key in ("MAPE", "median", "SMAPE"))
    rank = "" if np.isnan(found["Spearman"]) else f"{found['Spearman']:.3f}"
    return (
        stage,
        name,
        group,
        f"{found['designs']:.0f}",
        *shares,
        rank,
        f"{found['exact']:.0%}",
        f"{found['inside']:.0%}",
    )


def beside(found: Sequence[Pair], theirs: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of ours, fitted without the source, beside a learned estimator's, on the designs that both tell.

    Parameters
    ----------
    found : sequence of Pair
    theirs : mapping
        By design and figure, of stage csynth.
    """
    rows = []
    for name in (*FIGURES, *CYCLES):
        both = [each for each in found if (each.stage, each.name) == ("csynth", name) and each.design in theirs]
        if both:
            sides = measures(both, lambda pair: pair.apart), measures(both, lambda pair: theirs[pair.design][pair.name])
            cells = [f"{side[key]:.1%}" for key in ("MAPE", "median", "SMAPE") for side in sides]
            ranks = [f"{side['Spearman']:.3f}" for side in sides]
            rows.append((name, str(len(both)), *cells, *ranks))
    measured = ("MAPE", "Median", "SMAPE", "Spearman")
    head = ("Figure", "Designs", *(f"{each}, {who}" for each in measured for who in ("ours", "rule4ml")))
    return text_table(head, rows, left=(0,))


def plot(found: Sequence[Pair], path: Path) -> None:
    """Write a scatter plot of estimate against truth, of LUTs and flip-flops at both stages; needs matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "keras_hls"
    from matplotlib import pyplot

    canvas, axes = pyplot.subplots(2, 2, figsize=(9, 9))
    for axis, (stage, name) in zip(axes.flat, [(s, n) for n in FITTED for s in PREDICTED], strict=True):
        here = [pair for pair in found if (pair.stage, pair.name) == (stage, name)]
        for source in sorted({pair.source for pair in here}):
            chosen = [pair for pair in here if pair.source == source]
            axis.scatter([p.truth for p in chosen], [p.apart for p in chosen], label=source, s=18, alpha=0.8)
        ends = [min(pair.truth for pair in here) / 2, max(pair.truth for pair in here) * 2]
        axis.plot(ends, ends, color="grey", linewidth=0.8)
        axis.set(xscale="log", yscale="log", xlabel="published", ylabel="estimated, source left out")
        axis.set_title(f"{name.upper()}, {stage}")
        axis.legend(fontsize=6)
    canvas.tight_layout()
    canvas.savefig(path, metadata={"Date": None})
    pyplot.close(canvas)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--designs", type=Path, default=DESIGNS, help="records of the form of calibration/designs.json")
    parser.add_argument("--output", type=Path, help="JSON file of every pair")
    parser.add_argument("--plot", type=Path, help="SVG file, needs matplotlib")
    chosen = parser.parse_args(arguments)
    known = [built(design) for design in designs() if design.weights]
    every = known if chosen.designs == DESIGNS else [built(d) for d in designs(chosen.designs) if d.weights]
    found = pairs(every, known)
    left = sorted({each.design.name for each in every if not each.whole})
    print(
        "Factors of LUT and FF fitted without the source of the design that is estimated. The rules, which alone give"
    )
    print("DSP, BRAM, latency and II, were chosen with all designs of calibration/ in view:\n")
    print(report(found, lambda pair: pair.apart))
    print("\nCoefficients as shipped:\n")
    print(report(found, lambda pair: pair.shipped))
    if rule4ml_peer.is_installed():
        print("\nBeside rule4ml, at csynth. Ours reads the weights; rule4ml sees the sizes of layers, and no weight:\n")
        print(beside(found, rule4ml_peer.figures(each.design for each in every)))
    else:
        print("\nrule4ml isn't installed, so that nothing is compared with it.")
    if left:
        print(f"\nNot estimated, since a layer of theirs can't be told: {', '.join(left)}.")
    if chosen.output:
        content: list[dict[str, Any]] = [pair.__dict__ for pair in found]
        chosen.output.write_text(json.dumps(content, indent=1) + "\n")
    if chosen.plot:
        plot(found, chosen.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
