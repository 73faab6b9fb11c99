"""Force fields of flexible water, and of oxygen in it: starts to train from, and published trained ones.

    U = sum_{O-O pairs} u_vdW(r) + sum_{pairs of different molecules} reaction field
        + sum_{bonds} (k_b/2) (r - r0)^2 + sum_{angles} (k_a/2) (theta - theta0)^2

Hydrogens carry minus half of the oxygen's charge and no van der Waals site. Sources of the numbers: Greener, PNAS 122,
e2426058122 (2025), the starts from its training script and the trained values from its released parameter files,
rounded. No 14-7 field was released: the published second derivative of that form was wrong (`Buffered147` is right).
"""

from __future__ import annotations

from typing import NamedTuple

from revmd_app.potentials.base import Sum
from revmd_app.potentials.bonded import HarmonicAngle, HarmonicBond
from revmd_app.potentials.electrostatics import ReactionField
from revmd_app.potentials.pair import (
    Buckingham,
    Buffered147,
    DoubleExponential,
    LennardJones,
    RadialForm,
    SoftCoreLennardJones,
)

FORMS: dict[str, type[RadialForm]] = {
    "lennard_jones": LennardJones,
    "double_exponential": DoubleExponential,
    "buckingham": Buckingham,
    "soft_core": SoftCoreLennardJones,
    "buffered_14_7": Buffered147,
}
"""The forms of the van der Waals term between oxygens."""
TITLES = {
    "lennard_jones": "Lennard-Jones",
    "double_exponential": "Double exponential",
    "buckingham": "Buckingham",
    "soft_core": "Soft-core Lennard-Jones",
    "buffered_14_7": "Buffered 14-7",
}
DEFAULT = "lennard_jones"

TIP3P = "start values: TIP3P (Jorgensen et al., J. Chem. Phys. 79, 926, 1983) with springs for bonds and angle"
GREENER = "J. G. Greener, PNAS 122, e2426058122 (2025)"
START = f"start values of the training in {GREENER}; charge, bond and angle after TIP3P"
TRAINED = f"{GREENER}, released parameters, trained to g_OO, g_OH and the enthalpy of vaporisation"
DIFFUSION_START = f"start values of the training to oxygen's diffusion in {GREENER}"
DIFFUSION = f"{GREENER}, released parameters, trained to oxygen's diffusion in water, with g(r) and enthalpy"


class ForceField(NamedTuple):
    """The numbers of a force field: kJ/mol, nm, rad, e.

    `form` is one of `FORMS` and `vdw` its parameters between oxygens of water; `gas` are those between oxygens of O2
    (None: no gas). `bond_k` in kJ/mol/nm^2 and `angle_k` in kJ/mol/rad^2 belong to (k/2)(q - q0)^2. `source` says where
    the numbers are from.
    """

    name: str
    title: str
    form: str
    vdw: dict[str, float]
    charge: float
    bond_k: float
    bond_length: float
    angle_k: float
    angle: float
    gas: dict[str, float] | None
    source: str


BONDED = (462750.4, 0.09572, 836.8, 1.82421813418)
"""Of TIP3P made flexible: k_b, r0, k_a, theta0 (104.52 degrees)."""
CHARGE = -0.834
OXYGEN_GAS = {"sigma": 0.3297, "epsilon": 0.438}
"""Of O2 (J. Chem. Theory Comput., doi 10.1021/acs.jctc.0c01132, as quoted by Greener)."""


def _like(of: ForceField, ending: str, words: str, **changes) -> ForceField:
    return of._replace(name=f"{of.form}_{ending}", title=f"{TITLES[of.form]}, {words}", **changes)


def _start(form: str) -> ForceField:
    source = TIP3P if form == DEFAULT else START
    return ForceField(form, TITLES[form], form, dict(FORMS[form].water_start), CHARGE, *BONDED, None, source)


def _trained(form: str, how: str, vdw: dict[str, float], charge: float, *bonded: float) -> ForceField:
    k, length, angle_k, angle = bonded
    values = {"bond_k": k, "bond_length": length, "angle_k": angle_k, "angle": angle}
    words = f"trained ({how}, 2025)"
    return _like(STARTS[form], how, words, vdw=vdw, charge=charge, source=f"{TRAINED}, by {how}", **values)


def _diffusion_start(form: str, vdw=None, gas=None, charge: float = CHARGE) -> ForceField:
    start = STARTS[form]
    vdw = start.vdw if vdw is None else vdw
    gas = {**vdw, **OXYGEN_GAS} if gas is None else gas
    words = "oxygen in water, start"
    return _like(start, "diffusion_start", words, vdw=vdw, gas=gas, charge=charge, source=DIFFUSION_START)


def _diffusion(form: str, vdw, gas, charge: float) -> ForceField:
    words = "oxygen in water, trained (2025)"
    return _like(STARTS[form], "diffusion", words, vdw=vdw, gas=gas, charge=charge, source=DIFFUSION)


