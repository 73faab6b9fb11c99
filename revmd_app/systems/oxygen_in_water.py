"""Oxygen dissolved in flexible water: the system whose diffusion coefficient is trained.

Ten O2 among 885 waters in a cube of 3 nm at 295.15 K, 1 fs steps, friction 1/ps, as in Greener, PNAS 122, e2426058122
(2025); smaller boxes have the same number of molecules per volume. O2 is two uncharged sites on a spring, which meet
the water's oxygens by mixing rules.
"""

from __future__ import annotations

import numpy as np

from revmd_app.checks import check_number, whole_number
from revmd_app.data import load_water_rdf
from revmd_app.engine.integrator import Settings
from revmd_app.engine.system import System, make_system
from revmd_app.potentials.base import Sum
from revmd_app.potentials.bonded import HarmonicAngle, HarmonicBond
from revmd_app.potentials.electrostatics import ReactionField
from revmd_app.potentials.mixing import MixedPair, own_names
from revmd_app.systems import force_fields
from revmd_app.systems.arrangement import fcc_sites, random_rotations
from revmd_app.systems.case import Case, check_options, maxwell_boltzmann, start
from revmd_app.systems.force_fields import FORMS, ForceField
from revmd_app.systems.water import CUTOFF, HYDROGEN, OXYGEN

GAS = "O2"
"""The species of the oxygen molecule's atoms; the water's oxygen is "O"."""
BOND_STIFFNESS, BOND_LENGTH = 686343.0, 0.12074
"""Of O2: kJ/mol/nm^2 in (k/2)(r - r0)^2, and nm (Greener 2025)."""
NUMBER_DENSITY = 895 / 27.0
"""Molecules per nm^3 of the published box: 895 in a cube of 3.0 nm."""
TARGET = 2.0e-3
"""nm^2/ps, that is 2.0e-9 m^2/s: the diffusion coefficient that Greener trains to."""
TEMPERATURE = 295.15
SIZES = (60, 1000)
DEFAULT = "lennard_jones_diffusion_start"

LIMITS = """\
What this model of dissolved oxygen cannot show

* There is far too much gas. Four O2 to sixty waters are 3.5 mol/l, ten to 885 are 0.6 mol/l; water under air holds
  0.0003 mol/l. The many molecules are there to be averaged over. They may meet, which real ones hardly ever do.
* Fixed charges on the water and none on O2: a real O2 is polarised by its neighbours, and has a quadrupole.
* The diffusion coefficient is too small by some per cent to tens of per cent in a small box, because each molecule
  drags the liquid's periodic images along (Yeh and Hummer, J. Phys. Chem. B 108, 15873, 2004). Their correction needs
  the viscosity, and is offered as an option.
* The thermostat's friction slows diffusion: with 1/ps by some per cent, with 10/ps by much more.
* D comes from few molecules: read its error bar before the number. Four molecules followed for 20 ps give D to within
  30 per cent or so.
* Three-site water is too mobile, so oxygen in it is too fast; training slows it by changing both. A force field that
  gives the right D need not give the right structure: look at g(r) too.
* The volume is fixed. Nothing here says how much oxygen dissolves.
"""


