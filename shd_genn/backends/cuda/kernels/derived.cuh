#pragma once
// Neurons that are described by equations: what forward.cuh and adjoint.cuh do for them in a step. E has the functions
// that are written from the equations (native's neuron.h.j2); network/neurons/derived.py says what each number is.
// CPU twins: native/kernels/derived.h, derived_adjoint.h; NumPy twins: reference/derived_neurons.py, derived_adjoint.py.

#include "trials.cuh"

// The first constants of every neuron (native/neuron_code.py: FIXED).
enum FixedConstant { OF_BETA, OF_SCALE, OF_TAU_SYN, OF_D_BETA, OF_D_SCALE, OF_REFRACTORY };

// k(i) is constant i of a neuron.
struct NeuronConstants {
    const float* of_lane;
    __device__ __forceinline__ float operator()(int i) const { return __ldg(of_lane + i * LANES); }
};

// Room for an array that may have no numbers.
template <int N>
constexpr int AT_LEAST_ONE = N > 0 ? N : 1;

// Which variables are held after a spike, as bits.
template <class E>
constexpr unsigned held_bits() {
    unsigned bits = 0;
    for (int q = 0; q < E::STATES; q++) bits |= unsigned(E::HELD[q]) << q;
    return bits;
}
template <class E>
constexpr unsigned HELD_BITS = held_bits<E>();
template <class E>
__device__ __forceinline__ bool is_held(int q, float held_for) {
    return held_for > 0 && (HELD_BITS<E> >> q & 1);
}

// What is kept of a step for the way back, a row each: the state before it; x; the derivative of x by tau_syn, if that
// is learned; for how long variables are held.
template <class E>
constexpr int ROW_OF_X = E::STATES;
template <class E>
constexpr int ROW_OF_Z = E::STATES + 1;
template <class E>
constexpr int ROW_OF_HELD = E::STATES + (E::TAU_SYN < 0 ? 1 : 2);

// The rows of one step and population; a thread's neurons begin with a lane of it.
template <class P, class Number>
struct Kept {
    using E = typename P::Equations;
    Number* first;

    __device__ __forceinline__ Kept(Number* kept, int64_t trial, int step, int n_steps, int neuron)
        : first(kept + (trial * n_steps + step) * KEPT + P::KEPT_FIRST + neuron) {}
    __device__ __forceinline__ Number* row(int i) const { return first + i * P::WIDTH; }
    __device__ __forceinline__ float operator()(int i, int v) const { return row(i)[v]; }
    __device__ __forceinline__ void state(int v, float (&s)[E::STATES]) const {
        for (int q = 0; q < E::STATES; q++) s[q] = row(q)[v];
    }
    __device__ __forceinline__ float held_for(int v) const {
        if constexpr (E::REFRACTORY) return row(ROW_OF_HELD<E>)[v];
        return -1;
    }
};

// One neuron's variables among those of a thread.
template <int STATES>
__device__ __forceinline__ void take(const float (&of_thread)[MOST_STATES][V], int v, float (&s)[STATES]) {
    for (int q = 0; q < STATES; q++) s[q] = of_thread[q][v];
}
template <int STATES>
__device__ __forceinline__ void put(const float (&s)[STATES], int v, float (&of_thread)[MOST_STATES][V]) {
    for (int q = 0; q < STATES; q++) of_thread[q][v] = s[q];
}

// A time step of a neuron, reset included: the sub-step in which it spikes, or -1. before(sub, s) is called with the
// state before each sub-step.
template <class E, class Before>
__device__ __forceinline__ int time_step(const NeuronConstants& k, float (&s)[E::STATES], float current,
                                         float held_for, const Before& before) {
    int spike = -1;
#pragma unroll 1
    for (int sub = 0; sub < E::SUBSTEPS; sub++) {
        before(sub, s);
        bool may_spike = spike < 0 && !(held_for >= 0.5f);
        if constexpr (E::CROSSING) may_spike = may_spike && !(E::condition(k, s) >= 0);
        float earlier[E::STATES];
        for (int q = 0; q < E::STATES; q++) earlier[q] = s[q];
        E::step(k, s, current);
        for (int q = 0; q < E::STATES; q++)
            if (is_held<E>(q, held_for)) s[q] = earlier[q];
        if (!may_spike || !(E::condition(k, s) >= 0)) continue;
        spike = sub;
        E::reset(k, s);
    }
    return spike;
}

