#pragma once
// The backward pass in steps (surrogate.h) of neurons that are described by equations (derived.h).
// Their steps are kept as for EventProp, and repeated from the state before each of them. What a spike
// does to variables that the current drives is taken as given if the reset is detached.

#include "derived_adjoint.h"
#include "eprop_online.h"

// What a population carries back beside `Errors`, for one trial.
struct DerivedErrors {
    Array m;      // derivatives of the loss by the states: [strip][state][neuron of the strip]
    Array fired;  // 1 for those that spike in the step, else 0

    template <class E>
    void make(const Population& p) {
        if (!m) m = make_array(int64_t(p.padded) * E::STATES);
        if (!fired) fired = make_array(p.padded);
        clear(m, int64_t(p.padded) * E::STATES);
    }
    void mark(const Tape& tape, int step, float value) {
        for (int s = tape.begin[step]; s < tape.begin[step + 1]; s++)
            fired.get()[tape.neuron[s]] = value;
    }
};

// From the derivatives by the state after the spikes of a step to those before them.
// NumPy twin: backends/reference/derived_steps.py:StepAdjoint._through_spike
template <bool DETACHED, class E, class K, class Psi>
inline void back_through_spike(const K& c, const Psi& psi, const Vector (&s)[E::STATES],
                               const Vector& may_spike, const Vector& fired, const Vector& errors,
                               const Vector& regulariser, Vector (&m)[E::STATES],
                               Vector* by_parameter) {
    const Vector along = E::along(c, s);
    Vector sigma = errors + choose(is_less(0.0f, along), quotient(regulariser, along), 0.0f);
    sigma += DETACHED ? E::moved_undriven(c, s, m) : E::moved_by_spike(c, s, m);
    const Vector given = E::threshold(c, s);
    const Vector thresh = choose(is_less(1e-30f, given), given, 1.0f);  // padding has 0
    const Vector of_step = psi(E::condition(c, s), thresh) * sigma;
    const Vector by_condition = choose(is_less(0.5f, may_spike), of_step, 0.0f);
    Vector before[E::STATES], of_reset[at_least_one(E::LEARNED)] = {};
    std::copy_n(m, E::STATES, before);
    E::reset_back(c, s, before, of_reset);
    const auto spiked = is_less(0.5f, fired);
    for (int q = 0; q < E::STATES; q++) m[q] = choose(spiked, before[q], m[q]);
    for (int p = 0; p < E::LEARNED; p++) by_parameter[p] += choose(spiked, of_reset[p], 0.0f);
    E::condition_back(c, s, by_condition, m, by_parameter);
}

// A step of a vector of neurons, repeated from the state before it.
template <class E>
struct Repeated {
    Vector s[E::STATES];  // before the spikes of the step
    Vector entries[at_least_one(E::ENTRIES)];
    Vector x, current, may_spike, held_for;
};

template <class E, class K>
inline Repeated<E> repeat_step(const K& c, const float* row, int i, const Vector& stays) {
    Repeated<E> done = {};
    Vector before[E::STATES];
    load<E>(row, i, before);
    load<E>(row, i, done.s);
    done.x = at(row + ROW_OF_X<E> * STRIP, i);
    done.current = c(OF_SCALE) * done.x;
    E::linearise(c, done.s, done.current, done.entries);
    done.may_spike = 1.0f - stays;
    if constexpr (E::CROSSING)
        done.may_spike = choose(is_less(E::condition(c, before), 0.0f), done.may_spike, 0.0f);
    if constexpr (E::REFRACTORY) {
        done.held_for = at(row + ROW_OF_HELD<E> * STRIP, i);
        hold<E>(done.held_for, before, done.s);
        done.may_spike = choose(is_less(done.held_for, 0.5f), done.may_spike, 0.0f);
    }
    return done;
}

// Back over a repeated step: m before it, given m after it; returns what the loss has by the current.
// NumPy twin: backends/reference/derived_steps.py:StepAdjoint.back
template <bool DETACHED, class E, class K, class Psi>
inline Vector back_through_step(const K& c, const Psi& psi, const Repeated<E>& done,
                                const Vector& fired, const Vector& errors,
                                const Vector& regulariser, Vector (&m)[E::STATES],
                                Vector* by_parameter) {
    back_through_spike<DETACHED, E>(c, psi, done.s, done.may_spike, fired, errors, regulariser, m,
                                    by_parameter);
    [[maybe_unused]] Vector later[E::STATES];
    if constexpr (E::REFRACTORY) {
        std::copy_n(m, E::STATES, later);
        set_free<E>(done.held_for, later, m);
    }
    Vector by_current = {};
    if constexpr (E::EXACT) {
        by_current = E::into_current(c, done.entries, m);
        E::learn(c, done.entries, m, by_parameter);
        back_exact<E>(c, m);
    } else {
        E::back(c, done.entries, done.current, m, by_current, by_parameter);
    }
    if constexpr (E::REFRACTORY) add_held<E>(done.held_for, later, m);
    return by_current;
}

