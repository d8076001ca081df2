// Pool: y = the sum, the largest or the smallest of x over windows along one axis, exact.
#ifndef KERAS_HLS_POOL_H_
#define KERAS_HLS_POOL_H_

namespace keras_hls {

struct Plus {
    template <class T> static T of(const T &a, const T &b) { return a + b; }
};
struct Most {
    template <class T> static T of(const T &a, const T &b) { return a > b ? a : b; }
};
struct Least {
    template <class T> static T of(const T &a, const T &b) { return a < b ? a : b; }
};

// T is what windows are gathered in. Windows that reach beyond the axis are cut off at its ends.
template <class C, class F, class T, class X, class Y>
void pool(const X x[C::outer * C::length * C::inner], Y y[C::outer * C::windows * C::inner]) {
#pragma HLS INLINE
Outer:
    for (int o = 0; o < C::outer; o++) {
#pragma HLS UNROLL
    Windows:
        for (int w = 0; w < C::windows; w++) {
#pragma HLS UNROLL
            const long long at = (long long)w * C::stride;
            const int begin = int(at / C::parts) - C::before;
            const int end = int((at + C::size + C::parts - 1) / C::parts) - C::before;
            const int first = begin < 0 ? 0 : begin;
            const int last = end > C::length ? int(C::length) : end;
            const int count = C::alike ? int(C::longest) : last - first;
            T found[C::inner];
#pragma HLS ARRAY_PARTITION variable=found complete dim=0
        Start:
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                found[i] = x[(o * C::length + first) * C::inner + i];
            }
        Elements:
            for (int k = 1; k < C::longest; k++) {
#pragma HLS UNROLL
                if (k < count) {
                    for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                        found[i] = F::of(found[i], T(x[(o * C::length + first + k) * C::inner + i]));
                    }
                }
            }
        Write:
            for (int i = 0; i < C::inner; i++) {
#pragma HLS UNROLL
                y[(o * C::windows + w) * C::inner + i] = found[i];
            }
        }
    }
}

// Sums may leave y's type on the way and come back, as two's complement arithmetic allows.
template <class C, class X, class Y>
void pool_sum(const X x[C::outer * C::length * C::inner], Y y[C::outer * C::windows * C::inner]) {
#pragma HLS PIPELINE II=1
    pool<C, Plus, Y>(x, y);
}

// y's type may be too narrow for elements that aren't the answer.
template <class C, class X, class Y>
void pool_max(const X x[C::outer * C::length * C::inner], Y y[C::outer * C::windows * C::inner]) {
#pragma HLS PIPELINE II=1
    pool<C, Most, X>(x, y);
}

template <class C, class X, class Y>
void pool_min(const X x[C::outer * C::length * C::inner], Y y[C::outer * C::windows * C::inner]) {
#pragma HLS PIPELINE II=1
    pool<C, Least, X>(x, y);
}

} // namespace keras_hls

#endif
