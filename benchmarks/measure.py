"""Processes to measure in, their memory, and how repetitions are laid out."""

from __future__ import annotations

import json
import os
import selectors
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
# Appended, so that the installed package comes before the folder of the same name.
_START = "import sys; sys.path.append({root!r}); from benchmarks.worker import main; main({tool!r})"


class WorkerError(Exception):
    """A tool failed in its process.

    Parameters
    ----------
    tool : str
        As for `Worker`.
    text : str
        What it said.
    """

    def __init__(self, tool: str, text: str):
        super().__init__(text)
        self.tool = tool


class Worker:
    """A fresh process that serves one tool.

    Parameters
    ----------
    tool : str
        A class, "module:name".
    folder : Path
        Where the process runs and its log is kept.
    limit : float
        Seconds that a call may take; beyond, the process is ended with all that it has started.
    """

    def __init__(self, tool: str, folder: Path, limit: float = 600):
        self.tool, self.limit = tool, limit
        self._log = folder / f"{tool.replace(':', '.')}.log"
        # Keras on a GPU would be another machine than the one the tools run on.
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", **os.environ}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START.format(root=str(_ROOT), tool=tool)],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # A group of its own, so that a compiler ends with it.
                start_new_session=True,
            )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(30)
        except (OSError, subprocess.TimeoutExpired):
            self._kill()
        self._process.stdout.close()

    def _kill(self) -> None:
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def call(self, name: str, **arguments: Any) -> Any:
        """Call a method of the tool and return its result.

        Raises
        ------
        WorkerError
            If it raises, takes too long, or the process ends.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"call": name, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                if not selector.select(self.limit):
                    self._kill()
                    raise WorkerError(self.tool, f"{name}: it took longer than {self.limit:g} seconds, and was ended")
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            tail = self._log.read_text(errors="replace").strip().splitlines()[-5:]
            raise WorkerError(self.tool, f"{name}: the process ended. " + " | ".join(tail))
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(self.tool, f"{name}: {answer['error'].strip()}")
        return answer["result"]

    def call_watched(self, name: str, **arguments: Any) -> tuple[Any, float | None]:
        """Call a method, and return its result and the peak memory of the process with its children, in MB.

        Not for timing: watching costs a little. The memory is None where there is no /proc.
        """
        peak = 0
        over = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not over.is_set():
                peak = max(peak, _tree_pages(self._process.pid))
                over.wait(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            result = self.call(name, **arguments)
        finally:
            over.set()
            watcher.join()
        if not peak:
            return result, None
        # The process's own peak, which no sampling misses, is a lower bound.
        return result, max(peak * os.sysconf("SC_PAGE_SIZE"), _high_water(self._process.pid)) / 1e6


def _tree_pages(root: int) -> int:
    """Resident pages of a process and all below it; what they share is counted in each."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    tree, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in tree} - tree
        tree |= more
        grown = bool(more)
    pages = 0
    for pid in tree:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return pages


def _high_water(pid: int) -> int:
    """The most resident memory that a process ever had, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def interleaved(
    repetitions: int, measures: Sequence[Callable[[], float]], budget: float = float("inf")
) -> list[list[float]]:
    """Return each measure's repetitions; all are run once before any is run again, and every other time backwards.

    So a machine that is busy for a while slows all of them down alike. Once they have taken `budget` seconds, none is run
    again.
    """
    found: list[list[float]] = [[] for _ in measures]
    begin = time.perf_counter()
    for repetition in range(repetitions):
        if repetition and time.perf_counter() - begin > budget:
            break
        order = range(len(measures))
        for i in order if repetition % 2 == 0 else reversed(order):
            found[i].append(measures[i]())
    return found


def long_enough(run: Callable[[int], float], seconds: float, start: int, most: int) -> int:
    """Return how many samples take a run about so many seconds; `run` takes a count and returns seconds."""
    count = start
    while True:
        # The first time, something may have to be compiled for so many.
        took = min(run(count), run(count))
        if took >= seconds / 2 or count >= most:
            return min(max(int(count * seconds / max(took, 1e-9)), start), most)
        count = min(count * 4, most)


def start_seconds(statement: str, folder: str) -> float:
    """Return how long a fresh interpreter takes to run a statement in a folder, in seconds.

    Raises
    ------
    subprocess.CalledProcessError
        If the statement raises; it holds what was said.
    """
    command = [sys.executable, "-c", statement]
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return time.perf_counter() - begin


def imported(statement: str, folder: str) -> list[str]:
    """Return the top-level packages that are loaded after a statement in a fresh interpreter, run in a folder."""
    script = f"{statement}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.split()


def median(values: Sequence[float]) -> float:
    """Return the median; NaN for none."""
    return statistics.median(values) if values else float("nan")
