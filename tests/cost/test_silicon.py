"""What a unit costs: against rows of published reports, and the laws that any such figures must obey."""

from dataclasses import dataclass, replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hls.cost.coefficient_files import INGREDIENTS, coefficients
from keras_hls.cost.devices import device, names
from keras_hls.cost.pricing import figure
from keras_hls.cost.schedule import scheduled
from keras_hls.cost.silicon import Silicon, Technology, silicon
from keras_hls.layers_ext.counting import sum_steps
from keras_hls.op import Step, Unit, UnitKind, Work

VITIS = coefficients("Vitis HLS")


def technology_of(part: str, clock_period: float = 5.0) -> Technology:
    return Technology.of(device(part), clock_period, VITIS)


ULTRASCALE_PLUS = technology_of("xcu250-figd2104-2-e")
SERIES_7 = technology_of("xc7z020-clg400-1")
VERSAL = technology_of("xcvc1902")


@dataclass(frozen=True)
class Cost:
    """What the report of C synthesis would say."""

    lut: float
    ff: float
    dsp: float
    bram: float
    cycles: int


def cost(work: Work | Unit, technology: Technology = ULTRASCALE_PLUS) -> Cost:
    work = Work((Step((work,)),)) if isinstance(work, Unit) else work
    built = scheduled(work, technology)
    weights = technology.coefficients.weights["csynth"]
    return Cost(*(figure(built.amounts, weights[name]) for name in ("lut", "ff", "dsp", "bram")), built.cycles)


#: How many widths each kind has.
WIDTHS: dict[UnitKind, int] = {
    "multiply": 2,
    "constant_multiply": 2,
    "add": 1,
    "compare": 1,
    "select": 1,
    "multiplex": 2,
    "divide": 2,
    "round": 1,
    "saturate": 2,
    "table": 2,
    "memory": 1,
    "fifo": 2,
    "register": 1,
}


def constant(*widths: int, digits: int = 3, count: int = 1) -> Unit:
    return Unit("constant_multiply", count, widths, digits)


def variable(*widths: int) -> Unit:
    return Unit("multiply", 1, widths)


@pytest.mark.parametrize(
    ("technology", "unit", "dsp"),
    [
        # Rows "*" of dense_latency in csynth.rpt of Hector-Plata/hls4ml-tutorial model_3: Vivado HLS 2019.2, xcu250.
        (ULTRASCALE_PLUS, constant(16, 4), 0),
        (ULTRASCALE_PLUS, constant(16, 5), 1),
        (ULTRASCALE_PLUS, constant(16, 6), 1),
        (ULTRASCALE_PLUS, constant(6, 6), 0),
        # DSP rows of the same repository (model_1) and of Berk-Bilgin/ML-fpga (2020.1).
        (ULTRASCALE_PLUS, variable(16, 16), 1),
        (ULTRASCALE_PLUS, variable(18, 18), 1),
        (ULTRASCALE_PLUS, constant(24, 8), 1),
        # uw-acme bnjettag (2019.1, routed): 10-bit data and weights take no DSP, 16-bit ones one each, 28-bit data two.
        (ULTRASCALE_PLUS, constant(10, 10), 0),
        (ULTRASCALE_PLUS, constant(16, 12), 1),
        (ULTRASCALE_PLUS, constant(27, 18), 1),
        (ULTRASCALE_PLUS, constant(28, 12), 2),
        # Resource strategy of Vitis HLS 2023.2: weights of 6 bits against 16-bit data none, of 8 bits one.
        (ULTRASCALE_PLUS, variable(16, 6), 0),
        (ULTRASCALE_PLUS, variable(16, 8), 1),
        # hls4ml issue 31, DSP48E1: 18 x 24 bits in one DSP, 19 x 24 in two.
        (SERIES_7, variable(18, 24), 1),
        (SERIES_7, variable(19, 24), 2),
        # gussmith23/churchroad issue 90: Vivado 2022.1 on xc7z020.
        (SERIES_7, variable(16, 16), 1),
        (SERIES_7, variable(16, 32), 2),
        (SERIES_7, variable(32, 32), 4),
        # AM004: a DSP58 multiplies 27 x 24 bits; UG579: a DSP48E2 27 x 18.
        (VERSAL, variable(27, 24), 1),
        (ULTRASCALE_PLUS, variable(27, 24), 2),
    ],
)
def test_dsp(technology: Technology, unit: Unit, dsp: int) -> None:
    assert cost(unit, technology).dsp == dsp
    assert cost(replace(unit, widths=unit.widths[::-1]), technology).dsp == dsp


