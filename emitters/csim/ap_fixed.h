// ap_fixed<W, I, Q, O> and ap_ufixed<W, I, Q, O>: W bits, I of them before the binary point, for C-simulation.
// SPDX-License-Identifier: Apache-2.0
//
// A drop-in replacement for the vendor's header of this name: see ap_detail.h and ap_ops.h. Values are rounded by Q and
// limited by O whenever they are assigned; results of operators are exact. Not here: text conversions, AP_WRAP_SM,
// N saturated bits, volatile objects, widths above 128.
#ifndef KERAS_HLS_CSIM_AP_FIXED_H
#define KERAS_HLS_CSIM_AP_FIXED_H

#include "ap_int.h"

template <int W, int I, bool Signed = true, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
struct ap_fixed_base : ap_detail::number {
  static_assert(O != AP_WRAP_SM, "C-simulation has no AP_WRAP_SM (sign-magnitude wrap-around). Use AP_WRAP or AP_SAT.");
  static_assert(N == 0, "C-simulation has no N (saturated bits of AP_WRAP). Leave N at 0.");

  using ap_format = ap_detail::format<ap_detail::kind::fixed, W, I, Signed, O>;
  using Raw = ap_detail::raw_t<W, Signed>;
  static constexpr int width = W;
  static constexpr int iwidth = I;
  static constexpr ap_q_mode qmode = Q;
  static constexpr ap_o_mode omode = O;

  Raw V;

  ap_fixed_base() = default;  // no value, as a register before reset: zeroing would cost loops their speed
  constexpr ap_fixed_base(ap_detail::raw_bits, Raw bits) : V(bits) {}
  template <class T, ap_detail::if_operand<T> = 0> constexpr ap_fixed_base(T x) : V(converted(x)) {}

  // ---- conversions
  // Without its fraction, cut off towards zero. Vendor: without integer bits a negative number becomes -1, not 0.
  // (With I < 0 the vendor's headers read memory that was never written; here the result is 0.)
  constexpr auto integer_part() const {
    using R = ap_detail::raw_t<ap_detail::max(I, 1), Signed>;
    if constexpr (I >= W) {
      return ap_detail::scale<I, Signed>(V, I - W);
    } else if constexpr (I > 0) {
      return static_cast<R>(ap_detail::divide_pow2<AP_TRN_ZERO, W - I, W, Signed>(V));
    } else {
      return static_cast<R>(I == 0 && V < 0 ? -1 : 0);
    }
  }
  constexpr auto to_ap_int_base() const {
    return ap_int_base<ap_detail::max(I, 1), Signed>(ap_detail::raw_bits(), integer_part());
  }
  constexpr char to_char() const { return static_cast<char>(integer_part()); }
  constexpr int to_int() const { return static_cast<int>(integer_part()); }
  constexpr unsigned to_uint() const { return static_cast<unsigned>(integer_part()); }
  constexpr long long to_int64() const { return static_cast<long long>(integer_part()); }
  constexpr unsigned long long to_uint64() const { return static_cast<unsigned long long>(integer_part()); }
  // Rounded to nearest, ties to even, where the bits are too many. Numbers that float only has as subnormal or
  // infinite become that; the vendor's to_float returns others.
  constexpr double to_double() const { return static_cast<double>(V) * step; }
  constexpr float to_float() const {
    const bool huge = W == 128 && !Signed && (V >> (W - 1)) != 0;  // may round to 2**128, which float does not have
    const double mantissa = huge ? 2.0 * static_cast<float>((V >> 1) | (V & 1)) : static_cast<float>(V);
    return static_cast<float>(mantissa * step);
  }
  template <class T, std::enable_if_t<std::is_arithmetic<T>::value, int> = 0> constexpr operator T() const {
    if constexpr (std::is_same<T, bool>::value) {
      return static_cast<ap_detail::raw_t<64, Signed>>(V) != 0;  // Vendor: a truth value counts the lower 64 bits only
    } else if constexpr (std::is_same<T, float>::value) {
      return to_float();
    } else if constexpr (std::is_floating_point<T>::value) {
      return to_double();
    } else {
      return static_cast<T>(integer_part());
    }
  }
  constexpr Raw raw() const { return V; }

  // ---- arithmetic in place: computed exactly, then assigned with Q and O
  template <class T> constexpr ap_fixed_base& operator+=(T x) { return *this = ap_fixed_base(*this + x); }
  template <class T> constexpr ap_fixed_base& operator-=(T x) { return *this = ap_fixed_base(*this - x); }
  template <class T> constexpr ap_fixed_base& operator*=(T x) { return *this = ap_fixed_base(*this * x); }
  template <class T> constexpr ap_fixed_base& operator/=(T x) { return *this = ap_fixed_base(*this / x); }
  template <class T> constexpr ap_fixed_base& operator&=(T x) { return *this = ap_fixed_base(*this & x); }
  template <class T> constexpr ap_fixed_base& operator|=(T x) { return *this = ap_fixed_base(*this | x); }
  template <class T> constexpr ap_fixed_base& operator^=(T x) { return *this = ap_fixed_base(*this ^ x); }
  template <class T> constexpr ap_fixed_base& operator<<=(T n) { return *this = *this << n; }
  template <class T> constexpr ap_fixed_base& operator>>=(T n) { return *this = *this >> n; }
  constexpr ap_fixed_base& operator++() { return *this += one(); }
  constexpr ap_fixed_base& operator--() { return *this -= one(); }
  constexpr ap_fixed_base operator++(int) {
    const ap_fixed_base before(*this);
    ++*this;
    return before;
  }
  constexpr ap_fixed_base operator--(int) {
    const ap_fixed_base before(*this);
    --*this;
    return before;
  }

