// keras_hls C-simulation types: the operators, once for every pair of operands.
// SPDX-License-Identifier: Apache-2.0
//
// An operand is anything with a format: ap_int, ap_fixed, a native number, one bit or a range of bits. An integer is
// a fixed-point number without fraction, so one definition of "+" serves ap_int + ap_int, ap_fixed + int, and so on.
// Results are exact: their types are wide enough for every value, as UG1399 has it. Operands are passed by value, so
// that a constant of a class, static const int n = 3, needs no definition of its own.
#ifndef KERAS_HLS_CSIM_AP_OPS_H
#define KERAS_HLS_CSIM_AP_OPS_H

#include <iosfwd>

#include "ap_detail.h"

template <int W> struct ap_int;
template <int W> struct ap_uint;
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0> struct ap_fixed;
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0> struct ap_ufixed;

// The base of all types here. It makes the operators of this namespace, and nothing else, known wherever such a type is
// used: a kernel's own max(a, b) or scale(a, b) must not meet the helpers of ap_detail.
namespace ap_operators {
struct number {};
}  // namespace ap_operators

namespace ap_detail {

using ap_operators::number;

// ---- operands -------------------------------------------------------------------------------------------------------

enum class kind { none, real, native, bit, range, integer, fixed };

template <kind K, int Width, int IntegerBits, bool Signed, ap_o_mode Overflow = AP_WRAP> struct format {
  static constexpr kind what = K;
  static constexpr int W = Width;
  static constexpr int I = IntegerBits;
  static constexpr int F = Width - IntegerBits;
  static constexpr bool S = Signed;
  static constexpr ap_o_mode O = Overflow;
};

struct raw_bits {};  // says to a constructor: these are the bits, not the value

template <class T, class = void> struct find_format { using type = format<kind::none, 1, 1, false>; };
template <class T> struct find_format<T, std::void_t<typename T::ap_format>> { using type = typename T::ap_format; };
template <> struct find_format<bool> { using type = format<kind::native, 1, 1, false>; };
template <class T> struct find_format<T, std::enable_if_t<std::is_integral<T>::value>> {
  static constexpr int bits = 8 * int(sizeof(T));
  using type = format<kind::native, bits, bits, std::is_signed<T>::value>;
};
template <class T>
struct find_format<T, std::enable_if_t<std::is_enum<T>::value && std::is_convertible<T, int>::value>> {
  using type = typename find_format<decltype(+T())>::type;
};
template <class T> struct find_format<T, std::enable_if_t<std::is_floating_point<T>::value>> {
  using type = format<kind::real, 1, 1, true>;
};
template <class T> using format_of = typename find_format<T>::type;

constexpr bool is_number(kind k) { return k == kind::integer || k == kind::fixed || k == kind::range; }
constexpr bool is_operand(kind k) { return k != kind::none; }
constexpr bool is_pair(kind a, kind b) { return (is_number(a) && is_operand(b)) || (is_operand(a) && is_number(b)); }

template <class T> using if_operand = std::enable_if_t<is_operand(format_of<T>::what), int>;
template <class T> using if_integral = std::enable_if_t<(format_of<T>::what > kind::real), int>;
template <class A, class B> using if_pair = std::enable_if_t<is_pair(format_of<A>::what, format_of<B>::what), int>;

template <class T> constexpr raw_t<format_of<T>::W, format_of<T>::S> raw_of(const T& x) {
  if constexpr (std::is_base_of<number, T>::value) {
    return x.raw();
  } else {
    return static_cast<raw_t<format_of<T>::W, format_of<T>::S>>(x);
  }
}

// ---- types of results -----------------------------------------------------------------------------------------------

template <bool Fixed, int W, int I, bool S> struct number_type { using type = ap_fixed<W, I>; };
template <int W, int I> struct number_type<true, W, I, false> { using type = ap_ufixed<W, I>; };
template <int W, int I> struct number_type<false, W, I, true> { using type = ap_int<W>; };
template <int W, int I> struct number_type<false, W, I, false> { using type = ap_uint<W>; };

template <class A, class B, int W, int I, bool S>
using result = typename number_type<A::what == kind::fixed || B::what == kind::fixed, W, I, S>::type;

// Integer and fractional bits that hold the values of both A and B.
template <class A, class B> constexpr int common_i = max(A::I + (B::S && !A::S), B::I + (A::S && !B::S));
template <class A, class B> constexpr int common_f = max(A::F, B::F);

template <class A, class B> using logic = result<A, B, common_i<A, B> + common_f<A, B>, common_i<A, B>, A::S || B::S>;
template <class A, class B, bool S>
using sum = result<A, B, common_i<A, B> + 1 + common_f<A, B>, common_i<A, B> + 1, S>;
template <class A, class B> using product = result<A, B, A::W + B::W, A::I + B::I, A::S || B::S>;
template <class A, class B>
using quotient = result<A, B, A::W + B::S + max(B::F, 0), A::I + B::S + B::F, A::S || B::S>;
template <class A, class B> using remainder = result<A, B, min(A::W, B::W + (!B::S && A::S)), 0, A::S>;

// The raw bits of an operand in the format of the result R. Equal fractional bits cost no shift.
template <class R, class A> constexpr typename R::Raw align(const A& a) {
  constexpr int shift = format_of<R>::F - format_of<A>::F;
  if constexpr (shift == 0) {
    return static_cast<typename R::Raw>(raw_of(a));
  } else {
    return scale<format_of<R>::W, format_of<R>::S>(raw_of(a), shift);
  }
}

template <class R, class V> constexpr R make(V bits) { return R(raw_bits(), static_cast<typename R::Raw>(bits)); }

// ---- arithmetic -----------------------------------------------------------------------------------------------------

template <class A, class B> constexpr void check_arithmetic() {
  static_assert(A::what != kind::range && B::what != kind::range,
                "Assign the range to an ap_uint before calculating with it.");
  constexpr bool real = A::what == kind::real || B::what == kind::real;
  constexpr bool fixed = A::what == kind::fixed || B::what == kind::fixed;
  static_assert(!(real && fixed),
                "ap_fixed has no arithmetic with float or double. Convert the number to an ap_fixed first.");
}

// ap_int with float or double is floating-point arithmetic.
template <class T> constexpr auto real_value(const T& x) {
  if constexpr (format_of<T>::what == kind::real) {
    return x;
  } else {
    return x.to_word();
  }
}
template <class A, class B>
constexpr bool real_pair = format_of<A>::what == kind::real || format_of<B>::what == kind::real;

// Division cuts off towards zero. A divisor of zero is as undefined as in hardware: the processor traps.
// Not as the vendor: its remainder by a divisor of more than 64 bits is sometimes wrong.
// Vendor: two integers of different sign are first brought to the wider one's sign, so 1000 / -3 may be 0.
template <class A, class B> struct integer_division {
  static constexpr bool either = A::S || B::S;
  static constexpr int W = max(A::W, B::W) + either;
  static constexpr bool S = A::W > B::W ? A::S : B::W > A::W ? B::S : either;
  using T = raw_t<W, S>;
  static constexpr T left(raw_t<A::W, A::S> v) { return resize<W, S, A::W, A::S>(v); }
  static constexpr T right(raw_t<B::W, B::S> v) { return resize<W, S, B::W, B::S>(v); }
};

template <class R, class A, class B> constexpr R divide(raw_t<A::W, A::S> a, raw_t<B::W, B::S> b) {
  using G = format_of<R>;
  if constexpr (G::what == kind::integer) {
    using D = integer_division<A, B>;
    return R(raw_bits(), wrap<G::W, G::S>(D::left(a) / D::right(b)));
  } else {
    constexpr bool s = A::S || B::S;
    constexpr int w = max(A::W + max(B::F, 0) + (B::S && !A::S), B::W + (A::S && !B::S));
    constexpr int roomy = w == 128 ? w : w + 1;  // for the lowest number divided by -1
    using T = raw_t<roomy, s>;
    const T dividend = scale<roomy, s>(a, max(B::F, 0));
    // Vendor: the quotient passes through w bits, one less than the result may have.
    return R(raw_bits(), wrap<G::W, G::S>(wrap<w, s>(dividend / static_cast<T>(b))));
  }
}

// ---- shifts of raw bits: the type stays, bits fall off, a negative amount shifts the other way ----------------------

// The amount, as far as it matters: 128 positions empty every number.
template <class T> constexpr int shift_amount(const T& n) {
  if constexpr (format_of<T>::what == kind::fixed) {
    return shift_amount(n.to_int());
  } else if constexpr (format_of<T>::W >= 64 && !format_of<T>::S) {
    return raw_of(n) > 128 ? 128 : static_cast<int>(raw_of(n));
  } else {
    const auto amount = static_cast<long long>(raw_of(n));
    return static_cast<int>(amount > 128 ? 128 : amount < -128 ? -128 : amount);
  }
}

template <int W, bool S> constexpr raw_t<W, S> shift(raw_t<W, S> v, int left) {
  const int right = -left;
  if (left >= 0) return left < W ? wrap<W, S>(scale<W, false>(v, left)) : raw_t<W, S>(0);
  return static_cast<raw_t<W, S>>(right < W ? v >> right : v < 0 ? -1 : 0);
}

// ---- comparisons ----------------------------------------------------------------------------------------------------
// Vendor: where signs differ, an unsigned side of 32 bits or more that is at least as wide as the signed one makes the
// comparison an unsigned one, as in C: ap_uint<40>(5) > -1 is false. Narrower numbers compare by value.

template <class A, class B> struct comparison {
  // Both sides with the same number of fractional bits; these widths decide between the two rules.
  static constexpr int wa = A::W + (A::F < B::F ? B::F - A::F + 1 : 0);
  static constexpr int wb = B::W + (B::F < A::F ? A::F - B::F : 0);
  static constexpr int ws = A::S ? wa : wb;
  static constexpr int wu = A::S ? wb : wa;
  static constexpr bool same_sign = A::S == B::S;
  static constexpr bool unsigned_order = !same_sign && wu >= ws && wu >= 32;
  static constexpr bool unsigned_equal = !same_sign && ((wu > ws && wu >= 32) || (wu == ws && wu >= 64));

  // By value: one type for both sides. (128 unsigned bits against signed ones never get here.)
  static constexpr int w = same_sign ? max(wa, wb) : max(ws, wu == 128 ? wu : wu + 1);
  using T = raw_t<w, A::S || B::S>;
  using U = raw_t<max(wa, wb), false>;

  // Vendor: a left side without modes, but a right side that keeps its own: AP_SAT_SYM may move its lowest value.
  static constexpr auto left(raw_t<A::W, A::S> v) {
    return multiply_pow2<wa, A::S, AP_WRAP, max(B::F - A::F, 0), A::W, A::S>(v);
  }
  static constexpr auto right(raw_t<B::W, B::S> v) {
    constexpr ap_o_mode o = B::F < A::F ? B::O : AP_WRAP;
    return multiply_pow2<wb, B::S, o, max(A::F - B::F, 0), B::W, B::S>(v);
  }

  static constexpr bool equal(raw_t<A::W, A::S> a, raw_t<B::W, B::S> b) {
    if constexpr (unsigned_equal) {
      return wrap<wu, false>(left(a)) == wrap<wu, false>(right(b));
    } else {
      return static_cast<T>(left(a)) == static_cast<T>(right(b));
    }
  }
  static constexpr bool less(raw_t<A::W, A::S> a, raw_t<B::W, B::S> b) {
    if constexpr (unsigned_order) {
      const bool below = static_cast<U>(left(a)) < static_cast<U>(right(b));
      return A::S ? !(left(a) < 0) & below : (right(b) < 0) | below;
    } else {
      return static_cast<T>(left(a)) < static_cast<T>(right(b));
    }
  }
  static constexpr bool greater(raw_t<A::W, A::S> a, raw_t<B::W, B::S> b) {
    if constexpr (unsigned_order) {
      const bool above = static_cast<U>(left(a)) > static_cast<U>(right(b));
      return A::S ? (left(a) < 0) | above : !(right(b) < 0) & above;
    } else {
      return static_cast<T>(left(a)) > static_cast<T>(right(b));
    }
  }
};

template <class T> constexpr double as_double(const T& x) {
  if constexpr (format_of<T>::what == kind::real) {
    return x;
  } else {
    return x.to_double();
  }
}

// ---- single bits and ranges of bits: proxies that read and write their owner ----------------------------------------

template <int W> constexpr raw_t<W, false> ones(int n) {  // the n lowest bits, 1 <= n <= W
  using U = raw_t<W, false>;
  return static_cast<U>(static_cast<U>(~U(0)) >> (word<W, false>::bits - n));
}

template <class Owner> constexpr bool get_bit(const Owner& x, int i) {
  return (static_cast<raw_t<Owner::width, false>>(x.V) >> i) & 1;
}

template <class Owner> constexpr void set_bit(Owner& x, int i, bool value) {
  using G = typename Owner::ap_format;
  using U = raw_t<G::W, false>;
  const U bit = static_cast<U>(U(1) << i);
  x.V = wrap<G::W, G::S>(static_cast<U>((static_cast<U>(x.V) & static_cast<U>(~bit)) | (static_cast<U>(value) << i)));
}

template <class Owner> struct bit_ref : number {
  using ap_format = format<kind::bit, 1, 1, false>;
  Owner& owner;
  int index;

  constexpr bit_ref(Owner& x, int i) : owner(x), index(i) {}
  constexpr bit_ref(const bit_ref&) = default;
  constexpr bit_ref& operator=(const bit_ref& x) { return *this = bool(x); }
  template <class T, if_operand<T> = 0> constexpr bit_ref& operator=(T x) {
    set_bit(owner, index, x != 0);
    return *this;
  }
  constexpr operator bool() const { return get_bit(owner, index); }
  constexpr bool operator~() const { return !get_bit(owner, index); }
  constexpr bool to_bool() const { return get_bit(owner, index); }
  constexpr bool get() const { return get_bit(owner, index); }
  constexpr std::uint8_t raw() const { return get_bit(owner, index); }
  static constexpr int length() { return 1; }
};

// range(hi, lo) with hi < lo has the bits in reverse order.
template <class Owner> struct range_ref : number {
  static constexpr int W = Owner::width;
  using Bits = raw_t<W, false>;
  using ap_format = format<kind::range, W, W, false>;
  Owner& owner;
  int hi;
  int lo;

  constexpr range_ref(Owner& x, int h, int l) : owner(x), hi(h), lo(l) {}
  constexpr range_ref(const range_ref&) = default;
  constexpr range_ref& operator=(const range_ref& x) { return write(x.raw()); }
  template <class T, if_operand<T> = 0> constexpr range_ref& operator=(T x) {
    if constexpr (format_of<T>::what == kind::real) {
      return write(integer_from_double<W, false>(x));
    } else if constexpr (format_of<T>::what == kind::fixed && Owner::ap_format::what == kind::integer) {
      return write(static_cast<Bits>(x.integer_part()));  // Vendor: bits into an ap_fixed, but the value into an ap_int
    } else {
      return write(static_cast<Bits>(raw_of(x)));
    }
  }

  constexpr Bits raw() const {
    const Bits all = static_cast<Bits>(static_cast<Bits>(owner.V) & ones<W>(W));
    if (hi < lo) return reversed(all);
    return static_cast<Bits>(static_cast<Bits>(all >> lo) & ones<W>(hi - lo + 1));
  }
  constexpr operator unsigned long long() const { return to_uint64(); }
  constexpr int to_int() const { return static_cast<int>(raw()); }
  constexpr unsigned to_uint() const { return static_cast<unsigned>(raw()); }
  constexpr long long to_int64() const { return static_cast<long long>(raw()); }
  constexpr unsigned long long to_uint64() const { return static_cast<unsigned long long>(raw()); }
  constexpr ap_uint<W> get() const { return ap_uint<W>(raw_bits(), raw()); }
  constexpr int length() const { return hi < lo ? lo - hi + 1 : hi - lo + 1; }

 private:
  constexpr Bits reversed(Bits all) const {
    Bits out = 0;
    for (int i = hi; i <= lo; ++i) out = static_cast<Bits>(static_cast<Bits>(out << 1) | ((all >> i) & 1));
    return out;
  }
  constexpr range_ref& write(Bits bits) {
    if (hi < lo) {
      for (int i = hi; i <= lo; ++i) set_bit(owner, i, (bits >> (lo - i)) & 1);
    } else {
      const Bits mask = static_cast<Bits>(ones<W>(hi - lo + 1) << lo);
      const Bits kept = static_cast<Bits>(static_cast<Bits>(owner.V) & ones<W>(W) & static_cast<Bits>(~mask));
      owner.V = wrap<W, Owner::ap_format::S>(static_cast<Bits>(kept | (static_cast<Bits>(bits << lo) & mask)));
    }
    return *this;
  }
};

// ---- (a, b): the bits of a above those of b; const, as here (unlike the vendor's) it can't be assigned to ----------

constexpr bool is_bits(kind k) { return k == kind::integer || k == kind::range || k == kind::bit; }
constexpr bool is_bit_pair(kind a, kind b) {
  return (is_bits(a) && (is_bits(b) || b == kind::native)) || (a == kind::native && is_bits(b));
}

template <class A, class B>
using concatenation = std::enable_if_t<is_bit_pair(format_of<A>::what, format_of<B>::what),
                                       const ap_uint<format_of<A>::W + format_of<B>::W>>;

template <class T> constexpr int bit_length(const T& x) {
  if constexpr (format_of<T>::what == kind::range) {
    return x.length();
  } else {
    return format_of<T>::W;
  }
}

template <class A, class B> constexpr concatenation<A, B> concatenate(const A& a, const B& b) {
  using U = raw_t<format_of<A>::W + format_of<B>::W, false>;
  const U high = static_cast<U>(wrap<format_of<A>::W, false>(raw_of(a)));
  const U low = static_cast<U>(wrap<format_of<B>::W, false>(raw_of(b)));
  return {raw_bits(), static_cast<U>(static_cast<U>(high << bit_length(b)) | low)};
}

}  // namespace ap_detail

