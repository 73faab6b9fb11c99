"""Density and enthalpy of vaporisation of water from our engine and from OpenMM, with the same Hamiltonian.

    python -m revmd_app.bench.validation_water --to results.json

Both run flexible TIP3P-like water at 298.15 K and 1 bar: Lennard-Jones between oxygens, switched off with OpenMM's
quintic; reaction field as OpenMM truncates it; harmonic bonds and angles. Both use Langevin-middle steps and a Monte
Carlo barostat that moves whole molecules. OpenMM's forces are its own (`NonbondedForce`), and so is the energy of its
gas: molecules alone, simulated. A third way to the density needs no barostat: our engine at constant volume, and the
molecular pressure there. The replicas start from one equilibrated liquid with different noise. The file is written
after each; a second call goes on from it. `docs/validation.md` shows the outcome.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from revmd_app import units
from revmd_app.engine.barostat import at_constant_pressure, scaled_molecules
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.simulate import advance, simulate
from revmd_app.observables import density, enthalpy_of_vaporisation, isothermal_compressibility
from revmd_app.observables.molecular_pressure import density_at_pressure
from revmd_app.observables.statistics import mean_with_error
from revmd_app.potentials import LennardJones, ReactionField
from revmd_app.systems import prepared
from revmd_app.systems.case import Case

CUTOFF, SWITCH_START = 0.85, 0.85
"""nm; fraction of the cutoff at which Lennard-Jones begins to fall. The box of 216 molecules is 1.86 nm wide."""
TEMPERATURE, BAR, FRICTION, DT = 298.15, 1.0, 1.0, 0.001
TRIAL_EVERY, SAMPLE_EVERY = 50, 400
"""Steps between trials of the barostat, and between samples."""
MEASURED = ("density", "enthalpy", "compressibility")
"""g/cm³, kJ/mol, 1/bar."""
VIRIAL_EVERY = 50
"""Steps between two samples of the pressure."""
KAPPA = 5.35e-5
"""1/bar: the model's compressibility, from the runs at constant pressure."""
STEP = 0.02
"""Largest change of volume that our barostat tries, a fraction of the first one; OpenMM adapts its own."""


def main() -> None:
    """Replicas of both codes, turn by turn."""
    options = _options()
    results: dict[str, Any] = json.loads(options.to.read_text()) if options.to.exists() else {"runs": []}
    case = liquid(options.molecules)
    results["setting"] = _setting(options)
    for replica in range(options.replicas):
        for code, run in CODES.items():
            if any(r["code"] == code and r["replica"] == replica for r in results["runs"]):
                continue
            began = time.perf_counter()
            series = run(case, replica, options)
            seconds = time.perf_counter() - began
            results["runs"].append(
                {"code": code, "replica": replica, "seconds": round(seconds), **_summary(case, series)}
            )
            options.to.write_text(json.dumps(results, indent=1) + "\n")
            print(json.dumps(results["runs"][-1]), flush=True)
    for code in CODES:
        print(code, {name: _over_replicas(results["runs"], code, name) for name in MEASURED})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, required=True, help="the JSON file to write, or to go on with")
    parser.add_argument("--molecules", type=int, default=216, help="how many (216: the cutoff needs 1.7 nm)")
    parser.add_argument("--replicas", type=int, default=5, help="independent runs of each code")
    parser.add_argument("--picoseconds", type=float, default=100.0, help="length of each, after the equilibration")
    parser.add_argument("--equilibration", type=float, default=20.0, help="ps at 1 bar before it")
    parser.add_argument("--threads", type=int, default=1, help="of OpenMM")
    return parser.parse_args()


def _setting(options) -> dict[str, Any]:
    import openmm

    numbers = {"molecules": options.molecules, "picoseconds": options.picoseconds, "bar": BAR, "K": TEMPERATURE}
    versions = {"jax": jax.__version__, "OpenMM": openmm.version.version}
    return {**numbers, "dt_ps": DT, "cutoff_nm": CUTOFF, "switch_from": SWITCH_START, "versions": versions}


