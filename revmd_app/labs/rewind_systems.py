"""What Lab 2 offers to run backwards, and how far its controls may go."""

from __future__ import annotations

from typing import NamedTuple

from revmd_app.systems.argon import EPSILON
from revmd_app.systems.case import Case
from revmd_app.systems.crystal import argon_crystal
from revmd_app.systems.prepare import prepared

Range = tuple[float, float]


class Choice(NamedTuple):
    """A system of the lab: its name and size, its own control values, and their bounds."""

    name: str
    n: int
    temperature: Range  # K
    time_step: Range  # fs
    sigma: Range  # nm
    epsilon: Range  # kJ/mol
    defaults: dict[str, float]
    length: int  # steps of a run that is worth looking at


ARGON = {"temperature": (10.0, 600.0), "time_step": (1.0, 16.0), "sigma": (0.30, 0.37), "epsilon": (0.2, 3.0)}
WATER = {"temperature": (200.0, 450.0), "time_step": (0.1, 1.5), "sigma": (0.29, 0.34), "epsilon": (0.2, 1.2)}
CRYSTAL = {"temperature": 300.0, "friction": 1.0, "dt": 0.004, "sigma": 0.34, "epsilon": EPSILON}
LIQUID = {**CRYSTAL, "temperature": 94.4}
MOLECULES = {"temperature": 298.15, "friction": 1.0, "dt": 0.0005, "sigma": 0.315, "epsilon": 0.636}

SYSTEMS: dict[str, Choice] = {
    "Argon crystal, 108 atoms": Choice("argon_crystal", 108, **ARGON, defaults=CRYSTAL, length=20_000),
    "Argon crystal, 216 atoms": Choice("argon_crystal", 216, **ARGON, defaults=CRYSTAL, length=20_000),
    "Argon crystal, 500 atoms": Choice("argon_crystal", 500, **ARGON, defaults=CRYSTAL, length=2_000),
    "Liquid argon, 216 atoms": Choice("argon", 216, **ARGON, defaults=LIQUID, length=10_000),
    "Water, 64 molecules": Choice("water", 64, **WATER, defaults=MOLECULES, length=10_000),
}


def case_of(key: str, temperature: float | None = None) -> Case:
    """The start of a system: a perfect crystal whose atoms move as at a temperature (K), or a liquid in equilibrium.

    Raises `ValueError` for a system that the lab does not offer.
    """
    if key not in SYSTEMS:
        raise ValueError(f"Lab 2 has no system '{key}'; it has {', '.join(SYSTEMS)}.")
    choice = SYSTEMS[key]
    if choice.name != "argon_crystal":
        return prepared(choice.name, choice.n)
    return argon_crystal(choice.n, temperature=choice.defaults["temperature"] if temperature is None else temperature)
