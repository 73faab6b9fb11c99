"""Independent answers for the potentials' tests: OpenMM's Reference platform (double precision) and small boxes."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import openmm

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.system import make_system

MIE = "(n/(n-m)*(n/m)^(m/(n-m)))*epsilon*((sigma/r)^n - (sigma/r)^m)"
OPENMM_FORMULAS = {
    "LennardJones": "4*epsilon*((sigma/r)^12 - (sigma/r)^6)",
    "Morse": "epsilon*((1 - exp(-a*(r - r_m)))^2 - 1)",
    "WeeksChandlerAndersen": "select(step(2^(1/6)*sigma - r), 4*epsilon*((sigma/r)^12 - (sigma/r)^6) + epsilon, 0)",
    "Mie": MIE,
    "DoubleExponential": "epsilon*(beta*exp(alpha)/(alpha-beta)*exp(-alpha*r/(2^(1/6)*sigma))"
    " - alpha*exp(beta)/(alpha-beta)*exp(-beta*r/(2^(1/6)*sigma)))",
    "Buckingham": "A*exp(-B*r) - C/r^6",
    "SoftCoreLennardJones": "4*epsilon*(sigma^12/(r^6 + alpha*sigma^6*lambda_^2)^2"
    " - sigma^6/(r^6 + alpha*sigma^6*lambda_^2))",
    "Buffered147": "epsilon*((1+delta)/(r/(2^(1/6)*sigma)+delta))^7*((1+gamma)/((r/(2^(1/6)*sigma))^7+gamma) - 2)",
}
"""The forms as the literature writes them, in OpenMM's language."""


def fcc(cells: int, edge: float) -> np.ndarray:
    """(3, 4 cells³) face-centred cubic positions in a cube of `edge` nm."""
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    corners = np.array(list(itertools.product(range(cells), repeat=3)))
    return ((corners[:, None] + basis).reshape(-1, 3) + 0.25).T * edge / cells


def argon_box(cells: int = 3, jitter: float = 0.025, seed: int = 7, precision: str = "float64"):
    """A snapshot of 4 cells³ argon atoms at the density of the liquid, shaken off their lattice sites."""
    positions = fcc(cells, 0.5781 * cells)
    positions += jitter * np.random.default_rng(seed).normal(size=positions.shape)
    system = make_system("argon", ("Ar",), (positions.shape[1],), (39.948,), 0.5781 * cells)
    return snapshot_of(system, positions, precision)


def snapshot_of(system, positions, precision: str = "float64"):
    """The snapshot of atoms at rest at these positions (3, N), rounded to the lattice."""
    return to_snapshot(system, from_physical(system, positions, 0 * positions), Settings(precision=precision))


def water_box(n: int = 64, seed: int = 3, precision: str = "float64", shake: float = 0.004):
    """A snapshot of distorted water molecules, turned at random on a cubic lattice at the density of the liquid."""
    rng = np.random.default_rng(seed)
    edge = (n / 33.0) ** (1 / 3)
    sites = np.array(list(itertools.product(range(int(np.ceil(n ** (1 / 3)))), repeat=3)))[:n]
    oxygens = sites * edge / np.ceil(n ** (1 / 3)) + 0.03
    frames = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    arms = 0.09572 * np.array([[np.sin(0.912), np.cos(0.912), 0], [-np.sin(0.912), np.cos(0.912), 0]])
    hydrogens = oxygens[:, None] + np.einsum("nij,kj->nki", frames, arms)
    positions = np.concatenate([oxygens, hydrogens.reshape(-1, 3)]).T
    positions = positions + shake * rng.normal(size=positions.shape)
    o = np.arange(n)
    h = n + 2 * o
    bonds = np.concatenate([np.stack([o, h], 1), np.stack([h + 1, o], 1)])
    system = make_system(
        "water",
        ("O", "H"),
        (n, 2 * n),
        (15.99943, 1.007947),
        edge,
        molecule=np.concatenate([o, np.repeat(o, 2)]),
        bonds=bonds,
        angles=np.stack([h, o, h + 1], 1),
    )
    return snapshot_of(system, positions, precision)


def evaluate(forces, positions, box, periodic: bool = True):
    """(energy, (3, N) forces) of OpenMM force objects; positions (3, N) and box edges (3,) in nm."""
    system = openmm.System()
    for _ in range(positions.shape[1]):
        system.addParticle(1.0)
    if periodic:
        system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in np.diag(np.asarray(box, float))))
    for force in forces:
        system.addForce(force)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(np.asarray(positions, float).T)
    state = context.getState(getEnergy=True, getForces=True)
    return state.getPotentialEnergy()._value, np.array(state.getForces(asNumpy=True)._value).T


def pair_force(expression, values, n, *, cutoff, truncation="plain", switch_start=0.85, members=None, exclude=()):
    """A CustomNonbondedForce of u(r), truncated as asked; u, u' at the cutoff are OpenMM's on two atoms."""
    definitions = f"; u={expression}" + "".join(f"; {name}={float(v)!r}" for name, v in values.items())
    text = "u"
    if truncation == "shifted":
        pair = openmm.CustomNonbondedForce("u" + definitions)
        [pair.addParticle([]) for _ in range(2)]
        u, f = evaluate([pair], np.array([[0, cutoff], [0, 0], [0, 0]]), None, periodic=False)
        text = f"u - ({u!r}) + (r - {cutoff!r})*({float(f[0, 1])!r})"
    elif truncation == "switched":
        definitions = f"; t=max(0, (r/{cutoff!r} - {switch_start!r})/(1 - {switch_start!r}))" + definitions
        text = "u*(1 - t^3*(10 - 15*t + 6*t^2))"
    force = openmm.CustomNonbondedForce(text + definitions)
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(cutoff)
    [force.addParticle([]) for _ in range(n)]
    for i, j in exclude:
        force.addExclusion(int(i), int(j))
    if members is not None:
        force.addInteractionGroup(members, members)
    return force


def virial(make_forces, positions, box, h: float = 2e-6):
    """-dU/d(ln length) by central differences of fourth order over boxes that OpenMM evaluates."""
    u = [evaluate(make_forces(), positions * (1 + k * h), box * (1 + k * h))[0] for k in (-2, -1, 1, 2)]
    return -(u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * h)


def intramolecular(molecule) -> list[tuple[int, int]]:
    """Every pair of atoms of one molecule."""
    molecule = np.asarray(molecule)
    return [(i, j) for i, j in itertools.combinations(range(len(molecule)), 2) if molecule[i] == molecule[j]]


def relative(value, reference) -> float:
    """The largest deviation over the largest magnitude of the reference."""
    value, reference = jnp.asarray(value), jnp.asarray(reference)
    return float(jnp.max(jnp.abs(value - reference)) / jnp.max(jnp.abs(reference)))
