#pragma once
// The forward pass: one block a trial, which walks through all steps. A thread carries V neurons in its
// registers. Who spikes in a step is written into lists in shared memory, in the neurons' order, which all
// threads walk in the step after. So a step has two barriers, and one where nobody spikes.
// NumPy twin: shd_genn.backends.eventprop.forward; what is learned of neurons: sensitivities.Sensitivity.

#include "derived.cuh"

// An entry of a list that stands for no spike: it points to the row of zeros below a connection's weights. Lists
// are filled up with it to a multiple of AT_ONCE.
template <class P>
constexpr int NOBODY = P::SIZE;

struct ForwardShared {
    alignas(16) int list[LIST];  // neurons that spiked in the step before, population by population
    alignas(16) float ahead[AHEAD][LANES];  // the input's current of the steps to come, in turn
    uint32_t masks[WARPS * V];   // who spikes in this step, see Trials::masks
};

// Where a row of weights begins: one instruction, with the numbers as they are declared here.
template <class C>
__device__ __forceinline__ uint64_t row_offset(int row) {
    return uint64_t(uint32_t(row)) * uint32_t(C::WIDTH);
}

// x += the weights of n spikes, whose neurons are in a list: AT_ONCE loads at a time, added in order.
template <class C>
__device__ __forceinline__ void add_rows(const float* column, const int* list, int n, float (&x)[V]) {
    const int4* const rows = reinterpret_cast<const int4*>(list);
    for (int k = 0; k < n; k += AT_ONCE) {
        float w[AT_ONCE][V];
        for (int i = 0; i < AT_ONCE; i += 4) {
            const int4 row = rows[(k + i) / 4];
            load_constant(column + row_offset<C>(row.x), w[i]);
            load_constant(column + row_offset<C>(row.y), w[i + 1]);
            load_constant(column + row_offset<C>(row.z), w[i + 2]);
            load_constant(column + row_offset<C>(row.w), w[i + 3]);
        }
        for (int i = 0; i < AT_ONCE; i++)
            for (int v = 0; v < V; v++) x[v] += w[i][v];
    }
}

// Send off n spikes that would arrive in a step, each synapse's so many steps later as its delay says: into the
// current of that step. A thread alone writes the columns of its neurons.
template <class C>
__device__ __forceinline__ void send_late(const float* values, int column, const int* list, int n, int step,
                                          int n_steps, float* current) {
    for (int k = 0; k < n; k++) {
        const int64_t at = int64_t(list[k]) * C::WIDTH + column;
        float weight[V], delay[V];
        load_constant(values + C::WEIGHTS + at, weight);
        load_delays<C>(values, list[k], column, delay);
        for (int v = 0; v < V; v++) {
            const int arrival = step + whole_steps(delay[v]);
            if (arrival < n_steps) current[int64_t(arrival) * LANES + v] += weight[v];
        }
    }
}

// What derivatives of V by a neuron's own time constants are worked out of. With the recursions of
// sensitivities.py they are
//   by tau_mem, in units of alpha'/(1 - alpha):   (1 - alpha) g - V                   g = alpha g + V
//   by tau_syn, in units of (1 - alpha) S beta':  f + S'/(S beta') V/((1 - alpha) S)  f = alpha f + z
//                                                                                     z = beta z + x
struct Sensitivity {
    float g[V] = {}, f[V] = {}, z[V] = {};

    // From V to the next, with x that V is worked out of.
    __device__ __forceinline__ void step(int i, float alpha, float beta, float v, float x) {
        if constexpr (LEARNS_TAU_MEM) g[i] = fmaf(alpha, g[i], v);
        if constexpr (LEARNS_TAU_SYN) {
            f[i] = fmaf(alpha, f[i], z[i]);
            z[i] = fmaf(beta, z[i], x);
        }
    }
    __device__ __forceinline__ float by_mem(int i, float alpha, float v) const { return (1 - alpha) * g[i] - v; }
    __device__ __forceinline__ float by_syn(int i, float ratio, float v) const { return fmaf(ratio, v, f[i]); }
    __device__ __forceinline__ void reset(int i) { g[i] = f[i] = 0; }
};

// What is read of output neurons.
struct Readout {
    float value[V] = {};
    int step[V] = {};                      // see Trials::readout_step
    float by_mem[V] = {}, by_syn[V] = {};  // derivatives of V that are kept, see Trials::kept
};

