#pragma once
// Leaky integrate-and-fire neurons: forward step and its adjoint.

#include <utility>

#include "population.h"

// Write down the neurons of a strip that spike. Two are written even if there are fewer, for to guess
// wrongly how many there are costs more: with one loop over spikes, and all of `emit` in it, forward
// passes took 1.05 times as long, and 1.15 times where time constants differ and are learned.
inline int note_spikes(uint64_t spikes, int offset, Neuron* neuron, int count) {
    const int end = count + __builtin_popcountll(spikes);
    do {
        for (int two = 0; two < 2; two++, spikes &= spikes - 1)
            neuron[count++] = Neuron(offset + __builtin_ctzll(spikes | uint64_t(1) << (STRIP - 1)));
    } while (count < end);
    return end;
}

// What the tape keeps of a spike, and the reset.
template <class K>
inline void emit(const K& k, State& state, int spike, Tape& tape) {
    const int j = tape.neuron[spike];
    const float v = std::exchange(state.v.get()[j], 0.0f);
    tape.slope[spike] = state.x.get()[j] - v;
    float* const sensitivity = state.sensitivity.get() + j / STRIP * 3 * STRIP + j % STRIP;
    if constexpr (K::LEARNS_TAU_MEM)
        tape.by_mem[spike] = (1 - k.alpha(j)) * std::exchange(sensitivity[0], 0.0f) - v;
    if constexpr (K::LEARNS_TAU_SYN)
        tape.by_syn[spike] = std::exchange(sensitivity[STRIP], 0.0f) + k.by_syn_ratio(j) * v;
}

// x = beta x + arrivals;  V = alpha V + (1 - alpha) S x;  if V >= threshold: spike, V = 0
// The tape must have room for a spike of every neuron, and two more.
template <class K, int N>
inline void lif_step(const K& k, State& state, const Arrivals (&in)[N], int step, Tape& tape) {
    Neuron* const neuron = tape.neuron.data();
    int count = tape.count;
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto c = k.strip(offset);
        float* const sensitivity = state.sensitivity.get() + 3 * offset;
        float* const v_strip = state.v.get() + offset;
        float* const x_strip = state.x.get() + offset;
        Vector x[VECTORS];
        for (int i = 0; i < VECTORS; i++) x[i] = c.beta(i) * at(x_strip, i);
        add_arrivals(in, offset, x);
        uint64_t spikes = 0;
        for (int i = 0; i < VECTORS; i++) {
            // what is read twice is read before anything is written, which might be the same memory
            const auto alpha = c.alpha(i);
            const Vector before = at(v_strip, i), v = alpha * before + c.gain(i) * x[i];
            at(v_strip, i) = v;
            at(x_strip, i) = x[i];
            sensitivity_step<K>(sensitivity, i, alpha, c.beta(i), before, x[i]);
            spikes |= at_least(v, c.v_thresh(i)) << (i * LANES);
        }
        count = note_spikes(spikes, offset, neuron, count);
    }
    for (int s = tape.count; s < count; s++) emit(k, state, s, tape);
    tape.begin[step + 1] = tape.count = count;
}

// lambda_I = A (alpha - beta) lambda_V + beta lambda_I;  lambda_V = alpha lambda_V
template <class K>
inline void lif_adjoint(const K& k, State& state, int step, int n_steps, float* history) {
    for (int offset = 0, n = k.p.padded; offset < n; offset += STRIP) {
        const auto c = k.strip(offset);
        float* const difference = state.difference.get() + offset;
        float* const lambda_i = history_at(history, offset, step, n_steps);
        fetch_to_write(lambda_i - 4 * STRIP);
        for (int i = 0; i < VECTORS; i++) {
            const Vector x = at(lambda_i + STRIP, i), v = at(difference, i) + x;
            const Vector new_i = c.adjoint_gain(i) * v + c.beta(i) * x;
            at(lambda_i, i) = new_i;
            at(difference, i) = c.alpha(i) * v - new_i;
        }
    }
}

// caused += w_ij (lambda_V_j - lambda_I_j), spread over lanes: what the spike of neuron i did to one
// target population.
inline void add_feedback(const Connection& c, const Population& target, const State& state,
                         int neuron, Vector (&caused)[VECTORS]) {
    const float* const row = c.weights + neuron * c.stride;
    const float* const difference = state.difference.get();
    const int n = in_vectors(target.size), whole = n / STRIP * STRIP;
    for (int j = 0; j < whole; j += STRIP)
        for (int i = 0; i < VECTORS; i++) caused[i] += at(row + j, i) * at(difference + j, i);
    for (int j = whole; j < n; j += LANES) caused[0] += at(row + j, 0) * at(difference + j, 0);
}

// The jump at each spike of a step: lambda_V += (threshold lambda_V + feedback) / slope - regulariser.
// Then -tau_mem lambda_V is the derivative of the loss by V at the spike, which what is learned of
// the neuron had changed (sensitivities.py).
template <class K>
inline void lif_jumps(const K& k, State& state, const Tape& tape, int step, int n_steps,
                      const float* history, const std::vector<float>& feedback,
                      const float* regulariser, const OwnGradient& gradient) {
    const int from = tape.begin[step];
    for (int s = from; s < tape.begin[step + 1]; s++) {
        const int j = tape.neuron[s];
        const float lambda_i = history_at(history, j / STRIP * STRIP, step, n_steps)[j % STRIP];
        float& difference = state.difference.get()[j];
        float lambda_v = difference + lambda_i;
        lambda_v += (k.v_thresh(j) * lambda_v + feedback[s - from]) / tape.slope[s] - regulariser[j];
        difference = lambda_v - lambda_i;
        if constexpr (LEARNS<K>)
            learn_from(k, j, -k.tau_mem(j) * lambda_v, tape.by_mem[s], tape.by_syn[s], gradient);
    }
}
