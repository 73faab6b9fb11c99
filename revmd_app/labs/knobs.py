"""The potential of a system as a set of knobs: exchange its pair form, list its parameters, turn them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from revmd_app.potentials import PAIR_FORMS, Expression, LennardJones, Parameter, Potential, RadialForm, Sum
from revmd_app.potentials.base import radial_curve
from revmd_app.systems.case import Case

TYPED = "Typed formula"
"""The name under which the typed formula stands among the pair forms."""

FORMS: dict[str, type[RadialForm] | None] = {**PAIR_FORMS, TYPED: None}

_POWERS = {"nm": (0, 1), "1/nm": (0, -1), "kJ/mol": (1, 0), "kJ/mol nm⁶": (1, 6), "": (0, 0)}
"""Of each unit of a pair form: its powers of energy and of length."""
_REDUCED = {"nm": "σ₀", "1/nm": "1/σ₀", "kJ/mol": "ε₀", "kJ/mol nm⁶": "ε₀ σ₀⁶", "": ""}


class Knob(NamedTuple):
    """One parameter of one term of a potential, with what a slider needs."""

    key: str  # "<number of the term>.<field>"
    parameter: Parameter
    value: float
    of_pair: bool  # of the exchangeable pair form, not of charges, bonds or angles
    where: str  # the term, in words


def pair_index(potential: Potential) -> int:
    """Which term is the exchangeable pair form. Raises `ValueError` when the potential has none."""
    for i, term in enumerate(potential.terms()):
        if isinstance(term, RadialForm | Expression):
            return i
    raise ValueError("this potential has no pair form that could be exchanged for another.")


def pair_term(potential: Potential):
    """The exchangeable pair form of a potential."""
    return potential.terms()[pair_index(potential)]


def with_pair(potential: Potential, pair) -> Potential:
    """The same potential with another pair form."""
    terms = list(potential.terms())
    terms[pair_index(potential)] = pair
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def make_pair(case: Case, form: str, formula: str = "", cutoff: float | None = None, truncation: str = "shifted"):
    """A pair form with the start values that suit the case. Raises `ValueError` for a formula that cannot be used."""
    given = pair_term(case.potential)
    options = {
        "cutoff": float(given.cutoff if cutoff is None else cutoff),
        "truncation": truncation,
        "between": given.between,
    }
    cls = FORMS[form]
    if cls is None:
        known = values_of(given) if isinstance(given, LennardJones) else {}
        names = Expression(formula).values
        return Expression(formula, {name: known[name] for name in names if name in known}, **options)
    if isinstance(given, cls):
        return cls(**values_of(given), **options)
    if case.name == "water":
        return cls.for_water(**options)
    return cls(**{name: x * _factor(case, cls.parameters[name]) for name, x in values_of(cls()).items()}, **options)


def values_of(term: Potential) -> dict[str, float]:
    """The parameters of one term as plain numbers."""
    return {name: float(np.asarray(value)) for name, value in _fields(term).items()}


def _fields(term) -> dict:
    return {name: _get(term, name) for name in term.parameters}


def _get(term, name):
    return term.values[name] if isinstance(term, Expression) else getattr(term, name)


def _factor(case: Case, meta: Parameter) -> float:
    """From argon's units to the case's own: 1 unless they are reduced."""
    if case.units != "reduced":
        return 1.0
    argon = LennardJones()
    energy, length = _POWERS.get(meta.unit, (0, 0))
    return float(argon.epsilon) ** -energy * float(argon.sigma) ** -length


def _in_units(case: Case, meta: Parameter, scaled: bool) -> Parameter:
    """The metadata in the case's units; bounds follow unless they were made for the present value."""
    if case.units != "reduced":
        return meta
    factor = _factor(case, meta) if scaled else 1.0
    low, high = meta.bounds
    return meta._replace(unit=_REDUCED.get(meta.unit, meta.unit), bounds=(low * factor, high * factor))


def knobs(case: Case, potential: Potential) -> list[Knob]:
    """Every parameter of a potential, the pair form's first."""
    chosen = pair_index(potential)
    found = []
    for i, term in enumerate(potential.terms()):
        for name, meta in term.parameters.items():
            meta = _in_units(case, meta, scaled=not isinstance(term, Expression)) if i == chosen else meta
            value = float(np.asarray(_get(term, name)))
            low, high = meta.bounds
            meta = meta._replace(bounds=(min(low, value), max(high, value)))
            found.append(Knob(f"{i}.{name}", meta, value, i == chosen, spell(type(term).__name__)))
    return sorted(found, key=lambda knob: not knob.of_pair)


def turned(potential: Potential, values: Mapping[str, float]) -> Potential:
    """The potential with parameters set from {"<term>.<field>": value}; its shape, and so its program, is unchanged."""
    terms = list(potential.terms())
    for key, value in values.items():
        number, name = key.split(".", 1)
        terms[int(number)] = eqx.tree_at(
            lambda term, name=name: _get(term, name), terms[int(number)], jnp.asarray(value, jnp.float64)
        )
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def spell(name: str) -> str:
    """ "HarmonicBond" -> "harmonic bond"."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def curve(pair, r):
    """(u, -du/dr) of a pair form with its truncation, in kJ/mol and kJ/mol/nm, at distances r (nm)."""
    u, slope, _ = radial_curve(pair, r)
    return u, -slope


def bare_curve(pair, r):
    """u(r) before truncation, kJ/mol."""
    return radial_curve(pair, r)[2]
