#pragma once
// e-prop as a chip would compute it: a trace for each synapse, forward in time. Every step touches
// every synapse, however few spikes there are. Symbols are those of backends/reference/eprop_online.py.

#include "surrogate.h"

// What the synapses of one connection into a hidden population carry in a trial: [source][target].
struct Traces {
    Array epsilon, e, g, f, sum_e, total;
    std::vector<float> z;  // of each source neuron

    void make(const Population& source, const Population& target) {
        const int64_t n = int64_t(source.size) * target.padded;
        for (Array* each : {&epsilon, &e, &g, &f, &sum_e, &total}) {
            if (!*each) *each = make_array(n);
            clear(*each, n);
        }
        z.assign(source.size, 0.0f);
    }
};

// One step of all synapses of a connection. `signal` is what the loss has by f of each target in this
// step, or what the step's voltage weighs in the loss.
// NumPy twin: backends/reference/eprop_online.py:_Traces.step
template <class Psi>
inline void step_traces(const Shared& k, const Psi& psi, const float* v_row, const Tape& tape,
                        int step, const Population& source, const Population& output,
                        const float* signal, Array& psi_row, Traces& t) {
    const auto c = k.strip(0);
    const Vector v_thresh = finite_thresh(c.v_thresh(0));
    for (int j = 0; j < k.p.padded; j += LANES)
        at(psi_row.get() + j, 0) = psi(at(v_row + j, 0) - v_thresh, v_thresh);
    for (float& z : t.z) z *= k.p.beta;
    if (step > 0)
        for (int s = tape.begin[step - 1]; s < tape.begin[step]; s++) t.z[tape.neuron[s]] += 1;
    for (int i = 0; i < source.size; i++) {
        const float z = t.z[i];
        const int64_t row = int64_t(i) * k.p.padded;
        for (int j = 0; j < k.p.padded; j += LANES) {
            Vector& e = at(t.e.get() + row + j, 0);
            Vector& g = at(t.g.get() + row + j, 0);
            Vector& f = at(t.f.get() + row + j, 0);
            Vector& epsilon = at(t.epsilon.get() + row + j, 0);
            g = output.beta * g + e;
            f = output.alpha * f + output.gain * g;
            const Vector before_reset = k.p.alpha * epsilon + k.p.gain * z;
            e = at(psi_row.get() + j, 0) * before_reset;
            epsilon = at(v_row + j, 0) < v_thresh ? before_reset : Vector{};
            at(t.sum_e.get() + row + j, 0) += e;
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
