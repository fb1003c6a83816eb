"""Run folders and studies with known numbers, written without training."""

import warnings
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import optuna
import sqlalchemy

from shd_genn.config import Config
from shd_genn.datasets.settings import DataConfig
from shd_genn.export.report import BITS_COLUMNS, STEPS_COLUMNS
from shd_genn.learning.settings import TrainConfig
from shd_genn.network.settings import ModelConfig
from shd_genn.record.environment import FORMAT, DatasetRecord, Environment, SplitRecord
from shd_genn.record.rows import EpochRow, PredictionRow, Split, SplitResult
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import RunResult, State, Summary, TestResult

WORDS = ("zero", "one", "10")
SPEAKERS = ("anna", "ben")
N_SAMPLES = 30
N_INPUTS = 5


def write(
    runs: Path,
    model: str = "recurrent",
    hidden: int = 8,
    seed: int = 0,
    right: int = 20,
    state: State = "complete",
    dataset: str = "tiny",
    epochs: int = 3,
    valid: bool = True,
    **settings,
) -> Path:
    """A run that got so many of its test samples right; its folder."""
    config = Config(
        data=DataConfig(dataset=f"data/{dataset}"),
        model=ModelConfig(
            model=model, hidden_sizes=(hidden,), n_inputs=N_INPUTS, n_classes=len(WORDS)
        ),
        train=TrainConfig(seed=seed, epochs=epochs, **settings),
        backend="native",
        n_threads=2,
    )
    rng = np.random.default_rng([seed, hidden, len(model), right])
    folder = RunFolder(runs / f"{dataset}_{model}-{hidden}_{seed}_{right}_{config.digest()}")
    folder.write_config(config)
    folder.write_environment(environment(dataset))
    summary = Summary(state, hidden={"hidden0": hidden})
    if state == "failed":
        summary = replace(summary, reason="the loss must stay finite, but is not in epoch 2")
    rows = metrics(rng, epochs if state == "complete" else 2, valid)
    if state == "complete":
        rows.append(replace(row(rng, 2, "test"), accuracy=right / N_SAMPLES))
        result = finish(folder, rng, hidden, model == "recurrent", right, seed)
        summary = replace(summary, result=result)
    folder.write_summary(summary)
    folder.write_epochs(rows)
    return folder.path


def environment(dataset: str, test_digest: str = "") -> Environment:
    split = SplitRecord(N_SAMPLES, 100.0, [0, 1], test_digest or f"abcdef of {dataset}")
    return Environment(
        format=FORMAT,
        started="2026-01-01 10:00:00 +0000",
        command=["run.py"],
        shd_genn="0.1.0",
        python="3.11",
        packages={},
        system="Linux",
        cpu="Some CPU",
        cores=2,
        backend="native",
        backend_because="asked for by name",
        dataset=DatasetRecord(
            dataset, WORDS, N_INPUTS, "cochlea", SPEAKERS, train=split, test=split
        ),
        model={},
        commit="abcdef123456",
    )


def row(rng, epoch: int, split: Split) -> EpochRow:
    return EpochRow(
        epoch=epoch,
        split=split,
        accuracy=float(rng.uniform(0.2, 0.9)),
        loss=1.0,
        hidden_spikes_mean=float(rng.uniform(5, 15)),
        hidden_spikes_sd=1.0,
        hidden_spikes_min=0.0,
        hidden_spikes_max=20.0,
        silent_neurons=int(rng.integers(0, 3)),
        input_spikes=100.0,
        synaptic_operations=1e4,
        samples=N_SAMPLES,
        seconds=float(rng.uniform(1, 2)),
    )


def metrics(rng, epochs: int, valid: bool) -> list[EpochRow]:
    splits = ("train", "valid") if valid else ("train",)
    return [row(rng, epoch, split) for epoch in range(1, epochs + 1) for split in splits]


