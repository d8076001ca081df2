// ReLU: y = max(x, 0), exact.
#ifndef KERAS_HLS_RELU_H_
#define KERAS_HLS_RELU_H_

namespace keras_hls {

template <class C, class X, class Y> void relu(const X x[C::size], Y y[C::size]) {
#pragma HLS PIPELINE II=1
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        y[i] = x[i] > 0 ? Y(x[i]) : Y(0);
    }
}

} // namespace keras_hls

#endif
