"""The estimators against one another, against quadrature, and against long runs."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical
from revmd_app.engine.system import make_system
from revmd_app.gradients import (
    ESTIMATORS,
    Experiment,
    PathReweighting,
    Refusal,
    Reversible,
    Reweighting,
    compare,
    compare_iter,
)
from revmd_app.gradients.estimate import flat_leaves
from revmd_app.gradients.reweighting import effective_sample_size, weighted_average
from revmd_app.potentials import HarmonicTrap
from revmd_app.systems import prepared

EXACT = ["reversible", "reverse_mode", "checkpointed", "forward_mode"]


def springs(n_atoms=200, friction=2.0, dt=0.05):
    """Independent particles in a harmonic well, in reduced units: every average is known."""
    system = make_system("springs", ("A",), (n_atoms,), (1.0,), 100.0, boltzmann=1.0)
    rng = np.random.default_rng(0)
    state = from_physical(system, rng.normal(size=(3, n_atoms)), rng.normal(size=(3, n_atoms)))
    return system, Settings(dt=dt, temperature=1.0, friction=friction, precision="float64"), state


def mean_square(snapshot):
    return jnp.mean(snapshot.centred_positions**2)


@pytest.fixture(scope="module")
def argon():
    case = prepared("argon", 108)
    return case, dataclasses.replace(case.settings, precision="float64")


def argon_experiment(argon, **options):
    case, settings = argon
    observe = lambda snapshot: snapshot.potential.energy(snapshot) / 108
    defaults = {"n_steps": 60, "sample_every": 20, "equilibration_steps": 100}
    return Experiment(case.system, settings, case.state, observe, lambda u: (u + 5.0) ** 2, **(defaults | options))


def test_exact_estimators_agree_and_the_referee_confirms(argon):
    table = compare(
        argon_experiment(argon), argon[0].potential, [*EXACT, "finite_difference"], jax.random.key(1), replicas=2
    )
    reference = table[table.estimator == "reverse_mode"]
    for name in EXACT:
        rows = table[table.estimator == name]
        for column in ("value", "gradient", "standard_error", "explicit", "response"):
            np.testing.assert_allclose(rows[column], reference[column], rtol=1e-6)
    referee = table[table.estimator == "finite_difference"]
    np.testing.assert_allclose(referee.gradient, reference.gradient, rtol=1e-4)
    np.testing.assert_allclose(reference.explicit + reference.response, reference.gradient, rtol=1e-12)


def test_the_record_says_what_it_cost(argon):
    table = compare(
        argon_experiment(argon), argon[0].potential, ["reversible", "reverse_mode"], jax.random.key(1), replicas=2
    )
    ours, theirs = (table[table.estimator == name].iloc[0] for name in ("reversible", "reverse_mode"))
    assert ours.peak_bytes < theirs.peak_bytes / 20
    assert ours.force_evaluations == 2 * 3 * 60
    assert ours.seconds > 0
    assert ours.standard_error > 0


def test_a_vacf_is_refused_by_reweighting_and_treated_by_the_rest(argon):
    case, settings = argon
    experiment = Experiment(
        case.system,
        settings,
        case.state,
        lambda snapshot: snapshot.velocity,
        lambda v: jnp.mean(v[0] * v[-1]) / jnp.mean(v[0] ** 2),
        n_steps=60,
        sample_every=10,
        loss_of="series",
        equilibration_steps=100,
    )
    table = compare(experiment, case.potential, [*EXACT[:2], "reweighting"], jax.random.key(1), replicas=2)
    assert "order of its samples in time" in table[table.estimator == "reweighting"].refused.iloc[0]
    ours, theirs = (table[table.estimator == name].gradient for name in EXACT[:2])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    with pytest.raises(Refusal, match="order of its samples"):
        Reweighting()(experiment, case.potential, jax.random.key(0))


def test_without_a_bath_reweighting_is_refused(argon):
    case, settings = argon
    nve = eqx.tree_at(lambda s: s.friction, settings, jnp.asarray(0.0))
    experiment = Experiment(case.system, nve, case.state, lambda s: s.time, lambda t: t)
    for estimator in (Reweighting(), PathReweighting()):
        with pytest.raises(Refusal, match="friction"):
            estimator(experiment, case.potential, jax.random.key(0))


def test_reweighting_finds_the_canonical_derivative():
    """d<x^2>/dk = -kT/k^2 (equipartition), from fluctuations alone; dt is small enough for the discrete bias."""
    system, settings, state = springs()
    k = 1.5
    experiment = Experiment(
        system, settings, state, mean_square, lambda x2: x2, n_steps=40_000, sample_every=100, equilibration_steps=2_000
    )
    estimate = Reweighting()(experiment, HarmonicTrap(k), jax.random.key(3), replicas=6)
    gradient, error = (float(jax.tree.leaves(t)[0]) for t in (estimate.gradient, estimate.standard_error))
    assert error < 0.1 / k**2
    assert abs(gradient + 1 / k**2) < 4 * error


def test_reweighting_and_reversible_agree_on_springs():
    """Over a run of many relaxation times the pathwise derivative is the canonical one, too."""
    system, settings, state = springs(n_atoms=400)
    experiment = Experiment(
        system, settings, state, mean_square, lambda x2: x2, n_steps=4_000, sample_every=100, equilibration_steps=1_000
    )
    estimate = Reversible()(experiment, HarmonicTrap(1.5), jax.random.key(3), replicas=4)
    gradient, error = (float(jax.tree.leaves(t)[0]) for t in (estimate.gradient, estimate.standard_error))
    assert abs(gradient + 1 / 1.5**2) < 4 * error + 0.02  # 0.02: the first samples have not forgotten the start


@pytest.fixture(scope="module")
def path_errors():
    """Standard errors of path reweighting for a short and a longer run, checked against the pathwise derivative."""
    return {n_steps: path_error(n_steps) for n_steps in (10, 60)}


def path_error(n_steps):
    """The standard error over 8,000 replicas; the mean must be that of the pathwise derivative."""
    system, settings, state = springs(n_atoms=1)
    potential = HarmonicTrap(1.5)
    leaves = flat_leaves(potential)
    schedule = {"n_steps": n_steps, "sample_every": n_steps, "loss_of": "series", "equilibration_steps": 0}
    experiment = Experiment(system, settings, state, mean_square, lambda x2: x2[-1], **schedule)
    keys = jax.random.split(jax.random.key(0), 8_000)

    def replicas(estimator, keys):
        one = estimator.build(experiment, potential)
        return jax.jit(jax.vmap(lambda key: one(leaves, state, key)))(keys)

    samples = replicas(PathReweighting(), keys)
    values = np.asarray(samples.value)
    each = np.asarray(samples.explicit)[:, 0] + (values - values.mean()) * np.asarray(samples.score)[:, 0]
    pathwise = np.asarray(replicas(Reversible(), keys[:500]).response)
    error = each.std() / np.sqrt(len(each))
    assert abs(each.mean() - pathwise.mean()) < 4 * np.hypot(error, pathwise.std() / np.sqrt(500))
    return error


def test_path_reweighting_is_unbiased_and_its_variance_grows(path_errors):
    assert path_errors[60] > path_errors[10]


def test_per_snapshot_losses_are_biased_by_the_variance():
    """E[(O - t)^2] = (E[O] - t)^2 + Var(O)."""
    system, settings, state = springs(n_atoms=50)
    options = {"n_steps": 2_000, "sample_every": 50, "equilibration_steps": 500}
    results = {}
    for kind in ("average", "snapshots"):
        experiment = Experiment(
            system, settings, state, mean_square, lambda x2: (x2 - 0.5) ** 2, loss_of=kind, **options
        )
        results[kind] = Reversible(0)(experiment, HarmonicTrap(1.5), jax.random.key(0), replicas=4).value
    variance = 2 * (1 / 1.5) ** 2 / (3 * 50)
    assert results["snapshots"] - results["average"] == pytest.approx(variance, rel=0.5)


def test_weights_shift_averages_and_lose_samples():
    x = jnp.array([1.0, 2.0, 4.0])
    assert float(weighted_average(x, jnp.zeros(3))) == pytest.approx(7 / 3)
    assert float(effective_sample_size(jnp.zeros(3))) == pytest.approx(3)
    assert float(effective_sample_size(jnp.array([0.0, -1e3, -1e3]))) == pytest.approx(1)
    slope = jax.grad(lambda e: weighted_average(x, -e * jnp.array([0.3, -0.2, 0.5])))(0.0)
    assert float(slope) == pytest.approx(-np.cov(x, [0.3, -0.2, 0.5])[0, 1])


def test_cancelling_stops_between_replicas(argon):
    steps = []
    for progress in compare_iter(
        argon_experiment(argon),
        argon[0].potential,
        ["reversible"],
        jax.random.key(0),
        50,
        cancelled=lambda: len(steps) > 1,
    ):
        steps.append(progress.done)
    assert 1 < len(steps) < 10


def test_every_estimator_has_its_name_and_unknown_ones_are_refused(argon):
    assert set(ESTIMATORS) == {*EXACT, "finite_difference", "reweighting", "path_reweighting"}
    with pytest.raises(ValueError, match="no estimator 'magic'"):
        compare(argon_experiment(argon), argon[0].potential, ["magic"], jax.random.key(0))


def test_other_parameter_values_do_not_compile_again(argon):
    experiment = argon_experiment(argon)
    potential = argon[0].potential
    Reversible()(experiment, potential, jax.random.key(0), replicas=1)
    other = eqx.tree_at(lambda p: p.sigma, potential, potential.sigma * 1.01)
    Reversible()(experiment, other, jax.random.key(0), replicas=1)
    assert len(experiment.compiled) == 1
