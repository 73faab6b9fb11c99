"""Fields that act on each atom by itself: the toy landscapes on which a gradient can be checked by hand.

Positions are measured from the centre of the box: x, y and z lie in [-box/2, box/2).
"""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from revmd_app.checks import check_number
from revmd_app.potentials.base import Parameter, Potential, parameter


class ExternalPotential(Potential):
    """A sum over atoms of u(x, y, z); a subclass writes `site_energy`, elementwise."""

    @abc.abstractmethod
    def site_energy(self, x, y, z) -> Float[Array, "..."]:
        """u in kJ/mol at positions in nm from the centre of the box, elementwise."""

    def energy(self, snapshot):
        local = jax.tree.map(lambda leaf: leaf.astype(snapshot.dtype) if eqx.is_inexact_array(leaf) else leaf, self)
        return jnp.sum(local.site_energy(*snapshot.centred_positions))


class HarmonicTrap(ExternalPotential):
    """u = k (x² + y² + z²) / 2: every atom on its own spring, whose thermal average is <x²> = kB T / k."""

    k: Float[Array, ""] = parameter(100.0, at_least=0.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "k": Parameter("k", "kJ/mol/nm²", (1.0, 1e4), log=True, doc="Stiffness of the spring."),
    }
    formula: ClassVar[str] = r"\frac{k}{2}\left(x^2 + y^2 + z^2\right)"

    def site_energy(self, x, y, z):
        return 0.5 * self.k * (x * x + y * y + z * z)


class DoubleWell2D(ExternalPotential):
    """u = h ((x/a)² - 1)² + k (y² + z²) / 2: two minima at x = ±a, a saddle of height h between them.

    z is confined like y, so that the landscape is two-dimensional to look at.
    """

    barrier: Float[Array, ""] = parameter(5.0, at_least=0.0)
    half_distance: Float[Array, ""] = parameter(0.3, above=0.0)
    k: Float[Array, ""] = parameter(200.0, at_least=0.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "barrier": Parameter("h", "kJ/mol", (0.5, 20.0), log=True, doc="Height of the saddle above the minima."),
        "half_distance": Parameter("a", "nm", (0.1, 0.6), doc="The minima stand at x = ±a."),
        "k": Parameter("k", "kJ/mol/nm²", (10.0, 2e3), log=True, doc="Stiffness across the valley."),
    }
    formula: ClassVar[str] = r"h\left[(x/a)^2 - 1\right]^2 + \frac{k}{2}\left(y^2 + z^2\right)"

    def site_energy(self, x, y, z):
        s = x / self.half_distance
        well = s * s - 1
        return self.barrier * well * well + 0.5 * self.k * (y * y + z * z)


# (A, a, b, c, x0, y0) of the four terms, Mueller and Brown's table 1
_MULLER_BROWN = (
    (-200.0, -1.0, 0.0, -10.0, 1.0, 0.0),
    (-100.0, -1.0, 0.0, -10.0, 0.0, 0.5),
    (-170.0, -6.5, 11.0, -6.5, -0.5, 1.5),
    (15.0, 0.7, 0.6, 0.7, -1.0, 1.0),
)


class MullerBrown(ExternalPotential):
    """u = s Σ_k A_k exp(a_k dx² + b_k dx dy + c_k dy²) + k z² / 2, dx = x - x_k: three minima, two saddles.

    In units of s the minima are -146.70 at (-0.558, 1.442), -108.17 at (0.623, 0.028) and -80.77 at (-0.050, 0.467);
    the saddles -40.66 at (-0.822, 0.624) and -72.25 at (0.212, 0.293). `scale` s sets the energy (0.1 kJ/mol: a main
    barrier of 10.6 kJ/mol); x and y count in units of `length` (nm). The box should be at least 5 lengths wide.
    Müller and Brown, Theor. Chim. Acta 1979, 53, 75, doi 10.1007/BF00547608.
    """

    scale: Float[Array, ""] = parameter(0.1, at_least=0.0)
    k: Float[Array, ""] = parameter(100.0, at_least=0.0)
    length: float = eqx.field(static=True, converter=float, default=1.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "scale": Parameter("s", "kJ/mol", (0.01, 0.5), log=True, doc="Energy of one unit of the published surface."),
        "k": Parameter("k", "kJ/mol/nm²", (10.0, 1e3), log=True, doc="Stiffness along z."),
    }
    formula: ClassVar[str] = (
        r"s\sum_{k=1}^{4} A_k e^{a_k (x-x_k)^2 + b_k (x-x_k)(y-y_k) + c_k (y-y_k)^2} + \frac{k}{2} z^2"
    )

    def __check_init__(self):
        check_number("the length of one unit of the surface", self.length, "nm", above=0.0)

    def site_energy(self, x, y, z):
        x, y = x / self.length, y / self.length
        surface = jnp.zeros_like(x)
        for amplitude, a, b, c, x0, y0 in _MULLER_BROWN:
            dx, dy = x - x0, y - y0
            surface = surface + amplitude * jnp.exp(a * dx * dx + b * dx * dy + c * dy * dy)
        return self.scale * surface + 0.5 * self.k * z * z
