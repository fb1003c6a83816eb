#pragma once
// Rows of a strip of neurons, of which each neuron is read as many steps later as it has a delay.
// NumPy twin: backends/reference/neurons.py:at_arrival

#include <algorithm>
#include <vector>

#include "simd.h"

// Begin an array on a cache line; it needs room for 16 numbers more.
inline float* on_cache_line(std::vector<float>& numbers) {
    return numbers.data() + (-(reinterpret_cast<uintptr_t>(numbers.data()) / sizeof(float)) & 15);
}

#if defined(__AVX512F__) && (defined(__clang__) || __GNUC__ >= 12)

typedef float Unaligned __attribute__((vector_size(VECTOR_BYTES), may_alias, aligned(4)));

// The rows of a square of 16 x 16 numbers become its columns: four times, rows i and i + 8 are merged.
inline void transpose(Vector (&x)[LANES]) {
    static_assert(LANES == 16, "");
    for (int round = 0; round < 4; round++) {
        Vector y[LANES];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            y[2 * i] = __builtin_shufflevector(x[i], x[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                               21, 6, 22, 7, 23);
            y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                   28, 13, 29, 14, 30, 15, 31);
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++) x[i] = y[i];
    }
}

// to[step][j] = from[step + d_j][j] for one strip of neurons; 0 from row n_from on. Each neuron's
// numbers of all steps are put side by side, so that 16 steps of a neuron are one load: half the time
// of a load for each number.
inline void advance_strip(const float* from, int64_t from_stride, const int32_t* d, int n_from,
                          int n_steps, float* to, int64_t to_stride,
                          std::vector<float>& by_neuron) {
    const int longest = *std::max_element(d, d + STRIP);
    const int64_t length = in_vectors(std::max(n_from, n_steps + longest)) + 2 * LANES;
    by_neuron.resize(LANES * length);
    float* const numbers = by_neuron.data();
    for (int j = 0; j < STRIP; j += LANES) {
        for (int step = 0; step < length - LANES; step += LANES) {
            Vector x[LANES] = {};
#pragma GCC unroll 16
            for (int k = 0; k < LANES; k++)
                if (step + k < n_from) x[k] = at(from + (step + k) * from_stride + j, 0);
            transpose(x);
#pragma GCC unroll 16
            for (int k = 0; k < LANES; k++)
                reinterpret_cast<Unaligned&>(numbers[k * length + step]) = x[k];
        }
        for (int step = 0; step < n_steps; step += LANES) {
            Vector x[LANES];
#pragma GCC unroll 16
            for (int k = 0; k < LANES; k++)
                x[k] = reinterpret_cast<const Unaligned&>(numbers[k * length + step + d[j + k]]);
            transpose(x);
#pragma GCC unroll 16
            for (int k = 0; k < LANES; k++)
                if (step + k < n_steps) at(to + (step + k) * to_stride + j, 0) = x[k];
        }
    }
}

#else

// to[step][j] = from[step + d_j][j] for one strip of neurons; 0 from row n_from on.
inline void advance_strip(const float* from, int64_t from_stride, const int32_t* d, int n_from,
                          int n_steps, float* to, int64_t to_stride, std::vector<float>&) {
    constexpr int AT_ONCE = 16;
    const int longest = *std::max_element(d, d + STRIP);
    for (int j = 0; j < STRIP; j += AT_ONCE) {
        float* row = to + j;
        for (int step = 0; step < n_steps; step++, row += to_stride) {
            const float* const now = from + step * from_stride + j;
            for (int b = 0; b < AT_ONCE; b++)
                row[b] = step + longest < n_from || step + d[j + b] < n_from
                             ? now[d[j + b] * from_stride + b]
                             : 0.0f;
        }
    }
}

#endif
