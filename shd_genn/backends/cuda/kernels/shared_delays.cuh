#pragma once
// Gradients of one trial by delays that synapses share: of a source neuron (axonal), or of a target neuron (dendritic).
// They add up dt w_ij (lambda_V - lambda_I)_j of the step in which each spike of i arrives at j, over the synapses that
// share the delay, in a fixed order.
// NumPy twin: reference/eventprop.py:_learn_delays

#include "gradient.cuh"

// One block a trial and GRADIENT_WARPS source neurons: a warp takes one, its lanes the targets.
template <class C>
__global__ void __launch_bounds__(32 * GRADIENT_WARPS) axonal_gradient(Common common, Trials trials) {
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, n_steps = common.n_steps;
    const int source = int(blockIdx.x) * GRADIENT_WARPS + warp;
    const int64_t trial = blockIdx.y;
    if (source >= C::SHARED_DELAYS) return;
    float sums[1] = {};
    if (source < C::SOURCES) {
        const Arrivals of = arrivals_of<C>(trials, trial, source, n_steps);
        const int late = whole_steps(__ldg(common.values + C::DELAYS + source));
        const float* const weights = common.values + C::WEIGHTS + int64_t(source) * C::WIDTH;
        const float* const difference = trials.difference + row_of(trial, 0, n_steps) + C::Target::FIRST;
        for (int k = 0; k < of.n && of.step[k] + late < n_steps; k++) {
            const float* const at_arrival = difference + int64_t(of.step[k] + late) * LANES;
            for (int j = lane; j < C::WIDTH; j += 32) sums[0] = fmaf(__ldg(weights + j), at_arrival[j], sums[0]);
        }
    }
    warp_sums(sums);
    if (lane == 0) trials.partial[trial * N_LEARNED + C::DELAYS + source] = common.dt_ms * sums[0];
}

struct DendriticShared {
    float of_warp[GRADIENT_WARPS][32];
};

// One block a trial and strip of 32 target neurons: a lane takes one, its warp some of the sources.
template <class C>
__global__ void __launch_bounds__(32 * GRADIENT_WARPS) dendritic_gradient(Common common, Trials trials) {
    SHARED(DendriticShared, shared);
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, n_steps = common.n_steps;
    const int column = int(blockIdx.x) * 32 + lane;
    const int64_t trial = blockIdx.y;
    const int late = whole_steps(__ldg(common.values + C::DELAYS + column));
    const float* const difference = trials.difference + row_of(trial, 0, n_steps) + C::Target::FIRST + column;
    float sum = 0;
    for (int source = warp; source < C::SOURCES; source += GRADIENT_WARPS) {
        const Arrivals of = arrivals_of<C>(trials, trial, source, n_steps);
        float moved = 0;
        for (int k = 0; k < of.n && of.step[k] + late < n_steps; k++)
            moved += difference[int64_t(of.step[k] + late) * LANES];
        sum = fmaf(__ldg(common.values + C::WEIGHTS + int64_t(source) * C::WIDTH + column), moved, sum);
    }
    shared.of_warp[warp][lane] = sum;
    __syncthreads();
    if (warp > 0) return;
    float all = 0;
    for (int w = 0; w < GRADIENT_WARPS; w++) all += shared.of_warp[w][lane];
    trials.partial[trial * N_LEARNED + C::DELAYS + column] = common.dt_ms * all;
}
