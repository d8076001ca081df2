// Steps: y = the value of the step that x lies on, found by comparisons.
#ifndef KERAS_HLS_STEPS_H_
#define KERAS_HLS_STEPS_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y, class B, class V>
void steps(const X x[C::size], Y y[C::size], const B starts[C::steps - 1], const V values[C::steps]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=starts complete dim=0
#pragma HLS ARRAY_PARTITION variable=values complete dim=0
    typedef ap_int<C::width> raw_t;
Elements:
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        const raw_t raw = to_raw(x[i]);
        Y result = from_raw<Y>(values[0]);
    Comparisons:
        for (int s = 1; s < C::steps; s++) {
#pragma HLS UNROLL
            result = raw >= raw_t(starts[s - 1]) ? from_raw<Y>(values[s]) : result;
        }
        y[i] = result;
    }
}

} // namespace keras_hls

#endif
