#pragma once
// Equations of the leaky integrate-and-fire neuron (network/neurons/leaky_integrate_fire.py), for one
// number or a vector of neurons. Loops over neurons are in spiking.h; derivatives by the neuron's own
// parameters are in sensitivity.h.

// One step: V = alpha V + (1 - alpha) S x, with gain = (1 - alpha) S.
// NumPy twin: backends/reference/neurons.py:IntegrateFire.step
template <class Constant, class Number>
inline Number lif_step(const Constant& alpha, const Constant& gain, Number v, Number x) {
    return alpha * v + gain * x;
}

// The adjoint variables of a neuron in a step.
template <class Number>
struct Adjoint {
    Number lambda_i, difference;  // lambda_I, lambda_V - lambda_I
};

// One step back: lambda_I = A (alpha - beta) lambda_V + beta lambda_I, with adjoint_gain =
// A (alpha - beta); lambda_V = alpha lambda_V.
// NumPy twin: backends/reference/neurons.py:Adjoint.decay
template <class Constant, class Number>
inline Adjoint<Number> lif_adjoint_step(const Constant& alpha, const Constant& beta,
                                        const Constant& adjoint_gain, Number lambda_i,
                                        Number difference) {
    const Number lambda_v = difference + lambda_i;
    const Number earlier_i = adjoint_gain * lambda_v + beta * lambda_i;
    return {earlier_i, alpha * lambda_v - earlier_i};
}

// lambda_V before a spike, given lambda_V after it: the slope is I/S - V at the spike, in proportion
// to dV/dt; the feedback is what the spike did to its targets.
// NumPy twin: backends/reference/neurons.py:Adjoint.jump
inline float lif_jump(float v_thresh, float lambda_v, float feedback, float slope,
                      float regulariser) {
    return lambda_v + ((v_thresh * lambda_v + feedback) / slope - regulariser);
}
