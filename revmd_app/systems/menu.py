"""The menu of systems: name, builder, title and sizes, in the order in which an app lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from revmd_app.systems import toy
from revmd_app.systems.argon import SIZES as ARGON_SIZES
from revmd_app.systems.argon import argon
from revmd_app.systems.case import Case
from revmd_app.systems.crystal import CELLS as CRYSTAL_CELLS
from revmd_app.systems.crystal import SIZES as CRYSTAL_SIZES
from revmd_app.systems.crystal import argon_crystal
from revmd_app.systems.oxygen_in_water import SIZES as OXYGEN_SIZES
from revmd_app.systems.oxygen_in_water import oxygen_in_water
from revmd_app.systems.water import SIZES as WATER_SIZES
from revmd_app.systems.water import water


@dataclass(frozen=True)
class MenuEntry:
    """One system of the menu: `builder(n, **options)`, its title, allowed sizes, and sizes worth offering.

    `shipped` are the sizes whose equilibrated state comes with the package; others are built once and cached.
    """

    name: str
    title: str
    builder: Callable[..., Case]
    counted: str  # what n counts
    smallest: int
    largest: int
    suggested: tuple[int, ...]
    shipped: tuple[int, ...] = ()


CASES: dict[str, MenuEntry] = {
    entry.name: entry
    for entry in (
        MenuEntry(
            "argon",
            "Liquid argon",
            argon,
            "atoms",
            *ARGON_SIZES,
            suggested=(108, 216, 500, 1000, 4000),
            shipped=(108, 216, 500, 1000, 4000),
        ),
        MenuEntry(
            "argon_crystal", "Argon crystal", argon_crystal, "atoms", *CRYSTAL_SIZES, suggested=tuple(CRYSTAL_CELLS)
        ),
        MenuEntry(
            "water",
            "Liquid water",
            water,
            "molecules",
            *WATER_SIZES,
            suggested=(64, 216),
            shipped=(64, 216),
        ),
        MenuEntry(
            "oxygen_in_water",
            "Oxygen in water",
            oxygen_in_water,
            "waters",
            *OXYGEN_SIZES,
            suggested=(60, 208, 885),
            shipped=(60, 208),
        ),
        MenuEntry(
            "lennard_jones_fluid",
            "Lennard-Jones fluid (reduced units)",
            toy.lennard_jones_fluid,
            "atoms",
            *toy.FLUID_SIZES,
            suggested=(108, 256, 500),
            shipped=(108, 256),
        ),
        MenuEntry(
            "harmonic_oscillator",
            "Harmonic oscillator",
            toy.harmonic_oscillator,
            "particles",
            *toy.LANDSCAPE_SIZES,
            suggested=(1, 64, 500),
        ),
        MenuEntry(
            "double_well", "Double well", toy.double_well, "particles", *toy.LANDSCAPE_SIZES, suggested=(64, 500)
        ),
        MenuEntry(
            "muller_brown",
            "Müller–Brown surface",
            toy.muller_brown,
            "particles",
            *toy.LANDSCAPE_SIZES,
            suggested=(64, 500),
        ),
    )
}


def build(name: str, n: int, **options) -> Case:
    """The lattice start of a system of the menu. Raises `ValueError` for a name that is not on it or a bad size."""
    return entry(name).builder(n, **options)


def entry(name: str) -> MenuEntry:
    """The menu's entry of that name. Raises `ValueError` when there is none."""
    if name not in CASES:
        raise ValueError(f"there is no system '{name}'; there are {', '.join(CASES)}.")
    return CASES[name]
