// Add: y = a + b, exact.
#ifndef KERAS_HLS_ADD_H_
#define KERAS_HLS_ADD_H_

namespace keras_hls {

template <class C, class A, class B, class Y> void add(const A a[C::size], const B b[C::size], Y y[C::size]) {
#pragma HLS PIPELINE II=1
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        y[i] = a[i] + b[i];
    }
}

} // namespace keras_hls

#endif
