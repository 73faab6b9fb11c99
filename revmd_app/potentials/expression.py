"""A radial energy typed as a formula, and the sentence that says why a radial energy cannot be simulated."""

from __future__ import annotations

import math
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from revmd_app.checks import check_number
from revmd_app.potentials.base import PairPotential, Parameter, radial_curve
from revmd_app.potentials.formula import evaluate, formula_parameters, parse, to_latex

KNOWN: dict[str, tuple[float, str, str]] = {
    "sigma": (0.34, "σ", "nm"),
    "r_m": (0.3816, "r_m", "nm"),
    "epsilon": (0.996, "ε", "kJ/mol"),
}
"""Names whose meaning is settled: their start value (argon's), label and unit. Every other name starts at 1."""


class Expression(PairPotential):
    """u(r) typed as a formula of r, from numbers, names, + - * / ^ (or **) and the functions of `formula.FUNCTIONS`.

    `pi` and `k_e` (Coulomb's constant, kJ nm/mol/e²) have their values; every other name is a parameter. r in nm, u in
    kJ/mol. `parameters` gives start values; a name without one starts at 1 (sigma, epsilon and r_m at argon's).
    Raises `ValueError` when the formula cannot be used, or a value is given for a name that it does not contain.
    """

    text: str = eqx.field(static=True)
    values: dict[str, Float[Array, ""]]

    def __init__(
        self,
        text: str,
        parameters: Mapping[str, float] | None = None,
        *,
        cutoff: float = 0.85,
        truncation: str = "shifted",
        switch_start: float = 0.85,
        between: tuple[str, str] = ("all", "all"),
    ):
        names = formula_parameters(text)
        given = dict(parameters or {})
        _refuse_unknown(given, names)
        _refuse_unusable(given)
        self.text = text
        self.values = {n: jnp.asarray(given.get(n, KNOWN.get(n, (1.0,))[0]), dtype=jnp.float64) for n in names}
        self.cutoff, self.truncation, self.switch_start, self.between = cutoff, truncation, switch_start, between

    def check_parameters(self):
        _refuse_unusable(self.values)

    def pair_energy(self, r):
        value = evaluate(parse(self.text), {**self.values, "r": r})
        return jnp.broadcast_to(jnp.asarray(value, r.dtype), r.shape)

    @property
    def parameters(self) -> dict[str, Parameter]:  # type: ignore[override]
        """What a slider needs for each name; bounds are guessed from the present value."""
        return {name: _guess(name, float(self.values[name])) for name in formula_parameters(self.text)}

    @property
    def formula(self) -> str:  # type: ignore[override]
        return self.latex

    @property
    def latex(self) -> str:
        """The formula as LaTeX."""
        return to_latex(parse(self.text))

    def with_values(self, **values: float) -> Expression:
        """The same formula with other parameter values; nothing is compiled again.

        Raises `ValueError` for a name that the formula does not contain.
        """
        _refuse_unknown(values, formula_parameters(self.text))
        _refuse_unusable(values)
        new = {n: jnp.asarray(values.get(n, v), dtype=jnp.float64) for n, v in self.values.items()}
        return eqx.tree_at(lambda e: e.values, self, new)


def _refuse_unknown(given, names):
    for name in given:
        if name not in names:
            raise ValueError(f"the formula has no parameter '{name}'; it has {', '.join(names) or 'none'}.")


def _refuse_unusable(given):
    for name, value in given.items():
        check_number(f"the value of '{name}'", value)


def _guess(name: str, value: float) -> Parameter:
    """Known names keep to a third around their value; others span two decades, of the sign that the value has."""
    _, label, unit = KNOWN.get(name, (1.0, name.rstrip("_"), ""))
    if value == 0 or not math.isfinite(value):
        return Parameter(label, unit, (-1.0, 1.0))
    if unit == "nm":
        return Parameter(label, unit, (round(0.75 * value, 4), round(1.25 * value, 4)))
    near, far = sorted((value / 10, value * 10))
    return Parameter(label, unit, (near, far), log=value > 0)


MIN_BARRIER = 50.0
"""kJ/mol (20 kT at 300 K): a barrier before an attractive core that is lower than this does not hold."""


def check_radial(potential: PairPotential, r_grid=None, min_barrier: float = MIN_BARRIER) -> str | None:
    """Why a radial energy cannot be simulated, in one sentence, or None when nothing speaks against it.

    `r_grid` holds increasing distances in nm; by default 400 of them from a tenth of the cutoff to the cutoff. Looks at
    the truncated energy and its slope: both must be finite in single precision too, and nothing may pull atoms into
    each other with no barrier of `min_barrier` (kJ/mol) before it.
    """
    r = np.linspace(0.1, 1.0, 400) * potential.cutoff if r_grid is None else np.asarray(r_grid, dtype=np.float64)
    r = r[r <= potential.cutoff]
    if r.size < 3 or not np.all(np.diff(r) > 0) or not r[0] > 0:
        raise ValueError("r_grid needs three increasing positive distances (nm) or more below the cutoff.")
    for dtype in (np.float64, np.float32):
        u, slope, _ = radial_curve(potential, r.astype(dtype))
        bad = r[~(np.isfinite(u) & np.isfinite(slope))]
        if bad.size:
            precision = "" if dtype == np.float64 else " in single precision"
            return (
                f"the energy or its slope is not a finite number{precision} from r = {bad[0]:.3g} to {bad[-1]:.3g} nm: "
                "look for a division by zero, a root or logarithm of a negative number, or too high a power."
            )
    u, slope, _ = radial_curve(potential, r)
    return _collapse(r, u, slope, min_barrier)


def _collapse(r, u, slope, min_barrier) -> str | None:
    if not np.any(slope < 0) and np.any(slope > 0):
        return "it attracts at every distance: nothing keeps atoms apart, and they would collapse onto one another."
    peak = int(np.argmax(u))
    inside = u[: peak + 1]
    barrier = float(u[peak] - np.min(u[peak:]))
    if slope[0] > 0 and u[peak] - inside[0] > 1e-9 and barrier < min_barrier:
        return (
            f"below r = {r[peak]:.3g} nm it pulls atoms into each other, and the barrier before that is only "
            f"{barrier:.3g} kJ/mol: they would collapse (at least {min_barrier:g} are needed)."
        )
    return None
