"""The products of the reverse pass, forces and virials of every potential against AD of its energy, in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from potentials.reference import argon_box, relative, water_box

from revmd_app.potentials import (
    PAIR_FORMS,
    DoubleWell2D,
    Expression,
    HarmonicAngle,
    HarmonicBond,
    HarmonicTrap,
    LennardJones,
    MullerBrown,
    ReactionField,
)

PAIR = {form.__name__: form(cutoff=0.56) for form in PAIR_FORMS.values()} | {
    "switched": LennardJones(cutoff=0.56, truncation="switched"),
    "Expression": Expression("A*exp(-b*r) - C/r^6 + k_e*q^2*erfc(3*r)/r", {"A": 7e5, "b": 36, "C": 5e-3}, cutoff=0.56),
}
SITE = {"HarmonicTrap": HarmonicTrap(), "DoubleWell2D": DoubleWell2D(), "MullerBrown": MullerBrown()}
WATER = {
    "ReactionField": ReactionField(cutoff=0.6),
    "HarmonicBond": HarmonicBond(),
    "HarmonicAngle": HarmonicAngle(),
    "Sum": LennardJones.for_water(cutoff=0.6) + ReactionField(cutoff=0.6) + HarmonicBond() + HarmonicAngle(),
}
EVERY = PAIR | SITE | WATER


def snapshot_for(name, precision="float64"):
    return water_box(27, precision=precision) if name in WATER else argon_box(2, precision=precision)


def moved(snapshot, offset):
    return eqx.tree_at(lambda s: s.offset, snapshot, offset, is_leaf=lambda x: x is None)


@eqx.filter_jit
def by_automatic_differentiation(potential, snapshot, w):
    """(forces, J^T w, gradient of w . F) from nothing but the energy."""
    zero = jnp.zeros_like(w)
    energy = lambda offset, potential: potential.energy(moved(snapshot, offset))

    def work(offset, potential):  # w . F
        return -jax.jvp(lambda x: energy(x, potential), (offset,), (w,))[1]

    forces = -jax.grad(energy)(zero, potential)
    dynamic, static = eqx.partition(potential, eqx.is_inexact_array)
    products = jax.grad(lambda x, leaves: work(x, eqx.combine(leaves, static)), argnums=(0, 1))(zero, dynamic)
    return forces, *products


@eqx.filter_jit
def forces_and_products(potential, snapshot, w):
    return potential.forces(snapshot), potential.force_vjp(snapshot, w)


@pytest.mark.parametrize("name", EVERY)
def test_products_equal_automatic_differentiation(name):
    potential, snapshot = EVERY[name], snapshot_for(name)
    w = jnp.asarray(np.random.default_rng(1).normal(size=snapshot.lattice.shape))
    forces, on_positions, on_parameters = by_automatic_differentiation(potential, snapshot, w)
    written, products = forces_and_products(potential, snapshot, w)
    assert relative(written, forces) < 1e-11
    assert relative(products[0], on_positions) < 1e-11
    assert jax.tree.structure(products[1]) == jax.tree.structure(on_parameters)
    for value, expected in zip(jax.tree.leaves(products[1]), jax.tree.leaves(on_parameters), strict=True):
        assert value.dtype == jnp.float64
        np.testing.assert_allclose(value, expected, rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("Sum", "switched")])
def test_float32_follows_float64(name):
    potential = EVERY[name]
    exact, single = (snapshot_for(name, precision) for precision in ("float64", "float32"))
    w = np.random.default_rng(2).normal(size=exact.lattice.shape)
    f64 = forces_and_products(potential, exact, jnp.asarray(w))
    f32 = forces_and_products(potential, single, jnp.asarray(w, jnp.float32))
    assert f32[0].dtype == f32[1][0].dtype == jnp.float32
    assert relative(f32[0], f64[0]) < 2e-5
    assert relative(f32[1][0], f64[1][0]) < 2e-5


@pytest.mark.parametrize("name", ["LennardJones", "WeeksChandlerAndersen", "Expression", "HarmonicTrap", "Sum"])
def test_energy_gradient_matches_finite_differences(name):
    """Central differences of the energy along a random direction: the force, by the definition of a force."""
    potential, snapshot = EVERY[name], snapshot_for(name)
    direction = jnp.asarray(np.random.default_rng(3).normal(size=snapshot.lattice.shape))
    energy = eqx.filter_jit(lambda h: potential.energy(moved(snapshot, h * direction)))
    h = 2e-6
    expected = -float(energy(h) - energy(-h)) / (2 * h)
    forces, _ = forces_and_products(potential, snapshot, direction)
    assert float(jnp.vdot(forces, direction)) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("name", ["LennardJones", "switched", "Expression", "ReactionField"])
def test_virial_is_the_sum_of_r_f(name):
    """Half the sum over pairs of r_ij f_ij, with forces between pairs from a plain loop over u'(r)."""
    potential, snapshot = EVERY[name], snapshot_for(name)
    n = snapshot.system.n_atoms
    d = np.asarray(snapshot.all_separations(slice(0, n), slice(0, n)))
    block = potential.block(snapshot.system)
    r = np.sqrt(np.sum(d * d, axis=0))
    molecule = np.asarray(snapshot.system.molecule)
    members = np.arange(n)
    allowed = (molecule[:, None] != molecule) & (members < block.a1)[:, None] & (members < block.a1) & (r < 0.6)
    slope = jax.vmap(jax.grad(potential.truncated_energy))(jnp.asarray(r[allowed]))
    weights = potential.site_weights(snapshot.system)
    product = np.ones((n, n)) if weights is None else np.outer(weights, weights)
    pull = np.zeros((n, n))
    pull[allowed] = -np.asarray(slope) * product[allowed] / r[allowed]
    expected = 0.5 * np.einsum("ij,aij,bij->ab", pull, d, d)
    stress, scalar = eqx.filter_jit(lambda p, s: (p.stress_virial(s), p.virial(s)))(potential, snapshot)
    assert relative(stress, expected) < 1e-10
    assert float(scalar) == pytest.approx(np.trace(expected), rel=1e-10)


def test_a_slider_does_not_recompile():
    """Parameters are traced arrays, those of a typed formula too."""
    snapshot = argon_box(2)
    compiled = []

    @eqx.filter_jit
    def energy(potential):
        compiled.append(1)
        return potential.energy(snapshot)

    typed = Expression("4*epsilon*((sigma/r)^12-(sigma/r)^6)", cutoff=0.56)
    energies = [energy(p) for p in (typed, typed.with_values(sigma=0.33), typed.with_values(epsilon=2.0, sigma=0.3))]
    energies += [energy(LennardJones(s, 1.0, cutoff=0.56)) for s in (0.33, 0.34)]
    assert len(compiled) == 2
    assert len({float(e) for e in energies}) == 5
