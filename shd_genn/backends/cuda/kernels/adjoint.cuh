#pragma once
// The adjoint: one block a trial, which walks back through all steps, with the same places for neurons as the forward
// pass. A spike jumps by what it caused, a sum over all neurons that it was sent to, of the step after it; the
// warp that the neuron is in works it out by itself, so that a step has one barrier.
// NumPy twin: shd_genn.backends.eventprop.backward; the output's: trial.output_drive.

#include "derived.cuh"

struct AdjointShared {
    alignas(16) float difference[2][LANES];  // lambda_V - lambda_I of a step and of the one after it, in turn
};

// sums += a lane's share of sum_j w_ij (lambda_V - lambda_I)_j of the step after the spikes of N neurons i.
template <class C, int N>
__device__ __forceinline__ void caused_at_once(const float* values, const float* after, const int (&neurons)[N],
                                               int lane, float (&sums)[N]) {
    const float* row[N];
    for (int n = 0; n < N; n++) row[n] = values + C::WEIGHTS + int64_t(neurons[n]) * C::WIDTH;
    [[maybe_unused]] constexpr int LOADS = V == 4 ? 4 : 8;  // as many at a time as registers allow
#pragma unroll LOADS
    for (int j = lane * V; j < C::WIDTH; j += 32 * V) {
        float d[V], w[N][V];
        for (int n = 0; n < N; n++) load_constant(row[n] + j, w[n]);
        load(after + C::Target::FIRST + j, d);
        for (int n = 0; n < N; n++)
            for (int v = 0; v < V; v++) sums[n] = fmaf(w[n][v], d[v], sums[n]);
    }
}

// The same where synapses have delays: each reads the step in which its spike arrives.
template <class C, int N>
__device__ __forceinline__ void caused_late(const float* values, const float* difference, const int (&neurons)[N],
                                            int lane, int step, int n_steps, float (&sums)[N]) {
    for (int n = 0; n < N; n++)
        for (int j = lane * V; j < C::WIDTH; j += 32 * V) {
            const int64_t at = int64_t(neurons[n]) * C::WIDTH + j;
            float w[V], delay[V];
            load_constant(values + C::WEIGHTS + at, w);
            load_delays<C>(values, neurons[n], j, delay);
            for (int v = 0; v < V; v++) {
                const int arrival = step + 1 + whole_steps(delay[v]);
                if (arrival < n_steps)
                    sums[n] = fmaf(w[v], difference[int64_t(arrival) * LANES + C::Target::FIRST + j + v], sums[n]);
            }
        }
}

// What the spikes of N neurons of this warp, given by their lanes, caused in all populations; every
// neuron's own thread adds it to what it caused.
template <int N>
__device__ __forceinline__ void add_caused(const float* values, const float* difference, const float* after,
                                           const Place& me, const int (&spiking)[N], int step, int n_steps,
                                           float (&caused)[V]) {
    float sums[N] = {};
    for_each(Connections{}, [&](auto c) {
        using C = decltype(c);
        if (!me.in(typename C::Source{})) return;
        int neurons[N];
        for (int n = 0; n < N; n++) neurons[n] = spiking[n] - C::Source::FIRST;
        if constexpr (C::DELAYED)
            caused_late<C>(values, difference, neurons, me.lane, step, n_steps, sums);
        else
            caused_at_once<C>(values, after, neurons, me.lane, sums);
    });
    warp_sums(sums);
    for (int n = 0; n < N; n++)
        for (int v = 0; v < V; v++)
            if (me.first + v == spiking[n]) caused[v] = sums[n];
}

// Take a spike out of a warp's masks; the lane of its neuron, or -1 if none is left.
__device__ __forceinline__ int next_spike(uint32_t (&left)[V], int warp) {
    int taken = -1;
#pragma unroll
    for (int v = 0; v < V; v++) {
        const bool mine = taken < 0 && left[v];
        taken = mine ? (warp * 32 + __ffs(left[v]) - 1) * V + v : taken;
        left[v] = mine ? left[v] & (left[v] - 1) : left[v];
    }
    return taken;
}

