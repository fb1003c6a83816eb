#pragma once
// The arrays that kernels work on. What is written [trial] has a place for every trial of a batch, or of the part
// of a batch that fits into memory.

#include "topology.cuh"

// What all trials have in common.
struct Common {
    const float* values;        // N_VALUES: all parameters, see topology.cuh
    const float* constants;     // [Constant][LANES]
    const float* read_weight;   // [step]: of the output's voltage in the readout
    const float* drive_weight;  // [step]: of the loss in the output's adjoint
    float dt_ms;
    int n_steps;
};

struct Trials {
    // Spikes of the input as they are given, sorted by time. Trial i owns events offsets[i] .. offsets[i + 1].
    const float* times_ms;
    const uint16_t* channels;
    const int64_t* offsets;  // [trial + 1]
    // The same on the grid, written by sort_input: by channel, the steps at which spikes arrive, ascending; and by the
    // step in which they are emitted, their channels, ascending.
    uint16_t* input_arrival;  // [event]
    uint16_t* input_channel;  // [event]
    int* input_begin_of;      // [trial][INPUTS + 1]: where a channel's arrivals begin
    int* input_count_of;      // [trial][INPUTS]: how many there are
    int* input_begin;         // [trial][n_steps + 2]: where a step's channels begin
    int* input_spikes;        // [trial]: how many are emitted before the trial ends
    int* sort_counts;         // [trial][SORT_WARPS][INPUTS or n_steps + 1, whichever is more]
    // The input's current of every step, before the forward pass and in it; then lambda_I, written by the adjoint.
    float* history;     // [trial][n_steps][LANES]
    float* difference;  // [trial][n_steps][LANES]: lambda_V - lambda_I, where connections have delays
    // The tape: each neuron's k-th spike, and the neurons that spike in a step as bits.
    float* slope;       // [trial][k][LANES]: I/S - V there, in proportion to dV/dt
    float* by_mem;      // [trial][k][LANES]: derivatives of V there, if time constants are learned
    float* by_syn;
    uint16_t* arrival;  // [trial][LANES][k]: the step in which it arrives, one after its own
    int* count;         // [trial][LANES]; -n if the neuron had left all bounds after n steps
    // Of neurons that are described by equations: what is kept of each step, see derived.cuh; null if nothing need be. And
    // the state of a neuron that has left all bounds.
    float* kept_steps;  // [trial][n_steps][KEPT]
    float* unbounded;   // [trial][MOST_STATES][LANES]
    uint32_t* masks;    // [trial][n_steps][WARPS][V]: lane l's v-th neuron is bit l of word v
    // The output
    float* readout;     // [trial][Output::WIDTH]
    int* readout_step;  // likewise: of the largest voltage, or of the first spike (n_steps if there is none)
    float* kept;        // [trial][2][Output::WIDTH]: derivatives of V by tau_mem and tau_syn, see forward.cuh
    float* kept_each;   // [trial][n_steps][2][Output::WIDTH]: of every step, where the loss acts on each
    float* voltages;    // [trial][n_steps][Output::SIZE], or null if nobody wants them
    // Drop-out
    const uint8_t* silent;  // [trial][LANES]: whether a neuron emits no spike in a trial; null if all may
    // The backward pass
    const float* drive;  // [trial][Output::SIZE], or [trial][n_steps][Output::SIZE] where each step has its own
    const float* jump;   // [LANES]: the regulariser's
    float* partial;      // [trial][N_LEARNED]: gradients of one trial
};

// Which neurons a thread of the forward pass and of the adjoint carries: those of lanes first .. first + V - 1.
struct Place {
    int thread, warp, lane, first;

    __device__ __forceinline__ static Place here() {
        const int thread = int(threadIdx.x);
        return {thread, thread / 32, thread % 32, thread * V};
    }
    template <class P>
    __device__ __forceinline__ bool in(P) const {
        return first >= P::FIRST && first < P::FIRST + P::WIDTH;
    }
};

// The delays of synapses of one source neuron, to target neurons that lie side by side.
template <class C, int N>
__device__ __forceinline__ void load_delays(const float* values, int source, int column, float (&delay)[N]) {
    if constexpr (C::DELAY_KIND == AXONAL) {
        const float shared = __ldg(values + C::DELAYS + source);
        for (int v = 0; v < N; v++) delay[v] = shared;
    } else {
        const int64_t row = C::DELAY_KIND == DENDRITIC ? 0 : int64_t(source) * C::WIDTH;
        load_constant(values + C::DELAYS + row + column, delay);
    }
}

// Where one step of one trial begins in an array [trial][n_steps][LANES].
__device__ __forceinline__ int64_t row_of(int64_t trial, int step, int n_steps) {
    return (trial * n_steps + step) * LANES;
}
