#pragma once
// The input's spikes, put on the grid and sorted by channel and by step: one block a trial.
// NumPy twin: shd_genn.backends.trial.steps_of_input.

#include "trials.cuh"

constexpr int SORT_WARPS = 32, SORT_THREADS = 32 * SORT_WARPS;

// The first step that is not before a time, as GeNN compares: float32(step * dt) >= time. The product that
// by_dt = 1/dt makes of it is at most one step off. What comes after the trial gets n_steps.
__device__ __forceinline__ int step_at(float time_ms, float by_dt, float dt_ms, float end_ms, int n_steps) {
    const float guess = ceilf(time_ms * by_dt);
    const float lower = (guess - 1) * dt_ms >= time_ms ? guess - 1 : guess;
    const float step = lower * dt_ms < time_ms ? lower + 1 : lower;
    return time_ms < end_ms ? int(step) : n_steps;
}

// Sort n things by the bin that each is in; those of a bin keep their order. place(k, position) is told where
// thing k goes. Every warp counts, and later places, a stretch of its own, 32 things at a time.
// counts: [SORT_WARPS][n_bins], any content; begin: [n_bins + 1], receives where bins begin.
template <class Bin, class Place>
__device__ void stable_sort(int n, int n_bins, int* counts, int* begin, int (&sums)[SORT_WARPS],
                            const Bin& bin_of, const Place& place) {
    const int thread = int(threadIdx.x), warp = thread / 32, lane = thread % 32;
    const uint32_t lower_lanes = (1u << lane) - 1;
    const int share = (n + 32 * SORT_WARPS - 1) / (32 * SORT_WARPS) * 32;
    const int from = warp * share, to = from + share < n ? from + share : n;
    int* const mine = counts + int64_t(warp) * n_bins;

    for (int i = thread; i < SORT_WARPS * n_bins; i += SORT_THREADS) counts[i] = 0;
    __syncthreads();
    for (int k = from + lane; k - lane < to; k += 32) {
        const int bin = k < to ? bin_of(k) : -1;
        const uint32_t same = __match_any_sync(ALL, bin);
        if (bin >= 0 && (same & lower_lanes) == 0) mine[bin] += __popc(same);
        __syncwarp();
    }
    __syncthreads();

    // every thread adds up a stretch of bins, then what comes before it
    const int per_thread = (n_bins + SORT_THREADS - 1) / SORT_THREADS;
    const int first_bin = thread * per_thread;
    const int last_bin = first_bin + per_thread < n_bins ? first_bin + per_thread : n_bins;
    int sum = 0;
    for (int bin = first_bin; bin < last_bin; bin++)
        for (int w = 0; w < SORT_WARPS; w++) sum += counts[int64_t(w) * n_bins + bin];
    const int until = warp_scan(sum, lane);
    if (lane == 31) sums[warp] = until;
    __syncthreads();
    int at = until - sum;
    for (int w = 0; w < warp; w++) at += sums[w];
    for (int bin = first_bin; bin < last_bin; bin++) {
        begin[bin] = at;
        for (int first = 0; first < SORT_WARPS; first += 8) {  // eight loads at a time
            int of_warp[8];
            for (int w = 0; w < 8; w++) of_warp[w] = counts[int64_t(first + w) * n_bins + bin];
            for (int w = 0; w < 8; w++) {
                counts[int64_t(first + w) * n_bins + bin] = at;
                at += of_warp[w];
            }
        }
    }
    if (thread == SORT_THREADS - 1) begin[n_bins] = n;
    __syncthreads();

    for (int k = from + lane; k - lane < to; k += 32) {
        const int bin = k < to ? bin_of(k) : -1;
        const uint32_t same = __match_any_sync(ALL, bin);
        int place_in_bin = 0;
        if (bin >= 0) {
            place_in_bin = mine[bin];
            place(k, place_in_bin + __popc(same & lower_lanes));
        }
        __syncwarp();
        if (bin >= 0 && (same & lower_lanes) == 0) mine[bin] = place_in_bin + __popc(same);
        __syncwarp();
    }
    __syncthreads();
}

struct SortShared {
    int sums[SORT_WARPS];  // of the things that a warp's bins hold
};

__global__ void __launch_bounds__(SORT_THREADS) sort_input(Common common, Trials trials) {
    SHARED(SortShared, shared);
    const int64_t trial = blockIdx.x, from = trials.offsets[trial];
    const int n = int(trials.offsets[trial + 1] - from), n_steps = common.n_steps;
    const float* const times_ms = trials.times_ms + from;
    const uint16_t* const channels = trials.channels + from;
    uint16_t* const arrival = trials.input_arrival + from;
    uint16_t* const channel_of_step = trials.input_channel + from;
    int* const begin_of = trials.input_begin_of + trial * (INPUTS + 1);
    int* const count_of = trials.input_count_of + trial * INPUTS;
    int* const begin = trials.input_begin + trial * (n_steps + 2);
    const int most_bins = INPUTS > n_steps + 1 ? INPUTS : n_steps + 1;
    int* const counts = trials.sort_counts + trial * SORT_WARPS * most_bins;
    const float dt_ms = common.dt_ms, by_dt = 1 / dt_ms, end_ms = float(n_steps) * dt_ms;

    // by channel: the first step that is not before each spike, and its channel
    stable_sort(n, INPUTS, counts, begin_of, shared.sums, [&](int k) { return int(channels[k]); },
                [&](int k, int position) {
                    arrival[position] = uint16_t(step_at(times_ms[k], by_dt, dt_ms, end_ms, n_steps));
                });
    // A channel emits at most one spike a step; the others queue up behind it. They arrive one step later.
    for (int channel = int(threadIdx.x); channel < INPUTS; channel += SORT_THREADS) {
        int next_free = 0, count = 0;
        for (int k = begin_of[channel]; k < begin_of[channel + 1]; k++) {
            const int earliest = arrival[k], queued = earliest > next_free ? earliest : next_free;
            const int step = queued < n_steps ? queued : n_steps;
            arrival[k] = uint16_t(step + 1);
            next_free = step + 1;
            count += step < n_steps;
        }
        count_of[channel] = count;
    }
    __syncthreads();
    // by step, and within it by channel: which channel a spike is of is found among the begins
    const auto channel_at = [&](int k) {
        int low = 0, high = INPUTS;  // begin_of[low] <= k < begin_of[high]
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            (begin_of[middle] <= k ? low : high) = middle;
        }
        return low;
    };
    stable_sort(n, n_steps + 1, counts, begin, shared.sums, [&](int k) { return int(arrival[k]) - 1; },
                [&](int k, int position) { channel_of_step[position] = uint16_t(channel_at(k)); });
    if (threadIdx.x == 0) trials.input_spikes[trial] = begin[n_steps];
}