// Gradients of what is learned of a thread's neurons, and the constants that it takes.
struct OwnGradients {
    float by_mem[V] = {}, by_syn[V] = {}, by_thresh[V] = {};
    float tau_mem[V] = {}, by_mem_unit[V] = {}, by_syn_unit[V] = {};

    __device__ __forceinline__ explicit OwnGradients(const float* constants) {
        if constexpr (LEARNS_TAU || LEARNS_V_THRESH) load_constant(constants + TAU_MEM * LANES, tau_mem);
        if constexpr (LEARNS_TAU_MEM) load_constant(constants + BY_MEM_UNIT * LANES, by_mem_unit);
        if constexpr (LEARNS_TAU_SYN) load_constant(constants + BY_SYN_UNIT * LANES, by_syn_unit);
    }
    // A change of V, whose derivatives are given in the units of forward.cuh, changes the loss by so much.
    __device__ __forceinline__ void learn(int v, float by_voltage, float mem, float syn) {
        if constexpr (LEARNS_TAU_MEM) by_mem[v] = fmaf(by_voltage * by_mem_unit[v], mem, by_mem[v]);
        if constexpr (LEARNS_TAU_SYN) by_syn[v] = fmaf(by_voltage * by_syn_unit[v], syn, by_syn[v]);
        if constexpr (LEARNS_V_THRESH) by_thresh[v] -= by_voltage;
    }
    __device__ __forceinline__ void write(const Place& me, float* partial) const {
        for_each(Populations{}, [&](auto p) {
            using P = decltype(p);
            if (!me.in(p)) return;
            const int neuron = me.first - P::FIRST;
            if constexpr (P::BY_TAU_MEM >= 0) store(partial + P::BY_TAU_MEM + neuron, by_mem);
            if constexpr (P::BY_TAU_SYN >= 0) store(partial + P::BY_TAU_SYN + neuron, by_syn);
            if constexpr (P::BY_V_THRESH >= 0) store(partial + P::BY_V_THRESH + neuron, by_thresh);
        });
    }
};

// How the loss acts on the output neurons of a thread.
struct OutputDrive {
    float held[V] = {};  // the drive of one trial, of all steps or of the step at hand
    int best[V] = {};    // Trials::readout_step
    float by_mem[V] = {}, by_syn[V] = {};
    int64_t trial;
    int column;

    __device__ __forceinline__ OutputDrive(const Trials& trials, int64_t trial_, int column_)
        : trial(trial_), column(column_) {
        for (int v = 0; v < V; v++) {
            best[v] = trials.readout_step[trial * Output::WIDTH + column + v];
            if (FORM != EACH_STEP && column + v < Output::SIZE)
                held[v] = trials.drive[trial * Output::SIZE + column + v];
        }
        if constexpr (LEARNS_TAU && FORM != EACH_STEP) {
            load(trials.kept + trial * 2 * Output::WIDTH + column, by_mem);
            load(trials.kept + (trial * 2 + 1) * Output::WIDTH + column, by_syn);
        }
    }
    // What lambda_V and lambda_I of an output that does not spike decay towards in a step.
    __device__ __forceinline__ void towards(const Common& common, const Trials& trials, int step, float weight,
                                            float (&d)[V], OwnGradients& own) {
        const int64_t row = trial * common.n_steps + step;
        if constexpr (FORM == EACH_STEP) {
            for (int v = 0; v < V; v++)
                held[v] = column + v < Output::SIZE ? trials.drive[row * Output::SIZE + column + v] : 0.0f;
            if constexpr (LEARNS_TAU) {
                load(trials.kept_each + row * 2 * Output::WIDTH + column, by_mem);
                load(trials.kept_each + (row * 2 + 1) * Output::WIDTH + column, by_syn);
            }
        }
        for (int v = 0; v < V; v++) {
            d[v] = FORM == MAX && step != best[v] ? 0.0f : held[v] * weight;
            if constexpr (FORM != WEIGHTED)
                if (FORM == EACH_STEP || step == best[v]) own.learn(v, -common.dt_ms * d[v], by_mem[v], by_syn[v]);
        }
    }
};