namespace ap_operators {

using namespace ap_detail;

// ---- arithmetic -----------------------------------------------------------------------------------------------------

template <class A, class B, if_pair<A, B> = 0> constexpr auto operator+(A a, B b) {
  check_arithmetic<format_of<A>, format_of<B>>();
  if constexpr (real_pair<A, B>) {
    return real_value(a) + real_value(b);
  } else {
    using R = sum<format_of<A>, format_of<B>, format_of<A>::S || format_of<B>::S>;
    return make<R>(align<R>(a) + align<R>(b));
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr auto operator-(A a, B b) {
  check_arithmetic<format_of<A>, format_of<B>>();
  if constexpr (real_pair<A, B>) {
    return real_value(a) - real_value(b);
  } else {
    using R = sum<format_of<A>, format_of<B>, true>;
    return make<R>(align<R>(a) - align<R>(b));
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr auto operator*(A a, B b) {
  check_arithmetic<format_of<A>, format_of<B>>();
  if constexpr (real_pair<A, B>) {
    return real_value(a) * real_value(b);
  } else {
    using R = product<format_of<A>, format_of<B>>;
    using V = typename R::Raw;
    return make<R>(static_cast<V>(raw_of(a)) * static_cast<V>(raw_of(b)));
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr auto operator/(A a, B b) {
  check_arithmetic<format_of<A>, format_of<B>>();
  if constexpr (real_pair<A, B>) {
    return real_value(a) / real_value(b);
  } else {
    using R = quotient<format_of<A>, format_of<B>>;
    if constexpr (format_of<A>::what == kind::native) {  // Vendor: the result has the type of b / a
      using Swapped = quotient<format_of<B>, format_of<A>>;
      return Swapped(divide<R, format_of<A>, format_of<B>>(raw_of(a), raw_of(b)));
    } else {
      return divide<R, format_of<A>, format_of<B>>(raw_of(a), raw_of(b));
    }
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr auto operator%(A a, B b) {
  check_arithmetic<format_of<A>, format_of<B>>();
  using Fa = format_of<A>;
  using Fb = format_of<B>;
  static_assert(Fa::what != kind::fixed && Fb::what != kind::fixed, "ap_fixed has no operator %.");
  static_assert(!real_pair<A, B>, "ap_int has no operator % with float or double.");
  using D = integer_division<Fa, Fb>;
  using T = std::conditional_t<Fa::S, typename D::T, raw_t<D::W, false>>;  // Vendor: unsigned % goes by the left side
  using R = remainder<Fa, Fb>;
  using G = format_of<R>;
  const R r(raw_bits(), wrap<G::W, G::S>(static_cast<T>(D::left(raw_of(a))) % static_cast<T>(D::right(raw_of(b)))));
  if constexpr (Fa::what == kind::native) {  // Vendor: the result has the type of b % a
    return remainder<Fb, Fa>(r);
  } else {
    return r;
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr auto operator&(A a, B b) {
  check_arithmetic<format_of<A>, format_of<B>>();
  using R = logic<format_of<A>, format_of<B>>;
  return make<R>(align<R>(a) & align<R>(b));
}

template <class A, class B, if_pair<A, B> = 0> constexpr auto operator|(A a, B b) {
  check_arithmetic<format_of<A>, format_of<B>>();
  using R = logic<format_of<A>, format_of<B>>;
  return make<R>(align<R>(a) | align<R>(b));
}

template <class A, class B, if_pair<A, B> = 0> constexpr auto operator^(A a, B b) {
  check_arithmetic<format_of<A>, format_of<B>>();
  using R = logic<format_of<A>, format_of<B>>;
  return make<R>(align<R>(a) ^ align<R>(b));
}

// ---- comparison -----------------------------------------------------------------------------------------------------

template <class A, class B, if_pair<A, B> = 0> constexpr bool operator==(A a, B b) {
  if constexpr (real_pair<A, B>) {
    return as_double(a) == as_double(b);
  } else {
    return comparison<format_of<A>, format_of<B>>::equal(raw_of(a), raw_of(b));
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr bool operator!=(A a, B b) { return !(a == b); }

template <class A, class B, if_pair<A, B> = 0> constexpr bool operator<(A a, B b) {
  if constexpr (real_pair<A, B>) {
    return as_double(a) < as_double(b);
  } else {
    return comparison<format_of<A>, format_of<B>>::less(raw_of(a), raw_of(b));
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr bool operator>(A a, B b) {
  if constexpr (real_pair<A, B>) {
    return as_double(a) > as_double(b);
  } else {
    return comparison<format_of<A>, format_of<B>>::greater(raw_of(a), raw_of(b));
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr bool operator<=(A a, B b) {
  if constexpr (real_pair<A, B>) {
    return as_double(a) <= as_double(b);  // not !(a > b): a NaN is neither
  } else {
    return !comparison<format_of<A>, format_of<B>>::greater(raw_of(a), raw_of(b));
  }
}

template <class A, class B, if_pair<A, B> = 0> constexpr bool operator>=(A a, B b) {
  if constexpr (real_pair<A, B>) {
    return as_double(a) >= as_double(b);
  } else {
    return !comparison<format_of<A>, format_of<B>>::less(raw_of(a), raw_of(b));
  }
}

// ---- bits, and output -----------------------------------------------------------------------------------------------

template <class A, class B> constexpr concatenation<A, B> operator,(A a, B b) {
  return concatenate(a, b);
}

template <class Char, class Traits, class T, std::enable_if_t<is_number(format_of<T>::what), int> = 0>
std::basic_ostream<Char, Traits>& operator<<(std::basic_ostream<Char, Traits>& out, const T& x) {
  if constexpr (format_of<T>::what == kind::fixed) {
    return out << x.to_double();  // the vendor writes all digits, and knows no stream formatting
  } else if constexpr (format_of<T>::W <= 64) {
    return out << static_cast<raw_t<64, format_of<T>::S>>(raw_of(x));
  } else {
    Char digits[41] = {};
    Char* first = digits + 40;
    const auto v = raw_of(x);
    uint128 rest = v < 0 ? -static_cast<uint128>(v) : static_cast<uint128>(v);
    do *--first = static_cast<Char>('0' + static_cast<int>(rest % 10));
    while ((rest /= 10) != 0);
    if (v < 0) *--first = '-';
    return out << first;
  }
}

}  // namespace ap_operators

#endif