def test_constants_of_few_digits_take_no_multiplier() -> None:
    assert silicon(constant(16, 8, digits=1), ULTRASCALE_PLUS) == Silicon({})
    two = silicon(constant(16, 8, digits=2), ULTRASCALE_PLUS)
    assert two == silicon(Unit("add", 1, (24,)), ULTRASCALE_PLUS)


@pytest.mark.parametrize(
    ("unit", "lut", "tolerance"),
    [
        # Expression rows of ArgyKokk/hls4ml_MLP_estimator (Vitis HLS 2021.1), the mean where they differ.
        (Unit("add", 1, (8,)), 8, 0.15),
        (Unit("add", 1, (11,)), 12.6, 0.15),
        (Unit("add", 1, (16,)), 16, 0.15),
        (Unit("compare", 1, (4,)), 2, 0.15),
        (Unit("compare", 1, (16,)), 7, 0.3),
        (Unit("select", 1, (8,)), 8, 0.15),
        (Unit("select", 1, (16,)), 16, 0.15),
        # Instance rows of the same: mul_8ns_7ns_14_1_1 and mul_8s_8s_16_1_1.
        (Unit("multiply", 1, (8, 7)), 62, 0.15),
        (Unit("multiply", 1, (8, 8)), 62, 0.15),
    ],
)
def test_lut(unit: Unit, lut: float, tolerance: float) -> None:
    assert cost(unit, SERIES_7).lut == pytest.approx(lut, rel=tolerance)


def test_rounding_and_saturating_relu() -> None:
    """ArgyKokk relu, 16 bits to unsigned 8 with rounding and saturation: 215 LUT for 5 elements at 5 ns."""
    units = (
        Unit("compare", 5, (16,)),
        Unit("select", 5, (8,)),
        Unit("round", 5, (8,)),
        Unit("saturate", 5, (16, 8)),
    )
    assert cost(Work((Step(tuple(units)),)), SERIES_7).lut == pytest.approx(215, rel=0.5)
    # Hector-Plata's, 16 bits to unsigned 6: 72 LUT an element.
    units = (Unit("compare", 1, (16,)), Unit("select", 1, (6,)), Unit("round", 1, (6,)), Unit("saturate", 1, (16, 6)))
    assert cost(Work((Step(units),))).lut == pytest.approx(72, rel=0.35)


@pytest.mark.parametrize(
    ("words", "width", "bram", "lut", "ff"),
    [
        # Memory rows of uw-acme/HLS4ML_VS_MANUAL (Vivado HLS 2019.2) and Berk-Bilgin/ML-fpga (2020.1).
        (20, 1020, 29, 0, 0),
        (20, 956, 27, 0, 0),
        (30, 188, 6, 0, 0),
        (2, 639, 18, 0, 0),
        (2, 1277, 36, 0, 0),
        (2, 4093, 114, 0, 0),
        (1024, 18, 1, 0, 0),
        (1024, 10, 1, 0, 0),
        (32, 29, 0, 15, 29),
        (2, 318, 0, 10, 318),
        (30, 3, 0, 2, 3),
    ],
)
def test_memory(words: int, width: int, bram: int, lut: int, ff: int) -> None:
    one = cost(Unit("memory", words, (width,)))
    held = VITIS.weights["csynth"]["ff"]["held"]
    assert (one.bram, one.lut, one.cycles) == (bram, lut, 1)
    assert one.ff == pytest.approx(ff * held)


def test_two_memories_are_not_one_of_twice_the_words() -> None:
    memory = Unit("memory", 32, (29,))
    assert cost(Work((Step((memory, memory)),))).bram == 0


