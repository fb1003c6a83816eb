#pragma once
// Where a thread's time goes. The stages are listed in native/layout.py.

#include <chrono>

#include "interface.h"

struct Clock {
    double seconds[STAGES] = {};

    void start() { last = std::chrono::steady_clock::now(); }

    // Count the time since start, or since the last call, as spent on a stage.
    void spent_on(Stage stage) {
        const auto now = std::chrono::steady_clock::now();
        seconds[stage] += std::chrono::duration<double>(now - last).count();
        last = now;
    }

  private:
    std::chrono::steady_clock::time_point last;
};
