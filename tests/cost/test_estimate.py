"""From a graph to figures: rows, totals, the longest path, and how they are shown and kept."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from keras_hls.cost import LayerEstimate, ResourceEstimate, estimate
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
    """Return work that takes this many cycles: a row of registers."""
    return Work((Step((Unit("register", 1, (16,)),)),) * cycles, interval)


def graph(**nodes: tuple[Work, str]) -> Graph:
    """Return a graph of an input x and nodes by name: the work of each, and whom it reads."""
    made = [Node("x", Input((4,), None, Fixed(True, 16, 6)))]
    made += [Node(name, Needs(work), tuple(reads.split()), f"layer_{name}") for name, (work, reads) in nodes.items()]
    return Graph(tuple(made), (made[-1].name,), ("y",)).verify()


def run(network: Graph, part: str = PART, clock_period: float = 5.0, plan: Plan | None = None) -> ResourceEstimate:
    plans = {node.name: plan or Plan() for node in network}
    return estimate(network, part=part, clock_period=clock_period, plans=plans)


DENSE = Work(
    (Step((Unit("constant_multiply", 10, (16, 9), 3),)),),
    beside=(Unit("add", 12, (20,)), Unit("table", 4, (10, 18)), Unit("register", 5, (20,))),
)


def test_rows() -> None:
    result = run(graph(a=(DENSE, "x")), plan=Plan("Resource", 2))
    assert result.layers == (
        LayerEstimate(
            name="a",
            layer="layer_a",
            op="Needs",
            shape=(4,),
            type="fixed<16, 6>",
            lut=10 * 5 + 12 * 22,
            ff=100,
            dsp=10,
            bram=2,
            latency_cycles=0,
            ii=1,
            strategy="Resource",
            reuse_factor=2,
        ),
    )


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
    assert run(chain).latency_cycles == 6 + 1 + 1 + 1 + 8


def test_latency_of_branches_is_that_of_the_longest() -> None:
    diamond = graph(
        a=(register(2), "x"),
        short=(register(1), "a"),
        long=(register(7), "a"),
        join=(register(1), "short long"),
        aside=(register(3), "x"),
    )
    result = run(diamond)
    assert result.latency_cycles == 2 + 1 + 7 + 1 + 1
    assert result.latency_cycles < sum(row.latency_cycles for row in result.layers)


def test_latency_counts_every_output() -> None:
    fork = graph(short=(register(1), "x"), long=(register(7), "x"))
    assert run(fork).latency_cycles == 7


def test_wiring_takes_nothing() -> None:
    wire = Work()
    plain = run(graph(a=(register(2), "x"), b=(register(3), "a")))
    wired = run(graph(w=(wire, "x"), a=(register(2), "w"), v=(wire, "a"), b=(register(3), "v")))
    assert wired.latency_cycles == plain.latency_cycles
    row = wired.layers[0]
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
    assert small.used == {"lut": 50 / 3752, "ff": 0.0, "dsp": 1.0, "bram": 0.0}
    network = graph(a=(Work((Step((Unit("multiply", 11, (16, 16)),)),)), "x"))
    assert not run(network, part="xc7s6").fits
    assert run(network, part="xc7s6").used["dsp"] == pytest.approx(1.1)
    assert "Doesn't fit: more DSP than xc7s6 has." in str(run(network, part="xc7s6"))
    assert run(network).fits
    assert "Doesn't fit" not in str(run(network))


def test_text() -> None:
    result = run(graph(a=(DENSE, "x"), b=(register(2, 4), "a")))
    assert str(result) == TEXT
    assert str(result) == str(run(graph(a=(DENSE, "x"), b=(register(2, 4), "a"))))


TEXT = """\
Estimate for xcvu13p-flga2577-2-e at 5 ns

Layer (op)  Output shape  Type                LUT         FF     DSP  BRAM18  Cycles  II  Strategy  Reuse
---------------------------------------------------------------------------------------------------------
a (Needs)   (4,)          fixed<16, 6>        314        100      10       2       0   1  Latency       1
b (Needs)   (4,)          fixed<16, 6>          0         32       0       0       5   4  Latency       1
---------------------------------------------------------------------------------------------------------
Total                                         314        132      10       2       6   4
xcvu13p                                 1,728,000  3,456,000  12,288   5,376
Used                                         0.0%       0.0%    0.1%    0.0%

Stage csynth: what the report of C synthesis would say; placement usually needs fewer LUTs.
First-order figures, model version 1 (first order, uncalibrated). Cycles of the total: longest path."""


def test_html() -> None:
    html = run(graph(a=(DENSE, "x")))._repr_html_()
    assert html.startswith("<table>")
    assert "<td>fixed&lt;16, 6&gt;</td>" in html
    assert "<td>314</td>" in html
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
    metrics = run(graph(a=(DENSE, "x"), b=(register(2, 4), "a"))).metrics()
    assert metrics == {
        "hls_lut": 314.0,
        "hls_ff": 132.0,
        "hls_dsp": 10.0,
        "hls_bram": 2.0,
        "hls_latency_cycles": 6.0,
        "hls_ii": 4.0,
    }
    assert all(type(value) is float for value in metrics.values())


def test_pandas() -> None:
    pytest.importorskip("pandas")
    result = run(graph(a=(DENSE, "x"), b=(register(2), "a")))
    table = result.to_pandas()
    assert list(table["name"]) == ["a", "b"]
    assert table["lut"].sum() == result.lut


@pytest.mark.parametrize("clock_period", [0, -5.0, float("inf"), float("nan")])
def test_clock_period_must_be_positive(clock_period: float) -> None:
    with pytest.raises(InvalidOption, match=r"^clock_period must be a positive number of nanoseconds, not "):
        run(graph(a=(DENSE, "x")), clock_period=clock_period)


def test_unknown_part() -> None:
    with pytest.raises(InvalidOption, match="xcvu13q"):
        run(graph(a=(DENSE, "x")), part="xcvu13q")


def test_says_what_it_predicts() -> None:
    result = run(graph(a=(DENSE, "x")))
    assert result.stage == "csynth"
    assert "uncalibrated" in result.version
    assert "Stage csynth" in str(result)
    assert "uncalibrated" in str(result)
