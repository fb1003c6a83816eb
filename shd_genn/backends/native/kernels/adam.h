#pragma once
// The optimiser: one pass over all parameters that are learned.

#include <cmath>

#include "interface.h"

// Update some of an array's numbers, given rate = learning rate / (1 - beta1^k) and
// correction2 = 1 / (1 - beta2^k) of update k. Values are kept within the array's bounds.
// NumPy twin: learning/optimisers.py:Adam.update
inline void adam(const LearnedArray& array, int64_t begin, int64_t end, float rate,
                 const AdamArguments& a) {
    float* __restrict w = array.value, * __restrict m = array.m, * __restrict v = array.v;
    const float* __restrict g = array.gradient;
    const float beta1 = a.beta1, beta2 = a.beta2, epsilon = a.epsilon, low = array.low,
                high = array.high, correction2 = a.correction2;
    for (int64_t i = begin; i < end; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
        const float moved = w[i] - rate * m[i] / (std::sqrt(v[i] * correction2) + epsilon);
        const float raised = moved < low ? low : moved;
        w[i] = raised > high ? high : raised;
    }
}
