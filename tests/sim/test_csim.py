"""C-simulation equals the emulator, however it is cut; and whatever it does, Python goes on."""

import itertools
import os
import subprocess

import numpy as np
import pytest

from keras_hls.errors import CSimulationError
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.op import Plan
from keras_hls.sim import csim
from keras_hls.sim.csim import CSimulation
from keras_hls.sim.emulator import Emulator


def samples(graph: Graph, count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    kinds = [graph.types[node.name] for node in graph.inputs]
    return [rng.integers(k.low, k.high, (count, *k.shape), endpoint=True) for k in kinds]


def equal(first, second) -> bool:
    return len(first) == len(second) and all(
        a.dtype == b.dtype == np.int64 and np.array_equal(a, b) for a, b in zip(first, second)
    )


def source(name: str, shape: tuple[int, ...], width: int = 7, integer: int = 3) -> Node:
    port = Fixed(True, width, integer)
    return Node(name, Input(shape, Formats.of(port), port), (), name)


def dense(name: str, of: str, n_in: int, n_out: int, seed: int = 0) -> Node:
    rng = np.random.default_rng(seed)
    kernel, bias = rng.integers(-20, 21, (n_in, n_out)), rng.integers(-99, 99, n_out)
    return Node(name, Dense(Constant(kernel, 3), Constant(bias, 9)), (of,), name)


def several() -> Graph:
    """Three inputs of different shapes, shared tensors, wiring on the way, and every kind of output."""
    nodes = (
        source("a", (4,)),
        source("b", (2, 3), 9, 2),
        source("unused", (2,), 1, 1),
        source("wide", (1,), 40, 20),
        dense("da", "a", 4, 6),
        dense("db", "b", 3, 3, 1),
        Node("flat", Reshape((6,)), ("db",), "flat"),
        Node("sum", Add(), ("da", "flat"), "sum"),
        Node("relu", ReLU(), ("sum",), "relu"),
        Node("twice", Add(), ("relu", "relu"), "twice"),
        Node("q", Quantize(Formats(True, [[3, 4, 0], [5, 9, 2]], 3, "RND", "SAT")), ("grid",), "q"),
    )
    grid = Node("grid", Reshape((2, 3)), ("twice",), "grid")
    nodes = (*nodes[:-1], grid, nodes[-1])
    # A kernel's own output, one that is also read, one that stands twice, wiring, an input, wiring of an input.
    outputs = ("q", "relu", "flat", "relu", "wide", "da", "a")
    return Graph(nodes, outputs, tuple(f"out{i}" for i in range(len(outputs))))


SHARED = {"da": Plan("Resource", 4), "db": Plan("Resource", 9)}


@pytest.mark.parametrize("plans", [{}, SHARED, {"da": Plan("Resource", 24)}, {"db": Plan("Resource", 1)}])
def test_several_inputs_and_outputs(write, tmp_path, plans):
    graph = several()
    simulation = CSimulation(write(graph, tmp_path, plans), "net", graph)
    inputs = samples(graph, 500)
    answers = simulation.run(inputs)
    assert [a.shape[1:] for a in answers] == [(2, 3), (6,), (6,), (6,), (1,), (6,), (4,)]
    assert equal(answers, Emulator(graph).run(inputs))
    assert np.array_equal(answers[6], inputs[0])


@pytest.mark.parametrize(("reader", "plan"), list(itertools.product("abcdef", [Plan(), Plan("Resource", 3)])))
def test_every_way_to_share_a_tensor(write, tmp_path, reader, plan):
    """In a dataflow region each reader takes a copy of its own."""
    nodes = [
        source("x", (3,)),
        dense("d", "x", 3, 3),
        Node("w", Reshape((3, 1)), ("d",), "w"),
        Node("v", Reshape((3,)), ("w",), "v"),
    ]
    outputs = {
        "a": [Node("y", Add(), ("d", "d"), "y")],
        "b": [Node("y", Add(), ("d", "v"), "y")],
        "c": [Node("y", ReLU(), ("w",), "y"), Node("z", ReLU(), ("w",), "z")],
        "d": [Node("y", Add(), ("x", "v"), "y"), dense("z", "x", 3, 2)],
        "e": [
            dense("y", "v", 3, 3, 2),
            dense("z", "y", 3, 3, 3),
            Node("s", Add(), ("y", "z"), "s"),
            Node("t", Add(), ("s", "d"), "t"),
        ],
        "f": [
            Node("y", ReLU(), ("d",), "y"),
            Node("z", ReLU(), ("d",), "z"),
            Node("s", Add(), ("y", "z"), "s"),
            dense("t", "d", 3, 1),
        ],
    }[reader]
    names = [node.name for node in outputs][-2:] + (["w"] if reader in "af" else [])
    graph = Graph((*nodes, *outputs), tuple(names), tuple(names)).verify()
    plans = {node.name: plan for node in graph if isinstance(node.op, Dense)}
    simulation = CSimulation(write(graph, tmp_path, plans), "net", graph)
    inputs = samples(graph, 64)
    assert equal(simulation.run(inputs), Emulator(graph).run(inputs))


@pytest.fixture(scope="module")
def simulation(write, small, tmp_path_factory):
    return CSimulation(write(small(), tmp_path_factory.mktemp("project")), "net", small())


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_threads_change_nothing(simulation, count):
    inputs = samples(simulation.graph, count)
    wanted = Emulator(simulation.graph).run(inputs)
    for threads in (1, 2, 3, 8, 2000, None):
        assert equal(simulation.run(inputs, threads), wanted)


def test_no_samples(simulation):
    (answer,) = simulation.run(samples(simulation.graph, 0))
    assert answer.shape == (0, 3)
    assert answer.dtype == np.int64


def test_slices_change_nothing(simulation, monkeypatch):
    inputs = samples(simulation.graph, 101)
    wanted = Emulator(simulation.graph).run(inputs)
    for size in (1, 56 * 10, 56 * 100, 56 * 101):
        monkeypatch.setattr(csim, "_SLICE_BYTES", size)
        few = [a[:7] for a in inputs] if size == 1 else inputs
        assert equal(simulation.run(few), [w[: len(few[0])] for w in wanted])


def test_arrays_of_any_layout(simulation):
    (x,) = samples(simulation.graph, 60)
    wanted = simulation.run([x])
    for other in (np.asfortranarray(x), x.astype(np.int16), np.repeat(x, 2, axis=0)[::2], x[:, ::-1].copy()[:, ::-1]):
        assert equal(simulation.run([other]), wanted)
    assert equal(simulation.run([np.broadcast_to(x[:1], x.shape)]), [np.repeat(wanted[0][:1], 60, axis=0)])


def test_only_the_answers_count_towards_the_samples(simulation):
    """Running changes none of its arguments and leaves no file behind."""
    (x,) = samples(simulation.graph, 30)
    before = x.copy()
    simulation.run([x])
    assert (x == before).all()


def test_nothing_is_left_in_the_temporary_folder(simulation, monkeypatch, tmp_path):
    monkeypatch.setattr(csim.tempfile, "tempdir", str(tmp_path))
    simulation.run(samples(simulation.graph, 30))
    assert list(tmp_path.iterdir()) == []


def test_a_large_sample_fits_the_stack(write, tmp_path):
    """Arrays of the top function lie on the thread's stack; 8 MB would be too little for these."""
    size = 600_000
    nodes = (
        source("x", (size,), 6, 3),
        Node("r", ReLU(), ("x",), "r"),
        Node("s", Add(), ("r", "x"), "s"),
        Node("t", ReLU(), ("s",), "t"),
    )
    graph = Graph(nodes, ("t",), ("t",))
    simulation = CSimulation(write(graph, tmp_path), "net", graph)
    inputs = samples(graph, 3)
    assert equal(simulation.run(inputs, 2), Emulator(graph).run(inputs))


# --- crashes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def edited(write, small, tmp_path):
    """The simulation of a project with a statement put at the start of its top function."""

    def edit(statement: str) -> CSimulation:
        folder = write(small(), tmp_path / "project")
        source = folder / "firmware" / "net.cpp"
        head, body = source.read_text().split(") {\n", 1)
        source.write_text(
            f"#include <cstdio>\n#include <cstdlib>\n#include <stdexcept>\n{head}) {{\n    {statement}\n{body}"
        )
        return CSimulation(folder, "net", small())

    return edit


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("*(volatile int *)8 = 1;", "crashed with SIGSEGV"),
        ("std::abort();", "crashed with SIGABRT"),
        ('throw std::runtime_error("no");', "crashed with SIGABRT"),
        ("__builtin_trap();", "crashed with SIG"),
        ("volatile char big[1 << 30]; for (int i = 0; i < 1 << 30; i += 999) big[i] = 1;", "crashed with SIG"),
        ("_Exit(3);", "failed"),
        ("std::exit(0);", "failed: .*ended"),
        ("_Exit(0);", "failed: .*ended"),
    ],
)
def test_a_crash_is_an_error_and_python_survives(edited, simulation, statement, message):
    crashing = edited(statement)
    inputs = samples(simulation.graph, 10)
    with pytest.raises(CSimulationError, match=message) as caught:
        crashing.run(inputs, 2)
    assert str(crashing.folder) in str(caught.value)
    # No samples, no call.
    assert crashing.run([a[:0] for a in inputs])[0].shape == (0, 3)
    assert equal(simulation.run(inputs), Emulator(simulation.graph).run(inputs))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_crash_after_many_answers_is_an_error(edited, monkeypatch, threads):
    monkeypatch.setattr(csim, "_SLICE_BYTES", 1)
    crashing = edited("static int calls = 0; if (++calls >= 50) std::abort();")
    with pytest.raises(CSimulationError, match="crashed with SIGABRT"):
        crashing.run(samples(crashing.graph, 300), threads)


