// Scale: y = x * scale + offset, exact; constants repeat over the tensor.
#ifndef KERAS_HLS_SCALE_H_
#define KERAS_HLS_SCALE_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y, class S, class O>
void scale(const X x[C::size], Y y[C::size], const S scale[C::count], const O offset[C::count]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=scale complete dim=0
#pragma HLS ARRAY_PARTITION variable=offset complete dim=0
Blocks:
    for (int o = 0; o < C::size; o += C::count * C::inner) {
#pragma HLS UNROLL
    Constants:
        for (int n = 0; n < C::count; n++) {
#pragma HLS UNROLL
        Neighbours:
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                y[o + n * C::inner + i] = x[o + n * C::inner + i] * from_raw<typename C::scale_t>(scale[n]) +
                                          from_raw<typename C::offset_t>(offset[n]);
            }
        }
    }
}

} // namespace keras_hls

#endif
