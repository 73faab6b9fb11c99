"""jax-md in the contest, in float32, in the fastest of the ways that it offers for a system.

Energies are jax-md's `smap` sums over all pairs, over its dense neighbour list, or over its ordered sparse one;
forces are their `jax.grad`, as jax-md does it; `simulate.nvt_langevin` is the same splitting with the same thermostat
as ours, its kick cut in two halves. A few steps of each way are timed, and the fastest goes into the contest.
Runs in any Python environment that has jax-md: nothing of revmd beyond `turns.py` is imported.
"""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np

from revmd_app.bench.peers.turns import Missing, Problem, options, play

try:
    import jax
    import jax.numpy as jnp
    import jax_md
    from jax_md import partition, simulate, smap, space
except ImportError as error:
    WANTING: str | None = f"jax-md is not installed ({error}): pip install 'revmd[bench]' brings it."
else:
    WANTING = None

STORE_LIMIT = 4e9
"""Bytes beyond which a program is compiled, and its need told, but not run."""
SAMPLES_EVERY = 20
WAYS = ("all pairs", "dense list", "sparse list")
ALL_PAIRS_UP_TO = 1500
"""Atoms beyond which summing over all pairs is not even tried."""
CAPACITY = 1.35
TRIAL_STEPS = 20


class Energy:
    """The potential energy of the problem in one of `WAYS`, with its parameters as arguments."""

    def __init__(self, problem: Problem, hamiltonian: str, way: str):
        self.problem, self.hamiltonian, self.way = problem, hamiltonian, way
        self.real = jnp.result_type(float).type
        meta, arrays = problem.meta, problem.arrays
        self.box = jnp.asarray(arrays["box"], self.real)
        self.displacement, self.shift = space.periodic(self.box)
        self.distance = space.metric(self.displacement)
        has_lj = np.arange(problem.n_atoms) < meta["lj"]["atoms"]
        self.sites = {"site": jnp.asarray(has_lj, self.real)}
        if "coulomb" in meta:
            self.sites["charge"] = jnp.asarray(arrays["charges"] / arrays["charges"][0], self.real)
        self.inside = jnp.asarray(problem.inside, jnp.int32)
        combined = {} if has_lj.all() else {name: (jnp.multiply, values) for name, values in self.sites.items()}
        if way == "all pairs":
            self.pairs = smap.pair(self.pair_energy, self.distance, ignore_unused_parameters=False, **combined)
        else:
            self.pairs = smap.pair_neighbor_list(self.pair_energy, self.distance, **combined)

    def parameters(self) -> dict[str, Any]:
        """What a gradient is taken in: the same numbers as in our potential."""
        meta = self.problem.meta
        numbers = {"sigma": meta["lj"]["sigma"], "epsilon": meta["lj"]["epsilon"]}
        if "coulomb" in meta:
            numbers["q"] = float(self.problem.arrays["charges"][0])
            numbers |= {"bond_k": meta["bond"]["k"], "bond_r0": meta["bond"]["r0"]}
            numbers |= {"angle_k": meta["angle"]["k"], "angle_theta0": meta["angle"]["theta0"]}
        return {name: self.real(value) for name, value in numbers.items()}

    def neighbours(self, positions):
        """An allocated neighbour list, or None where all pairs are summed."""
        if self.way == "all pairs":
            return None
        meta = self.problem.meta
        form = partition.Dense if self.way == "dense list" else partition.OrderedSparse
        mask = self._without_partners if len(self.inside) else None
        make = partition.neighbor_list(
            self.displacement,
            self.box,
            meta["cutoff"],
            dr_threshold=meta["skin"],
            capacity_multiplier=CAPACITY,
            custom_mask_function=mask,
            format=form,
        )
        return make.allocate(positions)

    def _without_partners(self, candidates):
        """Candidates (N, K) without atoms of the same molecule: the list's way to write none is the number N."""
        molecule = jnp.asarray(self.problem.arrays["molecule"], jnp.int32)
        n = len(molecule)
        same = molecule[jnp.minimum(candidates, n - 1)] == molecule[:, None]
        return jnp.where(same, n, candidates)

    def __call__(self, positions, neighbor=None, *, parameters, **_):
        values = {name: parameters[name] for name in ("sigma", "epsilon", "q") if name in parameters}
        if self.way == "all pairs":
            energy = self.pairs(positions, **values)
            if len(self.inside):
                energy = energy - self._partners(positions, values)
        else:
            energy = self.pairs(positions, neighbor, **values)
        return energy + self._bonded(positions, parameters) if "bond_k" in parameters else energy

    def pair_energy(self, r, sigma, epsilon, q=None, site=1.0, charge=0.0):
        """u(r), truncated; r = 0 stands for no pair at all."""
        rc = self.problem.meta["cutoff"]
        near = (r > 0) & (r < rc)
        r = jnp.where(near, r, 0.5 * rc)
        energy = site * self._lennard_jones(r, sigma, epsilon)
        if q is not None:
            energy = energy + charge * q * q * self._reaction_field(r)
        return jnp.where(near, energy, 0.0)

    def _lennard_jones(self, r, sigma, epsilon):
        rc, start = self.problem.meta["cutoff"], self.problem.meta["switch_start"]
        s6 = (sigma / r) ** 6
        bare = 4 * epsilon * (s6 * s6 - s6)
        if self.hamiltonian == "built-in":
            t = jnp.clip((r / rc - start) / (1 - start), 0.0, 1.0)
            return bare * (1 - t * t * t * (10 - 15 * t + 6 * t * t))
        c6 = (sigma / rc) ** 6
        slope = 4 * epsilon * (6 * c6 - 12 * c6 * c6) / rc
        return bare - 4 * epsilon * (c6 * c6 - c6) - (r - rc) * slope

    def _reaction_field(self, r):
        rc, coulomb = self.problem.meta["cutoff"], self.problem.meta["coulomb"]
        eps = coulomb["epsilon_rf"]
        k, c = (eps - 1) / (2 * eps + 1) / rc**3, 3 * eps / (2 * eps + 1) / rc
        bare = 1 / r + k * r * r - c
        if self.hamiltonian == "shifted":
            bare = bare - (r - rc) * (2 * k * rc - 1 / rc**2)
        return coulomb["constant"] * bare

    def _partners(self, positions, values):
        """What the sum over all pairs counts within molecules, where nothing is to be counted."""
        i, j = self.inside[:, 0], self.inside[:, 1]
        r = space.map_bond(self.distance)(positions[i], positions[j])
        sites = {name: each[i] * each[j] for name, each in self.sites.items()}
        return jnp.sum(self.pair_energy(r, **values, **sites))

    def _bonded(self, positions, parameters):
        between = space.map_bond(self.displacement)
        bonds, angles = (jnp.asarray(self.problem.arrays[name], jnp.int32) for name in ("bonds", "angles"))
        d = between(positions[bonds[:, 0]], positions[bonds[:, 1]])
        stretch = jnp.sqrt(jnp.sum(d * d, axis=1)) - parameters["bond_r0"]
        a = between(positions[angles[:, 0]], positions[angles[:, 1]])
        b = between(positions[angles[:, 2]], positions[angles[:, 1]])
        across = jnp.cross(a, b)
        angle = jnp.arctan2(jnp.sqrt(jnp.sum(across * across, axis=1)), jnp.sum(a * b, axis=1))
        bend = angle - parameters["angle_theta0"]
        return 0.5 * (parameters["bond_k"] * jnp.sum(stretch * stretch) + parameters["angle_k"] * jnp.sum(bend * bend))


