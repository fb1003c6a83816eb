#pragma once
// Polynomials in place of functions, and what is made of them: for one number, or for a vector of them. The
// CPU's kernels and a GPU's share them (vector_math.h; backends/cuda/kernels/math.cuh), which define DEVICE, what a
// function that kernels call begins with.

// x times itself, N times in all.
template <int N, class Number>
DEVICE Number power(const Number& x) {
    static_assert(N >= 1, "use 1 / power<-N>(x)");
    if constexpr (N == 1)
        return x;
    else if constexpr (N % 2 == 0)
        return power<N / 2>(Number(x * x));
    else
        return x * power<N - 1>(x);
}

// Of a polynomial sum c[k] x^k, by Horner's rule.
template <int N, class Number>
DEVICE Number polynomial(const float (&c)[N], const Number& x) {
    Number sum = c[N - 1] + Number{};
    for (int k = N - 2; k >= 0; k--) sum = sum * x + c[k];
    return sum;
}

// 2^x on [-1/2, 1/2], fitted for the smallest relative error, which is 1.1e-7.
template <class Number>
DEVICE Number power_of_two_near_0(const Number& x) {
    constexpr float SERIES[] = {
        1.0f, 6.931470037e-1f, 2.402224243e-1f, 5.550733581e-2f, 9.671512991e-3f, 1.326472731e-3f};
    return polynomial(SERIES, x);
}

// tanh(x) up to TANH_NEAR.
constexpr float TANH_NEAR = 0.625f;
template <class Number>
DEVICE Number hyperbolic_tangent_near_0(const Number& x) {
    constexpr float SERIES[] = {1.0f,
                                -3.33332819422e-1f,
                                1.33314422036e-1f,
                                -5.37397155531e-2f,
                                2.06390887954e-2f,
                                -5.70498872745e-3f};
    return x * polynomial(SERIES, Number(x * x));
}

// exprel(x) = (exp(x) - 1) / x, which is 1 at 0, and its derivative: near 0, which is where the
// exponent of a short step lies, by polynomials with the right value at 0 that were fitted for the
// smallest relative error: a short one up to NEAR, a longer one from -2 to NOT_FAR, because exponents of
// steps are negative: those of Hodgkin and Huxley's neurons stay within during a spike.
constexpr float NEAR = 0.1f, NOT_FAR = 0.5f, MIDDLE = -0.75f, HALF = 1.25f;

template <class Number>
DEVICE Number exprel(const Number& x) {
    constexpr float SHORT[] = {1.0f, 5.000001150e-1f, 1.667357051e-1f, 4.166190487e-2f};
    constexpr float LONG[] = {1.0f,
                              4.999995828e-1f,
                              1.666677296e-1f,
                              4.167276248e-2f,
                              8.333969861e-3f,
                              1.371664694e-3f,
                              1.758264843e-4f,
                              1.297259860e-5f};
    if (!reaches(absolute(x), NEAR)) return polynomial(SHORT, x);
    const Number near = polynomial(LONG, x), from_middle = absolute(x - MIDDLE);
    if (!reaches(from_middle, HALF)) return near;
    return choose(is_less(from_middle, HALF), near, Number(quotient(exponential(x) - 1.0f, x)));
}

template <class Number>
DEVICE Number exprel_slope(const Number& x) {
    constexpr float SHORT[] = {0.5f, 3.333334757e-1f, 1.250575262e-1f, 3.332305921e-2f};
    constexpr float LONG[] = {0.5f,
                              3.333329856e-1f,
                              1.250012666e-1f,
                              3.333891183e-2f,
                              6.943881046e-3f,
                              1.173345372e-3f,
                              1.524801046e-4f,
                              1.127357245e-5f};
    if (!reaches(absolute(x), NEAR)) return polynomial(SHORT, x);
    const Number near = polynomial(LONG, x), from_middle = absolute(x - MIDDLE);
    if (!reaches(from_middle, HALF)) return near;
    const Number far = quotient(exponential(x) * (x - 1.0f) + 1.0f, Number(x * x));
    return choose(is_less(from_middle, HALF), near, far);
}

// x / (exp(x) - 1) = 1 / exprel(x), and its derivative, given exp(x); likewise.
template <class Number>
DEVICE Number bernoulli(const Number& x, const Number& exp_x) {
    constexpr float EVEN[] = {8.333241763e-2f, -1.377300073e-3f};
    const Number square = x * x;
    const Number near = polynomial(EVEN, square) * square + (1.0f - 0.5f * x);
    return choose(is_less(absolute(x), NOT_FAR), near, Number(x * reciprocal(exp_x - 1.0f)));
}

template <class Number>
DEVICE Number bernoulli_slope(const Number& x, const Number& exp_x) {
    constexpr float ODD[] = {1.666629840e-1f, -5.494851188e-3f};
    const Number near = polynomial(ODD, Number(x * x)) * x - 0.5f;
    const Number inverse = reciprocal(exp_x - 1.0f);
    const Number far = inverse * (1.0f - exp_x * (x * inverse));
    return choose(is_less(absolute(x), NOT_FAR), near, far);
}
