"""Which layer a module is: in projects of hls4ml, and in our own as they are emitted."""

from __future__ import annotations

import numpy as np
import pytest

from keras_hls.errors import HLSError
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.options import Options
from keras_hls.reports import LayerNames, layer_of
from keras_hls.snapshots import Snapshot

PARAMETERS = """// hls-fpga-machine-learning insert layer-config
// first
struct config2 : nnet::dense_config {
    static const unsigned n_in = 4;
    // not a layer
};

// act
struct relu_config4 : nnet::activ_config {
};

// conv
struct config25_mult : nnet::dense_config {
};

struct config25 : nnet::conv2d_config {
};
// hls-fpga-machine-learning insert something else
struct config99 {
};
"""


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        ("dense_latency_ap_fixed_8_2_5_3_0_ap_fixed_16_4_5_3_0_config2_s", "first"),
        ("dense_latency_ap_ufixed_config2_0_0_0", "first"),
        ("net_dense_array_array_ap_fixed_42u_config2_s", "first"),
        ("dense_array_config2_Pipeline_DataPrepare", "first"),
        ("relu_ap_fixed_16_6_5_3_0_relu_config4_s", "act"),
        ("dense_latency_ap_fixed_config25_mult_s", "conv"),
        ("conv_2d_cl_array_config25_s", "conv"),
        ("dense_latency_0_0_0_0_s", None),
        ("dense_config99_s", None),
        ("dense_config3_s", None),
        ("dense_myconfig2_s", None),
        ("net", None),
    ],
)
def test_modules_of_hls4ml(tmp_path, module, layer):
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "parameters.h").write_text(PARAMETERS)
    report = tmp_path / "net_prj" / "solution1" / "syn"
    report.mkdir(parents=True)
    assert layer_of(module, tmp_path) == layer_of(module, report) == (layer or module)


def test_a_folder_without_a_project_has_no_layers(tmp_path):
    assert layer_of("dense_config2_s", tmp_path) == "dense_config2_s"


def dense(n_in, n_out, seed):
    rng = np.random.default_rng(seed)
    return Dense(Constant(rng.integers(-9, 10, (n_in, n_out)), 3), Constant(rng.integers(-9, 10, n_out), 4))


def graph() -> Graph:
    fixed = Fixed(True, 8, 4)
    nodes = (
        Node("x", Input((4,), Formats.of(fixed), fixed), (), "x"),
        Node("fc", dense(4, 4, 1), ("x",), "fc"),
        Node("fc_1", ReLU(), ("fc",), "fc"),
        # Its kernel and this name look like another's.
        Node("relu_fc", dense(4, 4, 2), ("fc_1",), "relu/fc"),
        Node("both", Add(), ("relu_fc", "fc_1"), "both"),
        Node("last_config", ReLU(), ("both",), "last"),
    )
    return Graph(nodes, ("last_config", "both"), ("one", "two")).verify()


@pytest.fixture(params=["Latency", "Resource"])
def project(tmp_path, request):
    options = {"strategy": request.param}
    if request.param == "Resource":
        options["reuse_factor"] = 2
    folder = tmp_path / "project"
    Snapshot(graph(), Options.of(**options)).export(folder, verify=False)
    return folder


def calls(project):
    """Kernel and configuration of every call, as a person reads them from the emitted C++."""
    top = next(path for path in (project / "firmware").glob("*.cpp") if "keras_hls::" in path.read_text())
    for line in top.read_text().splitlines():
        if line.strip().startswith("keras_hls::"):
            yield line.strip()[len("keras_hls::") :].split(">")[0].split("<")


def test_modules_of_our_own_projects(project):
    names = LayerNames.of(project / "net_prj" / "solution1")
    nodes = {node.name for node in graph().nodes}
    seen = set()
    for kernel, config in calls(project):
        for module in (
            f"{kernel}_{config}_s",
            f"net_{kernel}_{config}_ap_fixed_8_4_5_3_0_s",
            f"{kernel}_{config}_Pipeline_1",
        ):
            node = names.layer_of(module)
            assert node in nodes
            if config == f"{node}_config":
                seen.add(node)
            else:
                assert kernel in ("copy", "clone")
    # All that compute have a kernel of their own.
    assert seen == {"fc", "fc_1", "relu_fc", "both", "last_config"}
    assert names.layer_of("inner_function_relu_fc_config_s") == "relu_fc"
    assert names.layer_of("net") == "net"


def test_copies_belong_to_what_they_copy(project):
    names = LayerNames.of(project)
    copies = [(kernel, config) for kernel, config in calls(project) if kernel in ("copy", "clone")]
    assert copies
    # "both" is an output and read: that costs a copy; only "fc_1" is read twice besides.
    assert {names.layer_of(f"{kernel}_{config}_s") for kernel, config in copies} <= {"both", "fc_1"}


def test_a_damaged_project_is_an_error(project):
    (project / "graph.json").write_text("{")
    with pytest.raises(HLSError, match=r"damaged: graph\.json can't be read; export it again"):
        LayerNames.of(project)
    (project / "graph.json").unlink()
    with pytest.raises(HLSError, match="can't be read"):
        LayerNames.of(project)
