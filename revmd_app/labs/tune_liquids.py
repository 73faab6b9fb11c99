"""The systems that Lab 1 offers, and how far its controls may go in each."""

from __future__ import annotations

from typing import Any, NamedTuple


class Liquid(NamedTuple):
    """A system that the labs offer, and how far its controls may go without tearing it."""

    name: str
    n: int
    temperature: tuple[float, float]
    time_step: tuple[float, float]  # fs (thousandths of the unit of time where units are reduced)
    cutoff: tuple[float, float]
    r_from: float  # where curves begin, nm
    steps: int  # a good speed: steps between two pictures


ARGON: dict[str, Any] = {
    "temperature": (60.0, 300.0),
    "time_step": (1.0, 8.0),
    "cutoff": (0.5, 1.3),
    "r_from": 0.28,
    "steps": 10,
}
WATER: dict[str, Any] = {
    "temperature": (250.0, 400.0),
    "time_step": (0.1, 1.0),
    "cutoff": (0.45, 1.0),
    "r_from": 0.24,
    "steps": 50,
}
FLUID: dict[str, Any] = {
    "temperature": (0.6, 3.0),
    "time_step": (1.0, 8.0),
    "cutoff": (1.5, 3.5),
    "r_from": 0.82,
    "steps": 10,
}

LIQUIDS: dict[str, Liquid] = {
    "Argon, 108 atoms": Liquid("argon", 108, **ARGON),
    "Argon, 216 atoms": Liquid("argon", 216, **ARGON),
    "Argon, 500 atoms": Liquid("argon", 500, **ARGON),
    "Argon, 1000 atoms": Liquid("argon", 1000, **ARGON),
    "Water, 64 molecules": Liquid("water", 64, **WATER),
    "Water, 216 molecules": Liquid("water", 216, **WATER),
    "Toy fluid, 256 atoms": Liquid("lennard_jones_fluid", 256, **FLUID),
}
