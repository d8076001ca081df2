"""The emitted project: what a C++ compiler, the test bench, Tcl and a reader make of it. Needs no Keras."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.emitters.base import lay_out
from keras_hls.emitters.cpp import Names
from keras_hls.errors import HLSError
from keras_hls.fixed import OVERFLOW, ROUNDING, Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.softmax import Softmax
from keras_hls.op import Plan
from keras_hls.options import Options
from keras_hls.passes.dead_nodes import drop_dead_nodes
from keras_hls.snapshots import Snapshot

CXX = shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(CXX is None, reason="no C++ compiler")
_HLS4ML = importlib.util.find_spec("hls4ml")
VENDOR = Path(_HLS4ML.origin).parent / "templates" / "vivado" / "ap_types" if _HLS4ML and _HLS4ML.origin else None
needs_vendor = pytest.mark.skipif(VENDOR is None, reason="no hls4ml wheel, which carries the vendor's headers")

OURS = ("-std=c++17", "-Icsim")
THEIRS = ("-std=c++14", f"-I{VENDOR}")


class Net:
    """A graph in the making."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def input(self, name: str, shape: tuple[int, ...], fixed: Fixed) -> str:
        self.nodes.append(
            Node(name, Input(shape, Formats.of(fixed), Fixed(fixed.signed, fixed.width, fixed.integer)), (), name)
        )
        return name

    def add(self, name: str, op, *inputs: str) -> str:
        self.nodes.append(Node(name, op, inputs, name))
        return name

    def graph(self, *outputs: str) -> Graph:
        return Graph(tuple(self.nodes), outputs, outputs).verify()


def kernel(n_in: int, n_out: int, seed: int = 0) -> Constant:
    rng = np.random.default_rng(seed)
    return Constant(rng.integers(-9, 10, (n_in, n_out)), 3)


def dense(n_in: int, n_out: int, seed: int = 0) -> Dense:
    bias = Constant(np.random.default_rng(seed + 1).integers(-9, 10, n_out), 4)
    return Dense(kernel(n_in, n_out, seed), bias)


def formats(shape: tuple[int, ...], rounding: str, overflow: str, seed: int = 0) -> Formats:
    """A type for each element, some of them without bits."""
    rng = np.random.default_rng(seed)
    return Formats(
        rng.integers(0, 2, shape).astype(bool),
        rng.integers(-1, 7, shape),
        rng.integers(-2, 5, shape),
        rounding,
        overflow,
    )


def everything() -> Graph:
    """Every op and every way for a tensor to be read."""
    net = Net()
    x = net.input("x", (2, 3), Fixed(True, 10, 4))
    z = net.input("inputs", (2, 3), Fixed(False, 7, 2))
    net.input("unread", (5,), Fixed(True, 4, 4))
    outs = []
    for n, (rounding, overflow) in enumerate(zip(ROUNDING, itertools.cycle(OVERFLOW))):
        outs.append(net.add(f"whole{n}", Quantize(Formats.of(Fixed(True, 5, 3, rounding, overflow))), x))
        outs.append(net.add(f"each{n}", Quantize(formats((2, 3), rounding, overflow, n)), x))
    wide = net.add("wide", Quantize(Formats.of(Fixed(True, 50, 20))), net.add("sum", Add(), x, z))
    hidden = net.add("hidden", ReLU(), net.add("dense", dense(3, 4), "each2"))
    flat = net.add("flat", Reshape((8,)), hidden)
    again = net.add("again", Add(), hidden, hidden)
    shared = net.add("shared", dense(8, 4, 5), flat)
    soft = net.add(
        "soft", Softmax(frac=8, table_frac=10), net.add("logits", Quantize(Formats.of(Fixed(True, 6, 3))), shared)
    )
    # A tensor that is an output and read, one that is an output twice, an input that is one, wiring that is one.
    return net.graph(*outs, wide, hidden, again, soft, flat, soft, x, shared)


