// The CUDA engine: kernels in the order in which they run, and what calls them. The network's topology comes first.

#include "topology.cuh"
#include "memory.cuh"
#include "sort_input.cuh"
#include "gather_input.cuh"
#include "forward.cuh"
#include "adjoint.cuh"
#include "gradient.cuh"
#include "update.cuh"

struct Engine {
    const int n_steps;
    const float dt_ms;
    cudaStream_t stream{};
    Clock clock;

    Buffer<float> values, gradient, m, v, constants, read_weight, drive_weight;
    Buffer<float> times_ms;
    Buffer<uint16_t> channels, input_arrival, input_channel;
    Buffer<int64_t> offsets;
    Buffer<int> input_begin_of, input_count_of, input_begin, input_spikes, sort_counts;
    Buffer<float> history, difference, slope, by_mem, by_syn;
    Buffer<uint16_t> arrival;
    Buffer<int> count;
    Buffer<uint32_t> masks;
    Buffer<float> kept_steps, unbounded;
    Buffer<float> readout, kept, kept_each, voltages;
    Buffer<int> readout_step;
    Buffer<float> drive, jump, partial;
    Pinned<unsigned char> events_in, results, drive_in;

    Engine(int n_steps_, float dt_ms_, const float* read, const float* drive_, bool timed)
        : n_steps(n_steps_), dt_ms(dt_ms_), clock(timed) {
        check(cudaStreamCreate(&stream), "stream");
        prefer_cache(forward, sizeof(ForwardShared));
        prefer_cache(adjoint, sizeof(AdjointShared));
        for_each_on_host(InputConnections{}, [&](auto connection) {
            using C = decltype(connection);
            if constexpr (!C::DELAYED) prefer_cache(gather_input<C>);
            prefer_cache(::gradient<C>);
        });
        for_each_on_host(Connections{}, [&](auto connection) { prefer_cache(::gradient<decltype(connection)>); });
        for (auto* each : {&values, &gradient, &m, &v}) {
            each->reserve(N_VALUES, "parameters");
            check(cudaMemsetAsync(each->get(), 0, each->bytes(), stream), "clear parameters");
        }
        constants.reserve(size_t(CONSTANTS) * LANES, "constants");
        jump.reserve(LANES, "the regulariser");
        read_weight.reserve(n_steps, "weights of the readout");
        drive_weight.reserve(n_steps, "weights of the readout");
        push(read_weight.get(), read, n_steps);
        push(drive_weight.get(), drive_, n_steps);
        synchronize();
    }
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine() { (void)cudaStreamDestroy(stream); }

