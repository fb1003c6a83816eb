#pragma once
// Leaky integrate-and-fire neurons: forward step and its adjoint.

#include "population.h"

// x += arrivals;  V = alpha V + (1 - alpha) S x;  if V >= threshold: spike, V = 0;  x *= beta
// The tape must have room for a spike of every neuron.
template <int N>
inline void lif_step(const Population& p, State& state, const Arrivals (&in)[N], int step,
                     Tape& tape) {
    for (int offset = 0; offset < p.padded; offset += STRIP) {
        float* const v_strip = state.v.get() + offset;
        float* const x_strip = state.x.get() + offset;
        Vector x[VECTORS];
        for (int i = 0; i < VECTORS; i++) x[i] = at(x_strip, i);
        add_arrivals(in, offset, x);
        uint64_t spikes = 0;
        for (int i = 0; i < VECTORS; i++) {
            const Vector v = p.alpha * at(v_strip, i) + p.gain * x[i];
            at(v_strip, i) = v;
            at(x_strip, i) = p.beta * x[i];
            spikes |= at_least(v, p.v_thresh) << (i * LANES);
        }
        if (!spikes) continue;
        alignas(64) float x_now[STRIP];  // before its decay
        for (int i = 0; i < VECTORS; i++) at(x_now, i) = x[i];
        for (; spikes; spikes &= spikes - 1) {
            const int j = __builtin_ctzll(spikes);
            tape.neuron[tape.count] = offset + j;
            tape.slope[tape.count++] = x_now[j] - v_strip[j];
            v_strip[j] = 0;
        }
    }
    tape.begin[step + 1] = tape.count;
}

// lambda_I = A (alpha - beta) lambda_V + beta lambda_I;  lambda_V = alpha lambda_V
// -tau_syn lambda_I goes to the history: a spike that arrives in this step adds it to the gradient.
inline void lif_adjoint(const Population& p, State& state, int step, int n_steps, float* history) {
    for (int offset = 0; offset < p.padded; offset += STRIP) {
        float* const record = history_at(history, offset, step, n_steps);
        for (int i = 0; i < VECTORS; i++) {
            Vector& lambda_v = at(state.lambda_v.get() + offset, i);
            Vector& lambda_i = at(state.lambda_i.get() + offset, i);
            const Vector new_i = p.adjoint_gain * lambda_v + p.beta * lambda_i;
            const Vector new_v = p.alpha * lambda_v;
            lambda_i = new_i;
            lambda_v = new_v;
            at(state.difference.get() + offset, i) = new_v - new_i;
            at(record, i) = -p.tau_syn * new_i;
        }
    }
}

// sum_j w_ij (lambda_V_j - lambda_I_j): what the spike of neuron i caused in one target population.
inline float spike_feedback(const Connection& c, const Population& target, const State& state,
                            int neuron) {
    const float* row = c.weights + neuron * c.stride;
    Vector total[VECTORS] = {};
    for (int offset = 0; offset < target.padded; offset += STRIP)
        for (int i = 0; i < VECTORS; i++)
            total[i] += at(row + offset, i) * at(state.difference.get() + offset, i);
    for (int i = 1; i < VECTORS; i++) total[0] += total[i];
    return sum(total[0]);
}

// The jump at each spike of a step: lambda_V += (threshold lambda_V + feedback) / slope - regulariser.
inline void lif_jumps(const Population& p, State& state, const Tape& tape, int step,
                      const std::vector<float>& feedback, const float* regulariser) {
    const int from = tape.begin[step];
    for (int k = from; k < tape.begin[step + 1]; k++) {
        const int j = tape.neuron[k];
        float& lambda_v = state.lambda_v.get()[j];
        lambda_v += (p.v_thresh * lambda_v + feedback[k - from]) / tape.slope[k] - regulariser[j];
        state.difference.get()[j] = lambda_v - state.lambda_i.get()[j];
    }
}
