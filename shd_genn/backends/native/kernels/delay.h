#pragma once
// Connections whose synapses have delays of their own: a spike of step n arrives in step n + 1 + d.
//
// Every synapse writes and reads at an address of its own: a spike costs a store and two loads for
// each target neuron; without delays it costs a sixteenth of that. These addresses can be kept in the
// innermost cache. Input spikes are known before the trial, so a block of target neurons at a time
// takes all of them, and gradients are read in the same way. Spikes of other populations are kept for
// as many steps as delays are long.

#include "gradient.h"
#include "synapses.h"

// may_alias: the same memory is also read as single floats
typedef float Two __attribute__((vector_size(8), may_alias));
typedef float Four __attribute__((vector_size(16), may_alias));

inline Four& four(float* p) { return reinterpret_cast<Four&>(*p); }
inline const Four& four(const float* p) { return reinterpret_cast<const Four&>(*p); }

// Which synapses share a delay: none, those of a source neuron, or those of a target neuron. The last
// two are in shared_delay.h.
enum DelayKind { SYNAPTIC, AXONAL, DENDRITIC };

// What is computed from a connection's delays whenever they may have changed.
struct Delays {
    int longest = 0;
    // [source][target], not for the input; [target] of dendritic ones, none of axonal ones: the place
    // of that target d rows on, among rows of targets
    std::vector<int32_t> places;

    void prepare(const Connection& c, const Population& source, const Population& target,
                 bool from_input, int n_steps, DelayKind kind) {
        const int64_t n = kind == AXONAL      ? source.size
                          : kind == DENDRITIC ? target.padded
                                              : source.size * c.stride;
        int32_t shortest = 0;
        longest = 0;
        for (int64_t k = 0; k < n; k++) {
            longest = std::max(longest, c.delay_steps[k]);
            shortest = std::min(shortest, c.delay_steps[k]);
        }
        refuse_unless(shortest >= 0 && (int64_t(n_steps) + 2 + longest) * target.padded < INT32_MAX,
                      "a delay is out of range");
        if (kind == AXONAL || (kind == SYNAPTIC && from_input)) return;
        places.resize(n);
        for (int64_t row = 0; row < n; row += c.stride)
            for (int j = 0; j < target.padded; j++)
                places[row + j] = c.delay_steps[row + j] * target.padded + j;
    }
};

// What is under way: a row of target neurons for each step to come. For spikes of the input there are
// rows for all steps of a trial; for others, as many as delays are long, used in turn.
struct UnderWay {
    Array rows;
    int n_rows = 0, width = 0;

    void make(int n, const Population& target) {
        if (n == n_rows) return;
        rows = make_array(int64_t(n) * target.padded);
        n_rows = n;
        width = target.padded;
    }
    float* row(int step) const { return rows.get() + int64_t(step % n_rows) * width; }
    void clear_rows() { clear(rows, int64_t(n_rows) * width); }
    void clear_row(int step) { std::fill_n(row(step), width, 0.0f); }  // it has arrived
};

// What arrives in a step.
inline Arrivals late_arrivals(const UnderWay& under_way, int step) {
    static constexpr Neuron FIRST_ROW = 0;
    return {&FIRST_ROW, 1, under_way.row(step), 0};
}

// body(b, value) for every spike of one source neuron and every target b of a block: the value is of
// the step in which the spike arrives there. The spikes arrive (without delay) in the steps from
// begin to end, and d[b] steps later at target b. Values: [step][b], with room for the longest
// delay, so that no arrival has to be compared with the end of the trial.
template <int BLOCK, class Value, class Body>
inline void for_arrivals(const int32_t* begin, const int32_t* end, const int32_t* d, Value* values,
                         const Body& body) {
    Value* late[BLOCK];
    for (int b = 0; b < BLOCK; b++) late[b] = values + int64_t(d[b]) * BLOCK + b;
    for (; begin < end; begin++) {
        const int64_t at_once = int64_t(*begin) * BLOCK;
#pragma GCC unroll 8
        for (int b = 0; b < BLOCK; b++) body(b, late[b][at_once]);
    }
}

// Send off all input spikes of a trial, into all rows of the result.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
inline void send_inputs(const Connection& c, const Delays& delays, const Tape& tape,
                        const Population& source, const Population& target, int n_steps,
                        std::vector<float>& scratch, const UnderWay& under_way) {
    constexpr int BLOCK = 8;  // 32 KB for 1000 steps
    for (int offset = 0; offset < target.size; offset += BLOCK) {
        scratch.assign(size_t(BLOCK) * (n_steps + 1 + delays.longest), 0.0f);
        for (int i = 0; i < source.size; i++) {
            const int64_t from = i * c.stride + offset;
            float w[BLOCK];
            std::copy_n(c.weights + from, BLOCK, w);
            for_arrivals<BLOCK>(tape.arrival.data() + tape.begin_of[i],
                                tape.arrival.data() + tape.begin_of[i + 1], c.delay_steps + from,
                                scratch.data(), [&](int b, float& x) { x += w[b]; });
        }
        float* to = under_way.row(0) + offset;
        for (int step = 0; step < n_steps; step++, to += under_way.width)
            std::copy_n(scratch.data() + int64_t(step) * BLOCK, BLOCK, to);
    }
}

