#pragma once
// Losses of the output's voltages in every step, which are too many numbers to work with on the host: 80 KB a sample with
// 1000 steps and 20 classes. Losses of a readout are worked out on the host, which takes some microseconds a batch.
// O is the output; nothing is compiled for networks that have no such loss.

#include "math.cuh"
#include "trials.cuh"

constexpr int LOSS_THREADS = 256;

// Of a cross-entropy; see learning/objective.py.
struct CrossEntropy {
    float temperature, label_smoothing, n_samples;  // of the whole batch
};

// Cross-entropy of the softmax in every step: a thread each. -dL/dV of the batch's mean loss goes to drive, if that is not
// null. The loss is log(total) - right; the host takes the logarithm, for a GPU's has other bits than a CPU's.
// voltages, drive: [trial][n_steps][Output::SIZE]; labels: [trial]; totals, rights: [trial][n_steps]
// NumPy twin: learning/objective.py:cross_entropy
template <class O>
__global__ void __launch_bounds__(LOSS_THREADS) step_loss(CrossEntropy loss, int n_trials, int n_steps,
                                                          const float* voltages, const int* labels, float* drive,
                                                          float* totals, float* rights) {
    constexpr int CLASSES = O::SIZE;
    const int64_t row = int64_t(blockIdx.x) * LOSS_THREADS + threadIdx.x;
    if (row >= int64_t(n_trials) * n_steps) return;
    const int label = labels[row / n_steps];
    const float* const v = voltages + row * CLASSES;
    float largest = v[0], total = 0, sum = 0, right = 0;
    for (int k = 1; k < CLASSES; k++) largest = fmaxf(largest, v[k]);
    for (int k = 0; k < CLASSES; k++) {
        const float shifted = (v[k] - largest) / loss.temperature;
        total += exponential(shifted);
        sum += shifted;
        if (k == label) right = shifted;
    }
    totals[row] = total;
    rights[row] = (1 - loss.label_smoothing) * right + loss.label_smoothing * (sum / CLASSES);
    if (!drive) return;
    for (int k = 0; k < CLASSES; k++) {
        const float p = exponential((v[k] - largest) / loss.temperature) / total;
        const float q = loss.label_smoothing / CLASSES + (k == label ? 1 - loss.label_smoothing : 0);
        drive[row * CLASSES + k] = (q - p) / loss.temperature / loss.n_samples;
    }
}

// A readout whose weight over time is learned: a curve for each class, or one for all. See network/learned_weight.py.
struct Curves {
    const float* now;    // [curve][n_steps]: of the forward pass
    const float* later;  // likewise, of the backward pass
    int n;

    __device__ __forceinline__ int64_t of(int k, int n_steps) const { return n == 1 ? 0 : int64_t(k) * n_steps; }
};

// The readout: a thread each trial and class. readout: [trial][Output::SIZE]
// NumPy twin: LearnedWeight.read
template <class O>
__global__ void __launch_bounds__(32) read_curves(Curves curves, int n_steps, const float* voltages, float* readout) {
    constexpr int CLASSES = O::SIZE;
    const int k = int(blockIdx.x) * 32 + int(threadIdx.x);
    const int64_t trial = blockIdx.y;
    if (k >= CLASSES) return;
    const float* const w = curves.now + curves.of(k, n_steps);
    const float* const v = voltages + trial * n_steps * CLASSES + k;
    float sum = 0;
    int step = 0;
    for (; step + 8 <= n_steps; step += 8) {  // eight loads at a time, added in order
        float a[8];
        for (int i = 0; i < 8; i++) a[i] = v[int64_t(step + i) * CLASSES];
        for (int i = 0; i < 8; i++) sum = fmaf(w[step + i], a[i], sum);
    }
    for (; step < n_steps; step++) sum = fmaf(w[step], v[int64_t(step) * CLASSES], sum);
    readout[trial * CLASSES + k] = sum / float(n_steps);
}

// What the loss does to the output in every step: a thread each. by_readout: [trial][Output::SIZE]: -dL/dreadout
// NumPy twin: LearnedWeight.drive
template <class O>
__global__ void __launch_bounds__(LOSS_THREADS) curve_drive(Curves curves, int n_trials, int n_steps,
                                                            const float* by_readout, float* drive) {
    constexpr int CLASSES = O::SIZE;
    const int64_t i = int64_t(blockIdx.x) * LOSS_THREADS + threadIdx.x;
    if (i >= int64_t(n_trials) * n_steps * CLASSES) return;
    const int k = int(i % CLASSES), step = int(i / CLASSES % n_steps);
    drive[i] = curves.later[curves.of(k, n_steps) + step] * by_readout[i / CLASSES / n_steps * CLASSES + k];
}

// -dL/dw n_steps, of each class and step, added up in the trials' order: a thread each.
// gradient: [n_steps][Output::SIZE]; it goes on from a batch's first part to the next.
// NumPy twin: LearnedWeight.gradient
template <class O>
__global__ void __launch_bounds__(LOSS_THREADS) curve_gradient(int n_trials, int n_steps, const float* voltages,
                                                               const float* by_readout, bool first_part, float* gradient) {
    constexpr int CLASSES = O::SIZE;
    const int64_t i = int64_t(blockIdx.x) * LOSS_THREADS + threadIdx.x, all = int64_t(n_steps) * CLASSES;
    if (i >= all) return;
    float sum = first_part ? 0.0f : gradient[i];
    for (int trial = 0; trial < n_trials; trial++)
        sum = fmaf(by_readout[trial * CLASSES + i % CLASSES], voltages[trial * all + i], sum);
    gradient[i] = sum;
}
