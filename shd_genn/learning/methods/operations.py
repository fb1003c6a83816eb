"""The work of a training method: how many synapses it touches in a trial.

A synaptic operation is a sum of products with one weight, or an update of one synapse's trace or
gradient, at one spike or in one step. Operations of neurons and of the optimiser do not count.

| method         | forward | errors                                     | gradient    |
|----------------|---------|--------------------------------------------|-------------|
| `eventprop`    | spikes  | the synapses that hidden spikes arrive at  | spikes      |
| `surrogate`    | spikes  | all synapses from hidden neurons, a step   | spikes      |
| `eprop`        | spikes  | the output weights, once a trial¹          | spikes      |
| `eprop-online` | spikes  | the output weights, once a trial¹          | all, a step |
| `stdp`         | spikes  | none: the rules are local                  | changes²    |
| `r-stdp`       | spikes  | none: the rules are local                  | changes²    |
| `conversion`   | all     | all                                        | all         |

"spikes" means the synapses that all spikes arrive at. ¹ In every step, where the loss is of each
step (``var``). ² A neuron's input weights twice a spike, not in a control; and the sums of the
reader: the square of the number of its spike counts if it is linear, else that number.

With a bounded surrogate, the errors of a leaky integrate-and-fire neuron are needed only in the
steps in which it is near its threshold. The engines count these steps while they train.
"""

from __future__ import annotations

from collections.abc import Mapping

from shd_genn.learning.methods import (
    STDP,
    Conversion,
    EProp,
    EPropOnline,
    EventProp,
    Method,
    Surrogate,
)
from shd_genn.network import Network
from shd_genn.network.readouts import READOUTS
from shd_genn.support.errors import ConfigError


def forward_operations(network: Network, spikes: Mapping[str, float]) -> float:
    """The synapses that spikes arrive at.

    Args:
        network: The network.
        spikes: Population → its spikes, all neurons together; those of the input, too.
    """
    return sum(spikes[c.source.name] * c.target.size for c in network.connections)


def training_operations(
    network: Network,
    method: Method,
    n_steps: int,
    spikes: Mapping[str, float],
    near_steps: Mapping[str, float] | None = None,
) -> float:
    """Synaptic operations of the forward and the backward pass of a trial.

    Args:
        network: The network.
        method: What it is trained with.
        n_steps: Time steps of a trial.
        spikes: Population → its spikes in a trial, all neurons together; those of the input, too.
        near_steps: Population → its neurons times steps of a trial in which a bounded surrogate is
            not 0; all steps of those that are not given.

    Raises:
        ConfigError: if the work of the method is not known.
    """
    if isinstance(method, Conversion):
        return 3.0 * sum(c.source.size * c.target.size for c in network.connections)
    arriving = forward_operations(network, spikes)
    to_output = sum(c.source.size * c.target.size for c in network.inputs_of(network.output))
    hidden = [c for c in network.connections if c.source in network.spiking]
    if isinstance(method, EventProp):
        return 2 * arriving + sum(spikes[c.source.name] * c.target.size for c in hidden)
    if isinstance(method, Surrogate):
        steps = {p.name: float(n_steps * p.size) for p in network.spiking} | dict(near_steps or {})
        return 2 * arriving + sum(steps[c.source.name] * c.target.size for c in hidden)
    if isinstance(method, EProp):
        each_step = READOUTS[network.readout].form == "each_step"
        errors = to_output * (n_steps if each_step else 1)
        if isinstance(method, EPropOnline):
            synapses = sum(c.source.size * c.target.size for c in network.connections)
            return arriving + errors + n_steps * synapses
        return 2 * arriving + errors
    if isinstance(method, STDP):
        features = method.features(network)
        reader = (features + 1) ** 2 if method.reader == "linear" else features
        changes = 2 * network.input.size * spikes[network.hidden[0].name]
        return arriving + reader + (changes if method.learns else 0)
    raise ConfigError(
        f"the operations of the method {method.kind} are not known; add them to "
        "learning/methods/operations.py"
    )
