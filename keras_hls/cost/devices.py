"""The FPGA devices: what a part name means, and how much the silicon of the part holds.

The figures are data, in ``devices.csv`` beside this file: a row a device, with the source of its figures. A new device
is a new row.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from keras_hls.errors import InvalidOption

#: What limits a design: what a device has of it, and what is predicted and reported.
RESOURCES = ("lut", "ff", "dsp", "bram", "uram")


@dataclass(frozen=True)
class Device:
    """What one FPGA holds: the whole chip, before any shell or static region takes its share.

    Attributes
    ----------
    name : str
        The device as Vivado names it, in lower case and without package or speed grade: ``"xcvu13p"``.
    part : str
        The part as the user gave it: ``"xcvu13p-flga2577-2-e"``.
    family : str
        The architecture: ``"7-series"``, ``"Zynq-7000"``, ``"UltraScale"``, ``"UltraScale+"`` or ``"Versal"``.
    lut : int
        The number of 6-input look-up tables. Vendors also count "system logic cells", which are more.
    ff : int
        The number of flip-flops of the logic blocks.
    dsp : int
        The number of DSP blocks (DSP48E1, DSP48E2 or DSP58, by family).
    bram18 : int
        The number of block RAMs of 18 kbit; a 36-kbit block RAM counts twice.
    uram : int
        The number of UltraRAMs of 288 kbit.
    speed_grade : int or None
        1 (slowest) to 3 (fastest), or ``None`` if the part does not say.
    source : str
        Where the figures come from.
    series : str
        The product line: ``"Artix-7"``, ``"Zynq UltraScale+ RFSoC"``, ``"Alveo"``.
    """

    name: str
    part: str
    family: str
    lut: int
    ff: int
    dsp: int
    bram18: int
    uram: int
    speed_grade: int | None
    source: str
    series: str = ""

    @property
    def resources(self) -> dict[str, int]:
        """What it has of each of `RESOURCES`."""
        return {"lut": self.lut, "ff": self.ff, "dsp": self.dsp, "bram": self.bram18, "uram": self.uram}


def device(part: str) -> Device:
    """Look up the device of a part.

    Case does not matter. These all name the same device: ``xcvu13p-flga2577-2-e``, ``xcvu13p``, ``vu13p``. Cards go by
    their own names (``u250``, ``alveo-u250``, ``kria-k26``), and are whole chips too. The automotive (``xa``), defence
    (``xq``) and space (``xqr``) grades of a device hold what its commercial grade (``xc``) holds, and so do the
    low-power and industrial variants that Vivado marks in the name (``xc7a200tl``, ``xc7z020i``, ``xcvu13p_CIV``).

    Parameters
    ----------
    part : str
        A Vivado part name, with or without package, speed and temperature grade; or a device; or a card.

    Returns
    -------
    Device
        What the device holds, with the speed grade of ``part``.

    Raises
    ------
    InvalidOption
        If ``part`` names no device of the table. The message offers the nearest names.
    """
    if not isinstance(part, str):
        raise InvalidOption(f"Part must be a string such as 'xcvu13p-flga2577-2-e', not {part!r}")
    spelling = "xc" + _PREFIX.sub("", part.strip().lower())
    match = _pattern().fullmatch(spelling)
    if match is None:
        raise InvalidOption(f"Part must name a device that keras_hls knows{_advice(spelling)}, not {part!r}")
    speed = match["speed"]
    return replace(_devices()[match["name"]], part=part, speed_grade=int(speed) if speed else None)


def names() -> tuple[str, ...]:
    """List every device that :func:`device` knows, by family, series and name."""
    return tuple(_devices())


_PREFIX = re.compile(r"\A(?:(?:alveo|kria)[-_ ]?)?(?:xc|xa|xqr?)?")
_PACKAGE = r"[a-z]{2,5}[0-9]{3,4}"


@cache
def _devices() -> Mapping[str, Device]:
    """Read devices.csv: its rows by name, in the order of the file."""
    text = files("keras_hls.cost").joinpath("devices.csv").read_text(encoding="ascii")
    return {
        row["device"]: Device(
            name=row["device"],
            part=row["device"],
            family=row["family"],
            lut=int(row["lut"]),
            ff=int(row["ff"]),
            dsp=int(row["dsp"]),
            bram18=int(row["bram18"]),
            uram=int(row["uram"]),
            speed_grade=None,
            source=row["source"],
            series=row["series"],
        )
        for row in csv.DictReader(text.splitlines())
    }


@cache
def _pattern() -> re.Pattern[str]:
    """Compile the forms of a part name in Vivado and its reports: device, variant, package, speed grade.

    The 7 series joins device and package without a dash, and so do the reports of newer families: only a name that is
    in the table tells where the device ends.
    """
    name = "|".join(map(re.escape, _devices()))
    variant = r"(?<=[0-9]t)[il]|(?<=7z[0-9]{3})i|_civ"
    speed = r"(?P<speed>[123])[a-z]*(?:-[a-z0-9]+)*"
    return re.compile(rf"(?P<name>{name})(?:{variant})?(?:-?{_PACKAGE})?(?:-{speed})?")


def _advice(spelling: str) -> str:
    """Say what to do to a user whose part, here with the prefix xc and in lower case, is unknown."""
    stem = re.sub(rf"(?<=[0-9]){_PACKAGE}$", "", spelling.split("-")[0])
    near = difflib.get_close_matches(stem, names(), n=9)
    near.sort(key=lambda name: [a != b for a, b in zip(name, stem, strict=False)])  # latest difference first
    nearest = f", such as {', '.join(map(repr, near[:3]))}" if near else ""
    return f"{nearest} (keras_hls.cost.devices.names() lists all)"