// Who of a warp spikes, in 32 steps: lane l has the masks of the l-th step back from the last one.
__device__ __forceinline__ void load_masks(const Trials& trials, int64_t trial, int warp, int last, int lane,
                                           int n_steps, uint32_t (&masks)[V]) {
    const int step = last - lane;
    const uint32_t* const of_step = trials.masks + ((trial * n_steps + step) * WARPS + warp) * V;
    for (int v = 0; v < V; v++) masks[v] = step >= 0 ? of_step[v] : 0;
}

// What the tape has of each neuron's last spike that is not yet jumped over. It is asked for when the one after it is
// jumped over, for it comes from far away.
struct LastSpikes {
    int left[V];             // how many there are
    const float* where[V];   // its slope
    float slope[V] = {}, by_mem[V] = {}, by_syn[V] = {};

    __device__ __forceinline__ LastSpikes(const Trials& trials, int64_t trial, int first, int n_steps,
                                          bool is_derived) {
        for (int v = 0; v < V; v++) {
            left[v] = is_derived ? 0 : trials.count[trial * LANES + first + v];
            where[v] = trials.slope + row_of(trial, left[v] - 1, n_steps) + first + v;
            ask_for(trials, v);
        }
    }
    __device__ __forceinline__ void ask_for(const Trials& trials, int v) {
        if (left[v] == 0) return;
        slope[v] = *where[v];
        [[maybe_unused]] const int64_t at = where[v] - trials.slope;
        if constexpr (LEARNS_TAU_MEM) by_mem[v] = trials.by_mem[at];
        if constexpr (LEARNS_TAU_SYN) by_syn[v] = trials.by_syn[at];
    }
    __device__ __forceinline__ void done(const Trials& trials, int v) {
        left[v]--;
        where[v] -= LANES;
        ask_for(trials, v);
    }
};

// A step back of neurons that are described by equations.
__device__ __forceinline__ void back_derived(const Common& common, const Trials& trials, int64_t trial,
                                             const Place& me, int step, const uint32_t (&spikes)[V],
                                             const float (&caused)[V], const float (&jump)[V], DerivedAdjoint& derived,
                                             float (&lambda_i)[V], float (&difference)[V]) {
    bool spiked[V];
    for (int v = 0; v < V; v++) spiked[v] = spikes[v] >> me.lane & 1;
    for_each(Populations{}, [&](auto p) {
        using P = decltype(p);
        if constexpr (P::DERIVED)
            if (me.in(p))
                derived.back(p, trials, common.constants + me.first, trial, step, common.n_steps, me.first - P::FIRST,
                             spiked, caused, jump, lambda_i, difference);
    });
}

