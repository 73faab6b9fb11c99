"""The radial forms: what one atom feels of another, from Lennard-Jones to the buffered 14-7.

A form writes u(r) and names its parameters; truncation, forces, adjoint products and virial follow from `base.py`.
The defaults describe liquid argon (or share Lennard-Jones argon's well depth, minimum and curvature); `for_water()`
gives the start values of the oxygen-oxygen term of water (Greener, PNAS 2025, 122, e2426058122).
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app.checks import concrete
from revmd_app.potentials.base import PairPotential, Parameter, cutoff_radius, parameter
from revmd_app.potentials.reciprocal import inverse

MINIMUM = 2.0 ** (1.0 / 6.0)
"""The Lennard-Jones minimum in units of sigma."""

SIGMA = Parameter("σ", "nm", (0.25, 0.42), doc="Distance at which the energy crosses zero: the size of an atom.")
EPSILON = Parameter("ε", "kJ/mol", (0.05, 5.0), log=True, doc="Depth of the well.")
MINIMUM_AT = Parameter("r_m", "nm", (0.28, 0.47), doc="Distance of the energy's minimum.")


class RadialForm(PairPotential):
    """A pair potential with start values for argon (the defaults) and for water's oxygens (`water_start`)."""

    cutoff: float = cutoff_radius(0.85)

    water_start: ClassVar[dict[str, float]] = {}
    limits: ClassVar[str] = ""  # where this form stops being physical, in a sentence

    @classmethod
    def for_water(cls, **options) -> RadialForm:
        """This form between oxygens, with water's start values; `options` are those of `PairPotential`."""
        return cls(**cls.water_start, **{"between": ("O", "O"), **options})


class LennardJones(RadialForm):
    """u(r) = 4 ε [(σ/r)^12 - (σ/r)^6], with its minimum -ε at r = 2^(1/6) σ.

    Argon: σ 0.34 nm, ε 0.996 kJ/mol (119.8 K; Rahman took 120 K, Phys. Rev. 1964, 136, A405). Water: TIP3P's oxygen.
    """

    sigma: Float[Array, ""] = parameter(0.34, above=0.0)
    epsilon: Float[Array, ""] = parameter(0.996, at_least=0.0)

    parameters: ClassVar[dict[str, Parameter]] = {"sigma": SIGMA, "epsilon": EPSILON}
    formula: ClassVar[str] = r"4\varepsilon\left[(\sigma/r)^{12} - (\sigma/r)^{6}\right]"
    water_start: ClassVar[dict[str, float]] = {"sigma": 0.315, "epsilon": 0.636}
    limits: ClassVar[str] = "Its repulsion is steeper than that of real atoms at short range."

    def pair_energy(self, r):
        q = self.sigma / r
        q2 = q * q
        s6 = q2 * q2 * q2
        return 4 * self.epsilon * (s6 * s6 - s6)

    def pair_radial_force(self, r2):
        inverse2 = inverse(r2)
        q2 = self.sigma * self.sigma * inverse2
        s6 = q2 * q2 * q2
        return 24 * self.epsilon * inverse2 * s6 * (2 * s6 - 1)


class Morse(RadialForm):
    """u(r) = ε (x² - 2x) with x = exp(-a (r - r_m)): minimum -ε at r_m, curvature 2 ε a².

    Defaults: Lennard-Jones argon's minimum, depth and curvature (a = 6 / r_m). Morse, Phys. Rev. 1929, 34, 57.
    """

    epsilon: Float[Array, ""] = parameter(0.996, at_least=0.0)
    r_m: Float[Array, ""] = parameter(0.34 * MINIMUM, above=0.0)
    a: Float[Array, ""] = parameter(6 / (0.34 * MINIMUM), above=0.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "epsilon": EPSILON,
        "r_m": MINIMUM_AT,
        "a": Parameter("a", "1/nm", (10.0, 25.0), doc="Inverse width of the well."),
    }
    formula: ClassVar[str] = r"\varepsilon\left[e^{-2a(r-r_m)} - 2e^{-a(r-r_m)}\right]"
    water_start: ClassVar[dict[str, float]] = {"epsilon": 0.636, "r_m": 0.315 * MINIMUM, "a": 6 / (0.315 * MINIMUM)}
    limits: ClassVar[str] = "It stays finite at r = 0: a very hot pair of atoms can pass through each other."

    def pair_energy(self, r):
        x = jnp.exp(self.a * (self.r_m - r))
        return self.epsilon * x * (x - 2)

    def pair_radial_force(self, r2):
        r = jnp.sqrt(r2)
        x = jnp.exp(self.a * (self.r_m - r))
        return 2 * self.a * self.epsilon * x * (x - 1) / r


