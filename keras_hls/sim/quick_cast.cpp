// Samples to raw integers, in a few instructions each: out = clip(round(sample * scale), low, high) * unit.
//
// Scales and units are powers of two and bounds are whole, so every step is exact but where a product leaves the range of
// floating-point numbers, which is reported. Plain loops over blocks that stay in the cache; quick_cast.py says the rest.
#include <cmath>
#include <cstdint>

namespace {

// Of a sample that isn't finite once it is scaled, and of one outside of the bounds.
const unsigned not_finite = 1, outside = 2;
const std::int64_t block = 1024;

struct Rounding {
    static const int down = 0, half_up = 1, half_even = 2;
};

// What samples are as numbers to calculate with; V is what the model takes them as.
template <class X, class V, class F> void load(const void *samples, std::int64_t at, F *values, std::int64_t count) {
    const X *x = static_cast<const X *>(samples) + at;
    for (std::int64_t i = 0; i < count; i++) values[i] = F(V(x[i]));
}

// I is an integer as wide as F: comparisons then become masks of the same vectors.
template <class F, class I, int rounding>
unsigned cast(F *values, const F *scale, const F *low, const F *high, const F *unit, std::int64_t count) {
    I infinite = 0, beyond = 0;
    for (std::int64_t i = 0; i < count; i++) {
        const F scaled = values[i] * scale[i];
        F whole = rounding == Rounding::half_even ? std::rint(scaled) : std::floor(scaled);
        // The difference is exact wherever it is near a half: a scaled number of that kind has few bits.
        if (rounding == Rounding::half_up) whole += scaled - whole >= F(0.5) ? F(1) : F(0);
        const F least = whole > low[i] ? whole : low[i];
        const F kept = least < high[i] ? least : high[i];
        infinite |= whole - whole == F(0) ? I(0) : I(1);
        beyond |= kept == whole ? I(0) : I(1);
        values[i] = kept * unit[i];
    }
    return (infinite ? not_finite : 0) | (beyond ? outside : 0);
}

template <class F, class O, class Via> void store(const F *values, void *raw, std::int64_t at, std::int64_t count) {
    O *out = static_cast<O *>(raw) + at;
    for (std::int64_t i = 0; i < count; i++) out[i] = O(Via(values[i]));
}

template <class V, class F> auto loader(int kind) -> void (*)(const void *, std::int64_t, F *, std::int64_t) {
    switch (kind) {
    case 0: return load<float, V, F>;
    case 1: return load<double, V, F>;
    case 2: return load<std::int8_t, V, F>;
    case 3: return load<std::uint8_t, V, F>;
    case 4: return load<std::int16_t, V, F>;
    case 5: return load<std::uint16_t, V, F>;
    case 6: return load<std::int32_t, V, F>;
    default: return load<std::uint32_t, V, F>;
    }
}

template <class F, class I> auto caster(int rounding) {
    return rounding == Rounding::down      ? cast<F, I, Rounding::down>
           : rounding == Rounding::half_up ? cast<F, I, Rounding::half_up>
                                           : cast<F, I, Rounding::half_even>;
}

template <class F> auto storer(int bytes) -> void (*)(const F *, void *, std::int64_t, std::int64_t) {
    switch (bytes) {
    case 1: return store<F, std::int8_t, std::int32_t>;
    case 2: return store<F, std::int16_t, std::int32_t>;
    case 4: return store<F, std::int32_t, std::int32_t>;
    default: return store<F, std::int64_t, std::int64_t>;
    }
}

template <class F, class I>
unsigned run(const void *samples, void *raw, std::int64_t count, int kind, int through_single, int rounding, int bytes,
             const F *const *tables, std::int64_t period) {
    const auto get = through_single ? loader<float, F>(kind) : loader<F, F>(kind);
    const auto change = caster<F, I>(rounding);
    const auto put = storer<F>(bytes);
    unsigned found = 0;
    F values[block];
    for (std::int64_t begin = 0; begin < count; begin += period) {
        const std::int64_t end = count - begin < period ? count - begin : period;
        for (std::int64_t at = 0; at < end; at += block) {
            const std::int64_t some = end - at < block ? end - at : block;
            get(samples, begin + at, values, some);
            found |= change(values, tables[0] + at, tables[1] + at, tables[2] + at, tables[3] + at, some);
            put(values, raw, begin + at, some);
        }
    }
    return found;
}

} // namespace

#if defined(_WIN32)
#define KERAS_HLS_EXPORT extern "C" __declspec(dllexport)
#else
#define KERAS_HLS_EXPORT extern "C"
#endif

// Casts `count` samples, of which number i has entry i % period of the tables: scale, low, high, unit, which are doubles or
// else single floats. `kind` numbers the samples' type, `bytes` is the size of a raw integer. Returns what it found.
KERAS_HLS_EXPORT unsigned keras_hls_cast(const void *samples, void *raw, std::int64_t count, int kind, int through_single,
                                         int rounding, int bytes, int doubles, const void *const *tables,
                                         std::int64_t period) {
    if (doubles) {
        const double *each[4];
        for (int i = 0; i < 4; i++) each[i] = static_cast<const double *>(tables[i]);
        return run<double, std::int64_t>(samples, raw, count, kind, through_single, rounding, bytes, each, period);
    }
    const float *each[4];
    for (int i = 0; i < 4; i++) each[i] = static_cast<const float *>(tables[i]);
    return run<float, std::int32_t>(samples, raw, count, kind, through_single, rounding, bytes, each, period);
}
