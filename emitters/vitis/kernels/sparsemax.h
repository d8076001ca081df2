// Sparsemax: y = max(x - t, 0) with the one t for which all y sum to 1. Over the axes `first` and `second` of
// (outer, first, middle, second, inner), for each of the others.
#ifndef KERAS_HLS_SPARSEMAX_H_
#define KERAS_HLS_SPARSEMAX_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y, class F, class L>
void sparsemax(const X x[C::size], Y y[C::size], const F factors[C::n], const L least[C::n]) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::raw_width> raw_t;
    typedef ap_int<C::sum_width> sum_t;
    typedef ap_uint<C::dividend_width> dividend_t;
    typedef ap_uint<C::dividend_width + C::factor_width> product_t;
    for (int o = 0; o < C::outer; o++) {
#pragma HLS UNROLL
        for (int m = 0; m < C::middle; m++) {
#pragma HLS UNROLL
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                raw_t value[C::n];
                sum_t above[C::n];
                int rank[C::n];
#pragma HLS ARRAY_PARTITION variable=value complete dim=0
#pragma HLS ARRAY_PARTITION variable=above complete dim=0
#pragma HLS ARRAY_PARTITION variable=rank complete dim=0
            Values:
                for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
                    for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
                        const int at = (((o * C::first + a) * C::middle + m) * C::second + b) * C::inner + i;
                        value[a * C::second + b] = (ap_int<C::raw_width + C::raw_down>(to_raw(x[at])) << C::raw_up) >> C::raw_down;
                        above[a * C::second + b] = 0;
                        rank[a * C::second + b] = 0;
                    }
                }
                // By how much the others exceed each: those by less than 1 in sum are above the threshold.
            Pairs:
                for (int p = 0; p < C::n; p++) {
#pragma HLS UNROLL
                    for (int q = 0; q < C::n; q++) {
#pragma HLS UNROLL
                        const ap_int<C::raw_width + 1> more = value[p] - value[q];
                        above[q] += more > 0 ? sum_t(more) : sum_t(0);
                        rank[q] += (p < q ? more >= 0 : more > 0) ? 1 : 0;
                    }
                }
                int count = 0;
            Support:
                for (int k = 0; k < C::n; k++) {
#pragma HLS UNROLL
                    count += above[k] < (sum_t(1) << C::one_bits) ? 1 : 0;
                }
                sum_t sum = 0;
            Sum:
                for (int k = 0; k < C::n; k++) {
#pragma HLS UNROLL
                    // Older versions of Keras sum the sums of the largest, of the two largest, and so on.
                    const sum_t term = C::cumulative ? sum_t(value[k] * ap_int<8>(count - rank[k])) : sum_t(value[k]);
                    sum += above[k] < (sum_t(1) << C::one_bits) ? term : sum_t(0);
                }
                const ap_uint<C::factor_width> factor = factors[count - 1];
                const product_t remainder = least[count - 1];
            Quotients:
                for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
                    for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
                        const int at = (((o * C::first + a) * C::middle + m) * C::second + b) * C::inner + i;
                        const sum_t over = sum_t(value[a * C::second + b] * ap_int<8>(count)) - sum + (sum_t(1) << C::one_bits);
                        const dividend_t dividend = over > 0 ? dividend_t(over) : dividend_t(0);
                        const product_t product = dividend * factor;
                        const product_t lost = product & ((product_t(1) << C::shift) - product_t(1));
                        ap_int<Y::width + 1> quotient = product >> C::shift;
                        if (lost >= remainder) quotient |= 1;
                        y[at] = from_raw<Y>(quotient.to_int64());
                    }
                }
            }
        }
    }
}

} // namespace keras_hls

#endif
