"""Coulomb's law in a periodic liquid: the reaction field of a dielectric that begins at the cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app import units
from revmd_app.checks import check_number
from revmd_app.potentials.base import PairPotential, Parameter, parameter
from revmd_app.potentials.reciprocal import inverse_sqrt

WATER = (("O", 1.0), ("H", -0.5))
"""The charge pattern of water: hydrogens carry -1/2 of the oxygen's charge, so a molecule is neutral."""


def _pairs(pattern) -> tuple[tuple[str, float], ...]:
    items = pattern.items() if isinstance(pattern, Mapping) else pattern
    return tuple((str(species), float(factor)) for species, factor in items)


class ReactionField(PairPotential):
    """u(r) = k c_i c_j q² [1/r + k_rf r² - c_rf] between different molecules, k = 138.935458 kJ nm/mol/e².

    k_rf = (ε_rf - 1) / ((2 ε_rf + 1) rc³) and c_rf = 3 ε_rf / ((2 ε_rf + 1) rc), with ε_rf the dielectric constant
    beyond the cutoff rc. The one parameter is the charge q (e); `pattern` gives each species' factor c_i, so that
    charges cannot drift apart ({"O": 1, "H": -0.5}); species it does not name carry no charge. Pairs within a molecule
    get no reaction-field correction. Tironi et al., J. Chem. Phys. 1995, 102, 5451.

    Truncation. c_rf makes the energy vanish at rc, but not quite the force: 3/(2 ε_rf + 1) of Coulomb's is left (2 %
    for water). "plain" keeps that jump and equals OpenMM's reaction field; gradients through a simulation then miss
    the pairs that cross the cutoff. "shifted", the default, removes the last 2 %, and gradients are exact.
    """

    charge: Float[Array, ""] = parameter(-0.834)
    pattern: tuple[tuple[str, float], ...] = eqx.field(static=True, converter=_pairs, default=WATER)
    epsilon_rf: float = eqx.field(static=True, converter=float, default=78.3)

    parameters: ClassVar[dict[str, Parameter]] = {
        "charge": Parameter("q", "e", (-1.1, -0.4), doc="Charge of a species with the factor 1: water's oxygen."),
    }
    formula: ClassVar[str] = r"\frac{c_i c_j q^2}{4\pi\varepsilon_0}\left[\frac{1}{r} + k_{rf} r^2 - c_{rf}\right]"
    limits: ClassVar[str] = "Charges farther apart than the cutoff feel each other only through a uniform dielectric."

    def __check_init__(self):
        check_number("epsilon_rf, a dielectric constant,", self.epsilon_rf, at_least=1.0, advice="water's is 78.3")

    def constants(self) -> tuple[float, float]:
        """(k_rf in nm^-3, c_rf in nm^-1) for this cutoff."""
        k_rf = (self.epsilon_rf - 1) / (2 * self.epsilon_rf + 1) / self.cutoff**3
        return k_rf, 3 * self.epsilon_rf / (2 * self.epsilon_rf + 1) / self.cutoff

    def pair_energy(self, r):
        k_rf, c_rf = self.constants()
        return units.COULOMB * self.charge * self.charge * (1 / r + k_rf * (r * r) - c_rf)

    def pair_radial_force(self, r2):
        k_rf, _ = self.constants()
        inverse = inverse_sqrt(r2)
        return units.COULOMB * self.charge * self.charge * (inverse * inverse * inverse - 2 * k_rf)

    def site_weights(self, system):
        factors = dict(self.pattern)
        return jnp.asarray(np.repeat([factors.get(species, 0.0) for species in system.species], system.counts))

    def charges(self, system) -> Float[Array, " atoms"]:
        """The charge of every atom, e."""
        return self.charge * self.site_weights(system)

    def check(self, system):
        super().check(system)
        for species, _ in self.pattern:
            system.atoms(species)