@pytest.mark.parametrize(
    ("words", "width", "bram"),
    [
        # Berk-Bilgin/ML-fpga and pruned_cnn of fastmachinelearning/hls4ml-tutorial, Vivado HLS 2020.1.
        (64, 28, 2),
        (35, 28, 2),
        (66, 16, 1),
        (900, 16, 1),
        (36, 16, 1),
        (16, 16, 0),
    ],
)
def test_queues(words: int, width: int, bram: int) -> None:
    assert cost(Unit("fifo", 1, (words, width))).bram == bram


@pytest.mark.parametrize(
    ("unit", "reported", "placed"),
    [
        # As HLS counts 18 bits each way of a queue, and as logic synthesis makes one port of 36.
        (Unit("fifo", 1, (64, 28)), 2, 1),
        (Unit("fifo", 1, (66, 16)), 1, 1),
        (Unit("fifo", 1, (600, 37)), 3, 4),
        # So short that they are in LUTs once placed.
        (Unit("fifo", 1, (35, 28)), 2, 0),
        (Unit("memory", 2, (4093,)), 114, 0),
        (Unit("memory", 16, (72,)), 2, 0),
        (Unit("memory", 17, (72,)), 2, 2),
    ],
)
def test_block_rams_of_both_stages(unit: Unit, reported: int, placed: int) -> None:
    amounts = silicon(unit, ULTRASCALE_PLUS).amounts
    for stage, blocks in (("csynth", reported), ("impl", placed)):
        assert figure(amounts, VITIS.weights[stage]["bram"]) == blocks
    # What isn't in block RAMs is somewhere.
    assert placed or figure(amounts, VITIS.weights["impl"]["lut"]) > 0


def test_two_lookups_share_a_block_ram() -> None:
    """Sigmoid of 64 elements in hls4ml's test baselines (Vitis HLS 2024.1): 32 block RAMs."""
    assert cost(Unit("table", 64, (10, 18))).bram == 32
    halves = Work((Step((Unit("table", 3, (10, 18)), Unit("table", 2, (10, 18)))),))
    assert cost(halves).bram == 3


def test_small_tables_stay_in_luts() -> None:
    one = cost(Unit("table", 4, (6, 16)))
    assert (one.bram, one.lut) == (0, 64)


def test_divider_takes_a_cycle_a_bit() -> None:
    """Vitis HLS names its 32-bit divider udiv_32ns_32ns_32_36_1, with LATENCY 35."""
    assert silicon(Unit("divide", 1, (32, 32)), ULTRASCALE_PLUS).cycles == 35


def test_registers() -> None:
    assert scheduled(Work((Step((Unit("register", 64, (16,)),)),)), ULTRASCALE_PLUS).amounts == {"held": 1024}


def test_delays() -> None:
    """ArgyKokk at 5 ns: clock estimates of normalize (one 16-bit addition) and of 8 x 8 products in LUTs."""
    grade_2 = technology_of("xc7z007s-clg225-2")
    assert silicon(Unit("add", 1, (16,)), grade_2).delay == pytest.approx(1.798, rel=0.05)
    assert silicon(Unit("multiply", 1, (8, 8)), grade_2).delay == pytest.approx(5.282, rel=0.05)
    assert silicon(Unit("add", 1, (16,)), SERIES_7).delay > silicon(Unit("add", 1, (16,)), grade_2).delay


def test_unknown_speed_grade_is_the_slowest() -> None:
    unknown, slow = (technology_of(part) for part in ("xcvu13p", "xcvu13p-flga2577-1-e"))
    assert unknown is slow


def test_dsp_is_pipelined_where_it_is_too_slow() -> None:
    """ArgyKokk at 3.33 ns: mul_8ns_5ns_12_3_1, three stages."""
    unit = variable(16, 16)
    assert silicon(unit, technology_of("xc7z007s-clg225-2", 3.33)).cycles == 2
    assert silicon(unit, technology_of("xc7z007s-clg225-2", 10.0)).cycles == 0


def adder_tree(levels: int) -> Work:
    """Return the sum of 2**levels 16-bit numbers."""
    return Work(tuple(Step((Unit("add", 1 << (levels - level - 1), (17 + level,)),)) for level in range(levels)))


def held(work: Work, technology: Technology) -> float:
    return scheduled(work, technology).amounts.get("held", 0)