// ------------------------------------------------------------------ forward

constexpr float UNBOUNDED = 1e12f;  // of reference/derived_neurons.py
constexpr int SILENT = -1;

// The variables of a thread's neurons.
struct DerivedNeurons {
    float s[MOST_STATES][V] = {}, z[V] = {}, held_for[V] = {};
    // A neuron that is not 0 here takes no step (any more): the step after which it had left all bounds, plus 1; or SILENT
    int stopped[V] = {};

    template <class P>
    __device__ __forceinline__ void start(P, const float* constants) {
        using E = typename P::Equations;
        for (int v = 0; v < V; v++) {
            float first[E::STATES];
            E::initial(NeuronConstants{constants + v}, first);
            put(first, v, s);
            held_for[v] = -1;
        }
    }

    // One step. x is the current before scaling, of the step before and then of this one; rows: null if nothing is kept.
    template <class P>
    __device__ __forceinline__ void step(P, const float* constants, const float (&in)[V], int step, int neuron,
                                         float* rows, float (&x)[V], bool (&fires)[V]) {
        using E = typename P::Equations;
        for (int v = 0; v < V; v++) {
            const NeuronConstants k{constants + v};
            if constexpr (E::TAU_SYN >= 0) z[v] = fmaf(k(OF_BETA), z[v], k(OF_D_BETA) * x[v]);
            x[v] = fmaf(k(OF_BETA), x[v], in[v]);
        }
        if (rows) {
            for (int q = 0; q < E::STATES; q++) store(rows + q * P::WIDTH, s[q]);
            store(rows + ROW_OF_X<E> * P::WIDTH, x);
            if constexpr (E::TAU_SYN >= 0) store(rows + ROW_OF_Z<E> * P::WIDTH, z);
            if constexpr (E::REFRACTORY) store(rows + ROW_OF_HELD<E> * P::WIDTH, held_for);
        }
#pragma unroll  // or the state is kept in memory
        for (int v = 0; v < V; v++) {
            fires[v] = false;
            if (neuron + v >= P::SIZE || stopped[v]) continue;  // padding stays as it starts
            const NeuronConstants k{constants + v};
            float of_neuron[E::STATES], size = 0;
            take(s, v, of_neuron);
            const float current = k(OF_SCALE) * x[v];
            fires[v] = time_step<E>(k, of_neuron, current, held_for[v], [](int, const auto&) {}) >= 0;
            put(of_neuron, v, s);
            if constexpr (E::REFRACTORY)
                held_for[v] = fires[v] ? k(OF_REFRACTORY) : held_for[v] > 0 ? held_for[v] - 1 : -1.0f;
            for (int q = 0; q < E::STATES; q++) size += fabsf(of_neuron[q]);
            if (!(size <= UNBOUNDED)) stopped[v] = step + 1;
        }
    }
};

// ------------------------------------------------------------------ adjoint

// Back over a spike: m before it, given m after it and the state before the reset.
template <class E>
__device__ __forceinline__ void jump_back(const NeuronConstants& k, const float (&s)[E::STATES], float current,
                                          float caused, float regulariser, float (&m)[E::STATES], float* learned) {
    float slope, moved, along;
    E::at_spike(k, s, current, caused, m, slope, moved, along);
    const float by_time = slope > 0 ? moved / slope : 0.0f;
    const float by_condition = along > 0 ? by_time + regulariser / along : by_time;
    E::jump(k, s, current, by_condition, m, learned);
}