    // Kernels read the same rows again and again: as much as possible of a multiprocessor's memory is to be a cache, but
    // for the shared memory of as many blocks as should fit on it, side by side.
    template <class... P>
    static void prefer_cache(void (*kernel)(P...), size_t shared_bytes = 0) {
        constexpr int BLOCKS_AT_ONCE = V == 4 ? 1 : 4;
        int all = 0;
        check(cudaDeviceGetAttribute(&all, cudaDevAttrMaxSharedMemoryPerMultiprocessor, 0), "size of the cache");
        const int needed = shared_bytes ? BLOCKS_AT_ONCE * int(shared_bytes + 1024) : 0;
        const int percent = std::min(100, (100 * needed + all - 1) / all);
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, percent), "size of the cache");
    }

    void synchronize() { check(cudaStreamSynchronize(stream), "a kernel failed"); }

    template <class T>
    void push(T* to, const T* from, size_t n) {
        check(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyHostToDevice, stream), "copy to the GPU");
    }
    template <class T>
    void pull(T* to, const T* from, size_t n) {
        check(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToHost, stream), "copy from the GPU");
    }

    static size_t most_bins(int n_steps) { return size_t(INPUTS > n_steps + 1 ? INPUTS : n_steps + 1); }

    // Bytes that one trial takes, besides its events.
    static size_t bytes_of_trial(int n_steps, bool learns, bool with_voltages) {
        const size_t steps = size_t(n_steps), rows = steps * LANES;
        size_t bytes = sizeof(int64_t) + sizeof(int) * (2 * size_t(INPUTS) + 1 + steps + 2 + SORT_WARPS * most_bins(n_steps));
        bytes += rows * (4 + 4 + 2) + LANES * 4 + steps * WARPS * V * 4 + size_t(Output::WIDTH) * 8;
        if (LEARNS_TAU_MEM) bytes += rows * 4;
        if (LEARNS_TAU_SYN) bytes += rows * 4;
        if (LEARNS_TAU) bytes += (FORM == EACH_STEP ? steps : 1) * 2 * Output::WIDTH * 4;
        if (with_voltages) bytes += steps * Output::SIZE * 4;
        if (ANY_DERIVED) bytes += size_t(MOST_STATES) * LANES * 4;
        if (!learns) return bytes;
        bytes += steps * KEPT * 4;
        if (HAS_LATE_TARGETS) bytes += rows * 4;
        return bytes + N_LEARNED * 4 + (FORM == EACH_STEP ? steps : 1) * Output::SIZE * 4;
    }

    // Make room for n trials.
    void reserve(int n, int64_t n_events, bool learn, bool with_voltages) {
        const size_t t = size_t(n), steps = size_t(n_steps), rows = t * steps * LANES, e = size_t(n_events);
        synchronize();
        times_ms.reserve(e, "spikes of the input");
        channels.reserve(e, "spikes of the input");
        input_arrival.reserve(e, "spikes of the input");
        input_channel.reserve(e, "spikes of the input");
        offsets.reserve(t + 1, "spikes of the input");
        input_begin_of.reserve(t * (INPUTS + 1), "spikes of the input");
        input_count_of.reserve(t * INPUTS, "spikes of the input");
        input_begin.reserve(t * (steps + 2), "spikes of the input");
        input_spikes.reserve(t, "spikes of the input");
        sort_counts.reserve(t * SORT_WARPS * most_bins(n_steps), "spikes of the input");
        history.reserve(rows, "all steps of all neurons");
        slope.reserve(rows, "spikes");
        if (LEARNS_TAU_MEM) by_mem.reserve(rows, "spikes");
        if (LEARNS_TAU_SYN) by_syn.reserve(rows, "spikes");
        arrival.reserve(rows, "spikes");
        count.reserve(t * LANES, "spikes");
        masks.reserve(t * steps * WARPS * V, "spikes");
        readout.reserve(t * Output::WIDTH, "the readout");
        readout_step.reserve(t * Output::WIDTH, "the readout");
        if (LEARNS_TAU && FORM != EACH_STEP) kept.reserve(t * 2 * Output::WIDTH, "the readout");
        if (LEARNS_TAU && FORM == EACH_STEP) kept_each.reserve(t * steps * 2 * Output::WIDTH, "the readout");
        if (with_voltages) voltages.reserve(t * steps * Output::SIZE, "voltages of the output");
        if (ANY_DERIVED) unbounded.reserve(t * MOST_STATES * LANES, "states of neurons");
        if (!learn) return;
        if (ANY_DERIVED) kept_steps.reserve(t * steps * KEPT, "states of neurons");
        if (HAS_LATE_TARGETS) difference.reserve(rows, "all steps of all neurons");
        drive.reserve(t * (FORM == EACH_STEP ? steps : 1) * Output::SIZE, "the loss");
        partial.reserve(t * N_LEARNED, "gradients of all trials");
    }

    Common common() const {
        return {values.get(), constants.get(), read_weight.get(), drive_weight.get(), dt_ms, n_steps};
    }

    Trials arrays(bool with_voltages) const {
        Trials t{};
        t.times_ms = times_ms.get();
        t.channels = channels.get();
        t.offsets = offsets.get();
        t.input_arrival = input_arrival.get();
        t.input_channel = input_channel.get();
        t.input_begin_of = input_begin_of.get();
        t.input_count_of = input_count_of.get();
        t.input_begin = input_begin.get();
        t.input_spikes = input_spikes.get();
        t.sort_counts = sort_counts.get();
        t.history = history.get();
        t.difference = difference.get();
        t.slope = slope.get();
        t.by_mem = by_mem.get();
        t.by_syn = by_syn.get();
        t.arrival = arrival.get();
        t.count = count.get();
        t.masks = masks.get();
        t.kept_steps = kept_steps.get();
        t.unbounded = unbounded.get();
        t.readout = readout.get();
        t.readout_step = readout_step.get();
        t.kept = kept.get();
        t.kept_each = kept_each.get();
        t.voltages = with_voltages ? voltages.get() : nullptr;
        t.drive = drive.get();
        t.jump = jump.get();
        t.partial = partial.get();
        return t;
    }

    // Copies go through pinned memory, so that the caller's arrays are free at once.
    void push_events(const float* times, const uint16_t* chans, const int64_t* begins, int n) {
        const int64_t from = begins[0];
        const size_t e = size_t(begins[n] - from), header = (size_t(n) + 1) * sizeof(int64_t);
        events_in.reserve(header + e * 6, "spikes of the input");
        auto* const offset = reinterpret_cast<int64_t*>(events_in.get());
        auto* const time = reinterpret_cast<float*>(events_in.get() + header);
        auto* const channel = reinterpret_cast<uint16_t*>(time + e);
        for (int i = 0; i <= n; i++) offset[i] = begins[i] - from;
        if (e) std::memcpy(time, times + from, e * sizeof(float));
        if (e) std::memcpy(channel, chans + from, e * sizeof(uint16_t));
        push(offsets.get(), offset, size_t(n) + 1);
        push(times_ms.get(), time, e);
        push(channels.get(), channel, e);
    }

    void forward_pass(int n, bool with_voltages) {
        const Common c = common();
        const Trials t = arrays(with_voltages);
        const unsigned trials_n = unsigned(n);
        clock.time(INPUT_SPIKES, stream, [&] { launch(sort_input, dim3(trials_n), dim3(SORT_THREADS), stream, c, t); });
        clock.time(GATHER, stream, [&] {
            if (LATE_WITHOUT_INPUT)
                check(cudaMemsetAsync(history.get(), 0, size_t(n) * n_steps * LANES * sizeof(float), stream), "clear");
            for_each_on_host(InputConnections{}, [&](auto connection) {
                using C = decltype(connection);
                if constexpr (C::DELAYED)
                    launch(gather_late_input<C>, dim3(C::WIDTH / 32, trials_n), dim3(32), stream, c, t);
                else
                    launch(gather_input<C>, dim3(C::WIDTH / (32 * GATHERED<C>), trials_n), dim3(32 * GATHER_WARPS),
                           stream, c, t);
            });
        });
        clock.time(FORWARD, stream, [&] { launch(forward, dim3(trials_n), dim3(THREADS), stream, c, t); });
    }

    void backward_pass(int n, bool first_part) {
        const Common c = common();
        const Trials t = arrays(false);
        const unsigned trials_n = unsigned(n);
        clock.time(ADJOINT, stream, [&] { launch(adjoint, dim3(trials_n), dim3(THREADS), stream, c, t); });
        clock.time(GRADIENT, stream, [&] {
            const auto of_connection = [&](auto connection) {
                using C = decltype(connection);
                launch(::gradient<C>, dim3(C::WIDTH / 32, trials_n), dim3(32 * GRADIENT_WARPS), stream, c, t);
            };
            for_each_on_host(InputConnections{}, of_connection);
            for_each_on_host(Connections{}, of_connection);
        });
        clock.time(OPTIMISER, stream, [&] {
            launch(sum_trials, blocks(), dim3(UPDATE_THREADS), stream, t.partial, n, first_part, gradient.get());
        });
    }

    static dim3 blocks() { return dim3(unsigned((N_LEARNED + UPDATE_THREADS - 1) / UPDATE_THREADS)); }
};