  constexpr ap_fixed_base operator+() const { return *this; }
  constexpr ap_fixed<W + 1, I + 1> operator-() const {
    using R = ap_detail::raw_t<W + 1, true>;
    return ap_fixed<W + 1, I + 1>(ap_detail::raw_bits(), static_cast<R>(-static_cast<R>(V)));
  }
  constexpr auto operator~() const {
    using R = typename ap_detail::number_type<true, W, I, Signed>::type;
    return R(ap_detail::raw_bits(), ap_detail::wrap<W, Signed>(~V));
  }
  constexpr bool operator!() const { return V == 0; }

  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_fixed_base operator<<(T n) const {
    return ap_fixed_base(ap_detail::raw_bits(), ap_detail::shift<W, Signed>(V, ap_detail::shift_amount(n)));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_fixed_base operator>>(T n) const {
    return ap_fixed_base(ap_detail::raw_bits(), ap_detail::shift<W, Signed>(V, -ap_detail::shift_amount(n)));
  }

  // ---- bits, counted from the lowest one. Indices are not checked
  constexpr ap_detail::bit_ref<ap_fixed_base> operator[](int i) { return {*this, i}; }
  constexpr bool operator[](int i) const { return ap_detail::get_bit(*this, i); }
  constexpr ap_detail::bit_ref<ap_fixed_base> bit(int i) { return {*this, i}; }
  constexpr bool bit(int i) const { return ap_detail::get_bit(*this, i); }
  constexpr bool get_bit(int i) const { return ap_detail::get_bit(*this, i + W - I); }  // counted from the binary point

  constexpr ap_detail::range_ref<ap_fixed_base> range(int hi, int lo) { return {*this, hi, lo}; }
  constexpr ap_detail::range_ref<const ap_fixed_base> range(int hi, int lo) const { return {*this, hi, lo}; }
  constexpr ap_detail::range_ref<ap_fixed_base> range() { return {*this, W - 1, 0}; }
  constexpr ap_detail::range_ref<const ap_fixed_base> range() const { return {*this, W - 1, 0}; }
  constexpr ap_detail::range_ref<ap_fixed_base> operator()(int hi, int lo) { return {*this, hi, lo}; }
  constexpr ap_detail::range_ref<const ap_fixed_base> operator()(int hi, int lo) const { return {*this, hi, lo}; }

  static constexpr int length() { return W; }
  static constexpr int wl() { return W; }
  static constexpr int iwl() { return I; }
  constexpr bool is_zero() const { return V == 0; }
  constexpr bool is_neg() const { return V < 0; }

 private:
  static constexpr double step = ap_detail::pow2(I - W);

  static constexpr auto one() {
    static_assert(W >= I, "++ and -- need a number type that can hold 1.");
    using R = ap_ufixed<ap_detail::max(W - I, 0) + 1, 1>;
    return R(ap_detail::raw_bits(), static_cast<typename R::Raw>(typename R::Raw(1) << (W - I)));
  }
  template <class T> static constexpr Raw converted(const T& x) {
    using F = ap_detail::format_of<T>;
    if constexpr (std::is_base_of<ap_fixed_base, T>::value) {
      return x.V;  // the same type: a copy, even of a value that AP_SAT_SYM would not let in
    } else if constexpr (F::what == ap_detail::kind::real) {
      return ap_detail::from_double<W, I, Signed, Q, O>(x);
    } else {
      return ap_detail::convert<W, I, Signed, Q, O, F::W, F::I, F::S>(ap_detail::raw_of(x));
    }
  }
};

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct ap_fixed : ap_fixed_base<W, I, true, Q, O, N> {
  using Base = ap_fixed_base<W, I, true, Q, O, N>;
  ap_fixed() = default;
  ap_fixed(const ap_fixed&) = default;
  ap_fixed& operator=(const ap_fixed&) && = default;
  constexpr ap_fixed& operator=(const Base& x) & {
    this->V = x.V;
    return *this;
  }
  constexpr ap_fixed(ap_detail::raw_bits tag, typename Base::Raw bits) : Base(tag, bits) {}
  template <class T, ap_detail::if_operand<T> = 0> constexpr ap_fixed(T x) : Base(x) {}
  static constexpr ap_fixed from_raw(typename Base::Raw bits) { return {ap_detail::raw_bits(), bits}; }
};

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> struct ap_ufixed : ap_fixed_base<W, I, false, Q, O, N> {
  using Base = ap_fixed_base<W, I, false, Q, O, N>;
  ap_ufixed() = default;
  ap_ufixed(const ap_ufixed&) = default;
  ap_ufixed& operator=(const ap_ufixed&) && = default;
  constexpr ap_ufixed& operator=(const Base& x) & {
    this->V = x.V;
    return *this;
  }
  constexpr ap_ufixed(ap_detail::raw_bits tag, typename Base::Raw bits) : Base(tag, bits) {}
  template <class T, ap_detail::if_operand<T> = 0> constexpr ap_ufixed(T x) : Base(x) {}
  static constexpr ap_ufixed from_raw(typename Base::Raw bits) { return {ap_detail::raw_bits(), bits}; }
};

#endif
