#pragma once
// Equations of the leaky integrator (network/neurons/leaky_integrate.py), for one number or a vector
// of neurons. Its forward step is that of leaky_integrate_fire.h, without spikes.

#include "leaky_integrate_fire.h"

// One step back, towards a drive d that is held for the step:
// lambda_I = d + beta (lambda_I - d) + A (alpha - beta) (lambda_V - d)
// lambda_V = d + alpha (lambda_V - d)
// NumPy twin: backends/reference/neurons.py:Adjoint.decay
template <class Constant, class Number>
inline Adjoint<Number> li_adjoint_step(const Constant& alpha, const Constant& beta,
                                       const Constant& adjoint_gain, Number lambda_i,
                                       Number difference, Number d) {
    const Number v = difference + lambda_i - d, x = lambda_i - d;
    const Number earlier_i = d + beta * x + adjoint_gain * v;
    const Number earlier_v = d + alpha * v;
    return {earlier_i, earlier_v - earlier_i};
}
