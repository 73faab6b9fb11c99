"""Perfect crystals of argon: every atom on its face-centred cubic site, with thermal velocities.

For melting, and for coming back. Solid argon has 1.623 g/cm^3 at its triple point (83.8 K): an fcc cell of 0.5468 nm
(Dobbs and Jones, Rep. Prog. Phys. 20, 516, 1957). Sizes are whole boxes of cells, so that nothing is vacant.
"""

from __future__ import annotations

import numpy as np

from revmd_app.engine.integrator import Settings
from revmd_app.engine.system import make_system
from revmd_app.potentials.pair import LennardJones
from revmd_app.systems.argon import CUTOFF, EPSILON, MASS, SIGMA
from revmd_app.systems.arrangement import cubic_edge
from revmd_app.systems.case import Case, check_options, maxwell_boltzmann, start

CELLS: dict[int, tuple[int, int, int]] = {108: (3, 3, 3), 216: (3, 6, 3), 256: (4, 4, 4), 500: (5, 5, 5)}
"""Cubic fcc cells of four atoms along each edge of the box, by number of atoms."""
SIZES = (min(CELLS), max(CELLS))
BASIS = np.array([[0.25, 0.25, 0.25], [0.75, 0.75, 0.25], [0.75, 0.25, 0.75], [0.25, 0.75, 0.75]])
"""Sites of a cubic fcc cell, away from its faces."""

LIMITS = """\
What this model of an argon crystal cannot show

* Two-body forces with a cutoff of 0.82 nm or 0.85 nm: Rahman's Lennard-Jones argon. Three-body forces, which decide
  between fcc and hcp in real argon, are missing.
* The volume is fixed at that of the solid at its triple point (1.623 g/cm^3). Real argon expands by 15 % on melting:
  this melt is under pressure, and needs more heat than 83.8 K.
* No surface and no defect: melting cannot begin anywhere in particular, so the crystal can be superheated. Where it
  melts here is a limit of stability and not the melting point.
* A few hundred atoms in a periodic box, classical nuclei.
"""


def argon_crystal(
    n_atoms: int = 216, density: float = 1.623, temperature: float = 60.0, precision: str = "float32", seed: int = 0
) -> Case:
    """A perfect fcc crystal of argon: 108, 216 (3 x 6 x 3 cells), 256 or 500 atoms.

    `density` in g/cm^3; `temperature` in K is that of the velocities and of the thermostat. Equipartition halves the
    temperature of the velocities within a picosecond unless the thermostat keeps it. Raises `ValueError` for a size
    that is no whole box of cells.
    """
    check_options("argon_crystal", n_atoms, *SIZES, "atoms", density=density, temperature=temperature)
    if n_atoms not in CELLS:
        sizes = ", ".join(map(str, CELLS))
        raise ValueError(f"a perfect crystal of argon takes {sizes} atoms, not {n_atoms}: whole cells in every edge.")
    cells = np.array(CELLS[int(n_atoms)])
    cell = cubic_edge(4 * MASS, density)
    box = cells * cell
    system = make_system("argon_crystal", ("Ar",), (int(n_atoms),), (MASS,), box)
    return Case(
        name="argon_crystal",
        title="Argon crystal",
        system=system,
        potential=LennardJones(sigma=SIGMA, epsilon=EPSILON, cutoff=min(CUTOFF, 0.499 * float(box.min()))),
        settings=Settings(dt=0.004, temperature=temperature, friction=1.0, precision=precision),
        state=start(system, sites(cells, cell), maxwell_boltzmann(system, temperature, seed)),
        limits=LIMITS,
        recipe={
            "name": "argon_crystal",
            "n": int(n_atoms),
            "seed": int(seed),
            "density": float(density),
            "temperature": float(temperature),
        },
    )


def sites(cells, cell: float) -> np.ndarray:
    """(3, 4 n) positions (nm) of the sites of a block of cubic fcc cells of edge `cell` (nm)."""
    corners = np.stack(np.meshgrid(*[np.arange(k) for k in cells], indexing="ij"), axis=-1).reshape(-1, 1, 3)
    return ((corners + BASIS) * cell).reshape(-1, 3).T
