"""Using a trained network: evaluate it on a dataset, record its spikes, listen to a recording."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shd_genn.backends.choice import BackendOption
from shd_genn.backends.protocols import Recording, Simulator
from shd_genn.config import Config
from shd_genn.datasets.load import load_split
from shd_genn.datasets.match import check_code
from shd_genn.encode.audio import check_audio, read_audio
from shd_genn.encode.cochlea import RATE, Cochlea
from shd_genn.encode.encoder import Encoder
from shd_genn.encode.filter_bank import FilterBank
from shd_genn.learning.objective import probabilities
from shd_genn.record.environment import DatasetRecord
from shd_genn.record.run_folder import RunFolder
from shd_genn.record.summary import CrossValidationResult
from shd_genn.spikes.dataset import SpikeDataset
from shd_genn.spikes.events import Events
from shd_genn.support.errors import ConfigError, refuse_unless
from shd_genn.train import notes
from shd_genn.train.compile import compile_network
from shd_genn.train.evaluation import Answerable, Evaluation, answerable, evaluate


@contextmanager
def opened(
    folder: RunFolder, backend: BackendOption | None = None, trust_model: bool = False
) -> Iterator[tuple[Simulator, int]]:
    """A run's network with the parameters of the chosen epoch, and that epoch.

    Args:
        folder: The run.
        backend: What computes; None: the backend that trained the run.
        trust_model: The user consents to execute the folder's model file; see `model_copy`.

    Raises:
        ConfigError: if the run has no chosen epoch, or its model file may not be executed.
    """
    summary = folder.summary
    folds = sorted(path.parent.name for path in folder.path.glob("*/config.toml"))
    refuse_unless(
        not (folds or (summary and isinstance(summary.result, CrossValidationResult))),
        f"{folder.path} is a cross-validation, which has a network for each of its runs",
        f"give one of them, e.g. {folder.path / folds[0] if folds else folder.path}",
    )
    config = replace(folder.config, backend=backend or folder.config.backend)
    with compile_network(config, folder.model_file(trust_model)) as simulator:
        yield simulator, folder.load_checkpoint("best", simulator)


def evaluate_run(
    folder: RunFolder,
    dataset: str | SpikeDataset,
    split: str = "test",
    *,
    data_dir: str | None = None,
    backend: BackendOption | None = None,
    trust_model: bool = False,
) -> Evaluation:
    """Evaluate the chosen epoch of a run on a dataset; the run stays as it is.

    Args:
        folder: The run.
        dataset: ``spoken-digits``, ``shd``, ``ssc``, a folder with files in SHD's layout, or a
            dataset in memory.
        split: Which of the dataset's files: train, valid or test.
        data_dir: Where the files of shd or ssc lie.
        backend: What computes; None: the backend that trained the run.
        trust_model: The user consents to execute the folder's model file; see `model_copy`.

    Returns:
        The answers to all samples of words that the network was trained on.

    Raises:
        ConfigError: if the dataset does not fit the network; see also `opened`.
        DataError: if the dataset cannot be read.
    """
    samples = samples_for(folder, dataset, split, data_dir)
    with opened(folder, backend, trust_model) as (simulator, epoch):
        result = evaluate(simulator, samples, folder.environment.dataset.training_speakers, epoch)
    return replace(result, notes=_notes(folder.config, samples, result))


def samples_for(
    folder: RunFolder, dataset: str | SpikeDataset, split: str, data_dir: str | None = None
) -> Answerable:
    """The samples of a dataset that a run's network can answer, as they are presented to it."""
    trained_on = folder.environment.dataset
    if isinstance(dataset, str):
        dataset = load_split(dataset, split, data_dir)
    check_code(trained_on.code, dataset)
    _check_channels(trained_on, dataset)
    presentation = folder.config.presentation(dataset.n_channels)
    dataset = replace(dataset, presentation=presentation)
    return answerable(dataset, trained_on.words, trained_on.words)


def _check_channels(trained_on: DatasetRecord, dataset: SpikeDataset) -> None:
    if dataset.n_channels != trained_on.channels:
        raise ConfigError(
            f"dataset {dataset.name} must have {trained_on.channels} channels, as what the network "
            f"was trained on, but has {dataset.n_channels}; encode both alike"
        )


def _notes(config: Config, samples: Answerable, result: Evaluation) -> notes.Notes:
    silent = result.metrics.silent_neurons == sum(c.shape[1] for c in result.spike_counts.values())
    return (
        *notes.after_trial(samples.dataset, config.n_steps * config.dt_ms, "evaluated"),
        *notes.untrained_words(samples.untrained),
        *(
            ("no hidden neuron spikes, so that all answers are the same; train the network anew",)
            if silent
            else ()
        ),
    )


