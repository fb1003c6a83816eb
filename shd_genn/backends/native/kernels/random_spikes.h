#pragma once
// Random numbers of neurons that spike at random. What they are is said in the NumPy twin,
// backends/reference/random_spikes.py.

#include "random_bits.h"
#include "tape.h"
#include "vector_math.h"

inline uint64_t place_of(int step, int neuron) { return uint64_t(step) << 32 | uint64_t(neuron); }

// NumPy twin: backends/reference/random_spikes.py:key_of_trial
inline uint64_t key_of_trial(uint64_t of_batch, const Tape& input, int n_steps) {
    uint64_t sum = 0;
    for (int step = 0; step < n_steps; step++)
        for (int s = input.begin[step]; s < input.begin[step + 1]; s++)
            sum += mix(place_of(step, input.neuron[s]));
    return mix(of_batch ^ sum);
}

// A number for each of the neurons from j on, given mix(the trial's key ^ the population's number).
// NumPy twin: backends/reference/random_spikes.py:noise_of
inline Vector noise_at(uint64_t of_population, int step, int j) {
    Vector u;
    for (int lane = 0; lane < LANES; lane++) {
        const uint64_t bits = mix(of_population ^ place_of(step, j + lane));
        u[lane] = (float(bits >> 41) + 0.5f) * 0x1p-23f;
    }
    return logarithm(quotient(u, 1.0f - u));
}
