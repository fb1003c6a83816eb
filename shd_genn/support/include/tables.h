#pragma once
// Functions as tables: a polynomial in each of 16 intervals of equal length, as many as a vector of
// AVX-512 has lanes, so that one instruction looks a coefficient up for all lanes.

#include "simd.h"

#if defined(__AVX512F__)
template <int POWERS>
using Table =
    float[POWERS][16];  // coefficients of powers of the distance from an interval's middle

// Where lanes are in a table: numbers of intervals, of which the lowest four bits count, and distances
// from their middles.
struct Places {
    __m512i interval;
    Vector distance;
    bool all_inside;
};

inline Vector look_up(const float (&row)[16], __m512i interval) {
    return (Vector)_mm512_maskz_permutexvar_ps(__mmask16(-1), interval, _mm512_load_ps(row));
}

// first: the number of the first interval, whose middle is at first / per_unit. What is no number is
// outside.
inline Places places_in_table(Vector v, const float (&middles)[16], int first, float per_unit) {
    constexpr float ROUND = 12582912;  // 1.5 * 2^23: rounds what is added to it to whole numbers
    const __m512i near = (__m512i)(v * per_unit + (ROUND - float(first)));
    const __m512i interval = _mm512_sub_epi32(near, (__m512i)broadcast(ROUND));
    return {near, v - look_up(middles, near),
            _mm512_cmp_epu32_mask(interval, _mm512_set1_epi32(15), _MM_CMPINT_NLE) == 0};
}

// A polynomial and its derivative, by Horner's rule.
template <int POWERS>
inline Vector value(const Table<POWERS>& table, const Places& p, Vector& slope) {
    Vector sum = look_up(table[POWERS - 1], p.interval);
    slope = Vector{};
    for (int k = POWERS - 2; k >= 0; k--) {
        slope = k == POWERS - 2 ? sum : Vector(slope * p.distance + sum);
        sum = sum * p.distance + look_up(table[k], p.interval);
    }
    return sum;
}

template <int POWERS>
inline Vector value(const Table<POWERS>& table, const Places& p) {
    Vector slope;  // is not computed, because nobody uses it
    return value(table, p, slope);
}

// What a sub-step does to a gate x (native/tables.py): its change Q - R x, R, and the derivative of its change by the
// voltage. What is not used is not computed.
struct Gate {
    Vector change, leaves, slope;
};

template <int OF_R, int OF_Q>
inline Gate gate_from(const Table<OF_R>& leaves, const Table<OF_Q>& enters, const Places& p,
                      const Vector& x) {
    Vector slope_r, slope_q;
    const Vector r = value(leaves, p, slope_r), q = value(enters, p, slope_q);
    return {q - r * x, r, slope_q - slope_r * x};
}
#endif
