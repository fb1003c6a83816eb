#pragma once
// The spikes of one population in one trial: all that the backward pass needs of the forward one.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

using Neuron = uint16_t;  // a population has at most 65535 (network.py)

struct Tape {
    // By step: step n owns entries begin[n] .. begin[n + 1].
    std::vector<int32_t> begin;
    std::vector<Neuron> neuron;
    std::vector<float> slope;  // I/S - V at each spike, in proportion to dV/dt; not for inputs
    std::vector<float> by_mem, by_syn;  // derivatives of V there by tau_mem, tau_syn; if learned
    int count = 0;
    // By neuron: the steps at which neuron i's spikes arrive, ascending; one after their own.
    std::vector<int32_t> begin_of;
    std::vector<int32_t> arrival;

    void start(int n_steps) {
        begin.assign(n_steps + 1, 0);
        count = 0;
    }

    void reserve(int more, bool learns) {  // there is no spike too many
        if (int(neuron.size()) >= count + more) return;
        neuron.resize(count + count / 4 + 2 * more);
        slope.resize(neuron.size());
        if (!learns) return;
        by_mem.resize(neuron.size());
        by_syn.resize(neuron.size());
    }

    void sort_by_neuron(int n_neurons, int n_steps) {
        begin_of.assign(n_neurons + 1, 0);
        for (int k = 0; k < count; k++) begin_of[neuron[k] + 1]++;
        for (int i = 0; i < n_neurons; i++) begin_of[i + 1] += begin_of[i];
        arrival.resize(count);
        std::vector<int32_t> end(begin_of.begin(), begin_of.end() - 1);
        for (int step = 0; step < n_steps; step++)
            for (int k = begin[step]; k < begin[step + 1]; k++)
                arrival[end[neuron[k]]++] = step + 1;
    }
};

// The first step that is not before a time, as GeNN compares: float32(step * dt) >= time. The product
// by_dt = 1/dt makes of it is at most one step off. Without branches, so that compilers make vectors.
inline int32_t step_at(float time_ms, float by_dt, float dt_ms, float end_ms, int n_steps) {
    const float guess = std::ceil(time_ms * by_dt);
    const float lower = (guess - 1) * dt_ms >= time_ms ? guess - 1 : guess;
    const float step = lower * dt_ms < time_ms ? lower + 1 : lower;
    return time_ms < end_ms ? int32_t(step) : n_steps;
}

// body(0) .. body(n - 1), from four places in turn: what follows each other closely would count at
// the same address, and wait for it.
template <class Body>
inline void in_quarters(int n, const Body& body) {
    const int quarter = n / 4;
    for (int k = 0; k < quarter; k++)
        for (int q = 0; q < 4; q++) body(k + q * quarter);
    for (int k = 4 * quarter; k < n; k++) body(k);
}

// Input spikes, sorted by time, on the grid: by step and by neuron. A neuron emits at most one a step;
// the others queue up behind it. What comes after the trial is forgotten.
inline void tape_input(const float* times_ms, const uint16_t* channels, int n_events,
                       int n_channels, int n_steps, float dt_ms, Tape& tape) {
    const float end_ms = n_steps * dt_ms, by_dt = 1 / dt_ms;
    std::vector<int32_t> steps(n_events), free(n_channels, 0);
    for (int k = 0; k < n_events; k++)
        steps[k] = step_at(times_ms[k], by_dt, dt_ms, end_ms, n_steps);
    // first where a step's or a channel's spikes begin, and then, as they are put there, where they end
    std::vector<int32_t> end(n_steps + 2, 0), end_of(n_channels + 1, 0);
    for (int k = 0; k < n_events; k++) {
        const int i = channels[k], step = std::min(std::max(steps[k], free[i]), n_steps);
        steps[k] = step;
        free[i] = step + 1;
        end_of[i + 1] += step < n_steps;
    }
    in_quarters(n_events, [&](int k) { end[steps[k] + 1]++; });
    for (int n = 0; n < n_steps; n++) end[n + 1] += end[n];
    for (int i = 0; i < n_channels; i++) end_of[i + 1] += end_of[i];
    tape.begin.assign(end.begin(), end.end() - 1);
    tape.begin_of = end_of;
    tape.count = end[n_steps];

    tape.neuron.resize(n_events);
    tape.arrival.resize(n_events);
    in_quarters(n_events, [&](int k) { tape.neuron[end[steps[k]]++] = channels[k]; });
    for (int k = 0; k < n_events; k++)
        if (steps[k] < n_steps) tape.arrival[end_of[channels[k]]++] = steps[k] + 1;
}
