#pragma once
// Input through a delay line: copies of each channel, each `lag` steps later than the one before
// (present/delay_line.py). Only spikes of the channels themselves are taped. One vector of target
// neurons is computed at a time, so that the weights or gradients of its synapses stay in the cache
// while the spikes of many trials pass; those of all copies of a channel lie side by side.

#include "input_stage.h"

struct DelayLine {
    int n_channels;
    int lag;  // steps
};

// What a thread works with, for one vector of target neurons.
struct LineBuffers {
    Array synapses;  // [channel][copy]: weights, or sums of lambda_I
    Array rows;      // [step]: lambda_I; 0 after the trial, as long as copies arrive

    void make(DelayLine line, int copies, int n_steps) {
        if (!synapses) synapses = make_array(int64_t(line.n_channels) * copies * LANES);
        if (!rows) rows = make_array((int64_t(copies - 1) * line.lag + n_steps + 1) * LANES);
    }
};

// coming[copy] += the weights of the first N copies of all spikes of a step.
template <int N, int COPIES>
inline void expect_copies(const Tape& tape, int step, const float* weights,
                          Vector (&coming)[COPIES]) {
    const Neuron* const end = tape.neuron.data() + tape.begin[step + 1];
    for (const Neuron* spike = tape.neuron.data() + tape.begin[step]; spike < end; spike++) {
        const float* const of_channel = weights + int64_t(*spike) * COPIES * LANES;
        for (int copy = 0; copy < N; copy++) coming[copy] += at(of_channel, copy);
    }
}

// The last steps of `sum_through_line`: at most N copies of their spikes arrive before the trial ends.
template <int N, int COPIES>
inline void finish_line(const Tape& tape, int step, int lag, int n_arrivals, const float* weights,
                        Vector (&coming)[COPIES], float* rows, int64_t stride) {
    if constexpr (N > 0) {
        if (step + (N - 1) * lag < n_arrivals) {
            expect_copies<N>(tape, step, weights, coming);
            at(rows + (step + 1) * stride, 0) = coming[0];
            for (int copy = 0; copy + 1 < N; copy++) coming[copy] = coming[copy + 1];
            step += lag;
        }
        finish_line<N - 1>(tape, step, lag, n_arrivals, weights, coming, rows, stride);
    }
}

// Sum what arrives in each step of a trial, the oldest spikes first. Steps that lie a lag apart are
// walked one after the other: what the next ones receive of the spikes so far stays in registers.
// (To add each spike to its rows took 1.3 times as long, as such a core stores more slowly than it
// loads.)
template <int COPIES>
inline void sum_through_line(const Tape& tape, int lag, int n_steps, const float* weights,
                             float* rows, int64_t stride) {
    at(rows, 0) = Vector{};  // every spike takes one step
    const int n_arrivals = n_steps - 1;
    for (int first = 0; first < std::min(lag, n_arrivals); first++) {
        Vector coming[COPIES] = {};
        int step = first;
        for (; step + (COPIES - 1) * lag < n_arrivals; step += lag) {
            expect_copies<COPIES>(tape, step, weights, coming);
            at(rows + (step + 1) * stride, 0) = coming[0];
            for (int copy = 0; copy + 1 < COPIES; copy++) coming[copy] = coming[copy + 1];
            coming[COPIES - 1] = Vector{};
        }
        finish_line<COPIES - 1>(tape, step, lag, n_arrivals, weights, coming, rows, stride);
    }
}

// Sum the input of one vector of target neurons in all steps of some trials, as `sum_input` does.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
template <int COPIES, class TapeOf>
inline void sum_line(const Connection& c, DelayLine line, const Population& target, int vector,
                     int n_trials, const TapeOf& tape_of, int n_steps, LineBuffers& buffers,
                     const SummedInput& input) {
    const int n = line.n_channels;
    buffers.make(line, COPIES, n_steps);
    for (int copy = 0; copy < COPIES; copy++)
        for (int i = 0; i < n; i++)
            at(buffers.synapses.get(), i * COPIES + copy) =
                at(c.weights + (int64_t(copy) * n + i) * c.stride + vector * LANES, 0);
    for (int k = 0; k < n_trials; k++)
        sum_through_line<COPIES>(tape_of(k), line.lag, n_steps, buffers.synapses.get(),
                                 input.of_trial[k].get() + vector * LANES, target.padded);
}

