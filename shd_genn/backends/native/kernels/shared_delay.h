#pragma once
// Connections whose delays are shared: by all synapses of a source neuron (axonal), or of a target
// neuron (dendritic). A spike of step n arrives in step n + 1 + d, as in delay.h.
//
// With axonal delays a spike arrives at all targets in the same step, so that rows of weights are
// added as without delays; only the step is another one. With dendritic delays the weights of the
// spikes of a step are added first, and each target takes the sum d steps later. A step then costs a
// load and a store at an address of its own for each target neuron, and a spike costs none.

#include "delay.h"

// Axonal: the source neurons whose spikes arrive in each step to come. For spikes of the input there
// are rows for all steps of a trial; for others, as many as delays are long, used in turn.
struct AxonQueue {
    std::vector<Neuron> rows;
    std::vector<int32_t> count;  // of each row
    int width = 0;

    void make(int n_rows, const Population& source) {
        if (n_rows != int(count.size())) rows.resize(size_t(n_rows) * source.size);
        width = source.size;
        count.assign(n_rows, 0);
    }
    void clear_row(int step) { count[step % count.size()] = 0; }  // it has arrived

    // A neuron spikes at most once a step, and all its spikes take as long: a row has room for all.
    void push(int step, Neuron neuron) {
        const size_t row = step % count.size();
        rows[row * width + count[row]++] = neuron;
    }

    // What arrives in a step.
    Arrivals arrivals(const Connection& c, int step) const {
        const size_t row = step % count.size();
        return {rows.data() + row * width, count[row], c.weights, c.stride};
    }
};

// Axonal: send off the spikes of some steps; those that would arrive after the trial have no effect.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
inline void send_axonal(const Connection& c, const Tape& tape, int begin, int end, int n_steps,
                        AxonQueue& queue) {
    for (int step = begin; step < end; step++)
        for (int k = tape.begin[step]; k < tape.begin[step + 1]; k++) {
            const int arrival = step + 1 + c.delay_steps[tape.neuron[k]];
            if (arrival < n_steps) queue.push(arrival, tape.neuron[k]);
        }
}

// to[step][j] = from[step + d_j][j] for one strip of neurons; 0 from row n_from on.
inline void advance_strip(const float* from, int64_t from_stride, const int32_t* d, int n_from,
                          int n_steps, float* to, int64_t to_stride) {
    const int longest = *std::max_element(d, d + STRIP);
    for (int j = 0; j < STRIP; j += 16) {
        const float* early[16];
        for (int b = 0; b < 16; b++) early[b] = from + d[j + b] * from_stride + j + b;
        float* row = to + j;
        for (int step = 0; step < n_steps; step++, row += to_stride) {
            const int64_t at_once = step * from_stride;
            if (step + longest < n_from) {
#pragma GCC unroll 16
                for (int b = 0; b < 16; b++) row[b] = early[b][at_once];
            } else {
                for (int b = 0; b < 16; b++)
                    row[b] = step + d[j + b] < n_from ? early[b][at_once] : 0.0f;
            }
        }
    }
}

// Dendritic: send off all input spikes of a trial, into all rows of the result. `scratch` holds the
// sums of one strip, below as many rows of zeros as delays are long.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
inline void send_inputs_dendritic(const Connection& c, const Delays& delays, const Tape& tape,
                                  const Population& target, int n_steps,
                                  std::vector<float>& scratch, const UnderWay& under_way) {
    const int longest = delays.longest;
    scratch.assign(size_t(STRIP) * (longest + n_steps) + 16, 0.0f);
    float* const aligned = scratch.data() + (-(reinterpret_cast<uintptr_t>(scratch.data()) / 4) & 15);
    for (int offset = 0; offset < target.padded; offset += STRIP) {
        for (int step = 0; step < n_steps; step++) {
            const Arrivals in[] = {arrivals(c, tape, step)};
            Vector x[VECTORS] = {};
            add_arrivals(in, offset, x);
            float* const row = aligned + int64_t(longest + step) * STRIP;
            for (int i = 0; i < VECTORS; i++) at(row, i) = x[i];
        }
        int32_t ahead[STRIP];
        for (int j = 0; j < STRIP; j++) ahead[j] = longest - c.delay_steps[offset + j];
        advance_strip(aligned, STRIP, ahead, n_steps + longest, n_steps, under_way.row(0) + offset,
                      under_way.width);
    }
}

// Dendritic: send off the spikes of one step. Nothing else arrives at a target in the step in which
// these do, so their sums are stored and not added.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
inline void send_dendritic(const Connection& c, const Delays& delays, const Tape& tape, int step,
                           const UnderWay& under_way) {
    if (tape.begin[step] == tape.begin[step + 1]) return;
    float* const rows = under_way.rows.get();
    const uint32_t all = under_way.n_rows * under_way.width;
    const uint32_t next = uint32_t(under_way.row(step + 1) - rows);
    const Arrivals in[] = {arrivals(c, tape, step + 1)};
    for (int offset = 0; offset < under_way.width; offset += STRIP) {
        Vector x[VECTORS] = {};
        add_arrivals(in, offset, x);
        alignas(64) float sums[STRIP];
        for (int i = 0; i < VECTORS; i++) at(sums, i) = x[i];
        for (int j = 0; j < STRIP; j++) {
            const uint32_t straight = next + delays.places[offset + j];
            rows[std::min(straight, straight - all)] = sums[j];  // below 0 is above all
        }
    }
}