def _by_name(*fields: ForceField) -> dict[str, ForceField]:
    return {field.name: field for field in fields}


STARTS = _by_name(*(_start(form) for form in FORMS))
_SOFT, _SOFT_DIFFUSION = {"alpha": 0.06853949, "lambda_": 0.06853949}, {"alpha": 0.0824715, "lambda_": 0.0824715}
_DOUBLE_DIFFUSION = {"alpha": 18.859985, "beta": 4.492910}
_BUCKINGHAM_START = {"A": 414735.6, "B": 36.147, "C": 0.0029159}

WATER_TRAINED = _by_name(
    _trained(
        *("lennard_jones", "reversible", {"sigma": 0.3229370, "epsilon": 0.5319964}),
        *(-0.9120660, 575308.8, 0.09443926, 888.375, 1.9458466),
    ),
    _trained(
        *("lennard_jones", "reweighting", {"sigma": 0.3220557, "epsilon": 0.5630261}),
        *(-0.9301402, 452168.9, 0.09370238, 840.153, 1.9993074),
    ),
    _trained(
        "double_exponential",
        "reversible",
        {"sigma": 0.3155110, "epsilon": 0.5365778, "alpha": 18.544566, "beta": 4.3163207},
        *(-0.9038150, 529987.8, 0.09460172, 944.418, 1.9378771),
    ),
    _trained(
        *("buckingham", "reversible", {"A": 477446.09, "B": 36.806943, "C": 0.0033201288}),
        *(-0.9503839, 773838.6, 0.09400608, 1003.428, 1.9889122),
    ),
    _trained(
        *("soft_core", "reversible", {"sigma": 0.3237972, "epsilon": 0.5149521, **_SOFT}),
        *(-0.9152763, 566679.6, 0.09418487, 911.976, 1.9353151),
    ),
)
"""Published force fields of water, trained by the reversible gradient or by reweighting."""

OXYGEN_STARTS = _by_name(
    _diffusion_start("lennard_jones"),
    _diffusion_start("double_exponential"),
    _diffusion_start("buckingham", _BUCKINGHAM_START, dict(_BUCKINGHAM_START), -0.94904),
    _diffusion_start("soft_core"),
    _diffusion_start("buffered_14_7"),
)
OXYGEN_TRAINED = _by_name(
    _diffusion(
        "lennard_jones",
        {"sigma": 0.318322, "epsilon": 0.594782},
        {"sigma": 0.363972, "epsilon": 0.480732},
        -0.855660,
    ),
    _diffusion(
        "double_exponential",
        {"sigma": 0.308777, "epsilon": 0.587245, **_DOUBLE_DIFFUSION},
        {"sigma": 0.368678, "epsilon": 0.483332, **_DOUBLE_DIFFUSION},
        -0.850762,
    ),
    _diffusion(
        "buckingham",
        {"A": 428770.59, "B": 36.278266, "C": 0.00277495},
        {"A": 364380.56, "B": 40.217954, "C": 0.00298438},
        -0.910607,
    ),
    _diffusion(
        "soft_core",
        {"sigma": 0.318590, "epsilon": 0.591728, **_SOFT_DIFFUSION},
        {"sigma": 0.366988, "epsilon": 0.484222, **_SOFT_DIFFUSION},
        -0.856115,
    ),
)
"""Published force fields of oxygen in water; bonds and angles were not trained."""

PRESETS: dict[str, ForceField] = STARTS | WATER_TRAINED | OXYGEN_STARTS | OXYGEN_TRAINED
"""Every force field by its name."""


def force_field(name: str | ForceField) -> ForceField:
    """The preset of that name (a `ForceField` is handed through). Raises `ValueError` when there is none."""
    if isinstance(name, ForceField):
        return name
    if name not in PRESETS:
        raise ValueError(f"there is no force field '{name}'; there are {', '.join(PRESETS)}.")
    return PRESETS[name]


def water_potential(field: ForceField | str, cutoff: float, truncation: str = "shifted") -> Sum:
    """The potential of water with these numbers: vdW(O, O) + reaction field + bonds + angles, in this order.

    `cutoff` in nm, for both non-bonded terms. `truncation` as in `PairPotential`: "shifted" has exact gradients;
    "plain" cuts energy and force off, as the published training did. Raises `ValueError` for an unknown name, a form
    that does not exist, or values that mean nothing.
    """
    field = force_field(field)
    if field.form not in FORMS:
        raise ValueError(f"there is no form '{field.form}' of the van der Waals term; there are {', '.join(FORMS)}.")
    options = {"cutoff": cutoff, "truncation": truncation}
    return Sum(
        (
            FORMS[field.form](**field.vdw, between=("O", "O"), **options),
            ReactionField(charge=field.charge, pattern={"O": 1, "H": -0.5}, **options),
            HarmonicBond(k=field.bond_k, r0=field.bond_length),
            HarmonicAngle(k=field.angle_k, theta0=field.angle),
        )
    )
