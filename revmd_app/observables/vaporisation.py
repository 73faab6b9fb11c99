"""The enthalpy of vaporisation of a flexible liquid, with the energy of its gas derived from the force field.

In the gas a molecule is alone: only its own springs store potential energy. Bonds r and angles θ of a chain-like
molecule are independent coordinates, and the classical configurational integral factorises,

    Z = ∏_bonds ∫ r² exp(-U_b(r)/kT) dr · ∏_angles ∫ sin θ exp(-U_a(θ)/kT) dθ,

so the mean energy is a sum of one-dimensional averages. Stiff springs give kT/2 each: 3/2 kT for water, to which r²
adds and from which sin θ takes some tenths of a percent. The kinetic energies of gas and liquid are equal, hence

    ΔH_vap = <U_gas> - <U_liquid>/N + p ΔV,      p ΔV = R T      (an ideal gas; the volume of the liquid is neglected).

The average depends on the springs' constants, and its derivative is part of the gradient of ΔH_vap.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from revmd_app import units
from revmd_app._types import Scalar
from revmd_app.engine.lattice import Snapshot
from revmd_app.engine.system import System
from revmd_app.observables.thermodynamics import potential_energy
from revmd_app.potentials.base import PairPotential, Potential
from revmd_app.potentials.bonded import HarmonicAngle, HarmonicBond, HarmonicCoordinate
from revmd_app.potentials.mixing import MixedPair

NODES, WEIGHTS = np.polynomial.legendre.leggauss(96)
REACH = 10.0
"""Half the window of the quadrature, in thermal widths sqrt(kT/k): exp(-50) is left out."""


def gas_energy(potential: Potential, temperature, boltzmann: float = units.BOLTZMANN) -> Scalar:
    """Mean potential energy (kJ/mol) of one isolated flexible water molecule at a temperature (K).

    Two bonds of the potential's first `HarmonicBond` and one angle of its first `HarmonicAngle`. Differentiable in
    their parameters and in the temperature. Raises `ValueError` when the potential lacks one of them.
    """
    bond, angle = (_first(potential, kind) for kind in (HarmonicBond, HarmonicAngle))
    kt = boltzmann * temperature
    return 2 * spring_energy(bond, kt) + spring_energy(angle, kt)


def gas_energy_of_all(potential: Potential, system: System, temperature) -> Scalar:
    """Mean potential energy (kJ/mol) of every molecule of a system if each were alone: a mixture of gases.

    Each spring counts as often as it occurs in the system. Raises `ValueError` for a term that is neither a spring nor
    a pair potential: what a molecule alone feels of it is not known.
    """
    total = jnp.zeros(())
    for term in potential.terms():
        if isinstance(term, HarmonicCoordinate):
            apex, _ = term.table(system)
            total = total + len(apex.index) * spring_energy(term, system.boltzmann * temperature)
        elif not isinstance(term, PairPotential | MixedPair):
            raise ValueError(
                f"the gas-phase energy of {type(term).__name__} is not known: the enthalpy of vaporisation is for "
                "pair potentials, harmonic bonds and harmonic angles."
            )
    return total


def enthalpy_of_vaporisation(snapshot: Snapshot, temperature, n_molecules: int | None = None) -> Scalar:
    """ΔH_vap (kJ/mol) as one snapshot has it: (U_gas of all molecules - U) / N + R T; `snapshot.potential` is set.

    Its mean over a run is the enthalpy of vaporisation. Differentiable in the positions, in the temperature (K), and
    explicitly in all parameters. N defaults to every molecule: atoms less bonds, for molecules without rings. In a
    mixture that is the enthalpy of evaporating everything, per molecule; for the solvent's own part give the snapshot
    a potential that holds the solvent's terms only, and `n_molecules` of the solvent.
    Raises `ValueError` without a potential or for one that holds more than springs and pairs.
    """
    system = snapshot.system
    n = system.n_atoms - len(system.bonds) if n_molecules is None else n_molecules
    liquid = potential_energy(snapshot)
    return (gas_energy_of_all(snapshot.potential, system, temperature) - liquid) / n + system.boltzmann * temperature


def spring_energy(spring: HarmonicCoordinate, kt) -> Scalar:
    """<(k/2)(q - q0)²> (kJ/mol) of one bond or angle of an isolated molecule, by quadrature; kt and k are positive.

    Gauss-Legendre on the window in which the Boltzmann factor is above exp(-50), cut where the coordinate ends: r at 0,
    θ at 0 and π. Nodes move with the parameters, so that the derivatives are as exact as the value.
    Raises `ValueError` for a spring whose measure is not known.
    """
    k, q0 = spring.constants()
    measure, largest = _measure(spring)
    reach = REACH * jnp.sqrt(kt / k)
    low, high = jnp.maximum(q0 - reach, 0.0), jnp.minimum(q0 + reach, largest)
    q = low + (high - low) * (NODES + 1) / 2
    energy = 0.5 * k * (q - q0) ** 2
    weights = WEIGHTS * measure(q) * jnp.exp(-energy / kt)
    return jnp.sum(weights * energy) / jnp.sum(weights)


def _measure(spring: HarmonicCoordinate):
    """(the volume element as a function of the coordinate, the coordinate's largest value)."""
    if isinstance(spring, HarmonicBond):
        return jnp.square, math.inf
    if isinstance(spring, HarmonicAngle):
        return jnp.sin, math.pi
    raise ValueError(f"the volume element of {type(spring).__name__} is not known: bonds and angles have one.")


def _first(potential: Potential, kind: type[HarmonicCoordinate]) -> HarmonicCoordinate:
    for term in potential.terms():
        if isinstance(term, kind):
            return term
    names = ", ".join(type(term).__name__ for term in potential.terms())
    raise ValueError(f"the gas-phase energy of flexible water needs a {kind.__name__}; the potential has {names}.")
