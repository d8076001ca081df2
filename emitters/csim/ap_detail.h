// keras_hls C-simulation types: the integer arithmetic under ap_int and ap_fixed.
// SPDX-License-Identifier: Apache-2.0
//
// A value of W bits lives in the smallest native integer that holds it ("raw"), always sign- or zero-extended, so that
// reading it costs nothing. Everything here is a pure function of raw integers, without branches where hardware has
// none, so that compilers turn loops over these types into vector instructions.
//
// The reference for every corner case is what the vendor's headers compute, even where UG1399 says otherwise; such
// places are marked "Vendor:".
#ifndef KERAS_HLS_CSIM_AP_DETAIL_H
#define KERAS_HLS_CSIM_AP_DETAIL_H

#include <cstdint>
#include <type_traits>

#define KERAS_HLS_CSIM 1  // by this a kernel can tell these headers from the vendor's

enum ap_q_mode { AP_RND, AP_RND_ZERO, AP_RND_MIN_INF, AP_RND_INF, AP_RND_CONV, AP_TRN, AP_TRN_ZERO };
enum ap_o_mode { AP_SAT, AP_SAT_ZERO, AP_SAT_SYM, AP_WRAP, AP_WRAP_SM };

namespace ap_detail {

// ---- words ----------------------------------------------------------------------------------------------------------

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

template <int Bits, bool S> struct native;
template <> struct native<8, true> { using type = std::int8_t; };
template <> struct native<8, false> { using type = std::uint8_t; };
template <> struct native<16, true> { using type = std::int16_t; };
template <> struct native<16, false> { using type = std::uint16_t; };
template <> struct native<32, true> { using type = std::int32_t; };
template <> struct native<32, false> { using type = std::uint32_t; };
template <> struct native<64, true> { using type = std::int64_t; };
template <> struct native<64, false> { using type = std::uint64_t; };
template <> struct native<128, true> { using type = int128; };
template <> struct native<128, false> { using type = uint128; };

template <int W, bool S> struct word {
  static_assert(W >= 1, "A number needs at least 1 bit. This is the type of a variable, or of an operation's result.");
  static_assert(W <= 128, "C-simulation holds at most 128 bits, and this type, or the result type of this operation, "
                          "has more. Make the operands narrower, or assign them to narrower variables first.");
  static constexpr int bits = W <= 8 ? 8 : W <= 16 ? 16 : W <= 32 ? 32 : W <= 64 ? 64 : 128;
  using type = typename native<bits, S>::type;
};

template <int W, bool S> using raw_t = typename word<W, S>::type;

constexpr int max(int a, int b) { return a > b ? a : b; }
constexpr int min(int a, int b) { return a < b ? a : b; }

// The largest value of W bits, and how far below zero W bits reach (both as magnitudes, so that 128 bits have room).
constexpr uint128 top(int w, bool s) { return ~uint128(0) >> (128 - w) >> s; }
constexpr uint128 depth(int w, bool s) { return s ? uint128(1) << (w - 1) : 0; }

// Does every value of <W2, S2> have its place in <W, S>?
constexpr bool holds(int w, bool s, int w2, bool s2) { return s == s2 ? w >= w2 : s && w > w2; }

// The low W bits of v, as the value that they mean.
template <int W, bool S, class T> constexpr raw_t<W, S> wrap(T v) {
  using R = raw_t<W, S>;
  using U = raw_t<W, false>;
  constexpr int spare = word<W, S>::bits - W;
  if constexpr (spare == 0) {
    return static_cast<R>(v);
  } else if constexpr (S) {
    return static_cast<R>(static_cast<R>(static_cast<U>(v) << spare) >> spare);
  } else {
    return static_cast<R>(static_cast<U>(v) & static_cast<U>(top(W, false)));
  }
}

// The same for a v that is known to be a value of <W2, S2>: no instruction where nothing can be lost.
template <int W, bool S, int W2, bool S2> constexpr raw_t<W, S> resize(raw_t<W2, S2> v) {
  if constexpr (holds(W, S, W2, S2)) {
    return static_cast<raw_t<W, S>>(v);
  } else {
    return wrap<W, S>(v);
  }
}

// v * 2**k, for 0 <= k < the native width; through unsigned, as a negative number must not be shifted left.
template <int W, bool S, class T> constexpr raw_t<W, S> scale(T v, int k) {
  return static_cast<raw_t<W, S>>(static_cast<raw_t<W, false>>(v) << k);
}

// ---- rounding: v / 2**Sh to an integer, by mode Q -------------------------------------------------------------------

constexpr bool rounds_up(ap_q_mode q) { return q != AP_TRN && q != AP_TRN_ZERO; }

// Bits of the quotient; rounding up can carry into one more.
constexpr int quotient_bits(ap_q_mode q, int sh, int w, bool s) { return max(max(w - sh, s) + rounds_up(q), 1); }

// What is added before the low bits are cut off, so that cutting off (which rounds down) rounds by Q.
// neg is -1 for a negative v, else 0; odd is the last bit that stays.
template <class T> constexpr T rounding_bias(ap_q_mode q, T half, T neg, T odd) {
  switch (q) {
    case AP_RND: return half;
    case AP_RND_ZERO: return static_cast<T>(half - 1 - neg);
    case AP_RND_MIN_INF: return static_cast<T>(half - 1);
    case AP_RND_INF: return static_cast<T>(half + neg);
    case AP_RND_CONV: return static_cast<T>(half - 1 + odd);
    case AP_TRN_ZERO: return static_cast<T>(neg & static_cast<T>(half - 1 + half));
    case AP_TRN: break;
  }
  return 0;
}

constexpr bool round_up(ap_q_mode q, bool below, bool rest, bool neg, bool odd) {
  switch (q) {  // below: the first bit cut off; rest: any of those after it
    case AP_RND: return below;
    case AP_RND_ZERO: return below & (neg | rest);
    case AP_RND_MIN_INF: return below & rest;
    case AP_RND_INF: return below & (!neg | rest);
    case AP_RND_CONV: return below & (odd | rest);
    case AP_TRN_ZERO: return neg & (below | rest);
    case AP_TRN: break;
  }
  return false;
}

template <ap_q_mode Q, int Sh, int W, bool S>
constexpr raw_t<quotient_bits(Q, Sh, W, S), S> divide_pow2(raw_t<W, S> v) {
  using R = raw_t<quotient_bits(Q, Sh, W, S), S>;
  if constexpr (Sh > W) {  // less than half a step: only truncation can tell it from zero
    return static_cast<R>(Q == AP_TRN && v < 0 ? -1 : 0);
  } else if constexpr (Q == AP_TRN) {
    if constexpr (Sh < word<W, S>::bits) {
      return static_cast<R>(v >> Sh);
    } else {
      return static_cast<R>(v < 0 ? -1 : 0);
    }
  } else if constexpr (W < 128 && word<min(W + 1, 128), S>::bits <= max(word<W, S>::bits, 32)) {
    using T = raw_t<W + 1, S>;  // one bit more than v has: the sum can't overflow
    const T x = static_cast<T>(v);
    const T neg = S ? static_cast<T>(x >> (int(sizeof(T)) * 8 - 1)) : T(0);
    const T bias = rounding_bias<T>(Q, static_cast<T>(T(1) << (Sh - 1)), neg, static_cast<T>((x >> Sh) & 1));
    return static_cast<R>(static_cast<T>(x + bias) >> Sh);
  } else {  // all the bits of the word are in use, and twice the width would halve the speed: round without a sum
    const bool neg = v < 0;
    const R down = static_cast<R>(divide_pow2<AP_TRN, Sh, W, S>(v));
    const raw_t<W, false> low = static_cast<raw_t<W, false>>(v) & static_cast<raw_t<W, false>>(top(Sh, false));
    const bool below = (low >> (Sh - 1)) & 1;
    const bool rest = (low & static_cast<raw_t<W, false>>(top(Sh, false) >> 1)) != 0;
    return static_cast<R>(down + round_up(Q, below, rest, neg, down & 1));
  }
}

// ---- overflow: v * 2**K into W bits, by mode O ----------------------------------------------------------------------

constexpr uint128 shifted_down(uint128 x, int k) { return k < 128 ? x >> k : 0; }

// How far below zero a saturated value may be. Vendor: AP_SAT_SYM of one signed bit keeps its -1.
constexpr uint128 floor_of(int w, bool s, ap_o_mode o) {
  return s && o == AP_SAT_SYM && w > 1 ? top(w, s) : depth(w, s);
}

template <int W, bool S, ap_o_mode O> constexpr raw_t<W, S> lowest_raw() {
  using U = raw_t<W, false>;
  return static_cast<raw_t<W, S>>(U(0) - static_cast<U>(floor_of(W, S, O)));
}

template <int W, bool S, ap_o_mode O, int K, int W2, bool S2> constexpr raw_t<W, S> multiply_pow2(raw_t<W2, S2> v) {
  using R = raw_t<W, S>;
  using T = raw_t<W2, S2>;
  // The limits in units of v, so that they are compared before any bit is lost.
  constexpr uint128 highest = shifted_down(top(W, S), K);
  constexpr uint128 lowest = shifted_down(floor_of(W, S, O), K);
  constexpr bool may_exceed = top(W2, S2) > highest;
  constexpr bool may_undercut = depth(W2, S2) > lowest;

  if constexpr (O == AP_WRAP || !(may_exceed || may_undercut)) {
    if constexpr (K == 0) {
      return resize<W, S, W2, S2>(v);
    } else if constexpr (K >= W) {
      return R(0);
    } else if constexpr (!(may_exceed || may_undercut)) {
      return scale<W, S>(v, K);
    } else {
      return wrap<W, S>(scale<W, false>(v, K));
    }
  } else {
    bool over = false, under = false;
    if constexpr (may_exceed) over = v > static_cast<T>(highest);
    if constexpr (may_undercut) under = v < static_cast<T>(-static_cast<T>(lowest));
    if constexpr (O == AP_SAT_ZERO) {
      const R inside = K < W ? scale<W, S>(v, K < W ? K : 0) : R(0);
      return (over | under) ? R(0) : inside;
    } else if constexpr (K == 0) {  // clamp in v's own type: compilers see min and max
      T x = v;
      if constexpr (may_exceed) x = over ? static_cast<T>(highest) : x;
      if constexpr (may_undercut) x = under ? static_cast<T>(-static_cast<T>(lowest)) : x;
      return static_cast<R>(x);
    } else {
      R x = K < W ? scale<W, S>(v, K < W ? K : 0) : R(0);
      if constexpr (may_exceed) x = over ? static_cast<R>(top(W, S)) : x;
      if constexpr (may_undercut) x = under ? lowest_raw<W, S, O>() : x;
      return x;
    }
  }
}

// ---- assignment: raw <W2, I2, S2> to raw <W, I, S> with modes Q and O -----------------------------------------------

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int W2, int I2, bool S2>
constexpr raw_t<W, S> convert(raw_t<W2, S2> v) {
  constexpr int sh = (W2 - I2) - (W - I);  // fractional bits that must go
  if constexpr (sh <= 0) {
    return multiply_pow2<W, S, O, -sh, W2, S2>(v);
  } else {
    return multiply_pow2<W, S, O, 0, quotient_bits(Q, sh, W2, S2), S2>(divide_pow2<Q, sh, W2, S2>(v));
  }
}

// ---- floating point -------------------------------------------------------------------------------------------------

#if defined(__has_builtin)
#if __has_builtin(__builtin_bit_cast)
#define KERAS_HLS_CSIM_BIT_CAST 1
#endif
#endif

inline
#ifdef KERAS_HLS_CSIM_BIT_CAST
    constexpr
#endif
    std::uint64_t
    bits_of(double x) {
#ifdef KERAS_HLS_CSIM_BIT_CAST
  return __builtin_bit_cast(std::uint64_t, x);
#else  // g++ before 11: works, but numbers from doubles are not compile-time constants
  std::uint64_t bits = 0;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

// x == mantissa * 2**exponent. Vendor: infinity and NaN are +-1.m * 2**1024, and a subnormal number is 1.m * 2**-1023
// (which no type can tell from the right value).
struct unpacked {
  std::int64_t mantissa;
  int exponent;
};

constexpr unpacked unpack(double x) {
  const std::uint64_t bits = bits_of(x);
  const std::int64_t magnitude = (bits << 1) == 0 ? 0 : std::int64_t((bits & (~0ull >> 12)) | (1ull << 52));
  return {(bits >> 63) ? -magnitude : magnitude, int((bits >> 52) & 0x7ff) - 1023 - 52};
}

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O> constexpr raw_t<W, S> from_double(double d) {
  using U = raw_t<max(W, 64), false>;
  using R = raw_t<W, S>;
  const unpacked x = unpack(d);
  const int sh = -x.exponent - (W - I);

  // First to an integer number of steps times 2**k, exactly as divide_pow2 does; past 60 bits nothing changes any more.
  const int down = sh <= 0 ? 0 : min(sh, 60);
  const std::int64_t half = down ? std::int64_t(1) << (down - 1) : 0;
  const std::int64_t neg = x.mantissa >> 63;
  const std::int64_t odd = (x.mantissa >> down) & 1;
  const std::int64_t bias = down ? rounding_bias<std::int64_t>(Q, half, neg, odd) : 0;
  const std::int64_t v = (x.mantissa + bias) >> down;
  const int k = sh < 0 ? -sh : 0;

  const R shifted = k < W ? wrap<W, S>(static_cast<U>(v) << k) : R(0);
  if constexpr (O == AP_WRAP) return shifted;
  const U magnitude = static_cast<U>(v < 0 ? -static_cast<U>(v) : static_cast<U>(v));
  const U limit = static_cast<U>(v < 0 ? floor_of(W, S, O) : top(W, S));
  const U step = k < W ? static_cast<U>(limit >> k) : U(0);
  if (magnitude <= step) return shifted;
  if (O == AP_SAT_ZERO) return R(0);
  return v < 0 ? lowest_raw<W, S, O>() : static_cast<R>(limit);
}

// Vendor: ap_int cuts a double's fraction off, but everything in (-0.5, 0) becomes +1.
template <int W, bool S> constexpr raw_t<W, S> integer_from_double(double d) {
  using U = raw_t<max(W, 64), false>;
  const unpacked x = unpack(d);
  if (x.exponent >= W) return 0;
  if (x.exponent >= 0) return wrap<W, S>(static_cast<U>(x.mantissa) << x.exponent);
  if (x.exponent <= -54) return wrap<W, S>(x.mantissa < 0 ? 1 : 0);
  return wrap<W, S>(x.mantissa < 0 ? -(-x.mantissa >> -x.exponent) : x.mantissa >> -x.exponent);
}

constexpr double pow2(int n) {
  double x = 1;
  for (; n >= 32; n -= 32) x *= 4294967296.0;
  for (; n > 0; --n) x *= 2;
  for (; n <= -32; n += 32) x /= 4294967296.0;
  for (; n < 0; ++n) x /= 2;
  return x;
}

}  // namespace ap_detail

#endif
