"""How a liquid answers to pressure and to a field, from its fluctuations at equilibrium: for validation.

    compressibility      κ = (<V²> - <V>²) / (kT <V>)                              at constant pressure
    dielectric constant  (ε - 1)(2 ε_rf + 1) / (2 ε_rf + ε) = <M²> / (3 ε0 V kT)   with a reaction field

Both are nonlinear in averages of correlated samples, so their error bars are jackknives over blocks. Fluctuations
converge slowly: expect some hundred picoseconds for water's κ, and nanoseconds for its ε.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app import units
from revmd_app.engine.lattice import Snapshot
from revmd_app.engine.system import System
from revmd_app.observables.statistics import Mean, jackknife, mean_with_error
from revmd_app.potentials.electrostatics import ReactionField


class Response(NamedTuple):
    """A response coefficient and its standard error."""

    value: float
    standard_error: float


def isothermal_compressibility(
    volumes, temperature: float, n_blocks: int = 10, boltzmann: float = units.BOLTZMANN
) -> Response:
    """κ in 1/bar from the volumes (n,) nm³ of a run at constant pressure and a temperature (K).

    Water's is 4.5e-5 /bar. Leave out the start of the run, until the volume has settled. Raises `ValueError` for too
    few samples or a value that is not finite.
    """
    scale = units.BAR_PER_PRESSURE_UNIT * boltzmann * temperature
    return Response(*jackknife(volumes, lambda v: np.var(v) / (scale * np.mean(v)), n_blocks))


def density_at_constant_pressure(system: System, volumes) -> Mean:
    """The mean mass density (g/cm³) of a run at constant pressure with its error bar; volumes (n,) in nm³.

    Raises `ValueError` for fewer than 10 volumes or one that is not finite.
    """
    mass = float(np.sum(np.asarray(system.masses)))
    return mean_with_error(units.GRAM_PER_CM3 * mass / np.asarray(volumes, np.float64))


def dipole_moment(snapshot: Snapshot) -> Float[Array, "3"]:
    """M = Σ q r in e nm over whole molecules, each of which must be neutral; 1 e nm is 48.03 debye.

    The charges are those of the potential's reaction field. Differentiable in positions and charges. Raises
    `ValueError` when there is none.
    """
    system, field = snapshot.system, _reaction_field(snapshot)
    atoms = jnp.arange(system.n_atoms)
    first = jax.ops.segment_min(atoms, system.molecule, system.n_atoms)
    arms = snapshot.separations(atoms, first[system.molecule])
    return arms.astype(jnp.float64) @ field.charges(system)


def dielectric_constant(
    dipoles,
    volume,
    temperature: float,
    epsilon_rf: float = 78.3,
    n_blocks: int = 10,
    boltzmann: float = units.BOLTZMANN,
) -> Response:
    """ε from the dipoles (n, 3) of the box (e nm), its volume (nm³; one number, or one a sample), and temperature (K).

    M. Neumann, Mol. Phys. 50, 841 (1983): `epsilon_rf` is the dielectric constant of the reaction field with which the
    run was made; infinity stands for Ewald sums with a conducting surrounding. <M> is zero by symmetry and is not
    subtracted. Raises `ValueError` for another shape, too few samples or a value that is not finite.
    """
    m = np.asarray(dipoles, np.float64)
    if m.ndim != 2 or m.shape[1] != 3:
        raise ValueError(f"the dipoles of a run have the shape (samples, 3), not {m.shape}.")
    per_volume = np.sum(m * m, axis=1) / np.asarray(volume, np.float64)
    scale = 4 * np.pi * units.COULOMB / (3 * boltzmann * temperature)
    return Response(*jackknife(per_volume, lambda x: _epsilon(scale * np.mean(x), epsilon_rf), n_blocks))


def _epsilon(a: float, epsilon_rf: float) -> float:
    """ε of Neumann's formula for a = <M²> / (3 ε0 V kT)."""
    shared = 1 / (2 * epsilon_rf + 1)  # 0 for a conductor
    return (1 + a * (1 - shared)) / (1 - a * shared)


def _reaction_field(snapshot: Snapshot) -> ReactionField:
    if snapshot.potential is not None:
        for term in snapshot.potential.terms():
            if isinstance(term, ReactionField):
                return term
    raise ValueError("a dipole moment needs charges: a potential with a ReactionField.")
