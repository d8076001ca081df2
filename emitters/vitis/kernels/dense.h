// Dense: y[p][m] = sum_n x[p][n] * kernel[n][m] + bias[m], exact. The output type holds every sum; partial sums may leave
// it and come back, as two's complement arithmetic allows.
#ifndef KERAS_HLS_DENSE_H_
#define KERAS_HLS_DENSE_H_

#include "raw.h"

namespace keras_hls {

// Fully unrolled: every weight is a constant in the logic.
template <class C, class X, class Y, class K, class B>
void dense_latency(const X x[C::positions * C::n_in], Y y[C::positions * C::n_out], const K kernel[C::n_in * C::n_out],
                   const B bias[C::n_out]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=kernel complete dim=0
#pragma HLS ARRAY_PARTITION variable=bias complete dim=0
Positions:
    for (int p = 0; p < C::positions; p++) {
#pragma HLS UNROLL
        Y sum[C::n_out];
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
    Start:
        for (int m = 0; m < C::n_out; m++) {
#pragma HLS UNROLL
            sum[m] = from_raw<typename C::bias_t>(bias[m]);
        }
    Inputs:
        // Two at a time: unrolled, it is the same hardware, and C-simulation reads and writes each sum half as often.
        for (int n = 0; n + 1 < C::n_in; n += 2) {
#pragma HLS UNROLL
        Outputs:
            for (int m = 0; m < C::n_out; m++) {
#pragma HLS UNROLL
                sum[m] += x[p * C::n_in + n] * from_raw<typename C::kernel_t>(kernel[n * C::n_out + m]) +
                          x[p * C::n_in + n + 1] * from_raw<typename C::kernel_t>(kernel[(n + 1) * C::n_out + m]);
            }
        }
    Odd:
        for (int m = 0; m < C::n_out && C::n_in % 2; m++) {
#pragma HLS UNROLL
            const int n = C::n_in - 1;
            sum[m] += x[p * C::n_in + n] * from_raw<typename C::kernel_t>(kernel[n * C::n_out + m]);
        }
    Write:
        for (int m = 0; m < C::n_out; m++) {
#pragma HLS UNROLL
            y[p * C::n_out + m] = sum[m];
        }
    }
}

// Shared multipliers: n_in * n_out / reuse_factor of them, each used reuse_factor times for a sample. Up to n_in cycles, each
// takes some inputs for all outputs; beyond, one input for some of the outputs. So every index is known but one counter.
template <class C, class X, class Y, class K, class B>
void dense_resource(const X x[C::positions * C::n_in], Y y[C::positions * C::n_out], const K kernel[C::n_in * C::n_out],
                    const B bias[C::n_out]) {
    const int multipliers = C::n_in * C::n_out / C::reuse_factor;
    const int inputs = multipliers > C::n_out ? multipliers / C::n_out : 1;
    const int outputs = multipliers > C::n_out ? C::n_out : multipliers;
    const int blocks = C::n_out / outputs;
// One word of the weight memory holds what one cycle multiplies: consecutive weights.
#pragma HLS ARRAY_RESHAPE variable=kernel cyclic factor=multipliers dim=1
#pragma HLS ARRAY_PARTITION variable=bias complete dim=0
Positions:
    for (int p = 0; p < C::positions; p++) {
        Y sum[C::n_out];
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
    Start:
        for (int m = 0; m < C::n_out; m++) {
#pragma HLS UNROLL
            sum[m] = from_raw<typename C::bias_t>(bias[m]);
        }
    Reuse:
        for (int r = 0; r < C::reuse_factor; r++) {
#pragma HLS PIPELINE II=1
            const int first_input = r / blocks * inputs;
            const int first_output = r % blocks * outputs;
        Inputs:
            for (int i = 0; i < inputs; i++) {
#pragma HLS UNROLL
            Outputs:
                for (int o = 0; o < outputs; o++) {
#pragma HLS UNROLL
                    const int n = first_input + i;
                    const int m = first_output + o;
                    sum[m] += x[p * C::n_in + n] * from_raw<typename C::kernel_t>(kernel[n * C::n_out + m]);
                }
            }
        }
    Write:
        for (int m = 0; m < C::n_out; m++) {
#pragma HLS UNROLL
            y[p * C::n_out + m] = sum[m];
        }
    }
}

} // namespace keras_hls

#endif
