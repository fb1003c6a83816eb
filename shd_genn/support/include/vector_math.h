#pragma once
// Functions that equations of neurons may contain, for one number or a vector of them. Relative errors
// of the vector functions: exp 1.2e-7 (1 + |x|), as much as the rounding of x itself makes; tanh,
// exprel and bernoulli the same, and at least 5e-7; slopes 2e-6. Others are those of the standard
// library, one lane after the other. What is not a number stays so, and exp(inf) is inf.

#include <cmath>

#include "simd.h"
#include "tables.h"

typedef int32_t Integers __attribute__((vector_size(VECTOR_BYTES), may_alias));

inline Vector bits_as_floats(Integers i) {
    Vector v;
    std::memcpy(&v, &i, sizeof v);
    return v;
}
inline Integers floats_as_bits(Vector v) {
    Integers i;
    std::memcpy(&i, &v, sizeof i);
    return i;
}

// The same in all lanes, if there are several.
template <class Number, class Given>
inline Number as(const Given& x) {
    return x + Number{};
}

// Where a condition holds, `yes`, else `no`. Both are computed.
inline float choose(bool condition, float yes, float no) { return condition ? yes : no; }
inline Vector choose(Integers condition, Vector yes, Vector no) { return condition ? yes : no; }
inline Vector choose(Integers condition, float yes, Vector no) {
    return choose(condition, broadcast(yes), no);
}
inline Vector choose(Integers condition, Vector yes, float no) {
    return choose(condition, yes, broadcast(no));
}
inline Vector choose(Integers condition, float yes, float no) {
    return choose(condition, broadcast(yes), broadcast(no));
}

// Conditions; of a vector, all bits of a lane are set where it holds.
inline bool is_less(float a, float b) { return a < b; }
inline Integers is_less(Vector a, Vector b) { return (Integers)(a < b); }
inline Integers is_less(Vector a, float b) { return is_less(a, broadcast(b)); }
inline Integers is_less(float a, Vector b) { return is_less(broadcast(a), b); }
inline bool is_equal(float a, float b) { return !(a < b) && !(a > b); }
inline Integers is_equal(Vector a, Vector b) { return (Integers)(a == b); }
inline Integers is_equal(Vector a, float b) { return is_equal(a, broadcast(b)); }
inline Integers is_equal(float a, Vector b) { return is_equal(broadcast(a), b); }

template <class A, class B>
inline auto larger(const A& a, const B& b) {
    return choose(is_less(a, b), b, a);
}
template <class A, class B>
inline auto smaller(const A& a, const B& b) {
    return choose(is_less(b, a), b, a);
}

inline float absolute(float x) { return std::fabs(x); }
inline Vector absolute(Vector x) { return bits_as_floats(floats_as_bits(x) & 0x7fffffff); }

// Whether any lane is as large as a limit.
inline bool reaches(float size, float limit) { return size >= limit; }
inline bool reaches(Vector size, float limit) { return at_least(size, limit) != 0; }

// Defined below; series.h needs them.
inline float exponential(float x);
inline Vector exponential(Vector x);
template <class A>
inline A quotient(const A& a, float b);
template <class A>
inline Vector quotient(const A& a, const Vector& b);
template <class Number>
inline Number reciprocal(const Number& x);

#define DEVICE inline
#include "series.h"

// 2^x = 2^n 2^r, n the whole number nearest to x.
inline float power_of_two(float x) { return std::exp2(x); }
inline Vector power_of_two(Vector x) {
#if defined(__AVX512F__)
    const Vector n = (Vector)_mm512_maskz_roundscale_ps(__mmask16(-1), (__m512)x, 0);
    const Vector y = power_of_two_near_0(Vector(x - n));
    return (Vector)_mm512_maskz_scalef_ps(__mmask16(-1), (__m512)y, (__m512)n);
#else
    constexpr float ROUND =
        12582912;  // 1.5 * 2^23: what is added to it is rounded to whole numbers
    const Vector bounded = larger(smaller(x, 129.0f), -151.0f);
    const Vector n = (bounded + ROUND) - ROUND;
    const Vector y = power_of_two_near_0(Vector(bounded - n));
    // in two halves, because 2^n may be too large or too small where 2^n 2^r is not
    const Integers whole = __builtin_convertvector(n, Integers), half = whole >> 1;
    const Vector first = bits_as_floats((half + 127) << 23);
    const Vector second = bits_as_floats((whole - half + 127) << 23);
    return choose(is_equal(x, x), y * first * second, x);
#endif
}

