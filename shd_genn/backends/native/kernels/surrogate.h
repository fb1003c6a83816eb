#pragma once
// Backpropagation through time with surrogate gradients, and e-prop: the backward pass in steps.
// Symbols are those of backends/reference/bptt.py: a, q and s are derivatives of the loss by V, x and
// z of a step. The history holds -q/tau_syn, which takes the place of lambda_I, so that the weights'
// gradients are those of gradient.h, and follow the spikes.
//
// The errors that neurons send each other are a matrix times a vector in every step. Several trials
// (lanes) go back side by side, so that each weight is read once for all of them: a small matrix
// product, whose sums stay in registers while a strip of weights streams by. Where a surrogate is 0
// far from the threshold, neurons there need no errors. If few neurons are near, then a trial walks
// only their rows, which are others in each trial.

#include <limits>
#include <vector>

#include "delay.h"
#include "linear_output.h"
#include "surrogate_shapes.h"

// One population of one trial in the backward pass; all arrays are padded.
struct Errors {
    Array a, q, s;
    Array regulariser;         // of the population's spikes
    Array weighed_drive;       // of a source of a linear output
    std::vector<Neuron> near;  // neurons whose surrogate is not 0, if they are few
    bool has_list = false;

    void make(const Population& p) {
        for (Array* each : {&a, &q, &s, &regulariser, &weighed_drive})
            if (!*each) *each = make_array(p.padded);
        clear(a, p.padded);
        clear(q, p.padded);
    }
};

// Keep V of all neurons as it was before the reset of those that have just spiked.
// NumPy twin: backends/reference/replay.py:replay
template <class K>
inline void keep_voltages(const K& k, const State& state, const Tape& tape, int step, float* row) {
    for (int j = 0; j < k.p.padded; j += LANES) {  // drop-out silences by a voltage of -infinity
        const Vector v = at(state.v.get() + j, 0);
        at(row + j, 0) = v > -1e9f ? v : broadcast(-1e9f);
    }
    for (int s = tape.begin[step]; s < tape.begin[step + 1]; s++) {
        const int j = tape.neuron[s];
        row[j] = std::max(state.x.get()[j] - tape.slope[s], k.v_thresh(j));  // rounded, it spiked
    }
}

// A threshold as a vector; padding has infinite ones, which shapes cannot divide by.
template <class Constant>
inline Vector finite_thresh(const Constant& v_thresh) {
    const Vector given = v_thresh + Vector{};
    return given < 1e30f ? given : broadcast(1e30f);
}

// An output whose drive has a fixed weight in each step: the derivatives by its V and x, which take
// the places of EventProp's adjoint.
// NumPy twin: backends/reference/bptt.py:output_derivative
inline void differentiate(const Population& p, const std::vector<float>& drive_weight,
                          LinearOutput& linear) {
    double a = 0, q = 0;
    for (int step = int(drive_weight.size()) - 1; step >= 0; step--) {
        a = drive_weight[step] + p.alpha * a;
        q = p.gain * a + p.beta * q;
        linear.lambda_i[step] = float(q / p.tau_syn);
        linear.difference[step] = float(-q);
    }
}

// Begin s of a step: the regulariser, and what a linear output feeds back.
template <bool REGULARISED>
inline void start_errors(const Population& p, Errors& e, float of_drive) {
    for (int j = 0; j < p.padded; j += LANES)
        at(e.s.get() + j, 0) = (REGULARISED ? at(e.regulariser.get() + j, 0) : Vector{}) +
                               of_drive * at(e.weighed_drive.get() + j, 0);
}

// The weights of a connection as errors come back through them: [strip of sources][target][source].
// NumPy twin: backends/reference/bptt.py:backward
inline void turn_round(const Connection& c, const Population& source, const Population& target,
                       int offset, Array& turned) {
    float* const to = turned.get() + int64_t(offset) * target.size;
    for (int i = 0; i < STRIP; i++)
        for (int j = 0; j < target.size; j++)
            to[j * STRIP + i] =
                offset + i < source.size ? c.weights[(offset + i) * c.stride + j] : 0;
}

