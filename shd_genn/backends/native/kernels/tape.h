#pragma once
// The spikes of one population in one trial: all that the backward pass needs of the forward pass.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "failure.h"

using Neuron = uint16_t;  // a population has at most 65535 neurons (network/)

struct Tape {
    // By step: step n owns the entries from begin[n] to begin[n + 1].
    std::vector<int32_t> begin;
    std::vector<Neuron> neuron;
    std::vector<float> slope;  // I/S - V at each spike, in proportion to dV/dt; not for inputs
    std::vector<float> by_mem, by_syn;  // derivatives of V by tau_mem, tau_syn, if learned
    // Of neurons that are described by equations (derived.h), instead of the slope:
    std::vector<float> at_spike;   // the state before each spike, and the current
    std::vector<uint8_t> substep;  // the part of the step in which it was emitted
    int count = 0;
    // By neuron: the steps in which the spikes of neuron i arrive, ascending, from begin_of[i] to
    // begin_of[i + 1]. A spike arrives one step after it was emitted.
    std::vector<int32_t> begin_of;
    std::vector<int32_t> arrival;

    void start(int n_steps) {
        begin.assign(n_steps + 1, 0);
        count = 0;
    }

    // Make room for more spikes.
    void reserve(int more, bool learns_time_constants) {
        if (int(neuron.size()) >= count + more) return;
        const size_t n = size_t(count) + count / 4 + 2 * size_t(more);
        slope.resize(n);
        if (learns_time_constants) {
            by_mem.resize(n);
            by_syn.resize(n);
        }
        neuron.resize(n);  // last: its size says how much room there is
    }

    // Make room for more spikes of neurons that are described by equations; n numbers are kept of each.
    void reserve_derived(int more, int n_numbers) {
        if (int(neuron.size()) >= count + more) return;
        const size_t n = size_t(count) + count / 4 + 2 * size_t(more);
        at_spike.resize(n * n_numbers);
        substep.resize(n);
        neuron.resize(n);
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
// with by_dt = 1/dt is at most one step off. Without branches, so that compilers make vectors of it.
// NumPy twin: backends/reference/trial.py:steps_of_input
inline int32_t step_at(float time_ms, float by_dt, float dt_ms, float end_ms, int n_steps) {
    const float guess = std::ceil(time_ms * by_dt);
    const float lower = (guess - 1) * dt_ms >= time_ms ? guess - 1 : guess;
    const float step = lower * dt_ms < time_ms ? lower + 1 : lower;
    return time_ms < end_ms ? int32_t(std::max(step, 0.0f)) : n_steps;
}

// body(0) .. body(n - 1), from four places in turn: neighbours would count at the same address, and
// wait for each other.
template <class Body>
inline void in_quarters(int n, const Body& body) {
    const int quarter = n / 4;
    for (int k = 0; k < quarter; k++)
        for (int q = 0; q < 4; q++) body(k + q * quarter);
    for (int k = 4 * quarter; k < n; k++) body(k);
}

// Put input spikes, sorted by time, on the grid: by step and by neuron. A neuron emits at most one
// spike a step; the others follow in the next steps. What comes after the trial is dropped.
// NumPy twin: backends/reference/trial.py:steps_of_input
inline void tape_input(const float* times_ms, const uint16_t* channels, int n_events,
                       int n_channels, int n_steps, float dt_ms, Tape& tape) {
    uint16_t highest = 0;
    for (int k = 0; k < n_events; k++) highest = std::max(highest, channels[k]);
    refuse_unless(n_events == 0 || highest < n_channels, "a spike's channel has no input neuron");
    const float end_ms = n_steps * dt_ms, by_dt = 1 / dt_ms;
    std::vector<int32_t> steps(n_events), free_from(n_channels, 0);
    int32_t *const step_of = steps.data(), *const free = free_from.data();
    for (int k = 0; k < n_events; k++)
        step_of[k] = step_at(times_ms[k], by_dt, dt_ms, end_ms, n_steps);
    for (int k = 0; k < n_events; k++) {
        const int i = channels[k], step = std::max(step_of[k], free[i]);
        step_of[k] = step;
        free[i] = step + 1;
    }
    for (int k = 0; k < n_events; k++) step_of[k] = std::min(step_of[k], n_steps);
    // first where the spikes of a step or channel begin; where they end, once they are put there
    std::vector<int32_t> end(n_steps + 2, 0), end_of(n_channels + 1, 0);
    in_quarters(n_events, [&](int k) { end_of[channels[k] + 1] += step_of[k] < n_steps; });
    in_quarters(n_events, [&](int k) { end[step_of[k] + 1]++; });
    for (int n = 0; n < n_steps; n++) end[n + 1] += end[n];
    for (int i = 0; i < n_channels; i++) end_of[i + 1] += end_of[i];
    tape.begin.assign(end.begin(), end.end() - 1);
    tape.begin_of = end_of;
    tape.count = end[n_steps];

    tape.neuron.resize(n_events);
    tape.arrival.resize(n_events);
    in_quarters(n_events, [&](int k) { tape.neuron[end[step_of[k]]++] = channels[k]; });
    int32_t* const arrival = tape.arrival.data();
    for (int k = 0; k < n_events; k++)
        if (step_of[k] < n_steps) arrival[end_of[channels[k]]++] = step_of[k] + 1;
}
