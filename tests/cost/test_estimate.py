"""From a graph to figures: rows, totals, the longest path, and how they are shown and kept."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from keras_hls.cost import LayerEstimate, ResourceEstimate, Resources, estimate
from keras_hls.cost.coefficient_files import PREDICTED, coefficients, device_families, shipped
from keras_hls.cost.pricing import figure
from keras_hls.errors import HLSError, InvalidOption
from keras_hls.fixed import Fixed, IntArray, TensorType
from keras_hls.graph import Graph, Input, Node
from keras_hls.op import Op, Plan, Step, Unit, Work

PART = "xcvu13p-flga2577-2-e"


@dataclass(frozen=True, eq=False)
class Needs(Op):
    """y = x, and whatever work the test says."""

    need: Work

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        return lambda *raw: raw[0]

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return self.need

    def hls(self, *inputs: TensorType, plan: Plan) -> None:
        return None

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1, 2, 4)


def register(cycles: int, interval: int = 1) -> Work:
    """Return work that takes this many cycles: a row of registers, gone through for every cycle of the interval."""
    first = Step((Unit("register", 1, (16,)),), repeats=interval)
    return Work((first, *(Step((Unit("register", 1, (16,)),)),) * (cycles - 1)), interval, loops=interval > 1)


def graph(**nodes: tuple[Work, str]) -> Graph:
    """Return a graph of an input x and nodes by name: the work of each, and whom it reads."""
    made = [Node("x", Input((4,), None, Fixed(True, 16, 6)))]
    made += [Node(name, Needs(work), tuple(reads.split()), f"layer_{name}") for name, (work, reads) in nodes.items()]
    return Graph(tuple(made), (made[-1].name,), ("y",)).verify()


def run(
    network: Graph, part: str = PART, clock_period: float = 5.0, plan: Plan | None = None, tool: str = "Vitis HLS"
) -> ResourceEstimate:
    plans = {node.name: plan or Plan() for node in network}
    return estimate(network, part=part, clock_period=clock_period, plans=plans, coefficients=tool)


DENSE = Work(
    (Step((Unit("constant_multiply", 10, (16, 9), 3),)),),
    beside=(Unit("add", 12, (20,)), Unit("table", 4, (10, 18)), Unit("register", 5, (20,))),
)


#: What `DENSE` is made of on this part: products in DSPs, 240 bits of sums, tables in two block RAMs, and the registers of
#: its output of 4 x 16 bits.
AMOUNTS = {"dsp": 10, "add": 240, "bram": 2, "held": 100, "handed": 64}


def figures(stage: str) -> dict[str, int]:
    weights = coefficients().weights[stage]
    return {name: round(figure(AMOUNTS, weights[name])) for name in ("lut", "ff", "dsp", "bram", "uram")}


def test_rows() -> None:
    (row,) = run(graph(a=(DENSE, "x")), plan=Plan("Resource", 2)).layers
    assert row == LayerEstimate(
        name="a",
        layer="layer_a",
        op="Needs",
        shape=(4,),
        type="fixed<16, 6>",
        stages=row.stages,
        stage="impl",
        latency_cycles=0,
        ii=1,
        clock_ns=row.clock_ns,
        strategy="Resource",
        reuse_factor=2,
        calibrated=True,
    )
    assert {stage: {k: getattr(r, k) for k in figures(stage)} for stage, r in row.stages.items()} == {
        stage: figures(stage) for stage in PREDICTED
    }
    assert (row.dsp, row.stages["csynth"].bram) == (10, 2)


def test_stages() -> None:
    result = run(graph(a=(DENSE, "x"), b=(DENSE, "a")))
    csynth = result.at("csynth")
    assert (result.stage, csynth.stage) == ("impl", "csynth")
    assert csynth.lut == 2 * figures("csynth")["lut"]
    assert result.lut == 2 * figures("impl")["lut"]
    assert [row.lut for row in csynth.layers] == [figures("csynth")["lut"]] * 2
    assert csynth.at("impl") == result
    with pytest.raises(InvalidOption, match=r"^stage must be one of 'csynth', 'impl' here, not 'synth'$"):
        result.at("synth")


def test_intervals_hold_the_figures() -> None:
    result = run(graph(a=(DENSE, "x"), b=(register(2, 4), "a")))
    for each in (result, *result.layers):
        for found in each.stages.values():
            for name in ("lut", "ff", "dsp", "bram", "uram"):
                low, high = found.interval(name)
                assert 0 <= low <= getattr(found, name) <= high
    low, high = result.latency_interval
    assert low <= result.latency_cycles <= high
    assert result.resources.interval("lut")[0] < result.lut < result.resources.interval("lut")[1]


def test_what_no_report_tells_is_uncalibrated() -> None:
    divider = Work((Step((Unit("divide", 4, (16, 16)),)),))
    result = run(graph(a=(DENSE, "x"), b=(divider, "a")))
    assert [row.calibrated for row in result.layers] == [True, False]
    assert not result.calibrated
    assert "* Uncalibrated, since no published report tells: b." in str(result)
    assert "Uncalibrated" not in str(run(graph(a=(DENSE, "x"))))


def test_a_path_that_is_too_long_misses_the_clock() -> None:
    slow = Work((Step((Unit("multiply", 1, (4, 60)),)),))
    result = run(graph(a=(slow, "x")), part="xc7z020-clg400-1", clock_period=4.0)
    assert result.clock_met is False
    assert str(result).count("The clock is likely missed: a path of") == 1
    assert run(graph(a=(DENSE, "x"))).clock_met


def test_coefficients_of_another_tool(tmp_path: Path) -> None:
    network = graph(a=(DENSE, "x"))
    vivado, vitis = (estimate_with(network, tool) for tool in ("Vivado HLS", "Vitis HLS"))
    assert "Vivado HLS" in vivado.source
    assert vivado.clock_budget_ns == pytest.approx(5 * 0.875)
    assert vitis.clock_budget_ns == pytest.approx(5 * 0.73)
    file = tmp_path / "mine.json"
    data = json.loads(json.dumps(shipped("Vitis HLS")))
    data["stages"]["impl"]["lut"]["add"]["value"] *= 2
    file.write_text(json.dumps(data))
    assert estimate_with(network, file).lut > vitis.lut


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no "),
        ("{", "isn't a file that keras-hls calibrate has written"),
        ("[]", "isn't a file that keras-hls calibrate has written"),
        ('{"tool": "Vitis HLS"}', "KeyError"),
    ],
)
def test_files_that_hold_no_coefficients(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidOption, match=message):
        estimate_with(graph(a=(DENSE, "x")), file)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("rules", "add_delay", "value"), -1),
        (("rules", "add_delay", "value"), "much"),
        (("rules", "handover_cycles", "value"), 1e300),
        (("tool",), None),
        (("version",), [1]),
        (("stages", "impl", "lut", "add", "value"), float("nan")),
        (("stages", "impl", "spread", "total", "lut"), [1.1, 2]),
        (("stages", "impl", "lut", "gold"), {"value": 1}),
    ],
)
def test_impossible_coefficients(tmp_path: Path, place: tuple[str, ...], value: object) -> None:
    data = json.loads(json.dumps(shipped("Vitis HLS")))
    entry = data
    for key in place[:-1]:
        entry = entry[key]
    entry[place[-1]] = value
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(data))
    with pytest.raises(InvalidOption, match="isn't a file that keras-hls calibrate has written"):
        estimate_with(graph(a=(DENSE, "x")), file)


def test_every_coefficient_has_a_source() -> None:
    for tool in ("Vivado HLS", "Vitis HLS"):
        data = shipped(tool)
        entries = list(data["rules"].values())
        for stage in PREDICTED:
            entries += [
                entry for name in ("lut", "ff", "dsp", "bram", "uram") for entry in data["stages"][stage][name].values()
            ]
            assert data["stages"][stage]["fitted on"]
            assert data["stages"][stage]["errors"]
        for entry in entries:
            assert {"value", "unit", "source"} <= set(entry) <= {"value", "law", "unit", "source"}
            assert entry["source"]
    families = device_families()
    assert all(family["source"] for family in (*families["families"].values(), *families["speed_grades"].values()))


def estimate_with(network: Graph, which: str | Path) -> ResourceEstimate:
    plans = {node.name: Plan() for node in network}
    return estimate(network, part=PART, clock_period=5.0, plans=plans, coefficients=which)


def test_work_is_asked_with_the_plan_of_its_node() -> None:
    asked: list[Plan] = []

    @dataclass(frozen=True, eq=False)
    class Asks(Needs):
        def work(self, *inputs: TensorType, plan: Plan) -> Work:
            asked.append(plan)
            return self.need

    nodes = (Node("x", Input((4,), None, Fixed(True, 16, 6))), Node("a", Asks(DENSE), ("x",)))
    plan = Plan("Resource", 4)
    estimate(Graph(nodes, ("a",), ("y",)), part=PART, clock_period=5.0, plans={"x": Plan(), "a": plan})
    assert asked == [plan]


def test_totals_are_sums_of_rows() -> None:
    result = run(graph(a=(DENSE, "x"), b=(DENSE, "a"), c=(register(1), "b")))
    for name in ("lut", "ff", "dsp", "bram"):
        assert getattr(result, name) == sum(getattr(row, name) for row in result.layers)
    assert result.dsp == 20


def test_latency_of_a_chain() -> None:
    """One cycle from each function to the next, as between the modules of ArgyKokk jet_tagging with reuse factor 2."""
    chain = graph(a=(register(6), "x"), b=(register(1), "a"), c=(register(8), "b"))
    assert run(chain, tool="Vivado HLS").latency_cycles == 6 + 1 + 1 + 1 + 8
    # With Vitis HLS, each function of several cycles takes one more where the network takes a sample each cycle: ArgyKokk
    # jet_tagging at intervals 1 and 2.
    assert run(chain).latency_cycles == (6 + 1) + 1 + 1 + 1 + (8 + 1)
    slower = graph(a=(register(6), "x"), b=(register(1, 2), "a"), c=(register(8), "b"))
    assert run(slower).latency_cycles == 6 + 1 + 2 + 1 + 8


def test_latency_of_branches_is_that_of_the_longest() -> None:
    diamond = graph(
        a=(register(2), "x"),
        short=(register(1), "a"),
        long=(register(7), "a"),
        join=(register(1), "short long"),
        aside=(register(3), "x"),
    )
    result = run(diamond, tool="Vivado HLS")
    assert result.latency_cycles == 2 + 1 + 7 + 1 + 1
    assert result.latency_cycles < sum(row.latency_cycles for row in result.layers)


def test_latency_counts_every_output() -> None:
    fork = graph(short=(register(1), "x"), long=(register(7), "x"))
    assert run(fork, tool="Vivado HLS").latency_cycles == 7


def test_wiring_takes_nothing() -> None:
    wire = Work()
    plain = run(graph(a=(register(2), "x"), b=(register(3), "a")))
    wired = run(graph(w=(wire, "x"), a=(register(2), "w"), v=(wire, "a"), b=(register(3), "v")))
    assert wired.latency_cycles == plain.latency_cycles
    row = wired.layers[0]
    assert row.calibrated
    assert (row.name, row.lut, row.ff, row.dsp, row.bram, row.latency_cycles, row.ii) == ("w", 0, 0, 0, 0, 0, 1)
    assert run(graph(w=(wire, "x"))).latency_cycles == 0


def test_interval_is_that_of_the_slowest() -> None:
    result = run(graph(a=(register(1, 20), "x"), b=(register(1, 32), "a"), c=(register(1), "b")))
    assert result.ii == 32
    assert [row.ii for row in result.layers] == [20, 32, 1]


def test_resource_network() -> None:
    """Published law of hls4ml's Resource MLPs: latency = sum(RF) + 2 (L - 1) + 1 with relu between, II = max RF."""
    reuse = (16, 32, 8)
    nodes = {}
    before = "x"
    for i, factor in enumerate(reuse):
        nodes[f"dense{i}"] = (register(1, factor), before)
        nodes[f"relu{i}"] = (Work((Step((Unit("select", 4, (16,)),)),)), f"dense{i}")
        before = f"relu{i}"
    del nodes["relu2"]
    result = run(graph(**nodes))
    assert result.latency_cycles == pytest.approx(sum(reuse) + 2 * (len(reuse) - 1) + 1, abs=1)
    assert result.ii == 32


