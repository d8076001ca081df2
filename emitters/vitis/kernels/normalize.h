// Normalize: y = number / sqrt(total), where the total is a sum of squares or a variance of all elements along some axes.
// Over the axes `first` and `second` of (outer, first, middle, second, inner), for each of the others.
#ifndef KERAS_HLS_NORMALIZE_H_
#define KERAS_HLS_NORMALIZE_H_

#include "raw.h"

namespace keras_hls {

// 1 / sqrt(total), as a number and by how far products with it are to be shifted down: its mantissa, between 1 and 4, gives
// the number by straight pieces.
template <class C, class T, class R, class S, class P>
void reciprocal_root(const T total, const S starts[C::pieces], const P slopes[C::pieces], R &root, int &down) {
#pragma HLS INLINE
    typedef ap_uint<C::mantissa_width> mantissa_t;
    T whole = total;
    int shifts = 0;
Leading:
    for (int step = C::steps - 1; step >= 0; step--) {
#pragma HLS UNROLL
        const bool small = whole < (T(1) << (C::total_width - (2 << step)));
        whole = small ? T(whole << (2 << step)) : whole;
        shifts += small ? 1 << step : 0;
    }
    const mantissa_t mantissa =
        (ap_uint<C::total_width + C::mantissa_lift>(whole) << C::mantissa_lift) >> C::mantissa_drop;
    const int piece = int((mantissa >> C::rest_bits).to_uint()) - (1 << C::index_bits);
    const ap_uint<C::rest_bits + 1> rest = mantissa & mantissa_t((1 << C::rest_bits) - 1);
    const ap_int<C::slope_width + C::rest_bits + 2> rise =
        ap_int<C::slope_width>(slopes[piece]) * rest + ((1 << C::rest_bits) >> 1);
    root = R(starts[piece]) + R(rise >> C::rest_bits);
    down = C::down - shifts;
}

template <class C, class X, class Y, class S, class P, class A>
void normalize(const X x[C::size], Y y[C::size], const S starts[C::pieces], const P slopes[C::pieces], const A added[2]) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::x_width> raw_t;
    typedef ap_int<C::sum_width> sum_t;
    typedef ap_uint<C::total_width> total_t;
    typedef ap_int<C::number_width> number_t;
    typedef ap_int<C::start_width> root_t;
    typedef ap_int<C::product_width> product_t;
    for (int o = 0; o < C::outer; o++) {
#pragma HLS UNROLL
        for (int m = 0; m < C::middle; m++) {
#pragma HLS UNROLL
            sum_t sum[C::inner];
            total_t squares[C::inner];
            root_t root[C::inner];
            int down[C::inner];
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
#pragma HLS ARRAY_PARTITION variable=squares complete dim=0
#pragma HLS ARRAY_PARTITION variable=root complete dim=0
#pragma HLS ARRAY_PARTITION variable=down complete dim=0
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                sum[i] = 0;
                squares[i] = 0;
            }
        Sums:
            for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
                for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
                    const int at = (((o * C::first + a) * C::middle + m) * C::second + b) * C::inner;
                    for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                        const raw_t raw = to_raw(x[at + i]) >> C::x_drop;
                        sum[i] += raw;
                        squares[i] += total_t(raw * raw);
                    }
                }
            }
        Roots:
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                total_t total = squares[i];
                // Either may leave the type; their difference doesn't, and is right modulo its range.
                if (C::variance) total = total_t(total * ap_uint<32>(C::count)) - total_t(sum[i] * sum[i]);
                total = (total << C::up) + total_t(added[0]);
                total = total < total_t(added[1]) ? total_t(added[1]) : total;
                reciprocal_root<C>(total, starts, slopes, root[i], down[i]);
            }
        Quotients:
            for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
                for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
                    const int at = (((o * C::first + a) * C::middle + m) * C::second + b) * C::inner;
                    for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                        const raw_t raw = to_raw(x[at + i]) >> C::x_drop;
                        const number_t number = C::centred ? number_t(raw * ap_int<32>(C::count) - sum[i]) : number_t(raw);
                        const product_t product = product_t(number * root[i]) << C::lift;
                        const product_t half = product_t(1) << (down[i] - 1);
                        y[at + i] = from_raw<Y>(((product + half) >> down[i]).to_int64());
                    }
                }
            }
        }
    }
}

} // namespace keras_hls

#endif
