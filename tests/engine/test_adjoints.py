"""The gradient of a trajectory: every route gives the same, and it is that of the textbook's dynamics.

The independent reference is `textbook.py` with `jax.grad` through its float64 loop, on the same random numbers.
"""

from __future__ import annotations

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import textbook
from engine.liquids import KEY, case, small_liquid

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.simulate import advance, simulate
from revmd_app.potentials import PAIR_FORMS, Sum

N_STEPS, EVERY = 40, 10
DT = 0.004
STRONG, WEAK = 80.0, 1.0
"""1/ps: the strong friction burns 18 bits in 40 steps, so that one 16-bit shift lies on the way."""
SETTINGS = Settings(DT, 94.4, STRONG, precision="float64", neighbours="dense")
BINS = jnp.linspace(0.3, 0.54, 13)
LOSSES = {"energy": (1.0, 0.0, 0.0), "g(r)": (0.0, 1.0, 0.0), "VACF": (0.0, 0.0, 1.0), "all": (1.0, 1.0, 1.0)}
PAIRS = np.triu_indices(32, 1)


def smooth_counts(r):
    """A smooth histogram of distances: differentiable, like a g(r)."""
    return jnp.sum(jnp.exp(-(((r[:, None] - BINS) / 0.02) ** 2)), axis=0) / 32


def losses(series):
    """(energy, g(r), VACF): functions of the whole series of samples, none a mean of losses of samples."""
    energy, counts, velocity = series
    correlation = jnp.mean(velocity[0] * velocity[1:], axis=(1, 2))
    target = jnp.linspace(0.0, 4.0, len(BINS))
    return jnp.stack([energy.mean() ** 2, jnp.sum((counts.mean(0) - target) ** 2), jnp.sum(correlation**2) * 1e4])


def observe(snapshot):
    d = snapshot.separations(*PAIRS)
    return snapshot.potential.energy(snapshot), smooth_counts(jnp.sqrt(jnp.sum(d * d, axis=0))), snapshot.velocity


def engine_losses(arguments, key=KEY, n_steps=N_STEPS, every=EVERY, settings=SETTINGS, **options):
    potential, temperature, friction, x, v = arguments
    settings = eqx.tree_at(lambda s: (s.temperature, s.friction), settings, (temperature, friction))
    system = small_liquid()[0]
    return losses(
        simulate(
            system, potential, settings, observe=observe, n_steps=n_steps, sample_every=every, key=key,
            positions=x, velocities=v, **options,
        )
    )  # fmt: skip


def textbook_losses(arguments, key=KEY, n_steps=N_STEPS, every=EVERY, reach=None):
    potential, temperature, friction, x, v = arguments
    system = small_liquid()[0]
    i, j = textbook.pairs_of(system.n_atoms)

    def energy(x):
        r = textbook.pair_distances(x, system.box, i, j)
        p = potential
        return jnp.sum(textbook.truncated(p.pair_energy, r, p.cutoff, p.truncation, p.switch_start))

    kt, xi = system.boltzmann * temperature, textbook.noises(key, n_steps, system.n_atoms)
    xs, vs = textbook.samples(energy, system.masses, kt, DT, friction, x, v, xi, every, reach)
    distances = jax.vmap(lambda x: textbook.pair_distances(x, system.box, i, j))(xs)
    return losses((jax.vmap(energy)(xs), jax.vmap(smooth_counts)(distances), vs))


@cache
def gradient_of(function, **options):
    """A compiled (arguments, weights of the losses, key) -> (value, gradient); made once for each set of options."""
    weighted = lambda arguments, weights, key: jnp.dot(weights, function(arguments, key, **options))
    return eqx.filter_jit(eqx.filter_value_and_grad(weighted))


def arguments_with(friction=STRONG, potential=None):
    _, lennard_jones, x, v = small_liquid()
    return (lennard_jones if potential is None else potential, SETTINGS.temperature, jnp.asarray(friction), x, v)


def evaluate(function, arguments, loss="all", key=KEY, **options):
    return gradient_of(function, **options)(arguments, jnp.asarray(LOSSES[loss]), key)


def assert_close(gradient, reference, tolerance):
    """Every leaf to `tolerance` of its largest entry."""
    for got, wanted in zip(jax.tree.leaves(gradient), jax.tree.leaves(reference), strict=True):
        assert np.max(np.abs(got - wanted)) <= tolerance * np.max(np.abs(wanted)), (got, wanted)
        assert np.max(np.abs(wanted)) > 0


@pytest.mark.parametrize("loss", ["energy", "g(r)", "VACF"])
@pytest.mark.parametrize("friction", [STRONG, WEAK])
def test_reversible_gradient_is_that_of_the_textbook(friction, loss):
    """In sigma, epsilon, temperature, friction, and every initial position and velocity."""
    arguments = arguments_with(friction)
    value, gradient = evaluate(engine_losses, arguments, loss)
    expected, reference = evaluate(textbook_losses, arguments, loss)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert_close(gradient, reference, 1e-6)


