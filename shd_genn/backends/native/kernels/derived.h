#pragma once
// Loops over a population whose neurons are described by equations. E has the functions that are
// written from them (neuron.h.j2); K is how its constants are read. network/neurons/derived.py says
// what each number is; here lambda_I = -nu / tau_syn stands in the history, as of all neurons.

#include "random_spikes.h"
#include "spiking.h"
#include "vector_math.h"

// The first constants of every neuron (native/neuron_code.py: FIXED).
enum FixedConstant : int { OF_BETA, OF_SCALE, OF_TAU_SYN, OF_D_BETA, OF_D_SCALE, OF_REFRACTORY };

// All neurons have the same constants.
template <class E>
struct SharedConstants {
    const Population& p;

    struct Reader {
        const float* constants;
        float operator()(int constant) const { return constants[constant]; }
    };
    struct Strip {
        float tau_syn_;
        float tau_syn(int) const { return tau_syn_; }
    };
    Reader at(int, int) const { return {p.per_neuron}; }  // of vector i of a strip
    Reader of(int) const { return {p.per_neuron}; }       // of a neuron
    Strip strip(int) const { return {p.per_neuron[OF_TAU_SYN]}; }
    float tau_syn(int) const { return p.per_neuron[OF_TAU_SYN]; }
};

// Each neuron has constants of its own: [strip][constant][neuron of the strip].
template <class E>
struct OwnConstants {
    const Population& p;

    struct VectorReader {
        const float* strip;
        int i;
        const Vector& operator()(int constant) const { return ::at(strip + constant * STRIP, i); }
    };
    struct Reader {
        const float* first;
        float operator()(int constant) const { return first[constant * STRIP]; }
    };
    struct Strip {
        const float* constants;
        const Vector& tau_syn(int i) const { return ::at(constants + OF_TAU_SYN * STRIP, i); }
    };
    const float* constants(int offset) const {
        return p.per_neuron + int64_t(offset) * E::CONSTANTS;
    }
    VectorReader at(int offset, int i) const { return {constants(offset), i}; }
    Reader of(int j) const { return {constants(j / STRIP * STRIP) + j % STRIP}; }
    Strip strip(int offset) const { return {constants(offset)}; }
    float tau_syn(int j) const { return of(j)(OF_TAU_SYN); }
};

// What is kept of each step for the backward pass, a row each: the state before it; x; the derivative
// of x by tau_syn if that is learned; for how long variables are held. [strip][step][row][neuron]
template <class E>
constexpr int ROW_OF_X = E::STATES;
template <class E>
constexpr int ROW_OF_Z = E::STATES + 1;
template <class E>
constexpr int ROW_OF_HELD = E::STATES + (E::TAU_SYN < 0 ? 1 : 2);
template <class E>
constexpr int KEPT_ROWS = ROW_OF_HELD<E> + (E::REFRACTORY ? 1 : 0);

template <class E>
inline float* kept_at(float* kept, int offset, int step, int n_steps) {
    return kept + (int64_t(offset) * n_steps + int64_t(step) * STRIP) * KEPT_ROWS<E>;
}

// What the tape keeps of a spike: the state before the reset, and the current.
template <class E>
constexpr int AT_SPIKE = E::STATES + 1;

// Bits of the neurons of a strip that exist; padding may spike by its equations.
inline uint64_t existing(const Population& p, int offset) {
    const int n = p.size - offset;
    return n >= STRIP ? ~uint64_t(0) : n <= 0 ? 0 : (uint64_t(1) << n) - 1;
}

// Ask for what was kept some steps before one, on the way back through a trial.
template <class E>
inline void fetch_kept(const float* kept) {
    fetch_to_read(kept - 8 * STRIP * KEPT_ROWS<E>, STRIP * KEPT_ROWS<E>);
}

