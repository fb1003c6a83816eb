"""Numbers in the figures of studies, against numbers computed from the studies themselves."""

import math

import numpy as np
import optuna
import pytest
from helpers import fakes
from helpers.drawn import NOWHERE, PLAIN

from analysis import (
    study_importance,
    study_parallel,
    study_pareto,
    study_progress,
    study_samplers,
    study_slice,
)
from analysis.tools import script
from analysis.tools.load import read
from shd_genn.support.errors import DataError


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    fakes.study(folder / "one.db")
    fakes.study(folder / "two.db", n_objectives=2)
    return read([folder])


def trials(folder, name):
    made = optuna.load_study(study_name=name, storage=f"sqlite:///{folder / name}.db")
    return [t for t in made.trials if t.state == optuna.trial.TrialState.COMPLETE]


def test_study_progress_keeps_the_best_so_far(studies):
    folder = studies.studies[0].path.parent
    table = study_progress.load(studies, script.StudyOptions((), NOWHERE, "one")).trials
    best, expected = -math.inf, {}
    for trial in trials(folder, "one"):
        best = max(best, trial.value)
        expected[trial.number] = 100 * best
    told = table.set_index("number")["best accuracy"]
    assert told[list(expected)].tolist() == pytest.approx(list(expected.values()))
    costs = study_progress.load(studies, script.StudyOptions((), NOWHERE, "two")).trials
    assert costs["best hidden_spikes"].dropna().is_monotonic_decreasing
    with pytest.raises(DataError, match="study in one, two must hold, but got 'three'"):
        study_progress.load(studies, script.StudyOptions((), NOWHERE, "three"))


def test_importances_are_optunas_and_go_the_right_way(studies):
    folder = studies.studies[0].path.parent
    made = optuna.load_study(study_name="one", storage=f"sqlite:///{folder / 'one.db'}")
    expected = optuna.importance.get_param_importances(
        made, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    told = study_importance.load(studies, script.StudyOptions((), NOWHERE, "one")).importances
    assert dict(zip(told["parameter"], told["importance"], strict=True)) == expected
    two = study_importance.load(studies, script.StudyOptions((), NOWHERE, "two")).importances
    assert two["objective"].unique().tolist() == ["accuracy", "hidden_spikes"]


def test_importances_are_not_made_up(tmp_path):
    fakes.study(tmp_path / "few.db", n_trials=1)
    with pytest.raises(DataError, match="has too few complete trials for importances: 1"):
        study_importance.load(read([tmp_path]), script.StudyOptions((), NOWHERE))


def test_pareto_front_is_what_nothing_dominates(studies):
    folder = studies.studies[0].path.parent
    values = {t.number: t.values for t in trials(folder, "two")}
    front = {
        n
        for n, (a, s) in values.items()
        if not any(b >= a and r <= s and (b, r) != (a, s) for b, r in values.values())
    }
    table = study_pareto.load(studies, script.StudyOptions((), NOWHERE, "two")).trials
    assert set(table[table["front"]]["number"]) == front and 0 < len(front) < len(values)
    with pytest.raises(DataError, match="a front needs two"):
        study_pareto.load(studies, script.StudyOptions((), NOWHERE, "one"))


def test_samplers_are_compared_by_their_best_so_far(tmp_path):
    for name, n_trials in (("tpe_0", 12), ("tpe_1", 20), ("random_0", 20)):
        fakes.study(tmp_path / f"{name}.db", n_trials=n_trials)
    numbers = study_samplers.load(read([tmp_path]), PLAIN)
    assert set(numbers.best["sampler"]) == {"tpe", "random"}
    for name, mine in numbers.best.groupby("study"):
        done = {t.number: 100 * t.value for t in trials(tmp_path, name)}
        best = [max((v for n, v in done.items() if n < i), default=np.nan) for i in mine["trial"]]
        np.testing.assert_allclose(mine["best"], best)
    figure = study_samplers.plot(numbers)
    tpe = next(line for line in figure.axes[0].lines if line.get_label() == "tpe")
    assert len(tpe.get_xdata()) == 12  # as far as both have come
    assert "n = 1 to 2 a sampler" in figure.get_supxlabel()
    fakes.study(tmp_path / "two.db", n_objectives=2)  # says nothing of samplers, and is left out
    assert len(study_samplers.load(read([tmp_path]), PLAIN).best) == len(numbers.best)


def test_studies_of_other_spaces_are_not_compared(tmp_path):
    fakes.study(tmp_path / "one.db")
    study = optuna.create_study(study_name="other", storage=f"sqlite:///{tmp_path / 'other.db'}")
    study.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(DataError, match="of one search space to be compared"):
        study_samplers.load(read([tmp_path]), PLAIN)


def test_the_front_is_a_table_of_its_trials(studies):
    numbers = study_pareto.load(studies, script.StudyOptions((), NOWHERE, "two"))
    front = numbers.trials[numbers.trials["front"]]
    text = study_pareto.table(numbers)
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert [line.split(" & ")[0] for line in body] == [
        str(n) for n in front.sort_values("accuracy")["number"]
    ]
    assert rf"{len(front)} of {len(numbers.trials)} complete trials" in text


def test_parallel_coordinates_and_slices_show_the_complete_trials(studies):
    options = script.StudyOptions((), NOWHERE, "one")
    done = trials(studies.studies[0].path.parent, "one")
    numbers = study_parallel.load(studies, options)
    rates = np.log([t.params["learning_rate"] for t in done])
    at = (rates - rates.min()) / np.ptp(rates)
    assert numbers.scaled["learning_rate"].sort_index().tolist() == pytest.approx(at.tolist())
    assert numbers.trials["accuracy"].is_monotonic_increasing  # the best is drawn last
    figure = study_slice.plot(study_slice.load(studies, options))
    drawn = np.asarray(figure.axes[0].collections[0].get_offsets())
    expected = [(t.params["learning_rate"], 100 * t.value) for t in done]
    assert np.allclose(drawn, expected)