@pytest.mark.parametrize("method", ["reverse_mode", "checkpointed"])
def test_jax_differentiates_the_same_trajectory(method):
    """The same numbers, the same derivative: agreement to rounding, not to the lattice's resolution."""
    value, gradient = evaluate(engine_losses, arguments_with())
    expected, reference = evaluate(engine_losses, arguments_with(), method=method)
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    assert_close(gradient, reference, 1e-9)


def test_forward_mode_agrees_along_a_direction():
    arguments = arguments_with()
    _, gradient = evaluate(engine_losses, arguments)
    rng = np.random.default_rng(0)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)) * leaf, arguments)
    forward = lambda arguments: jnp.sum(engine_losses(arguments, method="forward_mode"))
    _, slope = eqx.filter_jit(lambda a, d: jax.jvp(forward, (a,), (d,)))(arguments, direction)
    along = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(slope, along, rtol=1e-9)


def test_without_friction():
    """NVE has no noise, and no derivative in friction is offered there; the rest agrees."""
    arguments = arguments_with(0.0)
    _, (potential, temperature, _, *start) = evaluate(engine_losses, arguments)
    _, (expected, _, _, *expected_start) = evaluate(
        textbook_losses, (*arguments[:2], jnp.asarray(1e-30), *arguments[3:])
    )
    assert_close((potential, start), (expected, expected_start), 1e-6)
    assert float(temperature) == 0.0


def test_float32_forces_give_the_gradient_to_a_thousandth():
    single = Settings(DT, 94.4, STRONG, precision="float32", neighbours="dense")
    function = eqx.filter_jit(eqx.filter_grad(lambda a: jnp.sum(engine_losses(a, settings=single))))
    assert_close(function(arguments_with()), evaluate(textbook_losses, arguments_with())[1], 1e-3)


def test_finite_differences_agree_within_their_own_error():
    """Central differences on the same noise; the difference between two steps h and h/2 is their error."""
    potential, temperature, friction, x, v = arguments_with(WEAK)
    value = eqx.filter_jit(lambda arguments: jnp.sum(engine_losses(arguments)))
    _, gradient = evaluate(engine_losses, arguments_with(WEAK))

    shifted = {
        "sigma": lambda h: (
            eqx.tree_at(lambda p: p.sigma, potential, potential.sigma + h),
            temperature,
            friction,
            x,
            v,
        ),
        "epsilon": lambda h: (eqx.tree_at(lambda p: p.epsilon, potential, 0.996 + h), temperature, friction, x, v),
        "temperature": lambda h: (potential, temperature + h, friction, x, v),
        "friction": lambda h: (potential, temperature, friction + h, x, v),
        "position": lambda h: (potential, temperature, friction, x.at[0, 5].add(h), v),
        "velocity": lambda h: (potential, temperature, friction, x, v.at[1, 7].add(h)),
    }
    sizes = (0.34, 1.0, 94.4, 1.0, 0.34, 0.15)
    exact = (gradient[0].sigma, gradient[0].epsilon, *gradient[1:3], gradient[3][0, 5], gradient[4][1, 7])
    for name, size, slope in zip(shifted, sizes, exact, strict=True):
        central = lambda h, at=shifted[name]: (value(at(h)) - value(at(-h))) / (2 * h)
        coarse, fine = central(2e-4 * size), central(1e-4 * size)
        better = (4 * fine - coarse) / 3
        assert abs(slope - better) < abs(coarse - fine) + 1e-4 * abs(better), name


@pytest.mark.parametrize("truncate", [0, 7, 20, 23])
def test_truncation_stops_the_gradient_where_the_textbook_does(truncate):
    """No step further back than `truncate` counts for a sample: none, less than a sample's distance, more than one."""
    arguments = arguments_with(WEAK)
    value, gradient = evaluate(engine_losses, arguments, truncate=truncate)
    expected, reference = evaluate(textbook_losses, arguments, reach=truncate)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for got, wanted in zip(jax.tree.leaves(gradient), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6 * np.max(np.abs(wanted)))


def test_truncation_beyond_the_start_is_the_full_gradient():
    full = evaluate(engine_losses, arguments_with())
    long = evaluate(engine_losses, arguments_with(), truncate=N_STEPS)
    assert full[0] == long[0]
    assert_close(long[1], full[1], 1e-12)


@pytest.mark.parametrize("name", PAIR_FORMS)
def test_every_pair_form(name):
    potential = PAIR_FORMS[name](cutoff=0.55)
    arguments = arguments_with(WEAK, potential)
    options = {"n_steps": 20, "every": 10}
    for loss in ("energy", "g(r)", "VACF"):
        value, gradient = evaluate(engine_losses, arguments, loss, **options)
        expected, reference = evaluate(textbook_losses, arguments, loss, **options)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        assert_close(gradient, reference, 1e-6)


