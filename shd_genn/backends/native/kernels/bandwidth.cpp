// How fast this machine reads what the engine reads: whole rows of a weight matrix, in random order.

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
        for (int i = 0; i < VECTORS; i++) sums[task] += sum(total[i]);
    });
    float total = 0;
    for (float each : sums) total += each;
    return total;
}

}  // extern "C"
