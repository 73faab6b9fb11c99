"""The exact state: positions and velocities as integers on a lattice, and the float view of them that forces see.

A position component is an int64 in units of box/2^64, so integer overflow *is* the periodic boundary. Its top 32 bits
feed the forces: the int32 difference of two atoms *is* the minimum image, with no rounding. A velocity component is an
int64 in units of box/2^38 per ps, multiplied by a scalar scale s that friction makes smaller (see `integrator.py`).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int32, Int64

from revmd_app.engine.system import System
from revmd_app.engine.topology import Column

VELOCITY_BITS = 38
"""A lattice velocity of 1 is box/2^38 per ps at scale 1 (thermal argon: 2^34, hot hydrogen: 2^41)."""
SHIFT_BITS = 16
"""Bits moved to the tape each time friction has burnt that many."""

jax.config.update("jax_enable_x64", True)


class State(eqx.Module):
    """Where the atoms are and how they move, exactly.

    `bits_at_reference` is how many bits (log2) friction has burnt at `reference_step`, the last step at which the
    friction or the time step changed: the scale at any later step follows from the step number alone, so the forward
    and the backward direction agree on it.
    """

    position: Int64[Array, "3 atoms"]  # box / 2^64
    velocity: Int64[Array, "3 atoms"]  # box / 2^38 per ps, times the scale
    image: Int32[Array, "3 atoms"]  # how often the atom left the box
    step: Int64[Array, ""]
    reference_step: Int64[Array, ""]
    bits_at_reference: Float[Array, ""]


class Snapshot(eqx.Module):
    """A state as forces and observables see it: in nm and ps, with the box, the potential and (maybe) neighbours.

    Derivatives with respect to positions go through `offset`, a zero (3, N) array added to every position; with
    respect to the velocities through `velocity`; with respect to a homogeneous strain through `strain`, a zero
    (3, 3) array that deforms every separation. All are None where nobody differentiates, and cost nothing then.
    """

    system: System
    lattice: Int32[Array, "3 atoms"]  # top 32 bits of the position
    image: Int32[Array, "3 atoms"]
    velocity: Float[Array, "3 moving"]  # nm/ps; empty where only forces are asked for
    step: Int[Array, ""]
    time: Float[Array, ""]  # ps
    potential: Any = None
    neighbours: Any = None
    offset: Float[Array, "3 atoms"] | None = None
    strain: Float[Array, "3 3"] | None = None

    @property
    def dtype(self):
        """float32 or float64: the precision of every separation and force."""
        return self.velocity.dtype

    @property
    def box(self) -> Float[Array, "3"]:
        return self.system.box

    @property
    def nm_per_bit(self) -> Float[Array, "3"]:
        """Edge of a lattice cell (nm)."""
        return (self.system.box / 2.0**32).astype(self.dtype)

    def _to_nm(self, bits, offset) -> Float[Array, "3 *pairs"]:
        unit = self.nm_per_bit.reshape((3,) + (1,) * (bits.ndim - 1))
        vectors = bits.astype(self.dtype) * unit
        if offset is not None:
            vectors = vectors + offset
        if self.strain is not None:
            vectors = vectors + jnp.tensordot(self.strain.astype(self.dtype), vectors, axes=1)
        return vectors

    def separations(self, i, j) -> Float[Array, "3 *pairs"]:
        """Minimum-image vectors r_i - r_j (nm) for index arrays i and j of one shape, or columns of the topology."""
        take = lambda values, at: at.take(values) if isinstance(at, Column) else values[:, at]
        offset = None if self.offset is None else take(self.offset, i) - take(self.offset, j)
        return self._to_nm(take(self.lattice, i) - take(self.lattice, j), offset)

    def all_separations(self, a: slice, b: slice) -> Float[Array, "3 a b"]:
        """Minimum-image vectors r_i - r_j (nm) between every atom of slice a and every atom of slice b."""
        offset = None if self.offset is None else self.offset[:, a, None] - self.offset[:, None, b]
        return self._to_nm(self.lattice[:, a, None] - self.lattice[:, None, b], offset)

    @property
    def centred_positions(self) -> Float[Array, "3 atoms"]:
        """Positions in nm within [-box/2, box/2); carries derivatives. For external potentials and free molecules."""
        return self._to_nm(self.lattice, self.offset)

    @property
    def positions(self) -> Float[Array, "3 atoms"]:
        """Positions in nm within [0, box), for pictures and files (no derivatives)."""
        return jax.lax.stop_gradient(jnp.mod(self.centred_positions, self.box[:, None].astype(self.dtype)))

    @property
    def unwrapped(self) -> Float[Array, "3 atoms"]:
        """Positions in nm that do not jump at the boundary (float64; carries derivatives). For diffusion."""
        cells = self.image.astype(jnp.float64) + self.lattice.astype(jnp.float64) / 2.0**32
        positions = cells * self.system.box[:, None]
        return positions if self.offset is None else positions + self.offset


def shift_count(bits: Float[Array, ""]) -> Int64[Array, ""]:
    """How many 16-bit shifts have been made when friction has burnt `bits` bits."""
    return jnp.floor(bits / SHIFT_BITS).astype(jnp.int64)


def burnt_bits(state: State, settings) -> Float[Array, ""]:
    """log2 of the factor by which friction has contracted velocities up to this step: sum of friction dt / ln 2."""
    steps = (state.step - state.reference_step).astype(jnp.float64)
    return state.bits_at_reference + steps * (settings.friction * settings.dt / jnp.log(2.0))


def scale(bits: Float[Array, ""]) -> Float[Array, ""]:
    """s = 2^-(bits mod 16): what a lattice velocity is to be multiplied by."""
    return jnp.exp2(SHIFT_BITS * shift_count(bits).astype(jnp.float64) - bits)


def from_physical(system: System, positions, velocities, step=0) -> State:
    """A lattice state from positions (nm) and velocities (nm/ps), both (3, N).

    Positions are rounded to box/2^62 or better, velocities to box/2^38 per ps. Raises `ValueError` when a value is not
    finite or the shapes do not fit the system.
    """
    positions = jnp.asarray(positions, dtype=jnp.float64)
    velocities = jnp.asarray(velocities, dtype=jnp.float64)
    shape = (3, system.n_atoms)
    if positions.shape != shape or velocities.shape != shape:
        raise ValueError(
            f"positions and velocities must have the shape {shape}, not {positions.shape} and {velocities.shape}."
        )
    bad = ~(jnp.isfinite(positions).all() & jnp.isfinite(velocities).all())
    if not isinstance(bad, jax.core.Tracer) and bool(bad):
        raise ValueError("positions and velocities must be finite: there is a NaN or an infinity in them.")
    return lattice_state(system, positions, velocities, step)


def lattice_state(system: System, positions, velocities, step) -> State:
    """`from_physical` without its checks, for traced arrays."""
    box = system.box[:, None]
    image = jnp.floor(positions / box + 0.5)
    fraction = jnp.clip(positions / box - image, -0.5, 0.5)
    lattice = jnp.rint(fraction * 2.0**62).astype(jnp.int64) << 2  # 2^62 still fits a float64 rounded to int64
    return State(
        position=lattice,
        velocity=jnp.rint(velocities / box * 2.0**VELOCITY_BITS).astype(jnp.int64),
        image=image.astype(jnp.int32),
        step=jnp.asarray(step, dtype=jnp.int64),
        reference_step=jnp.asarray(step, dtype=jnp.int64),
        bits_at_reference=jnp.asarray(0.0, dtype=jnp.float64),
    )


def to_snapshot(system: System, state: State, settings, potential=None, neighbours=None, offset=None) -> Snapshot:
    """The float view of a state in the precision of `settings`."""
    dtype = settings.dtype
    s = scale(burnt_bits(state, settings))
    unit = s * system.box[:, None] / 2.0**VELOCITY_BITS
    return Snapshot(
        system=system,
        lattice=(state.position >> 32).astype(jnp.int32),
        image=state.image,
        velocity=(state.velocity.astype(jnp.float64) * unit).astype(dtype),
        step=state.step,
        time=state.step.astype(jnp.float64) * settings.dt,
        potential=potential,
        neighbours=neighbours,
        offset=offset,
    )