// What the way back knows of one step of one neuron.
template <class E>
struct StepBack {
    NeuronConstants k;
    bool spiked;
    float caused, regulariser;
    float m[E::STATES], lambda_i, by_release;  // after the step, and then before it
    float learned[AT_LEAST_ONE<E::LEARNED>] = {};

    // What a spike caused, the release after it included.
    __device__ __forceinline__ float caused_with_release() {
        const float all = E::REFRACTORY ? caused - by_release : caused;
        by_release = 0;
        return all;
    }
    // The adjoint of what is not held in a step; that of held variables is carried past it.
    __device__ __forceinline__ void set_free(float held_for, float (&is_free)[E::STATES]) const {
        for (int q = 0; q < E::STATES; q++) is_free[q] = is_held<E>(q, held_for) ? 0.0f : m[q];
    }
    __device__ __forceinline__ void carry_held(float held_for, const float (&is_free)[E::STATES]) {
        for (int q = 0; q < E::STATES; q++) m[q] = is_held<E>(q, held_for) ? is_free[q] + m[q] : is_free[q];
    }
    // Variables that are released as a step begins: what the loss has by the time of it.
    template <class Rows>
    __device__ __forceinline__ void release(const Rows& before, int v) {
        if constexpr (E::REFRACTORY) {
            if (before.held_for(v) != 0) return;
            float s[E::STATES];
            before.state(v, s);
            const float x = before(ROW_OF_X<E>, v);
            by_release += E::released(k, s, E::EXACT ? x : k(OF_SCALE) * x, m);
        }
    }
};

// A step of linear equations is an exact propagator: the adjoint first goes back over the step after this one, then over
// the spike, which comes at the end of a step. later: what is kept of the step after, which the last step has not.
template <class E, class Rows>
__device__ __forceinline__ void back_exact(StepBack<E>& b, const Rows& before, const Rows& later, bool is_last, int v) {
    const NeuronConstants& k = b.k;
    const float held_later = is_last ? -1.0f : later.held_for(v);
    float is_free[E::STATES], none = 0;
    b.set_free(held_later, is_free);
    b.lambda_i = fmaf(k(OF_BETA), b.lambda_i, -E::into_decaying(k, is_free));
    E::back(k, 0, none, is_free, none, &none);
    b.carry_held(held_later, is_free);
    if (!is_last) b.release(later, v);
    if (b.spiked) {
        float s[E::STATES];
        before.state(v, s);
        const float x = before(ROW_OF_X<E>, v);
        E::step(k, s, k(OF_SCALE) * x);
        jump_back<E>(k, s, x, b.caused_with_release(), b.regulariser, b.m, b.learned);
    }
    if constexpr (E::LEARNED > 0) {
        float s[E::STATES], entries[AT_LEAST_ONE<E::ENTRIES>];
        before.state(v, s);
        const float x = before(ROW_OF_X<E>, v);
        b.set_free(before.held_for(v), is_free);
        E::linearise(k, s, k(OF_SCALE) * x, entries);
        E::learn(k, entries, is_free, b.learned);
        if constexpr (E::TAU_SYN >= 0)
            b.learned[E::TAU_SYN] += E::into_current(k, entries, is_free) *
                                     fmaf(k(OF_SCALE), before(ROW_OF_Z<E>, v), k(OF_D_SCALE) * x);
    }
}

