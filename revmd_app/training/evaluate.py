"""What a force field of water is worth: g(r), enthalpy of vaporisation and density of independent runs.

Each run: prepared liquid -> minimisation -> fresh Maxwell-Boltzmann velocities -> equilibration under the Monte Carlo
barostat at 1 bar -> the box is frozen (as in the training) or goes on breathing -> samples. The runs share the liquid
that they start from and nothing else: velocities, noise and trials of the barostat have a seed each. Error bars are
standard errors over the runs.

The target of the enthalpy, 46.92 kJ/mol at 295.15 K, is that of the published training (Greener, PNAS 122, e2426058122,
2025): the measured 44.12 plus 2.8 for the constraints on bonds and angles that a flexible molecule lacks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from revmd_app import units
from revmd_app.checks import whole_number
from revmd_app.data import load_water_rdf
from revmd_app.engine.barostat import ConstantPressure, at_constant_pressure
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State, to_snapshot
from revmd_app.engine.minimise import minimise
from revmd_app.engine.simulate import advance
from revmd_app.engine.system import System
from revmd_app.observables import RadialDistributionFunction, density, enthalpy_of_vaporisation, temperature
from revmd_app.potentials.base import Potential
from revmd_app.systems import prepared
from revmd_app.systems.case import Case, maxwell_boltzmann, start
from revmd_app.systems.force_fields import ForceField, force_field, water_potential

BAR = 1 / units.BAR_PER_PRESSURE_UNIT
ENTHALPY = 46.92
"""kJ/mol at 295.15 K: 44.12 measured, and 2.8 for what constraints would do (Greener 2025)."""
DENSITY = 0.99777
"""g/cm^3 of water at 295.15 K and 1 bar (Tanaka et al., Metrologia 38, 301, 2001)."""
PAIRS = {"O-O": ("O", "O"), "O-H": ("O", "H"), "H-H": ("H", "H")}
COMPARED_FROM = {"O-O": 0.261, "O-H": 0.162, "H-H": 0.222}
"""nm: nearer, the measured curve is zero or intramolecular."""
BIN = 0.003
"""nm, the spacing of Soper's table."""
MINIMUM_FORCE = 1000.0
"""kJ/mol/nm: the minimisation ends when no force is larger."""


class Protocol(NamedTuple):
    """How a force field is put to the test. Times in ps, temperature in K, cutoff in nm, density in g/cm^3.

    `box` is "frozen" (at the volume that the equilibration ends with) or "breathing" (the barostat goes on).
    `trial_every` and `sample_every` are in steps; with a breathing box samples come every ten trials.
    """

    name: str
    n_molecules: int
    density: float
    temperature: float
    cutoff: float
    truncation: str
    dt: float
    friction: float
    equilibration: float
    production: float
    trial_every: int
    sample_every: int
    box: str

    @property
    def n_trials(self) -> int:
        """Trials of the barostat in the equilibration."""
        return max(1, round(self.equilibration / self.dt / self.trial_every))

    @property
    def n_samples(self) -> int:
        return max(1, round(self.production / self.dt / self.sample_every))

    @property
    def n_steps(self) -> int:
        """Of one run, equilibration included."""
        return self.n_trials * self.trial_every + self.n_samples * self.sample_every

    @property
    def n_bins(self) -> int:
        """Bins of g(r), up to the cutoff: no box is smaller than twice that."""
        return int(self.cutoff / BIN + 1e-6)


PROTOCOLS = {
    "paper": Protocol("paper", 895, 0.992, 295.15, 1.0, "plain", 0.001, 1.0, 10.0, 50.0, 30, 500, "frozen"),
    "laptop": Protocol("laptop", 216, 0.997, 295.15, 0.88, "shifted", 0.001, 1.0, 10.0, 50.0, 30, 300, "breathing"),
}
"""`paper`: as published (895 molecules, plain truncation at 1 nm, frozen box), with a sample every 0.5 ps in place of
2. `laptop`: 216 molecules, and the density averaged over the whole run."""


class Property(NamedTuple):
    """A mean over runs with its standard error (NaN for one run), and what experiment says (None: nothing)."""

    value: float
    error: float
    target: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Evaluation:
    """The outcome for one force field: properties by name, and the mean curve of every pair with its error."""

    name: str
    protocol: Protocol
    properties: dict[str, Property]
    r: np.ndarray  # (bins,) nm
    curves: dict[str, np.ndarray]  # "O-O": (bins,)
    errors: dict[str, np.ndarray]
    runs: list[dict[str, Any]]  # what each run measured


