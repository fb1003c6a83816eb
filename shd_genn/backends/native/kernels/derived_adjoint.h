#pragma once
// The adjoint of a population whose neurons are described by equations; see derived.h. A step of
// linear equations is an exact propagator: the spikes of a step come after it. Other steps are divided
// into sub-steps, which are repeated from the state before the step to have their derivatives.

#include "derived.h"

// gradient[parameter][neuron] += what a vector of neurons adds.
template <class E>
inline void add_to(float* const* gradient, int first, const Vector* by_parameter) {
    for (int p = 0; p < E::LEARNED; p++) at(gradient[p] + first, 0) += by_parameter[p];
}

// Exact steps have the same derivatives in every state.
template <class E, class K>
inline void back_exact(const K& c, Vector (&m)[E::STATES]) {
    Vector no_current = {};
    E::back(c, 0, no_current, m, no_current, &no_current);
}

// The adjoint of what is not held; that of held variables is carried past the step.
template <class E>
inline void set_free(const Vector& held_for, const Vector (&m)[E::STATES],
                     Vector (&is_free)[E::STATES]) {
    for (int q = 0; q < E::STATES; q++)
        is_free[q] = E::HELD[q] ? choose(is_less(0.0f, held_for), 0.0f, m[q]) : m[q];
}
template <class E>
inline void add_held(const Vector& held_for, const Vector (&later)[E::STATES],
                     Vector (&m)[E::STATES]) {
    for (int q = 0; q < E::STATES; q++)
        if (E::HELD[q]) m[q] += choose(is_less(0.0f, held_for), later[q], 0.0f);
}

// What the loss has by the time of a release at the begin of a step, if it is that step.
template <class E, class K>
inline Vector by_release_now(const K& c, const float* before, int i, const Vector (&m)[E::STATES]) {
    Vector s[E::STATES];
    load<E>(before, i, s);
    const Vector x = at(before + ROW_OF_X<E> * STRIP, i);
    const Vector current = E::EXACT ? x : Vector(c(OF_SCALE) * x);
    const Vector held_for = at(before + ROW_OF_HELD<E> * STRIP, i);
    return choose(is_equal(held_for, 0.0f), E::released(c, s, current, m), Vector{});
}

// What a spike is fed back, the release after it included; that of earlier spikes is still to come.
template <class E>
inline float with_release(const State& state, int j, float feedback) {
    if constexpr (E::REFRACTORY) return feedback - std::exchange(state.by_release.get()[j], 0.0f);
    return feedback;
}

constexpr int at_least_one(int n) { return n > 0 ? n : 1; }

// ------------------------------------------------------------------ exact steps

// One step back of all neurons; lambda_I goes into the history.
// NumPy twin: backends/reference/derived_adjoint.py:Adjoint.back
template <class E, class K>
inline void adjoint_exact(const K& k, State& state, int step, int n_steps,
                          [[maybe_unused]] float* kept, float* history) {
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        float* const m_strip = state.adjoint.get() + offset * E::STATES;
        float* const difference = state.difference.get() + offset;
        float* const lambda_i = history_at(history, offset, step, n_steps);
        fetch_to_write(lambda_i - 4 * STRIP);
        for (int i = 0; i < VECTORS; i++) {
            const auto c = k.at(offset, i);
            Vector m[E::STATES];
            load<E>(m_strip, i, m);
            const Vector later = at(lambda_i + STRIP, i);
            Vector earlier;
            if constexpr (E::REFRACTORY) {
                const bool last = step == n_steps - 1;  // nothing is held after it
                const float* const before =
                    kept_at<E>(kept, offset, last ? step : step + 1, n_steps);
                const Vector held_for =
                    last ? Vector{} - 1.0f : at(before + ROW_OF_HELD<E> * STRIP, i);
                Vector is_free[E::STATES];
                set_free<E>(held_for, m, is_free);
                earlier = c(OF_BETA) * later - E::into_decaying(c, is_free);
                back_exact<E>(c, is_free);
                add_held<E>(held_for, m, is_free);
                std::copy_n(is_free, E::STATES, m);
                if (!last)
                    at(state.by_release.get() + offset, i) += by_release_now<E>(c, before, i, m);
            } else {
                earlier = c(OF_BETA) * later - E::into_decaying(c, m);
                back_exact<E>(c, m);
            }
            store<E>(m_strip, i, m);
            at(lambda_i, i) = earlier;
            at(difference, i) = E::lambda_v(c, m) - earlier;
        }
    }
}