def test_no_layers() -> None:
    result = run(Graph((Node("x", Input((4,), None, Fixed(True, 16, 6))),), ("x",), ("y",)))
    assert (result.layers, result.lut, result.latency_cycles, result.ii, result.fits) == ((), 0, 0, 1, True)
    assert "Total" in str(result)


def test_slower_part_takes_more_cycles() -> None:
    tree = graph(a=(Work((Step((Unit("add", 1, (24,)),)),) * 8), "x"))
    assert run(tree, part="xc7z020-clg400-1").latency_cycles > run(tree).latency_cycles
    assert run(tree, clock_period=2.5).latency_cycles > run(tree, clock_period=5.0).latency_cycles


def test_fits() -> None:
    network = graph(a=(Work((Step((Unit("multiply", 10, (16, 16)),)),)), "x"))
    small = run(network, part="xc7s6")
    assert small.fits
    assert small.used["dsp"] == 1.0
    assert small.used["lut"] == small.lut / 3752
    assert small.used["uram"] == 0.0
    network = graph(a=(Work((Step((Unit("multiply", 11, (16, 16)),)),)), "x"))
    assert not run(network, part="xc7s6").fits
    assert run(network, part="xc7s6").used["dsp"] == pytest.approx(1.1)
    assert "Doesn't fit: more DSP than xc7s6 has." in str(run(network, part="xc7s6"))
    assert run(network).fits
    assert "Doesn't fit" not in str(run(network))


