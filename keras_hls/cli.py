"""The command ``keras-hls``: what the package's face does, for models in files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras_hls
from keras_hls.errors import HLSError, InvalidData, InvalidOption, UnsupportedModel

#: What an input is taken for if neither the model nor the user says: hls4ml's default.
_INPUT = "fixed<16, 6>"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        0; 1 if a model, an option or a file is refused, with the reason on the standard error; 2 for a wrong command line.
    """
    parser = _parser()
    chosen = vars(parser.parse_args(arguments))
    command = chosen.pop("command")
    try:
        return _COMMANDS[command](**chosen)
    except HLSError as error:
        print(f"keras-hls: {error}", file=sys.stderr)
        return 1


def _export(
    model: str, folder: str, calibration: str | None, verify: str | None, no_verify: bool, **options: Any
) -> int:
    samples = False if no_verify else _samples(verify, "--verify") if verify else True
    project = _with_inputs(
        lambda **given: keras_hls.export_hls(model, folder, verify=samples, **given), calibration, options
    )
    print(project.estimate)
    if project.verification is not None:
        print(f"\n{project.verification}")
    print(f"\nWritten: {project.directory}")
    return 0


def _estimate(model: str, calibration: str | None, stage: str | None, **options: Any) -> int:
    found = _with_inputs(lambda **given: keras_hls.estimate(model, **given), calibration, options)
    print(found if stage is None else found.at(stage))
    return 0


def _calibrate(reports: list[str], output: str, start: str | None) -> int:
    print(keras_hls.calibrate(reports, output=output, start=start))
    print(f"\nWritten: {output}; use it with --coefficients {output}, or coefficients={output!r}")
    return 0


def _reports(folder: str, stage: str | None) -> int:
    found = keras_hls.read_reports(folder)
    print(found if stage is None else found.at(stage))
    return 0


def _check(model: str, calibration: str | None, **options: Any) -> int:
    found = _with_inputs(lambda **given: keras_hls.check(model, **given), calibration, options)
    print(found)
    return 0 if found.ok else 1


def _with_inputs(call: Callable[..., Any], calibration: str | None, options: dict[str, Any]) -> Any:
    """Call with the options that were given, and with hls4ml's default type for inputs if theirs are all that is missing.

    A file has no samples that would tell an input's type; every weight and value behind it stays the model's own.
    """
    given = {"calibration": _samples(calibration, "--calibration"), **_given(options)}
    try:
        found = call(**given)
        missing = getattr(found, "inputs", ())
    except UnsupportedModel as error:
        missing = error.inputs
        if not missing or "precision" in given:
            raise
    if not missing or "precision" in given:
        return found
    names = ", ".join(map(repr, missing))
    print(
        f"keras-hls: Nothing says the type of {names}: taken as {_INPUT}, which holds -32 to 32 in steps of 1/1024."
        " Choose another with --precision, or give --calibration samples.",
        file=sys.stderr,
    )
    return call(**given, precision={name: {"result": _INPUT} for name in missing})


_COMMANDS: dict[str, Callable[..., int]] = {
    "export": _export,
    "estimate": _estimate,
    "check": _check,
    "calibrate": _calibrate,
    "reports": _reports,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-hls", description="Keras models to HLS C++, bit for bit, and their cost."
    )
    parser.add_argument("--version", action="version", version=f"keras-hls {keras_hls.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    export = commands.add_parser("export", help="write an HLS project, and prove it by C-simulation")
    estimate = commands.add_parser("estimate", help="what a model would cost")
    check = commands.add_parser("check", help="what will be exact, and what would be refused")
    for command in (export, estimate, check):
        command.add_argument("model", help=".keras, whole .h5, or the .json of a Keras 2 model")
        if command is export:
            command.add_argument("folder", help="of the project; replaced only if it is a project of keras_hls")
        command.add_argument("--weights", metavar="FILE", help="the .h5 with the weights of a .json")
        command.add_argument(
            "--calibration", metavar="FILE", help="samples (.npy, .npz) for types where the model says none"
        )
        command.add_argument("--part", help="device, as Vivado names it")
        command.add_argument("--clock-period", type=float, metavar="NS")
        command.add_argument("--strategy", help="Latency or Resource")
        command.add_argument("--reuse-factor", type=int, metavar="N")
        command.add_argument("--bits", type=int, metavar="N", help="of types that follow from calibration samples")
        command.add_argument(
            "--max-error", type=float, metavar="X", help="instead of --bits: how far outputs may be off"
        )
        command.add_argument("--precision", metavar="TYPE", help='of layers without quantizers, as "fixed<16,6>"')
        command.add_argument("--softmax", help="host or hardware")
        command.add_argument(
            "--coefficients", metavar="TOOL|FILE", help='"Vitis HLS", "Vivado HLS", or what calibrate has written'
        )
        command.add_argument("--hls-config", metavar="FILE", type=_json, help="a config of hls4ml, as JSON")
    estimate.add_argument("--stage", help="csynth (the report of C synthesis) or impl (placed; the default)")
    calibrate = commands.add_parser("calibrate", help="refit the estimate to projects that were synthesised")
    calibrate.add_argument("reports", nargs="+", metavar="PROJECT", help="folder of a project with its reports")
    calibrate.add_argument("-o", "--output", required=True, metavar="FILE", help="JSON file for --coefficients")
    calibrate.add_argument(
        "--start", metavar="TOOL|FILE", help="coefficients to start from; default: those of the tool"
    )
    reports = commands.add_parser("reports", help="what a project's synthesis reports say")
    reports.add_argument("folder", help="a project, or a folder of the tool")
    reports.add_argument("--stage", help="csynth, synth or impl")
    export.add_argument("--project-name", metavar="NAME", help="of the top function")
    export.add_argument(
        "--verify", metavar="FILE", help="samples (.npy, .npz) to verify with; by default those of --calibration"
    )
    export.add_argument("--no-verify", action="store_true", help="write only")
    return parser


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _json(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{path!r} can't be read as JSON: {error}") from None


def _samples(path: str | None, option: str) -> Any:
    """Samples of a file: one array of an .npy; those of an .npz by the names of inputs, or one alone."""
    if path is None:
        return None
    import numpy as np

    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidData(
            f"{option} must be a file of samples (.npy, .npz): {path!r} can't be read ({error})"
        ) from None
    if isinstance(found, np.ndarray):
        return found
    arrays = dict(found)
    if not arrays:
        raise InvalidOption(f"{option}: {path!r} holds no arrays")
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
