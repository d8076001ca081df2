"""The C-simulation headers: equal to the vendor's on random programs, and to UG1399 by hand.

More cases: KERAS_HLS_AP_SCALE=5 KERAS_HLS_AP_SEED=1234. The vendor's headers come with the hls4ml wheel, or from the
folder KERAS_HLS_AP_TYPES.
"""

from __future__ import annotations

import concurrent.futures
import functools
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import cases_ap_types

CSIM = Path(__file__).parents[2] / "emitters" / "csim"
SCALE = float(os.environ.get("KERAS_HLS_AP_SCALE", "1"))
SEED = int(os.environ.get("KERAS_HLS_AP_SEED", "20240611"))
PROGRAMS = ("convert0", "convert1", "operators0", "operators1", "one_operand", "real", "bits")
STRICT = ("-Wall", "-Wextra", "-Werror")


@functools.cache
def compiler() -> list[str]:
    command = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs a C++ compiler, and there is no {command[0]}")
    return command


@functools.cache
def is_gcc() -> bool:
    text = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, check=False).stdout
    return "Free Software Foundation" in text


def vendor_headers() -> Path:
    if folder := os.environ.get("KERAS_HLS_AP_TYPES"):
        return Path(folder)
    spec = importlib.util.find_spec("hls4ml")  # finds the wheel without importing it, which would need TensorFlow
    for root in (spec and spec.submodule_search_locations) or ():
        folder = Path(root) / "templates" / "vivado" / "ap_types"
        if (folder / "ap_fixed.h").is_file():
            return folder
    pytest.skip("needs the vendor's headers: pip install hls4ml, or set KERAS_HLS_AP_TYPES to their folder")


