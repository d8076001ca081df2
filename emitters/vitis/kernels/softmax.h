// Softmax and its logarithm, in integers: exp(x - max) from two tables. Over the axes `first` and `second` of
// (outer, first, middle, second, inner), for each of the others.
#ifndef KERAS_HLS_SOFTMAX_H_
#define KERAS_HLS_SOFTMAX_H_

#include "raw.h"

namespace keras_hls {

// Where element (o, a, m, b, 0) lies.
template <class C> inline int softmax_at(int o, int a, int m, int b) {
#pragma HLS INLINE
    return (((o * C::first + a) * C::middle + m) * C::second + b) * C::inner;
}

// Distances from the largest element, for one o and m.
template <class C, class X, class D> void distances(const X x[C::size], int o, int m, D far[C::first * C::second * C::inner]) {
#pragma HLS INLINE
    D largest[C::inner];
#pragma HLS ARRAY_PARTITION variable=largest complete dim=0
    for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
        largest[i] = to_raw(x[softmax_at<C>(o, 0, m, 0) + i]);
    }
Largest:
    for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
        for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                const D value = to_raw(x[softmax_at<C>(o, a, m, b) + i]);
                largest[i] = value > largest[i] ? value : largest[i];
            }
        }
    }
Distances:
    for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
        for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                far[(a * C::second + b) * C::inner + i] = largest[i] - D(to_raw(x[softmax_at<C>(o, a, m, b) + i]));
            }
        }
    }
}

// Exponentials of them and their sums.
template <class C, class D, class E, class S, class H, class L>
void exponentials(const D far[C::first * C::second * C::inner], const H *coarse, const L *fine,
                  E e[C::first * C::second * C::inner], S sum[C::inner]) {
#pragma HLS INLINE
    typedef ap_uint<2 * C::table_frac + 2> product_t;
    for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
        sum[i] = 0;
    }
Exponentials:
    for (int k = 0; k < C::first * C::second; k++) {
#pragma HLS UNROLL
        for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
            const D distance = far[k * C::inner + i];
            // Beyond the span, the exponential rounds to zero.
            const unsigned d = distance > D(C::span) ? unsigned(C::span) : unsigned(distance.to_uint());
            const product_t product = E(coarse[d >> C::split]) * E(fine[d & ((1u << C::split) - 1)]);
            const E value = (product + (product_t(1) << (C::table_frac - 1))) >> C::table_frac;
            e[k * C::inner + i] = value;
            sum[i] += value;
        }
    }
}

template <class C, class X, class Y, class H, class L>
void softmax(const X x[C::size], Y y[C::size], const H *coarse, const L *fine) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::input_width + 1> distance_t;
    typedef ap_uint<C::sum_width + C::frac + 2> quotient_t;
    for (int o = 0; o < C::outer; o++) {
#pragma HLS UNROLL
        for (int m = 0; m < C::middle; m++) {
#pragma HLS UNROLL
            distance_t far[C::first * C::second * C::inner];
            ap_uint<C::table_frac + 1> e[C::first * C::second * C::inner];
            ap_uint<C::sum_width> sum[C::inner];
#pragma HLS ARRAY_PARTITION variable=far complete dim=0
#pragma HLS ARRAY_PARTITION variable=e complete dim=0
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
            distances<C>(x, o, m, far);
            exponentials<C>(far, coarse, fine, e, sum);
        Quotients:
            for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
                for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
                    for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                        const quotient_t total = sum[i];
                        const quotient_t dividend =
                            (quotient_t(e[(a * C::second + b) * C::inner + i]) << (C::frac + 1)) + total;
                        const quotient_t quotient = dividend / quotient_t(total << 1);
                        y[softmax_at<C>(o, a, m, b) + i] = from_raw<Y>(quotient.to_int64());
                    }
                }
            }
        }
    }
}

// y = log(softmax(x)) = -distance - log(sum). The logarithm is that of the sum's leading one plus that of what follows it,
// by straight pieces.
template <class C, class X, class Y, class H, class L, class P, class R, class G>
void log_softmax(const X x[C::size], Y y[C::size], const H *coarse, const L *fine, const P starts[C::pieces],
                 const R slopes[C::pieces], const G powers[C::powers]) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::input_width + 1> distance_t;
    typedef ap_uint<C::sum_width> sum_t;
    typedef ap_int<C::result_width> result_t;
    for (int o = 0; o < C::outer; o++) {
#pragma HLS UNROLL
        for (int m = 0; m < C::middle; m++) {
#pragma HLS UNROLL
            distance_t far[C::first * C::second * C::inner];
            ap_uint<C::table_frac + 1> e[C::first * C::second * C::inner];
            sum_t sum[C::inner];
            result_t logarithm[C::inner];
#pragma HLS ARRAY_PARTITION variable=far complete dim=0
#pragma HLS ARRAY_PARTITION variable=e complete dim=0
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
#pragma HLS ARRAY_PARTITION variable=logarithm complete dim=0
            distances<C>(x, o, m, far);
            exponentials<C>(far, coarse, fine, e, sum);
        Logarithms:
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                sum_t whole = sum[i];
                int shifts = 0;
            Leading:
                for (int step = C::steps - 1; step >= 0; step--) {
#pragma HLS UNROLL
                    const bool small = whole < (sum_t(1) << (C::sum_width - (1 << step)));
                    whole = small ? sum_t(whole << (1 << step)) : whole;
                    shifts += small ? 1 << step : 0;
                }
                const ap_uint<C::mantissa_width> mantissa =
                    (ap_uint<C::sum_width + C::lift>(whole) << C::lift) >> C::drop;
                const int piece = int((mantissa >> C::rest_bits).to_uint()) - (1 << C::index_bits);
                const ap_uint<C::rest_bits + 1> rest = mantissa & ap_uint<C::mantissa_width>((1 << C::rest_bits) - 1);
                const ap_int<C::slope_width + C::rest_bits + 2> rise =
                    ap_int<C::slope_width>(slopes[piece]) * rest + ((1 << C::rest_bits) >> 1);
                const result_t value =
                    result_t(powers[shifts]) + result_t(starts[piece]) + result_t(rise >> C::rest_bits);
                logarithm[i] = ((value + ((1 << C::guard) >> 1)) >> C::guard) << C::log_up;
            }
        Differences:
            for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
                for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
                    for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                        const result_t distance = result_t(far[(a * C::second + b) * C::inner + i]) << C::distance_up;
                        const result_t value = -distance - logarithm[i];
                        y[softmax_at<C>(o, a, m, b) + i] = from_raw<Y>(value.to_int64());
                    }
                }
            }
        }
    }
}

// y = max(x) - x.
template <class C, class X, class Y> void distance(const X x[C::size], Y y[C::size]) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::input_width + 1> distance_t;
    for (int o = 0; o < C::outer; o++) {
#pragma HLS UNROLL
        for (int m = 0; m < C::middle; m++) {
#pragma HLS UNROLL
            distance_t far[C::first * C::second * C::inner];
#pragma HLS ARRAY_PARTITION variable=far complete dim=0
            distances<C>(x, o, m, far);
            for (int a = 0; a < C::first; a++) {
#pragma HLS UNROLL
                for (int b = 0; b < C::second; b++) {
#pragma HLS UNROLL
                    for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                        y[softmax_at<C>(o, a, m, b) + i] =
                            from_raw<Y>(far[(a * C::second + b) * C::inner + i].to_int64());
                    }
                }
            }
        }
    }
}

} // namespace keras_hls

#endif