// The constants of a thread's neurons that a forward step needs.
struct ForwardConstants {
    float alpha[V], beta[V], gain[V], v_thresh[V], by_syn_ratio[V];

    __device__ __forceinline__ explicit ForwardConstants(const float* constants) {
        load_constant(constants + ALPHA * LANES, alpha);
        load_constant(constants + BETA * LANES, beta);
        load_constant(constants + GAIN * LANES, gain);
        load_constant(constants + V_THRESH * LANES, v_thresh);
        load_constant(constants + BY_SYN_RATIO * LANES, by_syn_ratio);
    }
};

// Read the output after a step, and keep what is learned of its time constants: the derivatives of V, weighted
// as the loss acts on V; those of the step of the maximum; those of every step; or those at the end.
__device__ __forceinline__ void read_output(const Common& common, const Trials& trials, int64_t trial, int column,
                                            int step, float read_weight, float drive_weight,
                                            const ForwardConstants& k, const float (&voltage)[V],
                                            const bool (&fires)[V], const Sensitivity& sensitivity,
                                            Readout& readout) {
    [[maybe_unused]] const int n_steps = common.n_steps;
    [[maybe_unused]] float by_mem[V] = {}, by_syn[V] = {};
    if constexpr (LEARNS_TAU)
        for (int v = 0; v < V; v++) {
            if constexpr (LEARNS_TAU_MEM) by_mem[v] = sensitivity.by_mem(v, k.alpha[v], voltage[v]);
            if constexpr (LEARNS_TAU_SYN) by_syn[v] = sensitivity.by_syn(v, k.by_syn_ratio[v], voltage[v]);
        }
    if constexpr (FORM == WEIGHTED || FORM == EACH_STEP) {
        for (int v = 0; v < V; v++) readout.value[v] = fmaf(read_weight, voltage[v], readout.value[v]);
    }
    if constexpr (FORM == WEIGHTED && LEARNS_TAU) {
        for (int v = 0; v < V; v++) {
            readout.by_mem[v] = fmaf(drive_weight, by_mem[v], readout.by_mem[v]);
            readout.by_syn[v] = fmaf(drive_weight, by_syn[v], readout.by_syn[v]);
        }
    }
    if constexpr (FORM == EACH_STEP && LEARNS_TAU) {
        float* const row = trials.kept_each + (trial * n_steps + step) * 2 * Output::WIDTH + column;
        store(row, by_mem);
        store(row + Output::WIDTH, by_syn);
    }
    for (int v = 0; v < V; v++) {
        if constexpr (FORM == MAX)
            if (voltage[v] > readout.value[v]) {
                readout.value[v] = voltage[v];
                readout.step[v] = step;
                readout.by_mem[v] = by_mem[v];
                readout.by_syn[v] = by_syn[v];
            }
        if constexpr (FORM == FIRST_SPIKE) {
            if (fires[v] && readout.step[v] > step) {
                readout.step[v] = step;
                readout.value[v] = -common.dt_ms * float(step);
            }
            readout.by_mem[v] = by_mem[v];
            readout.by_syn[v] = by_syn[v];
        }
    }
}

// A step of neurons that are described by equations.
__device__ __forceinline__ void step_derived(const Common& common, const Trials& trials, int64_t trial,
                                             const Place& me, const float (&in)[V], int step, DerivedNeurons& derived,
                                             float (&x)[V], bool (&fires)[V]) {
    for_each(Populations{}, [&](auto p) {
        using P = decltype(p);
        if constexpr (P::DERIVED) {
            if (!me.in(p)) return;
            const int neuron = me.first - P::FIRST;
            float* const rows =
                trials.kept_steps ? Kept<P, float>(trials.kept_steps, trial, step, common.n_steps, neuron).first : nullptr;
            derived.step(p, common.constants + me.first, in, step, neuron, rows, x, fires);
        }
    });
}

