"""Graph to graph: one file a pass. What `prepare` returns is what emulator, cost model and emitter read."""

from __future__ import annotations

from collections.abc import Callable

from keras_hls.graph import Graph, Node
from keras_hls.passes.common_factors import take_out_factors
from keras_hls.passes.constants import fold_constants
from keras_hls.passes.dead_channels import drop_dead_channels
from keras_hls.passes.dead_nodes import drop_dead_nodes
from keras_hls.passes.folding import fold_scales
from keras_hls.passes.fused_casts import fuse_casts
from keras_hls.passes.host_functions import leave_to_host
from keras_hls.passes.identities import drop_identities
from keras_hls.passes.input_types import type_inputs
from keras_hls.passes.narrowing import narrow
from keras_hls.passes.settling import settle_precision
from keras_hls.passes.transposes import cancel_transposes
from keras_hls.passes.unquantized import refuse_unquantized


def prepare(graph: Graph, *, softmax: str = "host", stays: Callable[[Node], bool] = lambda node: False) -> Graph:
    """Return the graph as it is to be built; every step leaves a graph that verifies.

    Parameters
    ----------
    graph : Graph
        As a frontend made it.
    softmax : {"host", "hardware"}
        Whether functions that whoever reads the answer can apply are left to them.
    stays : function
        Says which nodes must keep all channels of what they take and answer, as those whose multipliers are shared.
    """
    graph = refuse_unquantized(drop_dead_nodes(graph))
    graph = settle_precision(cancel_transposes(type_inputs(graph))).verify()
    if softmax == "host":
        graph = leave_to_host(graph).verify()
    before, graph = None, drop_identities(graph).verify()
    # What is narrower or gone may let something else be.
    while graph is not before:
        before = graph
        graph = drop_dead_channels(graph, stays=stays).verify()
        graph = fold_scales(fold_constants(graph, stays=stays).verify())
        graph = take_out_factors(graph).verify()
        graph = fuse_casts(drop_identities(cancel_transposes(graph))).verify()
        graph = drop_identities(narrow(graph).verify()).verify()
    return graph
