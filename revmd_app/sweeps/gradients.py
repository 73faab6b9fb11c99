"""The task "gradients": one set of parameters, one trajectory, and the gradients of a loss that different methods get.

    start -> equilibration at the point's parameters -> Monte Carlo barostat (optional) -> the box stays
          -> run with snapshots -> a walk back from each: reversible, cut after so many steps; and reweighting of them

All methods see the same start, the same noise and the same snapshots, so that they differ by method alone, as in
figures 1C-E and S1 of Greener, PNAS 122, e2426058122 (2025). The derivative is at a fixed start and box.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.checks import whole_number
from revmd_app.engine.barostat import at_constant_pressure
from revmd_app.engine.simulate import advance
from revmd_app.gradients.backward import Backward
from revmd_app.gradients.estimate import Experiment, flat_leaves, parameter_names
from revmd_app.gradients.losses import LOSSES
from revmd_app.gradients.recording import Recording
from revmd_app.gradients.studies.scatter import parameter_at, with_parameters
from revmd_app.observables.thermodynamics import density
from revmd_app.systems.case import Case
from revmd_app.systems.force_fields import water_potential
from revmd_app.systems.menu import build, entry
from revmd_app.systems.prepare import prepared
from revmd_app.training.configuration import configuration
from revmd_app.training.losses import composite
from revmd_app.units import BAR_PER_PRESSURE_UNIT

TRAINING = "structure and enthalpy"
"""The loss of training: g(r) and the enthalpy of vaporisation against experiment."""
WEIGHTS = ("rdf_OO", "rdf_OH", "rdf_HH", "enthalpy")
BINS_PER_NM = 100
BAROSTAT_EVERY = 30
"""Steps between two trial volumes."""
COMPILED = (
    *("system", "size", "force_field", "cutoff", "precision", "time_step", "temperature", "friction"),
    *("loss", "loss_of", "norm", *WEIGHTS, "steps", "every", "truncate"),
)
"""Settings on which a compiled program depends; all others are its arguments."""


class Ready(NamedTuple):
    """What a worker keeps between points: the case, its potential as compiled, and the walk back."""

    case: Case
    potential: Any
    walker: Backward
    density: Callable


def measure(settings: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """The rows of one point: one a parameter, method and truncation length.

    Raises `SimulationError` or `ValueError` with the reason when the run or its start fails.
    """
    ready = _ready(*(_frozen(settings[name]) for name in COMPILED))
    potential = at_parameters(ready.potential, settings["parameters"])
    on_start, on_run = jax.random.split(jax.random.key(seed))
    case = started(ready.case, potential, settings, on_start)
    leaves = flat_leaves(potential)
    edges = sorted(settings["truncate"])
    walk = ready.walker(leaves, on_run, edges, start=(case.system.box, case.state))
    found = [("reversible", n, walk.truncated(k)) for k, n in enumerate(edges)]
    if settings["reweighting"]:
        beta = 1 / float(case.system.boltzmann * case.settings.temperature)
        found.append(("reweighting", None, walk.reweighted(beta)))
    about = {"loss": float(walk.value), "density": float(ready.density(case.system, case.state))}
    return [
        {**about, "parameter": name, "value": value, "method": method, "truncate": n, "gradient": g, "explicit": part}
        for method, n, gradient in found
        for name, value, g, part in zip(
            parameter_names(potential),
            np.asarray(leaves).tolist(),
            gradient.tolist(),
            walk.explicit.tolist(),
            strict=True,
        )
    ]


def check(settings: dict[str, Any]) -> None:
    """Raise `ValueError` for settings with which no point could be computed. Builds the system, runs nothing."""
    for name in ("equilibration", "barostat"):
        whole_number(f"the setting '{name}'", settings[name], 0, 2**40)
    for name in ("steps", "every"):
        whole_number(f"the setting '{name}'", settings[name], 1, 2**40)
    for n in settings["truncate"]:
        whole_number("each length in 'truncate'", n, 0, 2**40)
    if settings["steps"] % settings["every"]:
        raise ValueError(f"'steps' ({settings['steps']}) must be a multiple of 'every' ({settings['every']}).")
    if len(set(settings["truncate"])) < len(settings["truncate"]):
        raise ValueError(f"'truncate' names a length twice: {settings['truncate']}.")
    if settings["reweighting"] and settings["steps"] < 2 * settings["every"]:
        raise ValueError("reweighting needs at least two snapshots: lower 'every', or set reweighting = false.")
    case, potential = _built(build, settings)
    _experiment(case, settings)
    at_parameters(potential, settings["parameters"])
    potential.check(case.system)


def at_parameters(potential, values: dict[str, float]):
    """The potential with other values, by name: "sigma", or "0.sigma" where two terms have one.

    Raises `ValueError` for a name that no term, or more than one, has.
    """
    return with_parameters(potential, {_key(potential, name): value for name, value in values.items()})


def _key(potential, name: str) -> str:
    if "." in name:
        parameter_at(potential, name)
        return name
    keys = [f"{number}.{name}" for number, term in enumerate(potential.terms()) if name in term.parameters]
    if not keys:
        there = list(dict.fromkeys(name for term in potential.terms() for name in term.parameters))
        raise ValueError(
            f"'{name}' is neither a setting nor a parameter of the potential, which has {', '.join(there)}."
        )
    if len(keys) > 1:
        raise ValueError(f"more than one term has a parameter '{name}': name one of {', '.join(keys)}.")
    return keys[0]


def started(case: Case, potential, settings: dict[str, Any], key) -> Case:
    """The case equilibrated at these parameters, in the box that the pressure wants if there is a barostat."""
    at_volume, at_pressure = jax.random.split(key)
    state, _, report = advance(case.system, potential, case.settings, case.state, at_volume, settings["equilibration"])
    report.check()
    trials = settings["barostat"] // BAROSTAT_EVERY
    if trials == 0:
        return case.with_state(state)
    pressure = settings["pressure"] / BAR_PER_PRESSURE_UNIT
    end = at_constant_pressure(
        case.system,
        potential,
        case.settings,
        state,
        at_pressure,
        pressure=pressure,
        n_trials=trials,
        interval=BAROSTAT_EVERY,
    )
    return case.with_state(end.state, system=end.system)


@functools.lru_cache(maxsize=4)
def _ready(*chosen) -> Ready:
    settings = dict(zip(COMPILED, chosen, strict=True))
    case, potential = _built(prepared, settings)
    experiment = _experiment(case, settings)
    walker = Backward(experiment, potential, reach=max(settings["truncate"]))
    see = eqx.filter_jit(lambda system, state: density(replace(case, system=system, state=state).snapshot()))
    return Ready(case, potential, walker, see)


def _built(make: Callable, settings: dict[str, Any]) -> tuple[Case, Any]:
    """(the case with the settings of the sweep, its potential with its start values)."""
    name, size = settings["system"], settings["size"]
    menu = entry(name)
    whole_number(f"'size', the number of {menu.counted},", size, menu.smallest, menu.largest)
    case = make(name, size, precision=settings["precision"])
    changed = {
        "dt": settings["time_step"] or float(case.settings.dt),
        "temperature": settings["temperature"] or float(case.settings.temperature),
        "friction": settings["friction"],
    }
    case = replace(case, settings=replace(case.settings, **{k: jnp.asarray(v) for k, v in changed.items()}))
    case.settings.check()
    return case, _potential(case, settings["force_field"], settings["cutoff"])


def _potential(case: Case, force_field: str, cutoff: float):
    if case.name != "water":
        if force_field or cutoff:
            raise ValueError(f"'force_field' and 'cutoff' are settings of water; {case.name} has its own.")
        return case.potential
    return water_potential(force_field or "lennard_jones", _cutoff(case, cutoff))


def _cutoff(case: Case, cutoff: float) -> float:
    if cutoff < 0:
        raise ValueError(f"'cutoff' must be a positive distance in nm, or 0 for the system's own, not {cutoff:g}.")
    return cutoff or min(float(term.cutoff) for term in case.potential.terms() if hasattr(term, "cutoff"))


def _experiment(case: Case, settings: dict[str, Any]) -> Experiment:
    recording = Recording(settings["steps"], settings["every"], float(case.settings.dt))
    loss, loss_of = settings["loss"], settings["loss_of"]
    if loss_of not in ("average", "snapshots"):
        raise ValueError(f'\'loss_of\' is "average" or "snapshots", not {loss_of!r}.')
    if loss == TRAINING:
        terms = _training_loss(case, settings)
        observe, function = terms.observe, terms.loss
    elif loss in LOSSES and LOSSES[loss].loss_of == "average":
        observe, function = LOSSES[loss].build(case, recording)
    else:
        averages = [name for name, entry in LOSSES.items() if entry.loss_of == "average"]
        raise ValueError(f"'{loss}' is no loss of averages; there are {', '.join([TRAINING, *averages])}.")
    return Experiment(
        case.system,
        case.settings,
        case.state,
        observe,
        function,
        settings["steps"],
        settings["every"],
        loss_of,
        equilibration_steps=0,
    )


def _training_loss(case: Case, settings: dict[str, Any]):
    if case.name != "water":
        raise ValueError(f"the loss '{TRAINING}' is for water: of {case.name} no such targets are known.")
    cutoff = _cutoff(case, settings["cutoff"])
    loss = {name: settings[name] for name in (*WEIGHTS, "norm")} | {"of": settings["loss_of"]}
    grid = {"r_max": cutoff, "bins": round(BINS_PER_NM * cutoff)}
    system = {"molecules": settings["size"], "cutoff": cutoff, "temperature": float(case.settings.temperature)}
    return composite(case, configuration("water", "lab", system=system, loss=loss | grid))


def _frozen(value):
    return tuple(value) if isinstance(value, list) else value
