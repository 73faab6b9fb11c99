"""The tasks "train" and "evaluate" of a sweep: a whole training at a point, and one validation run of a force field.

A point of "train" is a configuration of `revmd_app.training`: a preset with the keys that the sweep changes. It keeps
no checkpoint: a point that is lost is trained again from its start, to the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from revmd_app.checks import check_number, whole_number
from revmd_app.sweeps.gradients import at_parameters
from revmd_app.systems.force_fields import water_potential
from revmd_app.training.configuration import Configuration, configuration
from revmd_app.training.evaluate import PAIRS, Protocol, curve_error, known_protocol, measure
from revmd_app.training.fit import Diverged, Training

NO_KEY = "is neither a setting nor a key of a training run, such as optimiser.learning_rate."


def train(settings: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """One row an epoch: the metrics of `revmd train`, and under "stopped" why the training ended before its time.

    Raises `ValueError` with the reason when not even the first epoch can be finished.
    """
    run = configured(settings, seed)
    training, rows = Training(run), []
    progress = training.begin()
    try:
        while progress.epoch < run.optimiser.epochs:
            progress, record = training.epoch(progress)
            rows.append({**record.row(), "stopped": ""})
    except Diverged as reason:
        if not rows:
            raise ValueError(str(reason)) from reason
        rows[-1]["stopped"] = str(reason)
    return rows


def configured(settings: dict[str, Any], seed: int) -> Configuration:
    """The training run of a point. The point's seed is the run's, unless the sweep sets one.

    Raises `ValueError` for what is no key of a training run or means nothing there.
    """
    changes: dict[str, dict[str, Any]] = {"run": {"seed": seed}}
    for name, value in settings.items():
        section, dot, key = name.partition(".")
        if dot:
            changes.setdefault(section, {})[key] = value
    for name in settings["parameters"]:
        raise ValueError(f"'{name}' {NO_KEY}")
    return configuration(settings["train"], settings["preset"], **changes)


def check_training(settings: dict[str, Any]) -> None:
    """Raise `ValueError` for settings with which nothing could be trained. Runs no dynamics."""
    Training(configured(settings, 0))


def evaluate(settings: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """One row: enthalpy of vaporisation (kJ/mol), density (g/cm³), temperature (K) and the errors of g(r) of one run.

    The error of a single run's g(r) contains its noise: `revmd evaluate` averages the curves of several runs first.
    """
    protocol = chosen_protocol(settings)
    found = measure(_potential(settings, protocol), protocol, seed)
    errors = {f"g_{pair} error": curve_error(pair, np.array([found["g"][pair]])).value for pair in PAIRS}
    numbers = {name: found[name] for name in ("enthalpy", "density", "temperature", "acceptance", "n_samples")}
    return [numbers | errors]


def check_evaluation(settings: dict[str, Any]) -> None:
    """Raise `ValueError` for settings with which nothing could be run. Runs no dynamics."""
    _potential(settings, chosen_protocol(settings)).check_parameters()


def chosen_protocol(settings: dict[str, Any]) -> Protocol:
    """The protocol by name, with what the sweep changes in it (0: nothing)."""
    protocol = known_protocol(settings["protocol"])
    if settings["molecules"]:
        whole_number("the setting 'molecules'", settings["molecules"], 64, 1000)
        protocol = protocol._replace(n_molecules=settings["molecules"])
    for name in ("cutoff", "temperature", "equilibration", "production"):
        check_number(f"the setting '{name}'", settings[name], at_least=0.0)
        if settings[name]:
            protocol = protocol._replace(**{name: settings[name]})
    return protocol


def _potential(settings: dict[str, Any], protocol: Protocol):
    potential = water_potential(settings["force_field"], protocol.cutoff, protocol.truncation)
    return at_parameters(potential, settings["parameters"])
