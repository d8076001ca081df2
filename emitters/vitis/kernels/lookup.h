// Lookup: rows of a table, by number; numbers outside of the table count as its first or last.
#ifndef KERAS_HLS_LOOKUP_H_
#define KERAS_HLS_LOOKUP_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y, class R>
void lookup(const X x[C::size], Y y[C::size * C::m], const R rows[C::n * C::m]) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::width> index_t;
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        const index_t raw = to_raw(x[i]);
        const index_t index = (raw >> C::right) << C::left;
        const int row = index < index_t(0) ? 0 : index > index_t(C::n - 1) ? C::n - 1 : index.to_int();
        for (int j = 0; j < C::m; j++) {
#pragma HLS UNROLL
            y[i * C::m + j] = from_raw<Y>(rows[row * C::m + j]);
        }
    }
}

} // namespace keras_hls

#endif
