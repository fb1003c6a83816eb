#pragma once
// Drop-out: some hidden neurons are silent in a trial.

#include <limits>

#include "population.h"

// A voltage that never reaches a threshold, whatever arrives.
// NumPy twin: backends/reference/eventprop.py:forward
inline void silence(const Population& p, const uint8_t* silent, State& state) {
    for (int j = 0; j < p.size; j++)
        if (silent[j]) state.v.get()[j] = -std::numeric_limits<float>::infinity();
}
