// The CUDA engine: what Python calls, see device.py.

#include "engine.cuh"

extern "C" {

const char* engine_error() { return last_error.c_str(); }

static Factors factors_of(const int64_t* begin, const float* factor) {
    Factors arrays{};
    std::memcpy(arrays.begin, begin, sizeof arrays.begin);
    std::memcpy(arrays.factor, factor, sizeof arrays.factor);
    return arrays;
}

// Bytes of the GPU's memory that are free.
int engine_memory(uint64_t* free_bytes) {
    return guarded([&] {
        size_t free_n = 0, total_n = 0;
        check(cudaMemGetInfo(&free_n, &total_n), "memory of the GPU");
        *free_bytes = free_n;
    });
}

// Bytes of the engine's arrays on the GPU: the most that there have been at a time.
uint64_t engine_peak_memory(const Engine* engine) { return engine->on_gpu.most; }

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

// Copy n numbers of the parameters (0), gradients (1), moments m (2) or v (3), constants (4), states without bounds (5),
// or the drive (6) to the GPU, or from it.
static Buffer<float>& flat(Engine& e, int which) {
    Buffer<float>* const all[] = {&e.values, &e.gradient, &e.m, &e.v, &e.constants, &e.unbounded, &e.drive};
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
// voltages: [trial][n_steps][Output::SIZE] or null; keep: whether they stay on the GPU, for a loss
int engine_forward(Engine* engine, const float* times_ms, const uint16_t* channels, const int64_t* offsets, int n,
                   float* readout, int32_t* count, int32_t* input_spikes, float* voltages, bool keep) {
    return guarded([&] {
        Engine& e = *engine;
        e.push_events(times_ms, channels, offsets, n);
        e.forward_pass(n, voltages || keep);
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

// Cross-entropy of the voltages that are there, in every step. labels: [n]; totals, rights: [n][n_steps], see step_loss;
// to_drive: whether the backward pass is to begin with it.
int engine_step_loss(Engine* engine, int n, const int32_t* labels, float temperature, float label_smoothing,
                     float n_samples, bool to_drive, float* totals, float* rights) {
    return guarded([&] {
        Engine& e = *engine;
        const size_t rows = size_t(n) * e.n_steps;
        e.work_out_steps(n, labels, {temperature, label_smoothing, n_samples}, to_drive);
        e.pull(totals, e.terms.get(), rows);
        e.pull(rights, e.terms.get() + rows, rows);
        e.synchronize();
    });
}

// The readout of the voltages that are there, [n][Output::SIZE], by curves: [2][n_curves][n_steps], of both passes.
int engine_read_curves(Engine* engine, int n, const float* curves, int n_curves, float* readout) {
    return guarded([&] {
        engine->read_by_curves(n, curves, n_curves);
        engine->pull(readout, engine->by_readout.get(), size_t(n) * Output::SIZE);
        engine->synchronize();
    });
}

// Let the backward pass of the n trials that are there begin with the curves that they were read by.
// by_readout: [n][Output::SIZE]
int engine_drive_curves(Engine* engine, int n, const float* by_readout, int n_curves, bool first_part) {
    return guarded([&] {
        engine->drive_by_curves(n, by_readout, n_curves, first_part);
        engine->synchronize();
    });
}

// The curves' gradient, [n_steps][Output::SIZE]; see curve_gradient.
int engine_curve_gradient(Engine* engine, float* gradient) {
    return guarded([&] {
        engine->pull(gradient, engine->by_curve.get(), size_t(engine->n_steps) * Output::SIZE);
        engine->synchronize();
    });
}

// Backward pass of the n trials that are there, into the gradients; added to them unless they are the batch's first.
// Returns before the GPU is done. drive: n_drive numbers, see Trials, or null if it is there; jump: [LANES]
int engine_backward(Engine* engine, int n, const float* drive, int64_t n_drive, const float* jump, bool first_part) {
    return guarded([&] {
        Engine& e = *engine;
        if (!drive) n_drive = 0;
        e.drive_in.reserve(4 * (size_t(n_drive) + LANES), "the loss");
        auto* const drive_in = reinterpret_cast<float*>(e.drive_in.get());
        if (drive) std::memcpy(drive_in, drive, 4 * size_t(n_drive));
        std::memcpy(drive_in + n_drive, jump, 4 * LANES);
        e.push(e.drive.get(), drive_in, size_t(n_drive));
        e.push(e.jump.get(), drive_in + n_drive, LANES);
        e.backward_pass(n, first_part);
    });
}

// Drop-out of n trials: silent: [trial][LANES], or null for none any more; begin, factor: of each array of parameters.
int engine_drop_out(Engine* engine, const uint8_t* silent, int n, const int64_t* begin, const float* factor) {
    return guarded([&] {
        engine->drops_out = false;
        if (!silent) return;
        engine->drop_out(silent, n, factors_of(begin, factor));
    });
}

// Multiply the gradient of each array by a factor.
int engine_scale_gradient(Engine* engine, const int64_t* begin, const float* factor) {
    return guarded([&] {
        Engine& e = *engine;
        e.clock.time(OPTIMISER, e.stream, [&] {
            launch(scale_arrays, Engine::blocks(), dim3(UPDATE_THREADS), e.stream, factors_of(begin, factor), N_LEARNED,
                   e.gradient.get(), e.gradient.get());
        });
    });
}

// The sums of the squares of parts of the gradient. sums: [n], which must be NORM_BLOCKS
int engine_squares(Engine* engine, double* sums, int n) {
    return guarded([&] {
        Engine& e = *engine;
        if (n != NORM_BLOCKS) throw std::runtime_error("CUDA: wrong number of sums");
        e.squares.reserve(NORM_BLOCKS, "the norm of the gradient");
        e.clock.time(OPTIMISER, e.stream, [&] {
            launch(sum_squares, dim3(NORM_BLOCKS), dim3(UPDATE_THREADS), e.stream, e.gradient.get(), e.squares.get());
        });
        e.pull(sums, e.squares.get(), NORM_BLOCKS);
        e.synchronize();
    });
}

// One update of all that is learned. begin, rate1, low, high, kept: of each array. Returns before the GPU is done.
int engine_adam(Engine* engine, float beta1, float beta2, float epsilon, float correction2, float clip,
                const int64_t* begin, const float* rate1, const float* low, const float* high, const float* kept) {
    return guarded([&] {
        Engine& e = *engine;
        AdamStep step{beta1, beta2, epsilon, correction2, clip, {}, {}, {}, {}, {}};
        std::memcpy(step.begin, begin, sizeof step.begin);
        std::memcpy(step.rate1, rate1, sizeof step.rate1);
        std::memcpy(step.low, low, sizeof step.low);
        std::memcpy(step.high, high, sizeof step.high);
        std::memcpy(step.kept, kept, sizeof step.kept);
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
