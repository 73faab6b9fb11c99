"""Springs inside a molecule: harmonic bonds and angles over the topology of the system.

Both are (k/2)(q - q0)² of an internal coordinate q of relative vectors s. Its gradient ∇q, written out by hand, gives
the forces; one directional derivative of ∇q gives the products of the reverse pass:

    f = -k (q - q0) ∇q          h = δ·f          ∂h/∂s = -k [(δ·∇q) ∇q + (q - q0) (δ·∇)∇q]
    ∂h/∂k = -(q - q0) (δ·∇q)                     ∂h/∂q0 = k (δ·∇q)

where δ is the vector w of `force_vjp` taken between the same atoms as s.
"""

from __future__ import annotations

import abc
import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app.engine.system import System
from revmd_app.engine.topology import Column, expanded, find_runs
from revmd_app.potentials.base import Parameter, Potential, parameter


class HarmonicCoordinate(Potential):
    """(k/2)(q - q0)² summed over the rows of a table of the topology, each row an apex and its ends."""

    @abc.abstractmethod
    def constants(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(k, q0)."""

    @abc.abstractmethod
    def table(self, system) -> tuple[Column, tuple[Column, ...]]:
        """(apex, ends): columns of the atom that the relative vectors start from, and of those they point to."""

    @staticmethod
    @abc.abstractmethod
    def coordinate(*vectors: Float[Array, "3 terms"]) -> Float[Array, " terms"]:
        """q of the relative vectors s = x_end - x_apex."""

    @staticmethod
    @abc.abstractmethod
    def coordinate_gradient(*vectors: Float[Array, "3 terms"]) -> tuple[Float[Array, "3 terms"], ...]:
        """∂q/∂s, one array a vector; zero where q has no derivative."""

    def energy(self, snapshot):
        k, q0, vectors = self._read(snapshot)
        stretch = self.coordinate(*vectors) - q0
        return 0.5 * k * jnp.sum(stretch * stretch)

    def forces(self, snapshot):
        k, q0, vectors = self._read(snapshot)
        pull = -k * (self.coordinate(*vectors) - q0)
        return self._collect(snapshot, [pull * g for g in self.coordinate_gradient(*vectors)])

    def force_vjp(self, snapshot, w):
        k, q0, vectors = self._read(snapshot)
        apex, ends = self.table(snapshot.system)
        delta = tuple(end.take(w) - apex.take(w) for end in ends)
        gradient, turned = jax.jvp(self.coordinate_gradient, vectors, delta)
        stretch = self.coordinate(*vectors) - q0
        along = sum(_dot(d, g) for d, g in zip(delta, gradient, strict=True))
        products = [-k * (along * g + stretch * t) for g, t in zip(gradient, turned, strict=True)]
        of_k = -jnp.sum(stretch * along).astype(jnp.float64)
        of_q0 = (k * jnp.sum(along)).astype(jnp.float64)
        return self._collect(snapshot, products), self._with_constants(of_k, of_q0)

    def _with_constants(self, k, q0) -> HarmonicCoordinate:
        """The same potential with other constants, unchecked: a gradient has this structure too."""
        return eqx.tree_at(lambda term: term.constants(), self, (k, q0))

    def _read(self, snapshot):
        k, q0 = (c.astype(snapshot.dtype) for c in self.constants())
        apex, ends = self.table(snapshot.system)
        return k, q0, tuple(snapshot.separations(end, apex) for end in ends)

    def _collect(self, snapshot, on_ends):
        """(3, N) from contributions to each end; the apex gets the opposite of their sum, so momentum is conserved."""
        apex, ends = self.table(snapshot.system)
        n_atoms = snapshot.system.n_atoms
        parts = [end.put(contribution, n_atoms) for end, contribution in zip(ends, on_ends, strict=True)]
        return sum(parts) + apex.put(-sum(on_ends), n_atoms)


class HarmonicBond(HarmonicCoordinate):
    """u = (k/2)(r - r0)² over `system.bonds`. Note the 1/2: some force fields write k (r - r0)².

    `between` picks out the bonds of two species, where molecules of several kinds have springs of their own; None
    means every bond. Defaults: TIP3P-like flexible water.
    """

    k: Float[Array, ""] = parameter(462750.4, at_least=0.0)
    r0: Float[Array, ""] = parameter(0.09572, above=0.0)
    between: tuple[str, str] | None = eqx.field(static=True, kw_only=True, default=None)

    parameters: ClassVar[dict[str, Parameter]] = {
        "k": Parameter("k_b", "kJ/mol/nm²", (1e5, 8e5), log=True, doc="Stiffness of the bond."),
        "r0": Parameter("r₀", "nm", (0.085, 0.13), doc="Length of the bond at rest."),
    }
    formula: ClassVar[str] = r"\frac{k_b}{2}(r - r_0)^2"

    def constants(self):
        return self.k, self.r0

    def table(self, system):
        apex, end = bonds_between(system, self.between) if self.between else system.bond_columns
        return apex, (end,)

    def check(self, system):
        super().check(system)
        if self.between:
            bonds_between(system, self.between)

    @staticmethod
    def coordinate(d):
        return _norm(_dot(d, d))

    @staticmethod
    def coordinate_gradient(d):
        r2 = _dot(d, d)
        return (d * _inverse_root(r2),)


class HarmonicAngle(HarmonicCoordinate):
    """u = (k/2)(θ - θ0)² over `system.angles` (the apex is the middle column); θ in radians.

    θ = atan2(|d1 x d2|, d1·d2), which keeps its digits near 0 and π. At exactly 0 or π the angle has no gradient and
    the force is set to zero. Defaults: TIP3P-like flexible water.
    """

    k: Float[Array, ""] = parameter(836.8, at_least=0.0)
    theta0: Float[Array, ""] = parameter(1.82421813418, at_least=0.0, at_most=math.pi)

    parameters: ClassVar[dict[str, Parameter]] = {
        "k": Parameter("k_θ", "kJ/mol/rad²", (200.0, 1500.0), log=True, doc="Stiffness of the angle."),
        "theta0": Parameter("θ₀", "rad", (1.5, 2.3), doc="Angle at rest."),
    }
    formula: ClassVar[str] = r"\frac{k_\theta}{2}(\theta - \theta_0)^2"

    def constants(self):
        return self.k, self.theta0

    def table(self, system):
        first, apex, last = system.angle_columns
        return apex, (first, last)

    @staticmethod
    def coordinate(d1, d2):
        c = _cross(d1, d2)
        across, along = _dot(c, c), _dot(d1, d2)
        along = jnp.where((across > 0) | (along != 0), along, 1.0)  # atan2(0, 0) has no derivative
        return jnp.arctan2(_norm(across), along)

    @staticmethod
    def coordinate_gradient(d1, d2):
        c = _cross(d1, d2)
        n = c * _inverse_root(_dot(c, c))  # the normal of the plane; zero where there is none
        return _cross(d1, n) * _inverse(_dot(d1, d1)), _cross(n, d2) * _inverse(_dot(d2, d2))


def bonds_between(system: System, pair: tuple[str, str]) -> tuple[Column, Column]:
    """The two columns of the bonds whose atoms are of these two species, in either order.

    Which rows they are is read off the runs that describe the table, a part of the program: nothing is compared while
    a simulation runs. Raises `ValueError` when the system has no such bond, or bonds without a pattern.
    """
    columns = system.bond_columns
    if any(column.runs is None for column in columns):
        raise ValueError(
            f"the bonds of {' and '.join(pair)} cannot be told from others in '{system.name}': number the atoms of "
            "each species molecule by molecule, so that its table of bonds has a pattern."
        )
    apex, end = (expanded(column.runs) for column in columns if column.runs is not None)
    first, second = (system.atoms(species) for species in pair)
    rows = np.flatnonzero((_in(apex, first) & _in(end, second)) | (_in(apex, second) & _in(end, first)))
    if not rows.size:
        raise ValueError(f"the system '{system.name}' has no bond between {' and '.join(pair)}.")
    picked = [
        Column(column.index[rows], find_runs(atoms[rows])) for column, atoms in zip(columns, (apex, end), strict=True)
    ]
    return picked[0], picked[1]


def _in(atoms: np.ndarray, species: slice) -> np.ndarray:
    return (atoms >= species.start) & (atoms < species.stop)


def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a, b):
    return jnp.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _norm(square):
    """sqrt with the derivative 0 at 0; masked before the root, so that no infinity meets a zero."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def _inverse(x):
    positive = x > 0
    return jnp.where(positive, 1 / jnp.where(positive, x, 1.0), 0.0)


def _inverse_root(square):
    positive = square > 0
    return jnp.where(positive, jax.lax.rsqrt(jnp.where(positive, square, 1.0)), 0.0)
