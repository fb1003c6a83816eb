#pragma once
// Weight gradients and the optimiser: both walk weights, not time.

#include <cmath>

#include "parallel.h"
#include "population.h"

// Trials add to the gradients of one connection in their order, so that sums are the same whoever
// computes them: place by place, each a strip of target neurons and some of the source neurons, so
// that one trial may follow close behind another. (With sums of each thread's own, added up in the
// end, a batch of a network of 512 neurons took 1.1 times as long on two cores, and every thread needed
// memory for all weights once more.)
struct InOrder {
    Turns& turns;
    int trial, n_threads;

    static constexpr int SOURCES = 256;  // of a place
    static int in_strip(const Population& source) { return (source.size + SOURCES - 1) / SOURCES; }
    static int places(const Population& source, const Population& target) {
        return in_strip(source) * target.padded;  // enough for strips of any width
    }

    bool first() const { return trial == 0; }  // it does not read what is there

    // body(i) for all source neurons of a strip. Trials leave as many strips between them as threads allow:
    // two cores close together in the same gradients took 1.3 to 1.5 times as long, with 512 and 1024
    // neurons, as two of which one is at the adjoint meanwhile.
    template <class Body>
    void take(int strip, int n_strips, const Population& source, const Body& body) const {
        const int before = std::min(strip + n_strips / n_threads, n_strips - 1);
        for (int part = 0; part < in_strip(source); part++) {
            const int from = part * SOURCES, to = std::min(from + SOURCES, source.size);
            turns.take(strip * in_strip(source) + part, trial, before * in_strip(source) + part, [&] {
                for (int i = from; i < to; i++) body(i);
            });
        }
    }
};

// gradient[i][j] -= tau_syn of j times the sum of j's lambda_I over the arrivals of i's spikes.
// One strip of target neurons at a time, so that its history and its gradients stay in the cache.
template <class K>
inline void add_gradient(const K& k, const Tape& tape, const Population& source,
                         const float* history, int n_steps, float* gradient, int64_t stride,
                         const InOrder& order) {
    const bool first = order.first();
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto c = k.strip(offset);
        const float* const strip = history_at(history, offset, 0, n_steps);
        order.take(offset / STRIP, k.p.padded / STRIP, source, [&](int i) {
            const int begin = tape.begin_of[i], end = tape.begin_of[i + 1];
            if (begin == end && !first) return;
            float* const row = gradient + i * stride + offset;
            Vector g[VECTORS] = {}, total[VECTORS] = {};
            if (!first)
                for (int v = 0; v < VECTORS; v++) g[v] = at(row, v);
            for (int s = begin; s < end; s++) {
                const float* const lambda_i = strip + int64_t(tape.arrival[s]) * STRIP;
                for (int v = 0; v < VECTORS; v++) total[v] += at(lambda_i, v);
            }
            for (int v = 0; v < VECTORS; v++) at(row, v) = g[v] - c.tau_syn(v) * total[v];
        });
    }
}

// An array of parameters that are learned, padded, and its optimiser's state.
struct Learned {
    float* value;
    float* gradient;
    float* m;
    float* v;
    int64_t n;
    float low, high;  // what values are kept within
    float rate1;      // learning rate / (1 - beta1^k)
};

// Adam, with correction2 = 1 / (1 - beta2^k) given.
inline void adam(const Learned& learned, int64_t begin, int64_t end, float beta1, float beta2,
                 float epsilon, float correction2) {
    float *__restrict w = learned.value, *__restrict m = learned.m, *__restrict v = learned.v;
    const float* __restrict g = learned.gradient;
    const float rate1 = learned.rate1, low = learned.low, high = learned.high;
    for (int64_t i = begin; i < end; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
        const float moved = w[i] - rate1 * m[i] / (std::sqrt(v[i] * correction2) + epsilon);
        const float raised = moved < low ? low : moved;
        w[i] = raised > high ? high : raised;
    }
}
