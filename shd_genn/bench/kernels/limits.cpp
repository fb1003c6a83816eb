// What this machine can do at best: read rows of a matrix in random order, as the engine reads
// weights, and compute on what is in registers.

#include "parallel.h"
#include "simd.h"

extern "C" {

// Every thread reads n_rows rows; returns a sum, so that nothing is left out.
float read_rows(const float* matrix, const int32_t* rows, int n_rows, int width, int n_threads) {
    std::vector<float> sums(n_threads);
    Threads threads(n_threads);
    threads.run(n_threads, [&](int task, int) {
        Vector total[VECTORS] = {};
        for (int k = 0; k < n_rows; k++) {
            const float* row = matrix + int64_t(rows[k]) * width;
            for (int offset = 0; offset < width; offset += STRIP)
                for (int i = 0; i < VECTORS; i++) total[i] += at(row + offset, i);
        }
        sums[task] += sum(total);
    });
    float total = 0;
    for (float each : sums) total += each;
    return total;
}

// Every thread multiplies and adds n times all lanes of CHAINS vectors, 2 operations a lane; returns
// their number. As many chains as hide how long an operation takes.
int64_t multiply_add(int64_t n, float factor, float* result, int n_threads) {
    constexpr int CHAINS = 12;
    Threads threads(n_threads);
    threads.run(n_threads, [&](int task, int) {
        Vector x[CHAINS];
        for (int i = 0; i < CHAINS; i++) x[i] = float(i) + Vector{};  // chains alike would be one
        const Vector a = factor + Vector{}, b = 1 - a;
        for (int64_t k = 0; k < n; k++)
            for (int i = 0; i < CHAINS; i++) x[i] = a * x[i] + b;
        for (int i = 1; i < CHAINS; i++) x[0] += x[i];
        result[task] = sum(x[0]);
    });
    return n * CHAINS * LANES * 2 * n_threads;
}

}  // extern "C"
