"""The study of path reweighting against the reversible gradient: both against their one-length estimators."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.gradients.estimate import flat_leaves, rebuild
from revmd_app.gradients.path_reweighting import PathReweighting
from revmd_app.gradients.studies.dynamics import (
    SCORE,
    WHOLE,
    FromOrigin,
    cut_label,
    diffusion_of_lengths,
    displacement_experiment,
    dynamics,
    followed,
    score_program,
)
from revmd_app.gradients.studies.question import Question
from revmd_app.systems import harmonic_oscillator, prepared

STEPS, EVERY = 24, 8


@pytest.fixture(scope="module")
def question():
    case = harmonic_oscillator(8, seed=1)
    return Question(case, case.potential, "")


@pytest.fixture(scope="module")
def experiment(question):
    return displacement_experiment(question, STEPS, EVERY)


def test_every_length_has_its_own_exact_gradient(question, experiment):
    """gathered[s] against reverse-mode differentiation of a simulation that ends at sample s."""
    state, key = question.case.state, jax.random.key(5)
    walker = FromOrigin(experiment, question.potential, reach=STEPS)
    walk = walker(question.leaves, key, [EVERY, STEPS], start=(experiment.system.box, state))
    make, leaves = rebuild(question.potential), flat_leaves(question.potential)
    origin = experiment.observe(question.case.snapshot())

    def of_every_length(x):
        series = experiment.series(make(x), state, key, method="reverse_mode")
        return diffusion_of_lengths(series, origin, jnp.arange(1, 4) * EVERY * float(experiment.settings.dt))

    np.testing.assert_allclose(walk.gathered[:, 1], jax.jit(jax.jacrev(of_every_length))(leaves), rtol=1e-7)
    assert np.abs(walk.explicit).max() == 0
    np.testing.assert_allclose(walk.gathered[0, 0], walk.gathered[0, 1], rtol=1e-12)


def test_the_score_is_that_of_the_estimator(question, experiment):
    """At the last frame: D and the score of `PathReweighting` for the same start and noise."""
    state, key = question.case.state, jax.random.key(6)
    value, score = score_program(question, experiment, [0])(flat_leaves(question.potential), state, key)
    origin, times = experiment.observe(question.case.snapshot()), jnp.array([STEPS * float(experiment.settings.dt)])
    experiment.loss = lambda series: diffusion_of_lengths(series[-1:], origin, times)[0]
    estimate = jax.jit(PathReweighting().build(experiment, question.potential))
    sample = estimate(flat_leaves(question.potential), state, key)
    assert float(value[-1]) == pytest.approx(float(sample.value), rel=1e-9)
    np.testing.assert_allclose(score[-1], sample.score, rtol=1e-9)


def test_both_estimators_find_the_derivative_of_a_spring(question):
    """Independent particles on springs: the two means agree within five standard errors, and runs add up."""
    last = None
    for last in dynamics(question, {"steps": 40, "sample_every": 20, "cuts": [10], "whole": 40, "replicas": 40}):
        assert last.total == 40
    methods = last.result["methods"]
    assert set(methods) == {SCORE, WHOLE, cut_label(10)}
    score, whole = methods[SCORE], methods[WHOLE]
    for k in range(2):
        apart = abs(score["mean"]["k"][k] - whole["mean"]["k"][k])
        assert apart < 5 * np.hypot(score["error"]["k"][k], whole["error"]["k"][k])
        assert score["variance"]["k"][k] > whole["variance"]["k"][k] > 0
    assert last.result["runs"] == 40
    assert last.left == 0


def test_oxygen_is_what_is_followed():
    case = prepared("oxygen_in_water", 60)
    centres = np.asarray(followed(case)(case.snapshot()))
    atoms = np.asarray(case.snapshot().unwrapped)[:, case.system.atoms("O2")]
    assert centres.shape == (3, 4)
    np.testing.assert_allclose(centres[:, 1], (atoms[:, 2] + atoms[:, 3]) / 2)


def test_settings_that_cannot_be_used(question):
    with pytest.raises(ValueError, match="cannot be sampled every 7"):
        next(dynamics(question, {"steps": 20, "sample_every": 7}))
    with pytest.raises(ValueError, match="cuts are numbers of steps"):
        next(dynamics(question, {"cuts": [0]}))
    with pytest.raises(ValueError, match="no setting 'walks'"):
        next(dynamics(question, {"walks": 3}))
    case = question.case
    still = replace(case, settings=replace(case.settings, friction=0.0))
    with pytest.raises(ValueError, match="with friction 0 there is none"):
        next(dynamics(Question(still, case.potential, "")))