class Run:
    """One energy with jax-md's Langevin integrator."""

    def __init__(self, problem: Problem, hamiltonian: str, way: str):
        self.energy = Energy(problem, hamiltonian, way)
        meta, arrays = problem.meta, problem.arrays
        self.parameters = self.energy.parameters()
        real = self.energy.real
        self.positions = jnp.asarray(arrays["positions"].T, real)
        kT = meta["boltzmann"] * meta["temperature"]
        begin, self.apply = simulate.nvt_langevin(self.energy, self.energy.shift, meta["dt"], kT, meta["friction"])
        self.neighbours = self.energy.neighbours(self.positions)
        masses = jnp.asarray(arrays["masses"], real)
        momenta = masses[:, None] * jnp.asarray(arrays["velocities"].T, real)
        more = {"neighbor": self.neighbours, "parameters": self.parameters}
        self.state = begin(jax.random.PRNGKey(0), self.positions, mass=masses, momenta=momenta, **more)
        self.many = jax.jit(self._many)

    def _step(self, carry, parameters):
        state, neighbours = carry
        if neighbours is not None:
            neighbours = neighbours.update(jax.lax.stop_gradient(state.position))
        return self.apply(state, neighbor=neighbours, parameters=parameters), neighbours

    def _many(self, state, neighbours, steps):
        body = lambda _, carry: self._step(carry, self.parameters)
        return jax.lax.fori_loop(0, steps, body, (state, neighbours))

    def go(self, steps: int) -> None:
        """Make some steps, from where the last ones ended."""
        self.state, self.neighbours = jax.block_until_ready(self.many(self.state, self.neighbours, steps))
        if self.neighbours is not None and bool(self.neighbours.did_buffer_overflow):
            raise RuntimeError("jax-md's neighbour list overflowed.")

    def loss(self, parameters, state, neighbours, samples: int, every: int):
        """The mean potential energy of a run, as jax.grad sees it."""

        def step(carry, _):
            return self._step(carry, parameters), None

        def sample(carry, _):
            carry, _ = jax.lax.scan(step, carry, length=every)
            return carry, self.energy(carry[0].position, carry[1], parameters=parameters)

        _, energies = jax.lax.scan(sample, (state, neighbours), length=samples)
        return jnp.mean(energies)


