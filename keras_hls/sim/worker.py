"""The process that C-simulation runs in: loads a library, calls it from several threads, and may crash alone.

Started as a script with nothing but the standard library, because it starts in a few milliseconds then.

Arguments: library, data file, samples, threads, sizes of the inputs, sizes of the outputs (comma-separated). The data
file holds all inputs and then all outputs, each as int64, samples first, and at last how many samples were run.
"""

import ctypes
import mmap
import sys
import threading


def main(library: str, data: str, samples: str, workers: str, input_sizes: str, output_sizes: str) -> None:
    """Fill the outputs of the data file."""
    run = ctypes.CDLL(library).keras_hls_run
    run.restype = None
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulonglong]
    sizes = [[int(n) for n in text.split(",")] for text in (input_sizes, output_sizes)]
    count = int(samples)
    with open(data, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        anchor = ctypes.c_char.from_buffer(memory)
        place = ctypes.addressof(anchor)
        starts: list[list[tuple[int, int]]] = []
        for group in sizes:
            starts.append([])
            for size in group:
                starts[-1].append((place, size * 8))
                place += size * 8 * count

        finished: list[int] = []

        def part(first: int, last: int) -> None:
            ins, outs = (
                (ctypes.c_void_p * len(pairs))(*(start + first * step for start, step in pairs)) for pairs in starts
            )
            run(ctypes.cast(ins, ctypes.c_void_p), ctypes.cast(outs, ctypes.c_void_p), last - first)
            finished.append(last - first)

        number = max(min(int(workers), count), 1)
        cuts = [count * i // number for i in range(number + 1)]
        # The top function keeps its arrays on the stack, and those of a large network are large.
        threading.stack_size(256 << 20)
        pool = [threading.Thread(target=part, args=cut) for cut in zip(cuts, cuts[1:])]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
        # What ended early, even as if all were well, didn't come to here.
        ctypes.c_longlong.from_address(place).value = sum(finished)
        del anchor


if __name__ == "__main__":
    main(*sys.argv[1:])
