"""What is simulated: the atoms, their masses and topology, and the box. No coordinates, no parameters."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from revmd_app import units
from revmd_app.engine.topology import Column, Runs, find_runs


class System(eqx.Module):
    """Atoms, topology and box.

    Atoms are ordered by species, and within a species by molecule, so that a species is a contiguous slice of every
    (3, N) array: the kernels read slices instead of gathering. `molecule` is the exclusion group: two atoms of the
    same molecule have no non-bonded interaction.
    """

    name: str = eqx.field(static=True)
    species: tuple[str, ...] = eqx.field(static=True)
    counts: tuple[int, ...] = eqx.field(static=True)
    masses: Float[Array, " atoms"]  # u
    box: Float[Array, "3"]  # nm, edge lengths of the orthorhombic periodic cell
    molecule: Int32[Array, " atoms"]
    bonds: Int32[Array, "bonds 2"]
    angles: Int32[Array, "angles 3"]  # the apex is the middle column
    boltzmann: float = eqx.field(static=True, default=units.BOLTZMANN)
    periodic: bool = eqx.field(static=True, default=True)
    bond_runs: tuple[Runs | None, ...] = eqx.field(static=True, default=(None, None))  # of each column
    angle_runs: tuple[Runs | None, ...] = eqx.field(static=True, default=(None, None, None))

    @property
    def n_atoms(self) -> int:
        return sum(self.counts)

    @property
    def n_molecules(self) -> int:
        """Number of molecules; needs concrete topology."""
        return int(np.max(np.asarray(self.molecule))) + 1

    def atoms(self, species: str) -> slice:
        """The contiguous slice of one species, or of every atom for `"all"`.

        Raises `ValueError` for a species that the system does not have.
        """
        if species == "all":
            return slice(0, self.n_atoms)
        if species not in self.species:
            raise ValueError(
                f"the system '{self.name}' has no species '{species}'; it has {', '.join(self.species)} and 'all'."
            )
        i = self.species.index(species)
        start = sum(self.counts[:i])
        return slice(start, start + self.counts[i])

    @property
    def bond_columns(self) -> tuple[Column, ...]:
        """The two atoms of every bond."""
        return tuple(Column(self.bonds[:, k], runs) for k, runs in enumerate(self.bond_runs))

    @property
    def angle_columns(self) -> tuple[Column, ...]:
        """The three atoms of every angle, the apex in the middle."""
        return tuple(Column(self.angles[:, k], runs) for k, runs in enumerate(self.angle_runs))

    @property
    def species_of_atoms(self) -> np.ndarray:
        """(N,) array of species names."""
        return np.repeat(np.array(self.species), self.counts)

    def with_box(self, box: Float[Array, "3"]) -> System:
        """The same atoms in another box (nm)."""
        return eqx.tree_at(lambda s: s.box, self, jnp.asarray(box, dtype=jnp.float64))


def make_system(name, species, counts, species_masses, box, molecule=None, bonds=None, angles=None, **static) -> System:
    """A `System` from plain Python and NumPy values.

    `species_masses` has one mass (u) a species; `box` is a scalar or three edge lengths (nm); `molecule` defaults to
    one molecule an atom; `bonds` is (B, 2), `angles` (A, 3) with the apex in the middle.
    Raises `ValueError` when lengths disagree, a mass or an edge is not positive, or the topology names atoms that there
    are not.
    """
    n = int(sum(counts))
    box = np.broadcast_to(np.asarray(box, dtype=np.float64), (3,))
    if not len(species) == len(counts) == len(species_masses):
        raise ValueError(f"{len(species)} species need {len(species)} counts and masses.")
    masses = np.repeat(np.asarray(species_masses, dtype=np.float64), counts)
    molecule = np.arange(n) if molecule is None else np.asarray(molecule)
    bonds = np.asarray(np.zeros((0, 2)) if bonds is None else bonds, dtype=np.int32)
    angles = np.asarray(np.zeros((0, 3)) if angles is None else angles, dtype=np.int32)
    _check_atoms(n, species, masses, box)
    _check_topology(n, molecule, bonds, angles)
    return System(
        name=name,
        species=tuple(species),
        counts=tuple(int(c) for c in counts),
        masses=jnp.asarray(masses),
        box=jnp.asarray(box),
        molecule=jnp.asarray(molecule, dtype=jnp.int32),
        bonds=jnp.asarray(bonds),
        angles=jnp.asarray(angles),
        bond_runs=tuple(find_runs(column) for column in bonds.T),
        angle_runs=tuple(find_runs(column) for column in angles.T),
        **static,
    )


def _check_atoms(n: int, species, masses, box) -> None:
    if len(set(species)) != len(species):
        raise ValueError(f"each species is named once, unlike in {', '.join(map(repr, species))}.")
    if n < 1:
        raise ValueError("a system needs at least one atom.")
    if not (np.all(box > 0) and np.all(np.isfinite(box))):
        raise ValueError(f"the box edges must be positive, not {box.tolist()} nm.")
    if not (np.all(masses > 0) and np.all(np.isfinite(masses))):
        raise ValueError("every mass must be positive (u).")


def _check_topology(n: int, molecule, bonds, angles) -> None:
    if molecule.shape != (n,):
        raise ValueError(f"`molecule` needs one number an atom, {n} in all, not an array of shape {molecule.shape}.")
    for name, table, width in (("bonds", bonds, 2), ("angles", angles, 3)):
        if table.ndim != 2 or table.shape[1] != width:
            raise ValueError(f"`{name}` needs {width} atoms a row, not an array of shape {table.shape}.")
        if table.size and not 0 <= table.min() <= table.max() < n:
            raise ValueError(f"`{name}` may name atoms 0 to {n - 1}, and names {table.min()} and {table.max()}.")