template <class E, int N>
inline void load(const float* strip, int i, Vector (&s)[N]) {
    for (int q = 0; q < E::STATES; q++) s[q] = at(strip + q * STRIP, i);
}
template <class E, int N>
inline void store(float* strip, int i, const Vector (&s)[N]) {
    for (int q = 0; q < E::STATES; q++) at(strip + q * STRIP, i) = s[q];
}

// The states of a population: [strip][state][neuron of the strip].
template <class E>
inline float* of_neuron(const Array& states, int j) {
    return states.get() + int64_t(j / STRIP * STRIP) * E::STATES + j % STRIP;
}

template <class E>
inline void make_derived(State& state, const Population& p) {
    state.states = make_array(int64_t(p.padded) * E::STATES);
    state.adjoint = make_array(int64_t(p.padded) * E::STATES);
    state.held_for = make_array(p.padded);
    state.by_release = make_array(p.padded);
    state.stays = make_array(p.padded);
}

template <class E, class K>
inline void rest_derived(const K& k, State& state) {
    for (int offset = 0; offset < k.p.padded; offset += STRIP)
        for (int i = 0; i < VECTORS; i++) {
            Vector s[E::STATES];
            E::initial(k.at(offset, i), s);
            store<E>(state.states.get() + offset * E::STATES, i, s);
        }
    std::fill_n(state.held_for.get(), k.p.padded, -1.0f);
    state.may_spike.clear();
    for (int offset = 0; offset < k.p.padded; offset += STRIP)
        state.may_spike.push_back(existing(k.p, offset));
    for (int j = 0; j < k.p.padded; j++) state.stays.get()[j] = j < k.p.size ? 0.0f : 1.0f;
}

// Drop-out: some neurons do not spike in a trial.
inline void silence_derived(const Population& p, const uint8_t* silent, State& state) {
    for (int j = 0; j < p.size; j++)
        if (silent[j]) {
            state.may_spike[j / STRIP] &= ~(uint64_t(1) << j % STRIP);
            state.stays.get()[j] = 1;
        }
}

// Padding, and neurons that drop-out silences, stay as they start: without spikes, and so without
// resets, they might grow without bound.
template <class E, class K>
inline void restart_silent(const K& k, int offset, const float* stays, float* s_strip) {
    for (int i = 0; i < VECTORS; i++) {
        Vector s[E::STATES], first[E::STATES];
        load<E>(s_strip, i, s);
        E::initial(k.at(offset, i), first);
        for (int q = 0; q < E::STATES; q++)
            s[q] = choose(is_less(0.5f, at(stays, i)), first[q], s[q]);
        store<E>(s_strip, i, s);
    }
}

// NumPy twin: backends/reference/derived_neurons.py:Neurons.step
template <class E>
inline void keep_step(const State& state, int offset, const Vector (&x)[VECTORS], float* kept) {
    const float* const s_strip = state.states.get() + offset * E::STATES;
    for (int i = 0; i < VECTORS; i++) {
        const auto keep = [&](int row, Vector v) {
            store_past_caches(kept + row * STRIP + i * LANES, v);
        };
        for (int q = 0; q < E::STATES; q++) keep(q, at(s_strip + q * STRIP, i));
        keep(ROW_OF_X<E>, x[i]);
        if constexpr (E::TAU_SYN >= 0) keep(ROW_OF_Z<E>, at(state.sensitivity.get() + offset, i));
        if constexpr (E::REFRACTORY) keep(ROW_OF_HELD<E>, at(state.held_for.get() + offset, i));
    }
}

// Where a neuron's variables are held, they keep the values that they had.
template <class E>
inline void hold(const Vector& held_for, const Vector (&before)[E::STATES],
                 Vector (&s)[E::STATES]) {
    for (int q = 0; q < E::STATES; q++)
        if (E::HELD[q]) s[q] = choose(is_less(0.0f, held_for), before[q], s[q]);
}

