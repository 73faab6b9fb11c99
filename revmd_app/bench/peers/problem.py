"""A liquid of ours in plain numbers, written to a file that every contender reads: `python -m ... name n file`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

from revmd_app import units
from revmd_app.bench.peers.turns import Problem
from revmd_app.systems import prepared

SWITCH_START = 0.85
"""Where the switched Lennard-Jones energy of the "built-in" Hamiltonian begins to fall, as a fraction of the cutoff."""


def problem(name: str, n: int) -> Problem:
    """A liquid of ours in plain numbers, for the others."""
    case = prepared(name, n)
    system, settings = case.system, case.settings
    start = dataclasses.replace(case, settings=dataclasses.replace(settings, precision="float64")).snapshot()
    terms = {type(term).__name__: term for term in case.potential.terms()}
    lj = terms["LennardJones"]
    meta: dict[str, Any] = {
        "name": name,
        "n": n,
        "dt": float(settings.dt),
        "temperature": float(settings.temperature),
        "boltzmann": system.boltzmann,
        "friction": float(settings.friction),
        "cutoff": lj.cutoff,
        "switch_start": SWITCH_START,
        "skin": settings.skin,
        "lj": {"sigma": float(lj.sigma), "epsilon": float(lj.epsilon), "atoms": system.atoms(lj.between[0]).stop},
    }
    charges = np.zeros(system.n_atoms)
    if "ReactionField" in terms:
        field, bond, angle = (terms[name] for name in ("ReactionField", "HarmonicBond", "HarmonicAngle"))
        charges = np.asarray(field.charges(system))
        meta["coulomb"] = {"constant": units.COULOMB, "epsilon_rf": field.epsilon_rf}
        meta["bond"] = {"k": float(bond.k), "r0": float(bond.r0)}
        meta["angle"] = {"k": float(angle.k), "theta0": float(angle.theta0)}
    arrays = {
        "positions": np.asarray(start.positions, np.float64),
        "velocities": np.asarray(start.velocity, np.float64),
        "masses": np.asarray(system.masses),
        "box": np.asarray(system.box),
        "charges": charges,
        "molecule": np.asarray(system.molecule),
        "bonds": np.asarray(system.bonds),
        "angles": np.asarray(system.angles),
    }
    return Problem(meta, arrays)


def main() -> None:
    """Write one problem."""
    name, n, path = sys.argv[1:]
    problem(name, int(n)).save(Path(path))


if __name__ == "__main__":
    main()
