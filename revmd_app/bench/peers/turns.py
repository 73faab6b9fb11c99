"""A contender in a process of its own, which runs when it is told to: one JSON request a line, one JSON answer a line.

While another contender has its turn this process waits for its next line and uses no processor. Only the standard
library and NumPy are used here, since jax-md may live in another Python environment than we do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

Vectors = Any
"""A (3, N) array."""


class Problem(NamedTuple):
    """What every contender simulates: `meta` says it in words and numbers, `arrays` holds the atoms.

    `meta` has n, dt (ps), temperature (K), boltzmann, friction (1/ps), cutoff (nm), switch_start (fraction of the
    cutoff), skin (nm), lj {sigma, epsilon, atoms: the first so many atoms have it}, and for molecules coulomb
    {constant, epsilon_rf}, bond {k, r0} and angle {k, theta0}. `arrays` has positions (nm) and velocities (nm/ps), both
    (3, N), masses (u), box (nm), charges (e), molecule, bonds and angles (apex in the middle).
    """

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def n_atoms(self) -> int:
        return len(self.arrays["masses"])

    @property
    def inside(self) -> np.ndarray:
        """(P, 2) pairs of atoms of one molecule: they have no non-bonded interaction."""
        molecule = self.arrays["molecule"]
        i, j = np.triu_indices(len(molecule), 1)
        same = molecule[i] == molecule[j]
        return np.stack([i[same], j[same]], axis=1)

    def save(self, path: Path) -> None:
        np.savez(path, meta=np.array(json.dumps(self.meta)), allow_pickle=False, **self.arrays)

    @classmethod
    def load(cls, path: Path) -> Problem:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name not in ("meta", "allow_pickle")}
            return cls(json.loads(str(file["meta"])), arrays)


HAMILTONIANS = ("shifted", "built-in")
"""The same atoms under two truncations.

"shifted": Lennard-Jones and reaction field force-shifted, as the labs use them. "built-in": Lennard-Jones switched, the
reaction field plain: what OpenMM's own, fastest nonbonded force computes. The atoms feel nearly the same forces.
"""


class Missing(Exception):
    """The library that this contender needs is not installed; the message says so in a sentence."""


class Contender(Protocol):
    """An engine with its programs: "forward <hamiltonian>", "gradient <how>", or "start <way>" for the first step."""

    def about(self) -> dict[str, Any]:
        """Versions and settings for the record."""

    def prepare(self, program: str, steps: int) -> dict[str, Any]:
        """Compile a program; returns what is known of it, e.g. compile_seconds, bytes, note."""

    def run(self, program: str, steps: int) -> int:
        """Run a prepared program, wait for its result, and return how many steps it made."""

    def energy_and_forces(self, hamiltonian: str) -> tuple[float, Vectors]:
        """kJ/mol, and (3, N) kJ/mol/nm, at the start positions, as precisely as the engine can."""


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the contest passes on the command line; takes the core that this process is to keep to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--problem", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--core", type=int)
    parser.add_argument("--platform", default="CPU")
    chosen = parser.parse_args(arguments)
    if chosen.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {chosen.core})
    return chosen


def play(make: Callable[[], Contender]) -> None:
    """Answer requests until the input ends. Standard output is for answers: what libraries print goes to errors."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        contender = make()
    except (Missing, ImportError) as error:
        print(json.dumps({"missing": str(error)}), file=answers)
        return
    print(json.dumps({"about": contender.about()}), file=answers)
    for line in sys.stdin:
        print(json.dumps(_answer(contender, json.loads(line))), file=answers)


def _answer(contender: Contender, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return _act(contender, **request)
    except (ValueError, RuntimeError, MemoryError, ArithmeticError, TypeError) as error:
        first = str(error).strip().split("\n")[0]
        return {"failed": f"{type(error).__name__}: {first}"}


def _act(contender: Contender, do: str, program: str = "", steps: int = 0, to: str = "") -> dict[str, Any]:
    if do == "prepare":
        return contender.prepare(program, steps)
    if do == "run":
        wall, cpu = time.perf_counter(), time.process_time()
        done = contender.run(program, steps)
        return {"steps": done, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    if do == "agree":
        energy, forces = contender.energy_and_forces(program)
        np.save(to, np.asarray(forces, np.float64))
        return {"energy": float(energy)}
    if do == "memory":
        return {"peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    raise ValueError(f"nobody knows how to '{do}'.")
