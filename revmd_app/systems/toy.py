"""Toys with known answers, in reduced units: a Lennard-Jones fluid, and particles in external landscapes.

Here Boltzmann's constant, the mass and (for the fluid) sigma and epsilon are 1: lengths, times and energies that other
pages call nm, ps and kJ/mol are then units of sigma, sigma sqrt(m/epsilon) and epsilon. The particles of the external
landscapes do not interact: N of them are N independent experiments in one run.
"""

from __future__ import annotations

import numpy as np

from revmd_app.checks import check_number
from revmd_app.engine.integrator import Settings
from revmd_app.engine.system import make_system
from revmd_app.potentials.external import DoubleWell2D, HarmonicTrap, MullerBrown
from revmd_app.potentials.pair import LennardJones
from revmd_app.systems.arrangement import fcc_sites
from revmd_app.systems.case import Case, check_options, maxwell_boltzmann, start, thermal_velocities

FLUID_SIZES = (32, 4000)
FLUID_DENSEST = 2.0
"""N sigma^3 / V: atoms overlap beyond it."""
LANDSCAPE_SIZES = (1, 4000)
LANDSCAPE_BOX = 100.0
"""Edge of the box around an external landscape: wide enough that no particle meets its image."""
FLUID_CUTOFF = 3.0

FLUID_LIMITS = """\
What this model cannot show

* It is a model of no substance: multiply by a sigma, an epsilon and a mass to get one.
* The cutoff is 3 sigma (or half the box). With the plain cutoff add the tail corrections before comparing with an
  equation of state; a shifted potential is another fluid, with another phase diagram.
* Between the coexistence densities a small box holds one stretched phase, not a liquid and its vapour.
* At density 0.9 and above a lattice start near the triple-point temperature stays crystalline: melt it hot first.
"""
LANDSCAPE_LIMITS = """\
What this model cannot show

* The particles do not see each other: no collisions, no pressure, no collective motion. Temperature comes from the
  thermostat alone.
* With no friction a harmonic oscillator is not ergodic: each particle keeps its own energy for ever.
* Rates across a barrier depend on friction as well as on its height; averages at equilibrium do not.
* A few thousand steps hold few crossings of a high barrier: what looks like an average is then the start.
"""


def lennard_jones_fluid(
    n_atoms: int = 256,
    density: float = 0.8,
    temperature: float = 1.0,
    truncation: str = "shifted",
    precision: str = "float32",
    seed: int = 0,
) -> Case:
    """A Lennard-Jones fluid at a reduced density N sigma^3 / V and temperature k T / epsilon, on an fcc lattice.

    Raises `ValueError` for a size outside 32 .. 4,000.
    """
    point = {"density": density, "densest": FLUID_DENSEST, "temperature": temperature, "seed": seed}
    check_options("lennard_jones_fluid", n_atoms, *FLUID_SIZES, "atoms", **point)
    edge = (n_atoms / density) ** (1 / 3)
    system = make_system("lennard_jones_fluid", ("A",), (n_atoms,), (1.0,), edge, boltzmann=1.0)
    options = {"density": float(density), "temperature": float(temperature), "truncation": truncation}
    return Case(
        name="lennard_jones_fluid",
        title="Lennard-Jones fluid (reduced units)",
        system=system,
        potential=LennardJones(sigma=1.0, epsilon=1.0, cutoff=min(FLUID_CUTOFF, 0.499 * edge), truncation=truncation),
        settings=Settings(dt=0.004, temperature=temperature, friction=1.0, precision=precision, skin=0.35),
        state=start(system, fcc_sites(n_atoms, edge, seed), maxwell_boltzmann(system, temperature, seed)),
        limits=FLUID_LIMITS,
        units="reduced",
        recipe={"name": "lennard_jones_fluid", "n": int(n_atoms), "seed": int(seed), **options},
    )