// For each copy of a channel, add lambda_I over the arrivals of the channel's spikes in a trial.
template <int COPIES>
inline void collect_from_line(const Tape& tape, DelayLine line, const LineBuffers& buffers) {
    const int64_t lag = int64_t(line.lag) * LANES;
    const float* const rows = buffers.rows.get();
    for (int i = 0; i < line.n_channels; i++) {
        const int32_t* const end = tape.arrival.data() + tape.begin_of[i + 1];
        Vector total[COPIES] = {};
        for (const int32_t* spike = tape.arrival.data() + tape.begin_of[i]; spike < end; spike++) {
            const float* row = rows + int64_t(*spike) * LANES;
            for (int copy = 0; copy < COPIES; copy++, row += lag) total[copy] += at(row, 0);
        }
        float* const of_channel = buffers.synapses.get() + int64_t(i) * COPIES * LANES;
        for (int copy = 0; copy < COPIES; copy++) at(of_channel, copy) += total[copy];
    }
}

// Copy lambda_I of one vector of a strip, in all steps; false if it is 0 throughout, as that of
// neurons without spikes is.
inline bool take_history(const float* strip, int n_steps, const Array& rows) {
    typedef int32_t Bits __attribute__((vector_size(VECTOR_BYTES), may_alias));
    Bits bits = {};
    for (int step = 0; step < n_steps; step++) {
        const Vector lambda_i = at(strip + int64_t(step) * STRIP, 0);
        at(rows.get(), step) = lambda_i;
        bits |= reinterpret_cast<const Bits&>(lambda_i);
    }
    int32_t any = 0;
    for (int i = 0; i < LANES; i++) any |= bits[i];
    return any != 0;
}

// Add what some trials have to the gradient of one vector of target neurons, as `add_gradient` does;
// the first trials of a batch do not read what is there.
// NumPy twin: backends/reference/eventprop.py:backward
template <int COPIES, class K, class TapeOf>
inline void learn_line(const K& k, DelayLine line, int vector, int n_trials, const TapeOf& tape_of,
                       const Array* histories, int n_steps, LineBuffers& buffers, float* gradient,
                       int64_t stride, bool first) {
    const int n = line.n_channels, neuron = vector * LANES, place = neuron % STRIP / LANES;
    buffers.make(line, COPIES, n_steps);
    clear(buffers.synapses, int64_t(n) * COPIES * LANES);
    for (int t = 0; t < n_trials; t++) {
        const float* const strip =
            history_at(histories[t].get(), neuron - place * LANES, 0, n_steps) + place * LANES;
        if (take_history(strip, n_steps, buffers.rows))
            collect_from_line<COPIES>(tape_of(t), line, buffers);
    }
    const auto constants = k.strip(neuron - place * LANES);
    for (int copy = 0; copy < COPIES; copy++)
        for (int i = 0; i < n; i++) {
            Vector& g = at(gradient + (int64_t(copy) * n + i) * stride + neuron, 0);
            const Vector added =
                constants.tau_syn(place) * at(buffers.synapses.get(), i * COPIES + copy);
            g = first ? -added : g - added;
        }
}

// Spikes of a trial with all copies that are emitted within it.
inline int count_with_copies(const Tape& tape, int copies, int lag, int n_steps) {
    int count = 0;
    for (int k = 0; k < tape.begin_of.back(); k++)
        count += std::min(copies, (n_steps - tape.arrival[k]) / lag + 1);
    return count;
}
