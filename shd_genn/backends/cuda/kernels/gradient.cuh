#pragma once
// Gradients of one trial by the weights of a connection, and by its delays: sums over the arrivals of each source
// neuron's spikes. One block a trial and strip of 32 target neurons, whose lambda_I of all steps stays in the
// first-level cache; a warp takes one source neuron, a lane one target.
// NumPy twin: shd_genn.backends.eventprop.backward (gradient[...] -= tau_syn lambda_i).

#include "trials.cuh"

constexpr int GRADIENT_WARPS = 32;

// The steps in which the spikes of one neuron arrive.
struct Arrivals {
    const uint16_t* step;
    int n;
};

template <class C>
__device__ __forceinline__ Arrivals arrivals_of(const Trials& trials, int64_t trial, int source, int n_steps) {
    Arrivals of;
    if constexpr (C::FROM_INPUT) {
        of.step = trials.input_arrival + trials.offsets[trial] + trials.input_begin_of[trial * (INPUTS + 1) + source];
        of.n = trials.input_count_of[trial * INPUTS + source];
    } else {
        const int64_t lane = trial * LANES + C::Source::FIRST + source;
        of.step = trials.arrival + lane * n_steps;
        of.n = trials.count[lane];
    }
    // a spike of the last step arrives after the trial
    if (of.n > 0 && of.step[of.n - 1] >= n_steps) of.n--;
    return of;
}

template <class C>
__global__ void __launch_bounds__(32 * GRADIENT_WARPS) gradient(Common common, Trials trials) {
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
    const int column = int(blockIdx.x) * 32 + lane, n_steps = common.n_steps;
    const int64_t trial = blockIdx.y;
    const float tau_syn = __ldg(common.constants + C::Target::TAU_SYN_ROW * LANES + C::Target::FIRST + column);
    const float* const lambda_i = trials.history + row_of(trial, 0, n_steps) + C::Target::FIRST + column;
    float* const partial = trials.partial + trial * N_LEARNED;
    for (int source = warp; source <= C::SOURCES; source += GRADIENT_WARPS) {
        const int64_t at = int64_t(source) * C::WIDTH + column;
        // below the last source lies the row of zeros, which learns nothing
        const Arrivals of = source < C::SOURCES ? arrivals_of<C>(trials, trial, source, n_steps) : Arrivals{nullptr, 0};
        float total = 0;
        if constexpr (C::DELAYED) {
            float delay[1];
            load_delays<C>(common.values, source, column, delay);
            const int late = whole_steps(delay[0]);
            constexpr bool LEARNS_EACH = C::LEARNS_DELAY && C::DELAY_KIND == SYNAPTIC;
            const float* const difference = trials.difference + row_of(trial, 0, n_steps) + C::Target::FIRST + column;
            float moved = 0;
            for (int k = 0; k < of.n; k++) {
                const int step = of.step[k] + late;
                if (step >= n_steps) break;
                total += lambda_i[int64_t(step) * LANES];
                if (LEARNS_EACH) moved += difference[int64_t(step) * LANES];
            }
            if constexpr (LEARNS_EACH)
                partial[C::DELAYS + at] = common.dt_ms * __ldg(common.values + C::WEIGHTS + at) * moved;
        } else {
            int k = 0;
            for (; k + 4 <= of.n; k += 4) {  // four loads at a time, added in order
                float a[4];
                for (int i = 0; i < 4; i++) a[i] = lambda_i[int64_t(of.step[k + i]) * LANES];
                for (int i = 0; i < 4; i++) total += a[i];
            }
            for (; k < of.n; k++) total += lambda_i[int64_t(of.step[k]) * LANES];
        }
        partial[C::WEIGHTS + at] = -tau_syn * total;
    }
}
