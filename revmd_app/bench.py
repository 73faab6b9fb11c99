"""`revmd bench`: what a gradient costs, in time and memory, next to the other ways of getting the same number.

Every method runs the same steps of the same system in one process; rounds are interleaved and the median is
reported, so that a busy machine slows all of them alike. Memory is what XLA reserves for the compiled program.
Large systems run on a neighbour list; JAX's own reverse mode cannot go back through its rebuilding and sums
over all pairs.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.simulate import simulate
from revmd_app.gradients.estimate import reserved_bytes
from revmd_app.systems import prepared

METHODS = ("forward", "reversible", "checkpointed", "reverse_mode")
STORE_LIMIT = 4e9
"""Bytes beyond which a program is not run, only its need reported."""


class Measurement(NamedTuple):
    """One row: seconds and bytes of one method for one system."""

    system: str
    method: str
    n_steps: int
    microseconds_per_step: float
    bytes: int


def program(case, n_steps: int, method: str):
    """(compiled program, arguments): the mean potential energy of one run ("forward"), or that and its gradient."""
    every = max(1, n_steps // 10)
    dynamic, static = eqx.partition(case.potential, eqx.is_inexact_array)

    def loss(dynamic, state, key):
        energies = simulate(
            case.system,
            eqx.combine(dynamic, static),
            case.settings,
            observe=lambda snapshot: snapshot.potential.energy(snapshot),
            n_steps=n_steps,
            sample_every=every,
            key=key,
            state=state,
            method="reversible" if method == "forward" else method,
        )
        return jnp.mean(energies)

    arguments = (dynamic, case.state, jax.random.key(0))
    function = loss if method == "forward" else jax.value_and_grad(loss)
    return jax.jit(function).lower(*arguments).compile(), arguments


def interleaved(programs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each program over interleaved rounds (each has run once before)."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for program in programs.values():
        jax.block_until_ready(program())
    for _ in range(rounds):
        for name, program in programs.items():
            began = time.perf_counter()
            jax.block_until_ready(program())
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def measure(n_atoms: int, n_steps: int, rounds: int) -> list[Measurement]:
    """Forward run and gradient by every method, for liquid argon."""
    case = prepared("argon", n_atoms)
    programs: dict[str, Callable[[], object]] = {}
    needs = {}
    for method in METHODS:
        compiled, arguments = program(case, n_steps, method)
        needs[method] = reserved_bytes(compiled)
        if needs[method] < STORE_LIMIT:
            programs[method] = functools.partial(compiled, *arguments)
    seconds = interleaved(programs, rounds)
    name = f"argon {n_atoms}"
    return [
        Measurement(name, method, n_steps, 1e6 * seconds.get(method, float("nan")) / n_steps, needs[method])
        for method in METHODS
    ]


def memory_growth(n_atoms: int, lengths=(1_000, 10_000, 100_000)) -> list[tuple[int, int]]:
    """(steps, bytes) of the reversible gradient, from the compiled programs alone."""
    case = prepared("argon", n_atoms)
    return [(n, reserved_bytes(program(case, n, "reversible")[0])) for n in lengths]


def show(rows: list[Measurement]) -> None:
    """Print a table with the ratios that matter."""
    forward = rows[0].microseconds_per_step
    print(f"{'system':12} {'method':14} {'steps':>7} {'µs/step':>10} {'/ forward':>10} {'memory':>12}")
    for row in rows:
        ratio = row.microseconds_per_step / forward
        need = f"{row.bytes / 1e6:.1f} MB"
        took = "not run" if np.isnan(ratio) else f"{row.microseconds_per_step:.0f}"
        print(f"{row.system:12} {row.method:14} {row.n_steps:7d} {took:>10} {ratio:10.2f} {need:>12}")


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="revmd bench", description=__doc__.split("\n")[0])
    parser.add_argument("--atoms", type=int, nargs="+", default=[216, 1000], help="sizes of liquid argon")
    parser.add_argument("--steps", type=int, default=200, help="steps a run")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds, of which the median is taken")
    options = parser.parse_args(argv)
    machine = f"{platform.machine()}, {os.cpu_count()} logical cores"
    print(f"{machine}, Python {platform.python_version()}, jax {jax.__version__}")
    for n_atoms in options.atoms:
        show(measure(n_atoms, options.steps, options.rounds))
        growth = ", ".join(f"{need / 1e6:.2f} MB for {n:,} steps" for n, need in memory_growth(n_atoms))
        print(f"{'':12} the reversible gradient reserves {growth}\n")
    return 0
