#pragma once
// Weight gradients and the optimiser: both walk weights, not time.

#include <cmath>

#include "population.h"

// gradient[i][strip] (+)= sum over samples and spikes of i of the target's history at the arrival.
// One strip of target neurons at a time, so that its history stays in the cache; each weight's sum
// runs over samples and spikes in order, so it is the same whoever computes it.
struct GradientTask {
    const Connection* connection;
    int offset;            // first target neuron of the strip
    int first, last;       // source neurons
    int source, target;    // populations
};

inline void add_gradient(const GradientTask& task, const Tape* const* tapes,
                         const float* const* histories, int n_samples, int n_steps, bool first) {
    const Connection& c = *task.connection;
    for (int s = 0; s < n_samples; s++) {
        const Tape& tape = *tapes[s];
        const float* const history = histories[s] + int64_t(task.offset) * n_steps;
        for (int i = task.first; i < task.last; i++) {
            float* const row = c.gradient + i * c.stride + task.offset;
            Vector g[VECTORS] = {};
            if (!first || s > 0)
                for (int v = 0; v < VECTORS; v++) g[v] = at(row, v);
            for (int k = tape.begin_of[i]; k < tape.begin_of[i + 1]; k++) {
                const float* const record = history + int64_t(tape.arrival[k]) * STRIP;
                for (int v = 0; v < VECTORS; v++) g[v] += at(record, v);
            }
            for (int v = 0; v < VECTORS; v++) at(row, v) = g[v];
        }
    }
}

// Adam with the step size rate / (1 - beta1^k) and 1 / (1 - beta2^k) given.
inline void adam(float* __restrict w, const float* __restrict g, float* __restrict m,
                 float* __restrict v, int64_t n, float beta1, float beta2, float epsilon,
                 float rate1, float correction2) {
    for (int64_t i = 0; i < n; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
        w[i] -= rate1 * m[i] / (std::sqrt(v[i] * correction2) + epsilon);
    }
}
