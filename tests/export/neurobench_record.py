"""Records NeuroBench's own figures of the network of test_report.py, as a module of snnTorch.

It needs torch, snntorch and neurobench, in an environment of their own:

    PYTHONPATH=.:tests python tests/export/neurobench_record.py
"""

import warnings

import torch
from helpers.exporting import dense_input, trained_network
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import ActivationSparsity, MembraneUpdates, SynapticOperations
from neurobench.models import SNNTorchModel
from snntorch import Synaptic


class Module(torch.nn.Module):
    """One recurrent layer; snnTorch's neurons have no gain, so it divides their thresholds."""

    def __init__(self, trained):
        super().__init__()
        hidden, output = trained.populations
        self.sizes = hidden.size, output.size
        for name, weights in trained.parameters.items():
            linear = torch.nn.Linear(*weights.shape, bias=False)
            linear.weight.data = torch.from_numpy(weights.T.copy())
            setattr(self, name, linear)
        self.neurons = self._neurons(trained, hidden, "zero")
        self.outputs = self._neurons(trained, output, "none")

    def _neurons(self, trained, population, reset):
        k = trained.constants(population)
        threshold = min(float(k.v_thresh[0] / ((1 - k.alpha[0]) * k.scale[0])), 1e9)
        decay = float(k.beta[0]), float(k.alpha[0])
        return Synaptic(*decay, threshold=threshold, reset_mechanism=reset, reset_delay=False)

    def forward(self, spikes):
        """Output voltages, (batch, steps, outputs)."""
        batch, n_steps, _ = spikes.shape
        hidden = [torch.zeros(batch, self.sizes[0]) for _ in range(3)]
        output = [torch.zeros(batch, self.sizes[1]) for _ in range(3)]
        given, voltages = torch.zeros_like(spikes[:, 0]), []
        for n in range(n_steps):
            arriving = self.input_hidden0(given) + self.hidden0_hidden0(hidden[0])
            to_output = self.hidden0_output(hidden[0])
            hidden = self.neurons(arriving, *hidden[1:])
            output = self.outputs(to_output, *output[1:])
            given = spikes[:, n]
            voltages.append(output[2])
        return torch.stack(voltages, 1)


class Model(SNNTorchModel):
    """NeuroBench's wrapper feeds steps itself; this one leaves that to the module."""

    def __call__(self, batch):
        with torch.no_grad():
            return self.net(batch)


def numbers():
    """Name of each figure → NeuroBench's number."""
    warnings.simplefilter("ignore")
    trained, events, reference = trained_network(hidden_sizes=(30,))
    spikes = torch.from_numpy(dense_input(reference, events))
    samples = torch.utils.data.TensorDataset(spikes, torch.zeros(len(spikes)))
    loader = torch.utils.data.DataLoader(samples, batch_size=len(spikes))
    static = [Footprint, ConnectionSparsity, ParameterCount]
    workload = [ActivationSparsity, SynapticOperations, MembraneUpdates]
    found = Benchmark(Model(Module(trained)), loader, [], [], [static, workload]).run()
    return found | found["SynapticOperations"]


if __name__ == "__main__":
    print(numbers())
