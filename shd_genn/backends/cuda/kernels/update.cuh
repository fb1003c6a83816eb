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

// What Adam needs to know: of each array where it begins among all parameters, its rate and bounds.
struct AdamStep {
    float beta1, beta2, epsilon;
    float correction2;  // 1 / (1 - beta2^k)
    int64_t begin[LEARNED + 1];
    float rate1[LEARNED], low[LEARNED], high[LEARNED];  // rate1: learning rate / (1 - beta1^k)
};

// NumPy twin: shd_genn.backends.eventprop.adam_update.
__global__ void __launch_bounds__(UPDATE_THREADS) adam(AdamStep adam, const float* gradient, float* values, float* m,
                                                       float* v) {
    const int64_t i = int64_t(blockIdx.x) * UPDATE_THREADS + threadIdx.x;
    if (i >= N_LEARNED) return;
    int array = 0;
    while (i >= adam.begin[array + 1]) array++;
    const float g = gradient[i];
    const float new_m = fmaf(adam.beta1, m[i], (1 - adam.beta1) * g);
    const float new_v = fmaf(adam.beta2, v[i], (1 - adam.beta2) * g * g);
    const float moved = values[i] - adam.rate1[array] * new_m / (sqrtf(new_v * adam.correction2) + adam.epsilon);
    const float raised = moved < adam.low[array] ? adam.low[array] : moved;
    m[i] = new_m;
    v[i] = new_v;
    values[i] = raised > adam.high[array] ? adam.high[array] : raised;
}
