// Convolution: y[o][m] = bias[m] + sum over taps k and channels c of x[o * stride + k * dilation - before][c] * kernel[k][c][m],
// exact. Any number of groups; up to three spatial axes, missing ones in front have one element; padding is zeros. The
// output type holds every sum; partial sums may leave it and come back, as two's complement arithmetic allows.
#ifndef KERAS_HLS_CONVOLUTION_H_
#define KERAS_HLS_CONVOLUTION_H_

#include "raw.h"

namespace keras_hls {

// The types that inputs and sums, T, and weights are calculated with: in hardware of as many bits as they have. In C-simulation
// they are whole native words with the same point. Sums modulo such a word are as right, and take no instructions to cut
// numbers to their bits; and weights, which are written as such words, are read as vectors.
#ifdef KERAS_HLS_CSIM
template <class C, class T> struct summed { typedef ap_fixed<C::word, C::word - T::width + T::iwidth> type; };
template <class C> struct weight { typedef typename C::kernel_t type; };
// Small loops over outputs or channels become one vector instruction if they aren't unrolled before that; those around them
// keep their sums in registers if they are.
#define KERAS_HLS_VECTOR _Pragma("GCC unroll 1")
#define KERAS_HLS_UNROLLED _Pragma("GCC unroll 16")
#else
template <class C, class T> struct summed { typedef T type; };
template <class C> struct weight {
    typedef typename C::kernel_t word;
    typedef ap_fixed<C::weight_width, C::weight_width - word::width + word::iwidth> type;
};
#define KERAS_HLS_VECTOR
#define KERAS_HLS_UNROLLED
#endif

// The element of the input at a point of the stretched and padded axis; -1 for padding.
inline int element_at(int point, int before, int stretch, int size) {
#pragma HLS INLINE
    const int from = point - before;
    return from >= 0 && from % stretch == 0 && from / stretch < size ? from / stretch : -1;
}

// The row of the input, along its last axis, under one tap of the others; -1 for padding.
template <class C> int row_at(int o0, int o1, int row) {
#pragma HLS INLINE
    const int i0 = element_at(o0 * C::stride_0 + row / C::kernel_1 * C::dilation_0, C::before_0, C::stretch_0, C::in_0);
    const int i1 = element_at(o1 * C::stride_1 + row % C::kernel_1 * C::dilation_1, C::before_1, C::stretch_1, C::in_1);
    return i0 < 0 || i1 < 0 ? -1 : i0 * C::in_1 + i1;
}

// How windows lie on the rows of the input that one row of the output sees.
template <class C> struct strips {
    static const int rows = C::kernel_0 * C::kernel_1;
    // Outputs are made a few at a time, the last ones perhaps beyond the end.
    static const int steps = (C::out_2 + C::together - 1) / C::together;
    static const int points = (steps * C::together - 1) * C::stride_2 + (C::kernel_2 - 1) * C::dilation_2 + 1;
    static const int length = points * C::channels;
    // The elements of a row of the input that lie on those points; without zeros between them, they can be copied at once.
    static const int first = C::before_2 < 0 ? (C::stretch_2 - 1 - C::before_2) / C::stretch_2 : 0;
    static const int room = points > C::before_2 ? (points - C::before_2 + C::stretch_2 - 1) / C::stretch_2 : 0;
    static const int end = room < C::in_2 ? room : C::in_2;
    static const int run = C::stretch_2 == 1 && end > first ? end - first : 1;
};

// Those rows, padded, in a type to calculate with.
template <class C, class X, class F>
void fill_strips(const X x[C::in_0 * C::in_1 * C::in_2 * C::channels], F strip[strips<C>::rows * strips<C>::length], int o0,
                 int o1) {
#pragma HLS INLINE
    typedef strips<C> S;
Rows:
    for (int r = 0; r < S::rows; r++) {
#pragma HLS UNROLL
        const int row = row_at<C>(o0, o1, r);
    Zeros:
        for (int i = 0; i < S::length; i++) {
#pragma HLS UNROLL
            strip[r * S::length + i] = 0;
        }
        if (row >= 0) {
        Runs:
            for (int i = S::first; i < S::end; i += S::run) {
#pragma HLS UNROLL
            Copy:
                for (int c = 0; c < S::run * C::channels; c++) {
#pragma HLS UNROLL
                    strip[r * S::length + (i * C::stretch_2 + C::before_2) * C::channels + c] =
                        x[(row * C::in_2 + i) * C::channels + c];
                }
            }
        }
    }
}

// Fully unrolled: every weight is a constant in the logic, and one on padding is none. Weights come in blocks of `lanes`
// outputs, the last block of a group filled up with zeros: [group][block][tap][input][lane].
template <class C, class X, class Y, class K, class B>
void convolution_latency(const X x[C::in_0 * C::in_1 * C::in_2 * C::channels],
                         Y y[C::out_0 * C::out_1 * C::out_2 * C::groups * C::outputs],
                         const K kernel[C::groups * C::blocks * strips<C>::rows * C::kernel_2 * C::inputs * C::lanes],
                         const B bias[C::groups * C::blocks * C::lanes]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=kernel complete dim=0
#pragma HLS ARRAY_PARTITION variable=bias complete dim=0
    typedef strips<C> S;
    typedef typename summed<C, X>::type factor_t;
    typedef typename summed<C, Y>::type sum_t;
    typedef typename weight<C>::type weight_t;
    // Inputs of one group that lie together on a strip: those of all taps of the last axis, or of one.
    const bool joined = C::groups == 1 && C::dilation_2 == 1;
    const int parts = joined ? 1 : C::kernel_2;
    const int run = joined ? C::kernel_2 * C::inputs : C::inputs;
Rows:
    for (int o = 0; o < C::out_0 * C::out_1; o++) {
#pragma HLS UNROLL
        const int o0 = o / C::out_1, o1 = o % C::out_1;
        factor_t strip[S::rows * S::length];
#pragma HLS ARRAY_PARTITION variable=strip complete dim=0
        fill_strips<C>(x, strip, o0, o1);
    Steps:
        for (int s = 0; s < S::steps * C::groups * C::blocks; s++) {
#pragma HLS UNROLL
            const int step = s / (C::groups * C::blocks) * C::together;
            const int block = s % (C::groups * C::blocks);
            const int g = block / C::blocks, b = block % C::blocks;
            sum_t sum[C::together * C::lanes];
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
            KERAS_HLS_UNROLLED
            for (int p = 0; p < C::together; p++) {
#pragma HLS UNROLL
                KERAS_HLS_VECTOR
                for (int l = 0; l < C::lanes; l++) {
#pragma HLS UNROLL
                    sum[p * C::lanes + l] = from_raw<typename C::bias_t>(bias[block * C::lanes + l]);
                }
            }
        Taps:
            for (int r = 0; r < S::rows; r++) {
#pragma HLS UNROLL
                if (row_at<C>(o0, o1, r) >= 0) {
                    for (int k = 0; k < parts; k++) {
#pragma HLS UNROLL
                    Inputs:
                        for (int n = 0; n < run; n++) {
#pragma HLS UNROLL
                            const int point = step * C::stride_2 + k * C::dilation_2;
                            const int at = r * S::length + point * C::channels + g * C::inputs + n;
                            const int weights = (((block * S::rows + r) * parts + k) * run + n) * C::lanes;
                            KERAS_HLS_UNROLLED
                            for (int p = 0; p < C::together; p++) {
#pragma HLS UNROLL
                                const factor_t value = strip[at + p * C::stride_2 * C::channels];
                                KERAS_HLS_VECTOR
                                for (int l = 0; l < C::lanes; l++) {
#pragma HLS UNROLL
                                    sum[p * C::lanes + l] += sum_t(value * from_raw<weight_t>(kernel[weights + l]));
                                }
                            }
                        }
                    }
                }
            }
        Write:
            for (int p = 0; p < C::together; p++) {
#pragma HLS UNROLL
                if (step + p < C::out_2) {
                    const int at = ((o * C::out_2 + step + p) * C::groups + g) * C::outputs + b * C::lanes;
                    for (int l = 0; l < C::lanes; l++) {
#pragma HLS UNROLL
                        if (C::outputs % C::lanes == 0 || b * C::lanes + l < C::outputs) {
                            y[at + l] = sum[p * C::lanes + l];
                        }
                    }
                }
            }
        }
    }
}

// The same where each channel is a group of its own: what lies together then is channels. Weights come in blocks of `lanes`
// channels, one set of blocks for each output that a channel has: [output][block][tap][lane].
template <class C, class X, class Y, class K, class B>
void depthwise_latency(const X x[C::in_0 * C::in_1 * C::in_2 * C::channels],
                       Y y[C::out_0 * C::out_1 * C::out_2 * C::channels * C::outputs],
                       const K kernel[C::outputs * C::blocks * strips<C>::rows * C::kernel_2 * C::lanes],
                       const B bias[C::outputs * C::blocks * C::lanes]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=kernel complete dim=0
#pragma HLS ARRAY_PARTITION variable=bias complete dim=0
    typedef strips<C> S;
    typedef typename summed<C, X>::type factor_t;
    typedef typename summed<C, Y>::type sum_t;
    typedef typename weight<C>::type weight_t;
Rows:
    for (int o = 0; o < C::out_0 * C::out_1; o++) {
#pragma HLS UNROLL
        const int o0 = o / C::out_1, o1 = o % C::out_1;
        // The last block of the last point reaches beyond its channels.
        factor_t strip[S::rows * S::length + C::lanes];
#pragma HLS ARRAY_PARTITION variable=strip complete dim=0
        fill_strips<C>(x, strip, o0, o1);
        for (int l = 0; l < C::lanes; l++) {
#pragma HLS UNROLL
            strip[S::rows * S::length + l] = 0;
        }
    Steps:
        for (int s = 0; s < S::steps * C::outputs * C::blocks; s++) {
#pragma HLS UNROLL
            const int step = s / (C::outputs * C::blocks) * C::together;
            const int block = s % (C::outputs * C::blocks);
            const int m = block / C::blocks, c = block % C::blocks * C::lanes;
            sum_t sum[C::together * C::lanes];
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
            KERAS_HLS_UNROLLED
            for (int p = 0; p < C::together; p++) {
#pragma HLS UNROLL
                KERAS_HLS_VECTOR
                for (int l = 0; l < C::lanes; l++) {
#pragma HLS UNROLL
                    sum[p * C::lanes + l] = from_raw<typename C::bias_t>(bias[block * C::lanes + l]);
                }
            }
        Taps:
            for (int r = 0; r < S::rows; r++) {
#pragma HLS UNROLL
                if (row_at<C>(o0, o1, r) >= 0) {
                    for (int k = 0; k < C::kernel_2; k++) {
#pragma HLS UNROLL
                        const int at = r * S::length + (step * C::stride_2 + k * C::dilation_2) * C::channels + c;
                        const int weights = ((block * S::rows + r) * C::kernel_2 + k) * C::lanes;
                        KERAS_HLS_UNROLLED
                        for (int p = 0; p < C::together; p++) {
#pragma HLS UNROLL
                            KERAS_HLS_VECTOR
                            for (int l = 0; l < C::lanes; l++) {
#pragma HLS UNROLL
                                sum[p * C::lanes + l] += sum_t(strip[at + p * C::stride_2 * C::channels + l] *
                                                               from_raw<weight_t>(kernel[weights + l]));
                            }
                        }
                    }
                }
            }
        Write:
            for (int p = 0; p < C::together; p++) {
#pragma HLS UNROLL
                if (step + p < C::out_2) {
                    const int at = ((o * C::out_2 + step + p) * C::channels + c) * C::outputs + m;
                    for (int l = 0; l < C::lanes; l++) {
#pragma HLS UNROLL
                        if (C::channels % C::lanes == 0 || c + l < C::channels) {
                            y[at + l * C::outputs] = sum[p * C::lanes + l];
                        }
                    }
                }
            }
        }
    }
}

// Shared multipliers: taps * inputs * outputs / reuse_factor of them, each used reuse_factor times for each position. Up to
// taps * inputs cycles, each takes some inputs for all outputs; beyond, one input for some of the outputs. The weights are in
// the order that they are read in: [tap][input][output], `inputs` counting those of one group and `outputs` those of all.
template <class C, class X, class Y, class K, class B>
void convolution_resource(const X x[C::in_0 * C::in_1 * C::in_2 * C::channels],
                          Y y[C::out_0 * C::out_1 * C::out_2 * C::outputs],
                          const K kernel[C::kernel_0 * C::kernel_1 * C::kernel_2 * C::inputs * C::outputs],
                          const B bias[C::outputs]) {
    typedef typename summed<C, X>::type factor_t;
    typedef typename summed<C, Y>::type sum_t;
    const int n_in = C::kernel_0 * C::kernel_1 * C::kernel_2 * C::inputs;
    const int multipliers = n_in * C::outputs / C::reuse_factor;
    const int inputs = multipliers > C::outputs ? multipliers / C::outputs : 1;
    const int outputs = multipliers > C::outputs ? C::outputs : multipliers;
    const int blocks = C::outputs / outputs;
    const int each = C::outputs / C::groups;
// One word of the weight memory holds what one cycle multiplies: consecutive weights.
#pragma HLS ARRAY_RESHAPE variable=kernel cyclic factor=multipliers dim=1
#pragma HLS ARRAY_PARTITION variable=bias complete dim=0
Positions:
    for (int o = 0; o < C::out_0 * C::out_1 * C::out_2; o++) {
        const int o0 = o / (C::out_1 * C::out_2), o1 = o / C::out_2 % C::out_1, o2 = o % C::out_2;
        // What the window sees, padding included: [group][tap][input].
        factor_t seen[C::groups * n_in];
#pragma HLS ARRAY_PARTITION variable=seen complete dim=0
        sum_t sum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=sum complete dim=0
    Start:
        for (int m = 0; m < C::outputs; m++) {
#pragma HLS UNROLL
            sum[m] = from_raw<typename C::bias_t>(bias[m]);
        }
    See:
        for (int k = 0; k < C::kernel_0 * C::kernel_1 * C::kernel_2; k++) {
#pragma HLS UNROLL
            const int row = row_at<C>(o0, o1, k / C::kernel_2);
            const int i2 = element_at(o2 * C::stride_2 + k % C::kernel_2 * C::dilation_2, C::before_2, C::stretch_2, C::in_2);
            const bool inside = row >= 0 && i2 >= 0;
            const int from = inside ? (row * C::in_2 + i2) * C::channels : 0;
            for (int g = 0; g < C::groups; g++) {
#pragma HLS UNROLL
                for (int n = 0; n < C::inputs; n++) {
#pragma HLS UNROLL
                    seen[g * n_in + k * C::inputs + n] = inside ? factor_t(x[from + g * C::inputs + n]) : factor_t(0);
                }
            }
        }
    Reuse:
        for (int r = 0; r < C::reuse_factor; r++) {
#pragma HLS PIPELINE II=1
            const int first_input = r / blocks * inputs;
            const int first_output = r % blocks * outputs;
        Inputs:
            for (int i = 0; i < inputs; i++) {
#pragma HLS UNROLL
                const int n = first_input + i;
            Outputs:
                KERAS_HLS_VECTOR
                for (int j = 0; j < outputs; j++) {
#pragma HLS UNROLL
                    const int m = first_output + j;
                    const factor_t value = seen[(C::groups == 1 ? 0 : m / each * n_in) + n];
                    sum[m] += sum_t(value * from_raw<typename C::kernel_t>(kernel[n * C::outputs + m]));
                }
            }
        }
    Write:
        for (int m = 0; m < C::outputs; m++) {
#pragma HLS UNROLL
            y[o * C::outputs + m] = sum[m];
        }
    }
}

} // namespace keras_hls

#endif
