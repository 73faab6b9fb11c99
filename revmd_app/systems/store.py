"""Where equilibrated states lie: shipped with the package, or in the user's cache directory.

A file holds the lattice positions' upper 32 bits, the 64-bit lattice velocities, and the recipe that made them: what
comes out is to the bit what went in. A state is used only when its recipe is the one asked for.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from importlib import resources
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import platformdirs

from revmd_app.archive import read_arrays, write_arrays
from revmd_app.engine.lattice import State
from revmd_app.systems.case import Case

FORMAT = 1
"""Raise when a state made by older code must not be used any more."""
MOST_ELSE = 20_000
"""Bytes that a recipe and the headers take at most."""


def shipped_folder() -> Path:
    """The package's own prepared states."""
    return Path(str(resources.files("revmd_app.data") / "prepared"))


def cache_folder() -> Path:
    """The user's cache directory for states that were built on this machine."""
    return Path(platformdirs.user_cache_dir("revmd", appauthor=False)) / "prepared"


def file_name(recipe: dict) -> str:
    """The file of a recipe: readable, and different for every recipe."""
    digest = hashlib.sha256(_text(recipe).encode()).hexdigest()[:10]
    return f"{recipe['name']}-{recipe['n']}-{digest}.npz"


def load(case: Case) -> State | None:
    """The stored state of a case, or None when there is none. A damaged file is told of in a warning, and not used."""
    for folder in (shipped_folder(), cache_folder()):
        path = folder / file_name(case.recipe)
        if not path.is_file():
            continue
        try:
            return read(path, case)
        except (OSError, ValueError) as error:
            warnings.warn(f"{path} cannot be used ({error}); it is built again.", RuntimeWarning, stacklevel=3)
    return None


def read(path: Path, case: Case) -> State:
    """The state in a file. Raises `ValueError` when it is another system's or damaged."""
    n = case.system.n_atoms
    arrays = read_arrays(path, at_most=3 * n * (4 + 8) + MOST_ELSE)
    missing = {"lattice", "velocity", "recipe"} - set(arrays)
    if missing:
        raise ValueError(f"it has no field '{min(missing)}'")
    lattice, velocity, recipe = arrays["lattice"], arrays["velocity"], str(arrays["recipe"])
    shape = (3, n)
    if recipe != _text(case.recipe):
        raise ValueError("it was made by another recipe")
    for array, kind in ((lattice, np.int32), (velocity, np.int64)):
        if array.shape != shape or array.dtype != kind:
            raise ValueError(f"its arrays are not the integers of {case.system.n_atoms} atoms")
    return unpack(lattice, velocity)


def save(case: Case, folder: Path) -> Path:
    """Write a case's state; a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(case.recipe)
    lattice, velocity = pack(case.state)
    write_arrays(path, {"lattice": lattice, "velocity": velocity, "recipe": np.array(_text(case.recipe))}, True)
    return path


def save_in_cache(case: Case) -> None:
    """Write a case's state to the cache; a folder that cannot be written to is told of in a warning."""
    try:
        save(case, cache_folder())
    except OSError as error:
        warnings.warn(f"the prepared state could not be cached: {error}", RuntimeWarning, stacklevel=3)


def pack(state: State) -> tuple[np.ndarray, np.ndarray]:
    """(int32 upper halves of the positions, int64 velocities), both (3, N): all of a settled state."""
    return np.asarray(state.position >> 32).astype(np.int32), np.asarray(state.velocity)


def unpack(lattice: np.ndarray, velocity: np.ndarray) -> State:
    """The state of packed arrays, at step 0 and in the first image."""
    return State(
        position=jnp.asarray(lattice.astype(np.int64) << 32),
        velocity=jnp.asarray(velocity),
        image=jnp.zeros(lattice.shape, jnp.int32),
        step=jnp.asarray(0, jnp.int64),
        reference_step=jnp.asarray(0, jnp.int64),
        bits_at_reference=jnp.asarray(0.0, jnp.float64),
    )


def _text(recipe: dict) -> str:
    return json.dumps({"format": FORMAT, **recipe}, sort_keys=True)
