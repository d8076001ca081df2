"""The device table and the parser of part names."""

import re
from itertools import pairwise

import pytest

from keras_hls.cost.devices import Device, device, names
from keras_hls.errors import InvalidOption

# Figures as real reports and data sheets state them, not as the table does: lut, ff, dsp, bram18, uram.
PUBLISHED = {
    "xc7z007s": (14_400, 28_800, 66, 100, 0),  # HLS csynth report, "Available"
    "xc7z020": (53_200, 106_400, 220, 280, 0),  # HLS csynth report, "Available"
    "xcu250": (1_728_000, 3_456_000, 12_288, 5_376, 1_280),  # HLS csynth report, "Available"
    "xcku15p": (522_720, 1_045_440, 1_968, 1_968, 128),  # Vivado utilization report, "Available"
    "xc7a35t": (20_800, 41_600, 90, 100, 0),  # Vivado utilization report of an Arty A7-35T design
    "xc7a100t": (63_400, 126_800, 240, 270, 0),  # Vivado utilization report of an Arty A7-100T design
    "xc7k325t": (203_800, 407_600, 840, 890, 0),  # Vivado utilization report, "Available"
    "xc7vx690t": (433_200, 866_400, 3_600, 2_940, 0),  # DS180, Virtex-7 feature summary: 108,300 slices
    "xcku115": (663_360, 1_326_720, 5_520, 4_320, 0),  # DS890, Kintex UltraScale feature summary
    "xcvu9p": (1_182_240, 2_364_480, 6_840, 4_320, 960),  # DS890, Virtex UltraScale+ feature summary
    "xcvu13p": (1_728_000, 3_456_000, 12_288, 5_376, 1_280),  # DS890, Virtex UltraScale+ feature summary
    "xczu9eg": (274_080, 548_160, 2_520, 1_824, 0),  # DS891, EG device feature summary (ZCU102)
    "xczu28dr": (425_280, 850_560, 4_272, 2_160, 80),  # DS889, RFSoC feature summary (ZCU111)
    "xck26": (117_120, 234_240, 1_248, 288, 64),  # DS987, Kria K26
    "xcu50": (871_680, 1_743_360, 5_952, 2_688, 640),  # AvailableResources of Vitis HLS
    "xcu280": (1_303_680, 2_607_360, 9_024, 4_032, 960),  # AvailableResources of Vitis HLS, TAPA AutoBridge
    "xcvc1902": (899_840, 1_799_680, 1_968, 1_934, 463),  # DS950, Versal AI Core series
}

FORMS = [  # part, device, speed grade
    ("xcvu13p-flga2577-2-e", "xcvu13p", 2),
    ("xcvu13p-fhga2104-3-e", "xcvu13p", 3),
    ("xc7z020clg400-1", "xc7z020", 1),
    ("xc7z020-clg400-1", "xc7z020", 1),
    ("7z020clg400-1", "xc7z020", 1),
    ("xc7z007s-clg225-2", "xc7z007s", 2),
    ("xc7vx690tffg1927-2", "xc7vx690t", 2),
    ("xc7a35ticsg324-1L", "xc7a35t", 1),
    ("xc7a200tl-ffg1156-2L", "xc7a200t", 2),
    ("xcku115-flvb2104-2-i", "xcku115", 2),
    ("xcku15pffve1517-1", "xcku15p", 1),
    ("xczu9eg-ffvb1156-2-e", "xczu9eg", 2),
    ("xczu3eg-sbva484-1L-i", "xczu3eg", 1),
    ("xcvc1902-vsva2197-2MP-e-S", "xcvc1902", 2),
    ("xcvc1902-vsva2197-2MP-e-S-es1", "xcvc1902", 2),
    ("xcvp1702-vsva3340-3HP-e-S", "xcvp1702", 3),
    ("xcu250-figd2104-2L-e", "xcu250", 2),
    ("xcu250figd2104-2L", "xcu250", 2),
    ("xcu55c-fsvh2892-2L-e", "xcu55c", 2),
    ("xck26-sfvc784-2LV-c", "xck26", 2),
    ("xcvu13p_CIV-flga2577-2-e", "xcvu13p", 2),
    ("xqku060-rfa1156-1M-m", "xcku060", 1),
    ("xqrku060-cna1509-1M-m", "xcku060", 1),
    ("xazu3eg-sbva484-1-i", "xczu3eg", 1),
    ("xa7z010clg225-1I", "xc7z010", 1),
    ("xc7z045i", "xc7z045", None),
    ("xcvu13p", "xcvu13p", None),
    ("vu13p", "xcvu13p", None),
    ("VU13P", "xcvu13p", None),
    ("XCVU13P-FLGA2577-2-E", "xcvu13p", 2),
    (" xcvu13p ", "xcvu13p", None),
    ("u250", "xcu250", None),
    ("alveo-u250", "xcu250", None),
    ("Alveo U280", "xcu280", None),
    ("kria-k26", "xck26", None),
]


def figures(part: str) -> "tuple[int, ...]":
    found = device(part)
    return found.lut, found.ff, found.dsp, found.bram18, found.uram


@pytest.mark.parametrize(("part", "name", "speed_grade"), FORMS)
def test_forms_of_a_part_name(part: str, name: str, speed_grade: "int | None") -> None:
    found = device(part)
    assert (found.name, found.part, found.speed_grade) == (name, part, speed_grade)


@pytest.mark.parametrize("name", names())
def test_every_device_is_found_by_its_name_and_by_full_part_names(name: str) -> None:
    for part in (name, name[2:], f"{name}-ffva1156-2-e", f"{name}ffva1156-2", f"{name}fgg484-2L"):
        assert device(part).name == name


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name: str) -> None:
    assert figures(name) == PUBLISHED[name]


