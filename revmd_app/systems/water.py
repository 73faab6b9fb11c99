"""Flexible water with the TIP3P charges and a reaction field: the starting point of a trained force field.

Start values (sigma, epsilon, charge, bond, angle) as in Greener, PNAS 122, e2426058122 (2025), after TIP3P
(Jorgensen et al., J. Chem. Phys. 79, 926, 1983): every bond and angle is a spring and nothing is constrained.
"""

from __future__ import annotations

import numpy as np

from revmd_app.data import load_water_rdf
from revmd_app.engine.integrator import Settings
from revmd_app.engine.system import System, make_system
from revmd_app.potentials.bonded import HarmonicAngle, HarmonicBond
from revmd_app.potentials.electrostatics import ReactionField
from revmd_app.potentials.pair import LennardJones
from revmd_app.systems.arrangement import cubic_edge, fcc_sites, random_rotations
from revmd_app.systems.case import Case, check_options, maxwell_boltzmann, start

OXYGEN, HYDROGEN = 15.99943, 1.007947
"""Masses, u."""
SIGMA, EPSILON, CHARGE = 0.315, 0.636, -0.834
"""Of oxygen: nm, kJ/mol, e. Each hydrogen carries half the opposite charge and no Lennard-Jones site."""
BOND_STIFFNESS, BOND_LENGTH = 462750.4, 0.09572
"""kJ/mol/nm^2, nm."""
ANGLE_STIFFNESS, ANGLE = 836.8, 1.82421813418
"""kJ/mol/rad^2, rad (104.52 degrees)."""
SIZES = (64, 1000)
DENSEST = 3.0
"""g/cm^3: three times as dense as the liquid; molecules overlap beyond it."""
CUTOFF = 1.0

LIMITS = """\
What this model of water cannot show

* Fixed charges: a molecule's dipole does not answer to its neighbours. Such models are fitted to the liquid and fail
  for steam, ice, or a molecule alone.
* TIP3P's second shell is too weak: its g_OO shows hardly a second peak at 0.45 nm, where the experiment has a clear
  one. That is the model, not an error of the simulation, and it is what training against g(r) repairs.
* It diffuses about twice as fast as real water.
* Bonds vibrate classically. A real O-H stretch (about 3,500 /cm) has h nu = 17 kT at room temperature and sits in its
  ground state; the classical spring holds kT instead. The flexible model is therefore not the rigid TIP3P, and its heat
  capacity is wrong.
* Charges farther apart than the cutoff see each other only through a reaction field (dielectric constant 78.3). In a
  small box the cutoff is short (0.62 nm for 64 molecules): structure near the cutoff, the dielectric constant and the
  pressure then depend on it. Compare with experiment at 216 molecules or more.
* The experimental g_OO, g_OH, g_HH are for 298 K and 1 atm; the volume here is fixed at the experimental density, so
  the pressure is whatever the model makes of it.
* The time step (0.5 fs) is set by the O-H vibration, of 9 fs period. Nuclear quantum effects, which broaden the O-H
  and H-H peaks, are absent.
"""


def water(
    n_molecules: int = 64,
    density: float = 0.997,
    temperature: float = 298.15,
    precision: str = "float32",
    seed: int = 0,
) -> Case:
    """Flexible water: molecules on a face-centred cubic lattice, turned at random, with thermal velocities.

    `density` in g/cm^3, `temperature` in K. Atoms are ordered O, O, ..., then H, H of each molecule. The lattice start
    is a poor liquid; `prepared("water", n)` gives the equilibrated one. The cutoff is 1.0 nm or just under half the
    box. Raises `ValueError` for a size outside 64 .. 1,000.
    """
    point = {"density": density, "densest": DENSEST, "temperature": temperature, "seed": seed}
    check_options("water", n_molecules, *SIZES, "molecules", **point)
    edge = cubic_edge(n_molecules * (OXYGEN + 2 * HYDROGEN), density)
    system = _topology(n_molecules, edge)
    cutoff = min(CUTOFF, 0.499 * edge)
    potential = (
        LennardJones(sigma=SIGMA, epsilon=EPSILON, cutoff=cutoff, between=("O", "O"))
        + ReactionField(charge=CHARGE, pattern={"O": 1, "H": -0.5}, cutoff=cutoff)
        + HarmonicBond(k=BOND_STIFFNESS, r0=BOND_LENGTH)
        + HarmonicAngle(k=ANGLE_STIFFNESS, theta0=ANGLE)
    )
    options = {"density": float(density), "temperature": float(temperature)}
    return Case(
        name="water",
        title="Liquid water",
        system=system,
        potential=potential,
        settings=Settings(dt=0.0005, temperature=temperature, friction=1.0, precision=precision),
        state=start(system, _positions(n_molecules, edge, seed), maxwell_boltzmann(system, temperature, seed)),
        limits=LIMITS,
        reference={"rdf": load_water_rdf()},
        recipe={"name": "water", "n": int(n_molecules), "seed": int(seed), **options},
    )


def _topology(n: int, edge: float) -> System:
    oxygen = np.arange(n)
    first = n + 2 * oxygen
    bonds = np.concatenate([np.stack([oxygen, hydrogen], axis=1) for hydrogen in (first, first + 1)])
    return make_system(
        "water",
        ("O", "H"),
        (n, 2 * n),
        (OXYGEN, HYDROGEN),
        edge,
        molecule=np.concatenate([oxygen, np.repeat(oxygen, 2)]),
        bonds=bonds,
        angles=np.stack([first, oxygen, first + 1], axis=1),
    )


def _positions(n: int, edge: float, seed: int) -> np.ndarray:
    centres = fcc_sites(n, edge, seed).T
    half = ANGLE / 2
    arms = BOND_LENGTH * np.array([[np.sin(half), np.cos(half), 0.0], [-np.sin(half), np.cos(half), 0.0]])
    hydrogens = centres[:, None, :] + np.einsum("nij,kj->nki", random_rotations(n, seed), arms)
    return np.concatenate([centres, hydrogens.reshape(-1, 3)]).T