def liquid(molecules: int) -> Case:
    """The liquid that ships, with the truncations that both codes have."""
    case = prepared("water", molecules)
    lj, field, *springs = case.potential.terms()
    potential = LennardJones(
        sigma=lj.sigma,
        epsilon=lj.epsilon,
        between=("O", "O"),
        cutoff=CUTOFF,
        truncation="switched",
        switch_start=SWITCH_START,
    ) + ReactionField(charge=field.charge, pattern=field.pattern, cutoff=CUTOFF, truncation="plain")
    for spring in springs:
        potential = potential + spring
    return replace(case, potential=potential, settings=Settings(dt=DT, temperature=TEMPERATURE, friction=FRICTION))


def ours(case: Case, replica: int, options) -> np.ndarray:
    """(samples, 2): density (g/cm³) and enthalpy of vaporisation (kJ/mol) from our engine and barostat."""
    double = replace(case.settings, precision="float64")

    @eqx.filter_jit
    def measured(system, state):
        snapshot = to_snapshot(system, state, double, case.potential)
        return density(snapshot), enthalpy_of_vaporisation(snapshot, TEMPERATURE)

    system, state = case.system, case.state
    step = STEP * float(np.prod(np.asarray(system.box)))  # one width for all trials: it must not follow the volume
    samples = []
    for chunk in range(_chunks(options.equilibration + options.picoseconds)):
        run = at_constant_pressure(
            system,
            case.potential,
            case.settings,
            state,
            jax.random.fold_in(jax.random.key(replica), chunk),
            pressure=BAR / units.BAR_PER_PRESSURE_UNIT,
            n_trials=SAMPLE_EVERY // TRIAL_EVERY,
            interval=TRIAL_EVERY,
            largest_step=step / float(np.prod(np.asarray(system.box))),
            adapt=False,
        )
        system, state = run.system, run.state
        samples.append(measured(system, state))
    return np.array(samples, np.float64)[_chunks(options.equilibration) :]


def theirs(case: Case, replica: int, options) -> np.ndarray:
    """The same from OpenMM."""
    import openmm as mm

    system = openmm_system(case)
    system.addForce(mm.MonteCarloBarostat(BAR, TEMPERATURE, TRIAL_EVERY))
    context = _context(system, case, replica, options.threads)
    gas = openmm_gas_energy(case, replica, options.threads)
    samples = []
    for _ in range(_chunks(options.equilibration + options.picoseconds)):
        context.getIntegrator().step(SAMPLE_EVERY)
        state = context.getState(getEnergy=True)
        volume = state.getPeriodicBoxVolume()._value
        energy = state.getPotentialEnergy()._value / case.system.n_molecules
        samples.append((units.GRAM_PER_CM3 * _mass(case) / volume, gas - energy + units.BOLTZMANN * TEMPERATURE))
    return np.array(samples)[_chunks(options.equilibration) :]


def by_virial(case: Case, replica: int, options) -> np.ndarray:
    """(samples, 1): the density at 1 bar (g/cm³) to which the molecular pressure at constant volume points."""
    observe = lambda snapshot: density_at_pressure(snapshot, case.system.n_molecules, TEMPERATURE, BAR, KAPPA)
    on_start, on_run = jax.random.split(jax.random.key(replica))
    steps = [round(picoseconds / DT) for picoseconds in (options.equilibration, options.picoseconds)]
    liquid = (case.system, case.potential, case.settings)
    state, _, report = advance(*liquid, case.state, on_start, steps[0])
    report.check()
    run = {"n_steps": steps[1], "sample_every": VIRIAL_EVERY, "key": on_run, "state": state}
    return np.asarray(simulate(*liquid, observe=observe, **run))[:, None]


