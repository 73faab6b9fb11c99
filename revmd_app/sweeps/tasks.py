"""What can be done at a point of a sweep, and the settings that each task has.

A task is a function of its settings, the point's values and its seed that returns the point's rows. This file imports
no JAX: settings are checked before anything is started, and a worker prepares its processor first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Rows = list[dict[str, Any]]


class Task(NamedTuple):
    """A task: what it does in a line, its settings with their defaults, and who does it.

    `run(settings, seed)` returns the point's rows, with the point's values already in the settings and everything that
    is no setting in `settings["parameters"]`. `check(settings)` raises `ValueError` for what can be known beforehand.
    With `keys` every name with a point in it ("optimiser.epochs") is a setting without a default of its own.
    """

    about: str
    settings: dict[str, Any]
    run: Callable[[dict[str, Any], int], Rows]
    check: Callable[[dict[str, Any]], None]
    keys: bool = False

    def has(self, name: str) -> bool:
        """Whether there is a setting of that name."""
        return name in self.settings or (self.keys and "." in name)


def _measure_gradients(settings: dict[str, Any], seed: int) -> Rows:
    from revmd_app.sweeps.gradients import measure

    return measure(settings, seed)


def _check_gradients(settings: dict[str, Any]) -> None:
    from revmd_app.sweeps.gradients import check

    check(settings)


def _train(settings: dict[str, Any], seed: int) -> Rows:
    from revmd_app.sweeps.water import train

    return train(settings, seed)


def _check_training(settings: dict[str, Any]) -> None:
    from revmd_app.sweeps.water import check_training

    check_training(settings)


def _evaluate(settings: dict[str, Any], seed: int) -> Rows:
    from revmd_app.sweeps.water import evaluate

    return evaluate(settings, seed)


def _check_evaluation(settings: dict[str, Any]) -> None:
    from revmd_app.sweeps.water import check_evaluation

    check_evaluation(settings)


GRADIENTS = {
    "system": "water",  # of the menu of systems
    "size": 64,  # atoms or molecules
    "force_field": "",  # of water; "": the usual start values
    "cutoff": 0.0,  # nm; 0: the system's own
    "precision": "float32",
    "time_step": 0.0,  # ps; 0: the system's own
    "temperature": 0.0,  # K; 0: the system's own
    "friction": 1.0,  # 1/ps
    "loss": "structure and enthalpy",  # or a name of the menu of losses of Lab 3
    "loss_of": "average",  # or "snapshots": the mean of each snapshot's loss, as in the paper
    "norm": "square",  # or "absolute"; this and the four weights are of "structure and enthalpy"
    "rdf_OO": 1.0,
    "rdf_OH": 1.0,
    "rdf_HH": 0.0,
    "enthalpy": 1.0,
    "equilibration": 5000,  # steps at the point's parameters, at constant volume
    "barostat": 0,  # steps at constant pressure after that; then the box stays
    "pressure": 1.0,  # bar
    "steps": 20_000,  # of the run, each `every` of which is a snapshot
    "every": 800,
    "truncate": [200],  # steps back from each snapshot, one gradient for each
    "reweighting": True,  # from the same snapshots
}

TRAIN = {
    "train": "water",  # or "oxygen"
    "preset": "laptop",  # of `revmd train`; any key of its configuration can be set or swept, as gradient.estimator
}

EVALUATE = {
    "force_field": "lennard_jones",  # a preset's name
    "protocol": "laptop",  # of `revmd evaluate`
    "molecules": 0,  # this and what follows: 0 for the protocol's
    "cutoff": 0.0,  # nm
    "temperature": 0.0,  # K
    "equilibration": 0.0,  # ps under the barostat
    "production": 0.0,  # ps
}

TASKS: dict[str, Task] = {
    "gradients": Task(
        "gradients of one loss, reversible and by reweighting, from one trajectory",
        GRADIENTS,
        _measure_gradients,
        _check_gradients,
    ),
    "train": Task("a training of water or of oxygen in it, epoch by epoch", TRAIN, _train, _check_training, keys=True),
    "evaluate": Task(
        "a validation run of a force field of water: g(r), enthalpy of vaporisation, density",
        EVALUATE,
        _evaluate,
        _check_evaluation,
    ),
}


def check_settings(task: str, given: dict[str, Any], grid: dict[str, list]) -> dict[str, Any]:
    """The task's settings with what is given in the place of their defaults.

    Raises `ValueError` for a setting that the task does not have or a value of the wrong type, in the grid, too.
    """
    kind = TASKS[task]
    for name, value in given.items():
        if not kind.has(name):
            raise ValueError(f"the task '{task}' has no setting '{name}'; it has {', '.join(kind.settings)}.")
        if name in kind.settings:
            _check(f"the setting '{name}'", value, kind.settings[name])
    for name, values in grid.items():
        if name in given:
            raise ValueError(f"'{name}' is both a setting and in the grid: leave one of them out.")
        for value in values if name in kind.settings or not kind.has(name) else ():
            _check(f"'{name}' in the grid", value, kind.settings.get(name, 0.0))
    complete = {**kind.settings, **given}
    return {name: _as(value, kind.settings.get(name)) for name, value in complete.items() if name not in grid}


def at_point(task: str, settings: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The settings of one point; values that are no settings are the potential's, under "parameters"."""
    kind = TASKS[task]
    own = {name: _as(value, kind.settings.get(name)) for name, value in values.items() if kind.has(name)}
    parameters = {name: float(value) for name, value in values.items() if not kind.has(name)}
    return {**settings, **own, "parameters": parameters}


def _as(value: Any, like: Any) -> Any:
    """A whole number where a real one is wanted is that real number."""
    return float(value) if isinstance(like, float) else value


def _check(what: str, value: Any, like: Any) -> None:
    if isinstance(like, list):
        if not (isinstance(value, list) and value and all(_is(item, like[0]) for item in value)):
            raise ValueError(f"{what} is a list with at least one {_kind(like[0])} in it, not {value!r}.")
    elif not _is(value, like):
        raise ValueError(f"{what} is a {_kind(like)}, not {value!r}.")


def _is(value: Any, like: Any) -> bool:
    if isinstance(like, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(like, bool)
    return isinstance(value, int | float) if isinstance(like, float) else isinstance(value, type(like))


def _kind(like: Any) -> str:
    kinds = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    return kinds[type(like)]