@pytest.mark.parametrize("name", names())
def test_every_row_is_sane(name: str) -> None:
    found = device(name)
    assert found.ff == 2 * found.lut, "every slice from the 7 series to Versal has two flip-flops a LUT"
    assert 3_000 < found.lut < 10_000_000
    assert 0 < found.dsp < found.lut / 40
    assert 0 < found.bram18 < found.lut / 40
    assert 0 <= found.uram < found.bram18
    assert found.family in {"7-series", "Zynq-7000", "UltraScale", "UltraScale+", "Versal"}
    assert found.uram == 0 or found.family in {"UltraScale+", "Versal"}
    assert found.series
    assert re.search(r"\b(DS|XMP)\d{3}\b|Vivado", found.source) and found.source.isascii()


@pytest.mark.parametrize("name", [name for name in names() if re.match(r"xc7[akvs]", name)])
def test_seven_series_names_count_the_logic_cells(name: str) -> None:
    thousands = int("".join(re.findall(r"\d+", name[3:])))
    assert device(name).lut * 1.6 / 1000 == pytest.approx(thousands, rel=0.15)  # UG474: 1.6 logic cells a LUT


@pytest.mark.parametrize(
    "ladder",
    [
        "xc7s6 xc7s15 xc7s25 xc7s50 xc7s75 xc7s100",
        "xc7a12t xc7a15t xc7a25t xc7a35t xc7a50t xc7a75t xc7a100t xc7a200t",
        "xc7k70t xc7k160t xc7k325t xc7k355t xc7k410t xc7k420t xc7k480t",
        "xc7vx330t xc7vx415t xc7vx485t xc7vx550t xc7vx690t",
        "xc7z007s xc7z010 xc7z012s xc7z014s xc7z020 xc7z030 xc7z035 xc7z045 xc7z100",
        "xcku025 xcku035 xcku040 xcku060 xcku085 xcku115",
        "xcvu065 xcvu125 xcvu160 xcvu190",
        "xcvu3p xcvu5p xcvu7p xcvu9p xcvu11p xcvu13p",
        "xcvu31p xcvu35p xcvu37p",
        "xczu1eg xczu2eg xczu3eg xczu6eg xczu9eg xczu15eg",
        "xczu3eg xczu4ev xczu5ev xczu7ev",
        "xcvp1202 xcvp1502 xcvp1702 xcvp1802",
    ],
)
def test_larger_devices_hold_more(ladder: str) -> None:
    devices = [device(name) for name in ladder.split()]
    for smaller, larger in pairwise(devices):
        assert smaller.lut < larger.lut
        assert smaller.dsp <= larger.dsp


@pytest.mark.parametrize(
    ("rebadged", "original"),
    [
        ("xcu50", "xcvu35p"),
        ("xcu55c", "xcvu37p"),
        ("xcu200", "xcvu9p"),
        ("xcu250", "xcvu13p"),
        ("xcu280", "xcvu37p"),
        ("xck26", "xczu5ev"),
        ("xcv80", "xcvh1742"),
        ("xcvm1802", "xcvc1902"),
    ],
)
def test_same_die_same_figures(rebadged: str, original: str) -> None:
    assert figures(rebadged) == figures(original)


def test_names() -> None:
    assert len(set(names())) == len(names())
    assert {"xc7z020", "xcku115", "xcvu13p", "xczu9eg", "xczu49dr", "xcvc1902", "xcu250", "xck26"} <= set(names())


def test_a_bare_device_is_the_row() -> None:
    assert device("xcvu13p") == Device(
        name="xcvu13p",
        part="xcvu13p",
        family="UltraScale+",
        lut=1_728_000,
        ff=3_456_000,
        dsp=12_288,
        bram18=5_376,
        uram=1_280,
        speed_grade=None,
        source="Vivado 2025.2 part properties (github tafk7/finn part catalog); "
        "see AMD DS890 Virtex UltraScale+ FPGA feature summary",
        series="Virtex UltraScale+",
    )


def message(part: object) -> str:
    with pytest.raises(InvalidOption) as raised:
        device(part)  # type: ignore[arg-type]
    return str(raised.value)


def test_unknown_part_names_the_nearest() -> None:
    assert message("XCVU14P-flga2577-2-e") == (
        "Part must name a device that keras_hls knows, such as 'xcvu19p', 'xcvu13p', 'xcvu11p' "
        "(keras_hls.cost.devices.names() lists all), not 'XCVU14P-flga2577-2-e'"
    )


def test_unknown_part_near_to_none() -> None:
    assert message("ep4ce22f17c6n") == (
        "Part must name a device that keras_hls knows (keras_hls.cost.devices.names() lists all), not 'ep4ce22f17c6n'"
    )


@pytest.mark.parametrize(
    ("part", "near"),
    [("xc7z02clg400-1", "xc7z020"), ("xcku15", "xcku15p"), ("u25c", "xcu25"), ("xc7a100csg324-1", "xc7a100t")],
)
def test_nearest_is_offered_without_package(part: str, near: str) -> None:
    assert f"'{near}'" in message(part)


@pytest.mark.parametrize("part", ["", "-2-e", "xc", "xcvu13", "xcvu13pl", "xcvu13p-flga2577-4-e", "xcvuxc13p"])
def test_no_near_miss_passes(part: str) -> None:
    assert message(part).endswith(f"not {part!r}")


def test_part_must_be_a_string() -> None:
    assert message(None) == "Part must be a string such as 'xcvu13p-flga2577-2-e', not None"