// Other steps are repeated from the state before them, sub-step by sub-step, to have their derivatives.
template <class E, class Rows>
__device__ __forceinline__ void back_substeps(StepBack<E>& b, const Rows& before, int v) {
    const NeuronConstants& k = b.k;
    float s[E::STATES], states[E::SUBSTEPS][E::STATES], by_current = 0;
    before.state(v, s);
    const float x = before(ROW_OF_X<E>, v), current = k(OF_SCALE) * x, held_for = before.held_for(v);
    int spike = time_step<E>(k, s, current, held_for, [&](int sub, const float (&at)[E::STATES]) {
        for (int q = 0; q < E::STATES; q++) states[sub][q] = at[q];
    });
    if (!b.spiked) spike = -1;
#pragma unroll 1
    for (int sub = E::SUBSTEPS - 1; sub >= 0; sub--) {
        float entries[AT_LEAST_ONE<E::ENTRIES>], is_free[E::STATES];
        for (int q = 0; q < E::STATES; q++) s[q] = states[sub][q];
        E::linearise(k, s, current, entries);
        if (sub == spike)
            jump_back<E>(k, s, current, b.caused_with_release(), b.regulariser, b.m, b.learned);
        b.set_free(held_for, is_free);
        E::back(k, entries, current, is_free, by_current, b.learned);
        b.carry_held(held_for, is_free);
    }
    if constexpr (E::TAU_SYN >= 0)
        b.learned[E::TAU_SYN] +=
            k(OF_D_SCALE) * x * by_current - k(OF_D_BETA) * x * (k(OF_TAU_SYN) * b.lambda_i);
    b.lambda_i = fmaf(k(OF_BETA), b.lambda_i, -by_current * (k(OF_SCALE) / k(OF_TAU_SYN)));
    b.release(before, v);
}

// The adjoint of a thread's neurons.
struct DerivedAdjoint {
    float m[MOST_STATES][V] = {}, by_release[V] = {}, learned[AT_LEAST_ONE<MOST_LEARNED>][V] = {};

    // One step back, spikes included. lambda_i and difference: see Trials.
    template <class P>
    __device__ __forceinline__ void back(P, const Trials& trials, const float* constants, int64_t trial, int step,
                                         int n_steps, int neuron, const bool (&spiked)[V], const float (&caused)[V],
                                         const float (&jump)[V], float (&lambda_i)[V], float (&difference)[V]) {
        using E = typename P::Equations;
        const bool is_last = step == n_steps - 1;
        const Kept<P, const float> before(trials.kept_steps, trial, step, n_steps, neuron);
        const Kept<P, const float> later(trials.kept_steps, trial, is_last ? step : step + 1, n_steps, neuron);
#pragma unroll
        for (int v = 0; v < V; v++) {
            difference[v] = 0;
            if (neuron + v >= P::SIZE) continue;
            StepBack<E> b{NeuronConstants{constants + v}, spiked[v], caused[v], jump[v], {}, lambda_i[v], by_release[v]};
            take(m, v, b.m);
            if constexpr (E::EXACT)
                back_exact<E>(b, before, later, is_last, v);
            else
                back_substeps<E>(b, before, v);
            put(b.m, v, m);
            for (int p = 0; p < E::LEARNED; p++) learned[p][v] += b.learned[p];
            by_release[v] = b.by_release;
            lambda_i[v] = b.lambda_i;
            difference[v] = E::lambda_v(b.k, b.m) - b.lambda_i;
        }
    }

    // After the first step: add what the start of a trial has to the gradients of parameters, and write them.
    template <class P>
    __device__ __forceinline__ void finish(P, const float* constants, int neuron, float* partial) {
        using E = typename P::Equations;
        if constexpr (E::LEARNED > 0) {
            for (int v = 0; v < V; v++) {
                const NeuronConstants k{constants + v};
                float of_neuron[E::STATES], more[E::LEARNED] = {}, none = 0;
                take(m, v, of_neuron);
                if constexpr (E::EXACT) E::back(k, 0, none, of_neuron, none, &none);
                E::learn_initial(k, of_neuron, more);
                for (int p = 0; p < E::LEARNED; p++)
                    learned[p][v] = neuron + v < P::SIZE ? learned[p][v] + more[p] : 0.0f;
            }
            for (int p = 0; p < E::LEARNED; p++) store(partial + P::LEARNED_FIRST + p * P::WIDTH + neuron, learned[p]);
        }
    }
};