// Axonal: lambda_V - lambda_I of all targets when the spike of a neuron arrives.
// NumPy twin: backends/reference/neurons.py:at_arrival
inline const float* at_axonal_arrival(const Connection& c, const Population& target,
                                      const Array& differences, int neuron, int step, int n_steps) {
    const int arrival = std::min(step + 1 + c.delay_steps[neuron], n_steps);
    return differences.get() + int64_t(arrival) * target.padded;
}

// Dendritic: lambda_V - lambda_I of each target when the spikes of a step arrive there, into a row.
// NumPy twin: backends/reference/neurons.py:at_arrival
inline void read_dendritic_arrivals(const Delays& delays, const Population& target,
                                    const Array& differences, const Tape& tape, int step,
                                    int n_steps, Array& row) {
    if (tape.begin[step] == tape.begin[step + 1]) return;
    if (!row) row = make_array(target.padded);
    const float* const rows = differences.get();
    float* const to = row.get();
    const int next = (step + 1) * target.padded, after = n_steps * target.padded;
    for (int j = 0; j < target.padded; j++)
        to[j] = rows[std::min(next + delays.places[j], after + j)];
}

// As add_gradient, at the arrivals of shared delays. If delays are learned, then delay_gradient[n] -
// n is the neuron that has the delay - receives the sum of dt w_ij (lambda_V_j - lambda_I_j) over
// all synapses of that neuron and all arrivals of the trial.
// NumPy twin: backends/reference/eventprop.py:backward
template <DelayKind KIND, bool LEARNS_DELAY, class K>
inline void add_shared_gradient(const K& k, const Connection& c, const Tape& tape,
                                const Population& source, const Array& history,
                                const Array& differences, int n_steps, float dt_ms,
                                std::vector<float>& scratch, float* gradient, float* delay_gradient,
                                const TrialOrder& order) {
    const bool first = order.is_first();
    const int64_t size = int64_t(STRIP) * n_steps;
    if (KIND == DENDRITIC) scratch.resize((LEARNS_DELAY ? 2 : 1) * size + 16);
    [[maybe_unused]] float* const aligned = scratch.data() + (-(reinterpret_cast<uintptr_t>(scratch.data()) / 4) & 15);
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto constants = k.strip(offset);
        const float* lambda_i = history_at(history.get(), offset, 0, n_steps);
        const float* difference = differences.get() + offset;
        int64_t difference_stride = k.p.padded;
        if constexpr (KIND == DENDRITIC) {
            const int32_t* const d = c.delay_steps + offset;
            advance_strip(lambda_i, STRIP, d, n_steps, n_steps, aligned, STRIP);
            lambda_i = aligned;
            if constexpr (LEARNS_DELAY) {
                advance_strip(difference, difference_stride, d, n_steps, n_steps, aligned + size,
                              STRIP);
                difference = aligned + size;
                difference_stride = STRIP;
            }
        }
        Vector by_target[VECTORS] = {};
        order.for_sources(offset / STRIP, k.p.padded / STRIP, source, [&](int i) {
            const int begin = tape.begin_of[i], d = KIND == DENDRITIC ? 0 : c.delay_steps[i];
            int end = tape.begin_of[i + 1];
            while (end > begin && tape.arrival[end - 1] + d >= n_steps) end--;  // after the trial
            if (begin == end && !first) return;
            float* const row = gradient + i * c.stride + offset;
            Vector total[VECTORS] = {}, moved[VECTORS] = {};
            for (int s = begin; s < end; s++) {
                const int64_t arrival = tape.arrival[s] + d;
                for (int v = 0; v < VECTORS; v++) {
                    total[v] += at(lambda_i + arrival * STRIP, v);
                    if constexpr (LEARNS_DELAY)
                        moved[v] += at(difference + arrival * difference_stride, v);
                }
            }
            [[maybe_unused]] const float* const weights = c.weights + i * c.stride + offset;
            for (int v = 0; v < VECTORS; v++) {
                const Vector g = first ? Vector{} : at(row, v);
                at(row, v) = g - constants.tau_syn(v) * total[v];
                if constexpr (LEARNS_DELAY) moved[v] *= at(weights, v);
            }
            if constexpr (LEARNS_DELAY && KIND == DENDRITIC)
                for (int v = 0; v < VECTORS; v++) by_target[v] += moved[v];
            if constexpr (LEARNS_DELAY && KIND == AXONAL) delay_gradient[i] += dt_ms * sum(moved);
        });
        if constexpr (LEARNS_DELAY && KIND == DENDRITIC)
            for (int v = 0; v < VECTORS; v++) at(delay_gradient + offset, v) = dt_ms * by_target[v];
    }
}
