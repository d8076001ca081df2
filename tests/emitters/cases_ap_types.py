"""Random C++ programs that exercise ap_int and ap_fixed, and print every result as type and raw bits.

The same program compiles with our C-simulation headers and with the vendor's; equal output is equal behaviour. A
program is a list of cases; a case is one line of output, "<label> | <result type> <results>". Left out is only what the
vendor's headers leave undefined (division by zero, to_int() of a number type with negative I, ...).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import struct

Q_MODES = ("AP_RND", "AP_RND_ZERO", "AP_RND_MIN_INF", "AP_RND_INF", "AP_RND_CONV", "AP_TRN", "AP_TRN_ZERO")
O_MODES = ("AP_SAT", "AP_SAT_ZERO", "AP_SAT_SYM", "AP_WRAP")
NATIVE = {  # width, signed
    "bool": (1, False),
    "char": (8, True),
    "signed char": (8, True),
    "unsigned char": (8, False),
    "short": (16, True),
    "unsigned short": (16, False),
    "int": (32, True),
    "unsigned": (32, False),
    "long": (64, True),
    "unsigned long": (64, False),
    "long long": (64, True),
    "unsigned long long": (64, False),
}
MAX_WIDTH = 128  # of our types

HARNESS = r"""
#include <ap_int.h>
#include <ap_fixed.h>
#include <cstdio>
#include <cstring>
#include <type_traits>

struct Bits { unsigned long long hi, lo; };
static bool first_of_line;

static void hex(const char* type, unsigned long long hi, unsigned long long lo) {
  if (first_of_line) std::printf("| %s", type);
  first_of_line = false;
  hi ? std::printf(" %llx%016llx", hi, lo) : std::printf(" %llx", lo);
}

template <class T> void hex_of(const char* type, int w, const T& x) {
  unsigned long long word[2] = {0, 0};
  for (int i = 0; i < w; ++i) word[i / 64] |= (x[i] ? 1ull : 0ull) << (i % 64);
  hex(type, word[1], word[0]);
}

template <int W, bool S> void show(const ap_int_base<W, S>& x) {
  char type[64];
  std::snprintf(type, sizeof type, "%sint<%d>", S ? "" : "u", W);
  hex_of(type, W, x);
}
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
void show(const ap_fixed_base<W, I, S, Q, O, N>& x) {
  char type[64];
  std::snprintf(type, sizeof type, "%sfixed<%d,%d>", S ? "" : "u", W, I);
  hex_of(type, W, x);
}
template <class T> std::enable_if_t<std::is_arithmetic<T>::value> show(T x) {
  char type[64];
  const char* letter = std::is_floating_point<T>::value ? "real" : std::is_signed<T>::value ? "native" : "unative";
  std::snprintf(type, sizeof type, "%s%d", letter, int(sizeof x));
  unsigned long long bits = 0;
  std::memcpy(&bits, &x, sizeof x);
  hex(type, 0, bits);
}

template <class T, bool Native = std::is_arithmetic<T>::value> struct make {
  static T of(Bits b) {
    T x = 0;
    for (int i = 0; i < T::width; ++i) x[i] = ((i < 64 ? b.lo >> i : b.hi >> (i - 64)) & 1) != 0;
    return x;
  }
};
template <class T> struct make<T, true> {
  static T of(Bits b) {
    T x;
    if (std::is_same<T, bool>::value) return T(b.lo & 1);
    std::memcpy(&x, &b.lo, sizeof x);
    return x;
  }
};

static void begin(const char* label) { std::printf("%s ", label); first_of_line = true; }
static void end() { std::printf("\n"); }