class WeeksChandlerAndersen(RadialForm):
    """u(r) = Lennard-Jones + ε for r < 2^(1/6) σ and 0 beyond: its repulsion alone.

    The end at 2^(1/6) σ belongs to u(r): energy and force are continuous there and need no shift. The numeric cutoff
    only bounds the search for pairs; keep it above 2^(1/6) σ. Weeks, Chandler, Andersen, J. Chem. Phys. 1971, 54, 5237.
    """

    sigma: Float[Array, ""] = parameter(0.34, above=0.0)
    epsilon: Float[Array, ""] = parameter(0.996, at_least=0.0)
    cutoff: float = cutoff_radius(0.5)

    parameters: ClassVar[dict[str, Parameter]] = {"sigma": SIGMA, "epsilon": EPSILON}
    formula: ClassVar[str] = (
        r"4\varepsilon\left[(\sigma/r)^{12} - (\sigma/r)^{6}\right] + \varepsilon,\quad r < 2^{1/6}\sigma"
    )
    water_start: ClassVar[dict[str, float]] = {"sigma": 0.315, "epsilon": 0.636}
    limits: ClassVar[str] = "It has no attraction, so a liquid holds together only because the box does."

    def pair_energy(self, r):
        q = self.sigma / r
        q2 = q * q
        s6 = q2 * q2 * q2
        repulsive = s6 > 0.5  # r < 2^(1/6) sigma
        s6 = jnp.where(repulsive, s6, 0.5)  # both branches stay finite, so that derivatives do
        return jnp.where(repulsive, 4 * self.epsilon * (s6 * s6 - s6) + self.epsilon, 0.0)

    def pair_radial_force(self, r2):
        inverse2 = inverse(r2)
        q2 = self.sigma * self.sigma * inverse2
        s6 = q2 * q2 * q2
        return jnp.where(s6 > 0.5, 24 * self.epsilon * inverse2 * s6 * (2 * s6 - 1), 0.0)


class Mie(RadialForm):
    """u(r) = C ε [(σ/r)^n - (σ/r)^m], C = n/(n-m) (n/m)^(m/(n-m)), so that the minimum is -ε; n = 12, m = 6 is LJ.

    The exponents are parameters too: their derivatives are exact. Needs n > m > 3. Mie, Ann. Phys. 1903, 316, 657.
    """

    sigma: Float[Array, ""] = parameter(0.34, above=0.0)
    epsilon: Float[Array, ""] = parameter(0.996, at_least=0.0)
    n: Float[Array, ""] = parameter(12.0, above=3.0)
    m: Float[Array, ""] = parameter(6.0, above=3.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "sigma": SIGMA,
        "epsilon": EPSILON,
        "n": Parameter("n", "", (8.0, 20.0), doc="Exponent of the repulsion."),
        "m": Parameter("m", "", (4.0, 7.0), doc="Exponent of the attraction; 6 is dispersion."),
    }
    formula: ClassVar[str] = (
        r"\frac{n}{n-m}\left(\frac{n}{m}\right)^{\frac{m}{n-m}}"
        r"\varepsilon\left[(\sigma/r)^{n} - (\sigma/r)^{m}\right]"
    )
    water_start: ClassVar[dict[str, float]] = {"sigma": 0.315, "epsilon": 0.636, "n": 12.0, "m": 6.0}
    limits: ClassVar[str] = "With m near 3 the attraction reaches far beyond any cutoff that fits a box."

    def check_parameters(self):
        super().check_parameters()
        check_order("n", self.n, "m", self.m, "Mie")

    def pair_energy(self, r):
        n, m = self.n, self.m
        prefactor = n / (n - m) * jnp.exp(m / (n - m) * jnp.log(n / m)) * self.epsilon
        log_q = jnp.log(self.sigma / r)
        return prefactor * (jnp.exp(n * log_q) - jnp.exp(m * log_q))


