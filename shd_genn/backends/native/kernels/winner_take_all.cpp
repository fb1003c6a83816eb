// Trials of a layer whose neurons compete, with STDP. Its NumPy twin, which is the specification, is
// reference/winner_take_all.py; both compute with doubles and add in the same order.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "failure.h"
#include "interface.h"
#include "random_bits.h"

namespace shd_genn {

inline double uniform(uint64_t bits) { return (double(bits >> 11) + 0.5) * 0x1p-53; }

inline double normal(uint64_t bits) {
    const double one = uniform(mix(bits ^ 1u)), two = uniform(mix(bits ^ 2u));
    return std::sqrt(-2 * std::log(one)) * std::cos(2 * 3.141592653589793 * two);
}

// A layer during its trials.
class Layer {
  public:
    explicit Layer(const LayerArguments& arguments)
        : a(arguments),
          n(a.n_neurons),
          v(n),
          x(n),
          arriving(n),
          gain(n),
          free_from(n),
          spiked(n),
          arrived(a.n_inputs),
          begin(a.n_steps + 1),
          pending(a.rewards ? size_t(a.n_inputs) * n : 0) {
        grid.reserve(a.n_steps);
        for (int step = 0; step < a.n_steps; ++step) grid.push_back(float(step) * a.dt_ms);
    }

    void run(int trial) {
        take_input(trial);
        begin_trial(trial);
        for (int step = 0; step < a.n_steps; ++step) {
            const int first = step ? begin[step - 1] : 0, last = step ? begin[step] : 0;
            receive(first, last);
            if (a.learn) arrive(step, first, last);
            const int winner = compete(step);
            a.winners[int64_t(trial) * a.n_steps + step] = winner;
            if (winner < 0 || !a.learn) continue;
            a.theta[winner] += a.theta_jump;
            spike(step, winner);
        }
        if (!a.learn) return;
        if (a.rewards && a.rate != 0) reward(a.rewards + int64_t(trial) * n);
        for (int j = 0; j < n; ++j) a.theta[j] *= a.theta_kept;
    }

  private:
    const LayerArguments& a;
    const int n;
    std::vector<double> v, x, arriving, gain;
    std::vector<int> free_from, spiked, arrived;
    std::vector<int> begin, channels;  // input spikes of all steps; where those of a step begin
    std::vector<double> pending;       // changes that wait for the reward
    std::vector<float> grid;
    std::vector<std::vector<int>> emitted;
    std::vector<int> recent;  // neurons that spiked in this trial, in their order
    uint64_t number = 0;      // of this trial's random changes

    // Which channels spike in which step; see reference/trial.py, steps_of_input.
    void take_input(int trial) {
        emitted.resize(a.n_steps);
        for (auto& step : emitted) step.clear();
        std::fill(arrived.begin(), arrived.end(), 0);  // here: the first step that is free
        for (int64_t i = a.offsets[trial]; i < a.offsets[trial + 1]; ++i) {
            const int channel = a.channels[i];
            const auto at = std::lower_bound(grid.begin(), grid.end(), a.times_ms[i]);
            const int step = std::max(int(at - grid.begin()), arrived[channel]);
            if (step >= a.n_steps) continue;
            emitted[step].push_back(channel);
            arrived[channel] = step + 1;
        }
        channels.clear();
        for (int step = 0; step < a.n_steps; ++step) {
            begin[step] = int(channels.size());
            std::sort(emitted[step].begin(), emitted[step].end());
            channels.insert(channels.end(), emitted[step].begin(), emitted[step].end());
        }
        begin[a.n_steps] = int(channels.size());
        a.input_spikes[trial] = int(channels.size());
    }

    void begin_trial(int trial) {
        std::fill(v.begin(), v.end(), 0.0);
        std::fill(x.begin(), x.end(), 0.0);
        std::fill(free_from.begin(), free_from.end(), 0);
        std::fill(spiked.begin(), spiked.end(), -1);
        std::fill(arrived.begin(), arrived.end(), -1);
        std::fill(pending.begin(), pending.end(), 0.0);
        recent.clear();
        number = mix(mix(uint64_t(a.seed)) ^ uint64_t(a.first_trial + trial));
        std::fill(gain.begin(), gain.end(), 0.0);
        for (int i = 0; i < a.n_inputs; ++i)
            for (int j = 0; j < n; ++j) gain[j] += a.w[int64_t(i) * n + j];
        for (int j = 0; j < n; ++j) gain[j] = a.total / std::max(gain[j], 1e-9);
    }

    void receive(int first, int last) {
        std::fill(arriving.begin(), arriving.end(), 0.0);
        for (int s = first; s < last; ++s) {
            const double* row = a.w + int64_t(channels[s]) * n;
            for (int j = 0; j < n; ++j) arriving[j] += row[j];
        }
    }

