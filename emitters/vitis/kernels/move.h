// Elements in other places, unchanged: strided copies between whole tensors, and one tensor behind another.
#ifndef KERAS_HLS_MOVE_H_
#define KERAS_HLS_MOVE_H_

namespace keras_hls {

// y[y_start + sum i * y stride] = x[x_start + sum i * x stride] over eight loops, most of them of one step.
template <class C, class X, class Y> void move(const X x[C::x_size], Y y[C::y_size]) {
#pragma HLS PIPELINE II=1
    for (int a = 0; a < C::n0; a++) {
#pragma HLS UNROLL
        for (int b = 0; b < C::n1; b++) {
#pragma HLS UNROLL
            for (int c = 0; c < C::n2; c++) {
#pragma HLS UNROLL
                for (int d = 0; d < C::n3; d++) {
#pragma HLS UNROLL
                    for (int e = 0; e < C::n4; e++) {
#pragma HLS UNROLL
                        for (int f = 0; f < C::n5; f++) {
#pragma HLS UNROLL
                            for (int g = 0; g < C::n6; g++) {
#pragma HLS UNROLL
                                const int from = C::x_start + a * C::x0 + b * C::x1 + c * C::x2 + d * C::x3 + e * C::x4 +
                                                 f * C::x5 + g * C::x6;
                                const int to = C::y_start + a * C::y0 + b * C::y1 + c * C::y2 + d * C::y3 + e * C::y4 +
                                               f * C::y5 + g * C::y6;
                                for (int h = 0; h < C::n7; h++) {
#pragma HLS UNROLL
                                    y[to + h * C::y7] = x[from + h * C::x7];
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

// The same where not every element is written: the others are zero. Each element of y is written once.
template <class C, class X, class Y> void move_into_zeros(const X x[C::x_size], Y y[C::y_size]) {
#pragma HLS PIPELINE II=1
    Y moved[C::y_size];
#pragma HLS ARRAY_PARTITION variable=moved complete dim=0
    for (int i = 0; i < C::y_size; i++) {
#pragma HLS UNROLL
        moved[i] = 0;
    }
    keras_hls::move<C>(x, moved);
    for (int i = 0; i < C::y_size; i++) {
#pragma HLS UNROLL
        y[i] = moved[i];
    }
}

// Rows of a, each followed by one of b.
template <class C, class A, class B, class Y>
void concatenate(const A a[C::rows * C::first], const B b[C::rows * C::second],
                 Y y[C::rows * (C::first + C::second)]) {
#pragma HLS PIPELINE II=1
    const int row = C::first + C::second;
    for (int r = 0; r < C::rows; r++) {
#pragma HLS UNROLL
        for (int i = 0; i < C::first; i++) {
#pragma HLS UNROLL
            y[r * row + i] = a[r * C::first + i];
        }
        for (int i = 0; i < C::second; i++) {
#pragma HLS UNROLL
            y[r * row + C::first + i] = b[r * C::second + i];
        }
    }
}

} // namespace keras_hls

#endif