__global__ void __launch_bounds__(THREADS, BLOCKS) forward(Common common, Trials trials) {
    SHARED(ForwardShared, shared);
    const Place me = Place::here();
    const int n_steps = common.n_steps;
    const int64_t trial = blockIdx.x;
    const ForwardConstants k(common.constants + me.first);
    float* const current = trials.history + row_of(trial, 0, n_steps) + me.first;

    float voltage[V] = {}, x[V] = {};
    Sensitivity sensitivity;
    Readout readout;
    [[maybe_unused]] DerivedNeurons derived;
    if (trials.silent)
        for (int v = 0; v < V; v++) {
            if (!trials.silent[trial * LANES + me.first + v]) continue;
            voltage[v] = -INFINITY;  // which never reaches a threshold, whatever arrives
            derived.stopped[v] = SILENT;
        }
    if constexpr (FORM == FIRST_SPIKE)
        for (int v = 0; v < V; v++) {
            readout.value[v] = -common.dt_ms * float(n_steps);
            readout.step[v] = n_steps;
        }
    bool takes_input = false, takes_late = false, is_output = false, is_derived = false;
    int first_warp = 0, list_first = 0, first_lane = 0;  // of my population
    for_each(Populations{}, [&](auto p) {
        using P = decltype(p);
        if (!me.in(p)) return;
        takes_input = P::TAKES_INPUT;
        takes_late = P::TAKES_LATE;
        is_output = P::IS_OUTPUT;
        if constexpr (P::DERIVED) {
            is_derived = true;
            derived.start(p, common.constants + me.first);
        }
        first_warp = P::FIRST / (32 * V);
        first_lane = P::FIRST;
        list_first = P::LIST_FIRST;
    });
    // The input's current comes from far away: it is asked for AHEAD steps before it is needed. What a thread copies, it
    // alone reads.
    const float* asked = current;
    const auto ask_for = [&](int step) {
        if (takes_input && !takes_late && step < n_steps)
            __pipeline_memcpy_async(shared.ahead[step % AHEAD] + me.first, asked, V * sizeof(float));
        __pipeline_commit();
        asked += LANES;
    };
    for (int step = 0; step < AHEAD; step++) ask_for(step);
    // where this trial's part of the tape begins, for these neurons
    uint32_t* masks = trials.masks + (trial * n_steps * WARPS + me.warp) * V;
    float* slope[V];
    uint16_t* arrival[V];
    for (int v = 0; v < V; v++) {
        slope[v] = trials.slope + row_of(trial, 0, n_steps) + me.first + v;
        arrival[v] = trials.arrival + (trial * LANES + me.first + v) * n_steps;
    }
    const bool keeps_voltages = is_output && trials.voltages;
    float* voltages = trials.voltages + trial * n_steps * Output::SIZE + me.first - Output::FIRST;
    int arriving[N_POPULATIONS] = {};  // spikes of each population that arrive in this step, by its number

    for (int step = 0; step < n_steps; step++) {
        [[maybe_unused]] float read_weight = 0, drive_weight = 0;
        if (is_output) {
            read_weight = __ldg(common.read_weight + step);
            drive_weight = __ldg(common.drive_weight + step);
        }
        float in[V] = {};
        __pipeline_wait_prior(AHEAD - 1);
        if (takes_input && !takes_late) load(shared.ahead[step % AHEAD] + me.first, in);
        if (takes_late) {
            for_each(Connections{}, [&](auto c) {
                using C = decltype(c);
                if constexpr (C::DELAYED)
                    if (me.in(typename C::Target{}))
                        send_late<C>(common.values, me.first - C::Target::FIRST, shared.list + C::Source::LIST_FIRST,
                                     arriving[C::Source::NUMBER], step, n_steps, current);
            });
            load(current + int64_t(step) * LANES, in);
        }
        for_each(Connections{}, [&](auto c) {
            using C = decltype(c);
            if constexpr (!C::DELAYED)
                if (me.in(typename C::Target{}))
                    add_rows<C>(common.values + C::WEIGHTS + me.first - C::Target::FIRST,
                                shared.list + C::Source::LIST_FIRST, arriving[C::Source::NUMBER], in);
        });

        // x = beta x + arrivals;  V = alpha V + (1 - alpha) S x;  if V >= threshold: spike, V = 0
        bool fires[V] = {}, any = false;
        if (is_derived)
            step_derived(common, trials, trial, me, in, step, derived, x, fires);
        else
            for (int v = 0; v < V; v++) {
                x[v] = fmaf(k.beta[v], x[v], in[v]);
                sensitivity.step(v, k.alpha[v], k.beta[v], voltage[v], x[v]);
                voltage[v] = fmaf(k.gain[v], x[v], k.alpha[v] * voltage[v]);
                fires[v] = voltage[v] >= k.v_thresh[v];
            }
        for (int v = 0; v < V; v++) any |= fires[v];
        ask_for(step + AHEAD);
        uint32_t spikes[V];
        for (int v = 0; v < V; v++) spikes[v] = __ballot_sync(ALL, fires[v]);
        if (me.lane == 0)
            for (int v = 0; v < V; v++) {
                shared.masks[me.warp * V + v] = spikes[v];
                masks[v] = spikes[v];
            }
        masks += WARPS * V;
        for (int v = 0; v < V; v++) {
            if (!fires[v]) continue;
            *arrival[v]++ = uint16_t(step + 1);
            if (is_derived) continue;
            [[maybe_unused]] const int64_t at = slope[v] - trials.slope;
            *slope[v] = x[v] - voltage[v];
            slope[v] += LANES;
            if constexpr (LEARNS_TAU_MEM) trials.by_mem[at] = sensitivity.by_mem(v, k.alpha[v], voltage[v]);
            if constexpr (LEARNS_TAU_SYN) trials.by_syn[at] = sensitivity.by_syn(v, k.by_syn_ratio[v], voltage[v]);
            voltage[v] = 0;
            sensitivity.reset(v);
        }
        if (keeps_voltages)
            for (int v = 0; v < V; v++)
                if (me.first - Output::FIRST + v < Output::SIZE) voltages[v] = voltage[v];
        voltages += Output::SIZE;
        if (is_output)
            read_output(common, trials, trial, me.first - Output::FIRST, step, read_weight, drive_weight, k, voltage, fires,
                        sensitivity, readout);

        // Here all have read the lists of the step before.
        if (!__syncthreads_or(any)) {
            for (int& n : arriving) n = 0;
            continue;
        }
        int of_warp = 0;  // spikes of the warp whose number is my lane's
        if (me.lane < WARPS)
            for (int v = 0; v < V; v++) of_warp += __popc(shared.masks[me.lane * V + v]);
        for_each(Populations{}, [&](auto p) {
            using P = decltype(p);
            if constexpr (P::SPIKES) {
                constexpr int FROM = P::FIRST / (32 * V), TO = FROM + P::WIDTH / (32 * V);
                const int n = warp_sum(me.lane >= FROM && me.lane < TO ? of_warp : 0);
                arriving[P::NUMBER] = n;
                if (me.warp == FROM && me.lane < AT_ONCE - 1)
                    shared.list[P::LIST_FIRST + n + me.lane] = NOBODY<P>;
            }
        });
        uint32_t mine = 0;
        for (int v = 0; v < V; v++) mine |= spikes[v];
        if (mine) {
            int place = list_first + warp_sum(me.lane >= first_warp && me.lane < me.warp ? of_warp : 0);
            for (int v = 0; v < V; v++) place += __popc(spikes[v] & ((1u << me.lane) - 1));
            for (int v = 0; v < V; v++)
                if (fires[v]) shared.list[place++] = me.first - first_lane + v;
        }
        __syncthreads();
    }

    for (int v = 0; v < V; v++) {
        const int64_t lane = trial * LANES + me.first + v;
        trials.count[lane] = int(arrival[v] - (trials.arrival + lane * n_steps));
        if constexpr (ANY_DERIVED)
            if (derived.stopped[v] > 0) {
                trials.count[lane] = -derived.stopped[v];
                for (int q = 0; q < MOST_STATES; q++)
                    trials.unbounded[(trial * MOST_STATES + q) * LANES + me.first + v] = derived.s[q][v];
            }
    }
    if (!is_output) return;
    const int column = me.first - Output::FIRST;
    store(trials.readout + trial * Output::WIDTH + column, readout.value);
    for (int v = 0; v < V; v++) trials.readout_step[trial * Output::WIDTH + column + v] = readout.step[v];
    if constexpr (LEARNS_TAU && FORM != EACH_STEP) {
        store(trials.kept + trial * 2 * Output::WIDTH + column, readout.by_mem);
        store(trials.kept + (trial * 2 + 1) * Output::WIDTH + column, readout.by_syn);
    }
}