// s_i += the sum of w_ij q_j over the targets, for all neurons of N trials. The order of a sum does
// not depend on N.
// NumPy twin: backends/reference/bptt.py:backward
template <int N>
inline void add_errors(const float* turned, const Population& source, const Population& target,
                       const float* const (&q)[N], float* const (&s)[N]) {
    constexpr int WIDE = VECTORS <= 4 ? VECTORS : 2;  // so that all sums have registers
    const int n_targets = target.size;
    for (int offset = 0; offset < source.padded; offset += STRIP) {
        const float* const strip = turned + int64_t(offset) * n_targets;
        for (int part = 0; part < VECTORS; part += WIDE) {
            Vector total[N][WIDE] = {};
            for (int j = 0; j < n_targets; j++)
                for (int b = 0; b < N; b++) {
                    const Vector error = broadcast(q[b][j]);
                    for (int v = 0; v < WIDE; v++)
                        total[b][v] += at(strip + j * STRIP, part + v) * error;
                }
            for (int b = 0; b < N; b++)
                for (int v = 0; v < WIDE; v++) at(s[b] + offset, part + v) += total[b][v];
        }
    }
}

// The same for the neurons of one trial that are near their thresholds.
// NumPy twin: backends/reference/bptt.py:backward
inline void add_near_errors(const Connection& c, const Population& target, const Errors& from,
                            Errors& to) {
    constexpr int ROWS = 4;
    const int n = in_vectors(target.size), n_near = int(to.near.size());
    for (int k = 0; k < n_near; k += ROWS) {
        const float* row[ROWS];
        for (int r = 0; r < ROWS; r++)
            row[r] = c.weights + to.near[std::min(k + r, n_near - 1)] * c.stride;
        Vector total[ROWS] = {};
        for (int j = 0; j < n; j += LANES) {
            const Vector error = at(from.q.get() + j, 0);
            for (int r = 0; r < ROWS; r++) total[r] += at(row[r] + j, 0) * error;
        }
        for (int r = 0; r < std::min(ROWS, n_near - k); r++)
            to.s.get()[to.near[k + r]] += sum(total[r]);
    }
}

// As add_errors through a connection with delays: q of each target where the spike would arrive.
// NumPy twin: backends/reference/bptt.py:at_arrival
inline void add_late_errors(const Connection& c, const Delays& delays, const Population& source,
                            const Population& target, const Array& q_of_steps, int step,
                            int n_steps, Errors& to) {
    for (int i = 0; i < source.size; i++) {
        Vector caused[VECTORS] = {};
        add_late_feedback(c, delays, target, q_of_steps, i, step, n_steps, caused);
        to.s.get()[i] += sum(caused);
    }
}

// body(offset, bits): a bit is set for each neuron of a vector whose surrogate is not 0 in a step.
template <class K, class Psi, class Body>
inline void for_near(const K& k, const Psi& psi, const float* v_row, const Body& body) {
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto c = k.strip(offset);
        for (int i = 0; i < VECTORS; i++) {
            const Vector v_thresh = finite_thresh(c.v_thresh(i));
            const Vector of_step = psi(at(v_row + offset, i) - v_thresh, v_thresh);
            body(offset + i * LANES, at_least(of_step, std::numeric_limits<float>::min()));
        }
    }
}

// How many neurons have a surrogate that is not 0 in a step, padding counted and not.
struct Near {
    int with_padding, neurons;
};

template <class K, class Psi>
inline Near count_near(const K& k, const Psi& psi, const float* v_row) {
    Near near = {};
    for_near(k, psi, v_row, [&](int offset, uint64_t bits) {
        near.with_padding += __builtin_popcountll(bits);
        const int left = k.p.size - offset;
        if (left < LANES) bits &= left > 0 ? (uint64_t(1) << left) - 1 : 0;
        near.neurons += __builtin_popcountll(bits);
    });
    return near;
}

// List the neurons whose surrogate is not 0 in a step.
// NumPy twin: backends/reference/bptt.py:_through_spikes
template <class K, class Psi>
inline void list_near(const K& k, const Psi& psi, const float* v_row, std::vector<Neuron>& near) {
    near.clear();
    for_near(k, psi, v_row, [&](int offset, uint64_t bits) {
        for (; bits; bits &= bits - 1) near.push_back(Neuron(offset + __builtin_ctzll(bits)));
    });
    while (!near.empty() && near.back() >= k.p.size) near.pop_back();  // padding
}

// Voltages of a population in the steps that a step of the backward pass needs; null before the trial.
struct Voltages {
    const float* now;
    const float* before;
    const float* two_before;

    Voltages(const Array& kept, const Population& p, int step)
        : now(kept ? kept.get() + int64_t(step) * p.padded : nullptr),
          before(now && step > 0 ? now - p.padded : nullptr),
          two_before(before && step > 1 ? before - p.padded : nullptr) {}
};

// V after the reset of those that spiked; 0 before the trial.
template <bool SPIKES>
inline Vector after_reset(const float* row, int j, Vector v_thresh) {
    if (!row) return Vector{};
    const Vector v = at(row + j, 0);
    if constexpr (!SPIKES) return v;
    return v < v_thresh ? v : Vector{};
}