def evaluate(
    field: str | ForceField | Potential,
    n_molecules: int | None = None,
    protocol: str | Protocol = "laptop",
    n_runs: int = 5,
    seed: int = 0,
    n_threads: int = 2,
    **options,
) -> Evaluation:
    """Put a force field (a preset's name, a `ForceField`, or the potential itself) to the test in independent runs.

    `n_molecules` replaces the protocol's. Runs have the seeds `seed`, `seed + 1`, ...; `n_threads` of them go at a
    time. `options` are those of `measure`. Raises `ValueError` for an unknown name, and `SimulationError` when a run
    explodes.
    """
    protocol = known_protocol(protocol)
    if n_molecules is not None:
        protocol = protocol._replace(n_molecules=n_molecules)
    whole_number("n_runs", n_runs, 1, 1000)
    with ThreadPoolExecutor(n_threads) as threads:
        runs = list(threads.map(lambda k: measure(field, protocol, seed + k, **options), range(n_runs)))
    return summary(name_of(field), protocol, runs)


def known_protocol(protocol: str | Protocol) -> Protocol:
    """The protocol of that name. Raises `ValueError` when there is none."""
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ValueError(f"there is no protocol '{protocol}'; there are {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[protocol]


def name_of(field: str | ForceField | Potential) -> str:
    """The force field's name; "own potential" for a potential."""
    return "own potential" if isinstance(field, Potential) else force_field(field).name


def measure(
    field: str | ForceField | Potential,
    protocol: Protocol,
    seed: int,
    on_steps: Callable[[int], None] = lambda n: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """One run: mean enthalpy (kJ/mol), density (g/cm^3), temperature (K) and the curves, ready for JSON.

    `on_steps(n)` is told of every n steps done; when `should_stop()` says so the run ends with `KeyboardInterrupt`.
    """
    began = time.perf_counter()
    potential = field if isinstance(field, Potential) else water_potential(field, protocol.cutoff, protocol.truncation)
    case = starting_liquid(protocol)
    settings = Settings(protocol.dt, protocol.temperature, protocol.friction, neighbours=case.settings.neighbours)
    key = jax.random.key(seed)

    def step_done(n: int) -> None:
        on_steps(n)
        if should_stop():
            raise KeyboardInterrupt

    state = _fresh_start(case, potential, settings, seed)
    barostat = _Barostat(potential, settings, protocol)
    at_one_bar = barostat.run(
        case.system,
        state,
        jax.random.fold_in(key, 0),
        protocol.n_trials,
        0.01,
        True,
        lambda *_: step_done(10 * protocol.trial_every),
    )
    samples = _samples(at_one_bar, barostat, jax.random.fold_in(key, 1), step_done)
    half = at_one_bar.volumes[len(at_one_bar.volumes) // 2 :]
    mass = float(np.sum(np.asarray(case.system.masses))) * units.GRAM_PER_CM3
    means = {name: float(np.mean([s[name] for s in samples])) for name in ("enthalpy", "density", "temperature")}
    if protocol.box == "frozen":
        means = {**means, "density": mass / float(half.mean()), "box_density": means["density"]}
    curves = {name: np.mean([s[name] for s in samples], axis=0).round(5).tolist() for name in PAIRS}
    return {
        "force_field": name_of(field),
        "seed": seed,
        **means,
        "volumes": at_one_bar.volumes.round(4).tolist(),
        "acceptance": at_one_bar.acceptance,
        "n_samples": len(samples),
        "seconds": round(time.perf_counter() - began, 1),
        "g": curves,
    }


_PREPARING = threading.Lock()


def starting_liquid(protocol: Protocol) -> Case:
    """The liquid that all runs of a protocol start from: the default force field's, equilibrated once and cached."""
    with _PREPARING:
        return prepared("water", protocol.n_molecules, density=protocol.density, temperature=protocol.temperature)


def _fresh_start(case: Case, potential: Potential, settings: Settings, seed: int) -> State:
    """The liquid without the stress that other parameters put on it, with velocities of this seed."""
    relaxed = minimise(case.system, potential, settings, case.state, force_tolerance=MINIMUM_FORCE).state
    positions = to_snapshot(case.system, relaxed, Settings(precision="float64")).unwrapped
    return start(case.system, positions, maxwell_boltzmann(case.system, float(settings.temperature), seed))


class _Barostat(NamedTuple):
    """A potential at one bar."""

    potential: Potential
    settings: Settings
    protocol: Protocol

    def run(self, system, state, key, n_trials, largest_step, adapt, on_round) -> ConstantPressure:
        return at_constant_pressure(
            system,
            self.potential,
            self.settings,
            state,
            key,
            pressure=BAR,
            n_trials=n_trials,
            interval=self.protocol.trial_every,
            largest_step=largest_step,
            adapt=adapt,
            on_round=on_round,
        )


def _samples(begin: ConstantPressure, barostat: _Barostat, key, step_done) -> list[dict[str, Any]]:
    """What `_look` sees along the production run."""
    potential, settings, protocol = barostat
    samples: list[dict[str, Any]] = []

    def look(system: System, state: State) -> None:
        samples.append(jax.device_get(_look(protocol.n_bins, system, potential, settings, state)))

    if protocol.box == "breathing":
        n_trials = protocol.n_samples * protocol.sample_every // protocol.trial_every
        step = begin.largest_step / float(np.prod(np.asarray(begin.system.box)))

        def on_round(system: System, state: State) -> None:
            look(system, state)
            step_done(10 * protocol.trial_every)

        barostat.run(begin.system, begin.state, key, n_trials, step, False, on_round)
        return samples
    state = begin.state
    for _ in range(protocol.n_samples):
        state, _, report = advance(begin.system, potential, settings, state, key, protocol.sample_every)
        report.check()
        look(begin.system, state)
        step_done(protocol.sample_every)
    return samples


def rdf_functions(n_bins: int) -> dict[str, RadialDistributionFunction]:
    """The g(r) of every pair on `n_bins` bins of `BIN`."""
    return {name: RadialDistributionFunction(*pair, r_max=n_bins * BIN, n_bins=n_bins) for name, pair in PAIRS.items()}


@eqx.filter_jit
def _look(n_bins: int, system, potential, settings, state) -> dict[str, Any]:
    """The three g(r), enthalpy, density and temperature of a state."""
    snapshot = to_snapshot(system, state, settings, potential)
    return {
        **{name: rdf(snapshot) for name, rdf in rdf_functions(n_bins).items()},
        "enthalpy": enthalpy_of_vaporisation(snapshot, settings.temperature),
        "density": density(snapshot),
        "temperature": temperature(snapshot),
    }


def summary(name: str, protocol: Protocol, runs: Iterable[dict[str, Any]]) -> Evaluation:
    """Means over runs with standard errors. Raises `ValueError` without a run."""
    runs = list(runs)
    if not runs:
        raise ValueError(f"there is no run of '{name}' to sum up.")
    curves = {pair: np.array([run["g"][pair] for run in runs]) for pair in PAIRS}
    properties = {
        "enthalpy": _over_runs([run["enthalpy"] for run in runs], ENTHALPY, "kJ/mol"),
        "density": _over_runs([run["density"] for run in runs], DENSITY, "g/cm³"),
        "temperature": _over_runs([run["temperature"] for run in runs], protocol.temperature, "K"),
    }
    for pair, of_runs in curves.items():
        properties[f"g_{pair} error"] = curve_error(pair, of_runs)
    means = {pair: g.mean(axis=0) for pair, g in curves.items()}
    errors = {pair: _standard_error(g) for pair, g in curves.items()}
    r = (np.arange(curves["O-O"].shape[1]) + 0.5) * BIN
    return Evaluation(name, protocol, properties, r, means, errors, runs)


def curve_error(pair: str, curves: np.ndarray) -> Property:
    """Mean |g - g_experiment| over the comparable distances, of the mean of (runs, bins) curves.

    The curves are averaged first: noise of a single one would count as a deviation. Its error is the jackknife's, the
    spread of the result when one run after the other is left out.
    """
    n, n_bins = curves.shape
    r = (np.arange(n_bins) + 0.5) * BIN
    measured = load_water_rdf()[PAIRS[pair]].on(r)
    compared = (r >= COMPARED_FROM[pair]) & np.isfinite(measured)
    deviation = lambda some: float(np.mean(np.abs(some.mean(axis=0) - measured)[compared]))
    if n < 2:
        return Property(deviation(curves), float("nan"), 0.0)
    without = np.array([deviation(np.delete(curves, k, axis=0)) for k in range(n)])
    return Property(deviation(curves), float(np.sqrt((n - 1) * np.var(without))), 0.0)


def _over_runs(values: list[float], target: float, unit: str) -> Property:
    x = np.array(values)
    return Property(float(x.mean()), float(_standard_error(x)), target, unit)


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean along the first axis; NaN for a single value."""
    n = len(values)
    return np.std(values, axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(values.shape[1:], np.nan)
