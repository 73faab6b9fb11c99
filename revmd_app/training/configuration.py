"""What a training run is, in full: one TOML file of a few sections, from which the run can be repeated.

`configuration("water", "laptop")` starts from a preset; `from_toml` and `to_toml` read and write it. Every key has one
type and a range, and a wrong one is answered in a sentence.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import tomllib
from dataclasses import dataclass, field, replace
from typing import Any

import tomli_w

from revmd_app.checks import check_number, whole_number
from revmd_app.systems.force_fields import force_field

TASKS = ("water", "oxygen")
STARTS = ("last", "prepared")
LOSS_OF = ("average", "snapshots")
NORMS = ("square", "absolute")
SCHEDULES = ("constant", "cosine")
TRUNCATIONS = ("plain", "shifted", "switched")
PRECISIONS = ("float32", "float64")
TRAINABLE = ("all", "nonbonded")
FULL = -1
"""`gradient.truncate` for a sweep that follows every sample back to the start."""


@dataclass(frozen=True)
class SystemSection:
    """What is simulated. `force_field` is a preset's name; lengths in nm, time in ps, K, bar."""

    molecules: int = 216
    gas_molecules: int = 0
    force_field: str = "lennard_jones"
    cutoff: float = 0.88
    truncation: str = "shifted"
    temperature: float = 295.15
    pressure: float = 1.0
    dt: float = 0.001
    friction: float = 1.0
    precision: str = "float32"


@dataclass(frozen=True)
class PreparationSection:
    """How an epoch begins: equilibrated for `steps` at the current parameters, with the Monte Carlo barostat unless
    `barostat` is false; the box is frozen after that.

    `start` "last" goes on from where the epoch before stood (the first one equilibrates for `first_steps`), "prepared"
    always from the prepared liquid. A fresh start is minimised and gets new velocities.
    """

    start: str = "last"
    steps: int = 2000
    first_steps: int = 20_000
    barostat: bool = True
    interval: int = 30


@dataclass(frozen=True)
class RunSection:
    """What is differentiated: a run of `steps`, observed every `sample_every`, in so many independent replicas."""

    steps: int = 6000
    sample_every: int = 500
    replicas: int = 2
    seed: int = 0


@dataclass(frozen=True)
class LossSection:
    """L = sum over targets of weight * mean(((observable - target)/uncertainty)^2), `norm` "absolute" for |.|.

    A weight of 0 leaves a target out (it is still reported, the density excepted). `of` says whether averages are
    compared ("average") or each snapshot by itself ("snapshots", as published: biased by the fluctuations). `r_max`
    (nm) and `bins` are the grid of g(r). kJ/mol; g/cm^3; diffusion in nm^2/ps (1e-3 nm^2/ps = 1e-9 m^2/s).

    The density is that at `system.pressure`, drawn from the pressure in the frozen box with the `compressibility`
    (1/bar; the default is water's at 298 K, 4.52e-5: G. S. Kell, J. Chem. Eng. Data 20, 97, 1975). Its target is
    water's at 295.15 K (M. Tanaka et al., Metrologia 38, 301, 2001).
    """

    of: str = "average"
    norm: str = "square"
    rdf_OO: float = 1.0
    rdf_OH: float = 1.0
    rdf_HH: float = 1.0
    rdf_uncertainty: float = 0.05
    r_max: float = 0.88
    bins: int = 88
    enthalpy: float = 1.0
    enthalpy_target: float = 46.92
    enthalpy_uncertainty: float = 1.0
    density: float = 0.0
    density_target: float = 0.99777
    density_uncertainty: float = 0.01
    compressibility: float = 4.52e-5
    diffusion: float = 0.0
    diffusion_target: float = 2.0e-3
    diffusion_uncertainty: float = 0.2e-3


@dataclass(frozen=True)
class GradientSection:
    """Which estimator, how many steps back each sample's influence is followed (-1: all; reversible only), and the
    clamp on the gradient in the scaled parameters, element by element."""

    estimator: str = "reversible"
    truncate: int = 200
    clamp: float = 1000.0