def record(
    folder: RunFolder,
    events: Events,
    *,
    backend: BackendOption | None = None,
    trust_model: bool = False,
) -> Recording:
    """All spikes and output voltages of the chosen epoch's network for some samples.

    Args:
        folder: The run.
        events: The spikes that the input neurons emit; see `SpikeDataset.presented`.
        backend: What computes; None: the backend that trained the run.
        trust_model: The user consents to execute the folder's model file; see `model_copy`.
    """
    with opened(folder, backend, trust_model) as (simulator, _):
        return simulator.record(events)


@dataclass(frozen=True)
class Answer:
    """A network's answer to a recording.

    Attributes:
        audio: float64, (n_samples,): the recording at 48 kHz.
        words: The word of each class.
        probabilities: float32, (n_classes,).
        recording: Spikes and output voltages.
        dt_ms: Length of a step in ms.
        notes: What should be known about recording and network.
    """

    audio: NDArray[np.float64]
    words: tuple[str, ...]
    probabilities: NDArray[np.float32]
    recording: Recording
    dt_ms: float
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def word(self) -> str:
        """The most probable word."""
        return self.words[self.best]

    def ranking(self, n: int = 5) -> list[tuple[str, float]]:
        """The most probable words with their probabilities, best first."""
        order: Sequence[int] = np.argsort(-self.probabilities)[:n].tolist()
        return [(self.words[i], float(self.probabilities[i])) for i in order]


def listen_to(
    folder: RunFolder,
    sound: Path,
    *,
    seed: int = 0,
    backend: BackendOption | None = None,
    trust_model: bool = False,
) -> Answer:
    """Run a recording through the cochlea and a run's chosen network.

    Args:
        folder: The run.
        sound: A recording with one word in it; see `listen_to_all`.
        seed: Of the cochlea's nerve fibres.
        backend: What computes; None: the backend that trained the run.
        trust_model: The user consents to execute the folder's model file; see `model_copy`.
    """
    answers = listen_to_all(folder, [sound], seed=seed, backend=backend, trust_model=trust_model)
    with closing(answers):
        return next(answers)


def listen_to_all(
    folder: RunFolder,
    sounds: Sequence[Path],
    *,
    seed: int = 0,
    backend: BackendOption | None = None,
    trust_model: bool = False,
) -> Generator[Answer, None, None]:
    """Run recordings through cochlea or filter bank and a run's network, one after the other.

    Args:
        folder: The run.
        sounds: Recordings with one word in each.
        seed: Of the cochlea's nerve fibres.
        backend: What computes; None: the backend that trained the run.
        trust_model: The user consents to execute the folder's model file; see `model_copy`.

    Raises:
        DataError: if the recording cannot be used.
        ConfigError: if the network was trained on other channels than those of the cochlea or a
            filter bank; see also `opened`.
    """
    trained_on, config = folder.environment.dataset, folder.config
    encoder = _encoder(trained_on.code, trained_on.channels)
    for sound in sounds:  # before the network is compiled
        check_audio(sound, encoder.shortest_s, encoder.longest_s, cut=False)
    with opened(folder, backend, trust_model) as (simulator, _):
        for sound in sounds:
            audio = read_audio(sound, RATE)
            input_spikes = Events.of([encoder.encode(audio, seed)])
            events = config.presentation(encoder.n_channels)(input_spikes)
            readout = simulator.evaluate(events).readout
            recording = simulator.record(events)
            p = probabilities(simulator.network, simulator.config, readout)[0]
            if config.present.delay_copies:  # copies of the input would only hide it in a picture
                recording = replace(recording, spikes=recording.spikes | {"input": input_spikes})
            duration_ms, trial_ms = 1000 * len(audio) / RATE, config.n_steps * config.dt_ms
            found = notes.cut_off(input_spikes, duration_ms, trial_ms)
            words = trained_on.words
            yield Answer(audio, words, p[: len(words)], recording, config.dt_ms, found)


def _encoder(code: str, channels: int) -> Encoder:
    """What made the spikes that a network was trained on.

    Raises:
        ConfigError: if that was neither the cochlea nor a filter bank.
    """
    if code == FilterBank.code:
        return FilterBank(channels)
    cochlea = Cochlea()
    if code != cochlea.code:
        raise ConfigError(
            f"the network must have been trained on the {cochlea.code}, but was trained on the "
            f"{code} code; encode the recording and use python -m shd_genn.evaluate"
        )
    if channels != cochlea.n_channels:
        raise ConfigError(
            f"the network must have the cochlea's {cochlea.n_channels} channels, but has "
            f"{channels}; listen with a network that was trained on recordings"
        )
    return cochlea
