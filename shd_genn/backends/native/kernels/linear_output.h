#pragma once
// Outputs that take no steps. An output that is read with fixed weights, and whose constants are the
// same for all neurons and never change, is linear: what a spike adds to the readout, and what the
// loss feeds back to it, is its weights times a number that depends only on the step in which it
// arrives. So these outputs take steps only if their voltages are asked for. With 256 hidden neurons
// their steps were a tenth of the time of a feed-forward network and a twentieth of a recurrent one.

#include "gradient.h"

// By step of arrival, the step after the trial included, where all is 0.
struct LinearOutput {
    std::vector<float> read;        // what a weight of 1 adds to the readout
    std::vector<float> lambda_i;    // of an output with a drive of 1
    std::vector<float> difference;  // and its lambda_V - lambda_I

    // NumPy twins: backends/reference/trial.py:read_out, backends/reference/neurons.py:Adjoint.decay
    void prepare(const Population& p, const std::vector<float>& read_weight,
                 const std::vector<float>& drive_weight) {
        const int n_steps = int(read_weight.size());
        for (auto* each : {&read, &lambda_i, &difference}) each->assign(n_steps + 1, 0.0f);
        double by_v = 0, by_x = 0;  // the readout's derivatives by V and x of a step
        double lambda = 0, lambda_v = 0;
        for (int step = n_steps - 1; step >= 0; step--) {
            by_v = read_weight[step] + p.alpha * by_v;
            by_x = p.gain * by_v + p.beta * by_x;
            const double d = drive_weight[step];  // as in li_adjoint_step, in float64
            lambda = d + p.beta * (lambda - d) + p.adjoint_gain * (lambda_v - d);
            lambda_v = d + p.alpha * (lambda_v - d);
            read[step] = float(by_x);
            lambda_i[step] = float(lambda);
            difference[step] = float(lambda_v - lambda);
        }
    }
};

// The sum over a neuron's spikes of a number that depends on the step in which they arrive.
inline float over_arrivals(const Tape& tape, int neuron, const std::vector<float>& of_step) {
    float total = 0;
    for (int k = tape.begin_of[neuron]; k < tape.begin_of[neuron + 1]; k++)
        total += of_step[tape.arrival[k]];
    return total;
}

// NumPy twin: backends/reference/trial.py:read_out
inline void read_spikes(const LinearOutput& linear, const Connection& c, const Tape& tape,
                        const Population& source, const Population& target, float* readout) {
    for (int i = 0; i < source.size; i++) {
        if (tape.begin_of[i] == tape.begin_of[i + 1]) continue;
        const float* const row = c.weights + i * c.stride;
        const float times = over_arrivals(tape, i, linear.read);
        for (int j = 0; j < target.size; j++) readout[j] += times * row[j];
    }
}

// What a spike of each source neuron is fed back, but for the factor of its step.
// NumPy twin: backends/reference/neurons.py:at_arrival
inline void weigh_drive(const Connection& c, const Population& source, const Population& target,
                        const float* drive, std::vector<float>& weighed) {
    weighed.resize(source.size);
    for (int i = 0; i < source.size; i++) {
        const float* const row = c.weights + i * c.stride;
        Vector total = {};
        for (int j = 0, n = in_vectors(target.size); j < n; j += LANES)
            total += at(row + j, 0) * at(drive + j, 0);
        weighed[i] = sum(total);
    }
}

// As add_gradient.
// NumPy twin: backends/reference/eventprop.py:backward
inline void add_linear_gradient(const LinearOutput& linear, const Tape& tape,
                                const Population& source, const Population& target,
                                const float* drive, float* gradient, int64_t stride,
                                const TrialOrder& order) {
    order.for_sources(0, 1, source, [&](int i) {
        if (tape.begin_of[i] == tape.begin_of[i + 1] && !order.is_first()) return;
        float* const row = gradient + i * stride;
        const float times = -target.tau_syn * over_arrivals(tape, i, linear.lambda_i);
        if (order.is_first())
            for (int j = 0; j < target.size; j++) row[j] = times * drive[j];
        else
            for (int j = 0; j < target.size; j++) row[j] += times * drive[j];
    });
}