__global__ void __launch_bounds__(THREADS, BLOCKS) adjoint(Common common, Trials trials) {
    SHARED(AdjointShared, shared);
    const Place me = Place::here();
    const int n_steps = common.n_steps;
    const int64_t trial = blockIdx.x;
    const float* const constants = common.constants + me.first;
    float alpha[V], beta[V], cross[V], v_thresh[V], jump[V];
    load_constant(constants + ALPHA * LANES, alpha);
    load_constant(constants + BETA * LANES, beta);
    load_constant(constants + ADJOINT_GAIN * LANES, cross);
    load_constant(constants + V_THRESH * LANES, v_thresh);
    load_constant(trials.jump + me.first, jump);
    OwnGradients own(constants);

    const bool is_output = me.in(Output{});
    OutputDrive output(trials, trial, is_output ? me.first - Output::FIRST : 0);
    float lambda_v[V] = {}, lambda_i[V] = {};
    if (is_output)
        for (int v = 0; v < V; v++) {
            // Neurons that never spiked begin with their drive; it is not zero for the label only.
            if (FORM == FIRST_SPIKE && output.best[v] == n_steps) {
                lambda_v[v] = output.held[v];
                own.learn(v, -own.tau_mem[v] * lambda_v[v], output.by_mem[v], output.by_syn[v]);
            }
            if (FORM == WEIGHTED) own.learn(v, -common.dt_ms * output.held[v], output.by_mem[v], output.by_syn[v]);
        }
    bool is_late_target = false, is_derived = false;
    for_each(Populations{}, [&](auto p) {
        if (!me.in(p)) return;
        is_late_target = decltype(p)::IS_LATE_TARGET;
        is_derived = decltype(p)::DERIVED;
    });
    [[maybe_unused]] DerivedAdjoint derived;

    const float* const differences = trials.difference + row_of(trial, 0, n_steps);
    float* history = trials.history + row_of(trial, n_steps - 1, n_steps) + me.first;
    LastSpikes last(trials, trial, me.first, n_steps, is_derived);
    uint32_t masks[V] = {}, next_masks[V];  // of 32 steps, and of those that come after them
    load_masks(trials, trial, me.warp, n_steps - 1, me.lane, n_steps, next_masks);
    const float zeros[V] = {};
    store(shared.difference[n_steps & 1] + me.first, zeros);
    __syncthreads();

    for (int step = n_steps - 1; step >= 0; step--) {
        const float* const after = shared.difference[~step & 1];
        float* const now = shared.difference[step & 1];
        const float drive_weight = is_output ? __ldg(common.drive_weight + step) : 0.0f;
        const int back = (n_steps - 1 - step) % 32;
        if (back == 0) {
            for (int v = 0; v < V; v++) masks[v] = next_masks[v];
            load_masks(trials, trial, me.warp, step - 32, me.lane, n_steps, next_masks);
        }
        uint32_t spikes[V];
        for (int v = 0; v < V; v++) spikes[v] = __shfl_sync(ALL, masks[v], back);

        // two spikes at a time, for one alone is mostly waiting
        float caused[V] = {};
        uint32_t left[V];
        for (int v = 0; v < V; v++) left[v] = spikes[v];
        for (int one = next_spike(left, me.warp); one >= 0; one = next_spike(left, me.warp)) {
            const int other = next_spike(left, me.warp);
            if (other >= 0)
                add_caused<2>(common.values, differences, after, me, {one, other}, step, n_steps, caused);
            else
                add_caused<1>(common.values, differences, after, me, {one}, step, n_steps, caused);
        }

        float difference[V] = {};
        if (is_derived) {
            back_derived(common, trials, trial, me, step, spikes, caused, jump, derived, lambda_i, difference);
        } else {
            // lambda_I = A (alpha - beta) lambda_V + beta lambda_I;  lambda_V = alpha lambda_V: both towards d
            float d[V] = {};
            if (FORM != FIRST_SPIKE && is_output) output.towards(common, trials, step, drive_weight, d, own);
            for (int v = 0; v < V; v++) {
                const float above_v = lambda_v[v] - d[v], above_i = lambda_i[v] - d[v];
                lambda_i[v] = d[v] + fmaf(cross[v], above_v, beta[v] * above_i);
                lambda_v[v] = fmaf(alpha[v], above_v, d[v]);
            }
            // At a spike: lambda_V += (threshold lambda_V + what it caused) / slope - regulariser. Then
            // -tau_mem lambda_V is the derivative of the loss by V there, see sensitivities.py.
            for (int v = 0; v < V; v++) {
                if (!(spikes[v] >> me.lane & 1)) continue;
                if (FORM == FIRST_SPIKE && is_output && output.best[v] == step) caused[v] += output.held[v];
                lambda_v[v] += fmaf(v_thresh[v], lambda_v[v], caused[v]) / last.slope[v] - jump[v];
                if constexpr (LEARNS_TAU || LEARNS_V_THRESH)
                    own.learn(v, -own.tau_mem[v] * lambda_v[v], last.by_mem[v], last.by_syn[v]);
                last.done(trials, v);
            }
            for (int v = 0; v < V; v++) difference[v] = lambda_v[v] - lambda_i[v];
        }
        store(now + me.first, difference);
        store(history, lambda_i);
        history -= LANES;
        if (is_late_target) store(trials.difference + row_of(trial, step, n_steps) + me.first, difference);
        __syncthreads();
    }
    own.write(me, trials.partial + trial * N_LEARNED);
    if constexpr (ANY_DERIVED)
        for_each(Populations{}, [&](auto p) {
            using P = decltype(p);
            if constexpr (P::DERIVED)
                if (me.in(p)) derived.finish(p, constants, me.first - P::FIRST, trials.partial + trial * N_LEARNED);
        });
}
