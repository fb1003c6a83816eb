// What this machine can do at best (bench/machine.py): read rows of a matrix in random order, as the
// engine reads weights; and compute on numbers that are in registers.

#include "failure.h"
#include "interface.h"
#include "parallel.h"
#include "simd.h"

extern "C" {

// Every thread reads all the rows; returns a sum, so that the compiler leaves nothing out.
float read_rows(const ReadArguments* arguments, Failure* failure) {
    float total = 0;
    guarded(*failure, [&] {
        const ReadArguments& a = *arguments;
        refuse_unless(a.matrix && a.rows, "a pointer is null");
        refuse_unless(a.width % STRIP == 0, "rows are not padded to strips");
        refuse_unless(a.n_threads >= 1, "there are no threads");
        std::vector<float> sums(a.n_threads);
        Threads threads(a.n_threads);
        threads.run(a.n_threads, [&](int task, int) {
            Vector of_task[VECTORS] = {};
            for (int k = 0; k < a.n_rows; k++) {
                const float* row = a.matrix + int64_t(a.rows[k]) * a.width;
                for (int offset = 0; offset < a.width; offset += STRIP)
                    for (int i = 0; i < VECTORS; i++) of_task[i] += at(row + offset, i);
            }
            sums[task] += sum(of_task);
        });
        for (float each : sums) total += each;
    });
    return total;
}

// Every thread multiplies and adds all lanes of CHAINS vectors, n times: 2 operations a lane. Returns
// the number of operations. There are as many chains as hide how long an operation takes.
int64_t multiply_add(const ComputeArguments* arguments, Failure* failure) {
    constexpr int CHAINS = 12;
    int64_t operations = 0;
    guarded(*failure, [&] {
        const ComputeArguments& c = *arguments;
        refuse_unless(c.result != nullptr, "a pointer is null");
        refuse_unless(c.n_threads >= 1, "there are no threads");
        Threads threads(c.n_threads);
        threads.run(c.n_threads, [&](int task, int) {
            Vector x[CHAINS];
            for (int i = 0; i < CHAINS; i++)
                x[i] = broadcast(float(i));  // equal chains would be one
            const Vector a = broadcast(c.factor), b = 1.0f - a;
            for (int64_t k = 0; k < c.n; k++)
                for (int i = 0; i < CHAINS; i++) x[i] = a * x[i] + b;
            for (int i = 1; i < CHAINS; i++) x[0] += x[i];
            c.result[task] = sum(x[0]);
        });
        operations = c.n * CHAINS * LANES * 2 * c.n_threads;
    });
    return operations;
}

}  // extern "C"