def harmonic_oscillator(
    n_atoms: int = 64, stiffness: float = 1.0, temperature: float = 1.0, precision: str = "float64", seed: int = 0
) -> Case:
    """Independent particles on springs, U = k r^2 / 2: <x^2> = k_B T / k, period 2 pi sqrt(m/k).

    They start in thermal equilibrium (positions drawn from the Boltzmann distribution). Raises `ValueError` for a size
    outside 1 .. 4,000 or a stiffness that is not positive.
    """
    check_number("the stiffness of a spring", stiffness, above=0.0)
    check_options("harmonic_oscillator", n_atoms, *LANDSCAPE_SIZES, "particles", temperature=temperature, seed=seed)
    width = np.sqrt(temperature / stiffness)
    positions = width * np.random.default_rng(seed).normal(size=(3, n_atoms))
    settings = Settings(dt=0.05 / np.sqrt(stiffness), temperature=temperature, friction=1.0, precision=precision)
    trap = HarmonicTrap(k=stiffness)
    options = {"stiffness": float(stiffness)}
    return _landscape("harmonic_oscillator", "Harmonic oscillator", trap, settings, positions, seed, options)


def double_well(
    n_atoms: int = 64, barrier: float = 5.0, temperature: float = 1.0, precision: str = "float64", seed: int = 0
) -> Case:
    """Independent particles in two valleys a distance 2 apart, U = h (x^2 - 1)^2 + 10 (y^2 + z^2), h the barrier.

    All start in the left valley, at (-1, 0, 0). Raises `ValueError` for a size outside 1 .. 4,000 or a barrier that is
    not positive.
    """
    check_number("the barrier", barrier, above=0.0)
    check_options("double_well", n_atoms, *LANDSCAPE_SIZES, "particles", temperature=temperature, seed=seed)
    potential = DoubleWell2D(barrier=barrier, half_distance=1.0, k=20.0)
    positions = np.broadcast_to(np.array([[-1.0], [0.0], [0.0]]), (3, n_atoms))
    settings = Settings(dt=0.01, temperature=temperature, friction=1.0, precision=precision)
    return _landscape("double_well", "Double well", potential, settings, positions, seed, {"barrier": float(barrier)})


def muller_brown(
    n_atoms: int = 64, scale: float = 0.1, temperature: float = 1.0, precision: str = "float64", seed: int = 0
) -> Case:
    """Independent particles on the Mueller-Brown surface (Theor. Chim. Acta 53, 75, 1979), times `scale`.

    All start in the deepest minimum, at (-0.558, 1.442, 0). Raises `ValueError` for a size outside 1 .. 4,000 or a
    scale that is not positive.
    """
    check_number("the scale of the surface", scale, above=0.0)
    check_options("muller_brown", n_atoms, *LANDSCAPE_SIZES, "particles", temperature=temperature, seed=seed)
    positions = np.broadcast_to(np.array([[-0.55822363], [1.44172584], [0.0]]), (3, n_atoms))
    settings = Settings(dt=0.002 / np.sqrt(scale), temperature=temperature, friction=1.0, precision=precision)
    surface, options = MullerBrown(scale=scale), {"scale": float(scale)}
    return _landscape("muller_brown", "Müller–Brown surface", surface, settings, positions, seed, options)


def _landscape(name, title, potential, settings, positions, seed, options) -> Case:
    """What the external landscapes share: particles of mass 1 that do not interact, in a box nobody sees."""
    n_atoms, temperature = positions.shape[1], float(settings.temperature)
    system = make_system(name, ("A",), (n_atoms,), (1.0,), LANDSCAPE_BOX, boltzmann=1.0, periodic=False)
    return Case(
        name=name,
        title=title,
        system=system,
        potential=potential,
        settings=settings,
        state=start(system, positions, thermal_velocities(system, temperature, seed)),
        limits=LANDSCAPE_LIMITS,
        units="reduced",
        recipe={"name": name, "n": n_atoms, "seed": int(seed), "temperature": temperature, **options},
    )