// Back over the spikes of a step.
template <class E, class K>
inline void jump_exact(const K& k, State& state, const Tape& tape, int step, int n_steps,
                       const float* history, const std::vector<float>& feedback,
                       const float* regulariser, float* const* gradient) {
    const int from = tape.begin[step];
    for (int spike = from; spike < tape.begin[step + 1]; spike++) {
        const int j = tape.neuron[spike];
        const auto c = k.of(j);
        float* const place = of_neuron<E>(state.adjoint, j);
        float m[E::STATES], by_parameter[at_least_one(E::LEARNED)] = {};
        for (int q = 0; q < E::STATES; q++) m[q] = place[q * STRIP];
        jump_back<E>(c, tape.at_spike.data() + spike * AT_SPIKE<E>,
                     with_release<E>(state, j, feedback[spike - from]), regulariser[j], m,
                     by_parameter);
        for (int q = 0; q < E::STATES; q++) place[q * STRIP] = m[q];
        const float lambda_i = history_at(history, j / STRIP * STRIP, step, n_steps)[j % STRIP];
        state.difference.get()[j] = E::lambda_v(c, m) - lambda_i;
        for (int p = 0; p < E::LEARNED; p++) gradient[p][j] += by_parameter[p];
    }
}

// Add what a step has to the gradients of parameters, after the jumps of its spikes.
template <class E, class K>
inline void learn_exact(const K& k, const State& state, int step, int n_steps, float* kept,
                        float* const* gradient) {
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const float* const before = kept_at<E>(kept, offset, step, n_steps);
        fetch_kept<E>(before);
        for (int i = 0; i < VECTORS; i++) {
            const auto c = k.at(offset, i);
            Vector s[E::STATES], m[E::STATES], entries[at_least_one(E::ENTRIES)];
            Vector by_parameter[at_least_one(E::LEARNED)] = {};
            load<E>(before, i, s);
            load<E>(state.adjoint.get() + offset * E::STATES, i, m);
            if constexpr (E::REFRACTORY) {
                Vector later[E::STATES];
                std::copy_n(m, E::STATES, later);
                set_free<E>(at(before + ROW_OF_HELD<E> * STRIP, i), later, m);
            }
            const Vector x = at(before + ROW_OF_X<E> * STRIP, i);
            E::linearise(c, s, Vector(c(OF_SCALE) * x), entries);
            E::learn(c, entries, m, by_parameter);
            if constexpr (E::TAU_SYN >= 0) {
                const Vector z = at(before + ROW_OF_Z<E> * STRIP, i);
                by_parameter[E::TAU_SYN] +=
                    E::into_current(c, entries, m) * (c(OF_SCALE) * z + c(OF_D_SCALE) * x);
            }
            add_to<E>(gradient, offset + i * LANES, by_parameter);
        }
    }
}

// ------------------------------------------------------------------ steps of other schemes

// Vectors whose derivatives in all sub-steps fit into the innermost cache.
template <class E>
constexpr int block_of() {
    int block = VECTORS;
    while (block > 1 && block * at_least_one(E::ENTRIES) * E::SUBSTEPS * VECTOR_BYTES > 30 * 1024)
        block /= 2;
    return block;
}

// The spikes of one step, which are passed neuron by neuron.
struct SpikesOfStep {
    const Tape& tape;
    int first, spike, end;

    SpikesOfStep(const Tape& t, int step)
        : tape(t), first(t.begin[step]), spike(first), end(t.begin[step + 1]) {}
    // The end of the spikes of neurons below one.
    int end_of(int neuron) const {
        int last = spike;
        while (last < end && tape.neuron[last] < neuron) last++;
        return last;
    }
};