class DoubleExponential(RadialForm):
    """u(r) = ε/(α-β) [β exp(α(1 - r/r_m)) - α exp(β(1 - r/r_m))], r_m = 2^(1/6) σ: minimum -ε at r_m.

    α and β default to values that imitate Lennard-Jones (Wu and Brooks, AIP Adv. 2019, 9, 125304). Needs α > β.
    """

    sigma: Float[Array, ""] = parameter(0.34, above=0.0)
    epsilon: Float[Array, ""] = parameter(0.996, at_least=0.0)
    alpha: Float[Array, ""] = parameter(16.766, above=0.0)
    beta: Float[Array, ""] = parameter(4.427, above=0.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "sigma": SIGMA._replace(doc="2^(-1/6) times the distance of the minimum."),
        "epsilon": EPSILON,
        "alpha": Parameter("α", "", (10.0, 25.0), doc="Steepness of the repulsion."),
        "beta": Parameter("β", "", (2.5, 7.0), doc="Steepness of the attraction."),
    }
    formula: ClassVar[str] = (
        r"\frac{\varepsilon}{\alpha-\beta}\left[\beta e^{\alpha(1-r/r_m)} - \alpha e^{\beta(1-r/r_m)}\right],"
        r"\quad r_m = 2^{1/6}\sigma"
    )
    water_start: ClassVar[dict[str, float]] = {"sigma": 0.315, "epsilon": 0.636, "alpha": 16.766, "beta": 4.427}
    limits: ClassVar[str] = "It stays finite at r = 0, and its tail falls faster than dispersion's r^-6."

    def check_parameters(self):
        super().check_parameters()
        check_order("alpha", self.alpha, "beta", self.beta, "DoubleExponential")

    def pair_energy(self, r):
        a, b = self.alpha, self.beta
        x = 1 - r / (MINIMUM * self.sigma)
        return self.epsilon / (a - b) * (b * jnp.exp(a * x) - a * jnp.exp(b * x))

    def pair_radial_force(self, r2):
        a, b = self.alpha, self.beta
        r = jnp.sqrt(r2)
        r_m = MINIMUM * self.sigma
        x = 1 - r / r_m
        return self.epsilon * a * b / ((a - b) * r_m) * (jnp.exp(a * x) - jnp.exp(b * x)) / r


class Buckingham(RadialForm):
    """u(r) = A exp(-B r) - C/r^6.

    The inner catastrophe: at r -> 0 the exponential stays at A while -C/r^6 falls without bound, so behind a barrier
    (hundreds of kJ/mol with sensible parameters) atoms fuse. Nothing is patched here: `expression.check_radial`
    measures the barrier, and the bounds keep it above 400 kJ/mol.
    Defaults: the exp-6 form with Lennard-Jones argon's minimum, depth and curvature. Buckingham, Proc. R. Soc. A 1938,
    168, 264.
    """

    A: Float[Array, ""] = parameter(736176.772, at_least=0.0)
    B: Float[Array, ""] = parameter(36.0866436, above=0.0)
    C: Float[Array, ""] = parameter(5.45289347e-3, at_least=0.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "A": Parameter("A", "kJ/mol", (3.2e5, 2e6), log=True, doc="Height of the repulsion."),
        "B": Parameter("B", "1/nm", (33.0, 40.5), doc="Steepness of the repulsion."),
        "C": Parameter("C", "kJ/mol nm⁶", (5e-4, 6e-3), log=True, doc="Strength of the dispersion."),
    }
    formula: ClassVar[str] = r"A e^{-Br} - C/r^{6}"
    water_start: ClassVar[dict[str, float]] = {"A": 359999.2, "B": 37.795, "C": 0.002343}
    limits: ClassVar[str] = "Behind its inner barrier the energy falls without bound: atoms that cross it fuse."

    def pair_energy(self, r):
        inverse2 = 1 / (r * r)
        return self.A * jnp.exp(-self.B * r) - self.C * inverse2 * inverse2 * inverse2