// A sub-step of one vector; returns the neurons that spike: whose condition is `least` or more.
// fulfils: those whose condition was so before the sub-step; then those after it.
template <class E, class K>
inline uint64_t substep_of_vector(const K& c, Vector (&s)[E::STATES], const Vector& current,
                                  [[maybe_unused]] const Vector& held_for, const Vector& least,
                                  uint64_t& fulfils) {
    [[maybe_unused]] Vector before[E::STATES];
    uint64_t not_now = 0;
    if constexpr (E::CROSSING) not_now = fulfils;
    if constexpr (E::REFRACTORY) std::copy_n(s, E::STATES, before);
    E::step(c, s, current);
    if constexpr (E::REFRACTORY) {
        hold<E>(held_for, before, s);
        not_now |= at_least(held_for, 0.5f);
    }
    fulfils = at_least(E::condition(c, s), least);
    return fulfils & ~not_now;
}

// Keep the state of a neuron that spikes, and reset it.
template <class E, class K>
inline void spike_derived(const K& k, float (&s)[E::STATES], float current, float* at_spike) {
    std::copy_n(s, E::STATES, at_spike);
    at_spike[E::STATES] = current;
    E::reset(k, s);
}

constexpr uint64_t ALL_LANES = ~uint64_t(0) >> (64 - LANES);

// Read or write the variables of one neuron among vectors of them, which stay in registers.
template <int BLOCK, int STATES>
inline void read_neuron(const Vector (&v)[BLOCK][STATES], int neuron, float (&s)[STATES]) {
    for (int b = 0; b < BLOCK; b++)
        if (b == neuron / LANES)
            for (int q = 0; q < STATES; q++) s[q] = v[b][q][neuron % LANES];
}
template <int BLOCK, int STATES>
inline void write_neuron(Vector (&v)[BLOCK][STATES], int neuron, const float (&s)[STATES]) {
    for (int b = 0; b < BLOCK; b++) {
        const uint64_t bits = uint64_t(b == neuron / LANES) << neuron % LANES;
        for (int q = 0; q < STATES; q++) v[b][q] = select(bits, broadcast(s[q]), v[b][q]);
    }
}

// Reset the neurons of a vector whose bits are set.
template <class E, class K>
inline void reset_lanes(const K& c, uint64_t bits, Vector (&s)[E::STATES]) {
    Vector after[E::STATES];
    std::copy_n(s, E::STATES, after);
    E::reset(c, after);
    for (int q = 0; q < E::STATES; q++) s[q] = select(bits, after[q], s[q]);
}

// Vectors whose sub-steps are computed in turns, because each waits for its own results.
constexpr int SIDE_BY_SIDE = 2;

// The sub-steps of one strip, with resets between them; returns the neurons that spike.
template <class E, class K>
inline uint64_t substeps_of_strip(const K& k, int offset, uint64_t may_spike, float* s_strip,
                                  const float* held_for, const Vector (&x)[VECTORS],
                                  float (&at_spike)[AT_SPIKE<E>][STRIP],
                                  uint8_t (&substep)[STRIP]) {
    uint64_t all_spikes = 0;
    for (int first = 0; first < VECTORS; first += SIDE_BY_SIDE) {
        Vector s[SIDE_BY_SIDE][E::STATES], current[SIDE_BY_SIDE];
        uint64_t spikes[SIDE_BY_SIDE] = {}, fulfils[SIDE_BY_SIDE] = {};
        for (int b = 0; b < SIDE_BY_SIDE; b++) {
            const auto c = k.at(offset, first + b);
            load<E>(s_strip, first + b, s[b]);
            current[b] = c(OF_SCALE) * x[first + b];
            at(at_spike[E::STATES], first + b) = current[b];
            if constexpr (E::CROSSING) fulfils[b] = at_least(E::condition(c, s[b]), 0.0f);
        }
        for (int sub = 0; sub < E::SUBSTEPS; sub++)
#pragma GCC unroll 2
            for (int b = 0; b < SIDE_BY_SIDE; b++) {
                const int i = first + b;
                const auto c = k.at(offset, i);
                const uint64_t above = substep_of_vector<E>(c, s[b], current[b], at(held_for, i),
                                                            Vector{}, fulfils[b]);
                uint64_t now = above & ~spikes[b] & may_spike >> (i * LANES);
                if (!now) continue;
                spikes[b] |= now;
                for (int q = 0; q < E::STATES; q++)
                    at(at_spike[q], i) = select(now, s[b][q], at(at_spike[q], i));
                reset_lanes<E>(c, now, s[b]);
                for (; now; now &= now - 1)
                    substep[i * LANES + __builtin_ctzll(now)] = uint8_t(sub);
            }
        for (int b = 0; b < SIDE_BY_SIDE; b++) {
            store<E>(s_strip, first + b, s[b]);
            all_spikes |= spikes[b] << ((first + b) * LANES);
        }
    }
    return all_spikes;
}

