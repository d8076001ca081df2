// Quotient: y = x / d for known whole d, cut, with the last bit set where anything was lost. The division is a product.
#ifndef KERAS_HLS_QUOTIENT_H_
#define KERAS_HLS_QUOTIENT_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y, class F, class W>
void quotient(const X x[C::size], Y y[C::size], const F factor[C::count], const W whole[C::count]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=factor complete dim=0
#pragma HLS ARRAY_PARTITION variable=whole complete dim=0
    typedef ap_uint<C::width> product_t;
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
                const bool negative = value < 0;
                const ap_int<X::width + 1> raw = to_raw(value);
                const ap_uint<C::magnitude> size = negative ? ap_int<X::width + 1>(-raw) : raw;
                const product_t product = product_t(size) * product_t(factor[n]);
                const product_t lost = product & ((product_t(1) << C::shift) - product_t(1));
                const ap_int<Y::width + 1> kept = product >> C::shift;
                const ap_int<Y::width + 1> odd = lost >= product_t(whole[n]) ? 1 : 0;
                const ap_int<Y::width + 1> result = kept | odd;
                y[o + n * C::inner + i] = from_raw<Y>(negative ? (-result).to_int64() : result.to_int64());
            }
        }
    }
}

} // namespace keras_hls

#endif
