// The functions of vector_math.h on arrays, for test_vector_math.py: `scalar` takes one number after
// the other, `vector` as many as a vector has lanes (n is a multiple of that).
#ifdef ON_GPU  // those of the cuda backend, for one number
#include <cstring>

#define __device__
#define __forceinline__ inline
inline float __int_as_float(int bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
#include "math.cuh"

constexpr int LANES = 1;
using Vector = float;
inline float larger(float a, float b) { return fmaxf(a, b); }
inline float smaller(float a, float b) { return fminf(a, b); }
inline float arctangent(float x) { return atanf(x); }  // no equation has it
#else
#include "vector_math.h"
#endif

template <class Function>
void apply(const float* x, const float* y, float* scalar, float* vector, int n, Function function) {
    for (int i = 0; i < n; i++) scalar[i] = function(x[i], y[i]);
    for (int i = 0; i < n; i += LANES) {
        Vector a, b;
        std::memcpy(&a, x + i, sizeof a);
        std::memcpy(&b, y + i, sizeof b);
        const Vector found = function(a, b);
        std::memcpy(vector + i, &found, sizeof found);
    }
}

#define FUNCTION(name, expression)                                                            \
    extern "C" void of_##name(const float* x_, const float* y_, float* scalar, float* vector, \
                              int n) {                                                        \
        apply(x_, y_, scalar, vector, n,                                                      \
              [](auto x, [[maybe_unused]] auto y) -> decltype(x) { return expression; });     \
    }

extern "C" int lanes() { return LANES; }

FUNCTION(power_of_two, power_of_two(x))
FUNCTION(exponential, exponential(x))
FUNCTION(logarithm, logarithm(x))
FUNCTION(square_root, square_root(x))
FUNCTION(sine, sine(x))
FUNCTION(cosine, cosine(x))
FUNCTION(arctangent, arctangent(x))
FUNCTION(hyperbolic_sine, hyperbolic_sine(x))
FUNCTION(hyperbolic_cosine, hyperbolic_cosine(x))
FUNCTION(hyperbolic_tangent, hyperbolic_tangent(x))
FUNCTION(exprel, exprel(x))
FUNCTION(exprel_slope, exprel_slope(x))
FUNCTION(bernoulli, bernoulli(x, exponential(x)))
FUNCTION(bernoulli_slope, bernoulli_slope(x, exponential(x)))
FUNCTION(reciprocal, reciprocal(x))
FUNCTION(quotient, quotient(x, y))
FUNCTION(raised, raised(x, y))
FUNCTION(power, power<7>(x))
FUNCTION(absolute, absolute(x))
FUNCTION(sign, sign(x))
FUNCTION(relu, relu(x))
FUNCTION(relu_slope, relu_slope(x))
FUNCTION(larger, larger(x, y))
FUNCTION(smaller, smaller(x, y))
FUNCTION(chosen_where_less, choose(is_less(x, y), x, 0.0f))