@dataclass(frozen=True)
class OptimiserSection:
    """Adam on parameters divided by their start values. `schedule` "cosine" falls to `final` times the rate."""

    epochs: int = 60
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    final: float = 0.1
    b1: float = 0.9
    b2: float = 0.999
    train: str = "all"


SECTIONS: dict[str, type] = {
    "system": SystemSection,
    "preparation": PreparationSection,
    "run": RunSection,
    "loss": LossSection,
    "gradient": GradientSection,
    "optimiser": OptimiserSection,
}


@dataclass(frozen=True)
class Configuration:
    """A training run. Raises `ValueError` with one sentence for a value that means nothing."""

    task: str = "water"
    system: SystemSection = field(default_factory=SystemSection)
    preparation: PreparationSection = field(default_factory=PreparationSection)
    run: RunSection = field(default_factory=RunSection)
    loss: LossSection = field(default_factory=LossSection)
    gradient: GradientSection = field(default_factory=GradientSection)
    optimiser: OptimiserSection = field(default_factory=OptimiserSection)

    def __post_init__(self):
        _check(self)

    def digest(self) -> str:
        """A fingerprint of everything that a continuation depends on; the number of epochs, where nothing else does."""
        data = as_dictionary(self)
        if self.optimiser.schedule == "constant":
            del data["optimiser"]["epochs"]
        return hashlib.sha256(tomli_w.dumps(data).encode()).hexdigest()[:16]


def configuration(task: str, preset: str = "laptop", **changes: Any) -> Configuration:
    """A preset of a task, with changes: `configuration("water", "lab", optimiser={"epochs": 20})`.

    Presets: "lab" (64 molecules, seconds an epoch), "laptop" (216, minutes to half an hour), "paper" (895 molecules and
    the published protocol). Raises `ValueError` for a name, key or value that does not exist or means nothing.
    """
    _one_of("the task", task, TASKS)
    _one_of("the preset", preset, tuple(PRESETS))
    data = {**as_dictionary(Configuration()), "task": task}
    for given in (_TASK[task], PRESETS[preset], _TASK_AND_PRESET.get((task, preset), {}), changes):
        data = _merge(data, given)
    return from_dictionary(data)


_TASK: dict[str, dict[str, Any]] = {
    "water": {},
    "oxygen": {
        "system": {"force_field": "lennard_jones_diffusion_start"},
        "preparation": {"barostat": False},
        "loss": {"rdf_HH": 0.0, "diffusion": 1.0, "rdf_OO": 0.5, "rdf_OH": 0.5, "enthalpy": 0.5},
        "optimiser": {"train": "nonbonded"},
    },
}
PRESETS: dict[str, dict[str, Any]] = {
    "lab": {
        "system": {"molecules": 64, "cutoff": 0.56},
        "preparation": {"steps": 1000, "first_steps": 5000},
        "run": {"steps": 4000, "sample_every": 200, "replicas": 1},
        "loss": {"r_max": 0.56, "bins": 56},
        "optimiser": {"epochs": 40},
    },
    "laptop": {},
    "paper": {
        "system": {"molecules": 895, "cutoff": 1.0, "truncation": "plain"},
        "preparation": {"start": "prepared", "steps": 10_000, "first_steps": 10_000},
        "run": {"steps": 50_000, "sample_every": 2000, "replicas": 1},
        "loss": {
            "of": "snapshots",
            "norm": "absolute",
            "r_max": 1.002,
            "bins": 334,
            "rdf_OO": 248.0,
            "rdf_OH": 281.0,
            "rdf_HH": 0.0,
            "rdf_uncertainty": 1.0,
        },
        "optimiser": {"epochs": 100, "learning_rate": 2e-3, "schedule": "constant"},
    },
}
"""What differs from the defaults, which are those of "laptop"."""
_TASK_AND_PRESET: dict[tuple[str, str], dict[str, Any]] = {
    ("oxygen", "lab"): {
        "system": {"molecules": 60, "gas_molecules": 4},
        "run": {"steps": 10_000, "sample_every": 100},
    },
    ("oxygen", "laptop"): {
        "system": {"molecules": 208, "gas_molecules": 8},
        "run": {"steps": 10_000, "sample_every": 200},
        "optimiser": {"learning_rate": 4e-3},
    },
    ("oxygen", "paper"): {
        "system": {"molecules": 885, "gas_molecules": 10},
        "run": {"sample_every": 500},
        "loss": {
            "rdf_OO": 12.4,
            "rdf_OH": 14.05,
            "enthalpy": 0.05,
            "diffusion_uncertainty": 1e-3,
        },
        "optimiser": {"learning_rate": 5e-4},
    },
}


