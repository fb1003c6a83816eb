"""Several trained networks that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shd_genn.backends.choice import BackendOption
from shd_genn.record.rows import PredictionRow
from shd_genn.record.run_folder import RunFolder
from shd_genn.support.errors import refuse_unless
from shd_genn.train.evaluation import Evaluation, accuracy
from shd_genn.train.inference import evaluate_run


@dataclass(frozen=True)
class Ensemble:
    """The answers of several runs, and of all of them together.

    Attributes:
        members: Each run's evaluation, in the order of the runs.
        predictions: Rows of ``predictions.csv`` of the ensemble: its probability of a class is the
            mean of the members' probabilities, its loss is minus the logarithm of the right one's.
            They have no hidden spikes.
    """

    members: tuple[Evaluation, ...]
    predictions: list[PredictionRow]

    @property
    def accuracy(self) -> float:
        """Part of the samples whose word the ensemble recognised."""
        return accuracy(self.predictions)

    @property
    def mean(self) -> float:
        """Mean accuracy of the members."""
        return float(np.mean([member.accuracy for member in self.members]))

    @property
    def sd(self) -> float:
        """Standard deviation of the members' accuracies (n - 1)."""
        return float(np.std([member.accuracy for member in self.members], ddof=1))


def evaluate_together(
    folders: Sequence[RunFolder],
    dataset: str,
    split: str = "test",
    *,
    data_dir: str | None = None,
    backend: BackendOption | None = None,
    trust_model: bool = False,
) -> Ensemble:
    """Evaluate several runs and their ensemble on the same samples; see `evaluate_run`.

    Args:
        folders: The runs, at least two; they were trained on the same words.
        dataset: See `evaluate_run`.
        split: See `evaluate_run`.
        data_dir: See `evaluate_run`.
        backend: See `evaluate_run`.
        trust_model: See `evaluate_run`.

    Raises:
        ConfigError: if two runs were trained on different words; see also `evaluate_run`.
    """
    first = folders[0]
    for folder in folders[1:]:
        one, other = (f.environment.dataset.words for f in (first, folder))
        refuse_unless(
            one == other,
            f"an ensemble has the same words in all runs, but {first.path.name} was trained on "
            f"{', '.join(one)} and {folder.path.name} on {', '.join(other)}",
            "evaluate them one by one",
        )
    members = [
        evaluate_run(
            *(folder, dataset, split), data_dir=data_dir, backend=backend, trust_model=trust_model
        )
        for folder in folders
    ]
    return together(members, first.environment.dataset.words)


def together(members: Sequence[Evaluation], words: Sequence[str]) -> Ensemble:
    """The ensemble of evaluations of the same samples; words are those of the outputs."""
    total = sum(member.probabilities.astype(np.float64) for member in members)
    p = np.asarray(total) / len(members)
    rows = members[0].predictions
    best = p.argmax(axis=1).tolist()
    predictions = [
        replace(
            row,
            predicted=answer,
            # an output too many belongs to no word
            predicted_word=words[answer] if answer < len(words) else f"output {answer}",
            correct=answer == row.label,
            loss=float(-np.log(max(p[i, row.label], np.finfo(np.float32).tiny))),
            hidden_spikes={},
        )
        for i, (row, answer) in enumerate(zip(rows, best, strict=True))
    ]
    return Ensemble(tuple(members), predictions)