// A step of one strip that is not divided; returns the neurons that spike. They are reset later.
template <class E, class K>
inline uint64_t step_of_strip(const K& k, int offset, float* s_strip, const float* held_for,
                              const Vector (&x)[VECTORS], [[maybe_unused]] uint64_t noise_key,
                              [[maybe_unused]] int step) {
    uint64_t spikes = 0;
    for (int i = 0; i < VECTORS; i++) {
        const auto c = k.at(offset, i);
        Vector s[E::STATES];
        load<E>(s_strip, i, s);
        const Vector current = c(OF_SCALE) * x[i];
        Vector least = {};
        if constexpr (E::RANDOM) least = noise_at(noise_key, step, offset + i * LANES);
        uint64_t fulfils = 0;
        if constexpr (E::CROSSING) fulfils = at_least(E::condition(c, s), 0.0f);
        spikes |= substep_of_vector<E>(c, s, current, at(held_for, i), least, fulfils)
                  << (i * LANES);
        store<E>(s_strip, i, s);
    }
    return spikes;
}

// One step of all neurons. The tape must have room for a spike of every neuron, and two more.
// kept: where the step is kept for the backward pass; null if it need not be.
// NumPy twin: backends/reference/derived_neurons.py:Neurons.step
template <class E, class K, int N>
inline void step_derived(const K& k, State& state, const Arrivals (&in)[N], int step, int n_steps,
                         Tape& tape, float* kept) {
    Neuron* const neuron = tape.neuron.data();
    int count = tape.count;
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        float* const x_strip = state.x.get() + offset;
        float* const s_strip = state.states.get() + offset * E::STATES;
        float* const held_for = state.held_for.get() + offset;
        const uint64_t may_spike = state.may_spike[offset / STRIP];
        Vector x[VECTORS];
        for (int i = 0; i < VECTORS; i++) {
            const auto c = k.at(offset, i);
            const Vector before = at(x_strip, i);
            x[i] = c(OF_BETA) * before;
            if constexpr (E::TAU_SYN >= 0) {
                Vector& z = at(state.sensitivity.get() + offset, i);
                z = c(OF_BETA) * z + c(OF_D_BETA) * before;
            }
        }
        add_arrivals(in, offset, x);
        for (int i = 0; i < VECTORS; i++) at(x_strip, i) = x[i];
        if constexpr (E::KEEPS_STATES)
            if (kept) keep_step<E>(state, offset, x, kept_at<E>(kept, offset, step, n_steps));
        if constexpr (E::SUBSTEPS == 1) {
            const uint64_t spikes =
                step_of_strip<E>(k, offset, s_strip, held_for, x, state.noise_key, step) &
                may_spike;
            count = list_spikes(spikes, offset, neuron, count);
        } else {
            alignas(Vector) float at_spike[AT_SPIKE<E>][STRIP] = {};
            uint8_t substep[STRIP];
            const uint64_t spikes =
                substeps_of_strip<E>(k, offset, may_spike, s_strip, held_for, x, at_spike, substep);
            const int end = list_spikes(spikes, offset, neuron, count);
            for (; count < end; count++) {
                const int lane = neuron[count] - offset;
                for (int row = 0; row < AT_SPIKE<E>; row++)
                    tape.at_spike[count * AT_SPIKE<E> + row] = at_spike[row][lane];
                tape.substep[count] = substep[lane];
            }
        }
        if (~may_spike) restart_silent<E>(k, offset, state.stays.get() + offset, s_strip);
        if constexpr (E::REFRACTORY)
            for (int i = 0; i < VECTORS; i++)
                at(held_for, i) = larger(at(held_for, i) - 1.0f, -1.0f);
    }
    if constexpr (E::SUBSTEPS == 1)
        for (int spike = tape.count; spike < count; spike++) {
            const int j = neuron[spike];
            const auto c = k.of(j);
            float* const place = of_neuron<E>(state.states, j);
            float s[E::STATES];
            for (int q = 0; q < E::STATES; q++) s[q] = place[q * STRIP];
            const float x = state.x.get()[j];
            spike_derived<E>(c, s, E::EXACT ? x : c(OF_SCALE) * x,
                             tape.at_spike.data() + spike * AT_SPIKE<E>);
            for (int q = 0; q < E::STATES; q++) place[q * STRIP] = s[q];
        }
    if constexpr (E::REFRACTORY)
        for (int spike = tape.count; spike < count; spike++)
            state.held_for.get()[neuron[spike]] = k.of(neuron[spike])(OF_REFRACTORY);
    tape.begin[step + 1] = tape.count = count;
}

