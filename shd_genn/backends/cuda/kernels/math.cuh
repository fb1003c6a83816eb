#pragma once
// Functions that equations of neurons may contain, of one number; vector_math.h has those of native. exp, tanh, cosh
// and what series.h has are sums and products in a fixed order, so that a GPU arrives at the bits of the emulation.
// log, sin, cos, sinh and powers that are no whole numbers are those of CUDA's library: a GPU repeats their bits, but
// they differ from those of a CPU's library in the last place.

#include <cmath>
#include <cstdint>

#define DEVICE __device__ __forceinline__

template <class Number, class Given>
DEVICE Number as(const Given& x) {
    return Number(x);
}
DEVICE float choose(bool condition, float yes, float no) { return condition ? yes : no; }
DEVICE bool is_less(float a, float b) { return a < b; }
DEVICE bool reaches(float size, float limit) { return size >= limit; }
DEVICE float absolute(float x) { return fabsf(x); }
DEVICE float sign(float x) { return float(x > 0) - float(x < 0); }
DEVICE float relu(float x) { return x > 0 ? x : 0.0f; }
DEVICE float relu_slope(float x) { return float(x > 0); }
DEVICE float quotient(float a, float b) { return a / b; }
DEVICE float reciprocal(float x) { return 1.0f / x; }
DEVICE float exponential(float x);

#include "series.h"

// 2^x = 2^n 2^r, n the whole number nearest to x; in two halves, because 2^n may be too large or too small where
// 2^n 2^r is not.
DEVICE float power_of_two(float x) {
    const float bounded = fmaxf(fminf(x, 129.0f), -151.0f), n = rintf(bounded);
    const float y = power_of_two_near_0(bounded - n);
    const int whole = int(n), low = whole >> 1;
    const float first = __int_as_float((low + 127) << 23), second = __int_as_float((whole - low + 127) << 23);
    return x == x ? y * first * second : x;
}
DEVICE float exponential(float x) { return power_of_two(x * 1.44269504088896341f); }
DEVICE float hyperbolic_tangent(float x) {
    const float size = fabsf(x), far = 1.0f - 2.0f / (exponential(2.0f * size) + 1.0f);
    return size < TANH_NEAR ? hyperbolic_tangent_near_0(x) : x < 0 ? -far : far;
}
DEVICE float hyperbolic_cosine(float x) {
    const float y = exponential(x);
    return 0.5f * (y + 1.0f / y);
}
DEVICE float square_root(float x) { return sqrtf(x); }
DEVICE float logarithm(float x) { return logf(x); }
DEVICE float sine(float x) { return sinf(x); }
DEVICE float cosine(float x) { return cosf(x); }
DEVICE float hyperbolic_sine(float x) { return sinhf(x); }
DEVICE float raised(float x, float exponent) { return powf(x, exponent); }
