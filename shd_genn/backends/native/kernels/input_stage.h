#pragma once
// Large input connections. Input spikes are known before a trial, so what arrives in each step can be
// summed before it, for one vector of target neurons at a time. The weights of these neurons then
// stay in the core's cache while the spikes of many trials pass. Otherwise all weights pass through
// the cache in every step: with 7700 inputs and 512 neurons, 16 MB.

#include "population.h"
#include "synapses.h"
#include "tape.h"

// GROUP, of the engine's source: trials that are taken at a time. There is memory for a row of the
// target in every step of each.

// What arrives at a target in each step of the trials of a group: [trial][step][neuron].
struct SummedInput {
    Array of_trial[GROUP];

    void make(const Population& target, int n_steps, int n_trials) {
        for (int k = 0; k < n_trials; k++)
            if (!of_trial[k]) of_trial[k] = make_array(int64_t(n_steps) * target.padded);
    }

    Arrivals arrivals(int trial, const Population& target, int step) const {
        static constexpr Neuron FIRST_ROW = 0;
        return {&FIRST_ROW, 1, of_trial[trial].get() + int64_t(step) * target.padded, 0};
    }
};

// The weights of all sources to one vector of targets, packed: the rows of a large matrix lie so far
// apart that few sets of the cache would hold them all.
struct PackedWeights {
    Array rows;
    int room = 0;

    void pack(const float* from, int64_t stride, int n_rows) {
        if (n_rows > room) rows = make_array(int64_t(n_rows) * LANES);
        room = std::max(room, n_rows);
        for (int i = 0; i < n_rows; i++) at(rows.get(), i) = at(from + i * stride, 0);
    }
};

// The sum of the weights of some spikes. Four sums do not wait for each other.
inline Vector sum_of(const float* weights, const Neuron* spike, const Neuron* end) {
    Vector sums[4] = {};
    for (; spike + 4 <= end; spike += 4)
        for (int t = 0; t < 4; t++) sums[t] += at(weights, spike[t]);
    for (; spike < end; spike++) sums[0] += at(weights, *spike);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Sum the input of one vector of target neurons in all steps of some trials.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
template <class TapeOf>
inline void sum_input(const Connection& c, const Population& source, const Population& target,
                      int vector, int n_trials, const TapeOf& tape_of, int n_steps,
                      PackedWeights& weights, const SummedInput& input) {
    weights.pack(c.weights + vector * LANES, c.stride, source.size);
    for (int k = 0; k < n_trials; k++) {
        const Tape& tape = tape_of(k);
        const Neuron* const spikes = tape.neuron.data();
        float* row = input.of_trial[k].get() + vector * LANES;
        at(row, 0) = Vector{};  // every spike takes one step
        for (int step = 1; step < n_steps; step++) {
            row += target.padded;
            at(row, 0) = sum_of(weights.rows.get(), spikes + tape.begin[step - 1],
                                spikes + tape.begin[step]);
        }
    }
}
