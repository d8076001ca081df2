"""The process that C-simulation runs in: loads a library, calls it from several threads, and may crash alone.

Started as a script with nothing but the standard library, because it starts in a few milliseconds then.

Arguments: library, data file, samples, threads, places of the inputs, places of the outputs. A place is "start:row": where
an array's samples start in the data file, and the bytes of each; places are separated by commas. The file's last word
becomes how many samples were run.
"""

import ctypes
import mmap
import sys
import threading


def main(library: str, data: str, samples: str, workers: str, inputs: str, outputs: str) -> None:
    """Fill the outputs of the data file."""
    run = ctypes.CDLL(library).keras_hls_run
    run.restype = None
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulonglong]
    places = [[[int(n) for n in place.split(":")] for place in text.split(",")] for text in (inputs, outputs)]
    count = int(samples)
    with open(data, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        anchor = ctypes.c_char.from_buffer(memory)
        begin = ctypes.addressof(anchor)
        finished: list[int] = []

        def part(first: int, last: int) -> None:
            ins, outs = (
                (ctypes.c_void_p * len(group))(*(begin + start + first * row for start, row in group))
                for group in places
            )
            run(ctypes.cast(ins, ctypes.c_void_p), ctypes.cast(outs, ctypes.c_void_p), last - first)
            finished.append(last - first)

        number = max(min(int(workers), count), 1)
        cuts = [count * i // number for i in range(number + 1)]
        # The top function keeps its arrays on the stack, and those of a large network are large.
        threading.stack_size(256 << 20)
        pool = [threading.Thread(target=part, args=(cuts[i], cuts[i + 1])) for i in range(number)]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
        # What ended early, even as if all were well, didn't come to here.
        ctypes.c_longlong.from_address(begin + len(memory) - 8).value = sum(finished)
        del anchor


if __name__ == "__main__":
    main(*sys.argv[1:])
