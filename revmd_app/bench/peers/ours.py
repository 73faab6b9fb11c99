"""Our engine in the contest: plain steps, and the gradient of one loss by each method."""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app import __version__
from revmd_app.bench.peers.problem import SWITCH_START
from revmd_app.bench.peers.turns import Problem, options, play
from revmd_app.engine.simulate import advance, simulate
from revmd_app.gradients.estimate import reserved_bytes
from revmd_app.potentials.base import PairPotential, Sum
from revmd_app.potentials.pair import LennardJones
from revmd_app.systems import prepared
from revmd_app.systems.case import Case

STORE_LIMIT = 4e9
"""Bytes beyond which a program is compiled, and its need told, but not run."""
SAMPLES_EVERY = 20
"""Steps between two samples of the loss, the mean potential energy."""


def truncated(potential, hamiltonian: str):
    """The potential of a case with the truncation of one of `turns.HAMILTONIANS`."""

    def cut(term):
        if not isinstance(term, PairPotential):
            return term
        if hamiltonian == "shifted":
            return dataclasses.replace(term, truncation="shifted")
        built_in = "switched" if isinstance(term, LennardJones) else "plain"
        return dataclasses.replace(term, truncation=built_in, switch_start=SWITCH_START)

    terms = tuple(cut(term) for term in potential.terms())
    return terms[0] if len(terms) == 1 else Sum(terms)


def loss_program(case: Case, n_steps: int, method: str):
    """(compiled program, arguments): the mean potential energy of one run ("loss"), or that and its gradient."""
    dynamic, static = eqx.partition(case.potential, eqx.is_inexact_array)

    def loss(dynamic, state, key):
        energies = simulate(
            case.system,
            eqx.combine(dynamic, static),
            case.settings,
            observe=lambda snapshot: snapshot.potential.energy(snapshot),
            n_steps=n_steps,
            sample_every=min(SAMPLES_EVERY, n_steps),
            key=key,
            state=state,
            method="reversible" if method == "loss" else method,
        )
        return jnp.mean(energies)

    arguments = (dynamic, case.state, jax.random.key(0))
    function = loss if method == "loss" else jax.value_and_grad(loss)
    return jax.jit(function).lower(*arguments).compile(), arguments


class Revmd:
    """A case of ours; its forward state goes on from turn to turn."""

    def __init__(self, case: Case):
        self.case = case
        self.states: dict[str, Any] = {}
        self.programs: dict[str, Any] = {}

    def about(self):
        return {"name": "revmd", "version": __version__, "jax": jax.__version__, "precision": "float32 forces"}

    def prepare(self, program: str, steps: int):
        began = time.perf_counter()
        kind, how = program.split(maxsplit=1)
        if kind == "start":
            self.states[program := "forward shifted"] = self.case.state
            self.run(program, 1)
            return {}
        if kind == "forward":
            self.states[program] = self.case.state
            self.run(program, 1)
            return {"compile_seconds": time.perf_counter() - began}
        compiled, arguments = loss_program(self.case, steps, how)
        known = {"compile_seconds": time.perf_counter() - began, "bytes": reserved_bytes(compiled)}
        if known["bytes"] > STORE_LIMIT:
            return {**known, "too_large": True}
        self.programs[program] = (functools.partial(compiled, *arguments), steps)
        return known

    def run(self, program: str, steps: int) -> int:
        kind, how = program.split()
        if kind == "forward":
            case, state = self.case, self.states[program]
            potential = truncated(case.potential, how)
            state, _, report = advance(case.system, potential, case.settings, state, jax.random.key(0), steps)
            report.check()
            self.states[program] = jax.block_until_ready(state)
            return steps
        compiled, length = self.programs[program]
        if not all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(compiled())):
            raise RuntimeError("the loss or its gradient is not finite.")
        return length

    def energy_and_forces(self, hamiltonian: str):
        """In double precision: what the others are measured against."""
        exact = dataclasses.replace(self.case.settings, precision="float64")
        snapshot = dataclasses.replace(self.case, settings=exact).snapshot(truncated(self.case.potential, hamiltonian))
        both = eqx.filter_jit(lambda s: (s.potential.energy(s), s.potential.forces(s)))(snapshot)
        return float(both[0]), np.asarray(both[1])


def main() -> None:
    """Take turns until the contest is over."""
    meta = Problem.load(options().problem).meta
    play(lambda: Revmd(prepared(meta["name"], meta["n"])))


if __name__ == "__main__":
    main()