def test_path_is_cut_where_a_cycle_is_full() -> None:
    tree = adder_tree(6)
    delays = [silicon(unit, ULTRASCALE_PLUS).delay for unit in tree.units]
    slow, fast = (replace(ULTRASCALE_PLUS, budget=budget) for budget in (sum(delays) + 1e-9, max(delays)))
    assert cost(tree, slow).cycles == 0
    assert cost(tree, fast).cycles == 5
    assert held(tree, slow) == 0
    # Every level but the last is followed by a clock edge.
    assert held(tree, fast) == sum(unit.count * unit.widths[0] for unit in tree.units[:-1])
    assert scheduled(tree, slow).clock_ns == pytest.approx(sum(delays))


def test_what_passes_a_clock_edge_is_held() -> None:
    add, product = Step((Unit("add", 1, (16,)),), 100), Step((variable(16, 16), Unit("add", 2, (8,))), 7)
    edge = replace(ULTRASCALE_PLUS, budget=silicon(add.units[0], ULTRASCALE_PLUS).delay)
    assert held(Work((add, add)), edge) == 116
    # A DSP has registers of its own inside; what isn't its own waits beside it, in shift registers.
    slow = technology_of("xc7z007s-clg225-2", 3.33)
    assert scheduled(Work((product,)), slow).amounts["waiting"] == 2 * 8 + 7


def test_step_slower_than_a_cycle_breaks_the_clock() -> None:
    """ArgyKokk at 3.33 ns, products in LUTs: an estimated clock of 5.282 ns, and no cycle more."""
    add = Unit("add", 1, (16,))
    delay = silicon(add, ULTRASCALE_PLUS).delay
    third = replace(ULTRASCALE_PLUS, budget=delay / 3)
    built = scheduled(Work((Step((add,)), Step((add,)))), third)
    assert (built.cycles, built.clock_ns) == (1, delay)


def test_a_longer_interval_keeps_each_result_once() -> None:
    tree = adder_tree(6)
    fast = replace(ULTRASCALE_PLUS, budget=max(silicon(unit, ULTRASCALE_PLUS).delay for unit in tree.units))
    amounts = scheduled(replace(tree, interval=2), fast).amounts
    assert amounts["kept"] == sum(unit.count * unit.widths[0] for unit in tree.units[:-1])
    assert "held" not in amounts


def test_units_that_take_turns() -> None:
    """Sums go on while products are still made: ArgyKokk jet_tagging fc3 of reuse 100: 29 turns, a latency of 31 or 33."""
    adds = tuple(Step((Unit("add", 1, (16,)),)) for _ in range(6))
    fast = replace(ULTRASCALE_PLUS, budget=silicon(adds[0].units[0], ULTRASCALE_PLUS).delay)
    turns = Work((Step((Unit("add", 1, (16,)),), repeats=29), *adds), 100)
    built = scheduled(turns, fast)
    assert built.cycles == 30
    # What is ready before its interval is over takes the next sample; a loop has its own count of turns.
    assert built.interval == 31
    assert scheduled(replace(turns, loops=True), fast).interval == 100
    few = Work((Step((Unit("add", 1, (16,)),), repeats=2), *adds), 2)
    assert scheduled(few, fast).cycles == 6


def test_published_dense_layers() -> None:
    """Layers of hls4ml projects, counted from their weights: DSPs as published, LUTs nearly so."""
    # Hector-Plata model_1 output: 32 to 5, 16-bit; 110 DSP, 3,428 LUT, one cycle.
    products = Step((constant(16, 9, count=110), constant(16, 8, digits=2, count=13)))
    found = cost(Work((products, *sum_steps([30, 30, 30, 31, 31], 16, grows=False))))
    assert found.dsp == 110
    assert found.lut == pytest.approx(3428, rel=0.15)
    assert found.cycles == 1
    # uw-acme toptagging layer3, Resource: 20 to 64 with reuse factor 20; 64 DSP, 29 block RAMs, latency 21.
    steps = (
        Step((Unit("memory", 20, (1020,)),)),
        Step((Unit("multiply", 64, (16, 16)),), repeats=20),
        Step((Unit("add", 64, (16,)),)),
    )
    found = cost(Work(steps, interval=20, loops=True))
    assert (found.dsp, found.bram) == (64, 29)
    assert found.cycles == pytest.approx(21, abs=1)


