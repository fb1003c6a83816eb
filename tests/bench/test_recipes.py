"""What `bench recipes` measures: the recipes as they stand; times are never tested."""

import pytest

from shd_genn.bench import recipes
from shd_genn.bench.recipes import RECIPES, Case, Options, measure
from shd_genn.config.presets import PRESETS
from shd_genn.datasets.noise import N_SPIKES
from shd_genn.support.errors import ConfigError


def test_a_recipe_with_a_delay_line_and_blends(monkeypatch):
    preset = PRESETS["nowotny2025-64-dt2"].config
    monkeypatch.setitem(RECIPES, "short", preset)
    seen = []
    batches = recipes.batches

    def counted(*arguments):
        for events, labels in batches(*arguments):
            seen.append(len(labels))
            yield events, labels

    monkeypatch.setattr(recipes, "batches", counted)
    row = measure(Case("short", samples=4, repetitions=1, threads=1))
    n_epoch = 4 + round(4 * preset.augment.blend)
    assert sum(seen) == 2 * n_epoch  # one to warm up, one that counts
    copies = 1 + preset.present.delay_copies
    # binarising, shifts and the end of the trial take spikes away
    assert N_SPIKES * copies * 0.5 < row.input_spikes < N_SPIKES * copies
    assert (row.hidden, row.steps) == (64, preset.n_steps)
    assert row.train_ms > 0 and row.cpu_ms > 0
    assert row.shd_epoch_s > row.train_ms  # 8156 samples and more, in s


def test_all_presets_and_methods_are_recipes():
    assert set(PRESETS) < set(RECIPES)
    methods = {type(config.train.method).__name__ for config in RECIPES.values()}
    assert {"EventProp", "Surrogate", "EProp"} <= methods


def test_unknown_recipes_are_refused():
    with pytest.raises(ConfigError, match="but got sourdough"):
        Options(recipes=("sourdough",))
    with pytest.raises(ConfigError, match="but got nothing"):
        Options(recipes=())
