"""Langevin-middle dynamics as a textbook would write it, to hold the engine against.

Positions are float64, the minimum image is taken by rounding, the loop is a `lax.scan`, and derivatives are JAX's own.
Nothing here is shared with the engine but the random numbers.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.integrator import NOISE_BLOCK, noise_block


def noises(key, n_steps: int, n_atoms: int):
    """(n_steps, 3, N): the random numbers that the engine draws from step 0 on."""
    blocks = [noise_block(key, jnp.asarray(b), n_atoms) for b in range(-(-n_steps // NOISE_BLOCK))]
    return jnp.concatenate(blocks)[:n_steps].astype(jnp.float64)


def step(forces, masses, kt, dt, friction, x, v, xi):
    """One step: kick, half a drift, friction and noise, half a drift (Zhang et al. 2019)."""
    a = jnp.exp(-friction * dt)
    v = v + dt * forces(x) / masses
    x = x + dt / 2 * v
    v = a * v + jnp.sqrt((1 - a * a) * kt / masses) * xi
    return x + dt / 2 * v, v


def samples(energy, masses, kt, dt, friction, x, v, xi, every: int, reach: int | None = None):
    """[(x, v)] of every `every`-th step, stacked. With `reach`, no sample feels a step more than so many back."""
    forces = lambda x: -jax.grad(energy)(x)
    one = lambda xv, n: step(forces, masses, kt, dt, friction, *xv, n)

    def whole(x, v):
        return jax.lax.scan(lambda xv, n: (one(xv, n),) * 2, (x, v), xi)[1]

    xs, vs = whole(x, v)
    if reach is None:
        return xs[every - 1 :: every], vs[every - 1 :: every]
    start = lambda at, first: jax.lax.stop_gradient(jnp.concatenate([first[None], at]))
    xs, vs = start(xs, x), start(vs, v)

    def sample(n):
        """Run again to step n from `reach` steps before it, or from the start."""

        def maybe(xv, m):
            moved = one(xv, xi[jnp.maximum(m, 0)])
            return jax.tree.map(lambda new, old: jnp.where(m >= 0, new, old), moved, xv), None

        first = jnp.maximum(n - reach, 0)
        live = (jnp.where(n <= reach, x, xs[first]), jnp.where(n <= reach, v, vs[first]))
        return jax.lax.scan(maybe, live, n - reach + jnp.arange(reach))[0]

    return jax.vmap(sample)(jnp.arange(every, len(xi) + 1, every))


def pair_distances(x, box, i, j):
    """Minimum-image distances of the pairs (i, j)."""
    d = x[:, i] - x[:, j]
    d = d - box[:, None] * jax.lax.stop_gradient(jnp.round(d / box[:, None]))
    return jnp.sqrt(jnp.sum(d * d, axis=0))


def truncated(u, r, cutoff, truncation, switch_start):
    """u(r), force-shifted or switched off at the cutoff."""
    if truncation == "shifted":
        slope = jax.grad(u)(jnp.asarray(cutoff))
        value = u(r) - u(jnp.asarray(cutoff)) - (r - cutoff) * slope
    else:
        t = jnp.clip((r - switch_start * cutoff) / (cutoff - switch_start * cutoff), 0, 1)
        value = u(r) * (1 - 10 * t**3 + 15 * t**4 - 6 * t**5)
    return jnp.where(r < cutoff, value, 0.0)


def pairs_of(n: int, molecule=None):
    """Indices of all pairs of different molecules."""
    i, j = np.triu_indices(n, 1)
    if molecule is not None:
        molecule = np.asarray(molecule)
        i, j = (k[molecule[i] != molecule[j]] for k in (i, j))
    return i, j


def water_energy(system, lj, rf, bond, angle, charges, cutoff):
    """x -> energy of flexible water: Lennard-Jones between oxygens, reaction field, springs; all force-shifted.

    `lj` = (sigma, epsilon), `rf` = (charge, dielectric constant), `bond` = (k, r0), `angle` = (k, theta0).
    """
    i, j = pairs_of(system.n_atoms, system.molecule)
    box, n_o = system.box, system.counts[0]
    both = (i < n_o) & (j < n_o)
    bonds, angles = np.asarray(system.bonds), np.asarray(system.angles)
    eps = rf[1]
    k_rf = (eps - 1) / (2 * eps + 1) / cutoff**3
    lennard_jones = lambda r: 4 * lj[1] * ((lj[0] / r) ** 12 - (lj[0] / r) ** 6)
    coulomb = lambda r: 138.935458 * rf[0] ** 2 * (1 / r + k_rf * r**2 - 3 * eps / (2 * eps + 1) / cutoff)

    def arms(x, ends, apex):
        d = x[:, ends] - x[:, apex]
        return d - box[:, None] * jax.lax.stop_gradient(jnp.round(d / box[:, None]))

    def energy(x):
        total = jnp.sum(truncated(lennard_jones, pair_distances(x, box, i[both], j[both]), cutoff, "shifted", 0))
        r = pair_distances(x, box, i, j)
        total += jnp.sum(charges[i] * charges[j] * truncated(coulomb, r, cutoff, "shifted", 0))
        length = jnp.linalg.norm(arms(x, bonds[:, 1], bonds[:, 0]), axis=0)
        total += bond[0] / 2 * jnp.sum((length - bond[1]) ** 2)
        p, q = arms(x, angles[:, 0], angles[:, 1]), arms(x, angles[:, 2], angles[:, 1])
        cosine = jnp.sum(p * q, axis=0) / jnp.linalg.norm(p, axis=0) / jnp.linalg.norm(q, axis=0)
        return total + angle[0] / 2 * jnp.sum((jnp.arccos(cosine) - angle[1]) ** 2)

    return energy