// Whether all state variables are within bounds (UNBOUNDED of backends/reference/derived_neurons.py).
template <class E>
inline bool is_bounded(const State& state, const Population& p, int* neuron = nullptr) {
    for (int offset = 0; offset < p.padded; offset += STRIP)
        for (int i = 0; i < VECTORS; i++) {
            Vector s[E::STATES], size = {};
            load<E>(state.states.get() + offset * E::STATES, i, s);
            for (const Vector& each : s) size += absolute(each);
            const uint64_t bounded = at_least(broadcast(1e12f), size);
            const uint64_t unbounded =
                ~(bounded << (i * LANES)) & existing(p, offset) & (ALL_LANES << (i * LANES));
            if (!unbounded) continue;
            if (neuron) *neuron = offset + __builtin_ctzll(unbounded);
            return false;
        }
    return true;
}

// Refuse a state that grows without bound, by the names of its variables.
template <class E>
inline void refuse_unbounded(const State& state, const Population& p, const char* population,
                             float time_ms) {
    int neuron;
    if (is_bounded<E>(state, p, &neuron)) return;
    const float* const s = of_neuron<E>(state.states, neuron);
    char text[160] = "";
    int length = 0, worst = 0;
    for (int q = 0; q < E::STATES; q++) {
        if (!(std::fabs(s[q * STRIP]) <= std::fabs(s[worst * STRIP]))) worst = q;
        const int room = int(sizeof text) - length;
        length += std::max(0, std::snprintf(text + length, room, "%s%s = %.3g", q ? ", " : "",
                                            E::NAMES[q], double(s[q * STRIP])));
        length = std::min(length, int(sizeof text) - 1);
    }
    char message[480];
    std::snprintf(message, sizeof message,
                  "%s of neuron %d of population %s has no bound: it has come to %s at %g ms",
                  E::NAMES[worst], neuron, population, text, double(time_ms));
    throw Diverged(message);
}

// Back over one spike: m before it, given m after it.
// NumPy twin: backends/reference/derived_adjoint.py:Adjoint.back
template <class E, class K>
inline void jump_back(const K& k, const float* kept, float feedback, float regulariser,
                      float (&m)[E::STATES], float* by_parameter) {
    float s[E::STATES], slope, moved, along;
    std::copy_n(kept, E::STATES, s);
    const float current = kept[E::STATES];
    E::at_spike(k, s, current, feedback, m, slope, moved, along);
    const float by_time = slope > 0 ? moved / slope : 0.0f;
    const float by_condition = along > 0 ? by_time + regulariser / along : by_time;
    E::jump(k, s, current, by_condition, m, by_parameter);
}
