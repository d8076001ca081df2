// Raw bits of fixed-point numbers: how weights, written as plain integers, become numbers, and how numbers are compared.
#ifndef KERAS_HLS_RAW_H_
#define KERAS_HLS_RAW_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace keras_hls {

// The number of type T whose bits are those of `raw`, which T must be able to hold.
template <class T> inline T from_raw(long long raw) {
#ifdef KERAS_HLS_CSIM
    // The headers for C-simulation take the bits as they are, which saves them two shifts a weight.
    return T::from_raw(static_cast<typename T::Raw>(raw));
#else
    T value = 0;
    value.range(T::width - 1, 0) = ap_int<T::width>(raw).range(T::width - 1, 0);
    return value;
#endif
}

// The bits of a number as an integer of the same width.
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> inline ap_int<W> to_raw(const ap_fixed<W, I, Q, O, N> &value) {
    ap_int<W> raw = 0;
    raw.range(W - 1, 0) = value.range(W - 1, 0);
    return raw;
}
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> inline ap_uint<W> to_raw(const ap_ufixed<W, I, Q, O, N> &value) {
    ap_uint<W> raw = 0;
    raw.range(W - 1, 0) = value.range(W - 1, 0);
    return raw;
}

} // namespace keras_hls

#endif
