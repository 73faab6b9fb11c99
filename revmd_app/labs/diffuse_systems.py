"""What Lab 5 offers: boxes of oxygen in water, their force fields, and the knobs of the potential."""

from __future__ import annotations

from revmd_app.labs.knobs import Knob
from revmd_app.potentials.base import Potential
from revmd_app.potentials.mixing import GUEST
from revmd_app.systems import force_fields
from revmd_app.systems.case import Case
from revmd_app.systems.oxygen_in_water import oxygen_potential, usual_oxygen
from revmd_app.systems.prepare import prepared

SYSTEM = "oxygen_in_water"
SIZES: dict[str, int] = {f"{usual_oxygen(n)} O₂ in {n} waters": n for n in (60, 208)}
"""The number of waters of each box; the published one has 885, a box for other machines than a laptop."""
_WORDS = {"diffusion_start": "start", "diffusion": "trained"}
FORCE_FIELDS: dict[str, str] = {
    f"{force_fields.TITLES[field.form]}, {_WORDS[name.removeprefix(field.form + '_')]}": name
    for name, field in force_fields.PRESETS.items()
    if field.gas is not None
}
"""Names of presets by what the menu calls them."""
OF_WATER = "of the water"


def liquid(n: int) -> Case:
    """The equilibrated box with so many waters."""
    return prepared(SYSTEM, n)


def potential_of(case: Case, name: str) -> Potential:
    """The potential of a preset with the cutoff of the case."""
    return oxygen_potential(name, float(case.potential.terms()[0].host.cutoff))


def knobs_of(potential: Potential) -> list[Knob]:
    """The gas's parameters first, then those of the water's sites and charges; springs are left alone."""
    found = []
    for i, term in enumerate(potential.terms()[:2]):
        for name, meta in term.parameters.items():
            value = float(getattr(term, name))
            low, high = meta.bounds
            meta = meta._replace(bounds=(min(low, value), max(high, value)))
            of_gas = name.startswith(GUEST)
            found.append(Knob(f"{i}.{name}", meta, value, of_gas, "gas" if of_gas else OF_WATER))
    return sorted(found, key=lambda knob: not knob.of_pair)
