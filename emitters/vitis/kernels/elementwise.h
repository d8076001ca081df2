// Elementwise: y = f(a, b), exact, over shapes that broadcast.
#ifndef KERAS_HLS_ELEMENTWISE_H_
#define KERAS_HLS_ELEMENTWISE_H_

#include "ap_fixed.h"

namespace keras_hls {

struct Sum {
    template <class C, class Y, class A, class B> static Y of(const A &a, const B &b) { return a + b; }
};
struct Difference {
    template <class C, class Y, class A, class B> static Y of(const A &a, const B &b) { return a - b; }
};
struct Product {
    template <class C, class Y, class A, class B> static Y of(const A &a, const B &b) { return a * b; }
};
// Compared in a type that holds both: y's need not, and types of different sign aren't always compared by value.
struct Larger {
    template <class C, class Y, class A, class B> static Y of(const A &a, const B &b) {
        const ap_fixed<C::width, C::integer> first = a, second = b;
        return first > second ? first : second;
    }
};
struct Smaller {
    template <class C, class Y, class A, class B> static Y of(const A &a, const B &b) {
        const ap_fixed<C::width, C::integer> first = a, second = b;
        return first < second ? first : second;
    }
};

// y lies in the order of the six loops, most of them of one step; a and b are as many elements further with each step of
// loop i as a_i and b_i say: 0 where they repeat.
template <class C, class F, class A, class B, class Y>
void elementwise(const A a[C::a_size], const B b[C::b_size], Y y[C::y_size]) {
#pragma HLS INLINE
    for (int i0 = 0; i0 < C::n0; i0++) {
#pragma HLS UNROLL
        for (int i1 = 0; i1 < C::n1; i1++) {
#pragma HLS UNROLL
            for (int i2 = 0; i2 < C::n2; i2++) {
#pragma HLS UNROLL
                for (int i3 = 0; i3 < C::n3; i3++) {
#pragma HLS UNROLL
                    for (int i4 = 0; i4 < C::n4; i4++) {
#pragma HLS UNROLL
                        const int at_a = i0 * C::a0 + i1 * C::a1 + i2 * C::a2 + i3 * C::a3 + i4 * C::a4;
                        const int at_b = i0 * C::b0 + i1 * C::b1 + i2 * C::b2 + i3 * C::b3 + i4 * C::b4;
                        const int at_y = ((((i0 * C::n1 + i1) * C::n2 + i2) * C::n3 + i3) * C::n4 + i4) * C::n5;
                        for (int i5 = 0; i5 < C::n5; i5++) {
#pragma HLS UNROLL
                            y[at_y + i5] = F::template of<C, Y>(a[at_a + i5 * C::a5], b[at_b + i5 * C::b5]);
                        }
                    }
                }
            }
        }
    }
}

template <class C, class A, class B, class Y> void add(const A a[C::a_size], const B b[C::b_size], Y y[C::y_size]) {
#pragma HLS PIPELINE II=1
    elementwise<C, Sum>(a, b, y);
}

template <class C, class A, class B, class Y> void subtract(const A a[C::a_size], const B b[C::b_size], Y y[C::y_size]) {
#pragma HLS PIPELINE II=1
    elementwise<C, Difference>(a, b, y);
}

template <class C, class A, class B, class Y> void multiply(const A a[C::a_size], const B b[C::b_size], Y y[C::y_size]) {
#pragma HLS PIPELINE II=1
    elementwise<C, Product>(a, b, y);
}

template <class C, class A, class B, class Y> void maximum(const A a[C::a_size], const B b[C::b_size], Y y[C::y_size]) {
#pragma HLS PIPELINE II=1
    elementwise<C, Larger>(a, b, y);
}

template <class C, class A, class B, class Y> void minimum(const A a[C::a_size], const B b[C::b_size], Y y[C::y_size]) {
#pragma HLS PIPELINE II=1
    elementwise<C, Smaller>(a, b, y);
}

} // namespace keras_hls

#endif
