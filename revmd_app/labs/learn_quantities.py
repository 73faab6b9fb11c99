"""The parameters of a water force field as the lab shows them: symbol, unit, start, and published trained values."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from revmd_app.gradients.estimate import flat_leaves, parameter_names
from revmd_app.systems.force_fields import PRESETS, TITLES, water_potential

FORMS = {title: form for form, title in TITLES.items()}
"""The forms by their names on the screen."""
ESTIMATORS = {"reversible": "Reversible", "reweighting": "Reweighting"}
"""The ways to a gradient by their names on the screen."""
PUBLISHED = {"reversible": "Greener 2025, reversible", "reweighting": "Greener 2025, reweighting"}


class Quantity(NamedTuple):
    """One trained parameter: its name in a training's records, its symbol and unit, and its known values."""

    name: str
    label: str
    unit: str
    start: float
    published: dict[str, float]  # by estimator; empty when none was published


@cache
def _values(name: str) -> dict[str, float]:
    """A preset's parameters by name."""
    potential = water_potential(name, 0.6)
    return dict(zip(parameter_names(potential), map(float, flat_leaves(potential)), strict=True))


@cache
def _quantities(form: str) -> tuple[Quantity, ...]:
    start = _values(form)
    trained = {how: _values(f"{form}_{how}") for how in PUBLISHED if f"{form}_{how}" in PRESETS}
    known = {
        f"{type(term).__name__}.{field}": meta
        for term in water_potential(form, 0.6).terms()
        for field, meta in term.parameters.items()
    }
    return tuple(
        Quantity(
            name, known[name].label, known[name].unit, value, {how: values[name] for how, values in trained.items()}
        )
        for name, value in start.items()
    )


def quantities(form: str) -> list[Quantity]:
    """The parameters of a form ("lennard_jones", …), in the order in which they are trained."""
    return list(_quantities(form))
