"""Liquid argon: Rahman's Lennard-Jones model at his state point (Phys. Rev. 136, A405, 1964).

Rahman's first simulation of a real liquid had 864 atoms at 94.4 K and 1.374 g/cm^3 with sigma = 0.34 nm and
eps/k = 120 K.
"""

from __future__ import annotations

from revmd_app import units
from revmd_app.data import argon_reference
from revmd_app.engine.integrator import Settings
from revmd_app.engine.system import make_system
from revmd_app.potentials.pair import LennardJones
from revmd_app.systems.arrangement import cubic_edge, fcc_sites
from revmd_app.systems.case import Case, check_options, maxwell_boltzmann, start

MASS = 39.948
"""u (IUPAC standard atomic weight of argon)."""
SIGMA = 0.34
"""nm (Rahman 1964)."""
EPSILON = 120 * units.BOLTZMANN
"""kJ/mol (Rahman 1964: eps/k = 120 K)."""
CUTOFF = 2.5 * SIGMA
SIZES = (108, 4000)
DENSEST = 4.0
"""g/cm^3: twice as dense as the solid; atoms overlap beyond it."""

LIMITS = """\
What this model of argon cannot show

* Two-body forces only. In real liquid argon the three-body (Axilrod-Teller) energy is about 5 % of the total; the
  Lennard-Jones parameters were fitted to make up for it, so they are not those of two argon atoms in vacuum.
* The attraction ends at 0.85 nm (2.5 sigma), and by default is shifted there so that energy and force vanish smoothly.
  That makes the liquid less cohesive than the full Lennard-Jones fluid: per atom the energy lies about 1.5 kJ/mol
  higher, and the pressure about 500 bar higher. Structure hardly changes.
* At 94.4 K and 1.374 g/cm^3 argon is a compressed liquid near its vapour-pressure curve. A change of epsilon at fixed
  volume changes the pressure, not the density: with a weak attraction you see a dense supercritical-like fluid, with a
  strong one a stretched liquid that may tear or freeze, which takes longer than you will wait.
* A few hundred atoms: shells beyond half the box are not seen, the diffusion coefficient is too small by some per cent
  (the liquid drags its own images), and phase transitions are smeared out or suppressed.
* Classical nuclei: at 94 K the quantum correction to argon's energy is about 1 %.
* With friction on, the thermostat slows the atoms: read diffusion only at a small friction, or with none.
"""


def argon(
    n_atoms: int = 216, density: float = 1.374, temperature: float = 94.4, precision: str = "float32", seed: int = 0
) -> Case:
    """Liquid argon on a face-centred cubic lattice with thermal velocities.

    `density` in g/cm^3, `temperature` in K. `prepared("argon", n)` gives the equilibrated liquid.
    Raises `ValueError` for a size outside 108 .. 4,000 or a box too small for the cutoff.
    """
    point = {"density": density, "densest": DENSEST, "temperature": temperature, "seed": seed}
    check_options("argon", n_atoms, *SIZES, "atoms", **point)
    edge = cubic_edge(n_atoms * MASS, density)
    system = make_system("argon", ("Ar",), (n_atoms,), (MASS,), edge)
    potential = LennardJones(sigma=SIGMA, epsilon=EPSILON, cutoff=min(CUTOFF, 0.499 * edge))
    options = {"density": float(density), "temperature": float(temperature)}
    return Case(
        name="argon",
        title="Liquid argon",
        system=system,
        potential=potential,
        settings=Settings(dt=0.004, temperature=temperature, friction=1.0, precision=precision),
        state=start(system, fcc_sites(n_atoms, edge, seed), maxwell_boltzmann(system, temperature, seed)),
        limits=LIMITS,
        reference=argon_reference(),
        recipe={"name": "argon", "n": int(n_atoms), "seed": int(seed), **options},
    )
