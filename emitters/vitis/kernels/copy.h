// The same values in another array: for an output that is also read elsewhere, and for tensors with several readers.
#ifndef KERAS_HLS_COPY_H_
#define KERAS_HLS_COPY_H_

namespace keras_hls {

template <class C, class X, class Y> void copy(const X x[C::size], Y y[C::size]) {
#pragma HLS PIPELINE II=1
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        y[i] = x[i];
    }
}

// A dataflow region lets each array have one reader.
template <class C, class X, class Y> void clone(const X x[C::size], Y first[C::size], Y second[C::size]) {
#pragma HLS PIPELINE II=1
    for (int i = 0; i < C::size; i++) {
#pragma HLS UNROLL
        first[i] = x[i];
        second[i] = x[i];
    }
}

} // namespace keras_hls

#endif