// One step back of all neurons, spikes included; lambda_I goes into the history.
// NumPy twin: backends/reference/derived_adjoint.py:Adjoint.back
template <class E, class K>
inline void adjoint_substeps(const K& k, State& state, const Tape& tape, int step, int n_steps,
                             float* kept, float* history, const std::vector<float>& feedback,
                             const float* regulariser, float* const* gradient) {
    constexpr int BLOCK = block_of<E>();
    SpikesOfStep spikes(tape, step);
    for (int first = 0; first < k.p.padded; first += BLOCK * LANES) {
        const int offset = first / STRIP * STRIP, inside = (first - offset) / LANES;
        const int last_spike = spikes.end_of(first + BLOCK * LANES);
        float* const m_strip = state.adjoint.get() + offset * E::STATES;
        float* const lambda_i = history_at(history, offset, step, n_steps);
        const float* const before =
            E::KEEPS_STATES ? kept_at<E>(kept, offset, step, n_steps) : nullptr;
        [[maybe_unused]] const float* const held_row =
            E::REFRACTORY ? before + ROW_OF_HELD<E> * STRIP : nullptr;
        Vector s[BLOCK][E::STATES], m[BLOCK][E::STATES], current[BLOCK] = {};
        Vector entries[E::SUBSTEPS][BLOCK][at_least_one(E::ENTRIES)];
        Vector by_current[BLOCK] = {}, by_parameter[BLOCK][at_least_one(E::LEARNED)] = {};
        for (int b = 0; b < BLOCK; b++) load<E>(m_strip, inside + b, m[b]);
        if (inside == 0) {
            fetch_to_write(lambda_i - 4 * STRIP);
            if constexpr (E::KEEPS_STATES) fetch_kept<E>(before);
        }

        uint64_t spiking[E::SUBSTEPS] = {};  // bits of the neurons of the block
        for (int spike = spikes.spike; spike < last_spike; spike++)
            spiking[tape.substep[spike]] |= uint64_t(1) << (tape.neuron[spike] - first);

        if constexpr (E::KEEPS_STATES) {
            for (int b = 0; b < BLOCK; b++) {
                load<E>(before, inside + b, s[b]);
                current[b] = k.at(offset, inside + b)(OF_SCALE) *
                             at(before + ROW_OF_X<E> * STRIP, inside + b);
            }
            for (int sub = 0; sub < E::SUBSTEPS - 1; sub++) {
                for (int b = 0; b < BLOCK; b++) {
                    [[maybe_unused]] Vector earlier[E::STATES];
                    if constexpr (E::REFRACTORY) std::copy_n(s[b], E::STATES, earlier);
                    E::linearise(k.at(offset, inside + b), s[b], current[b], entries[sub][b]);
                    if constexpr (E::REFRACTORY) hold<E>(at(held_row, inside + b), earlier, s[b]);
                }
                for (int b = 0; b < BLOCK; b++)
                    if (const uint64_t bits = spiking[sub] >> (b * LANES) & ALL_LANES)
                        reset_lanes<E>(k.at(offset, inside + b), bits, s[b]);
            }
            // by itself, so that compilers leave out the state after it
            for (int b = 0; b < BLOCK; b++)
                E::linearise(k.at(offset, inside + b), s[b], current[b],
                             entries[E::SUBSTEPS - 1][b]);
        }

        for (int sub = E::SUBSTEPS - 1; sub >= 0; sub--) {
            for (int spike = spikes.spike; spiking[sub] && spike < last_spike; spike++) {
                if (tape.substep[spike] != sub) continue;
                const int j = tape.neuron[spike];
                float of_neuron[E::STATES] = {}, learned[at_least_one(E::LEARNED)] = {};
                read_neuron(m, j - first, of_neuron);
                jump_back<E>(k.of(j), tape.at_spike.data() + spike * AT_SPIKE<E>,
                             with_release<E>(state, j, feedback[spike - spikes.first]),
                             regulariser[j], of_neuron, learned);
                write_neuron(m, j - first, of_neuron);
                for (int p = 0; p < E::LEARNED; p++) gradient[p][j] += learned[p];
            }
            for (int b = 0; b < BLOCK; b++) {
                const auto c = k.at(offset, inside + b);
                [[maybe_unused]] Vector later[E::STATES];
                if constexpr (E::REFRACTORY) {
                    std::copy_n(m[b], E::STATES, later);
                    set_free<E>(at(held_row, inside + b), later, m[b]);
                }
                E::back(c, entries[sub][b], current[b], m[b], by_current[b], by_parameter[b]);
                if constexpr (E::REFRACTORY) add_held<E>(at(held_row, inside + b), later, m[b]);
            }
        }

        for (int b = 0; b < BLOCK; b++) {
            const auto c = k.at(offset, inside + b);
            const Vector later = at(lambda_i + STRIP, inside + b);
            if constexpr (E::TAU_SYN >= 0) {
                const Vector x = at(before + ROW_OF_X<E> * STRIP, inside + b);
                by_parameter[b][E::TAU_SYN] +=
                    c(OF_D_SCALE) * x * by_current[b] - c(OF_D_BETA) * x * (c(OF_TAU_SYN) * later);
            }
            if constexpr (E::LEARNED > 0) add_to<E>(gradient, first + b * LANES, by_parameter[b]);
            const Vector earlier =
                c(OF_BETA) * later -
                by_current[b] * Vector(quotient(c(OF_SCALE), c(OF_TAU_SYN)) + Vector{});
            store<E>(m_strip, inside + b, m[b]);
            if constexpr (E::REFRACTORY)
                at(state.by_release.get() + offset, inside + b) +=
                    by_release_now<E>(c, before, inside + b, m[b]);
            at(lambda_i, inside + b) = earlier;
            at(state.difference.get() + offset, inside + b) = E::lambda_v(c, m[b]) - earlier;
        }
        spikes.spike = last_spike;
    }
}

// ------------------------------------------------------------------ all steps

// Add what the start of a trial has to the gradients of parameters, after the last step back.
template <class E, class K>
inline void learn_initial(const K& k, const State& state, float* const* gradient) {
    if constexpr (E::LEARNED > 0)
        for (int offset = 0; offset < k.p.padded; offset += STRIP)
            for (int i = 0; i < VECTORS; i++) {
                Vector m[E::STATES], by_parameter[E::LEARNED] = {};
                load<E>(state.adjoint.get() + offset * E::STATES, i, m);
                if constexpr (E::EXACT) back_exact<E>(k.at(offset, i), m);
                E::learn_initial(k.at(offset, i), m, by_parameter);
                add_to<E>(gradient, offset + i * LANES, by_parameter);
            }
}
