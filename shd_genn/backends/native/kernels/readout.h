#pragma once
// Outputs: what is read of them, and how the loss acts on their adjoint.

#include "population.h"

// What is read out of the output in one trial, per neuron.
struct Readout {
    std::vector<float> value;
    std::vector<int32_t> step;  // of the largest voltage, or of the first spike (n_steps if none)

    void start(const Population& p, float first_value, int first_step) {
        value.assign(p.padded, first_value);
        step.assign(p.padded, first_step);
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
            readout.step[j] = step;
        }
}

inline void read_first_spikes(const Tape& tape, int step, float dt_ms, Readout& readout) {
    for (int k = tape.begin[step]; k < tape.begin[step + 1]; k++) {
        const int j = tape.neuron[k];
        if (readout.step[j] <= step) continue;
        readout.step[j] = step;
        readout.value[j] = -dt_ms * step;
    }
}

// Neurons that never spiked start the backward pass with their drive (not zero for the label only).
inline void kick_silent(const Population& p, State& state, const float* drive, int n_steps,
                        const Readout& readout) {
    for (int j = 0; j < p.size; j++)
        if (readout.step[j] == n_steps) state.lambda_v.get()[j] = drive[j];
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
