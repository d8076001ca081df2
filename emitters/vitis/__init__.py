"""AMD Vitis HLS."""

from __future__ import annotations

from keras_hls.emitters.base import Backend


class Vitis(Backend):
    """AMD Vitis HLS 2022.2 and later; `build_prj.tcl` for the classic tool, `hls_config.cfg` for the unified one."""

    package = "keras_hls.emitters.vitis"
    templates = {
        "firmware/{name}.h": "top.h.jinja2",
        "firmware/{name}.cpp": "top.cpp.jinja2",
        "firmware/types.h": "types.h.jinja2",
        "firmware/parameters.h": "parameters.h.jinja2",
        "firmware/weights.h": "weights.h.jinja2",
        "tb/{name}_tb.cpp": "testbench.cpp.jinja2",
        "csim/bridge.cpp": "bridge.cpp.jinja2",
        "build_prj.tcl": "build_prj.tcl.jinja2",
        "hls_config.cfg": "hls_config.cfg.jinja2",
        "README.md": "README.md.jinja2",
    }

    with_ports = (
        "firmware/{name}.h",
        "firmware/{name}.cpp",
        "firmware/types.h",
        "firmware/parameters.h",
        "csim/bridge.cpp",
    )

    def describe(self) -> str:
        return "Vitis HLS"
