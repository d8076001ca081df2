"""The process that C-simulation runs in: loads a library, calls it from several threads, and may crash alone.

Started as a script with nothing but the standard library, because it starts in a few milliseconds then.

Arguments: library, data file, bytes of one slot of the data file, threads, places of the inputs, places of the outputs. A
place is "start:row": where an array's samples start in a slot, and the bytes of each; places are separated by commas. Each
line of the input is a number of a slot and one of samples in it; when their answers are there, that number is a line of the
output.
"""

import ctypes
import mmap
import os
import sys
import threading
from queue import SimpleQueue

# Parts that a thread's share is cut into, as some threads may be slower than others.
_PARTS = 4


def main(library: str, data: str, slot: str, workers: str, inputs: str, outputs: str) -> None:
    """Fill the outputs of the data file, until the input ends."""
    # What the C++ prints is none of our answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = ctypes.CDLL(library).keras_hls_run
    run.restype = None
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulonglong]
    places = [[[int(n) for n in place.split(":")] for place in text.split(",")] for text in (inputs, outputs)]
    threads = int(workers)
    with open(data, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        anchor = ctypes.c_char.from_buffer(memory)
        parts: SimpleQueue[tuple[int, int, int] | None] = SimpleQueue()
        finished: SimpleQueue[int] = SimpleQueue()

        def work() -> None:
            while (part := parts.get()) is not None:
                begin, first, last = part
                ins, outs = (
                    (ctypes.c_void_p * len(group))(*(begin + start + first * row for start, row in group))
                    for group in places
                )
                run(ctypes.cast(ins, ctypes.c_void_p), ctypes.cast(outs, ctypes.c_void_p), last - first)
                finished.put(last - first)

        # The top function keeps its arrays on the stack, and those of a large network are large.
        threading.stack_size(256 << 20)
        pool = [threading.Thread(target=work) for _ in range(threads)]
        for thread in pool:
            thread.start()
        for line in sys.stdin:
            number, count = map(int, line.split())
            cuts = min(threads * _PARTS if threads > 1 else 1, count)
            begin = ctypes.addressof(anchor) + number * int(slot)
            for i in range(cuts):
                parts.put((begin, count * i // cuts, count * (i + 1) // cuts))
            print(sum(finished.get() for _ in range(cuts)), file=answers, flush=True)
        for _ in pool:
            parts.put(None)
        for thread in pool:
            thread.join()
        del anchor


if __name__ == "__main__":
    main(*sys.argv[1:])
