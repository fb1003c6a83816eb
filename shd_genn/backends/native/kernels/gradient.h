#pragma once
// Weight gradients: a walk over weights, not over time.

#include "parallel.h"
#include "population.h"
#include "tape.h"

// The trials of a batch add to the gradients of one connection in the order of their numbers, so that
// sums are the same whichever thread computes them. They do so place by place: a place is a strip of
// target neurons and some of the source neurons, so one trial may follow close behind another. (With
// a sum for each thread, added up in the end, a batch of a network of 512 neurons took 1.1 times as
// long on two cores, and every thread needed memory for all weights once more.)
struct TrialOrder {
    Sequencer& sequencer;
    int trial, n_threads;

    static constexpr int SOURCES = 256;  // of a place
    static int places_in_strip(const Population& source) {
        return (source.size + SOURCES - 1) / SOURCES;
    }
    static int places(const Population& source, const Population& target) {
        return places_in_strip(source) * target.padded;  // enough for strips of any width
    }

    bool is_first() const { return trial == 0; }  // it does not read what is there

    // body(i) for all source neurons of a strip. Trials leave as many strips between them as threads
    // allow: with 512 and 1024 neurons, two cores close together in the same gradients took 1.3 to
    // 1.5 times as long as two of which one was at the adjoint meanwhile.
    template <class Body>
    void for_sources(int strip, int n_strips, const Population& source, const Body& body) const {
        const int per_strip = places_in_strip(source);
        const int ahead = std::min(strip + n_strips / n_threads, n_strips - 1);
        for (int part = 0; part < per_strip; part++) {
            const int from = part * SOURCES, to = std::min(from + SOURCES, source.size);
            sequencer.pass(strip * per_strip + part, trial, ahead * per_strip + part, [&] {
                for (int i = from; i < to; i++) body(i);
            });
        }
    }
};

// gradient[i][j] -= tau_syn of j times the sum of j's lambda_I over the arrivals of i's spikes.
// One strip of target neurons at a time, so that its history and its gradients stay in the cache.
// NumPy twin: backends/reference/eventprop.py:backward
template <class K>
inline void add_gradient(const K& k, const Tape& tape, const Population& source,
                         const float* history, int n_steps, float* gradient, int64_t stride,
                         const TrialOrder& order) {
    const bool first = order.is_first();
    for (int offset = 0; offset < k.p.padded; offset += STRIP) {
        const auto c = k.strip(offset);
        const float* const strip = history_at(history, offset, 0, n_steps);
        order.for_sources(offset / STRIP, k.p.padded / STRIP, source, [&](int i) {
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
