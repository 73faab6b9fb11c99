"""OpenMM in the contest: its CPU platform, with the same Hamiltonian and the same Langevin-middle step.

"forward shifted" writes the force-shifted pair energies as custom forces; "forward built-in" uses OpenMM's own
nonbonded force, its fastest, with the switched Lennard-Jones energy and its own reaction field.
"""

from __future__ import annotations

import itertools
import time

import numpy as np

from revmd_app.bench.peers.turns import Missing, Problem, options, play


class OpenMM:
    """One context for each Hamiltonian, which goes on from turn to turn."""

    def __init__(self, problem: Problem, threads: int, platform: str = "CPU"):
        try:
            import openmm
        except ImportError as error:
            raise Missing("OpenMM is not installed: pip install 'revmd[bench]' brings it.") from error
        self.mm, self.problem, self.threads = openmm, problem, threads
        self.platform = openmm.Platform.getPlatformByName(platform)
        self.contexts: dict = {}

    def about(self):
        version = self.mm.version.version
        return {"name": f"OpenMM ({self.platform.getName()} platform)", "version": version, "threads": self.threads}

    def prepare(self, program: str, steps: int):
        began = time.perf_counter()
        kind, hamiltonian = program.split(maxsplit=1)
        self.contexts[program] = self._context("shifted" if kind == "start" else hamiltonian)
        self.run(program, 1)
        return {"compile_seconds": time.perf_counter() - began}

    def run(self, program: str, steps: int) -> int:
        context = self.contexts[program]
        context.getIntegrator().step(steps)
        context.getState(getPositions=True)  # waits until the steps are made
        return steps

    def energy_and_forces(self, hamiltonian: str):
        state = self._context(hamiltonian).getState(getEnergy=True, getForces=True)
        return state.getPotentialEnergy()._value, np.array(state.getForces(asNumpy=True)._value).T

    def _context(self, hamiltonian: str):
        mm, meta, arrays = self.mm, self.problem.meta, self.problem.arrays
        system = mm.System()
        for mass in arrays["masses"]:
            system.addParticle(float(mass))
        system.setDefaultPeriodicBoxVectors(*(mm.Vec3(*map(float, row)) for row in np.diag(arrays["box"])))
        nonbonded = self._shifted() if hamiltonian == "shifted" else self._built_in()
        for force in (*nonbonded, *self._bonded()):
            system.addForce(force)
        integrator = mm.LangevinMiddleIntegrator(meta["temperature"], meta["friction"], meta["dt"])
        integrator.setRandomNumberSeed(1)
        named = {"Threads": str(self.threads)} if self.platform.getName() == "CPU" and self.threads else {}
        context = mm.Context(system, integrator, self.platform, named)
        context.setPositions(arrays["positions"].T)
        context.setVelocities(arrays["velocities"].T)
        return context

    def _shifted(self):
        """u(r) - u(rc) - (r - rc) u'(rc) as OpenMM's custom force, for each of the two pair energies."""
        meta, lj = self.problem.meta, self.problem.meta["lj"]
        rc, eps = meta["cutoff"], lj["epsilon"]
        s6 = (lj["sigma"] / rc) ** 6
        at_rc, slope = 4 * eps * (s6 * s6 - s6), 4 * eps * (6 * s6 - 12 * s6 * s6) / rc
        text = f"4*{eps!r}*(x*x - x) - ({at_rc!r}) - (r - {rc!r})*({slope!r}); x=({lj['sigma']!r}/r)^6"
        pair = self._custom(text)
        if lj["atoms"] < self.problem.n_atoms:
            members = list(range(lj["atoms"]))
            pair.addInteractionGroup(members, members)
        for _ in range(self.problem.n_atoms):
            pair.addParticle([])
        if "coulomb" not in meta:
            return [pair]
        k_rf, c_rf = self._reaction_field()
        slope = -1 / rc**2 + 2 * k_rf * rc
        bare = f"1/r + {k_rf!r}*r*r - {c_rf!r} - (r - {rc!r})*({slope!r})"
        field = self._custom(f"{meta['coulomb']['constant']!r}*q1*q2*({bare})")
        field.addPerParticleParameter("q")
        for charge in self.problem.arrays["charges"]:
            field.addParticle([float(charge)])
        return [pair, field]

    def _custom(self, text: str):
        force = self.mm.CustomNonbondedForce(text)
        force.setNonbondedMethod(self.mm.CustomNonbondedForce.CutoffPeriodic)
        force.setCutoffDistance(self.problem.meta["cutoff"])
        for i, j in self.problem.inside:
            force.addExclusion(int(i), int(j))
        return force

    def _reaction_field(self) -> tuple[float, float]:
        eps, rc = self.problem.meta["coulomb"]["epsilon_rf"], self.problem.meta["cutoff"]
        return (eps - 1) / (2 * eps + 1) / rc**3, 3 * eps / (2 * eps + 1) / rc

    def _built_in(self):
        meta, lj = self.problem.meta, self.problem.meta["lj"]
        force = self.mm.NonbondedForce()
        force.setNonbondedMethod(self.mm.NonbondedForce.CutoffPeriodic)
        force.setCutoffDistance(meta["cutoff"])
        force.setUseSwitchingFunction(True)
        force.setSwitchingDistance(meta["switch_start"] * meta["cutoff"])
        force.setUseDispersionCorrection(False)
        if "coulomb" in meta:
            force.setReactionFieldDielectric(meta["coulomb"]["epsilon_rf"])
        depths = itertools.chain(itertools.repeat(lj["epsilon"], lj["atoms"]), itertools.repeat(0.0))
        for charge, depth in zip(self.problem.arrays["charges"], depths, strict=False):
            force.addParticle(float(charge), lj["sigma"], depth)
        for i, j in self.problem.inside:
            force.addException(int(i), int(j), 0.0, 1.0, 0.0)
        return [force]

    def _bonded(self):
        meta, arrays = self.problem.meta, self.problem.arrays
        if "bond" not in meta:
            return []
        bonds, angles = self.mm.HarmonicBondForce(), self.mm.HarmonicAngleForce()
        for i, j in arrays["bonds"]:
            bonds.addBond(int(i), int(j), meta["bond"]["r0"], meta["bond"]["k"])
        for i, j, k in arrays["angles"]:
            angles.addAngle(int(i), int(j), int(k), meta["angle"]["theta0"], meta["angle"]["k"])
        for force in (bonds, angles):
            force.setUsesPeriodicBoundaryConditions(True)
        return [bonds, angles]


def main() -> None:
    """Take turns until the contest is over."""
    chosen = options()
    play(lambda: OpenMM(Problem.load(chosen.problem), chosen.threads, chosen.platform))


if __name__ == "__main__":
    main()