def as_dictionary(run: Configuration) -> dict[str, Any]:
    """Sections of plain values, as in the file."""
    return dataclasses.asdict(run)


def from_dictionary(data: dict[str, Any]) -> Configuration:
    """A configuration from sections of plain values. Raises `ValueError` for an unknown key or a wrong type."""
    given: dict[str, Any] = {}
    for name, value in data.items():
        if name == "task":
            given[name] = value
        elif name in SECTIONS:
            given[name] = _section(name, value)
        else:
            raise ValueError(f"'{name}' is no section of a training run{_hint(name, ('task', *SECTIONS))}")
    return Configuration(**given)


def to_toml(run: Configuration) -> str:
    """The configuration as the text of a TOML file."""
    return tomli_w.dumps(as_dictionary(run))


def from_toml(text: str, where: str = "the configuration") -> Configuration:
    """Read a configuration. Raises `ValueError` with one sentence: `where`, what is wrong, what would be right."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where} is not TOML: {error}.") from error
    try:
        return from_dictionary(data)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def with_value(run: Configuration, *assignments: str) -> Configuration:
    """The configuration with keys set by text such as "optimiser.epochs=20". Raises `ValueError` if it cannot be."""
    data = as_dictionary(run)
    for assignment in assignments:
        data = _merge(data, _assigned(assignment))
    return from_dictionary(data)


def _assigned(assignment: str) -> dict[str, Any]:
    """{section: {key: value}} of "section.key=value"."""
    key, equals, text = assignment.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot):
        raise ValueError(f"write section.key=value, as in optimiser.epochs=20, not '{assignment}'.")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a word without its quotes
    return {section: {name: value}}


def _section(name: str, values: Any):
    kind = SECTIONS[name]
    if not isinstance(values, dict):
        raise ValueError(f"[{name}] is a section with keys of its own, not {values!r}.")
    types: dict[str, Any] = {f.name: type(f.default) for f in dataclasses.fields(kind)}
    for key, value in values.items():
        if key not in types:
            raise ValueError(f"[{name}] has no key '{key}'{_hint(key, tuple(types))}")
        whole = types[key] is float and type(value) is int
        if not whole and type(value) is not types[key]:
            wanted = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}[types[key]]
            raise ValueError(f"{name}.{key} is {wanted}, not {value!r}.")
    return kind(**{key: types[key](value) for key, value in values.items()})


def _merge(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`data` with the keys of `changes`, section by section."""
    merged = dict(data)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = {**merged[name], **value} if both else value
    return merged


def _hint(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(known)}."


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{what} is one of {', '.join(known)}, not '{value}'.")


