// Channels in other places, and known numbers: wires and constants.
#ifndef KERAS_HLS_CHANNELS_H_
#define KERAS_HLS_CHANNELS_H_

#include "raw.h"

namespace keras_hls {

template <class C, class Y, class V> void known(Y y[C::size], const V values[C::size]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=values complete dim=0
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        y[i] = from_raw<typename C::values_t>(values[i]);
    }
}

// y[p][j] = x[p][index[j]], or a known number where the index is -1.
template <class C, class X, class Y, class I, class F>
void channels(const X x[C::positions * C::channels], Y y[C::positions * C::picked], const I index[C::picked],
              const F fill[C::picked]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=index complete dim=0
#pragma HLS ARRAY_PARTITION variable=fill complete dim=0
Positions:
    for (int p = 0; p < C::positions; p++) {
#pragma HLS UNROLL
        for (int j = 0; j < C::picked; j++) {
#pragma HLS UNROLL
            y[p * C::picked + j] =
                index[j] < 0 ? Y(from_raw<typename C::fill_t>(fill[j])) : Y(x[p * C::channels + int(index[j])]);
        }
    }
}

} // namespace keras_hls

#endif
