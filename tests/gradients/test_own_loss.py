"""A loss that is typed: what it may say, what it is worth, and the sentence for everything else."""

import jax
import numpy as np
import pytest
from gradients.traps import trap

from revmd_app.gradients import Reweighting
from revmd_app.gradients.losses import LOSSES, OWN, make_experiment, read_formula
from revmd_app.gradients.recording import Recording
from revmd_app.observables.transport import mean_squared_displacement
from revmd_app.systems import prepared


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("1 + 1", "mentions nothing of the simulation"),
        ("g", r"write g\(0.37\)"),
        ("sigma + U", "'sigma' is not known here"),
        ("__import__('os').system('true')", "cannot be used"),
        ("U.__class__", "a dot after a name"),
        ("[U for U in p]", "not allowed"),
        ("g(U)", "takes one number"),
        ("g(0.3, 0.4)", "takes one number"),
        ("g(-0.3)", "not negative"),
        ("9^9^9*U", "too large"),
        ("U" * 500, "400 are allowed"),
        ("U +", "missing or misplaced"),
        ("(U", "not closed"),
        ("U\nT", "one line"),
        ("T if U else p", "if/else"),
    ],
)
def test_what_is_no_loss_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_formula(text)
    assert "\n" not in str(refusal.value)


def test_what_is_no_text_is_refused():
    with pytest.raises(ValueError, match="a formula is a text"):
        read_formula(3.0)


def test_dynamics_make_it_a_loss_of_the_series():
    assert read_formula("(g(0.37) - 2.8)^2 + U*T").loss_of == "average"
    assert read_formula("exp(peak)").loss_of == "average"
    for text in ("D", "U + msd(0.1)", "vacf(0.1)^2"):
        assert read_formula(text).loss_of == "series"
    assert "g" in read_formula("g(0.37)").latex


def test_its_value_is_that_of_the_averages():
    case = prepared("argon", 108)
    series = lambda e: e.series(case.potential, case.state, jax.random.key(0))
    own = make_experiment(case, OWN, 40, 10, formula="2*U + 0.001*T*K")
    averages = {name: np.asarray(x).mean() for name, x in series(own).items()}
    expected = 2 * averages["U"] + 0.001 * averages["T"] * averages["K"]
    assert float(own.value(series(own))) == pytest.approx(expected, rel=1e-12)
    assert averages["K"] == pytest.approx(1.5 * 0.00831446 * averages["T"], rel=1e-5)


def test_its_dynamics_are_those_of_the_series():
    case = trap(16)
    own = make_experiment(case, OWN, 40, 4, formula="msd(0.6)", equilibration_steps=0)
    series = own.series(case.potential, case.state, jax.random.key(0))
    expected = mean_squared_displacement(series["positions"], 4, method="direct")[3]  # 0.6 = 3 samples of 0.2
    assert float(own.value(series)) == pytest.approx(float(expected), rel=1e-9)
    assert "order of its samples" in Reweighting().refusal(own, case.potential)


def test_distances_and_lags_that_the_run_does_not_have():
    case = prepared("argon", 108)
    with pytest.raises(ValueError, match="outside of the distances"):
        make_experiment(case, OWN, 100, 10, formula="g(5)")
    with pytest.raises(ValueError, match=r"longest is 0\.36 ps"):
        make_experiment(case, OWN, 100, 10, formula="msd(9)")
    with pytest.raises(ValueError, match="there is no loss 'beauty'"):
        make_experiment(case, "beauty", 100, 10)
    with pytest.raises(ValueError, match="at least 5 samples"):
        make_experiment(case, "Diffusion from the MSD", 40, 10)
    assert Recording(100, 10, 0.004).lag(0.041) == 1


def test_every_loss_of_the_menu_can_be_built():
    case = prepared("argon", 108)
    for name, loss in LOSSES.items():
        formula = "U" if name == OWN else ""
        assert make_experiment(case, name, 100, 10, formula=formula).loss_of == loss.loss_of
