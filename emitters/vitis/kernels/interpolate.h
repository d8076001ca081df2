// Interpolate: y = whole * x at evenly spread places along one axis: two neighbours, times integers that depend on the place.
#ifndef KERAS_HLS_INTERPOLATE_H_
#define KERAS_HLS_INTERPOLATE_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y>
void interpolate(const X x[C::outer * C::n * C::inner], Y y[C::outer * C::size * C::inner]) {
#pragma HLS PIPELINE II=1
    typedef ap_uint<C::weight_bits> weight_t;
    const int step = 2 * C::size / C::whole;
Blocks:
    for (int o = 0; o < C::outer; o++) {
#pragma HLS UNROLL
    Places:
        for (int j = 0; j < C::size; j++) {
#pragma HLS UNROLL
            // Where point j lies, in units of 1 / (2 * size), from half an element before the first centre on.
            const int place = (2 * j + 1) * C::n + C::size;
            const int above = place / (2 * C::size);
            const int low = above > 0 ? above - 1 : 0, high = above < C::n ? above : C::n - 1;
            const weight_t second = place % (2 * C::size) / step;
            const weight_t first = C::whole - place % (2 * C::size) / step;
            const int a = (o * C::n + low) * C::inner, b = (o * C::n + high) * C::inner;
        Neighbours:
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                y[(o * C::size + j) * C::inner + i] = x[a + i] * first + x[b + i] * second;
            }
        }
    }
}

} // namespace keras_hls

#endif
