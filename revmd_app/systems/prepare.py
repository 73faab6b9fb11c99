"""From a lattice to a liquid: equilibration by our own engine, and the states that ship or are cached.

    lattice -> FIRE minimisation -> Maxwell-Boltzmann velocities -> hot Langevin run (melts the lattice)
            -> Langevin run at the temperature -> centre of mass brought to rest

`prepared(name, n, seed)` takes a state that ships with the package, else one from the user's cache directory, else
builds and caches it. `revmd prepare` does the same from the command line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp

from revmd_app import __version__
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.minimise import minimise
from revmd_app.engine.simulate import advance
from revmd_app.systems import store
from revmd_app.systems.case import Case, at_rest, maxwell_boltzmann, start
from revmd_app.systems.menu import CASES, build, entry


@dataclass(frozen=True)
class Protocol:
    """How a lattice becomes a liquid: friction (1/ps), steps, and how hot the melt is relative to the target."""

    friction: float
    melt_steps: int
    melt_factor: float
    steps: int
    force_tolerance: float  # kJ/mol/nm: enough that the first steps do not explode


PROTOCOLS = {
    "argon": Protocol(friction=5.0, melt_steps=1500, melt_factor=2.0, steps=5000, force_tolerance=50.0),  # 6 + 20 ps
    "water": Protocol(friction=5.0, melt_steps=8000, melt_factor=1.5, steps=40_000, force_tolerance=500.0),  # 4 + 20 ps
    "oxygen_in_water": Protocol(
        friction=5.0, melt_steps=4000, melt_factor=1.5, steps=20_000, force_tolerance=500.0
    ),  # 4 + 20 ps
    "lennard_jones_fluid": Protocol(friction=1.0, melt_steps=2000, melt_factor=3.0, steps=5000, force_tolerance=50.0),
}
"""Systems without a protocol (the external landscapes) are ready as they are built."""


def prepared(name: str, n: int, seed: int = 0, precision: str = "float32", cache: bool = True, **options) -> Case:
    """The equilibrated state of a system of the menu, with its potential, settings and reference data.

    `options` are the builder's (density, temperature, ...). Built on first use when neither the package nor the cache
    has it (seconds for argon, minutes for a large water box); the same name, size, seed and options give the same
    state. Raises `ValueError` for an unknown name or a bad size.
    """
    case = build(name, n, seed=seed, precision=precision, **options)
    if name not in PROTOCOLS:
        return replace(case, equilibrated=True)
    state = store.load(case)
    if state is None:
        case = equilibrate(case)
        if cache:
            store.save_in_cache(case)
        return case
    return case.with_state(state)


def equilibrate(case: Case) -> Case:
    """Melt and equilibrate a case from its lattice start, reproducibly (its recipe's seed).

    Raises `SimulationError` when a run explodes.
    """
    if case.name not in PROTOCOLS:
        raise ValueError(f"'{case.name}' has no way to be equilibrated; {', '.join(PROTOCOLS)} have.")
    protocol = PROTOCOLS[case.name]
    seed = case.recipe["seed"]
    melting, cooling = jax.random.split(jax.random.key(seed))
    minimum = minimise(case.system, case.potential, case.settings, case.state, force_tolerance=protocol.force_tolerance)
    hot = _with(case.settings, protocol, protocol.melt_factor)
    velocities = maxwell_boltzmann(case.system, float(hot.temperature), seed)
    positions = to_snapshot(case.system, minimum.state, case.settings).unwrapped
    state = start(case.system, positions, velocities)
    for settings, n_steps, key in (
        (hot, protocol.melt_steps, melting),
        (_with(case.settings, protocol, 1.0), protocol.steps, cooling),
    ):
        state, _, report = advance(case.system, case.potential, settings, state, key, n_steps)
        report.check()
    return case.with_state(_settled(case, settings, state))


def _with(settings: Settings, protocol: Protocol, factor: float) -> Settings:
    return eqx.tree_at(
        lambda s: (s.friction, s.temperature), settings, (jnp.asarray(protocol.friction), factor * settings.temperature)
    )


def _settled(case: Case, settings: Settings, state):
    """The state at step 0 in its first image, with the centre of mass at rest, in the bits that are stored."""
    snapshot = to_snapshot(case.system, state, replace(settings, precision="float64"))
    resting = start(case.system, snapshot.centred_positions, at_rest(case.system, snapshot.velocity))
    return store.unpack(*store.pack(resting))


def main(arguments: Sequence[str] | None = None) -> int:
    """`revmd prepare`: equilibrate what ships with the package, or one system into the cache. Returns the exit
    status."""
    parser = argparse.ArgumentParser(
        prog="revmd prepare",
        description="Build and equilibrate systems from a lattice. Without a system: all that ship with the package.",
    )
    names = ", ".join(PROTOCOLS)
    parser.add_argument("system", nargs="?", help=f"which system: {names}")
    parser.add_argument("size", nargs="?", type=int, help="how many atoms or molecules")
    parser.add_argument("--seed", type=int, default=0, help="seed of the lattice, the velocities and the noise")
    parser.add_argument(
        "--to", type=Path, help="folder to write to (default: the package's, or the cache for one system)"
    )
    parser.add_argument(
        "--reference", action="store_true", help="instead, compute argon's reference g(r) (some minutes)"
    )
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    if options.reference:
        from revmd_app.systems.argon_rdf import write_reference

        write_reference(options.to or Path(str(resources.files("revmd_app.data"))))
        return 0
    if options.system is None:
        _ship(options.to or store.shipped_folder(), options.seed)
        return 0
    if options.size is None:
        raise ValueError(f"say how large: 'revmd prepare {options.system} {entry(options.system).suggested[0]}'.")
    _timed(options.system, options.size, options.seed, options.to or store.cache_folder())
    return 0


def _ship(folder: Path, seed: int) -> None:
    """Equilibrate every shipped state and write how that was done beside them."""
    made = {}
    for menu_entry in CASES.values():
        for n in menu_entry.shipped:
            path, seconds, case = _timed(menu_entry.name, n, seed, folder)
            made[path.name] = {"recipe": case.recipe, "seconds": round(seconds, 1), "method": method(case)}
    record = {"command": "revmd prepare", "versions": versions(), "states": made}
    (folder / "prepared.json").write_text(json.dumps(record, indent=1) + "\n")


def _timed(name: str, n: int, seed: int, folder: Path):
    lattice = build(name, n, seed=seed)
    print(f"{name} {n:,}: equilibrating ...", flush=True)
    begin = time.perf_counter()
    case = equilibrate(lattice)
    seconds = time.perf_counter() - begin
    path = store.save(case, folder)
    print(f"{name} {n:,}: {seconds:.0f} s, written to {path}", flush=True)
    return path, seconds, case


def method(case: Case) -> str:
    """How `equilibrate` treats a case, in a sentence."""
    p, dt, t = PROTOCOLS[case.name], float(case.settings.dt), float(case.settings.temperature)
    ps, kelvin = (" ps", " K") if case.units == "md" else ("", "")
    return (
        f"fcc lattice; FIRE until no force exceeds {p.force_tolerance:g} kJ/mol/nm; Langevin-middle with friction "
        f"{p.friction:g}/ps and dt {dt:g}{ps}: {p.melt_steps * dt:g}{ps} at {p.melt_factor * t:g}{kelvin}, then "
        f"{p.steps * dt:g}{ps} at {t:g}{kelvin}; centre of mass brought to rest"
    )


def versions() -> dict[str, str]:
    """The versions that a prepared state was made with."""
    return {"revmd": __version__, "jax": jax.__version__, "python": sys.version.split()[0]}
