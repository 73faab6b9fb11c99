"""What a potential is: an energy of a snapshot, with forces, adjoint products and virial that follow from it.

A pair potential writes only its radial energy u(r); truncation at the cutoff, forces, the products the reverse pass
needs and the virial are derived here and summed by `kernels.py`.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app.checks import check_number
from revmd_app.engine.lattice import Snapshot
from revmd_app.engine.system import System
from revmd_app.potentials import kernels
from revmd_app.potentials.reciprocal import inverse, inverse_sqrt

TRUNCATIONS = ("plain", "shifted", "switched")


class Parameter(NamedTuple):
    """How a parameter is named and bounded wherever a person meets it. `bounds` cannot crash a simulation."""

    label: str  # e.g. "σ"
    unit: str  # e.g. "nm"; "" when it has none
    bounds: tuple[float, float]
    log: bool = False  # a logarithmic slider suits it
    doc: str = ""


def parameter(default: float, *, above: float = -math.inf, at_least: float = -math.inf, at_most: float = math.inf):
    """A trainable field: stored as a float64 array, so that changing it never recompiles.

    Beyond the range (which excludes `above` itself) the potential has no meaning: `Potential.check_parameters`
    refuses such a value, and one that is not finite.
    """
    limits = {"above": above, "at_least": at_least, "at_most": at_most}
    convert = lambda x: jnp.asarray(x, dtype=jnp.float64) if not _is_placeholder(x) else x
    return eqx.field(converter=convert, default=default, metadata={"limits": limits})


def cutoff_radius(default: float):
    """The field of a cutoff (nm): a part of the program, so that another value compiles another one."""
    return eqx.field(converter=_as_cutoff, static=True, kw_only=True, default=default)


def _as_cutoff(x: Any) -> float:
    check_number("the cutoff", x, "nm", above=0.0, advice="half the box is the largest that can be used")
    return float(x)


def _is_placeholder(x) -> bool:
    return not isinstance(x, float | int | np.ndarray | np.generic | jax.Array)


class Potential(eqx.Module):
    """An energy function of a snapshot whose float leaves are its parameters. Potentials add with `+`."""

    parameters: ClassVar[dict[str, Parameter]] = {}
    formula: ClassVar[str] = ""  # LaTeX

    @abc.abstractmethod
    def energy(self, snapshot: Snapshot) -> Float[Array, ""]:
        """Potential energy in kJ/mol; differentiable in the parameters, `offset` and `strain`."""

    def quick_energy(self, snapshot: Snapshot) -> Float[Array, ""]:
        """`energy` where nobody differentiates it: the same sum, in a loop of little memory where there is one."""
        return self.energy(snapshot)

    def forces(self, snapshot: Snapshot) -> Float[Array, "3 atoms"]:
        """-dU/dx in kJ/mol/nm, in the precision of the snapshot."""
        zero = jnp.zeros(snapshot.lattice.shape, snapshot.dtype)
        return -jax.grad(lambda offset: self.energy(_at(snapshot, offset)))(zero)

    def force_vjp(self, snapshot: Snapshot, w: Float[Array, "3 atoms"]):
        """(J^T w, (dF/dparameters)^T w) with J = dF/dx: both are gradients of the scalar h = w . F(x; parameters).

        The first is (3, N); the second has the structure of the potential's float leaves.
        """
        dynamic, static = eqx.partition(self, eqx.is_inexact_array)
        zero = jnp.zeros(snapshot.lattice.shape, snapshot.dtype)

        def contracted(offset, leaves):
            return jnp.vdot(w, eqx.combine(leaves, static).forces(_at(snapshot, offset)))

        return jax.grad(contracted, argnums=(0, 1))(zero, dynamic)

    def stress_virial(self, snapshot: Snapshot) -> Float[Array, "3 3"]:
        """-dU/dstrain in kJ/mol: sum of r_ij f_ij over pairs for a pair potential. Its trace is the scalar virial."""
        zero = jnp.zeros((3, 3), snapshot.dtype)
        strained = lambda e: self.energy(eqx.tree_at(lambda s: s.strain, snapshot, e, is_leaf=lambda x: x is None))
        return -jax.grad(strained)(zero)

    def virial(self, snapshot: Snapshot) -> Float[Array, ""]:
        """sum_i r_i . F_i over minimum images, kJ/mol; pressure = (2 K + virial) / (3 V)."""
        return jnp.trace(self.stress_virial(snapshot))

    def blocks(self, system: System) -> tuple[kernels.Block, ...]:
        """The pairs of species and the cutoffs for which this potential can use a neighbour list."""
        return ()

    def check(self, system: System) -> None:
        """Raise `ValueError` when this potential cannot be used with this system (parameters, cutoff, species)."""
        self.check_parameters()

    def check_parameters(self) -> None:
        """Raise `ValueError` when a parameter has a value that means nothing; traced parameters are not looked at."""
        for field in dataclasses.fields(self):
            if "limits" in field.metadata:
                meta = self.parameters.get(field.name)
                check_number(
                    f"{field.name} of {type(self).__name__}",
                    getattr(self, field.name),
                    meta.unit if meta else "",
                    advice=f"it starts at {field.default:.6g}",
                    **field.metadata["limits"],
                )

    def __check_init__(self):
        self.check_parameters()

    def terms(self) -> tuple[Potential, ...]:
        """The addends of this potential."""
        return (self,)

    def __add__(self, other: Potential) -> Sum:
        return Sum(self.terms() + other.terms())


def _at(snapshot: Snapshot, offset) -> Snapshot:
    if snapshot.offset is not None:
        offset = offset + snapshot.offset
    return eqx.tree_at(lambda s: s.offset, snapshot, offset, is_leaf=lambda x: x is None)


class Sum(Potential):
    """The sum of several potentials; its parameters are theirs."""

    parts: tuple[Potential, ...]

    def energy(self, snapshot):
        return sum(part.energy(snapshot) for part in self.parts)

    def quick_energy(self, snapshot):
        return sum(part.quick_energy(snapshot) for part in self.parts)

    def forces(self, snapshot):
        return sum(part.forces(snapshot) for part in self.parts)

    def force_vjp(self, snapshot, w):
        products = [part.force_vjp(snapshot, w) for part in self.parts]
        gradient = eqx.tree_at(lambda s: s.parts, eqx.filter(self, eqx.is_inexact_array), tuple(g for _, g in products))
        return sum(p for p, _ in products), gradient

    def blocks(self, system):
        return tuple(dict.fromkeys(b for part in self.parts for b in part.blocks(system)))

    def check(self, system):
        for part in self.parts:
            part.check(system)

    def terms(self):
        return self.parts


class PairPotential(Potential):
    """A sum over pairs of u(r), truncated at a cutoff. A subclass writes `pair_energy(r)`.

    `between` names the two species whose atoms interact ("all" for every atom). `truncation`:
      * "plain":    u(r) for r < cutoff, else 0. Energy and force jump at the cutoff; gradients are then wrong.
      * "shifted":  u(r) - u(rc) - (r - rc) u'(rc) (force-shifted; energy and force vanish at the cutoff). The default.
      * "switched": u(r) times a quintic that falls from 1 at `switch_start` to 0 at the cutoff with two continuous
                    derivatives. `switch_start` is a fraction of the cutoff.
    """

    cutoff: float = cutoff_radius(0.9)  # nm
    truncation: str = eqx.field(static=True, kw_only=True, default="shifted")
    switch_start: float = eqx.field(static=True, kw_only=True, default=0.85)
    between: tuple[str, str] = eqx.field(static=True, kw_only=True, default=("all", "all"))

    def __check_init__(self):
        if self.truncation not in TRUNCATIONS:
            raise ValueError(f"truncation must be one of {', '.join(TRUNCATIONS)}, not '{self.truncation}'.")
        if not 0 < self.switch_start < 1:
            raise ValueError(f"switch_start is a fraction of the cutoff between 0 and 1, not {self.switch_start}.")

    @abc.abstractmethod
    def pair_energy(self, r: Float[Array, "..."]) -> Float[Array, "..."]:
        """u(r) in kJ/mol for distances r > 0 in nm, elementwise, before truncation and site weights."""

    def site_weights(self, system: System) -> Float[Array, " atoms"] | None:
        """Factors c_i such that the pair energy is c_i c_j u(r); None means 1. (Charges, for example.)"""
        return None

    def truncated_energy(self, r: Float[Array, "..."]) -> Float[Array, "..."]:
        """u(r) with the truncation applied, for 0 < r < cutoff (0 beyond)."""
        rc = jnp.asarray(self.cutoff, r.dtype)
        if self.truncation == "plain":
            u = self.pair_energy(r)
        elif self.truncation == "shifted":
            at_cutoff, slope = jax.jvp(self.pair_energy, (rc,), (jnp.ones_like(rc),))
            u = self.pair_energy(r) - at_cutoff - (r - rc) * slope
        else:
            t = jnp.clip((r / rc - self.switch_start) / (1 - self.switch_start), 0.0, 1.0)
            u = self.pair_energy(r) * (1 - t * t * t * (10 - 15 * t + 6 * t * t))
        return jnp.where(r < rc, u, 0.0)

    def pair_radial_force(self, r2: Float[Array, "..."]) -> Float[Array, "..."]:
        """-u'(r)/r of the bare `pair_energy` (kJ/mol/nm^2) as a function of r^2. Override it with a closed form for
        speed."""
        r = jnp.sqrt(r2)
        return -jax.jvp(self.pair_energy, (r,), (jnp.ones_like(r),))[1] * inverse(r)

    def radial_force(self, r2: Float[Array, "..."]) -> Float[Array, "..."]:
        """phi(r^2) = -u'(r)/r of the truncated energy, for 0 < r < cutoff: the force is phi times the separation."""
        if self.truncation == "plain":
            return self.pair_radial_force(r2)
        if self.truncation == "shifted":
            slope = -self.cutoff * self.pair_radial_force(jnp.asarray(self.cutoff**2, r2.dtype))
            return self.pair_radial_force(r2) + slope * inverse_sqrt(r2)
        r = jnp.sqrt(r2)
        t = jnp.clip((r / self.cutoff - self.switch_start) / (1 - self.switch_start), 0.0, 1.0)
        switch = 1 - t * t * t * (10 - 15 * t + 6 * t * t)
        slope = -30 * t * t * (1 - t) * (1 - t) / (self.cutoff * (1 - self.switch_start))
        return switch * self.pair_radial_force(r2) - slope * self.pair_energy(r) / r

    def _in(self, dtype) -> PairPotential:
        return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, self)

    def energy(self, snapshot):
        return kernels.pair_energy(self, snapshot)

    def quick_energy(self, snapshot):
        return kernels.quick_pair_energy(self, snapshot)

    def forces(self, snapshot):
        return kernels.pair_forces(self, snapshot)

    def force_vjp(self, snapshot, w):
        return kernels.pair_force_vjp(self, snapshot, w)

    def block(self, system: System) -> kernels.Block:
        return kernels.Block.of(system, self.between, self.cutoff)

    def blocks(self, system):
        return (self.block(system),)

    def check(self, system):
        self.check_parameters()
        for species in self.between:
            system.atoms(species)
        shortest = float(np.min(np.asarray(system.box)))
        if system.periodic and self.cutoff > shortest / 2:
            raise ValueError(
                f"cutoff {self.cutoff:.3g} nm exceeds half the box ({shortest / 2:.3g} nm): the minimum image is "
                "ambiguous; use a larger box or a smaller cutoff."
            )


def radial_curve(potential: PairPotential, r) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(u, du/dr, bare u) at distances r (nm): with the truncation and, last, without; in the precision of r.

    One program for each form and truncation: neither another cutoff nor another parameter compiles it again.
    """
    r = jnp.asarray(r)
    cutoff = jnp.asarray(potential.cutoff, r.dtype)
    u, slope, bare = _radial_curve(_with_cutoff(potential._in(r.dtype), 1.0), cutoff, r)
    return np.asarray(u), np.asarray(slope), np.asarray(bare)


@eqx.filter_jit
def _radial_curve(potential, cutoff, r):
    potential = _with_cutoff(potential, cutoff)
    u, slope = jax.jvp(potential.truncated_energy, (r,), (jnp.ones_like(r),))
    return u, slope, potential.pair_energy(r)


def _with_cutoff(potential: PairPotential, cutoff) -> PairPotential:
    """A copy whose cutoff may be traced, good for its radial functions only: elsewhere the cutoff is a plain number."""
    leaves, structure = jax.tree.flatten(potential)
    copy = jax.tree.unflatten(structure, leaves)
    object.__setattr__(copy, "cutoff", cutoff)
    return copy