def openmm_gas_energy(case: Case, replica: int, threads: int, picoseconds: float = 50.0) -> float:
    """Mean energy (kJ/mol) of a molecule alone: OpenMM runs the same molecules without any non-bonded force."""
    context = _context(openmm_system(case, alone=True), case, replica, threads)
    energies = []
    for _ in range(round(picoseconds / 0.1)):
        context.getIntegrator().step(round(0.1 / DT))
        energies.append(context.getState(getEnergy=True).getPotentialEnergy()._value / case.system.n_molecules)
    return float(np.mean(energies[len(energies) // 5 :]))


def openmm_system(case: Case, alone: bool = False):
    """OpenMM's system with the Hamiltonian of the case; `alone`: without non-bonded forces."""
    import openmm as mm

    system, (lj, field, bond, angle) = case.system, case.potential.terms()
    made = mm.System()
    for mass in np.asarray(system.masses):
        made.addParticle(float(mass))
    made.setDefaultPeriodicBoxVectors(*(mm.Vec3(*map(float, row)) for row in np.diag(np.asarray(system.box))))
    bonds, angles = mm.HarmonicBondForce(), mm.HarmonicAngleForce()
    for i, j in np.asarray(system.bonds):
        bonds.addBond(int(i), int(j), float(bond.r0), float(bond.k))
    for i, j, k in np.asarray(system.angles):
        angles.addAngle(int(i), int(j), int(k), float(angle.theta0), float(angle.k))
    forces = [bonds, angles]
    if not alone:
        pairs = mm.NonbondedForce()
        pairs.setNonbondedMethod(mm.NonbondedForce.CutoffPeriodic)
        pairs.setCutoffDistance(lj.cutoff)
        pairs.setUseSwitchingFunction(True)
        pairs.setSwitchingDistance(lj.switch_start * lj.cutoff)
        pairs.setUseDispersionCorrection(False)
        pairs.setReactionFieldDielectric(field.epsilon_rf)
        oxygens = system.atoms("O")
        for atom, charge in enumerate(np.asarray(field.charges(system))):
            depth = float(lj.epsilon) if oxygens.start <= atom < oxygens.stop else 0.0
            pairs.addParticle(float(charge), float(lj.sigma), depth)
        for i, j, k in np.asarray(system.angles):
            for pair in ((i, j), (j, k), (i, k)):
                pairs.addException(*map(int, pair), 0.0, 1.0, 0.0)
        forces.append(pairs)
    for springs in (bonds, angles):
        springs.setUsesPeriodicBoundaryConditions(True)
    for force in forces:
        made.addForce(force)
    return made


def _context(system, case: Case, replica: int, threads: int):
    import openmm as mm

    integrator = mm.LangevinMiddleIntegrator(TEMPERATURE, FRICTION, DT)
    integrator.setRandomNumberSeed(1 + replica)
    for force in system.getForces():
        if isinstance(force, mm.MonteCarloBarostat):
            force.setRandomNumberSeed(101 + replica)
    context = mm.Context(system, integrator, mm.Platform.getPlatformByName("CPU"), {"Threads": str(threads)})
    # OpenMM moves a molecule by the shift of its centre; one that the boundary cuts would be torn, and trials fail.
    whole = scaled_molecules(case.system, case.system.n_molecules, case.snapshot().unwrapped, 1.0)
    context.setPositions(np.asarray(whole, np.float64).T)
    context.setVelocitiesToTemperature(TEMPERATURE, 1 + replica)
    return context


def _chunks(picoseconds: float) -> int:
    return round(picoseconds / (SAMPLE_EVERY * DT))


def _summary(case: Case, series: np.ndarray) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, column in zip(MEASURED, series.T, strict=False):
        mean = mean_with_error(column)
        named[name] = {"mean": mean.value, "error": mean.standard_error, "independent": mean.n_effective}
    if series.shape[1] == 1:  # the volume was fixed
        return named
    kappa = isothermal_compressibility(1 / series[:, 0] * _mass(case) * units.GRAM_PER_CM3, TEMPERATURE)
    named["compressibility"] = {"mean": kappa.value, "error": kappa.standard_error}
    return named


def _mass(case: Case) -> float:
    return float(np.sum(np.asarray(case.system.masses)))


def _over_replicas(runs, code: str, name: str) -> dict[str, float]:
    """The mean over replicas and its standard error from their scatter (0 for one, NaN for none)."""
    means = np.array([run[name]["mean"] for run in runs if run["code"] == code and name in run])
    if not len(means):
        return {"mean": float("nan"), "error": float("nan")}
    error = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else 0.0
    return {"mean": float(means.mean()), "error": float(error)}


CODES = {"revmd": ours, "revmd, constant volume": by_virial, "OpenMM": theirs}

if __name__ == "__main__":
    main()
