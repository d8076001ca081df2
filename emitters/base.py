"""What every backend shares: a graph as C++ declarations and calls, and the files of a project.

A backend is a folder with templates and kernels and a small class of differences. No text about a layer stands here: an
op says in `hls` which kernel it is, and the kernel's header is looked up beside the backend or beside the op.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

import keras_hls
from keras_hls.emitters.cpp import Names, fixed_type, native_type, numbers
from keras_hls.errors import HLSError
from keras_hls.fixed import Fixed, IntArray
from keras_hls.graph import Graph, Input, Node
from keras_hls.op import Kernel, Plan
from keras_hls.options import Options

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


@dataclass
class Array:
    """A C++ array of a tensor: its name, element type and length."""

    name: str
    type: str
    size: int
    shape: tuple[int, ...]
    fixed: Fixed


@dataclass
class Table:
    """Known numbers as a C++ array of raw integers."""

    name: str
    raw_type: str
    size: int
    fixed: Fixed
    values: IntArray

    @property
    def text(self) -> str:
        return numbers(self.values)


@dataclass
class Call:
    """One kernel call of the top function, with the configuration that it is compiled for."""

    node: str
    layer: str
    op: str
    kernel: str
    config: str
    inputs: list[str]
    output: str
    sizes: Mapping[str, int]
    tables: dict[str, Table]
    #: The array that it fills, if that isn't a port.
    declares: Array | None


@dataclass
class Program:
    """The whole network as the templates see it."""

    name: str
    inputs: list[Array] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)
    arrays: list[Array] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    dataflow: bool = False

    @property
    def typedefs(self) -> list[Array]:
        """One array of each type, in order of appearance; copies share their original's type."""
        return list({array.type: array for array in self.inputs + self.arrays + self.outputs}.values())


class Backend(ABC):
    """One HLS tool."""

    #: The folder with its templates and kernels.
    package: str
    #: Template of the project's file by the file's path; ``{name}`` is the top function's name.
    templates: Mapping[str, str]
    #: Those of them that change where other nodes leave the top function.
    with_ports: Collection[str]

    @abstractmethod
    def describe(self) -> str:
        """Return the tool's name for people."""

    def free_name(self, wish: str) -> str:
        """Return a name for the top function, and so for its files, that no file of every project has."""
        fixed = {Path(path).stem for path in self.templates if "{name}" not in path}
        fixed |= {Path(entry.name).stem for entry in resources.files("keras_hls.emitters.csim").iterdir()}
        # Some file systems don't tell Types.h from types.h.
        return f"{wish}_net" if wish.lower() in {name.lower() for name in fixed} else wish

    def files(
        self, graph: Graph, plans: Mapping[str, Plan], options: Options, name: str, samples: Samples
    ) -> dict[str, bytes]:
        """Return every source file of the project by its path; the same graph always gives the same bytes.

        Parameters
        ----------
        graph : Graph
        plans : mapping of str to Plan
            By node name.
        options : Options
        name : str
            Of the top function.
        samples : Samples
            For the test bench.
        """
        files = self._sources(graph, plans, name, self.templates, options=options, samples=samples.count)
        for entry in sorted(resources.files("keras_hls.emitters.csim").iterdir(), key=lambda e: e.name):
            if entry.name.endswith(".h"):
                files[f"csim/{entry.name}"] = entry.read_bytes()
        return files | samples.files()

    def port_files(self, graph: Graph, plans: Mapping[str, Plan], name: str) -> dict[str, bytes]:
        """Return the sources by path that change where the graph has other outputs, and all kernels; see `files`.

        Weights have the same names whatever the outputs are, as long as none of those takes a node's name.
        """
        return self._sources(graph, plans, name, [path for path in self.templates if path in self.with_ports])

    def _sources(
        self, graph: Graph, plans: Mapping[str, Plan], name: str, paths: Iterable[str], **more: Any
    ) -> dict[str, bytes]:
        """The templates of some paths, filled in, and the kernels."""
        kernels = {node.name: node.op.hls(*graph.input_types(node), plan=plans[node.name]) for node in graph}
        program = lay_out(graph, plans, kernels, name)
        environment = _environment(self.package)
        context = {
            "program": program,
            "tool": self.describe(),
            "version": keras_hls.__version__,
            "notes": graph.notes,
            **more,
        }
        files = {
            path.format(name=name): environment.get_template(self.templates[path]).render(context).encode()
            for path in paths
        }
        for header in ["raw", *program.headers]:
            files[f"firmware/kernels/{header}.h"] = self._kernel(header, graph, kernels).encode()
        return files

    def _folder(self) -> Traversable:
        return resources.files(self.package)

    def _kernel(self, header: str, graph: Graph, kernels: Mapping[str, Kernel | None]) -> str:
        """Return the header of a kernel: the backend's own, or one that lies beside a user's op."""
        own = self._folder() / "kernels" / f"{header}.h"
        if own.is_file():
            return _text(own)
        folder = self.package.rsplit(".", 1)[-1]
        for node in graph:
            kernel = kernels[node.name]
            if kernel is not None and kernel.header == header:
                beside = Path(inspect.getfile(type(node.op))).parent / "kernels" / folder / f"{header}.h"
                if beside.is_file():
                    return beside.read_text()
                raise HLSError(
                    f"Op {type(node.op).__name__} of layer {node.layer!r} has no kernel for {self.describe()}; write it"
                    f" to {beside}"
                )
        raise HLSError(f"No kernel header {header!r} for {self.describe()}")


