"""Synthesis reports: what the vendor's tools say of a project that they have built.

`read_folder` reads all reports of a project and holds them against each other; `read_report` reads one. A file a format;
formats are told by content. Whatever is cut off, damaged or contradictory is refused: a wrong figure is worse than none.
"""

from keras_hls.reports.folder import StageReports, SynthesisReports, read_folder, read_report
from keras_hls.reports.layers import LayerNames, layer_of
from keras_hls.reports.model import (
    STAGES,
    ClockTiming,
    Instance,
    ModuleReport,
    ReportFile,
    Stage,
    TimingReport,
)
from keras_hls.reports.recognition import parse, recognise

__all__ = [
    "STAGES",
    "ClockTiming",
    "Instance",
    "LayerNames",
    "ModuleReport",
    "ReportFile",
    "Stage",
    "StageReports",
    "SynthesisReports",
    "TimingReport",
    "layer_of",
    "parse",
    "read_folder",
    "read_report",
    "recognise",
]