extern "C" {

const char* engine_error() { return last_error.c_str(); }

// Bytes of the GPU's memory that are free.
int engine_memory(uint64_t* free_bytes) {
    return guarded([&] {
        size_t free_n = 0, total_n = 0;
        check(cudaMemGetInfo(&free_n, &total_n), "memory of the GPU");
        *free_bytes = free_n;
    });
}

int engine_create(int n_steps, float dt_ms, const float* read_weight, const float* drive_weight, bool timed,
                  Engine** engine) {
    return guarded([&] {
        check(cudaSetDevice(0), "the first GPU");
        *engine = new Engine(n_steps, dt_ms, read_weight, drive_weight, timed);
    });
}

void engine_destroy(Engine* engine) { delete engine; }

uint64_t engine_bytes_of_trial(int n_steps, bool learns, bool with_voltages) {
    return Engine::bytes_of_trial(n_steps, learns, with_voltages);
}

// Make room for so many trials and events.
int engine_reserve(Engine* engine, int n, int64_t n_events, bool learns, bool with_voltages) {
    return guarded([&] { engine->reserve(n, n_events, learns, with_voltages); });
}

// Copy n numbers of the parameters (0), gradients (1), moments m (2) or v (3), constants (4), or states
// without bounds (5) to the GPU, or from it.
static Buffer<float>& flat(Engine& e, int which) {
    Buffer<float>* const all[] = {&e.values, &e.gradient, &e.m, &e.v, &e.constants, &e.unbounded};
    return *all[which];
}
int engine_push(Engine* engine, int which, int64_t begin, const float* from, int64_t n) {
    return guarded([&] {
        engine->push(flat(*engine, which).get() + begin, from, size_t(n));
        engine->synchronize();
    });
}
int engine_pull(Engine* engine, int which, int64_t begin, float* to, int64_t n) {
    return guarded([&] {
        engine->pull(to, flat(*engine, which).get() + begin, size_t(n));
        engine->synchronize();
    });
}

// Forward pass of n trials, for which there is room. They stay until the next call.
// readout: [trial][Output::WIDTH]; count: [trial][LANES]; input_spikes: [trial];
// voltages: [trial][n_steps][Output::SIZE] or null
int engine_forward(Engine* engine, const float* times_ms, const uint16_t* channels, const int64_t* offsets, int n,
                   float* readout, int32_t* count, int32_t* input_spikes, float* voltages) {
    return guarded([&] {
        Engine& e = *engine;
        e.push_events(times_ms, channels, offsets, n);
        e.forward_pass(n, voltages != nullptr);
        const size_t of_readout = size_t(n) * Output::WIDTH, of_count = size_t(n) * LANES;
        e.results.reserve(4 * (of_readout + of_count + size_t(n)), "results");
        auto* const readout_in = reinterpret_cast<float*>(e.results.get());
        auto* const count_in = reinterpret_cast<int32_t*>(readout_in + of_readout);
        e.pull(readout_in, e.readout.get(), of_readout);
        e.pull(count_in, e.count.get(), of_count);
        e.pull(count_in + of_count, e.input_spikes.get(), size_t(n));
        if (voltages) e.pull(voltages, e.voltages.get(), size_t(n) * e.n_steps * Output::SIZE);
        e.synchronize();
        std::memcpy(readout, readout_in, 4 * of_readout);
        std::memcpy(count, count_in, 4 * of_count);
        std::memcpy(input_spikes, count_in + of_count, 4 * size_t(n));
    });
}

// The spikes of the trials that are there. arrival: [trial][LANES][n_steps], of which each neuron's count is valid.
int engine_spikes(Engine* engine, int n, uint16_t* arrival) {
    return guarded([&] {
        engine->pull(arrival, engine->arrival.get(), size_t(n) * LANES * engine->n_steps);
        engine->synchronize();
    });
}

// Those of the input. channel: [event], begin: [trial][n_steps + 2], where a step's channels begin among the trial's.
int engine_input_spikes(Engine* engine, int n, int64_t n_events, uint16_t* channel, int32_t* begin) {
    return guarded([&] {
        engine->pull(channel, engine->input_channel.get(), size_t(n_events));
        engine->pull(begin, engine->input_begin.get(), size_t(n) * (engine->n_steps + 2));
        engine->synchronize();
    });
}

// Backward pass of the n trials that are there, into the gradients; added to them unless they are the batch's first.
// Returns before the GPU is done. drive: n_drive numbers, see Trials; jump: [LANES]
int engine_backward(Engine* engine, int n, const float* drive, int64_t n_drive, const float* jump, bool first_part) {
    return guarded([&] {
        Engine& e = *engine;
        e.drive_in.reserve(4 * (size_t(n_drive) + LANES), "the loss");
        auto* const drive_in = reinterpret_cast<float*>(e.drive_in.get());
        std::memcpy(drive_in, drive, 4 * size_t(n_drive));
        std::memcpy(drive_in + n_drive, jump, 4 * LANES);
        e.push(e.drive.get(), drive_in, size_t(n_drive));
        e.push(e.jump.get(), drive_in + n_drive, LANES);
        e.backward_pass(n, first_part);
    });
}

// One update of all that is learned. begin, rate1, low, high: of each array. Returns before the GPU is done.
int engine_adam(Engine* engine, float beta1, float beta2, float epsilon, float correction2, const int64_t* begin,
                const float* rate1, const float* low, const float* high) {
    return guarded([&] {
        Engine& e = *engine;
        AdamStep step{beta1, beta2, epsilon, correction2, {}, {}, {}, {}};
        std::memcpy(step.begin, begin, sizeof step.begin);
        std::memcpy(step.rate1, rate1, sizeof step.rate1);
        std::memcpy(step.low, low, sizeof step.low);
        std::memcpy(step.high, high, sizeof step.high);
        e.clock.time(OPTIMISER, e.stream, [&] {
            launch(adam, Engine::blocks(), dim3(UPDATE_THREADS), e.stream, step, e.gradient.get(), e.values.get(),
                   e.m.get(), e.v.get());
        });
    });
}

// Seconds that the GPU has spent on each stage since the engine was made, if it was made to measure.
void engine_times(const Engine* engine, double* seconds) {
    for (int stage = 0; stage < STAGES; stage++) seconds[stage] = engine->clock.seconds[stage];
}

}  // extern "C"