def oxygen_in_water(
    n_water: int = 60,
    n_oxygen: int | None = None,
    temperature: float = TEMPERATURE,
    precision: str = "float32",
    seed: int = 0,
    force_field: str | ForceField = DEFAULT,
    edge: float | None = None,
    cutoff: float | None = None,
    truncation: str = "shifted",
) -> Case:
    """O2 among flexible waters, placed on a face-centred cubic lattice, turned at random, with thermal velocities.

    `n_oxygen` is 4 to 10 by the size of the box where it is not given; 885 waters and 10 O2 are the published system.
    `edge` (nm) of the cube and `cutoff` (nm) follow from the number of molecules. Atoms are ordered O, H of the water,
    then the O2. `force_field` is a preset with parameters of the gas, or a `ForceField` of your own.
    Raises `ValueError` for a size outside 60 .. 1,000, more gas than a quarter of the water, a force field without
    gas, or a box too small for the cutoff.
    """
    check_options("oxygen_in_water", n_water, *SIZES, "waters", temperature=temperature, seed=seed)
    n_oxygen = usual_oxygen(n_water) if n_oxygen is None else n_oxygen
    whole_number("the number of O2", n_oxygen, 1, n_water // 4, "more is no solution of oxygen any more")
    field = force_fields.force_field(force_field)
    _gas(field)
    options = {"n_oxygen": int(n_oxygen), "temperature": float(temperature), "force_field": _named(field)}
    options |= {key: value for key, value in (("edge", edge), ("cutoff", cutoff)) if value is not None}
    edge = float(((n_water + n_oxygen) / NUMBER_DENSITY) ** (1 / 3)) if edge is None else edge
    check_number("the edge of the box", edge, "nm", above=0.0)
    system = _topology(n_water, n_oxygen, edge)
    potential = oxygen_potential(field, min(CUTOFF, 0.499 * edge) if cutoff is None else cutoff, truncation)
    potential.check(system)
    if truncation != "shifted":
        options["truncation"] = truncation
    positions = _positions(n_water, n_oxygen, edge, seed, field)
    return Case(
        name="oxygen_in_water",
        title="Oxygen in water",
        system=system,
        potential=potential,
        settings=Settings(dt=0.001, temperature=temperature, friction=1.0, precision=precision),
        state=start(system, positions, maxwell_boltzmann(system, temperature, seed)),
        limits=LIMITS,
        reference={"rdf": load_water_rdf(), "diffusion": TARGET},
        recipe={"name": "oxygen_in_water", "n": int(n_water), "seed": int(seed), **options},
    )


def oxygen_potential(field: ForceField | str, cutoff: float, truncation: str = "shifted") -> Sum:
    """The potential of oxygen in water: vdW among both oxygens, reaction field, water's bonds and angles, O2's bond.

    `cutoff` in nm; `truncation` as in `PairPotential`. Raises `ValueError` for a force field without gas parameters.
    """
    field = force_fields.force_field(field)
    of_gas, options = _gas(field), {"cutoff": cutoff, "truncation": truncation}
    form = FORMS[field.form]
    gas = {name: of_gas[name] for name in own_names(form)}
    return Sum(
        (
            MixedPair(form(**field.vdw, between=("O", "O"), **options), gas, GAS),
            ReactionField(charge=field.charge, pattern={"O": 1, "H": -0.5}, **options),
            HarmonicBond(k=field.bond_k, r0=field.bond_length, between=("O", "H")),
            HarmonicAngle(k=field.angle_k, theta0=field.angle),
            HarmonicBond(k=BOND_STIFFNESS, r0=BOND_LENGTH, between=(GAS, GAS)),
        )
    )


def usual_oxygen(n_water: int) -> int:
    """How many O2 go with so many waters: 4 to average over in the smallest box, 10 in the largest."""
    return min(10, max(4, n_water // 26))


def _gas(field: ForceField) -> dict[str, float]:
    """The gas's parameters of a force field. Raises `ValueError` when it has none."""
    if field.form not in FORMS:
        raise ValueError(f"there is no form '{field.form}' of the van der Waals term; there are {', '.join(FORMS)}.")
    if field.gas is None:
        names = ", ".join(name for name, preset in force_fields.PRESETS.items() if preset.gas is not None)
        raise ValueError(f"the force field '{field.name}' has no parameters for the gas; these have: {names}.")
    return field.gas


def _named(field: ForceField):
    """What a recipe says of a force field: its name, or all its numbers when it is not a preset."""
    return field.name if force_fields.PRESETS.get(field.name) == field else field._asdict()


def _topology(n: int, n_gas: int, edge: float) -> System:
    oxygen, gas = np.arange(n), 3 * n + 2 * np.arange(n_gas)
    first = n + 2 * oxygen
    pairs = ((oxygen, first), (oxygen, first + 1), (gas, gas + 1))
    return make_system(
        "oxygen_in_water",
        ("O", "H", GAS),
        (n, 2 * n, 2 * n_gas),
        (OXYGEN, HYDROGEN, OXYGEN),
        edge,
        molecule=np.concatenate([oxygen, np.repeat(oxygen, 2), n + np.repeat(np.arange(n_gas), 2)]),
        bonds=np.concatenate([np.stack(pair, axis=1) for pair in pairs]),
        angles=np.stack([first, oxygen, first + 1], axis=1),
    )


def _positions(n: int, n_gas: int, edge: float, seed: int, field: ForceField) -> np.ndarray:
    """(3, N): every molecule on a site of one lattice, which of them are O2 drawn from the seed."""
    sites = np.random.default_rng([seed, 2]).permutation(fcc_sites(n + n_gas, edge, seed).T)
    turned = random_rotations(n + n_gas, seed)
    half = field.angle / 2
    arms = field.bond_length * np.array([[np.sin(half), np.cos(half), 0.0], [-np.sin(half), np.cos(half), 0.0]])
    ends = 0.5 * BOND_LENGTH * np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    hydrogens = sites[:n, None, :] + np.einsum("nij,kj->nki", turned[:n], arms)
    gas = sites[n:, None, :] + np.einsum("nij,kj->nki", turned[n:], ends)
    return np.concatenate([sites[:n], hydrogens.reshape(-1, 3), gas.reshape(-1, 3)]).T