class SoftCoreLennardJones(RadialForm):
    """u(r) = 4 ε [(σ/s)^12 - (σ/s)^6] with s^6 = r^6 + α σ^6 λ²: finite at r = 0.

    Only the product α λ² matters, so one direction of (α, λ) has no effect at all: trained from equal values they stay
    equal. Beutler et al., Chem. Phys. Lett. 1994, 222, 529.
    """

    sigma: Float[Array, ""] = parameter(0.34, above=0.0)
    epsilon: Float[Array, ""] = parameter(0.996, at_least=0.0)
    alpha: Float[Array, ""] = parameter(0.1, at_least=0.0)
    lambda_: Float[Array, ""] = parameter(0.1, at_least=0.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "sigma": SIGMA,
        "epsilon": EPSILON,
        "alpha": Parameter("α", "", (0.0, 0.5), doc="Softness; acts only through α λ²."),
        "lambda_": Parameter("λ", "", (0.0, 0.5), doc="Decoupling; acts only through α λ²."),
    }
    formula: ClassVar[str] = (
        r"4\varepsilon\left[\left(\frac{\sigma^6}{r^6+\alpha\lambda^2\sigma^6}\right)^2"
        r" - \frac{\sigma^6}{r^6+\alpha\lambda^2\sigma^6}\right]"
    )
    water_start: ClassVar[dict[str, float]] = {"sigma": 0.315, "epsilon": 0.636, "alpha": 0.1, "lambda_": 0.1}
    limits: ClassVar[str] = "With a large α λ² the core is so soft that atoms overlap."

    def pair_energy(self, r):
        x = r / self.sigma
        x2 = x * x
        s6 = 1 / (x2 * x2 * x2 + self.alpha * self.lambda_ * self.lambda_)
        return 4 * self.epsilon * (s6 * s6 - s6)

    def pair_radial_force(self, r2):
        inverse = 1 / (self.sigma * self.sigma)
        x2 = r2 * inverse
        x4 = x2 * x2
        s6 = 1 / (x4 * x2 + self.alpha * self.lambda_ * self.lambda_)
        return 24 * self.epsilon * inverse * x4 * s6 * s6 * (2 * s6 - 1)


class Buffered147(RadialForm):
    """u(r) = ε ((1+δ)/(y+δ))^7 [(1+γ)/(y^7+γ) - 2] with y = r/r_m, r_m = 2^(1/6) σ.

    u(r_m) = -ε. The minimum itself stands there only when δ = γ, and within half a percent with the usual buffers.
    Defaults δ 0.07, γ 0.12 from Halgren, J. Am. Chem. Soc. 1992, 114, 7827. Water starts from δ 0.155, γ 0.096.
    """

    sigma: Float[Array, ""] = parameter(0.34, above=0.0)
    epsilon: Float[Array, ""] = parameter(0.996, at_least=0.0)
    delta: Float[Array, ""] = parameter(0.07, at_least=0.0)
    gamma: Float[Array, ""] = parameter(0.12, at_least=0.0)

    parameters: ClassVar[dict[str, Parameter]] = {
        "sigma": SIGMA._replace(doc="2^(-1/6) times the distance of the minimum."),
        "epsilon": EPSILON._replace(doc="Minus the energy at r_m."),
        "delta": Parameter("δ", "", (0.0, 0.3), doc="Buffer of the seventh power."),
        "gamma": Parameter("γ", "", (0.01, 0.3), doc="Buffer of the fourteenth power."),
    }
    formula: ClassVar[str] = (
        r"\varepsilon\left(\frac{1+\delta}{y+\delta}\right)^{7}\left[\frac{1+\gamma}{y^{7}+\gamma} - 2\right],"
        r"\quad y = \frac{r}{2^{1/6}\sigma}"
    )
    water_start: ClassVar[dict[str, float]] = {"sigma": 0.315, "epsilon": 0.636, "delta": 0.155, "gamma": 0.096}
    limits: ClassVar[str] = "The buffers keep it finite at r = 0; large ones soften the core."

    def pair_energy(self, r):
        y = r / (MINIMUM * self.sigma)
        b = (1 + self.delta) / (y + self.delta)
        return self.epsilon * _seventh(b) * ((1 + self.gamma) / (_seventh(y) + self.gamma) - 2)


def check_order(larger: str, high, smaller: str, low, form: str) -> None:
    """Raise `ValueError` unless one parameter exceeds the other; traced ones pass."""
    above, below = concrete(high), concrete(low)
    if above is not None and below is not None and not np.all(above > below):
        raise ValueError(
            f"{larger} of {form} must exceed {smaller}, and has {np.min(above):.6g} against {np.max(below):.6g}: "
            "the repulsion has to be steeper than the attraction."
        )


def _seventh(x):
    x2 = x * x
    return x2 * x2 * x2 * x