class JaxMd:
    """jax-md's programs for one problem."""

    def __init__(self, problem: Problem):
        if WANTING is not None:
            raise Missing(WANTING)
        self.problem = problem
        self.runs: dict[str, Run] = {}
        self.gradients: dict[str, Any] = {}

    def about(self):
        version = getattr(jax_md, "__version__", None) or _version()
        return {"name": "jax-md", "version": version, "jax": jax.__version__, "precision": "float32"}

    def prepare(self, program: str, steps: int):
        kind, how = program.split(maxsplit=1)
        if kind == "gradient":
            return self._prepare_gradient(program, steps)
        if kind == "start":
            Run(self.problem, "shifted", how).go(1)
            return {}
        run, known = self._fastest(how)
        self.runs[how] = run
        return known

    def _fastest(self, hamiltonian: str):
        ways = WAYS if self.problem.n_atoms <= ALL_PAIRS_UP_TO else WAYS[1:]
        tried: dict[str, tuple[float, float, Run]] = {}
        for way in ways:
            began = time.perf_counter()
            run = Run(self.problem, hamiltonian, way)
            run.go(1)
            compiled = time.perf_counter()
            run.go(TRIAL_STEPS)
            tried[way] = ((time.perf_counter() - compiled) / TRIAL_STEPS, compiled - began, run)
        best = min(tried, key=lambda way: tried[way][0])
        times = ", ".join(f"{way} {1e6 * tried[way][0]:,.0f} µs" for way in tried)
        return tried[best][2], {"compile_seconds": tried[best][1], "note": f"{best} (a step: {times})", "way": best}

    def _prepare_gradient(self, program: str, steps: int):
        run = self.runs.get("shifted") or self._fastest("shifted")[0]
        every = min(SAMPLES_EVERY, steps)
        loss = functools.partial(run.loss, samples=steps // every, every=every)
        neighbours = run.energy.neighbours(run.positions)
        began = time.perf_counter()
        arguments = (run.parameters, run.state, neighbours)
        compiled = jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile()
        memory: Any = compiled.memory_analysis()
        need = memory.temp_size_in_bytes + memory.output_size_in_bytes + memory.argument_size_in_bytes
        known = {"compile_seconds": time.perf_counter() - began, "bytes": int(need), "note": run.energy.way}
        if need > STORE_LIMIT:
            return {**known, "too_large": True}
        self.gradients[program] = (functools.partial(compiled, *arguments), steps)
        return known

    def run(self, program: str, steps: int) -> int:
        kind, how = program.split()
        if kind == "forward":
            self.runs[how].go(steps)
            return steps
        compiled, length = self.gradients[program]
        if not all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(compiled())):
            raise RuntimeError("the loss or its gradient is not finite.")
        return length

    def energy_and_forces(self, hamiltonian: str):
        """In double precision: jax-md's own float32 positions move the stiff bonds of water by a ten-thousandth."""
        way = self.runs[hamiltonian].energy.way if hamiltonian in self.runs else WAYS[1]
        jax.config.update("jax_enable_x64", True)
        try:
            energy = Energy(self.problem, hamiltonian, way)
            positions = jnp.asarray(self.problem.arrays["positions"].T)
            more = {"neighbor": energy.neighbours(positions), "parameters": energy.parameters()}
            value, gradient = jax.jit(jax.value_and_grad(lambda x: energy(x, **more)))(positions)
            return float(value), -np.asarray(gradient).T
        finally:
            jax.config.update("jax_enable_x64", False)


def _version() -> str:
    from importlib.metadata import version

    return version("jax-md")


def main() -> None:
    """Take turns until the contest is over."""
    chosen = options()
    play(lambda: JaxMd(Problem.load(chosen.problem)))


if __name__ == "__main__":
    main()
