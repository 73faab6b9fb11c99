"""The systems that ship: liquid and crystalline argon, flexible water, and toys with known answers.

`argon()`, `water()`, ... build a lattice start; `prepared(name, n)` gives the equilibrated state. `CASES` is the menu.
"""

from revmd_app.systems.argon import argon
from revmd_app.systems.case import Case
from revmd_app.systems.crystal import argon_crystal
from revmd_app.systems.menu import CASES, MenuEntry, build
from revmd_app.systems.oxygen_in_water import oxygen_in_water
from revmd_app.systems.prepare import equilibrate, prepared
from revmd_app.systems.toy import double_well, harmonic_oscillator, lennard_jones_fluid, muller_brown
from revmd_app.systems.water import water

__all__ = [
    "CASES",
    "Case",
    "MenuEntry",
    "argon",
    "argon_crystal",
    "build",
    "double_well",
    "equilibrate",
    "harmonic_oscillator",
    "lennard_jones_fluid",
    "muller_brown",
    "oxygen_in_water",
    "prepared",
    "water",
]
