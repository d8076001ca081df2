// Piecewise: y = slope * x + offset of the piece that x lies in, exact; slopes repeat over the tensor.
#ifndef KERAS_HLS_PIECEWISE_H_
#define KERAS_HLS_PIECEWISE_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y, class B, class S, class O>
void piecewise(const X x[C::size], Y y[C::size], const B starts[C::pieces - 1], const S slopes[C::pieces * C::count],
               const O offsets[C::pieces]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=starts complete dim=0
#pragma HLS ARRAY_PARTITION variable=slopes complete dim=0
#pragma HLS ARRAY_PARTITION variable=offsets complete dim=0
    typedef ap_int<C::width> raw_t;
Blocks:
    for (int o = 0; o < C::size; o += C::count * C::inner) {
#pragma HLS UNROLL
    Constants:
        for (int n = 0; n < C::count; n++) {
#pragma HLS UNROLL
        Neighbours:
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                const X value = x[o + n * C::inner + i];
                const raw_t raw = to_raw(value);
                Y result = value * from_raw<typename C::slopes_t>(slopes[n]) + from_raw<typename C::offsets_t>(offsets[0]);
            Pieces:
                for (int p = 1; p < C::pieces; p++) {
#pragma HLS UNROLL
                    const Y line = value * from_raw<typename C::slopes_t>(slopes[p * C::count + n]) +
                                   from_raw<typename C::offsets_t>(offsets[p]);
                    result = raw >= raw_t(starts[p - 1]) ? line : result;
                }
                y[o + n * C::inner + i] = result;
            }
        }
    }
}

} // namespace keras_hls

#endif
