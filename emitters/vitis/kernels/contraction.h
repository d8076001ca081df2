// Contraction: y[g][m][n] = sum over k of a[g][m][k] * b[g][k][n], exact. The output type holds every sum; partial sums may
// leave it and come back, as two's complement arithmetic allows.
#ifndef KERAS_HLS_CONTRACTION_H_
#define KERAS_HLS_CONTRACTION_H_

namespace keras_hls {

template <class C, class A, class B, class Y>
void product(const A a[C::groups * C::rows * C::terms], const B b[C::groups * C::terms * C::columns],
             Y y[C::groups * C::rows * C::columns]) {
#pragma HLS PIPELINE II=1
Rows:
    for (int r = 0; r < C::groups * C::rows; r++) {
#pragma HLS UNROLL
        const int group = r / C::rows;
        Y sum[C::columns];
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
    Start:
        for (int n = 0; n < C::columns; n++) {
#pragma HLS UNROLL
            sum[n] = 0;
        }
    Terms:
        for (int k = 0; k < C::terms; k++) {
#pragma HLS UNROLL
            for (int n = 0; n < C::columns; n++) {
#pragma HLS UNROLL
                sum[n] += a[r * C::terms + k] * b[(group * C::terms + k) * C::columns + n];
            }
        }
    Write:
        for (int n = 0; n < C::columns; n++) {
#pragma HLS UNROLL
            y[r * C::columns + n] = sum[n];
        }
    }
}

} // namespace keras_hls

#endif
