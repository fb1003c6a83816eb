#pragma once
// Connections without delays: spikes arrive at their targets, and feed back what they caused there.

#include "population.h"
#include "tape.h"

// The spikes of one step that arrive through one connection.
struct Arrivals {
    const Neuron* source;
    int count;
    const float* weights;
    int64_t stride;
};

// What arrives in a step; every spike takes one step.
inline Arrivals arrivals(const Connection& c, const Tape& tape, int step) {
    if (step == 0) return {nullptr, 0, c.weights, c.stride};
    const int from = tape.begin[step - 1];
    return {tape.neuron.data() + from, tape.begin[step] - from, c.weights, c.stride};
}

// x += the weights of all arriving spikes, for one strip of target neurons.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
template <int N>
inline void add_arrivals(const Arrivals (&in)[N], int offset, Vector (&x)[VECTORS]) {
    for (const Arrivals& a : in)
        for (int k = 0; k < a.count; k++) {
            const float* row = a.weights + a.source[k] * a.stride + offset;
            for (int i = 0; i < VECTORS; i++) x[i] += at(row, i);
        }
}

// caused += w_ij (lambda_V_j - lambda_I_j), spread over lanes: what the spike of neuron i did to one
// target population.
// NumPy twin: backends/reference/neurons.py:at_arrival
inline void add_feedback(const Connection& c, const Population& target, const float* difference,
                         int neuron, Vector (&caused)[VECTORS]) {
    const float* const row = c.weights + neuron * c.stride;
    const int n = in_vectors(target.size), whole = n / STRIP * STRIP;
    for (int j = 0; j < whole; j += STRIP)
        for (int i = 0; i < VECTORS; i++) caused[i] += at(row + j, i) * at(difference + j, i);
    for (int j = whole; j < n; j += LANES) caused[0] += at(row + j, 0) * at(difference + j, 0);
}
