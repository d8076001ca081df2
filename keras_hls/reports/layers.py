"""Which layer of the network a module of the hardware is, from the project's own sources.

The HLS tools name a function's module by the function and its template arguments, one of which is the layer's
configuration. hls4ml writes the layer's name above that, in firmware/parameters.h; projects of keras_hls have a
configuration a node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keras_hls.errors import HLSError
from keras_hls.folder import MANIFEST, read_manifest

#: Reports lie in project/tool's project/solution/syn/report.
_LEVELS = 5
_MARKER = "// hls-fpga-machine-learning"
_STRUCT = re.compile(r"struct\s+(\w+)")
_CALL = re.compile(r"^\s*keras_hls::(\w+)<(\w+)>\(([^()]*)\);", re.MULTILINE)


@dataclass(frozen=True)
class LayerNames:
    """The layers of a project by what their modules are named after.

    Attributes
    ----------
    layers : Mapping of str to str
        Layers (nodes, in a project of keras_hls) by name of configuration.
    functions : Mapping of str to str
        The same by function and configuration, which is more exact.
    """

    layers: Mapping[str, str]
    functions: Mapping[str, str]

    @classmethod
    def of(cls, folder: str | Path) -> LayerNames:
        """Read a project's names; there are none if the folder belongs to no project.

        Parameters
        ----------
        folder : str or Path
            A project, or a folder inside one.

        Raises
        ------
        HLSError
            If a file of the project can't be read.
        """
        place = Path(folder).absolute()
        for root in [place, *place.parents][:_LEVELS]:
            if (root / "firmware" / "parameters.h").is_file():
                return _ours(root) if (root / MANIFEST).is_file() else cls(_hls4ml(root), {})
        return cls({}, {})

    def layer_of(self, module: str) -> str:
        """Return the layer that a module belongs to, or the module's own name if that says none."""
        return _longest(self.functions, module) or _longest(self.layers, module) or module


def layer_of(module: str, folder: str | Path) -> str:
    """Return the layer that a module belongs to.

    Parameters
    ----------
    module : str
        Its name in a report.
    folder : str or Path
        The project, or a folder inside it.

    Returns
    -------
    str
        The layer's name in a project of hls4ml, the node's in one of keras_hls; `module` if its name says neither:
        Vivado HLS cuts the arguments out of long names.

    Raises
    ------
    HLSError
        If a file of the project can't be read.
    """
    return LayerNames.of(folder).layer_of(module)


def _longest(names: Mapping[str, str], module: str) -> str | None:
    """The layer of the longest name that stands in a module's name as a word; None if two layers have such names."""
    found = [name for name in names if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", module)]
    most = max(map(len, found), default=0)
    layers = {names[name] for name in found if len(name) == most}
    return layers.pop() if len(layers) == 1 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise HLSError(f"{str(path)!r} can't be read ({error.strerror}); check its permissions") from None


def _hls4ml(root: Path) -> dict[str, str]:
    """Configurations below the comment that names their layer."""
    layers: dict[str, str] = {}
    layer = ""
    for line in _read(root / "firmware" / "parameters.h").splitlines():
        if line.startswith("//"):
            # A marker of hls4ml's own ends what the layer before it has.
            layer = "" if line.startswith(_MARKER) else line[2:].strip()
        elif layer and (match := _STRUCT.match(line)):
            layers[match[1]] = layer
    return layers


def _ours(root: Path) -> LayerNames:
    """A project of keras_hls: its top function calls a kernel with a configuration for every node, and copies arrays."""
    nodes = _nodes(root)
    name = str(read_manifest(root).get("project_name", ""))
    layers: dict[str, str] = {}
    functions: dict[str, str] = {}
    owners = {node: node for node in nodes}
    for kernel, config, arguments in _CALL.findall(_read(root / "firmware" / f"{name}.cpp")):
        first, *others = (word.strip() for word in arguments.split(","))
        own = re.sub(r"_config(_\d+)?$", "", config)
        # What copies an array belongs to the node that fills it.
        node = own if own in nodes else owners.get(first)
        if node is None:
            continue
        if own not in nodes:
            owners.update(dict.fromkeys(others, node))
        layers[config] = functions[f"{kernel}_{config}"] = node
    return LayerNames(layers, functions)


def _nodes(root: Path) -> frozenset[str]:
    try:
        return frozenset(str(node["name"]) for node in json.loads(_read(root / "graph.json"))["nodes"])
    except (ValueError, LookupError, TypeError):
        raise HLSError(f"Project {str(root)!r} is damaged: graph.json can't be read; export it again") from None