template <class A, class F> void unary(const char* label, const Bits* a, int n, F f) {
  begin(label);
  for (int k = 0; k < n; ++k) f(make<A>::of(a[k]));
  end();
}
template <class A, class B, class F> void binary(const char* label, const Bits* a, const Bits* b, int n, F f) {
  begin(label);
  for (int k = 0; k < n; ++k) f(make<A>::of(a[k]), make<B>::of(b[k]));
  end();
}
"""


@dataclasses.dataclass(frozen=True)
class Type:
    """A number type of the tests: kind is "int", "fixed", "real" or "native"."""

    kind: str
    w: int
    i: int
    s: bool
    q: str = "AP_TRN"
    o: str = "AP_WRAP"
    name: str = ""

    @property
    def f(self) -> int:
        return self.w - self.i

    @property
    def cpp(self) -> str:
        if self.kind in ("native", "real"):
            return self.name
        if self.kind == "int":
            return f"ap_{'' if self.s else 'u'}int<{self.w}>"
        return f"ap_{'' if self.s else 'u'}fixed<{self.w}, {self.i}, {self.q}, {self.o}>"

    @property
    def low(self) -> int:
        return -(1 << (self.w - 1)) if self.s else 0

    @property
    def high(self) -> int:
        return (1 << (self.w - self.s)) - 1

    def wrap(self, x: int) -> int:
        x &= (1 << self.w) - 1
        return x - (1 << self.w) if self.s and x >> (self.w - 1) else x


def integer(w: int, s: bool) -> Type:
    return Type("int", w, w, s)


def native(name: str) -> Type:
    w, s = NATIVE[name]
    return Type("native", w, w, s, name=name)


REAL = {"double": Type("real", 64, 64, True, name="double"), "float": Type("real", 32, 32, True, name="float")}


def fits(op: str, a: Type, b: Type) -> bool:
    """Whether `a op b` needs at most MAX_WIDTH bits, in the result and on the way to it."""
    i = max(a.i + (b.s and not a.s), b.i + (a.s and not b.s))
    f = max(a.f, b.f)
    if op in "+-":
        return i + 1 + f <= MAX_WIDTH
    if op == "*":
        return a.w + b.w <= MAX_WIDTH
    if op in "&|^":
        return i + f <= MAX_WIDTH
    if op in "/%":
        if "fixed" not in (a.kind, b.kind):
            return max(a.w, b.w) + (a.s or b.s) <= MAX_WIDTH
        between = max(a.w + max(b.f, 0) + (b.s and not a.s), b.w + (a.s and not b.s))
        swapped = b.w + a.s + max(a.f, 0) if a.kind == "native" else 1
        return op == "/" and max(between, a.w + b.s + max(b.f, 0), swapped) <= MAX_WIDTH
    wa, wb = a.w + (b.f - a.f + 1 if a.f < b.f else 0), b.w + (a.f - b.f if b.f < a.f else 0)  # comparison
    return max(wa, wb) <= MAX_WIDTH


class Program:
    """A growing list of C++ cases."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.body: list[str] = []

    # ---- choosing

    def width(self) -> int:
        r = self.rng.random()
        if r < 0.25:
            return self.rng.choice((1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64))
        if r < 0.75:
            return self.rng.randint(1, 24)
        if r < 0.9:
            return self.rng.randint(25, 64)
        return self.rng.choice((65, 80, 96, 127, 128, self.rng.randint(66, 126)))

    def fixed(self, modes: bool = False) -> Type:
        w = self.width()
        i = self.rng.randint(-8, w + 8) if self.rng.random() < 0.3 else self.rng.randint(0, w)
        i = max(i, w - 126)  # float's exponents have to do
        q, o = (self.rng.choice(Q_MODES), self.rng.choice(O_MODES)) if modes else ("AP_TRN", "AP_WRAP")
        return Type("fixed", w, i, self.rng.random() < 0.6, q, o)

    def integer(self) -> Type:
        return integer(self.width(), self.rng.random() < 0.6)

    def number(self) -> Type:
        return self.fixed(modes=True) if self.rng.random() < 0.6 else self.integer()

    def native(self) -> Type:
        return native(self.rng.choice(tuple(NATIVE)))

    def value(self, t: Type) -> int:
        edges = (0, 1, -1, 2, t.low, t.low + 1, t.high, t.high - 1, t.low // 2, t.high // 2, 1 << (t.w // 2))
        if self.rng.random() < 0.4:
            return t.wrap(self.rng.choice(edges))
        bits = self.rng.randint(1, t.w)  # small numbers as often as large ones
        return t.wrap(self.rng.choice((1, -1)) * self.rng.getrandbits(bits))

    def values(self, t: Type, n: int) -> list[int]:
        return [self.value(t) for _ in range(n)]

    def conversion_values(self, a: Type, b: Type, n: int) -> list[int]:
        """Raw values of a around the ties and around the limits of b."""
        sh = a.f - b.f
        out = [0, 1, -1, a.low, a.high, a.low + 1, a.high - 1]
        for edge in (b.low, b.high, b.low - 1, b.high + 1, 0, -1, 1, -b.high):
            centre = edge << sh if sh > 0 else edge >> -sh
            half = 1 << (sh - 1) if sh > 0 else 0
            out += [centre + d for d in (-half - 1, -half, -half + 1, -1, 0, 1, half - 1, half, half + 1)]
        for _ in range(n):
            x = self.value(a)
            if sh > 0:
                x = ((x >> sh) << sh) + self.rng.choice(
                    (0, 1, -1, 1 << (sh - 1), (1 << (sh - 1)) - 1, (1 << (sh - 1)) + 1)
                )
            out.append(x)
        return sorted({a.wrap(x) for x in out if -(1 << 140) < x < (1 << 140)})

    # ---- writing

    @staticmethod
    def data(t: Type, values: list) -> str:
        if t.kind == "real":
            fmt = ("<d", "<Q") if t.name == "double" else ("<f", "<I")
            words = [struct.unpack(fmt[1], struct.pack(fmt[0], v))[0] for v in values]
        else:
            words = [v & ((1 << t.w) - 1) for v in values]
        return "{" + ", ".join(f"{{{w >> 64:#x}, {w & (2**64 - 1):#x}}}" for w in words) + "}"

    def unary(self, label: str, a: Type, values: list, code: str) -> None:
        self.body.append(
            f"{{ static const Bits a[] = {self.data(a, values)};\n"
            f'  unary<{a.cpp}>("{label}", a, {len(values)}, []({a.cpp} x) {{ (void)x; {code} }}); }}'
        )

    def binary(self, label: str, a: Type, b: Type, values: list[tuple], code: str) -> None:
        self.body.append(
            f"{{ static const Bits a[] = {self.data(a, [v[0] for v in values])}, "
            f"b[] = {self.data(b, [v[1] for v in values])};\n"
            f'  binary<{a.cpp}, {b.cpp}>("{label}", a, b, {len(values)}, []({a.cpp} x, {b.cpp} y) {{ {code} }}); }}'
        )

    def source(self) -> str:
        functions = []
        for k in range(0, len(self.body), 20):  # compilers take long over one long function
            functions.append(f"static void part{k // 20}() {{\n" + "\n".join(self.body[k : k + 20]) + "\n}")
        calls = " ".join(f"part{k}();" for k in range(len(functions)))
        return HARNESS + "\n".join(functions) + f"\nint main() {{ {calls} return 0; }}\n"

    # ---- cases

    def conversion(self, n_modes: int) -> None:
        """One random source and target format, in several of the modes; the source may be an integer."""
        a = self.number() if self.rng.random() < 0.9 else self.native()
        b = self.fixed()
        if self.rng.random() < 0.6:  # make the formats overlap, so that rounding and overflow both have work
            b = dataclasses.replace(b, i=max(min(a.i + self.rng.randint(-3, 3), b.w + 8), b.w - 126, -8))
        values = self.conversion_values(a, b, 12)
        modes = list(itertools.product(Q_MODES, O_MODES))
        for q, o in self.rng.sample(modes, min(n_modes, len(modes))):
            t = dataclasses.replace(b, q=q, o=o)
            self.unary(f"{t.cpp} = {a.cpp}", a, values, f"{t.cpp} z = x; show(z);")

    def to_integer(self) -> None:
        a, b = self.number(), self.integer()
        if a.kind == "fixed" and a.i < 0:
            return
        self.unary(f"{b.cpp} = {a.cpp}", a, self.conversion_values(a, b, 20), f"{b.cpp} z = x; show(z);")
        self.unary(f"assign {b.cpp} {a.cpp}", a, self.values(a, 12), f"{b.cpp} z; z = x; show(z);")

    def pairs(self, a: Type, b: Type) -> list[tuple[int, int]]:
        out = [(self.value(a), self.value(b)) for _ in range(24)]
        return out + [(x, y) for x in (a.low, a.high, a.wrap(-1)) for y in (b.low, b.high, b.wrap(-1), b.wrap(1))]

    @staticmethod
    def divisible(a: Type, b: Type, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        # The vendor's remainder by a divisor above 64 bits is sometimes wrong; ours is not.
        limit = 1 << (64 if max(a.w, b.w) > 64 else 128)
        return [(x, y) for x, y in pairs if y and abs(y) < limit]

    def operators(self, a: Type, b: Type, ops: str = "+-*/%&|^") -> None:
        pairs = self.pairs(a, b)
        divisible = self.divisible(a, b, pairs)
        for op in ops:
            if (op == "%" and "fixed" in (a.kind, b.kind)) or not fits(op, a, b):
                continue
            self.binary(f"{a.cpp} {op} {b.cpp}", a, b, divisible if op in "/%" else pairs, f"show(x {op} y);")

    def comparisons(self, a: Type, b: Type) -> None:
        if not fits("<", a, b):
            return
        pairs = self.pairs(a, b)
        close = []  # equal or nearly equal values, which random ones never are
        for x, _ in pairs:
            same = x << (b.f - a.f) if b.f >= a.f else x >> (a.f - b.f)
            close += [(x, b.wrap(same + d)) for d in (-1, 0, 1)]
        code = " ".join(f"show(x {op} y);" for op in ("<", ">", "<=", ">=", "==", "!="))
        self.binary(f"{a.cpp} <> {b.cpp}", a, b, pairs + close, code)

    def compound_assignments(self, a: Type, b: Type) -> None:
        pairs = self.pairs(a, b)
        divisible = self.divisible(a, b, pairs)
        for op in "+-*/%&|^":
            if op == "%" and "fixed" in (a.kind, b.kind):
                continue
            if a.kind == "int" and b.kind == "fixed" and (b.i < 0 or op in "/%"):
                continue
            if (a.kind == "fixed" or op in "/%") and not fits(op, a, b):
                continue
            values = divisible if op in "/%" else pairs
            self.binary(f"{a.cpp} {op}= {b.cpp}", a, b, values, f"{a.cpp} z = x; z {op}= y; show(z);")

    def one_operand(self, t: Type) -> None:
        code = ["show(~x);", "show(+x);", "show(!x);", "show(bool(x));", "show(x.length());", "show(double(x));"]
        code += ["show(x.to_double());", "show(x.to_float());", "show(x ? 1 : 2);"]
        if t.w < MAX_WIDTH and not (t.kind == "int" and t.w + 2 > MAX_WIDTH):
            code.append("show(-x);")
        if t.kind == "int" or t.i >= 0:
            code += [f"show(x.{m}());" for m in ("to_int", "to_uint", "to_int64", "to_uint64", "to_char")]
            code += [f"{{ {c} z = x; show(z); }}" for c in NATIVE]
            code.append("{ float z = x; show(z); }")
        steps = t.kind == "int" or (t.f >= 0 and max(t.i, 1 + t.s) + 1 + t.f <= MAX_WIDTH)
        if steps:
            code += [f"{{ {t.cpp} z = x; show({e}); show(z); }}" for e in ("++z", "z++", "--z", "z--")]
        if t.kind == "fixed":  # a copy keeps even a value that AP_SAT_SYM would not let in
            code.append(f"{t.cpp} z = x; show(z); {t.cpp}::Base base(x); z = base; show(z);")
        for c in code:
            self.unary(f"{t.cpp}: {c}", t, [*self.values(t, 12), t.low, t.high], c)

    def shifts(self, t: Type) -> None:
        amounts = sorted({0, 1, 2, t.w - 1, t.w, t.w + 1, self.rng.randint(0, t.w), 3 * t.w})
        for c in ("int", "unsigned", "short", "unsigned char", "long"):
            n = native(c)
            some = amounts + ([-a for a in amounts if a] if n.s else [])
            pairs = [(self.value(t), n.wrap(a)) for a in some for _ in range(2)]
            for op in ("<<", ">>"):
                self.binary(f"{t.cpp} {op} {c}", t, n, pairs, f"show(x {op} y); {t.cpp} z = x; z {op}= y; show(z);")
        for n in (integer(self.rng.randint(2, 12), True), integer(self.rng.randint(1, 12), False)):
            pairs = [(self.value(t), self.value(n)) for _ in range(16)]
            for op in ("<<", ">>"):
                self.binary(f"{t.cpp} {op} {n.cpp}", t, n, pairs, f"show(x {op} y); {t.cpp} z = x; z {op}= y; show(z);")

    def doubles(self, t: Type, name: str) -> list[float]:
        """Numbers around ties, limits and powers of two of t, and the odd ones of IEEE 754."""
        unit = 2.0**-t.f
        out = [0.0, -0.0, 5e-324, -5e-324, 2.2e-308, -2.2e-308, 1e-30, -1e-30, 1e30, -1e30, 1.7e308, -1.7e308]
        out += [math.inf, -math.inf, 0.5, -0.5, 0.3, -0.3, 0.25, -0.25, 1.0, -1.0, 1.5, -1.5, -0.75]
        for raw in [0, 1, -1, t.low, t.high, t.low - 1, t.high + 1, 2 * t.high, 4 * t.low, *self.values(t, 10)]:
            for d in (-1, -0.75, -0.5, -0.25, -1e-9, 0, 1e-9, 0.25, 0.5, 0.75):
                out.append((raw + d) * unit)
        out += [self.rng.uniform(-1, 1) * 2.0 ** self.rng.randint(-t.f - 3, t.i + 3) for _ in range(12)]
        if name == "double" or t.kind == "fixed":  # a float NaN has bits that reach beyond 105, which we do not follow
            out += [math.nan, -math.nan]
        if name == "float":
            out = [
                struct.unpack("<f", struct.pack("<f", x))[0] for x in out if abs(x) < 3e38 or math.isinf(x) or x != x
            ]
        return out

    def from_real(self, t: Type) -> None:
        for name, real in REAL.items():
            self.unary(
                f"{t.cpp} = {name}", real, self.doubles(t, name), f"{t.cpp} z = x; show(z); z = 0; z = x; show(z);"
            )
            values = list(zip(self.values(t, 40), self.doubles(t, name)[-40:], strict=True))
            code = " ".join(f"show(x {op} y); show(y {op} x);" for op in ("<", ">", "<=", ">=", "==", "!="))
            if t.kind == "int" or name == "double":  # clang finds the vendor's ap_fixed < float ambiguous
                self.binary(f"{t.cpp} <> {name}", t, real, values, code)
            if t.kind == "int":
                values = [(v, d) for v, d in values if v and d]
                code = " ".join(f"show(x {op} y); show(y {op} x);" for op in "+-*/")
                self.binary(f"{t.cpp} +-*/ {name}", t, real, values, code)

    def bits(self, t: Type) -> None:
        values = self.values(t, 8)
        hi, lo = sorted((self.rng.randrange(t.w), self.rng.randrange(t.w)), reverse=True)
        n = hi - lo + 1
        other = self.number()
        ohi, olo = sorted((self.rng.randrange(other.w), self.rng.randrange(other.w)), reverse=True)
        a = t.cpp
        code = [
            f"show(bool(x[{lo}])); show(bool(x.bit({hi}))); const {a} z = x; show(z[{hi}]); show(z.bit({lo}));",
            f"x[{lo}] = 1; show(x); x[{hi}] = false; show(x); x[{lo}] = x[{hi}]; show(x); show(bool(~x[{hi}]));",
            f"{a} z = 0; z = x[{hi}]; show(z); int k = x[{lo}] + x[{hi}]; show(k); show(x[{lo}] == x[{hi}]);",
            f"show(x.range({hi}, {lo}).to_int()); show(x.range({hi}, {lo}).to_uint64()); show(x({hi}, {lo}).length());",
            f"show(x.range({hi}, {lo}).to_uint()); show(x.range({hi}, {lo}).to_int64());",
            f"ap_uint<{n}> u = x.range({hi}, {lo}); show(u); ap_int<{n}> s = x({hi}, {lo}); show(s);",
            f"ap_uint<{t.w}> u = x.range(); show(u); ap_int<{t.w}> s; s.range() = x.range(); show(s);",
            f"ap_uint<{n}> u = x.range({lo}, {hi}); show(u);",  # reversed
            f"ap_fixed<{n}, {n // 2}> f = x.range({hi}, {lo}); show(f); f.range() = x.range({hi}, {lo}); show(f);",
            f"const {a} z = x; ap_uint<{n}> u = z.range({hi}, {lo}); show(u); u = z({lo}, {hi}); show(u);",
            f"x.range({hi}, {lo}) = -1; show(x); x({hi}, {lo}) = 0x5a5a5a5a5a5aLL; show(x); x.range() = 77; show(x);",
            f"x.range({lo}, {hi}) = 0x1234; show(x);",  # reversed
            f"{a} z = 0; z.range({t.w - 1}, 0) = x.range({t.w - 1}, 0); show(z);",
            f"show(x.range({hi}, {lo}) == 3); show(x.range({hi}, {lo}) > 5u); show(x.range({hi}, {lo}) != 0);",
            f"unsigned long long k = x.range({hi}, {lo}); show(k); show(x.range({hi}, {lo}) == x.range({n - 1}, 0));",
        ]
        if t.kind == "int":
            code += [
                f"x.set_bit({hi}, true); show(x); show(x.get_bit({lo}));",
                f"x.clear({hi}); show(x); x.invert({lo}); show(x);",
                f"x.set({lo}); show(x); show(x.test({hi})); show(x.sign()); show(x.is_zero());",
            ]
            if 2 * t.w <= MAX_WIDTH and t.w <= 62:
                code.append(f"ap_uint<{2 * t.w}> c = (x, x); show(c); c = x.concat(x); show(c);")
                code.append(f"ap_uint<{t.w + n}> c = (x.range({hi}, {lo}), x); show(c);")
                code.append(f"ap_uint<{t.w + n}> c = (x, x.range({hi}, {lo})); show(c);")
        else:
            code += [f"show(x.get_bit({lo - t.f})); show(x.is_neg()); show(x.is_zero());"]
        for c in code:
            self.unary(f"{a}: {c}", t, values, c)
        pairs = [(self.value(t), self.value(other)) for _ in range(10)]
        code = [f"x.range({hi}, {lo}) = y.range({ohi}, {olo}); show(x); x({hi}, {lo}) = y({olo}, {ohi}); show(x);"]
        code += [f"x[{lo}] = y[{ohi}]; show(x); x.range({hi}, {lo}) = y[{olo}]; show(x);"]
        if not (t.kind == "int" and other.kind == "fixed" and other.i < 0):
            code += [f"x.range({hi}, {lo}) = y; show(x);"]
        if t.kind == "int" and other.kind == "int":  # ambiguous with the vendor's ap_fixed
            code += [f"show(x.range({hi}, {lo}) == y); show(y < x.range({hi}, {lo})); show(x.range({hi}, {lo}) >= y);"]
        bit = integer(1, False)
        if other.kind == "int" and all(fits(op, other, bit) and fits(op, bit, other) for op in "+-*^<"):
            code += [f"show(y + x[{lo}]); show(x[{hi}] - y); show(y * x[{lo}]); show(y ^ x[{hi}]); show(y > x[{lo}]);"]
            code += [f"y += x[{lo}]; show(y); y <<= x[{hi}]; show(y);"]
        for c in code:
            self.binary(f"{a}, {other.cpp}: {c}", t, other, pairs, c)


# Where the vendor's headers change their rules: equal widths, 32 and 64 bits, the lowest value of AP_SAT_SYM.
_WIDTHS = (
    (32, 32),
    (31, 31),
    (31, 32),
    (32, 33),
    (8, 32),
    (64, 64),
    (63, 64),
    (16, 16),
    (100, 100),
    (65, 64),
    (100, 128),
)
SPECIAL_PAIRS = [(integer(w, s), integer(v, not s)) for w, v in _WIDTHS for s in (True, False)] + [
    (Type("fixed", 8, 4, True), Type("fixed", 4, 4, True, "AP_TRN", "AP_SAT_SYM")),
    (Type("fixed", 4, 4, True, "AP_TRN", "AP_SAT_SYM"), Type("fixed", 8, 4, True)),
    (Type("fixed", 8, 4, True), Type("fixed", 1, 1, True, "AP_TRN", "AP_SAT_SYM")),
    (Type("fixed", 40, 20, False), Type("fixed", 40, 20, True)),
    (Type("fixed", 20, 10, True), Type("fixed", 40, 20, False)),
]
SPECIAL_TYPES = [
    integer(100, True),
    integer(128, False),
    Type("fixed", 128, 81, False),
    Type("fixed", 100, 50, True),
    Type("fixed", 1, 1, True, "AP_TRN", "AP_SAT_SYM"),
    Type("fixed", 6, 3, True, "AP_TRN", "AP_SAT_SYM"),
]


def programs(seed: int, scale: float = 1.0) -> dict[str, str]:
    """Names and sources of the programs; scale multiplies the number of cases."""

    def times(n: int) -> range:
        return range(max(1, round(n * scale)))

    out = {}
    for part in range(2):
        p = Program(seed + part)
        for _ in times(36):
            p.conversion(9)
        out[f"convert{part}"] = p.source()
    for part in range(2):
        p = Program(seed + 10 + part)
        for _ in times(20):
            a, b = p.number(), p.number()
            p.operators(a, b)
            p.comparisons(a, b)
            p.compound_assignments(a, b)
        for _ in times(4):
            a, b = p.number(), p.native()
            p.operators(a, b)
            p.operators(b, a)
            p.comparisons(a, b)
            p.comparisons(b, a)
            p.compound_assignments(a, b)
        out[f"operators{part}"] = p.source()
    p = Program(seed + 20)
    for a, b in SPECIAL_PAIRS:
        p.operators(a, b, "/%")
        p.comparisons(a, b)
    for t in SPECIAL_TYPES:
        p.one_operand(t)
    for _ in times(14):
        p.one_operand(p.number())
        p.shifts(p.number())
    out["one_operand"] = p.source()
    p = Program(seed + 30)
    for _ in times(36):
        p.from_real(p.number())
        p.to_integer()
        p.to_integer()
    out["real"] = p.source()
    p = Program(seed + 40)
    for _ in times(16):
        p.bits(p.number())
    out["bits"] = p.source()
    return out
