#pragma once
// e-prop as a chip would compute it: a trace for each synapse, forward in time. Every step touches
// every synapse, however few spikes there are. Symbols are those of backends/reference/eprop_online.py.

#include "surrogate.h"

// How the traces of a neuron's synapses change in one step. A synapse has a trace for each state
// variable of its target; with z, the trace of its source's spikes,
//     traces = A traces + a z;   e = h traces + h_z z
// `rows` has A with a as its last column, h with h_z as a last row, and what the regulariser has by
// e. Each is a row of the target's neurons, padded.
struct TraceStep {
    Array rows;
    float beta = 0;  // of z

    static constexpr int number(int states) { return (states + 1) * (states + 1) + 1; }
    void make(const Population& target, int states) {
        if (!rows) rows = make_array(int64_t(number(states)) * target.padded);
    }
    Vector& row(const Population& target, int row, int j) {
        return at(rows.get() + int64_t(row) * target.padded + j, 0);
    }
};

// Of leaky integrate-and-fire neurons, which have a trace of V.
// NumPy twin: backends/reference/eprop_online.py:_LeakyTraces._eligibility
template <class K, class Psi>
inline void make_trace_step(const K& k, const Psi& psi, const float* v_row, TraceStep& to) {
    const Vector beta = k.strip(0).beta(0) + Vector{};  // the same for all neurons
    to.beta = beta[0];
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto c = k.strip(offset);
        for (int i = 0; i < VECTORS; i++) {
            const int j = offset + i * LANES;
            const Vector v = at(v_row + j, 0), v_thresh = finite_thresh(c.v_thresh(i));
            const Vector of_step = psi(v - v_thresh, v_thresh), alpha = c.alpha(i) + Vector{};
            const Vector gain = c.gain(i) + Vector{};
            to.row(k.p, 0, j) = v < v_thresh ? alpha : Vector{};
            to.row(k.p, 1, j) = v < v_thresh ? gain : Vector{};
            to.row(k.p, 2, j) = of_step * alpha;
            to.row(k.p, 3, j) = of_step * gain;
            to.row(k.p, 4, j) = broadcast(1.0f);
        }
    }
}

// What the synapses of one connection into a hidden population carry in a trial: [source][target].
struct Traces {
    Array epsilon;  // [source][state][target]
    Array e, g, f, sum_e, total;
    std::vector<float> z;  // of each source neuron

    void make(const Population& source, const Population& target, int states) {
        const int64_t n = int64_t(source.size) * target.padded;
        if (!epsilon) epsilon = make_array(n * states);
        clear(epsilon, n * states);
        for (Array* each : {&e, &g, &f, &sum_e, &total}) {
            if (!*each) *each = make_array(n);
            clear(*each, n);
        }
        z.assign(source.size, 0.0f);
    }
};

// One step of all synapses of a connection. `signal` is what the loss has by f of each target in this
// step, or what the step's voltage weighs in the loss.
// NumPy twin: backends/reference/eprop_online.py:_Traces.step
template <int STATES>
inline void step_traces(TraceStep& change, const Tape& tape, int step, const Population& source,
                        const Population& target, const Population& output, const float* signal,
                        Traces& t) {
    constexpr int N = STATES + 1;
    for (float& z : t.z) z *= change.beta;
    if (step > 0)
        for (int s = tape.begin[step - 1]; s < tape.begin[step]; s++) t.z[tape.neuron[s]] += 1;
    for (int i = 0; i < source.size; i++) {
        const float z = t.z[i];
        const int64_t row = int64_t(i) * target.padded;
        for (int j = 0; j < target.padded; j += LANES) {
            Vector before[STATES];
            for (int q = 0; q < STATES; q++)
                before[q] = at(t.epsilon.get() + row * STATES + q * target.padded + j, 0);
            const auto changed = [&](int q) {
                Vector sum = change.row(target, q * N + STATES, j) * z;
                for (int r = 0; r < STATES; r++)
                    sum += change.row(target, q * N + r, j) * before[r];
                return sum;
            };
            Vector& e = at(t.e.get() + row + j, 0);
            Vector& g = at(t.g.get() + row + j, 0);
            Vector& f = at(t.f.get() + row + j, 0);
            g = output.beta * g + e;
            f = output.alpha * f + output.gain * g;
            e = changed(STATES);
            for (int q = 0; q < STATES; q++)
                at(t.epsilon.get() + row * STATES + q * target.padded + j, 0) = changed(q);
            at(t.sum_e.get() + row + j, 0) += change.row(target, N * N, j) * e;
            at(t.total.get() + row + j, 0) += at(signal + j, 0) * f;
        }
    }
}

// Add a trial's gradients of one connection, in the order of trials. `times` is what the loss has by
// the weighed f of each target; null if `signal` had it in each step.
inline void add_traces(const Traces& t, const Population& source, const Population& target,
                       const float* times, const float* regulariser, float* gradient,
                       int64_t stride, const TrialOrder& order) {
    order.for_sources(0, 1, source, [&](int i) {
        const int64_t from = int64_t(i) * target.padded;
        float* const row = gradient + i * stride;
        for (int j = 0; j < target.size; j++) {
            const float total = t.total.get()[from + j];
            const float of_trial =
                (times ? total * times[j] : total) + regulariser[j] * t.sum_e.get()[from + j];
            row[j] = order.is_first() ? of_trial : row[j] + of_trial;
        }
    });
}
