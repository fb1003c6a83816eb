"""Formulas of a readout's weight: what they compute, what is refused, and that none is executed."""

import math
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shd_genn.network.formulas import CONSTANTS, FUNCTIONS, GRID, Formula
from shd_genn.network.readouts import READOUTS, drive_weights, read_weights
from shd_genn.network.settings import ModelConfig, Weighted
from shd_genn.support.errors import ConfigError

THESIS = "o + d*(s-m)*exp(-(s-m)**2/(2*c**2))"
NUMBERS = {"weight_o": 0.3, "weight_d": 2.3, "weight_m": 0.0, "weight_c": 0.37}
BEFORE = {  # the functions that the named readouts had before they were formulas
    "avg_var": np.ones_like,
    "avg_var_exp_weight": lambda s: np.exp(-s),
    "avg_var_linear_weight": lambda s: 1 - s,
    "avg_var_sigmoid_weight": lambda s: 1 / (1 + np.exp((s - 0.5) / 0.2)),
    "sum_var": np.ones_like,
}


@pytest.mark.parametrize("readout", BEFORE)
@pytest.mark.parametrize("n", [1, 7, 1000])
def test_a_named_readout_as_a_formula_has_the_same_bits(readout, n):
    kind, function = READOUTS[readout], BEFORE[readout]
    before = function(np.arange(n) / n) / (n if kind.averaged else 1)
    np.testing.assert_array_equal(read_weights(readout, n), before)
    drive = function((np.arange(n) + 1) / n) / (20.0 * n * 0.5)
    np.testing.assert_array_equal(drive_weights(readout, n, 0.5, 20.0), drive)
    if kind.averaged:
        given = Formula(kind.formula)
        np.testing.assert_array_equal(read_weights("weighted", n, given), before)
        np.testing.assert_array_equal(drive_weights("weighted", n, 0.5, 20.0, given), drive)


def test_the_thesis_weight():
    """Its values are those of its figure: 0.30 at s = 0, 0.82 at 0.37, 0.36 at 1."""
    weight = Weighted(readout_weight=THESIS, **NUMBERS).weight
    np.testing.assert_allclose(weight(np.array([0, 0.37, 1])), [0.30, 0.82, 0.36], atol=0.006)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "but is empty"),
        ("exp(-s", "is none"),
        ("exp", "the name 'exp'"),
        ("exp(sin)", "the name 'sin'"),
        ("exp(s, s)", "2 arguments of exp"),
        ("exp(x=s)", "a Call"),
        ("t", "the name 't'"),
        ("s if s else 1", "a IfExp"),
        ("s < 1", "a Compare"),
        ("s // 2", "a FloorDiv"),
        ("~s", "a Invert"),
        ("'s'", "the value 's'"),
        ("True", "the value 'True'"),
        ("1e999", "the value 'inf'"),
        ("9" * 400, "the value"),
        ("s.real", "a Attribute"),
        ("().__class__", "a Attribute"),
        ("__import__('os').system('true')", "a Call"),
        ("(lambda: 1)()", "a Call"),
        ("[s for s in s]", "a ListComp"),
        ("s\n+1", "is none"),
        ("s" + "+s" * 240, "operations of readout_weight <= 200 must hold"),
        ("s" + " " * 500, "characters of readout_weight <= 500 must hold"),
        ("exp(-s)*a", "needs values of a; give weight_a"),
        ("-exp(-s)", "must be positive for some s"),
        ("0*s", "largest value is 0 at s = 0"),
        ("1/s", "must be a finite float32 for all s from 0 to 1, but is inf at s = 0"),
        ("log(s)", "-inf at s = 0"),
        ("sqrt(s - 0.5)", "is nan at s = 0"),
        ("9**9**9**9", "is inf at s = 0"),
        ("1e39", "finite float32"),
    ],
)
def test_what_is_no_weight_is_refused_with_the_reason(text, problem):
    with pytest.raises(ConfigError) as error:
        ModelConfig(readout=Weighted(readout_weight=text))
    assert problem in str(error.value) and "; " in str(error.value)


def test_a_number_without_effect_is_refused():
    with pytest.raises(ConfigError, match="weight_a must have an effect"):
        Weighted(readout_weight="exp(-s)", weight_a=1.0)


def test_a_weight_that_fails_only_at_a_step_is_refused():
    """The settings check 1001 points; a pole between them is found when the trial is known."""
    pole = Formula(f"1/(s - {1 / 7!r})")
    pole.check()
    with pytest.raises(ConfigError, match=r"is inf at s = 0\.142857"):
        read_weights("weighted", 7, pole)


def test_the_code_for_c_computes_the_same():
    """Python evaluates it with C's functions by their names."""
    formula = Formula(THESIS, tuple((n, NUMBERS[f"weight_{n}"]) for n in "cdmo"))
    names = {"exp": math.exp, "pow": math.pow, "t": 0.25}
    assert eval(formula.code("t * 2.0"), names) == pytest.approx(formula(np.array([0.5]))[0])
    both = Formula("max(abs(s-1), min(s, 0.3))").code("t")
    assert eval(both, {"fmax": max, "fmin": min, "fabs": abs, "t": 0.9}) == pytest.approx(0.3)


words = st.sampled_from(
    [*FUNCTIONS, *CONSTANTS, *"s()+-*/.,[]{}=<>:;@!'\"\\#\n_ ", "**", "1", "1e5", "0x", "lambda",
     "__import__", "open('executed','w')", "eval", "print", "é", "\x00"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(words, max_size=30).map("".join) | st.text(string.printable, max_size=60))
@example("open('executed','w')")
@example("-" * 500)
@example("(" * 250 + "s" + ")" * 249)
@example("s" + "**9" * 150)
def test_any_text_is_a_weight_or_refused(text):
    """Whatever the text is: numbers or a ConfigError, and nothing else happens."""
    try:
        formula = Formula(text)
    except ConfigError:
        return
    finally:
        assert not Path("executed").exists()
    weight = formula(GRID)
    assert weight.shape == GRID.shape and weight.dtype == np.float64
