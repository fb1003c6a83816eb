#pragma once
// Where a thread's time goes.

#include <chrono>

enum Stage { INPUT_SPIKES, FORWARD, ADJOINT, GRADIENT, OPTIMISER, STAGES };

struct alignas(64) Clock {  // a cache line of its own
    double seconds[STAGES] = {};

    void start() { last = std::chrono::steady_clock::now(); }

    // What has passed since start, or since the last call, was spent on a stage.
    void spent_on(Stage stage) {
        const auto now = std::chrono::steady_clock::now();
        seconds[stage] += std::chrono::duration<double>(now - last).count();
        last = now;
    }

  private:
    std::chrono::steady_clock::time_point last;
};