@cache
def _environment(package: str) -> jinja2.Environment:
    """A backend's templates; each is compiled once in a process, which takes as long as the rest of an export."""
    folder = resources.files(package) / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda path: _text(folder / path)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["type"] = fixed_type
    environment.filters["native"] = native_type
    return environment


def _text(path: Any) -> str:
    return str(path.read_text())


def _line(text: str) -> str:
    """A layer's name as a comment can hold it, which ends with its line."""
    return " ".join(text.split())


@dataclass(frozen=True)
class Samples:
    """What the test bench feeds in, and what it must get: raw integers, one array a port."""

    inputs: Sequence[IntArray]
    outputs: Sequence[IntArray]

    @property
    def count(self) -> int:
        return len(self.inputs[0])

    def files(self) -> dict[str, bytes]:
        """Return the data files: one line a sample, the raw integers of all ports in order."""
        return {"tb/inputs.dat": _lines(self.inputs), "tb/outputs.dat": _lines(self.outputs)}


def _lines(arrays: Sequence[IntArray]) -> bytes:
    rows = zip(*(a.reshape(len(a), -1).tolist() for a in arrays))
    return "".join(" ".join(str(v) for part in row for v in part) + "\n" for row in rows).encode()


def lay_out(graph: Graph, plans: Mapping[str, Plan], kernels: Mapping[str, Kernel | None], name: str) -> Program:
    """Return the network as arrays and calls, with C++ names that nothing else has."""
    return _Layout(graph, plans, kernels, name).program