inline float exponential(float x) { return std::exp(x); }
inline Vector exponential(Vector x) { return power_of_two(x * 1.44269504088896341f); }

// a / b. A division takes as long as ten multiplications where vectors have 16 lanes, so there 1 / b
// is approximated, and made exact to the last bit but one by one step of Newton's method.
template <class A>
inline A quotient(const A& a, float b) {
    return a / b;
}
template <class A>
inline Vector quotient(const A& a, const Vector& b) {
#if defined(__AVX512F__)
    const __m512 x = (__m512)b, near = _mm512_maskz_rcp14_ps(__mmask16(-1), x);
    const __m512 error = _mm512_fnmadd_ps(x, near, _mm512_set1_ps(1));
    // not where b is 0 or infinite
    const __mmask16 finite = _mm512_cmp_ps_mask(error, error, _CMP_ORD_Q);
    return a * (Vector)_mm512_mask_fmadd_ps(near, finite, error, near);
#else
    return a / b;
#endif
}

template <class Number>
inline Number reciprocal(const Number& x) {
    return quotient(1.0f, x);
}

// A function of the standard library, one lane after the other.
inline Vector by_lane(float (*function)(float), Vector x) {
    for (int i = 0; i < LANES; i++) x[i] = function(x[i]);
    return x;
}

inline float square_root(float x) { return std::sqrt(x); }
inline Vector square_root(Vector x) { return by_lane(square_root, x); }
inline float logarithm(float x) { return std::log(x); }
inline Vector logarithm(Vector x) { return by_lane(logarithm, x); }
inline float sine(float x) { return std::sin(x); }
inline Vector sine(Vector x) { return by_lane(sine, x); }
inline float cosine(float x) { return std::cos(x); }
inline Vector cosine(Vector x) { return by_lane(cosine, x); }
inline float arctangent(float x) { return std::atan(x); }
inline Vector arctangent(Vector x) { return by_lane(arctangent, x); }
inline float hyperbolic_sine(float x) { return std::sinh(x); }
inline Vector hyperbolic_sine(Vector x) { return by_lane(hyperbolic_sine, x); }

// x to some power, which may differ from lane to lane.
inline float raised(float x, float exponent) { return std::pow(x, exponent); }
template <class A, class B>
inline Vector raised(const A& x, const B& exponent) {
    Vector y = x + Vector{};
    const Vector by = exponent + Vector{};
    for (int i = 0; i < LANES; i++) y[i] = raised(y[i], by[i]);
    return y;
}

inline float sign(float x) { return float(x > 0) - float(x < 0); }
inline Vector sign(Vector x) {
    return choose(is_less(x, 0.0f), -1.0f, choose(is_less(0.0f, x), 1.0f, Vector{}));
}

// x where it is more than 0, else 0; and its derivative, 0 at 0.
inline float relu(float x) { return x > 0 ? x : 0.0f; }
inline Vector relu(Vector x) { return choose(is_less(0.0f, x), x, Vector{}); }
inline float relu_slope(float x) { return float(x > 0); }
inline Vector relu_slope(Vector x) { return choose(is_less(0.0f, x), 1.0f, Vector{}); }

inline float hyperbolic_cosine(float x) { return std::cosh(x); }
inline Vector hyperbolic_cosine(Vector x) {
    const Vector y = exponential(x);
    return 0.5f * (y + quotient(1.0f, y));
}

// tanh(x) = 1 - 2 / (exp(2 x) + 1), and by its series where that loses digits.
inline float hyperbolic_tangent(float x) { return std::tanh(x); }
inline Vector hyperbolic_tangent(Vector x) {
    const Vector size = absolute(x), near = hyperbolic_tangent_near_0(x);
    const Vector far = 1.0f - quotient(2.0f, exponential(2.0f * size) + 1.0f);
    return choose(is_less(size, TANH_NEAR), near, choose(is_less(x, 0.0f), -far, far));
}