def _check(run: Configuration) -> None:
    """Everything that can be refused without building the system."""
    from revmd_app.gradients.compare import ESTIMATORS

    system, preparation, schedule, loss = run.system, run.preparation, run.run, run.loss
    _one_of("the task", run.task, TASKS)
    field_ = force_field(system.force_field)
    if (run.task == "oxygen") != (field_.gas is not None):
        wanted = "with parameters of the gas" if run.task == "oxygen" else "without a gas"
        raise ValueError(f"training {run.task} needs a force field {wanted}, unlike '{field_.name}'.")
    whole_number("system.molecules", system.molecules, 60 if run.task == "oxygen" else 64, 1000)
    least_gas = 1 if run.task == "oxygen" else 0
    whole_number("system.gas_molecules", system.gas_molecules, least_gas, max(least_gas, system.molecules // 4))
    for name in ("cutoff", "temperature", "dt", "friction"):
        check_number(f"system.{name}", getattr(system, name), above=0.0)
    check_number("system.pressure", system.pressure, "bar", at_least=-5000.0, at_most=1e5)
    _one_of("system.truncation", system.truncation, TRUNCATIONS)
    _one_of("system.precision", system.precision, PRECISIONS)
    _one_of("preparation.start", preparation.start, STARTS)
    whole_number("preparation.steps", preparation.steps, 0, 10**8)
    whole_number("preparation.first_steps", preparation.first_steps, 0, 10**8)
    whole_number("preparation.interval", preparation.interval, 1, 10**6)
    whole_number("run.sample_every", schedule.sample_every, 1, 10**8)
    whole_number("run.steps", schedule.steps, schedule.sample_every, 10**9)
    if schedule.steps % schedule.sample_every:
        raise ValueError(
            f"run.steps ({schedule.steps}) must be a multiple of run.sample_every ({schedule.sample_every})."
        )
    whole_number("run.replicas", schedule.replicas, 1, 64)
    whole_number("run.seed", schedule.seed, 0, 2**62)
    _check_loss(run.task, loss)
    _one_of("gradient.estimator", run.gradient.estimator, tuple(ESTIMATORS))
    whole_number("gradient.truncate", run.gradient.truncate, FULL, 10**9)
    check_number("gradient.clamp", run.gradient.clamp, above=0.0)
    _check_optimiser(run.optimiser)


def _check_loss(task: str, loss: LossSection) -> None:
    _one_of("loss.of", loss.of, LOSS_OF)
    _one_of("loss.norm", loss.norm, NORMS)
    weights = ("rdf_OO", "rdf_OH", "rdf_HH", "enthalpy", "density", "diffusion")
    for name in weights:
        check_number(f"loss.{name}, a weight,", getattr(loss, name), at_least=0.0)
    positive = ("density_target", "compressibility", "r_max")
    for name in (*positive, *(f"{kind}_uncertainty" for kind in ("rdf", "enthalpy", "density", "diffusion"))):
        check_number(f"loss.{name}", getattr(loss, name), above=0.0)
    whole_number("loss.bins", loss.bins, 10, 2000)
    if not any(getattr(loss, name) for name in weights):
        raise ValueError("every target has the weight 0: give at least one of them a weight above 0.")
    if task == "water" and loss.diffusion:
        raise ValueError("loss.diffusion is for the task oxygen: pure water has no dissolved gas; set it to 0.")
    if task == "oxygen" and loss.density:
        raise ValueError("loss.density is for the task water: its target is the density of pure water; set it to 0.")


def _check_optimiser(optimiser: OptimiserSection) -> None:
    whole_number("optimiser.epochs", optimiser.epochs, 1, 10**6)
    check_number("optimiser.learning_rate", optimiser.learning_rate, above=0.0, at_most=1.0)
    check_number("optimiser.final", optimiser.final, at_least=0.0, at_most=1.0)
    for name in ("b1", "b2"):
        check_number(f"optimiser.{name}", getattr(optimiser, name), at_least=0.0, at_most=0.99999)
    _one_of("optimiser.schedule", optimiser.schedule, SCHEDULES)
    _one_of("optimiser.train", optimiser.train, TRAINABLE)


def published_start(run: Configuration, name: str) -> Configuration:
    """The same run from another force field of the presets."""
    return replace(run, system=replace(run.system, force_field=name))
