#pragma once
// Outputs: their steps, what is read of them, and how the loss acts on their adjoint.

#include "leaky_integrate.h"
#include "sensitivity.h"
#include "synapses.h"

// What is read out of the output in one trial, of each neuron.
struct Readout {
    std::vector<float> value;
    std::vector<int32_t> step;  // of the largest voltage, or of the first spike (n_steps if none)
    // Derivatives of V, if time constants are learned (see sensitivity_row): of every step; or their
    // sum, where each step has a fixed weight; or those at the end, of an output that spikes.
    Array sensitivity;

    void start(const Population& p, float first_value, int first_step, int sensitivity_rows) {
        value.assign(p.padded, first_value);
        step.assign(p.padded, first_step);
        const int64_t n = int64_t(2) * in_vectors(p.size) * sensitivity_rows;
        if (n && !sensitivity) sensitivity = make_array(n);
        if (sensitivity_rows == 1) clear(sensitivity, n);
    }
};

// One step of an output that does not spike: x += arrivals; V = alpha V + (1 - alpha) S x;
// x *= beta. Outputs are few: only as many vectors as they fill are walked.
// NumPy twin: backends/reference/neurons.py:Integrate.step
template <class K, int N>
inline void step_output(const K& k, State& state, const Arrivals (&in)[N]) {
    for (int j = 0, n = in_vectors(k.p.size); j < n; j += LANES) {
        const int offset = j / STRIP * STRIP, i = (j - offset) / LANES;
        const auto c = k.strip(offset);
        Vector& v = at(state.v.get() + j, 0);
        Vector x = at(state.x.get() + j, 0);
        for (const Arrivals& a : in)
            for (int s = 0; s < a.count; s++) x += at(a.weights + a.source[s] * a.stride + j, 0);
        const auto alpha = c.alpha(i), beta = c.beta(i);
        const Vector new_v = lif_step(alpha, c.gain(i), v, x);
        sensitivity_step<K>(state.sensitivity.get() + 3 * offset, i, alpha, beta, v, x);
        v = new_v;
        at(state.x.get() + j, 0) = beta * x;
    }
}

// NumPy twin of the three that read: backends/reference/trial.py:read_out
inline void read_weighted(const Population& p, const State& state, float weight, Readout& readout) {
    for (int j = 0, n = in_vectors(p.size); j < n; j++)
        readout.value[j] += weight * state.v.get()[j];
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

// Where a row of Readout::sensitivity begins: [V by tau_mem, V by tau_syn][neuron], as few neurons as
// fill vectors.
inline float* sensitivity_row(const Population& p, const Readout& readout, int row) {
    return readout.sensitivity.get() + int64_t(2) * in_vectors(p.size) * row;
}

// Set a row to the derivatives of V, times a weight; or add them to it.
template <bool ADD, class K>
inline void keep_sensitivity(const K& k, const State& state, int row, float weight,
                             const Readout& readout) {
    const int n = in_vectors(k.p.size);
    float* const to = sensitivity_row(k.p, readout, row);
    for (int j = 0; j < n; j += LANES) {
        const auto c = k.strip(j / STRIP * STRIP);
        const int i = j % STRIP / LANES;
        const float* from = state.sensitivity.get() + j / STRIP * 3 * STRIP + j % STRIP;
        const Vector v = at(state.v.get() + j, 0);
        const Vector by_mem = weight * v_by_tau_mem(c.alpha(i), at(from, 0), v);
        const Vector by_syn = weight * v_by_tau_syn(c.by_syn_ratio(i), at(from + STRIP, 0), v);
        at(to + j, 0) = ADD ? at(to + j, 0) + by_mem : by_mem;
        at(to + n + j, 0) = ADD ? at(to + n + j, 0) + by_syn : by_syn;
    }
}

// The loss changes by -dt drive times the derivatives of V in a row.
// NumPy twin: backends/reference/eventprop.py:_learn
template <class K>
inline void learn_output(const K& k, const float* drive, int row, float dt_ms,
                         const Readout& readout, const NeuronGradient& gradient) {
    const int n = in_vectors(k.p.size);
    const float* const e = sensitivity_row(k.p, readout, row);
    for (int j = 0; j < n; j += LANES) {
        const auto c = k.strip(j / STRIP * STRIP);
        const int i = j % STRIP / LANES;
        const Vector by_voltage = -dt_ms * at(drive + j, 0);
        if constexpr (K::LEARNS_TAU_MEM)
            at(gradient.tau_mem + j, 0) += by_voltage * c.by_mem_unit(i) * at(e + j, 0);
        if constexpr (K::LEARNS_TAU_SYN)
            at(gradient.tau_syn + j, 0) += by_voltage * c.by_syn_unit(i) * at(e + n + j, 0);
    }
}

// Outputs that never spiked start the backward pass with their drive, which is 0 but for the label.
// NumPy twin: backends/reference/trial.py:output_drive
template <class K>
inline void kick_silent(const K& k, State& state, const float* drive, int n_steps,
                        const Readout& readout, const NeuronGradient& gradient) {
    for (int j = 0; j < k.p.size; j++) {
        if (readout.step[j] != n_steps) continue;
        state.difference.get()[j] = drive[j];
        if constexpr (LEARNS<K>) {
            const float* e = sensitivity_row(k.p, readout, 0) + j;
            learn_from(k, j, -k.tau_mem(j) * drive[j], e[0], e[in_vectors(k.p.size)], gradient);
        }
    }
}

// One step back of an output that does not spike, towards its drive times the step's weight.
// NumPy twin: backends/reference/neurons.py:Adjoint.decay
template <class K>
inline void adjoint_output(const K& k, State& state, const float* drive, float weight, int step,
                           int n_steps, float* history) {
    float* const difference = state.difference.get();
    for (int j = 0, n = in_vectors(k.p.size); j < n; j += LANES) {
        const int offset = j / STRIP * STRIP, i = (j - offset) / LANES;
        const auto c = k.strip(offset);
        const Vector d = weight * at(drive + j, 0);
        float* const lambda_i = history_at(history, offset, step, n_steps);
        const Vector later = at(lambda_i + STRIP, i);
        const auto earlier = li_adjoint_step(c.alpha(i), c.beta(i), c.adjoint_gain(i), later,
                                             at(difference + j, 0), d);
        at(lambda_i, i) = earlier.lambda_i;
        at(difference + j, 0) = earlier.difference;
    }
}