def write(folder: Path, graph: Graph, **options) -> Path:
    Snapshot(graph, Options.of(**options)).export(folder, verify=False)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The project of `everything`, as a pipeline."""
    return write(tmp_path_factory.mktemp("whole") / "net", everything())


@pytest.fixture(scope="module")
def flowing(tmp_path_factory):
    """And as a dataflow region: the multipliers of one layer are shared."""
    layers = {"shared": {"strategy": "Resource", "reuse_factor": 4}}
    return write(tmp_path_factory.mktemp("flowing") / "net", everything(), layers=layers)


def compile_bench(project: Path, flags: tuple[str, ...], *more: str) -> Path:
    """The self-checking test bench, with warnings as errors."""
    bench = project / "bench"
    quiet = (
        ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label", "-Wno-unused-parameter")
        if flags == OURS
        else ("-w",)
    )
    (source,) = (project / "tb").glob("*_tb.cpp")
    top = project / "firmware" / source.name.replace("_tb.cpp", ".cpp")
    command = [CXX, *flags, "-O0", *quiet, "-Ifirmware", str(top), str(source), *more, "-o", str(bench)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return bench


def run(bench: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(bench)], cwd=folder, capture_output=True, text=True, check=False, timeout=120)


# -- the test bench


@needs_compiler
@pytest.mark.parametrize("kind", ["whole", "flowing"])
@pytest.mark.parametrize(
    "headers", [pytest.param(OURS, id="ours"), pytest.param(THEIRS, id="vendor", marks=needs_vendor)]
)
def test_the_test_bench_passes(request, kind, headers):
    project = request.getfixturevalue(kind)
    bench = compile_bench(project, headers)
    done = run(bench, project)
    assert (done.returncode, done.stdout) == (0, "PASS: 100 samples, every bit as expected\n")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    net = Net()
    x = net.input("x", (3,), Fixed(True, 6, 3))
    z = net.input("z", (2,), Fixed(True, 5, 2))
    project = write(
        tmp_path_factory.mktemp("small") / "net", net.graph(net.add("d", dense(3, 2), x), net.add("r", ReLU(), z))
    )
    return project, compile_bench(project, OURS) if CXX else None


def spoil(project: Path, tmp_path: Path, name: str, change) -> Path:
    """A copy of the data files, one of them changed."""
    folder = tmp_path / "tb"
    shutil.copytree(project / "tb", folder)
    if change is None:
        (folder / name).unlink()
    else:
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join(change(lines)) + "\n")
    return folder


def bump(lines: list[str], row: int, column: int) -> list[str]:
    values = lines[row].split()
    values[column] = str(int(values[column]) + 1)
    return [*lines[:row], " ".join(values), *lines[row + 1 :][: len(lines)]]


SPOILT = {
    "one value in the first sample": (
        "outputs.dat",
        lambda ls: bump(ls, 0, 0),
        1,
        "FAIL: 1 values differ in 100 samples",
    ),
    "one value in the last sample": (
        "outputs.dat",
        lambda ls: bump(ls, 99, 3),
        1,
        "FAIL: 1 values differ in 100 samples",
    ),
    "an input": (
        "inputs.dat",
        lambda ls: [*ls[:50], ls[51], ls[50], *ls[52:]],
        1,
        r"FAIL: \d+ values differ in 100 samples",
    ),
    "no inputs": ("inputs.dat", None, 2, "FAIL: inputs.dat or outputs.dat not found"),
    "no outputs": ("outputs.dat", None, 2, "FAIL: inputs.dat or outputs.dat not found"),
    "empty inputs": ("inputs.dat", lambda _: [], 2, "FAIL: inputs.dat ends in sample 0 of 100"),
    "empty outputs": ("outputs.dat", lambda _: [], 2, "FAIL: outputs.dat ends in sample 0 of 100"),
    "fewer inputs": ("inputs.dat", lambda ls: ls[:-1], 2, "FAIL: inputs.dat ends in sample 99 of 100"),
    "fewer outputs": ("outputs.dat", lambda ls: ls[:40], 2, "FAIL: outputs.dat ends in sample 40 of 100"),
    "half a line": (
        "outputs.dat",
        lambda ls: [*ls[:-1], ls[-1].rsplit(" ", 1)[0]],
        2,
        "FAIL: outputs.dat ends in sample 99",
    ),
    "no number": ("outputs.dat", lambda ls: [*ls[:7], "nan", *ls[8:]], 2, "FAIL: outputs.dat ends in sample 7 of 100"),
}


@needs_compiler
@pytest.mark.parametrize(("name", "change", "code", "words"), SPOILT.values(), ids=SPOILT)
def test_the_test_bench_fails_on_wrong_data(small, tmp_path, name, change, code, words):
    project, bench = small
    done = run(bench, spoil(project, tmp_path, name, change))
    assert done.returncode == code
    assert re.search(words, done.stdout)
    assert "PASS" not in done.stdout


@needs_compiler
def test_the_test_bench_finds_its_data_where_tools_run_it(small, tmp_path):
    project, bench = small
    # Vitis HLS runs it four folders down from the project; users in the project or beside the data.
    below = project / "net_prj" / "solution1" / "csim" / "build"
    below.mkdir(parents=True, exist_ok=True)
    for folder in (project, project / "tb", project / "firmware", below):
        assert run(bench, folder).returncode == 0, folder
    assert run(bench, tmp_path).returncode == 2


@needs_compiler
def test_a_wrong_weight_is_found(tmp_path):
    net = Net()
    x = net.input("x", (3,), Fixed(True, 6, 3))
    project = write(tmp_path / "net", net.graph(net.add("d", Dense(Constant(np.array([[3], [5], [7]]), 0)), x)))
    weights = project / "firmware" / "weights.h"
    text = weights.read_text()
    assert text.count("3, 5, 7") == 1
    weights.write_text(text.replace("3, 5, 7", "3, 5, 6"))
    assert run(compile_bench(project, OURS), project).returncode == 1


# -- strategies


@needs_compiler
@pytest.mark.parametrize("shape", [(6,), (2, 6)])
@pytest.mark.parametrize(
    "headers", [pytest.param(OURS, id="ours"), pytest.param(THEIRS, id="vendor", marks=needs_vendor)]
)
def test_every_reuse_factor_gives_the_same_answers(tmp_path, shape, headers):
    net = Net()
    x = net.input("x", shape, Fixed(True, 8, 3))
    op = dense(6, 4)
    factors = op.reuse_factors(Net_type(net, x))
    assert len(factors) >= 6
    names = [net.add("latency", op, x), *(net.add(f"resource{f}", op, x) for f in factors)]
    layers = {f"resource{f}": {"strategy": "Resource", "reuse_factor": f} for f in factors}
    project = write(tmp_path / "net", net.graph(*names), layers=layers)
    text = (project / "firmware" / "parameters.h").read_text()
    assert sorted(map(int, re.findall(r"reuse_factor = (\d+);", text))) == sorted([1, *factors])
    calls = (project / "firmware" / "net.cpp").read_text()
    assert (calls.count("dense_latency<"), calls.count("dense_resource<")) == (1, len(factors))
    rows = [list(map(int, line.split())) for line in (project / "tb" / "outputs.dat").read_text().splitlines()]
    parts = np.array(rows).reshape(100, len(names), -1)
    assert (parts == parts[:, :1]).all()
    assert np.unique(parts).size > 50
    assert run(compile_bench(project, headers), project).returncode == 0


def Net_type(net: Net, name: str):
    return net.graph(name).types[name]


# -- one line of code, however many elements


def source_lines(project: Path) -> dict[str, list[str]]:
    files = [p for p in (project / "firmware").rglob("*") if p.suffix in (".h", ".cpp") and p.name != "weights.h"]
    files += [project / "csim" / "bridge.cpp", *(project / "tb").glob("*.cpp")]
    return {p.relative_to(project).as_posix(): p.read_text().splitlines() for p in files}


_NUMBER = re.compile(r"\d+|\b(?:signed char|short|int|long long) |(?<=ap_)u?(?=fixed)")


def of_size(n: int) -> Graph:
    net = Net()
    x = net.input("x", (n,), Fixed(True, 8, 3))
    outs = [net.add(f"each{m}", Quantize(formats((n,), "RND", overflow)), x) for m, overflow in enumerate(OVERFLOW)]
    y = net.add("sum", Add(), *outs[:2])
    return net.graph(*outs, net.add("d", dense(n, n), y), net.add("s", Softmax(frac=8, table_frac=10), x), x)


@pytest.mark.parametrize("options", [{}, {"strategy": "Resource", "reuse_factor": 2}], ids=["latency", "resource"])
def test_code_does_not_grow_with_the_number_of_elements(tmp_path, options):
    projects = [source_lines(write(tmp_path / str(n) / "net", of_size(n), **options)) for n in (6, 120)]
    few, many = projects
    assert few.keys() == many.keys()
    assert len(few) > 10
    for path in few:
        # The same lines, but for widths and sizes, and what follows from them.
        plain = [[_NUMBER.sub("#", line) for line in files[path]] for files in projects]
        assert plain[0] == plain[1], path
        assert max(map(len, many[path]), default=0) < 400


def test_weights_are_raw_integers(whole):
    text = (whole / "firmware" / "weights.h").read_text()
    bodies = re.findall(r"static const ([a-z ]+) (\w+)\[(\d+)\] = \{\n(.*?)\n\};", text, re.S)
    assert len(bodies) > 20
    for kind, name, size, body in bodies:
        assert kind in ("signed char", "short", "int", "long long"), name
        numbers = [int(v) for v in body.replace(",", " ").split()]
        assert len(numbers) == int(size)
        bits = {"signed char": 8, "short": 16, "int": 32, "long long": 64}[kind]
        assert all(-(1 << (bits - 1)) <= v < 1 << (bits - 1) for v in numbers)
    assert "." not in "".join(body for *_, body in bodies), "no floating-point number"


# -- dataflow


CALL = re.compile(r"^    keras_hls::(\w+)<(\w+)>\((.*)\);$", re.M)
ARRAY = re.compile(r"^    (\w+) (\w+)\[(\d+)\];$", re.M)
TOP = re.compile(r"^void net\((.*)\) \{$", re.M)


def flow(project: Path):
    """Ports, local arrays, and for each call its kernel and arguments, from the text."""
    text = (project / "firmware" / "net.cpp").read_text()
    ports = [port.split()[1].split("[")[0] for port in TOP.search(text)[1].split(", ")]
    return (
        ports,
        [name for _, name, _ in ARRAY.findall(text)],
        [(k, args.split(", ")) for k, _, args in CALL.findall(text)],
        text,
    )


def test_a_dataflow_region_lets_each_array_have_one_writer_and_one_reader(flowing):
    ports, arrays, calls, text = flow(flowing)
    assert "#pragma HLS DATAFLOW" in text
    seen = Counter(a for _, args in calls for a in args)
    assert sum(kernel == "clone" for kernel, _ in calls) >= 5
    for array in arrays:
        assert seen[array] == 2, f"{array} must be written once and read once"
    assert {p: seen[p] for p in ports if seen[p] != 1} == {"unread": 0}
    assert ports[:3] == ["x", "inputs_1", "unread"]


def test_a_pipeline_needs_no_clones(whole):
    _, arrays, calls, text = flow(whole)
    assert "#pragma HLS DATAFLOW" not in text
    assert "#pragma HLS PIPELINE II=1" in text
    assert not any(kernel == "clone" for kernel, _ in calls)
    written = Counter(args[-1] for kernel, args in calls if kernel in ("copy", "relu", "add"))
    assert set(written.values()) == {1}
    assert len(arrays) == len(set(arrays))


@st.composite
def graphs(draw):
    """Sums, wiring and duplicate outputs at random: nothing but the ways in which tensors are read."""
    net = Net()
    pool = [net.input(f"x{n}", (4,), Fixed(True, 6, 3)) for n in range(draw(st.integers(1, 2)))]
    for n in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["add", "add", "relu", "wire"]))
        sources = [draw(st.sampled_from(pool)) for _ in range(2 if kind == "add" else 1)]
        shapes = {"add": Add(), "relu": ReLU(), "wire": Reshape((4,))}
        pool.append(net.add(f"{kind}{n}", shapes[kind], *sources))
    return net.graph(*draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4)))


@given(graphs(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_call_takes_the_values_that_the_graph_says(graph, dataflow):
    graph = drop_dead_nodes(graph)
    plan = Plan("Resource", 2) if dataflow else Plan()
    plans = {node.name: plan for node in graph}
    kernels = {node.name: node.op.hls(*graph.input_types(node), plan=plan) for node in graph}
    program = lay_out(graph, plans, kernels, "net")
    assert program.dataflow == dataflow

    def origin(name: str) -> str:
        while isinstance(graph[name].op, Reshape):
            (name,) = graph[name].inputs
        return name

    holds = {array.name: node.name for array, node in zip(program.inputs, graph.inputs)}
    sizes = {a.name: a.size for a in program.inputs + program.arrays + program.outputs}
    assert len(sizes) == len(program.inputs + program.arrays + program.outputs), "no name twice"
    reads: Counter[str] = Counter()
    for call in program.calls:
        values = [holds[name] for name in call.inputs]
        reads.update(call.inputs)
        targets = call.output.split(", ")
        for target in targets:
            assert target not in holds, "each array is written once"
            holds[target] = values[0] if call.op == "copy" else call.node
        if call.op != "copy":
            assert values == [origin(name) for name in graph[call.node].inputs]
    assert [holds[port.name] for port in program.outputs] == [origin(name) for name in graph.outputs]
    if dataflow:
        assert max(reads.values(), default=0) <= 1
        assert all(reads[array.name] == 1 for array in program.arrays)


# -- names


@given(
    st.lists(st.text(max_size=6) | st.sampled_from(["x", "x_1", "x_1_1", "int", "inputs", "_", "1", "é"]), max_size=30)
)
@settings(max_examples=200, deadline=None)
def test_names_are_identifiers_and_none_is_given_twice(wishes):
    names = Names(["net"])
    given_names = [names(wish) for wish in wishes]
    assert len({*given_names, "net"}) == len(given_names) + 1
    for name in given_names:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
        assert "__" not in name, "reserved for the compiler"


def test_no_name_is_one_that_the_templates_use():
    templates = Path(importlib.util.find_spec("keras_hls.emitters").origin).parent / "vitis" / "templates"
    declared = set()
    for name in ("bridge.cpp.jinja2", "testbench.cpp.jinja2"):
        text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|//.*|\".*?\"", " ", (templates / name).read_text())
        declared |= set(
            re.findall(r"\b(?:unsigned|long|char|std::\w+|const|int)(?:\s+|\s*[&*]\s*)(\w+)\s*(?:[=({;,\[)]|$)", text)
        )
    assert {"i", "j", "raw", "wrong", "samples", "count", "inputs", "outputs", "answer"} <= declared
    # The names of functions, types and of what lives where no port is: in another function, or in a struct.
    for name in declared - {"file", "folders", "name", "main", "open_data", "keras_hls_run", "long", "in", "out"}:
        assert Names()(name) != name


def test_a_comment_is_one_line_whatever_the_name(tmp_path):
    net = Net()
    x = net.input("x", (3,), Fixed(True, 6, 3))
    node = Node("d", dense(3, 2), (x,), "bad\nint injected;\r\n")
    graph = Graph((*net.nodes, node), ("d",), ("d",))
    project = write(tmp_path / "net", graph)
    for path, lines in source_lines(project).items():
        assert not any(line.startswith("int injected") for line in lines), path
    assert "    // bad int injected;: Dense" in source_lines(project)["firmware/net.cpp"]


# -- wide numbers


@needs_compiler
@needs_vendor
def test_numbers_of_up_to_63_bits(tmp_path):
    net = Net()
    x = net.input("x", (4,), Fixed(True, 62, 30))
    z = net.input("z", (4,), Fixed(False, 61, 31))
    outs = [net.add("r", ReLU(), x), net.add("q", Quantize(Formats.of(Fixed(True, 40, 20, "RND", "SAT"))), x)]
    outs += [net.add("low", Quantize(Formats.of(Fixed(True, 33, 2))), z), x, z]
    outs.append(
        net.add(
            "each",
            Quantize(formats((4,), "TRN", "WRAP", 2)),
            net.add("n", Quantize(Formats.of(Fixed(True, 50, 25))), x),
        )
    )
    project = write(tmp_path / "net", net.graph(*outs))
    numbers = [int(v) for v in (project / "tb" / "outputs.dat").read_text().split()]
    assert max(map(abs, numbers)).bit_length() > 60
    for headers in (OURS, THEIRS):
        assert run(compile_bench(project, headers), project).returncode == 0


# -- scripts


TCL = """
foreach name {open_project set_top add_files open_solution set_part create_clock csim_design csynth_design cosim_design
    export_design} { proc $name args "puts \\[concat $name \\$args\\]" }
