"""Flexible water with a reaction field: every bond and angle is a spring and nothing is constrained.

The numbers are those of a force field of `force_fields.py`: by default start values after TIP3P (Jorgensen et al., J.
Chem. Phys. 79, 926, 1983) as in Greener, PNAS 122, e2426058122 (2025), with other forms and trained ones to choose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from revmd_app.data import load_water_rdf
from revmd_app.engine.integrator import Settings
from revmd_app.engine.system import System, make_system
from revmd_app.systems import force_fields
from revmd_app.systems.arrangement import cubic_edge, fcc_sites, random_rotations
from revmd_app.systems.case import Case, check_options, maxwell_boltzmann, start
from revmd_app.systems.force_fields import ForceField

OXYGEN, HYDROGEN = 15.99943, 1.007947
"""Masses, u."""
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
    force_field: str | ForceField = force_fields.DEFAULT,
    cutoff: float | None = None,
    truncation: str = "shifted",
) -> Case:
    """Flexible water: molecules on a face-centred cubic lattice, turned at random, with thermal velocities.

    `density` in g/cm^3, `temperature` in K. Atoms are ordered O, O, ..., then H, H of each molecule. The lattice start
    is a poor liquid; `prepared("water", n)` gives the equilibrated one. `force_field` is a name of
    `force_fields.PRESETS`, or a `ForceField` of your own. `cutoff` (nm) is 1.0 or just under half the box where it is
    not given; `truncation` as in `PairPotential`. Raises `ValueError` for a size outside 64 .. 1,000, an unknown force
    field, or a cutoff beyond half the box.
    """
    point = {"density": density, "densest": DENSEST, "temperature": temperature, "seed": seed}
    check_options("water", n_molecules, *SIZES, "molecules", **point)
    field = force_fields.force_field(force_field)
    edge = cubic_edge(n_molecules * (OXYGEN + 2 * HYDROGEN), density)
    system = _topology(n_molecules, edge)
    potential = force_fields.water_potential(field, min(CUTOFF, 0.499 * edge) if cutoff is None else cutoff, truncation)
    potential.check(system)
    options = {"density": float(density), "temperature": float(temperature), **_choices(field, cutoff, truncation)}
    positions = _positions(n_molecules, edge, seed, field)
    return Case(
        name="water",
        title="Liquid water",
        system=system,
        potential=potential,
        # up to a thousand molecules the sum over all pairs is 2 to 4 times as fast as lists: hydrogens outrun them
        settings=Settings(dt=0.0005, temperature=temperature, friction=1.0, precision=precision, neighbours="dense"),
        state=start(system, positions, maxwell_boltzmann(system, temperature, seed)),
        limits=LIMITS,
        reference={"rdf": load_water_rdf()},
        recipe={"name": "water", "n": int(n_molecules), "seed": int(seed), **options},
    )


def _choices(field: ForceField, cutoff: float | None, truncation: str) -> dict:
    """What a recipe says of the potential: nothing where it is the default one, so that its states stay valid."""
    known = force_fields.PRESETS.get(field.name) == field
    chosen: dict[str, Any] = {"force_field": field.name if known else field._asdict()}
    if chosen["force_field"] == force_fields.DEFAULT:
        del chosen["force_field"]
    if cutoff is not None:
        chosen["cutoff"] = float(cutoff)
    return chosen if truncation == "shifted" else {**chosen, "truncation": truncation}


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


def _positions(n: int, edge: float, seed: int, field: ForceField) -> np.ndarray:
    centres = fcc_sites(n, edge, seed).T
    half = field.angle / 2
    arms = field.bond_length * np.array([[np.sin(half), np.cos(half), 0.0], [-np.sin(half), np.cos(half), 0.0]])
    hydrogens = centres[:, None, :] + np.einsum("nij,kj->nki", random_rotations(n, seed), arms)
    return np.concatenate([centres, hydrogens.reshape(-1, 3)]).T
