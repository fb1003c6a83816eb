"""What is derived of a neuron's equations: its step, derivatives and jump, as programs.

`derive` makes it with SymPy; the reference evaluates its programs with NumPy, and the native
backend translates them to C++. It is text and names only, so it is kept in the cache and read back
without SymPy. Nothing in it belongs to one training method: EventProp uses the jump, a surrogate
gradient and e-prop use the same derivatives of the step and of the spike condition.

**Names.** State variables and parameters have their names of the equations; ``I`` is the synaptic
current and ``dt`` the length of a sub-step in ms. q, r below stand for state variables, p for a
parameter that can be learned. Only what is not 0 is an output of a program.

================  =============================================  =============================
program           inputs                                         outputs
================  =============================================  =============================
``step``          state, I, parameters, coefficients, dt         ``q``: Φ, the update included
``jacobian``      as ``step``, with the state before it          ``J_q_r``: ∂Φ_q/∂r
``by_current``    as ``jacobian``                                ``B_q``: ∂Φ_q/∂I
``by_parameter``  as ``jacobian``                                ``D_q__p``: ∂Φ_q/∂p
``spike``         state, parameters                              ``g``
``by_state``      state, parameters                              ``g_r``: ∂g/∂r,
                                                                 ``g__p``: ∂g/∂p
``jump``          state before the reset, I, parameters          ``slope``: ∇g·f⁻,
                                                                 ``after_q``: (f⁺ - R f⁻)_q,
                                                                 ``g_r``, ``g__p``,
                                                                 ``R_q_r``: ∂r_q/∂r,
                                                                 ``r_q__p``: ∂r_q/∂p
``reset``         state before the reset, parameters             ``q``, of those that change
``initial``       parameters                                     ``q``, of those not 0, ``q__p``
``input``         parameters                                     ``b_q``: ∂f_q/∂I
``rates``         state, I, parameters                           ``q``: f_q
``partials``      state, I, parameters                           ``A_q_r``: ∂f_q/∂r,
                                                                 ``f_q__p``: ∂f_q/∂p
================  =============================================  =============================

**Coefficients** depend on parameters, dt and tau_syn only, so they are worked out once for each
neuron (`coefficients.coefficients_of`), never in a loop over steps. In the exact scheme they are

    P_q_r    exp(A dt)                                            x' = A x + b I + c
    q_q      ∫ exp(A s) b ds, from 0 to dt: from a held current to the state
    o_q      ∫ exp(A s) c ds, likewise
    k_q      ∫ exp(A (dt-s)) b exp(-s/tau_syn) ds: from a current that decays to the state
    P_q_r__p, q_q__p, o_q__p   their derivatives by p

and in the other schemes what `derive` takes out of the step, called ``K0``, ``K1`` …

**One step n of dt_ms, forward**, in the order of today's leaky integrate-and-fire neuron. x is the
synaptic current before scaling, β = exp(-dt_ms/tau_syn), S = tau_syn/dt_ms (1-β):

    1. x += weights of the spikes that arrive: those emitted in step n-1, or d steps earlier
    2. I = S x, which is held during the step
    3. for each of `substeps` sub-steps of dt = dt_ms/substeps:
           before = state;  state = step(before, I)
           if the neuron has not spiked in this step yet, and g(state) >= 0, and, if `crossing`,
           g(before) < 0: it spikes in step n; what `kept_at_spikes` names is kept of this state
           (before the reset); then state = reset(state)
    4. x *= β

    The I of ``jump`` is x of this step (before 4.) in the exact scheme, as in mlGeNN; in the other
    schemes it is S x, with which the step was computed.

**One step n, backward**, from the last to the first. μ_q = ∂L/∂q, ν = ∂L/∂x; both start with 0.

    `exact`                                    other schemes
    1. jumps of the spikes of step n           for each sub-step, the last first:
    2. history[n] = (μ, ν)                         jump, if the neuron spiked in this sub-step
    3. ν = β ν + Σ_q k_q μ_q                       c += Σ_q B_q μ_q            (c = 0 before)
       μ_r = Σ_q P_q_r μ_q  (both from old μ)      μ_r = Σ_q J_q_r μ_q         (from old μ)
                                               ν = β ν + S c
                                               history[n] = (μ, ν)

    A spike that is emitted in step n and takes d steps longer arrives in step m = n+1+d and reads
    history[m] of its target (0 if m is beyond the last step): dL/dw += ν[m], and to the feedback of
    its source it adds w (Σ_q b_q μ_q[m] - ν[m]/tau_syn). (So the exact scheme reads the adjoint at
    the end of the step of arrival, which is mlGeNN's order and that of the leaky
    integrate-and-fire neuron; the others at its start, because their steps are inverted one by
    one.) In mlGeNN's symbols λ_V = -Σ_q b_q μ_q and λ_I = -ν/tau_syn.

    Jump (neurons.md, §3), with the state and I that were kept, μ⁺ after and μ⁻ before the spike:

        G = (Σ_q after_q μ⁺_q + F)/slope + regulariser/(Σ_q g_q b_q)
        μ⁻_r = Σ_q R_q_r μ⁺_q + g_r G

    F is the feedback; regulariser is mlGeNN's jump of λ_V. If slope <= 0, which is possible only
    within the error of a step, the first term of G is 0. R has a 1 on its diagonal for variables
    that the reset does not set; it stands in ``jump`` as ``R_q_q``.

**Gradients of parameters.** At every spike, dL/dp += Σ_q μ⁺_q r_q__p + G g__p. Besides:

    exact: e_q = ∂q/∂p is carried forward, e = q__p at the start, then in every step
           e_q = Σ_r P_q_r e_r + D_q__p (D from the state before the step); at a spike it is kept,
           restarts with 0, and dL/dp += Σ_q μ⁻_q e_q. For tau_syn, with z = ∂x/∂tau_syn:
           e_q = Σ_r P_q_r e_r + q_q (S z + S' x);  z = β z + β' x, which no spike restarts.
    others: dL/dp += Σ_q μ_q D_q__p in every sub-step (μ after it, before step 3's update), and
           Σ_q μ_q q__p at the start. For tau_syn: += S' x c + β' x ν in every step, ν before its
           update.

**Held variables.** The variables in `held` keep their value after a spike in step n during the
steps n+1 … n+k, k = round(refractory_ms/dt_ms), and the neuron does not spike in these steps. What
a held q does begins at its release, at the start of step n+k+1. So Σ_q f_q μ_q, over the held q,
with f (program ``rates``) and μ at that time, takes the place of their part Σ_q f⁺_q μ⁺_q of the
sum in G (0 if the trial ends before), and -Σ_q (R f⁻)_q μ⁺_q stays. During the held steps row q of
the Jacobian is that of the identity, and B_q, k_q and D_q__p are 0.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from pathlib import Path

from shd_genn.network.neurons.equations import Equations
from shd_genn.network.neurons.expressions import Program
from shd_genn.support.kept import kept_in_cache


@dataclass(frozen=True)
class Derived:
    """The programs of a neuron; the module says how they are used.

    Attributes:
        states: The state variables.
        parameters: All parameters of the equations.
        learnable: Those that there are derivatives by.
        receives: The state variables that the current drives.
        scheme: ``exact``, ``exponential_euler`` or ``rk2``.
        substep_ms: The longest sub-step in ms; None: steps are never divided.
        spikes: Whether it ever spikes; if not, ``spike``, ``by_state``, ``jump`` and ``reset`` are
            empty.
        crossing: Whether a spike is where the condition becomes true, not where it is true.
        random: Whether it spikes at random, with the probability 1 / (1 + exp(-g)) in each step.
        state_dependent: Whether ``jacobian`` or ``by_current`` depend on the state, so that the
            backward pass needs it of every sub-step.
        kept_at_spikes: The state variables, and I, that ``jump`` reads.
        coefficients: Their names.
        constants: The program of the coefficients of other schemes than ``exact``.
        linear: Exact scheme only: ``A_q_r``, ``b_q``, ``c_q`` and their derivatives ``…__p``.
        held: The variables that are held after a spike, if the neuron has a refractory time.
        table: Where rates may be read from tables; see `Equations`.
    """

    states: tuple[str, ...]
    parameters: tuple[str, ...]
    learnable: tuple[str, ...]
    receives: tuple[str, ...]
    scheme: str
    substep_ms: float | None
    spikes: bool
    crossing: bool
    random: bool
    state_dependent: bool
    kept_at_spikes: tuple[str, ...]
    coefficients: tuple[str, ...]
    held: tuple[str, ...]
    constants: Program
    linear: Program
    step: Program
    jacobian: Program
    by_current: Program
    by_parameter: Program
    spike: Program
    by_state: Program
    jump: Program
    reset: Program
    initial: Program
    input: Program
    rates: Program
    partials: Program
    table: tuple[str, float, float] | None = None

    @property
    def exact(self) -> bool:
        """Whether steps are exact propagators."""
        return self.scheme == "exact"

    def substeps(self, dt_ms: float) -> int:
        """Into how many equal sub-steps a time step is divided."""
        if self.substep_ms is None or self.exact:
            return 1
        return max(1, math.ceil(dt_ms / self.substep_ms - 1e-6))


@functools.cache
def derived_of(
    equations: Equations, parameters: tuple[str, ...], learnable: tuple[str, ...]
) -> Derived:
    """What is derived of a neuron, from the cache or, the first time, by SymPy.

    Args:
        equations: Its equations.
        parameters: The names of its parameters.
        learnable: Those of them that can be learned.

    Raises:
        ConfigError: if the equations cannot be read, or have no adjoint.
    """

    def work() -> Derived:
        from shd_genn.network.neurons.derive import derive  # SymPy takes a second to import

        return derive(undivided, parameters, learnable)

    # nothing that is derived depends on these
    undivided = replace(equations, substep_ms=None, table=None)
    found = kept_in_cache((undivided, parameters, learnable, _sources()), Derived, work)
    return replace(found, substep_ms=equations.substep_ms, table=equations.table)


@functools.cache
def _sources() -> str:
    """The text of what derives, so that a change of it is not answered from the cache."""
    folder = Path(__file__).parent
    names = ("derive.py", "derived.py", "equations.py", "expressions.py", "symbolic.py")
    return "".join((folder / name).read_text(encoding="utf-8") for name in names)