// Send off the spikes of one step.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
inline void send(const Connection& c, const Delays& delays, const Tape& tape, int step,
                 const UnderWay& under_way) {
    float* const rows = under_way.rows.get();
    const uint32_t all = under_way.n_rows * under_way.width;
    const uint32_t next = uint32_t(under_way.row(step + 1) - rows);
    for (int k = tape.begin[step]; k < tape.begin[step + 1]; k++) {
        const int64_t row = tape.neuron[k] * c.stride;
        for (int offset = 0; offset < under_way.width; offset += STRIP) {
            const float* const w = c.weights + row + offset;
            uint32_t place[STRIP];
            for (int j = 0; j < STRIP; j++) {
                const uint32_t straight = next + delays.places[row + offset + j];
                place[j] = std::min(straight, straight - all);  // below 0 is above all
            }
#pragma GCC unroll 16
            for (int j = 0; j < STRIP; j++) rows[place[j]] += w[j];
        }
    }
}

// Keep lambda_V - lambda_I of a step that is done; row n_steps stays 0.
// NumPy twin: backends/reference/neurons.py:Adjoint.remember
inline void remember(const Population& p, const State& state, int step, Array& differences) {
    std::copy_n(state.difference.get(), p.padded, differences.get() + int64_t(step) * p.padded);
}

// As add_feedback, of each target at its own arrival.
// NumPy twin: backends/reference/neurons.py:at_arrival
inline void add_late_feedback(const Connection& c, const Delays& delays, const Population& target,
                              const Array& differences, int neuron, int step, int n_steps,
                              Vector (&caused)[VECTORS]) {
    const float* const rows = differences.get();
    const int next = (step + 1) * target.padded, after = n_steps * target.padded;
    for (int offset = 0; offset < target.padded; offset += STRIP) {
        const int64_t at_strip = neuron * c.stride + offset;
        int32_t place[STRIP];
        for (int j = 0; j < STRIP; j++)
            place[j] = std::min(next + delays.places[at_strip + j], after);
        alignas(64) float difference[STRIP];
#pragma GCC unroll 16
        for (int j = 0; j < STRIP; j++) difference[j] = rows[place[j]];
        for (int i = 0; i < VECTORS; i++)
            caused[i] += at(c.weights + at_strip, i) * at(difference, i);
    }
}

// As add_gradient, but each synapse reads the history at its own arrival; if delays are learned, then
// delay_gradient[i][j] += dt w_ij (lambda_V_j - lambda_I_j) there. The two numbers of a neuron and
// step lie side by side, so that one load reads both.
// NumPy twin: backends/reference/eventprop.py:backward
template <bool LEARNS_DELAY, class K>
inline void add_late_gradient(const K& k, const Connection& c, const Delays& delays,
                              const Tape& tape, const Population& source, const Array& history,
                              const Array& differences, int n_steps, float dt_ms,
                              std::vector<float>& scratch, float* gradient, float* delay_gradient,
                              const TrialOrder& order) {
    constexpr int BLOCK = 4;  // 32 KB for 1000 steps
    scratch.assign(size_t(2 * BLOCK) * (n_steps + 1 + delays.longest), 0.0f);  // 0 after the trial
    Two* const both = reinterpret_cast<Two*>(scratch.data());
    const bool first = order.is_first();
    const int n_strips = (k.p.size + BLOCK - 1) / BLOCK;
    for (int offset = 0; offset < k.p.size; offset += BLOCK) {
        const int strip = offset / STRIP * STRIP;
        const Four tau_syn = {k.tau_syn(offset), k.tau_syn(offset + 1), k.tau_syn(offset + 2),
                              k.tau_syn(offset + 3)};
        const float* lambda_i = history_at(history.get(), strip, 0, n_steps) + offset - strip;
        const float* difference = differences.get() + offset;
        Four* to = reinterpret_cast<Four*>(both);
        for (int step = 0; step < n_steps; step++) {
            const Four x = four(lambda_i), y = four(difference);
            *to++ = Four{x[0], y[0], x[1], y[1]};
            *to++ = Four{x[2], y[2], x[3], y[3]};
            lambda_i += STRIP;
            difference += k.p.padded;
        }
        order.for_sources(offset / BLOCK, n_strips, source, [&](int i) {
            const int begin = tape.begin_of[i], end = tape.begin_of[i + 1];
            if (begin == end && !first) return;
            const int64_t first_target = i * c.stride + offset;
            Two total[BLOCK] = {};
            for_arrivals<BLOCK>(tape.arrival.data() + begin, tape.arrival.data() + end,
                                c.delay_steps + first_target, both,
                                [&](int b, Two& x) { total[b] += x; });
            const Four at_arrivals = {total[0][0], total[1][0], total[2][0], total[3][0]};
            const Four by_weight = -tau_syn * at_arrivals;
            const Four by_delay = {total[0][1], total[1][1], total[2][1], total[3][1]};
            Four& g = four(gradient + first_target);
            g = first ? by_weight : g + by_weight;
            if constexpr (LEARNS_DELAY) {
                Four& h = four(delay_gradient + first_target);
                const Four more = dt_ms * four(c.weights + first_target) * by_delay;
                h = first ? more : h + more;
            }
        });
    }
}
