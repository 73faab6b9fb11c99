"""Interatomic potentials: energies whose float leaves are parameters, with forces and adjoint products."""

from revmd_app.potentials.base import PairPotential, Parameter, Potential, Sum, parameter
from revmd_app.potentials.bonded import HarmonicAngle, HarmonicBond
from revmd_app.potentials.electrostatics import ReactionField
from revmd_app.potentials.expression import Expression, check_radial
from revmd_app.potentials.external import DoubleWell2D, ExternalPotential, HarmonicTrap, MullerBrown
from revmd_app.potentials.formula import formula_parameters
from revmd_app.potentials.pair import (
    Buckingham,
    Buffered147,
    DoubleExponential,
    LennardJones,
    Mie,
    Morse,
    RadialForm,
    SoftCoreLennardJones,
    WeeksChandlerAndersen,
)

PAIR_FORMS: dict[str, type[RadialForm]] = {
    "Lennard-Jones": LennardJones,
    "Morse": Morse,
    "Weeks–Chandler–Andersen": WeeksChandlerAndersen,
    "Mie": Mie,
    "Double exponential": DoubleExponential,
    "Buckingham": Buckingham,
    "Soft-core Lennard-Jones": SoftCoreLennardJones,
    "Buffered 14-7": Buffered147,
}
"""The radial forms by the names that menus show."""

__all__ = [
    "PAIR_FORMS",
    "Buckingham",
    "Buffered147",
    "DoubleExponential",
    "DoubleWell2D",
    "Expression",
    "ExternalPotential",
    "HarmonicAngle",
    "HarmonicBond",
    "HarmonicTrap",
    "LennardJones",
    "Mie",
    "Morse",
    "MullerBrown",
    "PairPotential",
    "Parameter",
    "Potential",
    "RadialForm",
    "ReactionField",
    "SoftCoreLennardJones",
    "Sum",
    "WeeksChandlerAndersen",
    "check_radial",
    "formula_parameters",
    "parameter",
]
