#pragma once
// What the input's spikes add to a population's current in every step. The input is known before the trial
// begins, so all steps are done at once: one block a trial and strip of target neurons, whose weights stay
// in the first-level cache.
// NumPy twin: shd_genn.backends.synapses.Synapses.receive.

#include "trials.cuh"

constexpr int GATHER_WARPS = 32;

// A lane's share of a strip: two neurons where the width allows it.
template <class C>
constexpr int GATHERED = C::WIDTH % 64 == 0 ? 2 : 1;

// Every spike arrives one step after it was emitted: one warp a step.
template <class C>
__global__ void __launch_bounds__(32 * GATHER_WARPS) gather_input(Common common, Trials trials) {
    constexpr int N = GATHERED<C>;
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
    const int column = (int(blockIdx.x) * 32 + lane) * N, n_steps = common.n_steps;
    const int64_t trial = blockIdx.y;
    const float* const weights = common.values + C::WEIGHTS + column;
    const uint16_t* const channels = trials.input_channel + trials.offsets[trial];
    const int* const begin = trials.input_begin + trial * (n_steps + 2);
    for (int step = warp; step < n_steps; step += GATHER_WARPS) {
        float x[N] = {};
        int k = step == 0 ? 0 : begin[step - 1];
        const int end = step == 0 ? 0 : begin[step];
        for (; k + 4 <= end; k += 4) {  // four loads at a time, added in order
            float a[4][N];
            for (int i = 0; i < 4; i++) load_constant(weights + int64_t(channels[k + i]) * C::WIDTH, a[i]);
            for (int i = 0; i < 4; i++)
                for (int v = 0; v < N; v++) x[v] += a[i][v];
        }
        for (; k < end; k++) {
            float a[N];
            load_constant(weights + int64_t(channels[k]) * C::WIDTH, a);
            for (int v = 0; v < N; v++) x[v] += a[v];
        }
        store(trials.history + row_of(trial, step, n_steps) + C::Target::FIRST + column, x);
    }
}

// With delays, every synapse adds at a step of its own: one thread a target neuron, which alone
// writes its column.
template <class C>
__global__ void __launch_bounds__(32) gather_late_input(Common common, Trials trials) {
    const int column = int(blockIdx.x) * 32 + int(threadIdx.x), n_steps = common.n_steps;
    const int64_t trial = blockIdx.y;
    const float* const weights = common.values + C::WEIGHTS + column;
    const int* const begin_of = trials.input_begin_of + trial * (INPUTS + 1);
    const int* const count_of = trials.input_count_of + trial * INPUTS;
    float* const current = trials.history + row_of(trial, 0, n_steps) + C::Target::FIRST + column;
    for (int step = 0; step < n_steps; step++) current[int64_t(step) * LANES] = 0;
    for (int channel = 0; channel < INPUTS; channel++) {
        const int count = count_of[channel];
        if (count == 0) continue;
        const uint16_t* const arrival = trials.input_arrival + trials.offsets[trial] + begin_of[channel];
        const float weight = __ldg(weights + int64_t(channel) * C::WIDTH);
        float delay[1];
        load_delays<C>(common.values, channel, column, delay);
        const int late = whole_steps(delay[0]);
        for (int k = 0; k < count; k++) {
            const int step = arrival[k] + late;
            if (step < n_steps) current[int64_t(step) * LANES] += weight;
        }
    }
}