rename exit quit
proc exit args {puts exit; quit}
set argv {%s}
source build_prj.tcl
"""


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="no tclsh")
@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ("", ["csim_design", "csynth_design"]),
        ("-f build_prj.tcl synth cosim", ["csynth_design", "cosim_design"]),
        ("export csim", ["csim_design", "export_design -format ip_catalog"]),
        ("synth impl", ["csynth_design", "export_design -flow impl -format ip_catalog"]),
    ],
)
def test_the_tcl_script_drives_the_tool(whole, tmp_path, arguments, steps):
    script = tmp_path / "stubs.tcl"
    script.write_text(TCL % arguments)
    done = subprocess.run(["tclsh", str(script)], cwd=whole, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    commands = done.stdout.splitlines()
    assert commands[:9] == [
        "open_project -reset net_prj",
        "set_top net",
        "add_files firmware/net.cpp -cflags {-std=c++14 -Ifirmware}",
        "add_files -tb tb/net_tb.cpp -cflags {-std=c++14 -Ifirmware}",
        "add_files -tb tb/inputs.dat",
        "add_files -tb tb/outputs.dat",
        "open_solution -reset -flow_target vivado solution1",
        "set_part xcvu13p-flga2577-2-e",
        "create_clock -period 5.0 -name default",
    ]
    assert commands[9:] == [*steps, "exit"]
    for command in commands[2:6]:
        file = next(word for word in command.split() if "/" in word)
        assert (whole / file).is_file()


def test_the_configuration_of_the_unified_tool_is_readable(tmp_path):
    net = Net()
    graph = net.graph(net.add("r", ReLU(), net.input("x", (2,), Fixed(True, 4, 2))))
    project = write(tmp_path / "net", graph, part="xc7z020clg400-1", clock_period=3.3, project_name="jet")
    entries, section = {}, ""
    for line in (project / "hls_config.cfg").read_text().splitlines():
        if line.startswith("#"):
            continue
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif line:
            key, value = re.fullmatch(r"([\w.]+)=(.+)", line).groups()
            entries.setdefault((section, key), []).append(value)
    assert entries[("", "part")] == ["xc7z020clg400-1"]
    assert entries[("hls", "clock")] == ["3.3ns"]
    assert entries[("hls", "syn.top")] == ["jet"]
    assert entries[("hls", "syn.file")] == ["firmware/jet.cpp"]
    assert entries[("hls", "tb.file")] == ["tb/jet_tb.cpp", "tb/inputs.dat", "tb/outputs.dat"]
    for key in ("syn.file", "tb.file"):
        assert all((project / path).is_file() for path in entries[("hls", key)])
    assert "void jet(" in (project / "firmware" / "jet.cpp").read_text()


def test_every_array_is_partitioned_and_every_port_has_an_interface(whole):
    ports, arrays, _, text = flow(whole)
    for name in ports + arrays:
        assert f"#pragma HLS ARRAY_PARTITION variable={name} complete dim=0\n" in text
    for name in ports:
        assert f"#pragma HLS INTERFACE mode=ap_vld port={name}\n" in text


def test_the_readme_names_what_is_there(whole):
    text = (whole / "README.md").read_text()
    assert "| input `x` | 2 x 3 of `ap_fixed<10, 4>` |" in text
    assert "| input `inputs_1` | 2 x 3 of `ap_ufixed<7, 2>` |" in text
    for path in re.findall(r"`((?:firmware|tb|csim)/[\w./]*)`", text):
        assert (whole / path).exists(), path
    for path in re.findall(r"`(\w+\.(?:json|h))`", text):
        assert (whole / path).exists() or (whole / "firmware" / path).exists(), path


@needs_compiler
def test_the_readmes_compiler_command_works(small):
    project, _ = small
    (command,) = re.findall(r"^    c\+\+ (.*)$", (project / "README.md").read_text(), re.M)
    done = subprocess.run([CXX, *command.split()], cwd=project, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(project / "net_tb", project).returncode == 0


# -- kernels of a user's own ops


def test_an_op_without_a_kernel_says_where_to_write_it(tmp_path):
    class Mystery(ReLU):
        def hls(self, *inputs, plan):
            from keras_hls.op import Kernel

            return Kernel("mystery", "mystery", {"size": inputs[0].size})

    net = Net()
    x = net.input("x", (3,), Fixed(True, 6, 3))
    with pytest.raises(
        HLSError, match=r"^Op Mystery of layer 'm' has no kernel for Vitis HLS; write it to .*kernels/vitis/mystery\.h$"
    ):
        write(tmp_path / "net", net.graph(net.add("m", Mystery(), x)))
    assert not list(tmp_path.iterdir())
