// ap_int<W> and ap_uint<W>: integers of 1 to 128 bits that wrap around, for C-simulation.
// SPDX-License-Identifier: Apache-2.0
//
// A drop-in replacement for the vendor's header of this name: see ap_detail.h and ap_ops.h. Not here: text conversions,
// xor_reduce and its kin, assignment to a concatenation (a, b) = c, volatile objects, widths above 128.
#ifndef KERAS_HLS_CSIM_AP_INT_H
#define KERAS_HLS_CSIM_AP_INT_H

#include "ap_ops.h"

template <int W, bool Signed> struct ap_int_base : ap_detail::number {
  using ap_format = ap_detail::format<ap_detail::kind::integer, W, W, Signed>;
  using Raw = ap_detail::raw_t<W, Signed>;
  using Word = ap_detail::raw_t<64, Signed>;
  using Derived = typename ap_detail::number_type<false, W, W, Signed>::type;
  static constexpr int width = W;

  Raw V;

  ap_int_base() = default;  // no value, as a register before reset: zeroing would cost loops their speed
  constexpr ap_int_base(ap_detail::raw_bits, Raw bits) : V(bits) {}
  template <class T, ap_detail::if_operand<T> = 0> constexpr ap_int_base(T x) : V(wrapped(x)) {}

  // ---- conversions. Vendor: more than 64 bits count by their lower 64 only, even as a truth value or a double
  constexpr Word to_word() const { return static_cast<Word>(V); }
  constexpr operator std::conditional_t<Signed, long long, unsigned long long>() const { return to_word(); }
  constexpr bool to_bool() const { return to_word() != 0; }
  constexpr char to_char() const { return static_cast<char>(V); }
  constexpr short to_short() const { return static_cast<short>(V); }
  constexpr unsigned short to_ushort() const { return static_cast<unsigned short>(V); }
  constexpr int to_int() const { return static_cast<int>(V); }
  constexpr unsigned to_uint() const { return static_cast<unsigned>(V); }
  constexpr long to_long() const { return static_cast<long>(V); }
  constexpr unsigned long to_ulong() const { return static_cast<unsigned long>(V); }
  constexpr long long to_int64() const { return static_cast<long long>(V); }
  constexpr unsigned long long to_uint64() const { return static_cast<unsigned long long>(V); }
  constexpr float to_float() const { return static_cast<float>(to_word()); }
  constexpr double to_double() const { return static_cast<double>(to_word()); }
  constexpr Raw raw() const { return V; }

  // ---- arithmetic in place, modulo 2**W
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator+=(T x) {
    return store(static_cast<Bits>(V) + bits(x));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator-=(T x) {
    return store(static_cast<Bits>(V) - bits(x));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator*=(T x) {
    return store(static_cast<Unsigned>(V) * static_cast<Unsigned>(bits(x)));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator&=(T x) {
    return store(static_cast<Bits>(V) & bits(x));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator|=(T x) {
    return store(static_cast<Bits>(V) | bits(x));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator^=(T x) {
    return store(static_cast<Bits>(V) ^ bits(x));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator/=(T x) {
    return *this = ap_int_base(*this / integer(x));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator%=(T x) {
    return *this = ap_int_base(*this % integer(x));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator<<=(T n) {
    return *this = *this << n;
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr ap_int_base& operator>>=(T n) {
    return *this = *this >> n;
  }
  constexpr ap_int_base& operator++() { return *this += true; }
  constexpr ap_int_base& operator--() { return *this -= true; }
  constexpr Derived operator++(int) {
    const Derived before(*this);
    ++*this;
    return before;
  }
  constexpr Derived operator--(int) {
    const Derived before(*this);
    --*this;
    return before;
  }

  constexpr Derived operator+() const { return Derived(*this); }
  constexpr auto operator-() const { return ap_int_base<1, false>(ap_detail::raw_bits(), 0) - *this; }
  constexpr Derived operator~() const { return Derived(ap_detail::raw_bits(), ap_detail::wrap<W, Signed>(~V)); }
  constexpr bool operator!() const { return V == 0; }

  template <class T, ap_detail::if_integral<T> = 0> constexpr Derived operator<<(T n) const {
    return Derived(ap_detail::raw_bits(), ap_detail::shift<W, Signed>(V, ap_detail::shift_amount(n)));
  }
  template <class T, ap_detail::if_integral<T> = 0> constexpr Derived operator>>(T n) const {
    return Derived(ap_detail::raw_bits(), ap_detail::shift<W, Signed>(V, -ap_detail::shift_amount(n)));
  }

  // ---- bits. Indices are not checked
  constexpr ap_detail::bit_ref<ap_int_base> operator[](int i) { return {*this, i}; }
  constexpr bool operator[](int i) const { return ap_detail::get_bit(*this, i); }
  constexpr ap_detail::bit_ref<ap_int_base> bit(int i) { return {*this, i}; }
  constexpr bool bit(int i) const { return ap_detail::get_bit(*this, i); }
  constexpr bool test(int i) const { return ap_detail::get_bit(*this, i); }
  constexpr bool get_bit(int i) const { return ap_detail::get_bit(*this, i); }
  constexpr void set_bit(int i, bool value) { ap_detail::set_bit(*this, i, value); }
  constexpr void set(int i, bool value = true) { ap_detail::set_bit(*this, i, value); }
  constexpr void clear(int i) { ap_detail::set_bit(*this, i, false); }
  constexpr void invert(int i) { ap_detail::set_bit(*this, i, !get_bit(i)); }

  constexpr ap_detail::range_ref<ap_int_base> range(int hi, int lo) { return {*this, hi, lo}; }
  constexpr ap_detail::range_ref<const ap_int_base> range(int hi, int lo) const { return {*this, hi, lo}; }
  constexpr ap_detail::range_ref<ap_int_base> range() { return {*this, W - 1, 0}; }
  constexpr ap_detail::range_ref<const ap_int_base> range() const { return {*this, W - 1, 0}; }
  constexpr ap_detail::range_ref<ap_int_base> operator()(int hi, int lo) { return {*this, hi, lo}; }
  constexpr ap_detail::range_ref<const ap_int_base> operator()(int hi, int lo) const { return {*this, hi, lo}; }
  template <class T> constexpr ap_detail::concatenation<ap_int_base, T> concat(T low) const {
    return ap_detail::concatenate(*this, low);
  }

  static constexpr int length() { return W; }
  constexpr bool is_zero() const { return V == 0; }
  constexpr bool iszero() const { return V == 0; }
  constexpr bool sign() const { return V < 0; }

 private:
  using Bits = ap_detail::raw_t<W, false>;
  using Unsigned = ap_detail::raw_t<ap_detail::max(W, 32), false>;  // narrower ones would be multiplied as signed int

  template <class T> static constexpr Raw wrapped(const T& x) {
    using F = ap_detail::format_of<T>;
    if constexpr (F::what == ap_detail::kind::real) {
      return ap_detail::integer_from_double<W, Signed>(x);
    } else if constexpr (F::what == ap_detail::kind::fixed) {
      return ap_detail::wrap<W, Signed>(x.integer_part());
    } else {
      return ap_detail::resize<W, Signed, F::W, F::S>(ap_detail::raw_of(x));
    }
  }
  template <class T> static constexpr auto integer(const T& x) {
    if constexpr (ap_detail::format_of<T>::what == ap_detail::kind::fixed) {
      return x.to_ap_int_base();
    } else {
      using F = ap_detail::format_of<T>;  // a native number must not be the left side's type of a quotient
      return ap_int_base<F::W, F::S>(x);
    }
  }
  template <class T> static constexpr Bits bits(const T& x) { return static_cast<Bits>(integer(x).V); }
  template <class T> constexpr ap_int_base& store(T value) {
    V = ap_detail::wrap<W, Signed>(value);
    return *this;
  }
};

// About the two assignments below: g++ moves a class object as a block of memory, and does not vectorise that in
// y[i] = x[i] > 0 ? x[i] : 0. So assignment is the second one, which moves a number; the first is for temporaries only,
// and is there because with it the type still counts as trivially copyable.

template <int W> struct ap_int : ap_int_base<W, true> {
  using Base = ap_int_base<W, true>;
  ap_int() = default;
  ap_int(const ap_int&) = default;
  ap_int& operator=(const ap_int&) && = default;
  constexpr ap_int& operator=(const Base& x) & {
    this->V = x.V;
    return *this;
  }
  constexpr ap_int(ap_detail::raw_bits tag, typename Base::Raw bits) : Base(tag, bits) {}
  template <class T, ap_detail::if_operand<T> = 0> constexpr ap_int(T x) : Base(x) {}
  static constexpr ap_int from_raw(typename Base::Raw bits) { return {ap_detail::raw_bits(), bits}; }
};

template <int W> struct ap_uint : ap_int_base<W, false> {
  using Base = ap_int_base<W, false>;
  ap_uint() = default;
  ap_uint(const ap_uint&) = default;
  ap_uint& operator=(const ap_uint&) && = default;
  constexpr ap_uint& operator=(const Base& x) & {
    this->V = x.V;
    return *this;
  }
  constexpr ap_uint(ap_detail::raw_bits tag, typename Base::Raw bits) : Base(tag, bits) {}
  template <class T, ap_detail::if_operand<T> = 0> constexpr ap_uint(T x) : Base(x) {}
  static constexpr ap_uint from_raw(typename Base::Raw bits) { return {ap_detail::raw_bits(), bits}; }
};

#include "ap_fixed.h"  // as with the vendor's, either header brings both

#endif
