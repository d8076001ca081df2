"""Which format a file is of, by what stands in it; its name says nothing."""

from __future__ import annotations

from types import ModuleType

from keras_hls.reports import (
    csynth_text,
    csynth_tree,
    csynth_xml,
    vivado_hierarchy,
    vivado_timing,
    vivado_utilization,
)
from keras_hls.reports.figures import problem
from keras_hls.reports.model import ReportFile

#: One module a format, each with `KIND`, `recognises` and `parse`.
_FORMATS: tuple[ModuleType, ...] = (
    csynth_text,
    csynth_tree,
    csynth_xml,
    vivado_utilization,
    vivado_hierarchy,
    vivado_timing,
)


def recognise(head: str) -> str | None:
    """Return the format of a file.

    Parameters
    ----------
    head : str
        How it starts; some ten thousand characters suffice.

    Returns
    -------
    str or None
        "csynth text", "csynth tree", "csynth XML", "Vivado utilization", "Vivado hierarchy" or "Vivado timing"; None if
        it is none of them.
    """
    return next((str(each.KIND) for each in _FORMATS if each.recognises(head)), None)


def parse(text: str, where: str) -> ReportFile:
    """Read a report of any format.

    Parameters
    ----------
    text : str
    where : str
        The file, for errors.

    Raises
    ------
    HLSError
        If it is of no known format, or isn't whole.
    """
    text = text.replace("\r\n", "\n")
    kind = recognise(text)
    for each in _FORMATS:
        if kind == each.KIND:
            report: ReportFile = each.parse(text, where)
            return report
    raise problem(
        where,
        "is no synthesis report that keras_hls can read",
        "it reads csynth reports of Vivado HLS and Vitis HLS, and utilization and timing summaries of Vivado",
    )
