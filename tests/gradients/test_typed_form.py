"""The gradient of a trajectory in the parameters of a typed formula, against the textbook's float64 derivative."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from engine import textbook
from engine.liquids import KEY, small_liquid

from revmd_app.engine.integrator import Settings
from revmd_app.engine.simulate import simulate
from revmd_app.potentials import Expression

TEXT = "4*epsilon*((sigma/r)^12 - (sigma/r)^6) + b*exp(-c*r)"
VALUES = {"epsilon": 0.9, "sigma": 0.34, "b": 60.0, "c": 14.0}
STEPS, EVERY, DT, FRICTION, TEMPERATURE = 20, 10, 0.004, 1.0, 94.4


def test_a_typed_formula_has_the_textbook_gradient():
    """The textbook knows the formula as Python, not as text."""
    system, _, x, v = small_liquid()
    typed = Expression(TEXT, VALUES, cutoff=0.55, truncation="shifted")
    settings = Settings(DT, TEMPERATURE, FRICTION, precision="float64", neighbours="dense")

    def by_engine(values):
        potential = eqx.tree_at(lambda p: p.values, typed, values)
        energy, velocity = simulate(
            system, potential, settings, observe=lambda s: (s.potential.energy(s), s.velocity),
            n_steps=STEPS, sample_every=EVERY, key=KEY, positions=x, velocities=v,
        )  # fmt: skip
        return energy.mean() ** 2 + jnp.sum(velocity[0] * velocity[1])

    def by_textbook(values):
        i, j = textbook.pairs_of(system.n_atoms)
        e, s, b, c = (values[name] for name in ("epsilon", "sigma", "b", "c"))
        u = lambda r: 4 * e * ((s / r) ** 12 - (s / r) ** 6) + b * jnp.exp(-c * r)

        def energy(x):
            r = textbook.pair_distances(x, system.box, i, j)
            return jnp.sum(textbook.truncated(u, r, 0.55, "shifted", 0.0))

        xi = textbook.noises(KEY, STEPS, system.n_atoms)
        kt = system.boltzmann * TEMPERATURE
        xs, vs = textbook.samples(energy, system.masses, kt, DT, FRICTION, x, v, xi, EVERY)
        return jax.vmap(energy)(xs).mean() ** 2 + jnp.sum(vs[0] * vs[1])

    value, gradient = jax.jit(jax.value_and_grad(by_engine))(typed.values)
    expected, reference = jax.jit(jax.value_and_grad(by_textbook))(typed.values)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert set(gradient) == set(VALUES)
    for name, slope in reference.items():
        np.testing.assert_allclose(gradient[name], slope, rtol=1e-5, err_msg=name)
