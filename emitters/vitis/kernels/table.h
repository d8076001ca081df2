// Table: a function by its values; what lies outside of the table has the value of its nearest end.
#ifndef KERAS_HLS_TABLE_H_
#define KERAS_HLS_TABLE_H_

#include "raw.h"

namespace keras_hls {

template <class C, class X, class Y, class E, class F>
void table_lookup(const X x[C::size], Y y[C::size], const E entries[C::entries_count], const F first[1]) {
#pragma HLS PIPELINE II=1
    typedef ap_int<C::index_width> index_t;
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        const index_t raw = to_raw(x[i]);
        const index_t index = ((raw >> C::right) << C::left) - index_t(first[0]);
        const index_t last = C::entries_count - 1;
        const index_t place = index < index_t(0) ? index_t(0) : index > last ? last : index;
        y[i] = from_raw<Y>(entries[place.to_int()]);
    }
}

} // namespace keras_hls

#endif
