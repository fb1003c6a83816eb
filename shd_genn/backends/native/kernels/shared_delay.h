#pragma once
// Connections whose delays are shared: by all synapses of a source neuron (axonal), or of a target
// neuron (dendritic). A spike of step n arrives in step n + 1 + d, as in delay.h.
//
// With axonal delays a spike arrives at all targets in the same step, so that rows of weights are
// added as without delays; only the step is another one. With dendritic delays the weights of the
// spikes of a step are added first, and each target takes the sum d steps later. A step then costs a
// load and a store at an address of its own for each target neuron, and a spike costs none.

#include "advance.h"
#include "delay.h"

// Axonal: the source neurons whose spikes arrive in each step to come. For spikes of the input there
// are rows for all steps of a trial; for others, as many as delays are long, used in turn.
struct AxonQueue {
    std::vector<Neuron> rows;
    std::vector<int32_t> count;  // of each row; a power of two, so that no step has to be divided
    int width = 0, mask = 0;

    void make(int n_rows, const Population& source) {
        mask = 1;
        while (mask < n_rows) mask *= 2;
        count.assign(mask--, 0);
        width = source.size;
        if (rows.size() < count.size() * width) rows.resize(count.size() * width);
    }
    void clear_row(int step) { count[step & mask] = 0; }  // it has arrived

    // A neuron spikes at most once a step, and all its spikes take as long: a row has room for all.
    void push(int step, Neuron neuron) {
        const size_t row = step & mask;
        rows[row * width + count[row]++] = neuron;
    }

