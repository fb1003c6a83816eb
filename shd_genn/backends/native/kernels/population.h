#pragma once
// What a population is to the kernels. All arrays have room for a whole number of strips; what is
// beyond the last neuron has zero weights, so it stays at rest and never spikes.

#include <cstdlib>
#include <memory>

#include "simd.h"
#include "tape.h"

struct Population {
    int32_t size;        // neurons
    int32_t padded;      // rounded up to whole strips
    float alpha;         // exp(-dt / tau_mem)
    float beta;          // exp(-dt / tau_syn)
    float gain;          // (1 - alpha) S with S = tau_syn/dt (1 - beta): from x to V
    float adjoint_gain;  // tau_mem / (tau_mem - tau_syn) (alpha - beta): from lambda_V to lambda_I
    float tau_syn;       // ms
    float v_thresh;
};

struct Connection {
    float* weights;   // [source][stride]
    float* gradient;  // likewise
    int64_t stride;
};

struct FreeDeleter {
    void operator()(float* p) const { std::free(p); }
};
using Array = std::unique_ptr<float, FreeDeleter>;  // aligned to whole cache lines

inline Array make_array(int64_t n) {
    const size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
    Array array(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!array) throw std::bad_alloc();
    std::memset(array.get(), 0, bytes);
    return array;
}

// The adjoint's history of a population: [strip][step][neuron of the strip]. There is one step more
// than a trial has, and it stays zero: what arrives after the trial has no effect.
template <class Float>
inline Float* history_at(Float* history, int offset, int step, int n_steps) {
    return history + int64_t(offset) * (n_steps + 1) + int64_t(step) * STRIP;
}

inline Array make_history(const Population& p, int n_steps) {
    return make_array(int64_t(p.padded) * (n_steps + 1));
}

inline void clear(const Array& array, int64_t n) {
    std::memset(array.get(), 0, n * sizeof(float));
}

// What a population carries from step to step, forward (V, x) or backward (the adjoint variables).
struct State {
    Array v, x;
    Array lambda_v, lambda_i;
    Array difference;  // lambda_v - lambda_i

    explicit State(const Population& p)
        : v(make_array(p.padded)), x(make_array(p.padded)), lambda_v(make_array(p.padded)),
          lambda_i(make_array(p.padded)), difference(make_array(p.padded)) {}
};

// The spikes of one step, about to arrive through one connection.
struct Arrivals {
    const int32_t* source;
    int count;
    const float* weights;
    int64_t stride;
};

// Every spike arrives one step after it was emitted.
inline Arrivals arrivals(const Connection& c, const Tape& tape, int step) {
    if (step == 0) return {nullptr, 0, c.weights, c.stride};
    const int from = tape.begin[step - 1];
    return {tape.neuron.data() + from, tape.begin[step] - from, c.weights, c.stride};
}

// x += the weights of all arriving spikes, for one strip of target neurons.
template <int N>
inline void add_arrivals(const Arrivals (&in)[N], int offset, Vector (&x)[VECTORS]) {
    for (const Arrivals& a : in)
        for (int k = 0; k < a.count; k++) {
            const float* row = a.weights + a.source[k] * a.stride + offset;
            for (int i = 0; i < VECTORS; i++) x[i] += at(row, i);
        }
}
