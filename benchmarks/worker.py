"""The process that one tool is measured in: takes calls as lines of JSON, and answers likewise.

Started by `benchmarks.measure.Worker`. Whatever the tool prints goes to its log.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback


def main(tool: str) -> None:
    """Answer calls until the input ends.

    Parameters
    ----------
    tool : str
        A class, "module:name"; one object of it serves all calls.
    """
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, name = tool.split(":")
    served = getattr(importlib.import_module(module), name)()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": getattr(served, request["call"])(**request["arguments"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        sys.stdout.flush()
        print(json.dumps(answer), file=channel, flush=True)
