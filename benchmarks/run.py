"""The command: measures every network with every tool, prints a table and writes a JSON file."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.case import QUICK, CaseRun, Settings
from benchmarks.environment import machine, measure_import, software
from benchmarks.hls4ml_peer import VERSION
from benchmarks.measure import WorkerError
from benchmarks.models import CASES
from benchmarks.table import table


def _all_rows(result: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, model in result["models"].items():
        yield from ((name, row) for row in model.get("measures", {}).values())
    yield from (("import", row) for row in result["import"].values())


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=list(CASES), help="default: all that this environment can run")
    parser.add_argument("--output", type=Path, help="JSON file; default: benchmarks/results/<date>.json")
    parser.add_argument("--repetitions", type=int, help=f"default: {Settings().repetitions}")
    parser.add_argument("--no-peer", action="store_true", help="only keras_hls")
    parser.add_argument("--quick", action="store_true", help="to test the benchmark itself; the figures mean nothing")
    chosen = parser.parse_args(arguments)
    if lacking := _lacking(chosen.models or ()):
        parser.error(f"{lacking}, which this environment lacks; benchmarks/README.md says what to install")
    return chosen


def _lacking(names: Iterable[str]) -> str:
    """Which of some cases need what, where this environment hasn't got it; empty if all can be measured."""
    groups: dict[str, list[str]] = {}
    for name in names:
        if lacks := CASES[name].lacks:
            groups.setdefault(lacks, []).append(name)
    return "; ".join(f"{', '.join(group)} need{'s' * (len(group) == 1)} {lacks}" for lacks, group in groups.items())


def _peer_note(no_peer: bool) -> tuple[bool, str]:
    """Whether the peer takes part, and a sentence if that needs one."""
    if no_peer:
        return False, "hls4ml is left out, as asked for."
    try:
        version = importlib.metadata.version("hls4ml")
    except importlib.metadata.PackageNotFoundError:
        return False, f"hls4ml isn't installed and is left out: pip install hls4ml=={VERSION} da4ml."
    if version != VERSION:
        return True, f"This is hls4ml {version}; the figures to reach were set against {VERSION}."
    return True, ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 if keras_hls failed, else 0. A target that isn't reached is no failure."""
    chosen = _arguments(arguments)
    settings = QUICK if chosen.quick else Settings()
    if chosen.repetitions is not None:
        settings = replace(settings, repetitions=max(chosen.repetitions, 1))
    with_peer, sentence = _peer_note(chosen.no_peer)
    notes = [sentence] if sentence else []
    if lacking := _lacking(CASES if chosen.models is None else ()):
        notes.append(f"Left out, as this environment lacks it: {lacking}.")
    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "quick": chosen.quick,
        "settings": asdict(settings),
        "machine": machine(),
        "software": software(),
        "notes": notes,
        "models": {},
    }
    for note in notes:
        print(note)
    if (busy := result["machine"]["load_before"]) is not None:
        print(f"Load before: {busy:.1f} on {result['machine']['cores']} cores.")
    failed = False
    peer = f"hls4ml {result['software'].get('hls4ml', '')}".strip() if with_peer else "peer"
    shared = measure_import(max(settings.repetitions, 3))
    result["import"] = {row.key: row.to_dict() for row in shared}
    for name in chosen.models or [name for name, case in CASES.items() if not case.lacks]:
        case = CASES[name]
        print(f"\n{name}: {case.about}", flush=True)
        with tempfile.TemporaryDirectory(prefix="keras_hls-benchmark-") as folder:
            run = CaseRun(name, settings, Path(folder), with_peer)
            try:
                run.run()
            except WorkerError as error:
                run.notes.append(f"Stopped: {error.tool} failed: {error}")
                failed = True
        result["models"][name] = {
            "about": case.about,
            **run.about,
            "notes": run.notes,
            "measures": {row.key: row.to_dict() for row in run.rows},
        }
        if run.about:
            print(
                f"{run.about['weights']:,} weights, {run.about['zero_weights']:.0%} of them zero after quantization; accuracy"
                f" in training {run.about['accuracy']:.1%}"
            )
        print("\n" + table(run.rows, peer))
        for note in run.notes:
            print(note)
    print("\nThe package itself\n\n" + table(shared, peer))
    every = {f"{name}: {row['label']}": row["reached"] for name, row in _all_rows(result)}
    missed = [label for label, reached in every.items() if reached is False]
    known = sum(reached is not None for reached in every.values())
    print(
        f"\n{known - len(missed)} of {known} figures reached." + "".join(f"\nNot reached: {label}" for label in missed)
    )
    date = result["date"].replace(":", "").partition("+")[0]
    output = chosen.output or Path(__file__).parent / "results" / f"{date}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nTimes are medians; ratios above 1 are in favour of keras_hls. Written: {output}")
    return int(failed)
