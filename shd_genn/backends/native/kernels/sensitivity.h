#pragma once
// Derivatives of V by the neuron's own parameters.
//
// The forward pass carries three numbers along each step from V to alpha V + (1 - alpha) S x, with V
// and x from before the step:   g = alpha g + V;   f = alpha f + z;   z = beta z + x.
// With the recursions of sensitivities.py, the derivatives of V are
//   by tau_mem, in units of alpha' / (1 - alpha):  (1 - alpha) g - V
//   by tau_syn, in units of (1 - alpha) S beta':   f + S'/(S beta') V / ((1 - alpha) S)
// So what V has to do with them is added where they are used, and not in every step.

#include "population.h"

// NumPy twin: backends/reference/sensitivities.py:Sensitivity.step
template <class K, class Constant>
inline void sensitivity_step(float* sensitivity, int i, const Constant& alpha, const Constant& beta,
                             Vector v, Vector x) {
    if constexpr (K::LEARNS_TAU_MEM) {
        Vector& g = at(sensitivity, i);
        g = alpha * g + v;
    }
    if constexpr (K::LEARNS_TAU_SYN) {
        Vector& f = at(sensitivity + STRIP, i);
        Vector& z = at(sensitivity + 2 * STRIP, i);
        const Vector earlier_z = z;
        f = alpha * f + earlier_z;
        z = beta * earlier_z + x;
    }
}

template <class Constant, class Number>
inline Number v_by_tau_mem(const Constant& alpha, Number g, Number v) {
    return (1.0f - alpha) * g - v;
}

template <class Constant, class Number>
inline Number v_by_tau_syn(const Constant& by_syn_ratio, Number f, Number v) {
    return f + by_syn_ratio * v;
}

// Add to the gradients of a neuron's parameters, given the derivative of the loss by V at a spike or
// in a step, and the derivatives of V there. gradient[parameter]: of all neurons; null if not learned.
// NumPy twin: backends/reference/eventprop.py:_learn
template <class K>
inline void learn_from(const K& k, int neuron, float by_voltage, float by_mem, float by_syn,
                       const NeuronGradient& gradient) {
    if constexpr (K::LEARNS_TAU_MEM)
        gradient.tau_mem[neuron] += by_voltage * k.by_mem_unit(neuron) * by_mem;
    if constexpr (K::LEARNS_TAU_SYN)
        gradient.tau_syn[neuron] += by_voltage * k.by_syn_unit(neuron) * by_syn;
    if constexpr (K::LEARNS_V_THRESH) gradient.v_thresh[neuron] -= by_voltage;
}