def test_text() -> None:
    result = run(graph(a=(DENSE, "x"), b=(register(2, 4), "a")))
    text = str(result)
    assert text == str(run(graph(a=(DENSE, "x"), b=(register(2, 4), "a"))))
    lines = text.splitlines()
    assert lines[0] == "Estimate for xcvu13p-flga2577-2-e at 5 ns"
    rows = {line.split("  ")[0]: line.split() for line in lines}
    assert rows["a (Needs)"][-8:] == [*shown(result.layers[0].resources), "0", "1", "Latency", "1"]
    assert rows["Total csynth"][2:] == shown(result.stages["csynth"])
    assert rows["Total impl"][2:] == [*shown(result.resources), str(result.latency_cycles), "4"]
    low, high = result.resources.interval("lut")
    assert f"{low}-{high}" in text
    assert rows["xcvu13p"][1:] == ["1,728,000", "3,456,000", "12,288", "5,376"]
    assert "Stage impl: the placed design, which must fit." in text
    assert "Stage csynth: the report of C synthesis." in str(result.at("csynth"))


def shown(resources: Resources) -> list[str]:
    return [f"{getattr(resources, name):,}" for name in ("lut", "ff", "dsp", "bram")]


def test_html() -> None:
    result = run(graph(a=(DENSE, "x")))
    html = result._repr_html_()
    assert html.startswith("<table>")
    assert "<td>fixed&lt;16, 6&gt;</td>" in html
    assert f"<td>{result.lut:,}</td>" in html
    assert "csynth" in html