def test_every_kind_has_a_rule_and_every_family_its_figures() -> None:
    assert set(WIDTHS) == set(get_args(UnitKind))
    for kind, count in WIDTHS.items():
        assert silicon(Unit(kind, 1, (12,) * count, 3), ULTRASCALE_PLUS) != Silicon({})
    for name in names():
        assert technology_of(name).budget < 5.0


def not_cheaper(larger: Cost, smaller: Cost) -> bool:
    """A block may take over from LUTs, but nothing gets smaller as long as the blocks stay the same."""
    if (larger.dsp, larger.bram) == (smaller.dsp, smaller.bram):
        return larger.lut >= smaller.lut and larger.ff >= smaller.ff
    return larger.dsp >= smaller.dsp and larger.bram >= smaller.bram


technologies = st.sampled_from([ULTRASCALE_PLUS, SERIES_7, VERSAL])


@st.composite
def any_unit(draw: st.DrawFn) -> Unit:
    kind = draw(st.sampled_from(list(WIDTHS)))
    widths = tuple(draw(st.integers(2, 14 if kind == "table" else 40)) for _ in range(WIDTHS[kind]))
    digits = draw(st.integers(1, 9)) if kind == "constant_multiply" else 0
    return Unit(kind, draw(st.integers(1, 2000)), widths, digits)


@given(any_unit(), st.integers(0, 1), st.integers(1, 20), technologies)
def test_wider_is_never_cheaper(unit: Unit, which: int, more: int, technology: Technology) -> None:
    which %= len(unit.widths)
    more = min(more, 2) if unit.kind == "table" else more
    wider = replace(unit, widths=tuple(w + more * (i == which) for i, w in enumerate(unit.widths)))
    assert not_cheaper(cost(wider, technology), cost(unit, technology))


@given(any_unit(), st.integers(1, 2000), technologies)
def test_more_is_never_cheaper(unit: Unit, more: int, technology: Technology) -> None:
    assert not_cheaper(cost(replace(unit, count=unit.count + more), technology), cost(unit, technology))


@given(any_unit(), technologies)
def test_more_digits_are_never_cheaper(unit: Unit, technology: Technology) -> None:
    if unit.kind == "constant_multiply":
        assert not_cheaper(cost(replace(unit, digits=unit.digits + 1), technology), cost(unit, technology))


@given(any_unit(), technologies)
def test_amounts_are_positive(unit: Unit, technology: Technology) -> None:
    one = silicon(unit, technology)
    assert all(amount > 0 for amount in one.amounts.values())
    assert set(one.amounts) <= set(INGREDIENTS)
    assert min(one.bits, one.cycles) >= 0
    assert one.delay >= 0


@given(st.lists(any_unit(), max_size=8), st.lists(any_unit(), max_size=8), any_unit(), st.floats(0.2, 20), technologies)
def test_more_work_never_costs_less(
    units: list[Unit], path: list[Unit], extra: Unit, budget: float, technology: Technology
) -> None:
    technology = replace(technology, budget=budget)
    steps = tuple(Step((unit,), 3) for unit in path)
    before = cost(Work(steps, beside=tuple(units)), technology)
    more = cost(Work(steps, beside=(*units, extra)), technology)
    assert more.cycles == before.cycles
    for name in ("lut", "ff", "dsp", "bram"):
        assert getattr(more, name) >= getattr(before, name)
    for longer in ((*steps, Step((extra,))), (Step((extra,)), *steps)):
        assert cost(Work(longer, beside=tuple(units)), technology).cycles >= before.cycles


@given(st.lists(st.integers(2, 40), min_size=1, max_size=12), st.floats(0.2, 20), st.floats(1, 3))
def test_slower_clock_never_takes_more_cycles(widths: list[int], budget: float, factor: float) -> None:
    adders = Work(tuple(Step((Unit("add", 1, (width,)),)) for width in widths))
    slow, fast = (replace(ULTRASCALE_PLUS, budget=b) for b in (budget * factor, budget))
    assert cost(adders, slow).cycles <= cost(adders, fast).cycles
