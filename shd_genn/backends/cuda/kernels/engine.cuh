#pragma once
// What calls the kernels, in the order in which they run, and their arrays. The network's topology comes first.

#include "topology.cuh"
#include "memory.cuh"
#include "sort_input.cuh"
#include "gather_input.cuh"
#include "forward.cuh"
#include "adjoint.cuh"
#include "gradient.cuh"
#include "shared_delays.cuh"
#include "update.cuh"
#include "loss.cuh"

struct Engine {
    const int n_steps;
    const float dt_ms;
    cudaStream_t stream{};
    Clock clock;

    Tally on_gpu, in_pinned;
    Buffer<float> values{on_gpu}, gradient{on_gpu}, m{on_gpu}, v{on_gpu}, constants{on_gpu}, read_weight{on_gpu},
        drive_weight{on_gpu};
    Buffer<float> scaled{on_gpu};  // values as drop-out makes them in training
    Buffer<uint8_t> silent{on_gpu};
    Buffer<double> squares{on_gpu};
    bool drops_out = false;  // in the trials that are there
    Buffer<float> times_ms{on_gpu};
    Buffer<uint16_t> channels{on_gpu}, input_arrival{on_gpu}, input_channel{on_gpu};
    Buffer<int64_t> offsets{on_gpu};
    Buffer<int> input_begin_of{on_gpu}, input_count_of{on_gpu}, input_begin{on_gpu}, input_spikes{on_gpu},
        sort_counts{on_gpu};
    Buffer<float> history{on_gpu}, difference{on_gpu}, slope{on_gpu}, by_mem{on_gpu}, by_syn{on_gpu};
    Buffer<uint16_t> arrival{on_gpu};
    Buffer<int> count{on_gpu};
    Buffer<uint32_t> masks{on_gpu};
    Buffer<float> kept_steps{on_gpu}, unbounded{on_gpu};
    Buffer<float> readout{on_gpu}, kept{on_gpu}, kept_each{on_gpu}, voltages{on_gpu};
    Buffer<int> readout_step{on_gpu};
    Buffer<int> labels{on_gpu};
    Buffer<float> terms{on_gpu}, curves{on_gpu}, by_readout{on_gpu}, by_curve{on_gpu};  // of losses of every step
    Buffer<float> drive{on_gpu}, jump{on_gpu}, partial{on_gpu};
    Pinned<unsigned char> events_in{in_pinned}, results{in_pinned}, drive_in{in_pinned};

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
        size_t bytes = sizeof(int64_t) + sizeof(int) * (2 * size_t(INPUTS) + 1 + steps + 3 + SORT_WARPS * most_bins(n_steps));
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
        return {drops_out ? scaled.get() : values.get(), constants.get(), read_weight.get(), drive_weight.get(), dt_ms, n_steps};
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
        t.silent = drops_out ? silent.get() : nullptr;
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
            const auto of_shared_delays = [&](auto connection) {
                using C = decltype(connection);
                if constexpr (C::LEARNS_DELAY && C::DELAY_KIND == AXONAL)
                    launch(axonal_gradient<C>, dim3((C::SHARED_DELAYS + GRADIENT_WARPS - 1) / GRADIENT_WARPS, trials_n),
                           dim3(32 * GRADIENT_WARPS), stream, c, t);
                if constexpr (C::LEARNS_DELAY && C::DELAY_KIND == DENDRITIC)
                    launch(dendritic_gradient<C>, dim3(C::WIDTH / 32, trials_n), dim3(32 * GRADIENT_WARPS), stream, c, t);
            };
            for_each_on_host(InputConnections{}, of_connection);
            for_each_on_host(Connections{}, of_connection);
            for_each_on_host(InputConnections{}, of_shared_delays);
            for_each_on_host(Connections{}, of_shared_delays);
        });
        clock.time(OPTIMISER, stream, [&] {
            launch(sum_trials, blocks(), dim3(UPDATE_THREADS), stream, t.partial, n, first_part, gradient.get());
        });
    }

    // body(output), if the loss acts on every step.
    template <class Body>
    void of_steps(const Body& body) {
        clock.time(LOSS, stream, [&] { for_each_on_host(OutputOfSteps{}, body); });
    }

    // The loss of the voltages that are there, in every step; to_drive: whether a backward pass follows.
    void work_out_steps(int n, const int* labels_, const CrossEntropy& loss, bool to_drive) {
        const size_t rows = size_t(n) * n_steps;
        labels.reserve(n, "the loss");
        terms.reserve(2 * rows, "the loss");
        push(labels.get(), labels_, n);
        [[maybe_unused]] const unsigned blocks_n = unsigned((rows + LOSS_THREADS - 1) / LOSS_THREADS);
        of_steps([&](auto output) {
            launch(step_loss<decltype(output)>, dim3(blocks_n), dim3(LOSS_THREADS), stream, loss, n, n_steps,
                   voltages.get(), labels.get(), to_drive ? drive.get() : nullptr, terms.get(), terms.get() + rows);
        });
    }

    Curves curves_there(int n_curves) const {
        return {curves.get(), curves.get() + size_t(n_curves) * n_steps, n_curves};
    }

    // The readout of the voltages that are there. now_and_later: [2][curve][n_steps]
    void read_by_curves(int n, const float* now_and_later, int n_curves) {
        const size_t numbers = 2 * size_t(n_curves) * n_steps;
        curves.reserve(numbers, "the readout");
        by_readout.reserve(size_t(n) * Output::SIZE, "the readout");
        push(curves.get(), now_and_later, numbers);
        of_steps([&](auto output) {
            launch(read_curves<decltype(output)>, dim3(Output::WIDTH / 32, unsigned(n)), dim3(32), stream,
                   curves_there(n_curves), n_steps, voltages.get(), by_readout.get());
        });
    }

    // The drive of the trials that are there, and the gradient of the curves.
    void drive_by_curves(int n, const float* by_readout_, int n_curves, bool first_part) {
        const size_t of_step = size_t(n_steps) * Output::SIZE;
        by_readout.reserve(size_t(n) * Output::SIZE, "the readout");
        by_curve.reserve(of_step, "the readout");
        push(by_readout.get(), by_readout_, size_t(n) * Output::SIZE);
        const auto blocks_of = [](size_t all) { return dim3(unsigned((all + LOSS_THREADS - 1) / LOSS_THREADS)); };
        of_steps([&](auto output) {
            using O = decltype(output);
            launch(curve_drive<O>, blocks_of(size_t(n) * of_step), dim3(LOSS_THREADS), stream, curves_there(n_curves), n,
                   n_steps, by_readout.get(), drive.get());
            launch(curve_gradient<O>, blocks_of(of_step), dim3(LOSS_THREADS), stream, n, n_steps, voltages.get(),
                   by_readout.get(), first_part, by_curve.get());
        });
    }

    // Drop-out: from the next forward pass on, trials have silent neurons and weights that are scaled. silent_: [n][LANES]
    void drop_out(const uint8_t* silent_, int n, const Factors& factors) {
        silent.reserve(size_t(n) * LANES, "drop-out");
        scaled.reserve(N_VALUES, "parameters");
        push(silent.get(), silent_, size_t(n) * LANES);
        clock.time(OPTIMISER, stream, [&] {
            launch(scale_arrays, blocks(N_VALUES), dim3(UPDATE_THREADS), stream, factors, N_VALUES, values.get(),
                   scaled.get());
        });
        synchronize();
        drops_out = true;
    }

    static dim3 blocks(int64_t n = N_LEARNED) { return dim3(unsigned((n + UPDATE_THREADS - 1) / UPDATE_THREADS)); }
};