def test_json_round_trip() -> None:
    result = run(graph(a=(DENSE, "x"), b=(register(2, 4), "a")))
    text = json.dumps(result.to_dict(), allow_nan=False)
    again = ResourceEstimate.from_dict(json.loads(text))
    assert again == result
    assert str(again) == str(result)


@pytest.mark.parametrize("change", [{"layers": None}, {"device": {}}, {"layers": [{"shape": [1], "cost": 1}]}])
def test_from_dict_of_something_else(change: dict[str, object]) -> None:
    data = run(graph(a=(DENSE, "x"))).to_dict()
    with pytest.raises(HLSError, match=r"^An estimate must be what ResourceEstimate\.to_dict returns, but: "):
        ResourceEstimate.from_dict({**data, **change})
    with pytest.raises(HLSError, match="'layers'"):
        ResourceEstimate.from_dict({})


def test_metrics() -> None:
    result = run(graph(a=(DENSE, "x"), b=(register(2, 4), "a")))
    metrics = result.metrics()
    assert metrics == {
        "hls_lut": float(result.lut),
        "hls_ff": float(result.ff),
        "hls_dsp": 10.0,
        "hls_bram": 2.0,
        "hls_latency_cycles": float(result.latency_cycles),
        "hls_ii": 4.0,
    }
    assert all(type(value) is float for value in metrics.values())


def test_pandas() -> None:
    pytest.importorskip("pandas")
    result = run(graph(a=(DENSE, "x"), b=(register(2), "a")))
    table = result.to_pandas()
    assert list(table["name"]) == ["a", "b"]
    assert table["lut"].sum() == result.lut
    assert table["lut_csynth"].sum() == result.at("csynth").lut


@pytest.mark.parametrize("clock_period", [0, -5.0, float("inf"), float("nan")])
def test_clock_period_must_be_positive(clock_period: float) -> None:
    with pytest.raises(InvalidOption, match=r"^clock_period must be a positive number of nanoseconds, not "):
        run(graph(a=(DENSE, "x")), clock_period=clock_period)


def test_unknown_part() -> None:
    with pytest.raises(InvalidOption, match="xcvu13q"):
        run(graph(a=(DENSE, "x")), part="xcvu13q")
