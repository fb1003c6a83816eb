// One training batch of an emulated engine, as a program of its own that sanitizers can watch. It is linked with the
// rendered CUDA source; its only argument names a file of numbers that tests/helpers/emulation.py writes.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

struct Engine;
extern "C" {
const char* engine_error();
int engine_create(int, float, const float*, const float*, bool, Engine**);
void engine_destroy(Engine*);
int engine_reserve(Engine*, int, int64_t, bool, bool);
int engine_push(Engine*, int, int64_t, const float*, int64_t);
int engine_forward(Engine*, const float*, const uint16_t*, const int64_t*, int, float*, int32_t*, int32_t*, float*, bool);
int engine_backward(Engine*, int, const float*, int64_t, const float*, bool);
int engine_drop_out(Engine*, const uint8_t*, int, const int64_t*, const float*);
int engine_scale_gradient(Engine*, const int64_t*, const float*);
int engine_squares(Engine*, double*, int);
int engine_adam(Engine*, float, float, float, float, float, const int64_t*, const float*, const float*, const float*,
                const float*);
}

namespace {
std::FILE* file;

// The next array of the file: its length, then its numbers.
template <class T>
std::vector<T> next() {
    int64_t n = 0;
    if (std::fread(&n, sizeof n, 1, file) != 1) std::abort();
    std::vector<T> numbers(static_cast<size_t>(n));
    if (n && std::fread(numbers.data(), sizeof(T), numbers.size(), file) != numbers.size()) std::abort();
    return numbers;
}

void check(int failed) {
    if (!failed) return;
    std::fprintf(stderr, "%s\n", engine_error());
    std::exit(3);
}
}  // namespace

int main(int, char** arguments) {
    file = std::fopen(arguments[1], "rb");
    if (!file) return 2;
    const auto sizes = next<int64_t>();  // steps, trials, lanes, lanes of the output
    const auto dt_ms = next<float>(), read = next<float>(), drive_weight = next<float>();
    const auto values = next<float>(), constants = next<float>(), times = next<float>();
    const auto channels = next<uint16_t>();
    const auto offsets = next<int64_t>();
    const auto drive = next<float>(), jump = next<float>();
    const auto begin = next<int64_t>();
    const auto rate = next<float>(), low = next<float>(), high = next<float>(), kept = next<float>();
    const auto silent = next<uint8_t>();
    const auto array_begin = next<int64_t>();
    const auto factor = next<float>();
    const int n = int(sizes[1]);

    Engine* engine = nullptr;
    check(engine_create(int(sizes[0]), dt_ms[0], read.data(), drive_weight.data(), false, &engine));
    check(engine_push(engine, 0, 0, values.data(), int64_t(values.size())));
    check(engine_push(engine, 4, 0, constants.data(), int64_t(constants.size())));
    check(engine_reserve(engine, n, int64_t(times.size()), true, false));
    std::vector<float> readout(size_t(n) * size_t(sizes[3]));
    std::vector<int32_t> count(size_t(n) * size_t(sizes[2])), input_spikes(static_cast<size_t>(n));
    check(engine_drop_out(engine, silent.data(), n, array_begin.data(), factor.data()));
    check(engine_forward(engine, times.data(), channels.data(), offsets.data(), n, readout.data(), count.data(),
                         input_spikes.data(), nullptr, false));
    check(engine_backward(engine, n, drive.data(), int64_t(drive.size()), jump.data(), true));
    check(engine_scale_gradient(engine, array_begin.data(), factor.data()));
    double squares[64];
    check(engine_squares(engine, squares, 64));
    check(engine_adam(engine, 0.9f, 0.999f, 1e-8f, 1.0f, 0.5f, begin.data(), rate.data(), low.data(), high.data(),
                      kept.data()));
    long spikes = 0;
    for (const int32_t c : count) spikes += c;
    std::printf("%ld spikes\n", spikes);
    engine_destroy(engine);
    std::fclose(file);
    return 0;
}
