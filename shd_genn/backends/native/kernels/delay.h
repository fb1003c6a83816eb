#pragma once
// Connections whose synapses have delays of their own: a spike of step n arrives in step n + 1 + d.
//
// Forward, what is under way is kept as a row of target neurons for each step to come, so that a
// step adds one row. Each element is written at an address of its own; to keep those in the innermost
// cache, input spikes (known beforehand) are sent off BLOCK target neurons at a time, and gradients
// are read in the same way.

#include "population.h"

constexpr int BLOCK = 8;

// What arrives in a step.
inline Arrivals late_arrivals(const Array& under_way, const Population& target, int step) {
    static constexpr int32_t FIRST_ROW = 0;
    return {&FIRST_ROW, 1, under_way.get() + int64_t(step) * target.padded, 0};
}

// body(b, value) for every spike of one source neuron and every target b of a block. The spikes arrive
// (without delay) in the steps from begin to end, ascending, and d[b] steps later at target b, whose
// value for a step is rows[b n + step]. What would arrive after the trial is moved to step n - 1.
template <class Value, class Body>
inline void for_arrivals(const int32_t* begin, const int32_t* end, const int32_t* d, Value* rows,
                         int n, const Body& body) {
    Value* row[BLOCK];
    int longest = 0;
    for (int b = 0; b < BLOCK; b++) {
        row[b] = rows + b * n + d[b];
        longest = std::max(longest, d[b]);
    }
    const int32_t* sure = end;  // from here on each delay must be looked at
    while (sure > begin && sure[-1] + longest >= n) sure--;
    for (; begin < sure; begin++) {
        const int64_t t = *begin;
#pragma GCC unroll 8
        for (int b = 0; b < BLOCK; b++) body(b, row[b][t]);
    }
    for (; begin < end; begin++)
        for (int b = 0; b < BLOCK; b++) body(b, rows[b * n + std::min(*begin + d[b], n - 1)]);
}

// Send off all input spikes of a trial: row by row of the result, which need not be cleared.
inline void send_inputs(const Connection& c, const Tape& tape, const Population& source,
                        const Population& target, int n_steps, std::vector<float>& scratch,
                        Array& under_way) {
    const int n = n_steps + 1;
    if (int(scratch.size()) < BLOCK * n) scratch.resize(BLOCK * n);
    for (int offset = 0; offset < target.size; offset += BLOCK) {
        std::fill_n(scratch.begin(), BLOCK * n, 0.0f);
        for (int i = 0; i < source.size; i++) {
            const int begin = tape.begin_of[i], end = tape.begin_of[i + 1];
            if (begin == end) continue;
            const float* const w_row = c.weights + i * c.stride + offset;
            float w[BLOCK];
            for (int b = 0; b < BLOCK; b++) w[b] = w_row[b];
            for_arrivals(tape.arrival.data() + begin, tape.arrival.data() + end,
                         c.steps + i * c.stride + offset, scratch.data(), n,
                         [&](int b, float& x) { x += w[b]; });
        }
        for (int step = 0; step < n_steps; step++) {
            float* const to = under_way.get() + int64_t(step) * target.padded + offset;
            for (int b = 0; b < BLOCK; b++) to[b] = scratch[b * n + step];
        }
    }
}

// Where, in rows of target neurons by step, the spike of a step arrives at a strip of them.
inline void arrival_places(const int32_t* d, int offset, const Population& target, int step,
                           int n_steps, int32_t (&place)[STRIP]) {
    for (int j = 0; j < STRIP; j++)
        place[j] = std::min(step + 1 + d[offset + j], n_steps) * target.padded + offset + j;
}

// Send off the spikes of one step.
inline void send(const Connection& c, const Tape& tape, const Population& target, int step,
                 int n_steps, Array& under_way) {
    float* const rows = under_way.get();
    for (int k = tape.begin[step]; k < tape.begin[step + 1]; k++) {
        const float* const w = c.weights + tape.neuron[k] * c.stride;
        const int32_t* const d = c.steps + tape.neuron[k] * c.stride;
        for (int offset = 0; offset < target.padded; offset += STRIP) {
            alignas(64) int32_t place[STRIP];
            arrival_places(d, offset, target, step, n_steps, place);
            for (int j = 0; j < STRIP; j++) rows[place[j]] += w[offset + j];
        }
    }
}

// lambda_V - lambda_I of a step that is done; row n_steps stays zero.
inline void remember(const Population& p, const State& state, int step, Array& differences) {
    std::copy_n(state.difference.get(), p.padded,
                differences.get() + int64_t(step) * p.padded);
}

// As add_feedback, of each target at its arrival.
inline void add_late_feedback(const Connection& c, const Population& target,
                              const Array& differences, int neuron, int step, int n_steps,
                              Vector (&caused)[VECTORS]) {
    const float* const w = c.weights + neuron * c.stride;
    const float* const rows = differences.get();
    for (int offset = 0; offset < target.padded; offset += STRIP) {
        alignas(64) int32_t place[STRIP];
        arrival_places(c.steps + neuron * c.stride, offset, target, step, n_steps, place);
        alignas(64) float difference[STRIP];
        for (int j = 0; j < STRIP; j++) difference[j] = rows[place[j]];
        for (int i = 0; i < VECTORS; i++) caused[i] += at(w + offset, i) * at(difference, i);
    }
}

// As add_gradient of a strip, each synapse reading the history at its own arrival; and, if delays are learned,
// delay_gradient[i][j] += dt w_ij (lambda_V_j - lambda_I_j) there.
template <bool LEARNS_DELAY>
inline void add_late_gradient(const Connection& c, const Tape& tape, const Population& source,
                              const Population& target, int strip, const Array& history,
                              const Array& differences, int n_steps, float dt_ms,
                              std::vector<float>& scratch, float* gradient, float* delay_gradient,
                              bool first) {
    typedef float Pair __attribute__((vector_size(8), may_alias));  // of both histories
    const int n = n_steps + 1;
    if (int(scratch.size()) < 2 * BLOCK * n) scratch.resize(2 * BLOCK * n);
    Pair* const pairs = reinterpret_cast<Pair*>(scratch.data());
    for (int offset = strip; offset < std::min(strip + STRIP, target.size); offset += BLOCK) {
        for (int step = 0; step < n; step++) {
            const float* const a = history_at(history.get(), strip, step, n_steps) + offset - strip;
            const float* const b = differences.get() + int64_t(step) * target.padded + offset;
            for (int j = 0; j < BLOCK; j++) pairs[j * n + step] = Pair{a[j], b[j]};
        }
        for (int i = 0; i < source.size; i++) {
            const int begin = tape.begin_of[i], end = tape.begin_of[i + 1];
            if (begin == end && !first) continue;
            const int64_t at = i * c.stride + offset;
            Pair total[BLOCK] = {};
            for_arrivals(tape.arrival.data() + begin, tape.arrival.data() + end, c.steps + at,
                         pairs, n, [&](int b, Pair& x) { total[b] += x; });
            for (int b = 0; b < BLOCK; b++) {
                gradient[at + b] = (first ? 0 : gradient[at + b]) + total[b][0];
                if constexpr (LEARNS_DELAY)
                    delay_gradient[at + b] = (first ? 0 : delay_gradient[at + b]) +
                                             dt_ms * c.weights[at + b] * total[b][1];
            }
        }
    }
}