def test_a_crash_before_all_samples_are_sent_is_said_as_such(edited, monkeypatch):
    """Whatever the pipe to it says then."""
    monkeypatch.setattr(csim, "_SLICE_BYTES", 1)
    crashing = edited("std::abort();")
    start = csim._Process.start

    def late(self, slot, count):
        start(self, slot, count)
        self._process.wait()

    monkeypatch.setattr(csim._Process, "start", late)
    with pytest.raises(CSimulationError, match="crashed with SIGABRT"):
        crashing.run(samples(crashing.graph, 300), 2)


def test_what_it_prints_is_no_answer(edited, simulation):
    printing = edited('std::puts("7 samples"); std::fputs("7\\n", stderr); std::fflush(stdout);')
    inputs = samples(simulation.graph, 40)
    assert equal(printing.run(inputs), Emulator(simulation.graph).run(inputs))


def test_an_error_while_it_runs_ends_it(simulation, monkeypatch):
    """Samples that turn out to be wrong, or an impatient user."""
    processes, real = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: processes.append(real(*a, **k)) or processes[-1])
    monkeypatch.setattr(csim, "_SLICE_BYTES", 1)
    (x,) = samples(simulation.graph, 100)

    class Samples(np.ndarray):
        def __getitem__(self, part):
            if isinstance(part, slice) and part.start:
                raise KeyboardInterrupt
            return super().__getitem__(part)

    with pytest.raises(KeyboardInterrupt):
        simulation.run([x.view(Samples)], 2)
    assert processes and all(process.poll() is not None for process in processes)


