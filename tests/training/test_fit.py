"""The loop of epochs: its gradient against reverse-mode AD, Adam's first step, repetition to the bit, divergence."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from revmd_app.engine.simulate import simulate
from revmd_app.gradients.estimate import Refusal, flat_leaves
from revmd_app.training.configuration import configuration
from revmd_app.training.fit import Diverged, Training

TINY = {
    "preparation": {"steps": 20, "first_steps": 20, "interval": 10},
    "run": {"steps": 20, "sample_every": 10, "replicas": 1},
    "system": {"precision": "float64"},
    "loss": {"density": 1.0},
}


@pytest.fixture(scope="module")
def first():
    """(training, progress after the preparation of the first epoch, the first epoch's record, the next progress)."""
    training = Training(configuration("water", "lab", **TINY))
    begin = training.begin()
    after, record = training.epoch(begin)
    return training, begin, after, record


def test_the_gradient_is_that_of_reverse_mode(first):
    """The whole epoch by hand: the same start and noise, JAX's own reverse mode through the scan."""
    training, begin, after, record = first
    run, case = training.configuration, training.case
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(run.run.seed), 0), 0)
    _, on_run = jax.random.split(key)
    there = after.starts[0]

    def loss(potential):
        series = simulate(
            case.system.with_box(there.box),
            potential,
            case.settings,
            observe=training.loss.observe,
            n_steps=20,
            sample_every=10,
            key=on_run,
            state=there.state,
            method="reverse_mode",
        )
        return training.loss.loss(jax.tree.map(lambda x: x.mean(axis=0), series))

    value, gradient = jax.value_and_grad(loss)(training.potential(begin.scaled))
    np.testing.assert_allclose(record.loss, value, rtol=1e-10)
    np.testing.assert_allclose(record.gradient, flat_leaves(gradient), rtol=1e-6)


def test_adams_first_step_is_the_learning_rate_downhill(first):
    training, begin, after, record = first
    step = after.scaled - begin.scaled
    downhill = -np.sign(record.gradient * training.scale)
    np.testing.assert_allclose(step, training.configuration.optimiser.learning_rate * downhill, rtol=1e-3)


def test_an_epoch_repeats_to_the_bit(first):
    training, begin, after, record = first
    again, same = Training(training.configuration).epoch(begin)
    assert np.array_equal(again.scaled, after.scaled)
    assert same.loss == record.loss
    for one, other in zip(jax.tree.leaves(again.starts), jax.tree.leaves(after.starts), strict=True):
        assert np.array_equal(one, other)


def test_what_an_epoch_reports(first):
    training, _, after, record = first
    assert record.epoch == 1
    assert after.epoch == 1
    np.testing.assert_allclose(sum(part for *_, part in record.terms.values()), record.loss, rtol=1e-12)
    assert set(record.curves) == {"rdf_OO", "rdf_OH", "rdf_HH"}
    assert len(record.grid) == len(record.curves["rdf_OO"])
    assert 0.8 < record.density < 1.2
    np.testing.assert_allclose(record.parameters, training.start)
    volume = float(np.prod(np.asarray(after.starts[0].box)))
    mass = 64 * (15.99943 + 2 * 1.007947) * 1.66053907e-3
    np.testing.assert_allclose(record.density, mass / volume, rtol=1e-6)


def test_the_next_epoch_starts_where_the_liquid_stood(first):
    """The box moved under the barostat and is carried on."""
    training, begin, after, _ = first
    assert not np.array_equal(after.starts[0].box, begin.starts[0].box)
    later, record = training.epoch(after)
    assert later.epoch == 2
    assert np.all(np.isfinite(record.gradient))


def test_parameters_beyond_their_range_end_the_run_with_the_reason(first):
    training, begin, _, _ = first
    beyond = dataclasses.replace(begin, scaled=-begin.scaled)
    with pytest.raises(Diverged, match="epoch 1 cannot be finished: sigma of LennardJones"):
        training.epoch(beyond)


def test_an_explosion_ends_the_run_with_the_reason(first):
    training, begin, _, _ = first
    hard = begin.scaled.copy()
    hard[training.names.index("HarmonicBond.k")] = 1e4  # a period of 0.1 fs at a time step of 1 fs
    with pytest.raises(Diverged, match="epoch 1 cannot be finished"):
        training.epoch(dataclasses.replace(begin, scaled=hard))


def test_springs_stay_when_only_the_rest_is_trained():
    training = Training(configuration("water", "lab", **TINY, optimiser={"train": "nonbonded"}))
    assert [n for n, t in zip(training.names, training.trained, strict=True) if not t] == [
        "HarmonicBond.k",
        "HarmonicBond.r0",
        "HarmonicAngle.k",
        "HarmonicAngle.theta0",
    ]


def test_reweighting_refuses_diffusion_with_its_reason():
    run = configuration("oxygen", "lab", gradient={"estimator": "reweighting"})
    with pytest.raises(Refusal, match="order of its samples in time"):
        Training(run)


def test_a_cutoff_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="exceeds half the box"):
        Training(configuration("water", "lab", system={"cutoff": 0.9}))
