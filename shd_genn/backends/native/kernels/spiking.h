#pragma once
// Loops over the neurons of a spiking population; the equations are in leaky_integrate_fire.h.

#include <utility>

#include "leaky_integrate_fire.h"
#include "sensitivity.h"
#include "synapses.h"

// List the neurons of a strip that spike; returns the new number of spikes. Two are written even if
// there are fewer, because a wrong guess of how many there are costs more: with one loop over spikes,
// and all of `emit` in it, forward passes took 1.05 times as long, and 1.15 times where time
// constants differ and are learned.
inline int list_spikes(uint64_t spikes, int offset, Neuron* neuron, int count) {
    const int end = count + __builtin_popcountll(spikes);
    do {
        for (int two = 0; two < 2; two++, spikes &= spikes - 1)
            neuron[count++] = Neuron(offset + __builtin_ctzll(spikes | uint64_t(1) << (STRIP - 1)));
    } while (count < end);
    return end;
}

// Keep on the tape what the backward pass needs of a spike, and reset the neuron.
// NumPy twin: backends/reference/sensitivities.py:Sensitivity.reset
template <class K>
inline void emit(const K& k, State& state, int spike, Tape& tape) {
    const int j = tape.neuron[spike];
    const float v = std::exchange(state.v.get()[j], 0.0f);
    tape.slope[spike] = state.x.get()[j] - v;
    float* const sensitivity = state.sensitivity.get() + j / STRIP * 3 * STRIP + j % STRIP;
    if constexpr (K::LEARNS_TAU_MEM)
        tape.by_mem[spike] = v_by_tau_mem(k.alpha(j), std::exchange(sensitivity[0], 0.0f), v);
    if constexpr (K::LEARNS_TAU_SYN)
        tape.by_syn[spike] =
            v_by_tau_syn(k.by_syn_ratio(j), std::exchange(sensitivity[STRIP], 0.0f), v);
}

// One step of all neurons: x = beta x + arrivals, then V; where V >= threshold: spike, V = 0.
// The tape must have room for a spike of every neuron, and two more.
// NumPy twin: backends/reference/neurons.py:IntegrateFire.step
template <class K, int N>
inline void step_spiking(const K& k, State& state, const Arrivals (&in)[N], int step, Tape& tape) {
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
            const Vector before = at(v_strip, i), v = lif_step(alpha, c.gain(i), before, x[i]);
            at(v_strip, i) = v;
            at(x_strip, i) = x[i];
            sensitivity_step<K>(sensitivity, i, alpha, c.beta(i), before, x[i]);
            spikes |= at_least(v, c.v_thresh(i)) << (i * LANES);
        }
        count = list_spikes(spikes, offset, neuron, count);
    }
    for (int s = tape.count; s < count; s++) emit(k, state, s, tape);
    tape.begin[step + 1] = tape.count = count;
}

// One step back of all neurons; lambda_I goes into the history.
// NumPy twin: backends/reference/neurons.py:Adjoint.decay
template <class K>
inline void adjoint_spiking(const K& k, State& state, int step, int n_steps, float* history) {
    for (int offset = 0, n = k.p.padded; offset < n; offset += STRIP) {
        const auto c = k.strip(offset);
        float* const difference = state.difference.get() + offset;
        float* const lambda_i = history_at(history, offset, step, n_steps);
        fetch_to_write(lambda_i - 4 * STRIP);
        for (int i = 0; i < VECTORS; i++) {
            const Vector x = at(lambda_i + STRIP, i), d = at(difference, i);
            const auto earlier = lif_adjoint_step(c.alpha(i), c.beta(i), c.adjoint_gain(i), x, d);
            at(lambda_i, i) = earlier.lambda_i;
            at(difference, i) = earlier.difference;
        }
    }
}

// Back over the spikes of a step. Then -tau_mem lambda_V is the derivative of the loss by V at the
// spike, from which the neuron's own parameters learn (sensitivities.py).
// NumPy twin: backends/reference/neurons.py:Adjoint.jump
template <class K>
inline void jump_spiking(const K& k, State& state, const Tape& tape, int step, int n_steps,
                         const float* history, const std::vector<float>& feedback,
                         const float* regulariser, const NeuronGradient& gradient) {
    const int from = tape.begin[step];
    for (int s = from; s < tape.begin[step + 1]; s++) {
        const int j = tape.neuron[s];
        const float lambda_i = history_at(history, j / STRIP * STRIP, step, n_steps)[j % STRIP];
        float& difference = state.difference.get()[j];
        const float lambda_v = lif_jump(k.v_thresh(j), difference + lambda_i, feedback[s - from],
                                        tape.slope[s], regulariser[j]);
        difference = lambda_v - lambda_i;
        if constexpr (LEARNS<K>)
            learn_from(k, j, -k.tau_mem(j) * lambda_v, tape.by_mem[s], tape.by_syn[s], gradient);
    }
}
