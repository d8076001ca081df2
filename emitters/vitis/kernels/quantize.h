// Quantize: x rounded and brought into the range of y's type.
#ifndef KERAS_HLS_QUANTIZE_H_
#define KERAS_HLS_QUANTIZE_H_

#include "raw.h"

namespace keras_hls {

// One type for all elements: assigning to it rounds and saturates as its modes say.
template <class C, class X, class Y> void quantize(const X x[C::size], Y y[C::size]) {
#pragma HLS PIPELINE II=1
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        y[i] = x[i];
    }
}

// A type an element: bits below an element's own least bit are rounded off, on the grid of the finest element.
// Rounding modes as numbered in keras_hls.fixed: TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV.
template <class C> ap_int<C::width> round_each(ap_int<C::width> raw, int drop, ap_int<C::width> keep) {
    typedef ap_int<C::width> wide;
    const wide unit = wide(1) << drop;
    const wide half = unit >> 1;
    const wide below = half > 0 ? wide(half - 1) : wide(0);
    wide term = 0;
    if (C::rounding == 1) term = raw < 0 ? wide(unit - 1) : wide(0);
    if (C::rounding == 2) term = half;
    if (C::rounding == 3) term = raw < 0 ? half : below;
    if (C::rounding == 4) term = raw < 0 ? below : half;
    if (C::rounding == 5) term = below;
    if (C::rounding == 6) term = half > 0 ? wide(below + ((raw >> drop) & wide(1))) : wide(0);
    return wide(raw + term) & keep;
}

// The bits of y, from the grid that elements are rounded on.
template <class C, class Y> Y lower_each(ap_int<C::width> raw) {
    return from_raw<Y>(ap_int<C::width>(raw >> C::lower).to_int64());
}

template <class C, class X> ap_int<C::width> lift_each(const X &x) {
    return ap_int<C::width>(to_raw(x)) << C::lift;
}

template <class C, class X, class Y, class D, class K, class B, class M>
void quantize_each_wrap(const X x[C::size], Y y[C::size], const D drop[C::size], const K keep[C::size],
                        const B bias[C::size], const M mask[C::size]) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::width> wide;
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        const wide raw = round_each<C>(lift_each<C>(x[i]), drop[i], wide(keep[i]));
        // Folds a value into the range that starts at -bias.
        y[i] = lower_each<C, Y>((wide(raw + wide(bias[i])) & wide(mask[i])) - wide(bias[i]));
    }
}

// Overflow modes as numbered in keras_hls.fixed: WRAP, SAT, SAT_ZERO, SAT_SYM.
template <class C, class X, class Y, class D, class K, class L, class H>
void quantize_each_saturate(const X x[C::size], Y y[C::size], const D drop[C::size], const K keep[C::size],
                            const L low[C::size], const H high[C::size]) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::width> wide;
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        const wide raw = round_each<C>(lift_each<C>(x[i]), drop[i], wide(keep[i]));
        const wide least = wide(low[i]), most = wide(high[i]);
        const wide under = C::overflow == 2 ? wide(0) : least, over = C::overflow == 2 ? wide(0) : most;
        y[i] = lower_each<C, Y>(raw < least ? under : raw > most ? over : raw);
    }
}

} // namespace keras_hls

#endif
