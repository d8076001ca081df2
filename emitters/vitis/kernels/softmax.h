// Softmax in integers: exp(x - max) from two tables, then the quotient of each by their sum, rounded half up.
#ifndef KERAS_HLS_SOFTMAX_H_
#define KERAS_HLS_SOFTMAX_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y, class H, class L>
void softmax(const X x[C::rows * C::n], Y y[C::rows * C::n], const H *coarse, const L *fine) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::input_width + 1> distance_t;
    typedef ap_uint<C::table_frac + 1> exponential_t;
    typedef ap_uint<C::sum_width> sum_t;
    typedef ap_uint<C::sum_width + C::frac + 2> quotient_t;
    for (int r = 0; r < C::rows; r++) {
#pragma HLS UNROLL
        distance_t largest = to_raw(x[r * C::n]);
    Largest:
        for (int i = 1; i < C::n; i++) {
#pragma HLS UNROLL
            const distance_t value = to_raw(x[r * C::n + i]);
            largest = value > largest ? value : largest;
        }
        exponential_t e[C::n];
#pragma HLS ARRAY_PARTITION variable=e complete dim=0
        sum_t sum = 0;
    Exponentials:
        for (int i = 0; i < C::n; i++) {
#pragma HLS UNROLL
            const distance_t far = largest - distance_t(to_raw(x[r * C::n + i]));
            // Beyond the span, the exponential rounds to zero.
            const unsigned d = far > distance_t(C::span) ? unsigned(C::span) : unsigned(far.to_uint());
            const ap_uint<2 * C::table_frac + 2> product =
                exponential_t(coarse[d >> C::split]) * exponential_t(fine[d & ((1u << C::split) - 1)]);
            e[i] = (product + (ap_uint<2 * C::table_frac + 2>(1) << (C::table_frac - 1))) >> C::table_frac;
            sum += e[i];
        }
    Quotients:
        for (int i = 0; i < C::n; i++) {
#pragma HLS UNROLL
            const quotient_t dividend = (quotient_t(e[i]) << (C::frac + 1)) + quotient_t(sum);
            const quotient_t quotient = dividend / quotient_t(quotient_t(sum) << 1);
            y[r * C::n + i] = from_raw<Y>(quotient.to_int64());
        }
    }
}

} // namespace keras_hls

#endif
