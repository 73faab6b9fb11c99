"""The text that tells nglview which atoms there are: a PDB file with the periodic cell and whole molecules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ANGSTROM_PER_NM = 10.0


class Picture(NamedTuple):
    """A PDB text and the order in which it lists the atoms (our arrays are ordered by species, PDB by molecule)."""

    pdb: str
    order: np.ndarray  # (N,) index into our arrays
    molecule: np.ndarray  # (N,) in our order


def draw(species, molecule, positions, box) -> Picture:
    """A `Picture` of atoms at `positions` (3, N) nm in a periodic cell with edges `box` (3,) nm.

    `species` are element symbols, `molecule` the molecule of each atom, both (N,). Atoms of one molecule become one
    residue (HOH when it is water), so that the viewer draws its bonds.
    """
    species, molecule = np.asarray(species), np.asarray(molecule)
    order = np.argsort(molecule, kind="stable")
    xyz = place(np.asarray(positions), molecule, np.asarray(box))[:, order].T * ANGSTROM_PER_NM
    edges = np.asarray(box) * ANGSTROM_PER_NM
    a, b, c = edges
    lines = [f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}  90.00  90.00  90.00 P 1           1"]
    names = residue_names(species, molecule)
    for serial, (i, (x, y, z)) in enumerate(zip(order, xyz, strict=True), start=1):
        element = str(species[i])
        lines.append(
            f"HETATM{serial % 100000:5d} {element:<4s} {names[molecule[i]]:>3s} A{molecule[i] % 9999 + 1:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  1.50          {element.upper():>2s}"
        )
    return Picture("\n".join([*lines, "END", ""]), order, molecule)


def residue_names(species, molecule) -> dict[int, str]:
    """The residue name of every molecule: HOH for water, otherwise its element."""
    names = {}
    for number in np.unique(molecule):
        elements = sorted(str(s) for s in species[molecule == number])
        names[int(number)] = "HOH" if elements == ["H", "H", "O"] else elements[0].upper()[:3]
    return names


def place(positions, molecule, box) -> np.ndarray:
    """(3, N) positions in the cell [0, box), molecules whole: each hangs on its first atom, which lies in the cell."""
    first = np.unique(molecule, return_index=True)[1]
    anchor = first[np.searchsorted(molecule[first], molecule)]
    edges = box[:, None]
    home = np.mod(positions[:, anchor], edges)
    away = positions - positions[:, anchor]
    return home + away - edges * np.round(away / edges)
