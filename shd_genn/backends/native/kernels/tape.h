#pragma once
// The spikes of one population in one trial: all that the backward pass needs of the forward one.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

struct Tape {
    // By step: step n owns entries begin[n] .. begin[n + 1], neurons ascending.
    std::vector<int32_t> begin;
    std::vector<int32_t> neuron;
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
        neuron.resize(2 * (count + more));
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

// The first step that is not before a time, as GeNN compares: float32(step * dt) >= time. The quotient
// is at most one step off. Without branches, so that compilers make vectors of it.
inline int32_t step_at(float time_ms, float dt_ms, float end_ms, int n_steps) {
    const float guess = std::ceil(time_ms / dt_ms);
    const float lower = (guess - 1) * dt_ms >= time_ms ? guess - 1 : guess;
    const float step = lower * dt_ms < time_ms ? lower + 1 : lower;
    return time_ms < end_ms ? int32_t(step) : n_steps;
}

// Input spikes on the grid, by step and by neuron. A neuron emits at most one a step; the others
// queue up behind it. Two stable counting sorts, by channel and then by step: so a channel's spikes
// queue one after the other, and channels ascend within a step.
inline void tape_input(const float* times_ms, const uint16_t* channels, int n_events,
                       int n_channels, int n_steps, float dt_ms, Tape& tape) {
    const float end_ms = n_steps * dt_ms;
    std::vector<int32_t> steps(n_events), by_channel(n_events);
    for (int k = 0; k < n_events; k++) steps[k] = step_at(times_ms[k], dt_ms, end_ms, n_steps);
    std::vector<int32_t> end(n_channels + 1, 0);  // first where a channel's events go, then where they end
    for (int k = 0; k < n_events; k++) end[channels[k] + 1]++;
    for (int i = 0; i < n_channels; i++) end[i + 1] += end[i];
    for (int k = 0; k < n_events; k++) by_channel[end[channels[k]]++] = steps[k];

    tape.start(n_steps);
    tape.begin_of.assign(n_channels + 1, 0);
    tape.arrival.resize(n_events);
    int count = 0;
    for (int i = 0, k = 0; i < n_channels; i++) {
        for (int free = 0; k < end[i]; k++) {
            const int step = std::max(by_channel[k], free);
            if (step >= n_steps) continue;  // after the trial: forgotten
            free = step + 1;
            tape.arrival[count++] = free;
            tape.begin[free]++;
        }
        tape.begin_of[i + 1] = count;
    }
    tape.arrival.resize(count);
    tape.count = count;
    for (int n = 0; n < n_steps; n++) tape.begin[n + 1] += tape.begin[n];

    tape.neuron.resize(count);
    std::vector<int32_t> place(tape.begin.begin(), tape.begin.end() - 1);
    for (int i = 0, k = 0; i < n_channels; i++)
        for (; k < tape.begin_of[i + 1]; k++) tape.neuron[place[tape.arrival[k] - 1]++] = i;
}