def test_a_library_that_can_not_be_loaded(edited, simulation, monkeypatch, tmp_path):
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(CSimulation, "build", lambda self: broken)
    with pytest.raises(CSimulationError, match="failed: OSError"):
        simulation.run(samples(simulation.graph, 3))


def test_a_library_without_the_bridge(write, small, tmp_path):
    folder = write(small(), tmp_path)
    bridge = folder / "csim" / "bridge.cpp"
    bridge.write_text(bridge.read_text().replace("keras_hls_run", "something_else"))
    with pytest.raises(CSimulationError, match=r"failed: .*keras_hls_run"):
        CSimulation(folder, "net", small()).run(samples(small(), 3))


def test_cpp_that_does_not_compile(edited):
    with pytest.raises(CSimulationError, match="doesn't compile"):
        edited("this is no C++;").run([np.zeros((1, 4), np.int64)])


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs Linux")
def test_a_full_disk_is_an_error(simulation, monkeypatch):
    """Writing to a file mapped on a full disk would kill the process."""

    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(CSimulationError, match="No space left"):
        simulation.run(samples(simulation.graph, 3))


def test_a_worker_that_can_not_be_started(simulation, monkeypatch):
    monkeypatch.setattr(csim.sys, "executable", "/nowhere/python")
    with pytest.raises(CSimulationError, match="nowhere"):
        simulation.run(samples(simulation.graph, 3))
