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
    const float* own;    // where neurons differ: [strip][constant of Own][neuron of the strip]
};

// How kernels get at a population's constants: the same for all its neurons ...
struct Alike {
    static constexpr bool LEARNS_TAU_MEM = false, LEARNS_TAU_SYN = false, LEARNS_V_THRESH = false;
    const Population& p;

    struct Strip {  // vector i of a strip of neurons; here a number for all of them
        float alpha_, beta_, gain_, adjoint_gain_, tau_syn_, v_thresh_;
        float alpha(int) const { return alpha_; }
        float beta(int) const { return beta_; }
        float gain(int) const { return gain_; }
        float adjoint_gain(int) const { return adjoint_gain_; }
        float tau_syn(int) const { return tau_syn_; }
        float v_thresh(int) const { return v_thresh_; }
    };
    Strip strip(int) const {
        return {p.alpha, p.beta, p.gain, p.adjoint_gain, p.tau_syn, p.v_thresh};
    }
    float v_thresh(int) const { return p.v_thresh; }
    float tau_syn(int) const { return p.tau_syn; }
};

// ... or each neuron has its own, of which some are learned.
template <bool TAU_MEM, bool TAU_SYN, bool V_THRESH>
struct Own {
    static constexpr bool LEARNS_TAU_MEM = TAU_MEM, LEARNS_TAU_SYN = TAU_SYN;
    static constexpr bool LEARNS_V_THRESH = V_THRESH;
    static constexpr int CONSTANTS = 10;
    const Population& p;

    struct Strip {
        const float* constants;
        const Vector& get(int constant, int i) const { return at(constants + constant * STRIP, i); }
        const Vector& alpha(int i) const { return get(0, i); }
        const Vector& beta(int i) const { return get(1, i); }
        const Vector& gain(int i) const { return get(2, i); }
        const Vector& adjoint_gain(int i) const { return get(3, i); }
        const Vector& tau_syn(int i) const { return get(4, i); }
        const Vector& v_thresh(int i) const { return get(5, i); }
        const Vector& by_syn_ratio(int i) const { return get(6, i); }
        const Vector& by_mem_unit(int i) const { return get(8, i); }
        const Vector& by_syn_unit(int i) const { return get(9, i); }
    };
    Strip strip(int offset) const { return {p.own + int64_t(offset) * CONSTANTS}; }
    float of(int neuron, int constant) const {
        return strip(neuron / STRIP * STRIP).constants[constant * STRIP + neuron % STRIP];
    }
    float alpha(int neuron) const { return of(neuron, 0); }
    float tau_syn(int neuron) const { return of(neuron, 4); }
    float v_thresh(int neuron) const { return of(neuron, 5); }
    float by_syn_ratio(int neuron) const { return of(neuron, 6); }
    float tau_mem(int neuron) const { return of(neuron, 7); }
    float by_mem_unit(int neuron) const { return of(neuron, 8); }
    float by_syn_unit(int neuron) const { return of(neuron, 9); }
};

struct Connection {
    const float* weights;  // [source][stride]
    const int32_t* steps;  // likewise: whole steps that spikes take longer; null if none does
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

// lambda_I of a population in all steps: [strip][step][neuron of the strip]. There is one step more
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

// What a population carries from step to step, forward (V, x) or backward. There it is lambda_V -
// lambda_I, which spikes are fed back by: lambda_I stands in the history, and lambda_V is their sum, so
// that a step stores two numbers a neuron and not four.
struct State {
    Array v, x;
    Array difference;   // lambda_V - lambda_I
    Array sensitivity;  // [strip][g, f, z of sensitivity_step][neuron of the strip]

    explicit State(const Population& p)
        : v(make_array(p.padded)), x(make_array(p.padded)), difference(make_array(p.padded)),
          sensitivity(make_array(3 * p.padded)) {}

    void rest(const Population& p) {
        clear(v, p.padded);
        clear(x, p.padded);
        clear(sensitivity, 3 * p.padded);
    }
};

template <class K>
constexpr bool LEARNS = K::LEARNS_TAU_MEM || K::LEARNS_TAU_SYN || K::LEARNS_V_THRESH;

// Gradients of what is learned of a population's neurons, null where it is not.
struct OwnGradient {
    float* tau_mem;
    float* tau_syn;
    float* v_thresh;
};

// What a change of V at a spike, or in a step, means for what is learned of a neuron. The derivatives
// of V are in the units of sensitivity_step.
template <class K>
inline void learn_from(const K& k, int neuron, float by_voltage, float by_mem, float by_syn,
                       const OwnGradient& gradient) {
    if constexpr (K::LEARNS_TAU_MEM)
        gradient.tau_mem[neuron] += by_voltage * k.by_mem_unit(neuron) * by_mem;
    if constexpr (K::LEARNS_TAU_SYN)
        gradient.tau_syn[neuron] += by_voltage * k.by_syn_unit(neuron) * by_syn;
    if constexpr (K::LEARNS_V_THRESH) gradient.v_thresh[neuron] -= by_voltage;
}

// What the derivatives of V by the neuron's own time constants are worked out of, carried along a step
// from V to alpha V + (1 - alpha) S x, with x from before its decay. With the recursions of
// sensitivities.py, the derivatives are
//   by tau_mem, in units of alpha'/(1 - alpha):   (1 - alpha) g - V                   g = alpha g + V
//   by tau_syn, in units of (1 - alpha) S beta':  f + S'/(S beta') V/((1 - alpha) S)  f = alpha f + z
//                                                                                     z = beta z + x
// So what V has to do with them is added where they are used, and not in every step.
template <class K, class Constant>
inline void sensitivity_step(float* sensitivity, int i, Constant alpha, Constant beta, Vector v,
                             Vector x) {
    if constexpr (K::LEARNS_TAU_MEM) {
        Vector& g = at(sensitivity, i);
        g = alpha * g + v;
    }
    if constexpr (K::LEARNS_TAU_SYN) {
        Vector& f = at(sensitivity + STRIP, i);
        Vector& z = at(sensitivity + 2 * STRIP, i);
        const Vector old_z = z;
        f = alpha * f + old_z;
        z = beta * old_z + x;
    }
}

// The spikes of one step, about to arrive through one connection.
struct Arrivals {
    const Neuron* source;
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