// One step back of all neurons, given s; -q/tau_syn goes into the history.
// NumPy twin: backends/reference/derived_steps.py:StepAdjoint.back
template <bool DETACHED, class E, class K, class Psi>
inline void derived_surrogate_step(const K& k, const Psi& psi, float* kept, Errors& e,
                                   DerivedErrors& d, const Array& stays, const Tape& tape, int step,
                                   int n_steps, float* history, float* const* gradient) {
    static_assert(E::SUBSTEPS == 1, "steps that are divided are the reference's");
    d.mark(tape, step, 1.0f);
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const float* const row = kept_at<E>(kept, offset, step, n_steps);
        float* const m_strip = d.m.get() + offset * E::STATES;
        float* const to = history_at(history, offset, step, n_steps);
        fetch_kept<E>(row);
        for (int i = 0; i < VECTORS; i++) {
            const auto c = k.at(offset, i);
            const int j = offset + i * LANES;
            const auto done = repeat_step<E>(c, row, i, at(stays.get() + j, 0));
            Vector m[E::STATES], by_parameter[at_least_one(E::LEARNED)] = {};
            load<E>(m_strip, i, m);
            const Vector by_current = back_through_step<DETACHED, E>(
                c, psi, done, at(d.fired.get() + j, 0), at(e.s.get() + j, 0),
                at(e.regulariser.get() + j, 0), m, by_parameter);
            const Vector q_later = at(e.q.get() + j, 0);
            if constexpr (E::TAU_SYN >= 0)
                by_parameter[E::TAU_SYN] +=
                    c(OF_D_SCALE) * done.x * by_current + c(OF_D_BETA) * done.x * q_later;
            const Vector q = c(OF_BETA) * q_later + c(OF_SCALE) * by_current;
            at(e.q.get() + j, 0) = q;
            store<E>(m_strip, i, m);
            const Vector tau_syn = c(OF_TAU_SYN) + Vector{};
            at(to, i) = -q / (tau_syn > 1e-30f ? tau_syn : broadcast(1e-30f));
            if constexpr (E::LEARNED > 0) add_to<E>(gradient, j, by_parameter);
        }
    }
    d.mark(tape, step, 0.0f);
}

// How a step changes the traces of online e-prop: what a step back makes of unit vectors.
// NumPy twin: backends/reference/eprop_online.py:_DerivedTraces._eligibility
template <class E, class K, class Psi>
inline void make_trace_step(const K& k, const Psi& psi, float* kept, DerivedErrors& d,
                            const Array& stays, const Tape& tape, int step, int n_steps,
                            TraceStep& to) {
    constexpr int STATES = E::STATES, N = STATES + 1;
    to.beta = k.of(0)(OF_BETA);  // the same for all neurons
    d.mark(tape, step, 1.0f);
    for (int offset = 0; offset < k.p.padded; offset += STRIP)
        for (int i = 0; i < VECTORS; i++) {
            const auto c = k.at(offset, i);
            const int j = offset + i * LANES;
            const auto done = repeat_step<E>(c, kept_at<E>(kept, offset, step, n_steps), i,
                                             at(stays.get() + j, 0));
            for (int q = 0; q < N; q++) {  // the last is the eligibility: an error of the spike
                Vector m[STATES] = {}, by_parameter[at_least_one(E::LEARNED)] = {};
                if (q < STATES) m[q] = broadcast(1.0f);
                const Vector errors = broadcast(q == STATES ? 1.0f : 0.0f);
                const Vector by_current = back_through_step<true, E>(
                    c, psi, done, at(d.fired.get() + j, 0), errors, Vector{}, m, by_parameter);
                for (int r = 0; r < STATES; r++) to.row(k.p, q * N + r, j) = m[r];
                to.row(k.p, q * N + STATES, j) = c(OF_SCALE) * by_current;
            }
            const Vector along = E::along(c, done.s);
            to.row(k.p, N * N, j) =
                choose(is_less(0.0f, along), quotient(broadcast(1.0f), along), 0.0f);
        }
    d.mark(tape, step, 0.0f);
}

// Add what the start of a trial has to the gradients of parameters.
template <class E, class K>
inline void learn_start(const K& k, const DerivedErrors& d, float* const* gradient) {
    if constexpr (E::LEARNED > 0)
        for (int offset = 0; offset < k.p.padded; offset += STRIP)
            for (int i = 0; i < VECTORS; i++) {
                Vector m[E::STATES], by_parameter[E::LEARNED] = {};
                load<E>(d.m.get() + offset * E::STATES, i, m);
                E::learn_initial(k.at(offset, i), m, by_parameter);
                add_to<E>(gradient, offset + i * LANES, by_parameter);
            }
}
