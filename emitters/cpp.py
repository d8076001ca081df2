"""C++ text: how types, names and numbers are written."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from keras_hls.fixed import Fixed, IntArray
from keras_hls.options import identifier

_NATIVE = {1: "signed char", 2: "short", 4: "int", 8: "long long"}


def fixed_type(fixed: Fixed) -> str:
    """Return a type as the HLS tool spells it."""
    modes = "" if (fixed.rounding, fixed.overflow) == ("TRN", "WRAP") else f", AP_{fixed.rounding}, AP_{fixed.overflow}"
    return f"ap_{'' if fixed.signed else 'u'}fixed<{fixed.width}, {fixed.integer}{modes}>"


def native_type(fixed: Fixed) -> str:
    """Return the smallest plain integer type that holds the raw integers of a type."""
    return _NATIVE[fixed.native.itemsize]


def numbers(values: IntArray) -> str:
    """Return integers separated by commas, in lines of readable length."""
    words = list(map(str, np.asarray(values).reshape(-1).tolist()))
    row = max(112 // (max(map(len, words), default=1) + 2), 1)
    return ",\n".join("    " + ", ".join(words[i : i + row]) for i in range(0, len(words), row))


# What no name in the project may be: words of the language, macros of its library, variables of the templates.
_WORDS = """
    alignas and_eq bitand bitor char16_t char32_t char8_t compl const_cast consteval constinit decltype dynamic_cast
    noexcept not_eq nullptr or_eq reinterpret_cast requires static_assert static_cast thread_local typeid wchar_t xor_eq
    assert errno stdin stdout stderr EOF INFINITY NAN NULL
    answer count i inputs j keras_hls_run open_data outputs ports raw samples wrong
"""


class Names:
    """Hands out C++ names, none twice."""

    def __init__(self, taken: Iterable[str] = ()):
        self._taken = {*_WORDS.split(), *taken}

    def __call__(self, wish: str) -> str:
        base = identifier(wish)
        name, count = base, 1
        while name in self._taken:
            # Two underscores in a row belong to the compiler.
            name, count = f"{base.rstrip('_')}_{count}", count + 1
        self._taken.add(name)
        return name
