#pragma once
// Leaky-integrator outputs: forward step, readout, and the adjoint that the loss drives.

#include "population.h"

// What is read out of the output voltages in one trial.
struct Readout {
    std::vector<float> value;       // per output neuron
    std::vector<int32_t> max_step;  // the step of the largest voltage (max_var only)

    void start(const Population& p) {
        value.assign(p.padded, 0);
        max_step.assign(p.padded, 0);
    }
};

// x += arrivals;  V = alpha V + (1 - alpha) S x;  x *= beta
template <int N>
inline void li_step(const Population& p, State& state, const Arrivals (&in)[N]) {
    for (int offset = 0; offset < p.padded; offset += STRIP) {
        Vector x[VECTORS];
        for (int i = 0; i < VECTORS; i++) x[i] = at(state.x.get() + offset, i);
        add_arrivals(in, offset, x);
        for (int i = 0; i < VECTORS; i++) {
            Vector& v = at(state.v.get() + offset, i);
            v = p.alpha * v + p.gain * x[i];
            at(state.x.get() + offset, i) = p.beta * x[i];
        }
    }
}

inline void read_weighted(const Population& p, const State& state, float weight, Readout& readout) {
    for (int j = 0; j < p.padded; j++) readout.value[j] += weight * state.v.get()[j];
}

inline void read_max(const Population& p, const State& state, int step, Readout& readout) {
    for (int j = 0; j < p.size; j++)
        if (state.v.get()[j] > readout.value[j]) {
            readout.value[j] = state.v.get()[j];
            readout.max_step[j] = step;
        }
}

// Towards the drive d, which is held for the step:
// lambda_I = d + beta (lambda_I - d) + A (alpha - beta)(lambda_V - d)
// lambda_V = d + alpha (lambda_V - d)
inline void li_adjoint(const Population& p, State& state, const float* drive, int step,
                       int n_steps, float* history) {
    for (int offset = 0; offset < p.padded; offset += STRIP) {
        float* const record = history_at(history, offset, step, n_steps);
        for (int i = 0; i < VECTORS; i++) {
            const Vector d = at(drive + offset, i);
            Vector& lambda_v = at(state.lambda_v.get() + offset, i);
            Vector& lambda_i = at(state.lambda_i.get() + offset, i);
            const Vector new_i = d + p.beta * (lambda_i - d) + p.adjoint_gain * (lambda_v - d);
            const Vector new_v = d + p.alpha * (lambda_v - d);
            lambda_i = new_i;
            lambda_v = new_v;
            at(state.difference.get() + offset, i) = new_v - new_i;
            at(record, i) = -p.tau_syn * new_i;
        }
    }
}