    // The neuron that spikes, -1 for none.
    int compete(int step) {
        int best = 0;
        double highest = -INFINITY;
        for (int j = 0; j < n; ++j) {
            x[j] = a.beta * x[j] + arriving[j] * gain[j];
            v[j] = step < free_from[j] ? 0.0 : a.alpha * v[j] + a.drive * x[j];
        }
        for (int j = 0; j < n; ++j) {
            const double excess = v[j] - (a.v_thresh + a.theta[j]);
            if (excess > highest) highest = excess, best = j;
        }
        if (!(highest >= 0)) return -1;
        std::fill(v.begin(), v.end(), a.inhibited_v);
        v[best] = 0;
        free_from[best] = step + 1 + a.refractory_steps;
        return best;
    }

    // Spikes of channels arrive: pairs with post spikes before them.
    void arrive(int step, int first, int last) {
        for (int s = first; s < last; ++s) arrived[channels[s]] = step;
        if (a.rate == 0 || a.trace) return;
        size_t near = recent.size();
        while (near > 0 && a.fall[step - spiked[recent[near - 1]]] != 0) --near;
        for (int s = first; s < last; ++s)
            for (size_t r = near; r < recent.size(); ++r) {
                const int j = recent[r];
                const int64_t synapse = int64_t(channels[s]) * n + j;
                change(step, synapse, a.rate * a.fall[step - spiked[j]] * a.w[synapse], 1);
            }
    }

    // A neuron spikes: pairs with the last spike of each channel.
    void spike(int step, int j) {
        if (spiked[j] >= 0) recent.erase(std::find(recent.begin(), recent.end(), j));
        recent.push_back(j);
        spiked[j] = step;
        if (a.rate == 0) return;
        for (int i = 0; i < a.n_inputs; ++i) {
            const int64_t synapse = int64_t(i) * n + j;
            const double w = a.w[synapse], rise = arrived[i] >= 0 ? a.rise[step - arrived[i]] : 0.0;
            const double by =
                a.trace ? (rise - a.trace_target) * std::pow(1 - w, a.trace_exponent) : rise * w;
            change(step, synapse, a.rate * by, 0);
        }
    }

    void change(int step, int64_t synapse, double by, int kind) {
        if (a.spread) by = a.spread[synapse] * by;
        if (a.rewards)
            pending[synapse] += a.remembered[step] * by;
        else
            make(step, synapse, by, kind);
    }

    // The trial ends: make the changes that waited.
    void reward(const double* rewards) {
        for (int i = 0; i < a.n_inputs; ++i)
            for (int j = 0; j < n; ++j) {
                const int64_t synapse = int64_t(i) * n + j;
                make(a.n_steps, synapse, rewards[j] * pending[synapse], 0);
            }
    }

    void make(int step, int64_t synapse, double by, int kind) {
        if (by == 0) return;
        uint64_t bits = 0;
        if (a.device_noise != 0 || a.device_levels)
            bits = mix(mix(number ^ uint64_t(step)) ^ uint64_t(2 * synapse + kind));
        if (a.device_noise != 0) by *= 1 + a.device_noise * normal(bits);
        double w = std::min(std::max(a.w[synapse] + by, 0.0), 1.0);
        if (a.device_levels) {
            const double levels = w * (a.device_levels - 1), below = std::floor(levels);
            const double up = uniform(mix(bits ^ 3u)) < levels - below ? 1.0 : 0.0;
            w = (below + up) / (a.device_levels - 1);
        }
        a.w[synapse] = w;
    }
};

inline void check(const LayerArguments& a) {
    refuse_unless(a.n_inputs > 0 && a.n_neurons > 0 && a.n_steps > 0 && a.n_trials >= 0,
                  "a size is not positive");
    refuse_unless(a.w && a.theta && a.rise && a.fall && a.offsets && a.winners && a.input_spikes,
                  "a pointer is null");
    refuse_unless(!a.rewards || a.remembered, "a pointer is null");
    refuse_unless(a.offsets[0] >= 0 && a.offsets[a.n_trials] <= a.n_spikes,
                  "offsets are outside of the spikes");
    for (int trial = 0; trial < a.n_trials; ++trial)
        refuse_unless(a.offsets[trial] <= a.offsets[trial + 1], "offsets do not ascend");
    for (int64_t i = 0; i < a.n_spikes; ++i)
        refuse_unless(a.channels[i] < a.n_inputs, "a channel is not of the network");
}

extern "C" {

// Simulate trials, one after the other, and learn from each of them if the arguments say so.
void layer_run(const LayerArguments* arguments, Failure* failure) {
    guarded(*failure, [&] {
        refuse_unless(arguments, "a pointer is null");
        check(*arguments);
        Layer layer(*arguments);
        for (int trial = 0; trial < arguments->n_trials; ++trial) layer.run(trial);
    });
}

}  // extern "C"

}  // namespace shd_genn
