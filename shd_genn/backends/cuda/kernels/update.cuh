#pragma once
// Gradients of a batch, added up in the order of its trials, and the optimiser: both walk all that is learned.

#include "trials.cuh"

constexpr int UPDATE_THREADS = 256;

// gradient[i] = sum over trials of partial[trial][i]; of the second part of a batch, added to that of the first. The sum
// is made in the trials' order, so it does not depend on the parts.
// NumPy twin: shd_genn.backends.reference.Reference (total += gradient of a trial).
__global__ void __launch_bounds__(UPDATE_THREADS) sum_trials(const float* partial, int n_trials, bool first_part,
                                                             float* gradient) {
    const int64_t i = int64_t(blockIdx.x) * UPDATE_THREADS + threadIdx.x;
    if (i >= N_LEARNED) return;
    float sum = first_part ? 0.0f : gradient[i];
    int trial = 0;
    for (; trial + 8 <= n_trials; trial += 8) {  // eight loads at a time, added in order
        float a[8];
        for (int k = 0; k < 8; k++) a[k] = partial[int64_t(trial + k) * N_LEARNED + i];
        for (int k = 0; k < 8; k++) sum += a[k];
    }
    for (; trial < n_trials; trial++) sum += partial[int64_t(trial) * N_LEARNED + i];
    gradient[i] = sum;
}

// A factor for each array of parameters, and where they begin among all.
struct Factors {
    int64_t begin[ARRAYS + 1];
    float factor[ARRAYS];
};

// to[i] = factor of its array * from[i], of the first n of all parameters: drop-out, which makes the weights of hidden
// spikes larger, and their gradients. to may be from.
__global__ void __launch_bounds__(UPDATE_THREADS) scale_arrays(Factors arrays, int64_t n, const float* from, float* to) {
    const int64_t i = int64_t(blockIdx.x) * UPDATE_THREADS + threadIdx.x;
    if (i >= n) return;
    int array = 0;
    while (i >= arrays.begin[array + 1]) array++;
    to[i] = arrays.factor[array] * from[i];
}

constexpr int NORM_BLOCKS = 64;

struct NormShared {
    double sums[UPDATE_THREADS];
};

// sums[block]: of the squares of a part of the gradient, whose padding is 0. Blocks and threads are always as many, so
// that the order of the sums is always the same.
__global__ void __launch_bounds__(UPDATE_THREADS) sum_squares(const float* gradient, double* sums) {
    SHARED(NormShared, shared);
    const int thread = int(threadIdx.x);
    double sum = 0;
    for (int64_t i = int64_t(blockIdx.x) * UPDATE_THREADS + thread; i < N_LEARNED; i += NORM_BLOCKS * UPDATE_THREADS)
        sum += double(gradient[i]) * double(gradient[i]);
    shared.sums[thread] = sum;
    for (int half = UPDATE_THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (thread < half) shared.sums[thread] += shared.sums[thread + half];
    }
    if (thread == 0) sums[blockIdx.x] = shared.sums[0];
}

// What Adam needs to know: of each array where it begins among all parameters, its rate and bounds, and what weight decay
// leaves of it before the update. Gradients are multiplied by clip, see learning/optimisers.py.
struct AdamStep {
    float beta1, beta2, epsilon;
    float correction2;  // 1 / (1 - beta2^k)
    float clip;
    int64_t begin[LEARNED + 1];
    float rate1[LEARNED], low[LEARNED], high[LEARNED], kept[LEARNED];  // rate1: learning rate / (1 - beta1^k)
};

// NumPy twin: learning/optimisers.py:Adam.update
__global__ void __launch_bounds__(UPDATE_THREADS) adam(AdamStep adam, const float* gradient, float* values, float* m,
                                                       float* v) {
    const int64_t i = int64_t(blockIdx.x) * UPDATE_THREADS + threadIdx.x;
    if (i >= N_LEARNED) return;
    int array = 0;
    while (i >= adam.begin[array + 1]) array++;
    const float g = adam.clip * gradient[i];
    const float new_m = fmaf(adam.beta1, m[i], (1 - adam.beta1) * g);
    const float new_v = fmaf(adam.beta2, v[i], (1 - adam.beta2) * g * g);
    const float moved = adam.kept[array] * values[i] - adam.rate1[array] * new_m / (sqrtf(new_v * adam.correction2) + adam.epsilon);
    const float raised = moved < adam.low[array] ? adam.low[array] : moved;
    m[i] = new_m;
    v[i] = new_v;
    values[i] = raised > adam.high[array] ? adam.high[array] : raised;
}
