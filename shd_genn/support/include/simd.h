#pragma once
// One vector type as wide as the machine's registers, and the few operations on it that C++ lacks.
// Kernels walk neurons in strips of 64, so that a strip's state stays in registers.

#include <cstdint>
#include <cstring>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif

// may_alias: the same memory is also read as single floats
typedef float Vector __attribute__((vector_size(VECTOR_BYTES), may_alias));

constexpr int STRIP = 64;
constexpr int LANES = VECTOR_BYTES / sizeof(float);
constexpr int VECTORS = STRIP / LANES;  // of a strip

constexpr int in_vectors(int n) { return (n + LANES - 1) / LANES * LANES; }  // rounded up

inline Vector& at(float* p, int i) { return reinterpret_cast<Vector*>(p)[i]; }
inline const Vector& at(const float* p, int i) { return reinterpret_cast<const Vector*>(p)[i]; }

inline Vector broadcast(float x) { return x + Vector{}; }

#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push  // of the compiler's own header (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

// The sum of all lanes. One half is added to the other until one lane is left: adding one lane after
// the other took a quarter of the whole adjoint.
inline float sum(Vector v) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#else
    float lanes[LANES];
    std::memcpy(lanes, &v, sizeof v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
#endif
}

#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

inline float sum(const Vector (&v)[VECTORS]) {
    Vector total = v[0];
    for (int i = 1; i < VECTORS; i++) total += v[i];
    return sum(total);
}

// Ask for a strip that will be written some steps from now; any address will do. With 1024 neurons,
// whose history is in the outer cache, that halves the time of the adjoint's step.
inline void fetch_to_write(const float* strip) {
    for (int i = 0; i < STRIP; i += 64 / int(sizeof(float))) __builtin_prefetch(strip + i, 1);
}

// Ask for numbers that will be read some steps from now; any address will do.
inline void fetch_to_read(const float* from, int n) {
    for (int i = 0; i < n; i += 64 / int(sizeof(float))) __builtin_prefetch(from + i, 0);
}

// Store what is not read again soon past the caches, which then keep the weights.
inline void store_past_caches(float* to, Vector v) {
#if defined(__AVX512F__)
    _mm512_stream_ps(to, (__m512)v);
#elif defined(__AVX__)
    _mm256_stream_ps(to, (__m256)v);
#else
    at(to, 0) = v;
#endif
}

// Bit i is set where v[i] >= threshold[i].
inline uint64_t at_least(Vector v, Vector threshold) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)v, (__m512)threshold, _CMP_GE_OQ);
#elif defined(__AVX__)
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)v, (__m256)threshold, _CMP_GE_OQ));
#else
    uint64_t bits = 0;
    for (int i = 0; i < LANES; i++) bits |= uint64_t(v[i] >= threshold[i]) << i;
    return bits;
#endif
}

inline uint64_t at_least(Vector v, float threshold) { return at_least(v, broadcast(threshold)); }

// Lane i of `yes` where bit i is set, else of `no`.
inline Vector select(uint64_t bits, Vector yes, Vector no) {
#if defined(__AVX512F__)
    return (Vector)_mm512_mask_blend_ps(__mmask16(bits), (__m512)no, (__m512)yes);
#else
    for (int i = 0; i < LANES; i++)
        if (bits >> i & 1) no[i] = yes[i];
    return no;
#endif
}