// Add a step to the gradients of a population's own parameters, by what V and x of the step give.
// x is V's change, so it need not be kept.
// NumPy twin: backends/reference/bptt.py:_learn_time_constants
template <bool SPIKES, class K>
inline void learn_from_step(const K& k, int offset, int i, const Voltages& voltages, Vector a,
                            Vector q, Vector psi_s, const NeuronGradient& gradient) {
    if constexpr (LEARNS<K>) {
        const auto c = k.strip(offset);
        const int j = offset + i * LANES;
        const Vector v_thresh = c.v_thresh(i), alpha = c.alpha(i), v = at(voltages.now + j, 0);
        const Vector u = after_reset<SPIKES>(voltages.before, j, v_thresh);
        if constexpr (K::LEARNS_TAU_MEM)
            at(gradient.tau_mem + j, 0) += a * c.by_mem_unit(i) * (u - v);
        if constexpr (K::LEARNS_TAU_SYN) {
            const Vector gain = c.gain(i) > 1e-30f ? c.gain(i) : broadcast(1e-30f);  // padding
            const Vector v_before = voltages.before ? at(voltages.before + j, 0) : Vector{};
            const Vector u_before = after_reset<SPIKES>(voltages.two_before, j, v_thresh);
            const Vector by_v = c.by_syn_ratio(i) * (v - alpha * u) * a;
            const Vector by_x = (v_before - alpha * u_before) / gain / gain * q;
            at(gradient.tau_syn + j, 0) += c.by_syn_unit(i) * (by_v + by_x);
        }
        if constexpr (K::LEARNS_V_THRESH && SPIKES) at(gradient.v_thresh + j, 0) -= psi_s;
    }
}

// One step back of a population that spikes, given s; -q/tau_syn goes into the history.
// NumPy twin: backends/reference/bptt.py:_through_spikes
template <bool DETACHED, class K, class Psi>
inline void surrogate_step(const K& k, const Psi& psi, const Voltages& voltages, Errors& e,
                           int step, int n_steps, float* history, const NeuronGradient& gradient) {
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto c = k.strip(offset);
        float* const to = history_at(history, offset, step, n_steps);
        for (int i = 0; i < VECTORS; i++) {
            const int j = offset + i * LANES;
            const Vector v_thresh = finite_thresh(c.v_thresh(i)), v = at(voltages.now + j, 0);
            const Vector b = c.alpha(i) * at(e.a.get() + j, 0);
            Vector s = at(e.s.get() + j, 0);
            if constexpr (!DETACHED) s -= v * b;
            const Vector psi_s = psi(v - v_thresh, v_thresh) * s;
            const Vector a = (v < v_thresh ? b : Vector{}) + psi_s;
            const Vector q = c.gain(i) * a + c.beta(i) * at(e.q.get() + j, 0);
            at(e.a.get() + j, 0) = a;
            at(e.q.get() + j, 0) = q;
            const Vector tau_syn = c.tau_syn(i) + Vector{};
            at(to, i) = -q / (tau_syn > 1e-30f ? tau_syn : broadcast(1e-30f));
            learn_from_step<true>(k, offset, i, voltages, a, q, psi_s, gradient);
        }
    }
}

// One step back of an output that does not spike; s holds what the loss has by V.
// NumPy twin: backends/reference/bptt.py:backward
template <class K>
inline void output_step(const K& k, const Voltages& voltages, Errors& e, int step, int n_steps,
                        float* history, const NeuronGradient& gradient) {
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto c = k.strip(offset);
        float* const to = history_at(history, offset, step, n_steps);
        for (int i = 0; i < VECTORS; i++) {
            const int j = offset + i * LANES;
            const Vector a = c.alpha(i) * at(e.a.get() + j, 0) + at(e.s.get() + j, 0);
            const Vector q = c.gain(i) * a + c.beta(i) * at(e.q.get() + j, 0);
            at(e.a.get() + j, 0) = a;
            at(e.q.get() + j, 0) = q;
            const Vector tau_syn = c.tau_syn(i) + Vector{};
            at(to, i) = -q / (tau_syn > 1e-30f ? tau_syn : broadcast(1e-30f));
            learn_from_step<false>(k, offset, i, voltages, a, q, Vector{}, gradient);
        }
    }
}

// Keep q of a step, for connections with delays.
inline void remember_errors(const Population& p, const Errors& e, int step, Array& rows) {
    std::copy_n(e.q.get(), p.padded, rows.get() + int64_t(step) * p.padded);
}