def test_replicas_are_what_single_runs_are():
    """vmap over keys: the same values bit for bit, the same gradients to rounding."""
    keys = jax.random.split(KEY, 3)
    one = gradient_of(engine_losses)
    weights = jnp.asarray(LOSSES["all"])
    together = eqx.filter_jit(eqx.filter_vmap(one, in_axes=(None, None, 0)))(arguments_with(), weights, keys)
    for k, key in enumerate(keys):
        value, gradient = one(arguments_with(), weights, key)
        np.testing.assert_allclose(together[0][k], value, rtol=1e-12)
        assert_close(jax.tree.map(lambda leaf, k=k: leaf[k], together[1]), gradient, 1e-9)


def test_a_neighbour_list_gives_the_same_gradient():
    """500 atoms whose list is rebuilt on the way, against JAX's own derivative over all pairs."""
    it = case("argon", 500)
    listed, dense = (
        Settings(DT, 94.4, WEAK, precision="float64", neighbours=how, skin=0.03) for how in ("list", "dense")
    )
    state, _, report = advance(it.system, it.potential, listed, it.state, KEY, 200)
    report.check()
    energy = lambda snapshot: (snapshot.potential.energy(snapshot), snapshot.velocity[:, :50])

    def loss(potential, settings, method):
        energies, velocities = simulate(
            it.system, potential, settings, observe=energy, n_steps=30, sample_every=15, key=KEY, state=state,
            method=method,
        )  # fmt: skip
        return energies[0] * energies[1] * 1e-6 + jnp.sum(velocities[0] * velocities[1])

    slope = eqx.filter_jit(lambda p, t, s, m: jax.jvp(lambda p: loss(p, s, m), (p,), (t,))[1])
    gradient = eqx.filter_jit(eqx.filter_grad(loss))(it.potential, listed, "reversible")
    for name in ("sigma", "epsilon"):
        unit = jax.tree.map(jnp.zeros_like, it.potential)
        unit = eqx.tree_at(lambda p, name=name: getattr(p, name), unit, jnp.asarray(1.0))
        np.testing.assert_allclose(getattr(gradient, name), slope(it.potential, unit, dense, "forward_mode"), rtol=1e-6)


def test_flexible_water():
    """Every parameter of 64 flexible molecules: reaction field, Lennard-Jones on oxygen, bonds, angles."""
    it = case("water", 64)
    settings = Settings(it.settings.dt, 298.15, 5.0, precision="float64", neighbours="dense")
    start = to_snapshot(it.system, it.state, settings)
    x, v = start.unwrapped, start.velocity
    oxygen = slice(0, 64)
    i, j = np.triu_indices(64, 1)

    def summary(energy, r, v):
        return energy / 1e3, jnp.sum(jnp.exp(-(((r[:, None] - BINS) / 0.02) ** 2)), axis=0) / 64, v[:, oxygen]

    def loss(series):
        energy, counts, velocity = series
        return energy[0] * energy[1] + jnp.sum(counts.mean(0) ** 2) + 1e2 * jnp.sum(velocity[0] * velocity[1]) / 64

    def observe(snapshot):
        d = snapshot.separations(i, j)
        return summary(snapshot.potential.energy(snapshot), jnp.sqrt(jnp.sum(d * d, axis=0)), snapshot.velocity)

    def by_engine(potential):
        options = {"observe": observe, "n_steps": 20, "sample_every": 10, "key": KEY}
        return loss(simulate(it.system, potential, settings, positions=x, velocities=v, **options))

    def by_textbook(potential):
        lj, rf, bond, angle = Sum.terms(potential)
        charges = jnp.asarray(rf.site_weights(it.system))
        energy = textbook.water_energy(
            it.system, (lj.sigma, lj.epsilon), (rf.charge, rf.epsilon_rf), (bond.k, bond.r0), (angle.k, angle.theta0),
            charges, lj.cutoff,
        )  # fmt: skip
        kt = it.system.boltzmann * 298.15
        xi = textbook.noises(KEY, 20, it.system.n_atoms)
        xs, vs = textbook.samples(energy, it.system.masses, kt, it.settings.dt, 5.0, x, v, xi, 10)
        r = lambda x: textbook.pair_distances(x, it.system.box, i, j)
        return loss(jax.vmap(lambda x, v: summary(energy(x), r(x), v))(xs, vs))

    value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(by_engine))(it.potential)
    expected, reference = eqx.filter_jit(eqx.filter_value_and_grad(by_textbook))(it.potential)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert_close(gradient, reference, 1e-6)
    assert len(jax.tree.leaves(gradient)) == 7


def test_an_equal_start_by_state_or_by_arrays():
    system, potential, x, v = small_liquid()
    energy = lambda snapshot: snapshot.potential.energy(snapshot)
    options = {"observe": energy, "n_steps": 10, "sample_every": 5, "key": KEY}
    by_arrays = simulate(system, potential, SETTINGS, positions=x, velocities=v, **options)
    by_state = simulate(system, potential, SETTINGS, state=from_physical(system, x, v), **options)
    assert np.array_equal(by_arrays, by_state)