def finish(folder, rng, hidden, recurrent, right, seed) -> RunResult:
    """What a complete run has besides; the first samples are those that are right."""
    counts = rng.integers(0, 20, (N_SAMPLES, hidden)).astype(np.int32)
    counts[:, 0] = 0
    predictions = []
    for i in range(N_SAMPLES):
        label = i % len(WORDS)
        # which ones are right depends on the seed, so that networks differ in samples
        predicted = label if (i + 7 * seed) % N_SAMPLES < right else (label + 1) % len(WORDS)
        predictions.append(
            PredictionRow(
                sample=i,
                label=label,
                word=WORDS[label],
                predicted=predicted,
                predicted_word=WORDS[predicted],
                correct=label == predicted,
                speaker=SPEAKERS[i // 3 % 2],
                seen_speaker=i // 3 % 2 == 0,
                loss=1.0,
                input_spikes=100 + i,
                hidden_spikes={"hidden0": int(counts[i].sum())},
            )
        )
    folder.write_predictions(predictions)
    folder.write_arrays("spike_counts", {"hidden0": counts})
    weights = {
        "parameter_input_hidden0": rng.normal(size=(N_INPUTS, hidden)).astype(np.float32),
        "parameter_hidden0_output": rng.normal(size=(hidden, len(WORDS))).astype(np.float32),
    }
    if recurrent:
        weights["parameter_hidden0_hidden0"] = rng.normal(size=(hidden, hidden)).astype(np.float32)
    folder.write_arrays("best", {"epoch": np.array(2), **weights, "adam_m_x": np.zeros(3)})
    test = asdict(replace(row(rng, 2, "test"), accuracy=right / N_SAMPLES))
    kept = {field.name for field in fields(SplitResult)}
    test = {name: value for name, value in test.items() if name in kept}
    return RunResult(
        dataset="tiny",
        epochs=3,
        best_epoch=2,
        chosen_by="validation accuracy",
        best_accuracy=right / N_SAMPLES + 0.01,
        seconds_per_epoch=float(rng.uniform(1, 2)),
        backend="native",
        spikes_after_trial=0.0,
        peak_memory_mb=300 + hidden,
        updates=12,
        training_operations=2.5 * operations(counts, hidden, recurrent),
        test=TestResult(
            **test
            | {
                "hidden_spikes_mean": float(counts.mean()),
                "synaptic_operations": operations(counts, hidden, recurrent),
                "dense_operations": 1000 * hidden,
                "activation_sparsity": 0.95,
                "connection_sparsity": 0.25,
                "footprint_bytes": 400 * hidden,
                "membrane_updates": 50.0 * hidden,
            }
        ),
    )


def operations(counts, hidden: int, recurrent: bool) -> float:
    """Input spikes reach hidden neurons; theirs the outputs and, if recurrent, each other."""
    inputs = np.mean([100 + i for i in range(N_SAMPLES)])
    targets = len(WORDS) + (hidden if recurrent else 0)
    return float(inputs * hidden + counts.sum(axis=1).mean() * targets)


def grid(runs: Path) -> Path:
    """Two topologies, two sizes, three seeds; feed-forward with another learning rate."""
    for model, base, rate in (("recurrent", 18, 2e-3), ("feedforward", 11, 1e-3)):
        for hidden, more in ((8, 0), (16, 4)):
            for seed in range(3):
                right = base + more + seed
                write(runs, model, hidden, seed, right, learning_rate=rate)
    return runs


def study(path: Path, n_objectives: int = 1, n_trials: int = 20) -> Path:
    """A study whose trials' values are known functions of their parameters."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    # nothing here must survive a power cut, and waiting for the disk takes seconds
    sqlalchemy.event.listen(
        storage.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF")
    )
    storage.engine.dispose()
    directions = ["maximize", "minimize"][:n_objectives]
    made = optuna.create_study(
        study_name=path.stem,
        storage=storage,
        directions=directions,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # it is what we use
        made.set_metric_names(["accuracy", "hidden_spikes"][:n_objectives])
    for i in range(n_trials):
        trial = made.ask()
        rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        size = trial.suggest_categorical("hidden_sizes", ["64", "128"])
        if i % 10 == 3:
            made.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif i % 10 == 5 and n_objectives == 1:
            trial.report(0.25, 4)
            made.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            value = 0.9 - 0.1 * abs(np.log10(rate) + 3)
            made.tell(trial, [value, int(size) * (3 + value)][:n_objectives])
    made.ask()  # one that is still running
    return path


def comparison(path):
    """Write a table of `bench peers`: native measured twice, one size too large."""
    titles = "spikes_wanted,train_ms,times_native,memory_growth_mb,spikes_per_neuron,cpu,result"
    path.write_text(
        f"peer,topology,hidden,n_steps,threads,{titles}\n"
        "native,recurrent,256,1000,2,9,0.5,1,9,9.1,Some CPU,measured\n"
        "native,recurrent,256,1000,2,9,0.3,1,8,9.0,Some CPU,measured\n"
        "jax,recurrent,256,1000,2,9,15,50,900,9.2,Some CPU,measured\n"
        "jax,recurrent,1024,1000,2,9,,,,,Some CPU,over 60 s\n"
    )
    return path


def roofline(path):
    """Write a table of `bench roofline`: two kernels with different limits, and one of
    which only the time is known."""
    path.write_text(
        "topology,hidden,threads,stage,ms,mb,mflop,gb_s,limit_gb_s,gflop_s,peak_gflop_s,share,cpu\n"
        "recurrent,64,2,forward,0.1,10,5,100,200,50,60,0.83,Some CPU\n"
        "recurrent,64,2,adjoint,0.1,10,5,100,110,50,90,0.91,Some CPU\n"
        "recurrent,64,2,sum,0.1,,,,,,,,Some CPU\n"
    )
    return path


def scaling(path):
    """Write a table of python -m shd_genn.scaling."""
    path.write_text(
        "quantity,value,batch_ms,law_ms,law,spikes_per_neuron,cpu\n"
        "samples,1,2.0,2.1,a + b x,9,Some CPU\n"
        "samples,2,4.0,3.9,a + b x,9,Some CPU\n"
    )
    return path


def energy(path):
    """Write a table of `bench speed`: two batch sizes on a CPU and a GPU, with energy."""
    path.write_text(
        "backend,device,batch,topology,hidden,threads,shd_epoch_s,cpu_mj,dram_mj,gpu_mj\n"
        "native,CPU,1,recurrent,64,2,30,100,10,\n"
        "native,CPU,32,recurrent,64,2,10,40,5,\n"
        "genn,RTX 4090,32,recurrent,64,1,8,20,2,60\n"
    )
    return path


def steps(run):
    """The table of an export's report off the grid, in a run's folder."""
    rows = [(1.0, 0, 0.9), (0.5, 0, 0.8), ("exact", 0, 0.3), (1.0, 1, 0.85), ("exact", 1, 0.7)]
    lines = [f"{step},1.0,{tuned},{accuracy},1.0,1.0,tiny,60" for step, tuned, accuracy in rows]
    path = run / "export" / "steps.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([",".join(STEPS_COLUMNS), *lines]) + "\n")
    return path


def bits(run):
    """The table of an export's report in a run's folder."""
    rows = [(32, 0, 0.9, 40_000), (8, 0, 0.88, 12_000), (4, 0, 0.7, 7_000), (4, 1, 0.86, 7_000)]
    lines = [f"{b},{t},{a},{flash},1000,150000.0,tiny,60" for b, t, a, flash in rows]
    path = run / "export" / "bits.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([",".join(BITS_COLUMNS), *lines]) + "\n")
    return path