class _Layout:
    def __init__(self, graph: Graph, plans: Mapping[str, Plan], kernels: Mapping[str, Kernel | None], name: str):
        self.graph, self.plans, self.kernels = graph, plans, kernels
        self.names = Names([name])
        # Processes that share multipliers over several cycles overlap; fully unrolled ones are one pipeline.
        shared = any(plan.strategy == "Resource" and plan.reuse_factor > 1 for plan in plans.values())
        self.program = Program(name, dataflow=shared)
        #: For each node the names under which readers may still take its value; a dataflow region needs one each.
        self.values: dict[str, list[str]] = {}
        self._inputs()
        self._outputs()
        for node in graph:
            if not isinstance(node.op, Input):
                self._node(node)
        self._pass_through()

    def _array(self, node: Node, name: str, fixed: Fixed | None = None) -> Array:
        kind = self.graph.types[node.name]
        fixed = fixed or kind.hull
        if fixed.width != kind.hull.width:
            raise HLSError(
                f"Node {node.name!r} casts to {fixed}, but its values are {kind.hull}: widths must be the same"
            )
        # Not "_t": POSIX has taken those, key_t and size_t among them.
        return Array(name, self.names(f"{name}_type"), kind.size, kind.shape, fixed)

    def _inputs(self) -> None:
        for node in self.graph.inputs:
            assert isinstance(node.op, Input)
            array = self._array(node, self.names(node.name), node.op.port)
            self.program.inputs.append(array)
            self._provide(node.name, array, port=True)

    def _outputs(self) -> None:
        #: Which output port a node may fill directly: an only use, by a node that computes something.
        self.direct: dict[str, Array] = {}
        for name, label in zip(self.graph.outputs, self.graph.output_names):
            node = self.graph[name]
            array = self._array(node, self.names(f"{label}_out"), self._cast(node))
            self.program.outputs.append(array)
            only = self.graph.outputs.count(name) == 1 and not self.graph.readers[name]
            if only and self.kernels[name] is not None:
                self.direct[name] = array

    def _cast(self, node: Node) -> Fixed | None:
        kernel = self.kernels[node.name]
        return None if kernel is None else kernel.cast

    def _node(self, node: Node) -> None:
        kernel = self.kernels[node.name]
        if kernel is None:
            # Wiring: the same array under another name.
            self.values[node.name] = self.values[node.inputs[0]]
            return
        inputs = [self._take(name) for name in node.inputs]
        array = self.direct.get(node.name)
        declares = None
        if array is None:
            array = declares = self._array(node, self.names(node.name), kernel.cast)
            self.program.arrays.append(array)
        tables = {
            key: Table(
                self.names(f"{node.name}_{key}"),
                native_type(constant.type.hull),
                int(constant.raw.size),
                constant.type.hull,
                constant.raw,
            )
            for key, constant in kernel.tables.items()
        }
        if kernel.header not in self.program.headers:
            self.program.headers.append(kernel.header)
            self.program.headers.sort()
        self.program.calls.append(
            Call(
                node.name,
                _line(node.layer),
                type(node.op).__name__,
                kernel.name,
                self.names(f"{node.name}_config"),
                inputs,
                array.name,
                kernel.sizes,
                tables,
                declares,
            )
        )
        if node.name not in self.direct:
            self._provide(node.name, array)

    def _uses(self, name: str) -> int:
        """How often a node's array is taken, through wiring as well."""
        count = self.graph.outputs.count(name)
        for reader in self.graph.readers[name]:
            count += self._uses(reader.name) if self.kernels[reader.name] is None else reader.inputs.count(name)
        return count

    def _provide(self, name: str, array: Array, port: bool = False) -> None:
        """Make an array available to its readers; in a dataflow region each gets a copy of its own."""
        uses = self._uses(name)
        self.values[name] = [array.name]
        if not self.program.dataflow or uses < 2:
            return
        rest, copies = array.name, []
        for left in range(uses - 1, 0, -1):
            pair = [self._copy_of(array), self._copy_of(array)]
            self._copy("clone", [rest], pair, array, name)
            copies.append(pair[0].name)
            rest = pair[1].name
            if left == 1:
                copies.append(rest)
        self.values[name] = copies

    def _copy_of(self, array: Array) -> Array:
        copy = Array(self.names(array.name), array.type, array.size, array.shape, array.fixed)
        self.program.arrays.append(copy)
        return copy

    def _copy(self, kernel: str, inputs: list[str], outputs: list[Array], like: Array, node: str) -> None:
        if "copy" not in self.program.headers:
            self.program.headers.append("copy")
            self.program.headers.sort()
        config = self.names(f"{outputs[0].name}_config")
        names = ", ".join(a.name for a in outputs)
        self.program.calls.append(
            Call(
                node,
                _line(self.graph[node].layer),
                "copy",
                kernel,
                config,
                inputs,
                names,
                {"size": like.size},
                {},
                None,
            )
        )

    def _take(self, name: str) -> str:
        """Return the array that the next reader of a node takes."""
        values = self.values[name]
        return values.pop(0) if len(values) > 1 else values[0]

    def _pass_through(self) -> None:
        """Fill the ports that no kernel fills: an input or a shared tensor that is an output."""
        for name, port in zip(self.graph.outputs, self.program.outputs):
            if name not in self.direct:
                self._copy("copy", [self._take(name)], [port], port, name)
