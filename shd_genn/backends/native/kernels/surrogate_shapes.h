#pragma once
// Surrogate derivatives psi of a spike by V, for a vector of neurons; x is V - v_thresh, s the slope,
// c the scale. Formulas and sources are in learning/methods/shapes.py.

#include <cmath>

#include "vector_math.h"

template <class Function>
inline Vector each_lane(Vector x, const Function& function) {
    for (int i = 0; i < LANES; i++) x[i] = function(x[i]);
    return x;
}

// NumPy twin: learning/methods/shapes.py:_superspike
struct Superspike {
    static constexpr bool BOUNDED = false;
    float s, c;
    Vector operator()(Vector x, Vector) const {
        const Vector u = 1 + s * absolute(x);
        return c / (u * u);
    }
};

// NumPy twin: learning/methods/shapes.py:_fast_sigmoid
struct FastSigmoid {
    static constexpr bool BOUNDED = false;
    float s, c;
    Vector operator()(Vector x, Vector) const {
        const Vector u = 1 + s * absolute(x);
        return (0.5f * s * c) / (u * u);
    }
};

// NumPy twin: learning/methods/shapes.py:_atan
struct Atan {
    static constexpr bool BOUNDED = false;
    float s, c;
    Vector operator()(Vector x, Vector) const {
        const Vector u = (1.57079633f * s) * x;
        return (0.5f * s * c) / (1 + u * u);
    }
};

// NumPy twin: learning/methods/shapes.py:_sigmoid
struct Sigmoid {
    static constexpr bool BOUNDED = false;
    float s, c;
    Vector operator()(Vector x, Vector) const {
        const Vector low = each_lane(-s * absolute(x), [](float u) { return std::exp(u); });
        return (s * c) * low / ((1 + low) * (1 + low));
    }
};

// NumPy twin: learning/methods/shapes.py:_triangle
struct Triangle {
    static constexpr bool BOUNDED = true;
    float s, c;
    Vector operator()(Vector x, Vector v_thresh) const {
        const Vector inside = 1 - s * absolute(x) / v_thresh;
        return inside > 0 ? c * inside / v_thresh : Vector{};
    }
};

// NumPy twin: learning/methods/shapes.py:_boxcar
struct Boxcar {
    static constexpr bool BOUNDED = true;
    float s, c;
    Vector operator()(Vector x, Vector) const {
        return s * absolute(x) < 0.5f ? broadcast(s * c) : Vector{};
    }
};

// NumPy twin: learning/methods/shapes.py:_multi_gaussian
struct MultiGaussian {
    static constexpr bool BOUNDED = false;
    float s, c;
    static constexpr float SIDE_HEIGHT = 0.15f, SIDE_WIDTH = 6, DENSITY = 0.398942280f;
    Vector operator()(Vector x, Vector) const {
        const Vector psi = each_lane(s * x, [](float u) {
            const float low = (u - 1) / SIDE_WIDTH, high = (u + 1) / SIDE_WIDTH;
            const float sides = std::exp(-0.5f * low * low) + std::exp(-0.5f * high * high);
            return (1 + SIDE_HEIGHT) * std::exp(-0.5f * u * u) - SIDE_HEIGHT / SIDE_WIDTH * sides;
        });
        return (s * c * DENSITY) * psi;
    }
};