    // What arrives in a step.
    Arrivals arrivals(const Connection& c, int step) const {
        const size_t row = step & mask;
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

// Dendritic: send off all input spikes of a trial, into all rows of the result. `scratch` holds the
// sums of one strip, below as many rows of zeros as delays are long.
// NumPy twin: backends/reference/synapses.py:Synapses.receive
inline void send_inputs_dendritic(const Connection& c, const Delays& delays, const Tape& tape,
                                  const Population& target, int n_steps,
                                  std::vector<float>& scratch, std::vector<float>& by_neuron,
                                  const UnderWay& under_way) {
    const int longest = delays.longest;
    scratch.resize(size_t(STRIP) * (longest + n_steps) + 16);
    float* const aligned = on_cache_line(scratch);
    std::fill_n(aligned, STRIP * longest, 0.0f);
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
                      under_way.width, by_neuron);
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
    const int32_t* const places = delays.places.data();
    if (step + 1 + delays.longest < n_steps) {
#pragma GCC unroll 16
        for (int j = 0; j < target.padded; j++) to[j] = (rows + next)[places[j]];
    } else {
        for (int j = 0; j < target.padded; j++) to[j] = rows[std::min(next + places[j], after + j)];
    }
}

// Axonal delays of the input learn while the adjoint goes back, if their targets are other neurons than
// those of leaky_integrate_fire.h (see add_shared_gradient): each spike moves the arrivals at all
// targets, and costs sum_j w_ij (lambda_V_j - lambda_I_j). by_source[i] spreads the sum over lanes.
// NumPy twin: backends/reference/eventprop.py:_learn_delays
inline void learn_axonal(const Arrivals& in, const Population& target, const State& state,
                         const Array& by_source) {
    const float* const difference = state.difference.get();
    for (int k = 0; k < in.count; k++) {
        const float* const row = in.weights + in.source[k] * in.stride;
        Vector caused[VECTORS] = {};
        for (int offset = 0; offset < target.padded; offset += STRIP)
            for (int v = 0; v < VECTORS; v++)
                caused[v] += at(row + offset, v) * at(difference + offset, v);
        Vector& total = at(by_source.get(), in.source[k]);
        for (int v = 0; v < VECTORS; v++) total += caused[v];
    }
}

// Dendritic delays likewise, and those of other populations in any case: the spikes of a step move what arrives at each target.
// NumPy twin: backends/reference/eventprop.py:_learn_delays
inline void learn_dendritic(const Connection& c, const Tape& tape, const Population& target,
                            int step, float dt_ms, const Array& arriving, float* gradient) {
    const Arrivals in[] = {arrivals(c, tape, step + 1)};
    if (in[0].count == 0) return;
    for (int offset = 0; offset < target.padded; offset += STRIP) {
        Vector x[VECTORS] = {};
        add_arrivals(in, offset, x);
        for (int v = 0; v < VECTORS; v++)
            at(gradient + offset, v) += dt_ms * x[v] * at(arriving.get() + offset, v);
    }
}

// lambda_V - lambda_I, summed over some steps, from the sums of lambda_I over these steps and over the
// steps before them: lambda_I(t - 1) = G lambda_V(t) + beta lambda_I(t), see leaky_integrate_fire.h. So
// no history of lambda_V is needed. G is 0 beyond the last neuron.
template <class Constant>
inline Vector difference_of(Constant gain, Constant beta, Vector lambda_i, Vector before) {
    const Constant divisor = gain == 0 ? gain + 1 : gain;
    return (before - (beta + gain) * lambda_i) / divisor;
}

// As add_gradient, at the arrivals of shared delays. If delays of the input are learned, then
// delay_gradient[n] - n is the neuron that has the delay - receives the sum of
// dt w_ij (lambda_V_j - lambda_I_j) over all its synapses and arrivals.
// NumPy twin: backends/reference/eventprop.py:backward
template <DelayKind KIND, bool LEARNS_DELAY, class K>
inline void add_shared_gradient(const K& k, const Connection& c, const Tape& tape,
                                const Population& source, const Array& history, int n_steps,
                                float dt_ms, std::vector<float>& scratch,
                                std::vector<float>& by_neuron, float* gradient,
                                [[maybe_unused]] float* delay_gradient, const TrialOrder& order) {
    const bool first = order.is_first();
    if (KIND == DENDRITIC) scratch.resize(int64_t(STRIP) * n_steps + 16);
    float* const late = on_cache_line(scratch);
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto constants = k.strip(offset);
        const float* lambda_i = history_at(history.get(), offset, 0, n_steps);
        if constexpr (KIND == DENDRITIC) {
            advance_strip(lambda_i, STRIP, c.delay_steps + offset, n_steps, n_steps, late, STRIP,
                          by_neuron);
            lambda_i = late;
        }
        [[maybe_unused]] Vector by_target[VECTORS] = {};
        order.for_sources(offset / STRIP, k.p.padded / STRIP, source, [&](int i) {
            const int begin = tape.begin_of[i], d = KIND == DENDRITIC ? 0 : c.delay_steps[i];
            int end = tape.begin_of[i + 1];
            while (end > begin && tape.arrival[end - 1] + d >= n_steps) end--;  // after the trial
            if (begin == end && !first) return;
            float* const row = gradient + i * c.stride + offset;
            Vector total[VECTORS] = {};
            [[maybe_unused]] Vector before[VECTORS] = {}, moved[VECTORS];
            for (int s = begin; s < end; s++) {
                const float* const now = lambda_i + int64_t(tape.arrival[s] + d) * STRIP;
                for (int v = 0; v < VECTORS; v++) {
                    total[v] += at(now, v);
                    if constexpr (LEARNS_DELAY) before[v] += at(now - STRIP, v);
                }
            }
            for (int v = 0; v < VECTORS; v++) {
                const Vector g = first ? Vector{} : at(row, v);
                at(row, v) = g - constants.tau_syn(v) * total[v];
                if constexpr (LEARNS_DELAY)
                    moved[v] = at(c.weights + i * c.stride + offset, v) *
                               difference_of(constants.adjoint_gain(v), constants.beta(v), total[v],
                                             before[v]);
            }
            if constexpr (LEARNS_DELAY && KIND == DENDRITIC)
                for (int v = 0; v < VECTORS; v++) by_target[v] += moved[v];
            if constexpr (LEARNS_DELAY && KIND == AXONAL) delay_gradient[i] += dt_ms * sum(moved);
        });
        if constexpr (LEARNS_DELAY && KIND == DENDRITIC)
            for (int v = 0; v < VECTORS; v++) at(delay_gradient + offset, v) = dt_ms * by_target[v];
    }
}
