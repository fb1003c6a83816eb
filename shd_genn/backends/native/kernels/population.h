#pragma once
// What kernels know of a population: its constants and its state. All arrays have room for a whole
// number of strips. What is beyond the last neuron has weights of 0, so it stays at rest and never
// spikes. `Population` and the order of constants are written by native/layout.py.

#include <vector>

#include "interface.h"
#include "memory.h"
#include "simd.h"

// How kernels read a population's constants. A `Strip` gives those of vector i of a strip.

// All neurons have the same constants. A strip then gives numbers, not vectors.
struct Shared {
    static constexpr bool LEARNS_TAU_MEM = false, LEARNS_TAU_SYN = false, LEARNS_V_THRESH = false;
    const Population& p;

    struct Strip {
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

constexpr unsigned learns(NeuronParameter parameter) { return 1u << parameter; }

// Each neuron has constants of its own. LEARNED has a bit for each parameter that is learned.
template <unsigned LEARNED>
struct PerNeuron {
    static constexpr bool LEARNS_TAU_MEM = LEARNED & learns(PARAMETER_TAU_MEM);
    static constexpr bool LEARNS_TAU_SYN = LEARNED & learns(PARAMETER_TAU_SYN);
    static constexpr bool LEARNS_V_THRESH = LEARNED & learns(PARAMETER_V_THRESH);
    static_assert(NEURON_PARAMETERS == 3, "there are parameters of neurons that no kernel knows");
    const Population& p;

    struct Strip {
        const float* constants;
        const Vector& get(Constant constant, int i) const {
            return at(constants + constant * STRIP, i);
        }
        const Vector& alpha(int i) const { return get(ALPHA, i); }
        const Vector& beta(int i) const { return get(BETA, i); }
        const Vector& gain(int i) const { return get(GAIN, i); }
        const Vector& adjoint_gain(int i) const { return get(ADJOINT_GAIN, i); }
        const Vector& tau_syn(int i) const { return get(TAU_SYN, i); }
        const Vector& v_thresh(int i) const { return get(V_THRESH, i); }
        const Vector& by_syn_ratio(int i) const { return get(BY_SYN_RATIO, i); }
        const Vector& by_mem_unit(int i) const { return get(BY_MEM_UNIT, i); }
        const Vector& by_syn_unit(int i) const { return get(BY_SYN_UNIT, i); }
    };
    Strip strip(int offset) const { return {p.per_neuron + int64_t(offset) * CONSTANTS}; }
    float get(int neuron, Constant constant) const {
        return strip(neuron / STRIP * STRIP).constants[constant * STRIP + neuron % STRIP];
    }
    float alpha(int neuron) const { return get(neuron, ALPHA); }
    float tau_syn(int neuron) const { return get(neuron, TAU_SYN); }
    float v_thresh(int neuron) const { return get(neuron, V_THRESH); }
    float by_syn_ratio(int neuron) const { return get(neuron, BY_SYN_RATIO); }
    float tau_mem(int neuron) const { return get(neuron, TAU_MEM); }
    float by_mem_unit(int neuron) const { return get(neuron, BY_MEM_UNIT); }
    float by_syn_unit(int neuron) const { return get(neuron, BY_SYN_UNIT); }
};

template <class K>
constexpr bool LEARNS = K::LEARNS_TAU_MEM || K::LEARNS_TAU_SYN || K::LEARNS_V_THRESH;

// What a population carries from step to step. Forward: V and x. Backward: lambda_V - lambda_I,
// which is what spikes are fed back; lambda_I stands in the history, and lambda_V is their sum. So a
// step stores two numbers a neuron and not four.
struct State {
    Array v, x;
    Array difference;   // lambda_V - lambda_I
    Array sensitivity;  // [strip][g, f, z of sensitivity.h][neuron of the strip]
    // Of neurons that are described by equations, instead of v; see derived.h.
    Array states, adjoint;
    Array held_for;  // steps for which variables are held; 0 in the step in which they are released
    Array by_release;                 // what the loss has by the time of that
    std::vector<uint64_t> may_spike;  // a bit for each neuron of a strip
    Array stays;             // 1 for neurons that do not spike and stay as they start, else 0
    uint64_t noise_key = 0;  // of neurons that spike at random; see random_spikes.h

    void make(const Population& p) {
        v = make_array(p.padded);
        x = make_array(p.padded);
        difference = make_array(p.padded);
        sensitivity = make_array(3 * p.padded);
    }

    void rest(const Population& p) {
        clear(v, p.padded);
        clear(x, p.padded);
        clear(sensitivity, 3 * p.padded);
    }
};

// lambda_I of a population in all steps: [strip][step][neuron of the strip]. There is one step more
// than a trial has, and it stays 0: what arrives after the trial has no effect.
template <class Float>
inline Float* history_at(Float* history, int offset, int step, int n_steps) {
    return history + int64_t(offset) * (n_steps + 1) + int64_t(step) * STRIP;
}

inline void make_history(Array& history, const Population& p, int n_steps) {
    if (!history) history = make_long_array(int64_t(p.padded) * (n_steps + 1));
}