def compile_cpp(source: str, folder: Path, *flags: str, headers: Path = CSIM, name: str = "program") -> tuple[int, str]:
    """Compile a program; return the compiler's exit code and its messages."""
    path = folder / f"{name}.cpp"
    path.write_text(source)
    command = [*compiler(), "-std=c++17", *flags, "-I", str(headers), str(path), "-o", str(folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    return done.returncode, done.stderr


def run_cpp(source: str, folder: Path, *flags: str, headers: Path = CSIM, name: str = "program") -> tuple[str, str]:
    """Compile and run a program; return what it writes to its output and to its error output."""
    code, messages = compile_cpp(source, folder, *flags, headers=headers, name=name)
    assert code == 0, messages[:3000]
    done = subprocess.run([str(folder / name)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout, done.stderr


def differences(ours: str, theirs: str) -> list[str]:
    ours_lines, their_lines = ours.splitlines(), theirs.splitlines()
    assert len(ours_lines) == len(their_lines) > 0
    return [f"ours  : {a[:500]}\nvendor: {b[:500]}" for a, b in zip(ours_lines, their_lines, strict=True) if a != b]


@functools.cache
def programs() -> dict[str, str]:
    return cases_ap_types.programs(SEED, SCALE)


# ---- against the vendor's headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROGRAMS)
def test_equal_to_vendor(name: str, tmp_path: Path) -> None:
    vendor = vendor_headers()
    source = programs()[name]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        # NDEBUG: the vendor's assertions stop at reads of bits that it then does not use.
        theirs = pool.submit(run_cpp, source, tmp_path, "-O0", "-w", "-DNDEBUG", headers=vendor, name="vendor")
        ours = pool.submit(run_cpp, source, tmp_path, "-O2", name="ours")
        wrong = differences(ours.result()[0], theirs.result()[0])
    assert not wrong, f"{len(wrong)} cases differ; the first are\n" + "\n".join(wrong[:8])


KERNEL = r"""
#include <ap_fixed.h>
#include <cstdio>
// The adapter through which one kernel compiles with both sets of headers.
template <class T> T from_raw(long long raw) {
#ifdef KERAS_HLS_CSIM
  return T::from_raw(static_cast<typename T::Raw>(raw));
#else
  T x;
  x.range(T::width - 1, 0) = raw;
  return x;
#endif
}
struct config { static const int n = 19, m = 13, shift = 1; };  // constants that no .cpp file defines
typedef ap_fixed<12, 4> x_t;
typedef ap_fixed<6, 1> w_t;
typedef ap_fixed<24, 10> sum_t;
typedef ap_ufixed<9, 4, AP_RND_CONV, AP_SAT> y_t;
static const signed char weights[config::n * config::m] = {WEIGHTS};
template <class C> void dense(const x_t x[C::n], y_t y[C::m]) {
  sum_t sum[C::m];
  for (int j = 0; j < C::m; j++) sum[j] = C::shift;
  for (int i = 0; i < C::n; i++)
    for (int j = 0; j < C::m; j++) sum[j] += x[i] * from_raw<w_t>(weights[i * C::m + j]);
  for (int j = 0; j < C::m; j++) y[j] = sum[j] > 0 ? sum_t(sum[j] << C::shift) : sum_t(0);
}
int main() {
  unsigned state = 1;
  for (int k = 0; k < 200; k++) {
    x_t x[config::n];
    y_t y[config::m];
    for (int i = 0; i < config::n; i++) {
      state = state * 1664525u + 1013904223u;
      x[i] = from_raw<x_t>(int(state >> 20) - 2048);
    }
    dense<config>(x, y);
    for (int j = 0; j < config::m; j++) std::printf("%d ", y[j].range(8, 0).to_int());
  }
}
"""


def kernel() -> str:
    return KERNEL.replace(
        "WEIGHTS", ", ".join(str(w) for w in ((29 * k * k + 7 * k) % 64 - 32 for k in range(19 * 13)))
    )


def test_one_kernel_for_both_sets_of_headers(tmp_path: Path) -> None:
    theirs, _ = run_cpp(kernel(), tmp_path, "-O1", "-w", "-DNDEBUG", headers=vendor_headers(), name="vendor")
    ours, _ = run_cpp(kernel(), tmp_path, "-O3")
    assert ours == theirs


# ---- by hand --------------------------------------------------------------------------------------------------------

# Multiples of 1/4 to multiples of 1/2, as in UG1399's examples for each quantization mode.
QUANTIZED = {  # -1.25, -1.0, -0.75, -0.25, 0.25, 0.75, 1.0, 1.25
    "AP_RND": (-1.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.0, 1.5),
    "AP_RND_ZERO": (-1.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 1.0),
    "AP_RND_MIN_INF": (-1.5, -1.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.0),
    "AP_RND_INF": (-1.5, -1.0, -1.0, -0.5, 0.5, 1.0, 1.0, 1.5),
    "AP_RND_CONV": (-1.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 1.0),
    "AP_TRN": (-1.5, -1.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.0),
    "AP_TRN_ZERO": (-1.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 1.0),
}
# Integers to four bits, as in UG1399's examples for each overflow mode.
OVERFLOWN = {  # signed: 19, -19, 7, 8, -8, -9; unsigned: 19, -19, 15, 16, -1
    "AP_SAT": ((7, -8, 7, 7, -8, -8), (15, 0, 15, 15, 0)),
    "AP_SAT_ZERO": ((0, 0, 7, 0, -8, 0), (0, 0, 15, 0, 0)),
    "AP_SAT_SYM": ((7, -7, 7, 7, -7, -7), (15, 0, 15, 15, 0)),
    "AP_WRAP": ((3, -3, 7, -8, -8, 7), (3, 13, 15, 0, 15)),
}


def checks(lines: list[str]) -> str:
    """A program that compiles only if every line is true at compile time."""
    return "#include <ap_fixed.h>\n" + "\n".join(f"static_assert({line});" for line in lines) + "\nint main() {}\n"


def test_quantization_modes(tmp_path: Path) -> None:
    lines = []
    for mode, results in QUANTIZED.items():
        for x, y in zip((-1.25, -1.0, -0.75, -0.25, 0.25, 0.75, 1.0, 1.25), results, strict=True):
            for source in (f"{x}", f"ap_fixed<8, 4>({x})", f"ap_fixed<32, 30>({x})", f"ap_fixed<64, 62>({x})"):
                lines.append(f"ap_fixed<5, 4, {mode}>({source}) == {y}")
            # All bits of x lie below the last one of the result, where nothing but the sign is left for truncation.
            floor = -1 if mode == "AP_TRN" and x < 0 else 0
            lines.append(f"ap_fixed<8, 12, {mode}>(ap_fixed<4, 2>({x})) == {16 * floor}")
            if x >= 0:
                lines.append(f"ap_ufixed<5, 4, {mode}>(ap_ufixed<32, 30>({x})) == {y}")
    code, messages = compile_cpp(checks(lines), tmp_path, *STRICT)
    assert code == 0, messages[:3000]


def test_overflow_modes(tmp_path: Path) -> None:
    lines = []
    for mode, (signed, unsigned) in OVERFLOWN.items():
        for x, y in zip((19, -19, 7, 8, -8, -9), signed, strict=True):
            for source in (f"{x}", f"{x}.0", f"ap_int<9>({x})", f"ap_fixed<20, 10>({x})", f"ap_fixed<64, 60>({x})"):
                lines.append(f"ap_fixed<4, 4, AP_TRN, {mode}>({source}) == {y}")
            lines.append(
                f"ap_fixed<20, 4, AP_TRN, {mode}>(19) {'>' if y > 0 else '=='} 2" if y == 7 and x == 19 else "true"
            )
        for x, y in zip((19, -19, 15, 16, -1), unsigned, strict=True):
            for source in (f"{x}", f"{x}.0", f"ap_int<9>({x})", f"ap_fixed<20, 10>({x})"):
                lines.append(f"ap_ufixed<4, 4, AP_TRN, {mode}>({source}) == {y}")
    # Rounding up may be what overflows, and a shift to the left as well.
    lines += [
        "ap_fixed<4, 4, AP_RND, AP_SAT>(ap_fixed<6, 4>(7.5)) == 7",
        "ap_fixed<4, 4, AP_RND, AP_WRAP>(ap_fixed<6, 4>(7.5)) == -8",
        "ap_ufixed<4, 4, AP_RND, AP_SAT_ZERO>(ap_ufixed<6, 4>(15.5)) == 0",
        "ap_fixed<8, 2, AP_TRN, AP_SAT>(ap_int<4>(5)) == 127.0 / 64",
        "ap_fixed<8, 2, AP_TRN, AP_SAT_SYM>(ap_int<4>(-5)) == -127.0 / 64",
        "ap_fixed<8, 2, AP_TRN, AP_WRAP>(ap_int<4>(5)) == 1",
        "ap_fixed<1, 1, AP_TRN, AP_SAT_SYM>(-5) == -1",
    ]
    code, messages = compile_cpp(checks(lines), tmp_path, *STRICT)
    assert code == 0, messages[:3000]


def test_result_types_and_values(tmp_path: Path) -> None:
    a, b, u = "ap_fixed<8, 4>(-2.75)", "ap_fixed<6, 1>(0.625)", "ap_ufixed<5, 3>(5.25)"
    i, j = "ap_int<7>(-45)", "ap_uint<4>(13)"

    def is_a(expression: str, name: str) -> str:
        return f"std::is_same<decltype({expression}), {name}>::value"

    lines = [
        is_a(f"{a} + {b}", "ap_fixed<10, 5>"),
        f"{a} + {b} == -2.125",
        is_a(f"{a} - {u}", "ap_fixed<9, 5>"),
        f"{a} - {u} == -8",
        is_a(f"{u} - {u}", "ap_fixed<6, 4>"),
        is_a(f"{a} * {u}", "ap_fixed<13, 7>"),
        f"{a} * {u} == -14.4375",
        is_a(f"{u} * {u}", "ap_ufixed<10, 6>"),
        is_a(f"{a} / {b}", "ap_fixed<14, 10>"),
        f"{a} / {b} == -4.375",  # -4.4, cut off towards zero
        is_a(f"{a} + {i}", "ap_fixed<12, 8>"),
        is_a(f"{a} * 3", "ap_fixed<40, 36>"),
        is_a(f"{i} + {j}", "ap_int<8>"),
        is_a(f"{i} * {j}", "ap_int<11>"),
        f"{i} * {j} == -585",
        is_a(f"{i} / {j}", "ap_int<7>"),
        is_a(f"{i} % {j}", "ap_int<5>"),
        "ap_int<7>(-45) / ap_int<5>(13) == -3 && ap_int<7>(-45) % ap_int<5>(13) == -6",
        is_a(f"{i} & {j}", "ap_int<7>"),
        is_a(f"-{j}", "ap_int<5>"),
        is_a(f"~{j}", "ap_uint<4>"),
        f"~{j} == 2 && -{j} == -13 && !ap_uint<4>(0)",
        is_a(f"{a} & {b}", "ap_fixed<9, 4>"),
        f"({a} << 1) == -5.5 && ({a} >> 2) == -0.6875 && ({a} >> -1) == -5.5",
        "(ap_fixed<8, 4>(7.5) << 1) == -1",  # bits fall off: shifts do not saturate
        "ap_int<8>(ap_fixed<8, 4>(-2.75)) == -2 && ap_fixed<8, 4>(-2.75).to_int() == -2",
        "double(ap_fixed<60, 4>(-2.75)) == -2.75 && ap_fixed<8, 12>(128).to_double() == 128",
        "ap_fixed<8, -2>(0.0625).to_double() == 0.0625 && ap_fixed<8, -2>(0.125) == -0.125",
        "ap_uint<8>(300) == 44 && ap_int<8>(200) == -56 && ap_int<12>(-1.99) == -1",
        "ap_uint<8>(0xa5).range(7, 4) == 10 && ap_uint<8>(0xa5)(3, 0) == 5 && ap_uint<8>(0x1).range(0, 7) == 128",
        "ap_uint<4>(10).concat(ap_uint<4>(5)) == 0xa5 && (ap_uint<4>(10), ap_uint<4>(5)) == 0xa5",
        "ap_int<100>(1) << 99 < 0 && (ap_uint<128>(1) << 127 >> 127) == 1",
        "ap_fixed<64, 32>(-0.5) * ap_fixed<64, 32>(8) == -4",
        # 2**100 - 30 by 2**98 - 1: the vendor's headers answer 25
        "~ap_uint<100>(29) % (ap_uint<100>(-1) >> 2) == (ap_uint<100>(-1) >> 2) - 26",
        "ap_fixed<8, 4>::from_raw(-44) == -2.75 && ap_fixed<8, 4>(-2.75).raw() == -44",
        "ap_fixed<8, 4>::width == 8 && ap_fixed<8, 4>::iwidth == 4 && ap_int<9>::width == 9",
        "ap_fixed<8, 4>(2) > 1.5 && 1 < ap_fixed<8, 4>(2) && ap_int<8>(-1) < ap_uint<8>(1) && ap_int<5>(3) == 3.0",
    ]
    code, messages = compile_cpp(checks(lines), tmp_path, *STRICT, "-Wno-parentheses")
    assert code == 0, messages[:3000]


def test_constant_expressions_and_layout(tmp_path: Path) -> None:
    source = r"""
#include <ap_fixed.h>
template <class T> constexpr bool plain = std::is_trivially_copyable<T>::value && std::is_standard_layout<T>::value &&
    std::is_trivially_default_constructible<T>::value && std::is_trivially_destructible<T>::value;
static_assert(plain<ap_int<12>> && plain<ap_uint<12>> && plain<ap_fixed<12, 4>> && plain<ap_ufixed<12, 4>>);
static_assert(sizeof(ap_int<8>) == 1 && sizeof(ap_uint<9>) == 2 && sizeof(ap_fixed<17, 3>) == 4);
static_assert(sizeof(ap_ufixed<33, 3>) == 8 && sizeof(ap_fixed<65, 3>[3]) == 48);

constexpr ap_fixed<16, 6, AP_RND, AP_SAT> polynomial(ap_fixed<10, 3> x) {
  ap_fixed<16, 6, AP_RND, AP_SAT> y = 0.5;
  for (int i = 0; i < 3; ++i) y += x * x * i;
  y.range(3, 0) = 5;
  y[0] = !y[0];
  ap_int<7> n = y;
  n++;
  n <<= 1;
  n ^= 3;
  return y > 2 ? ap_fixed<16, 6, AP_RND, AP_SAT>(y - n) : y;
}
static_assert(polynomial(1.5) == -11.74609375);  // 7.25 + 4 / 1024, less 16 ^ 3
constexpr ap_fixed<8, 3> table[3] = {0.5, -1, ap_int<4>(3)};
static_assert(table[0] + table[1] + table[2] == 2.5);
int main() {}
"""
    code, messages = compile_cpp(source, tmp_path, *STRICT)
    assert code == 0, messages[:3000]


@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_no_warnings(level: str, tmp_path: Path) -> None:
    ours, _ = run_cpp(kernel(), tmp_path, level, *STRICT)
    small = cases_ap_types.programs(SEED + 1, 0.1)
    for name in ("convert0", "operators0", "bits"):
        run_cpp(
            small[name], tmp_path, level, *STRICT, "-Wno-unused-variable", "-Wno-comma", "-Wno-unknown-warning-option"
        )
    assert len(ours.split()) == 2600


def test_no_undefined_behaviour(tmp_path: Path) -> None:
    flags = ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    code, messages = compile_cpp("int main() {}\n", tmp_path, *flags)
    if code:
        pytest.skip(f"needs the undefined behaviour sanitizer: {messages[-200:]}")
    for name, source in cases_ap_types.programs(SEED + 2, 0.15).items():
        run_cpp(source, tmp_path, *flags, name=name)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ap_fixed<129, 4> x; (void)x;", "at most 128 bits"),
        ("ap_int<200> x; (void)x;", "at most 128 bits"),
        ("ap_uint<0> x; (void)x;", "at least 1 bit"),
        ("ap_fixed<100, 50> x = 1; auto y = x * x; (void)y;", "at most 128 bits"),
        ("ap_int<128> x = 1; auto y = x + 1; (void)y;", "at most 128 bits"),
        ("ap_fixed<100, 4> x = 1; ap_fixed<100, 90> y = 1; return x < y;", "at most 128 bits"),
        ("ap_fixed<8, 4, AP_TRN, AP_WRAP_SM> x; (void)x;", "AP_WRAP_SM"),
        ("ap_fixed<8, 4, AP_TRN, AP_WRAP, 2> x; (void)x;", "Leave N at 0"),
        ("ap_fixed<8, 4> x = 1; auto y = x * 0.5; (void)y;", "Convert the number to an ap_fixed first"),
        ("ap_fixed<8, 4> x = 1; auto y = x % 2; (void)y;", "ap_fixed has no operator %"),
        ("ap_int<8> x = 1; auto y = x.range(3, 0) + x; (void)y;", "Assign the range to an ap_uint"),
        ("ap_fixed<4, 8> x = 16; ++x;", "can hold 1"),
        ("ap_uint<4> x = 1, y = 2; (x, y) = 3;", "error"),
        ("const ap_uint<4> x = 1; x.range(1, 0) = 2;", "error"),
        ("ap_fixed<8, 4> x = 1; return int(max(x, x));", "declared"),  # the headers' helpers are nobody else's
    ],
)
def test_refused(code: str, message: str, tmp_path: Path) -> None:
    source = "#include <ap_fixed.h>\nint main() { %s return 0; }\n"
    assert compile_cpp(source % "ap_fixed<8, 4> fine = 1; (void)fine;", tmp_path, "-fsyntax-only")[0] == 0
    failed, messages = compile_cpp(source % code, tmp_path, "-fsyntax-only")
    assert failed
    assert message in messages


def test_output_to_a_stream(tmp_path: Path) -> None:
    source = r"""
#include <ap_int.h>
#include <iostream>
int main() {
  std::cout << ap_fixed<8, 4>(-2.75) << ' ' << ap_int<8>(-5) << ' ' << ap_uint<8>(65) << ' ' << (ap_int<128>(-1) << 127)
            << ' ' << (ap_uint<100>(1) << 90) << ' ' << ap_uint<8>(0xa5).range(7, 4) << '\n';
}
"""
    text, _ = run_cpp(source, tmp_path, *STRICT)
    assert text.split() == ["-2.75", "-5", "65", str(-(2**127)), str(2**90), "10"]


# ---- speed ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
def test_loops_vectorise(tmp_path: Path) -> None:
    if not is_gcc():
        pytest.skip("reads g++'s reports")
    types = r"""
#include <ap_fixed.h>
typedef ap_fixed<12, 4> x_t;
typedef ap_fixed<8, 2> w_t;
template <class T> T from_raw(short raw) { T x; x.range(T::width - 1, 0) = raw; return x; }
"""
    loops = {
        "multiply": ("const x_t* x, const short* w, ap_fixed<32, 18>* y", "y[j] += x[0] * from_raw<w_t>(w[j])"),
        "wrap": ("const x_t* x, const short* w, ap_fixed<24, 10>* y", "y[j] += x[0] * from_raw<w_t>(w[j])"),
        "relu": ("const ap_fixed<24, 10>* x, ap_fixed<24, 10>* y", "y[j] = x[j] > 0 ? x[j] : ap_fixed<24, 10>(0)"),
        "pool": ("const x_t* x, x_t* y", "x_t a = x[j], b = y[j]; if (a > b) b = a; y[j] = b"),
        "saturate": ("const ap_fixed<24, 10>* x, ap_fixed<8, 3, AP_RND, AP_SAT>* y", "y[j] = x[j]"),
        "converge": ("const ap_fixed<32, 12>* x, ap_ufixed<9, 3, AP_RND_CONV, AP_SAT_ZERO>* y", "y[j] = x[j]"),
        "symmetric": ("const ap_fixed<16, 6>* x, ap_fixed<12, 3, AP_RND_INF, AP_SAT_SYM>* y", "y[j] = x[j]"),
        "doubles": ("const ap_fixed<16, 6>* x, double* y", "y[j] = x[j].to_double()"),
    }
    lines = types.count("\n") + 1
    source = types
    for name, (arguments, body) in loops.items():
        arguments = arguments.replace("*", "* __restrict")
        source += f'extern "C" void {name}({arguments}) {{ for (int j = 0; j < 256; j++) {{ {body}; }} }}\n'
    assembly = tmp_path / "program"
    code, report = compile_cpp(source, tmp_path, "-O3", "-mavx2", "-fopt-info-vec-optimized", "-S")
    assert code == 0, report
    done = {int(n) for n in re.findall(r"program\.cpp:(\d+):\d+: optimized: loop vectorized", report)}
    assert [name for k, name in enumerate(loops) if lines + k not in done] == []

    # Equal fractional bits and a native width: multiply, add, and nothing else.
    body = re.search(r"^multiply:\n(.*?)\.size\s+multiply", assembly.read_text(), re.S | re.M)
    assert body is not None
    assert "vpmulld" in body[1] or "vpmullw" in body[1]
    assert re.findall(r"\tv?ps[lr][la][wdq]\b", body[1].replace("vpsrldq", "").replace("vpslldq", "")) == []


def test_compile_time(tmp_path: Path) -> None:
    """An empty file with the headers pulls in no heavy part of the standard library."""
    path = tmp_path / "empty.cpp"
    path.write_text("#include <ap_fixed.h>\n")
    done = subprocess.run(
        [*compiler(), "-std=c++17", "-M", "-I", str(CSIM), str(path)], capture_output=True, text=True, check=True
    )
    assert not re.findall(r"/(?:string|iostream|ostream|vector|algorithm|functional)\b(?!/)", done.stdout)


# ---- streams --------------------------------------------------------------------------------------------------------

STREAMS = r"""
#include <ap_fixed.h>
#include <cstdio>
#include <cstring>
#include <hls_stream.h>
struct pair_t { ap_fixed<8, 4> a; ap_int<5> b; };
#define CHECK(...) \
  do { \
    if (!(__VA_ARGS__)) return std::printf("line %d: %s\n", __LINE__, #__VA_ARGS__), 1; \
  } while (0)
int main() {
  hls::stream<int> s("numbers");
  CHECK(s.empty() && !s.full() && s.size() == 0);
  int next_in = 0, next_out = 0;
  for (int round = 0; round < 300; ++round) {  // grows, and wraps around, at every size
    for (int k = 0; k < round % 7 + 2; ++k) s.write(next_in++);
    for (int k = 0; k < round % 5 + 1; ++k) CHECK(s.read() == next_out++);
    CHECK(s.size() == std::size_t(next_in - next_out));
  }
  const std::size_t grown = s.capacity();
  CHECK((grown & (grown - 1)) == 0 && grown < 4 * s.size());
  int x = -1;
  while (!s.empty()) { s >> x; CHECK(x == next_out++); }
  CHECK(next_out == next_in);
  for (int k = 0; k < 100000; ++k) { s << k; CHECK(s.read_nb(x) && x == k); }
  CHECK(s.capacity() == grown);  // no allocation in the steady state
  CHECK(!s.read_nb(x) && s.write_nb(5) && s.read() == 5);

  hls::stream<pair_t, 4> pairs;  // more than DEPTH values go in: depth is the hardware's
  for (int k = 0; k < 100; ++k) { pair_t p; p.a = k * 0.25; p.b = k; CHECK(!pairs.full()); pairs.write(p); }
  for (int k = 0; k < 100; ++k) {
    pair_t p = pairs.read();
    CHECK(p.a == ap_fixed<8, 4>(k * 0.25) && p.b == ap_int<5>(k));
  }

  hls::stream<ap_int<8>> many[2];
  many[1].write(3);
  CHECK(many[0].empty() && many[1].read() == 3);
  try {
    s.read();
    return 2;
  } catch (const std::runtime_error& e) {
    CHECK(std::strstr(e.what(), "'numbers' is read while it is empty"));
  }
  hls::stream<int> left("leftover");
  left.write(1);
  std::printf("fine\n");
}
"""


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_streams(level: str, tmp_path: Path) -> None:
    text, errors = run_cpp(STREAMS, tmp_path, level, *STRICT)
    assert text == "fine\n"
    assert "hls::stream 'leftover' ends with 1 values" in errors
    assert "numbers" not in errors
