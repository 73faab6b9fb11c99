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
    """

    about: str
    settings: dict[str, Any]
    run: Callable[[dict[str, Any], int], Rows]
    check: Callable[[dict[str, Any]], None]


def _measure_gradients(settings: dict[str, Any], seed: int) -> Rows:
    from revmd_app.sweeps.gradients import measure

    return measure(settings, seed)


def _check_gradients(settings: dict[str, Any]) -> None:
    from revmd_app.sweeps.gradients import check

    check(settings)


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

TASKS: dict[str, Task] = {
    "gradients": Task(
        "gradients of one loss, reversible and by reweighting, from one trajectory",
        GRADIENTS,
        _measure_gradients,
        _check_gradients,
    ),
}


def check_settings(task: str, given: dict[str, Any], grid: dict[str, list]) -> dict[str, Any]:
    """The task's settings with what is given in the place of their defaults.

    Raises `ValueError` for a setting that the task does not have or a value of the wrong type, in the grid, too.
    """
    defaults = TASKS[task].settings
    for name, value in given.items():
        if name not in defaults:
            raise ValueError(f"the task '{task}' has no setting '{name}'; it has {', '.join(defaults)}.")
        _check(f"the setting '{name}'", value, defaults[name])
    for name, values in grid.items():
        if name in given:
            raise ValueError(f"'{name}' is both a setting and in the grid: leave one of them out.")
        for value in values:
            _check(f"'{name}' in the grid", value, defaults.get(name, 0.0))
    complete = {name: _as(given.get(name, default), default) for name, default in defaults.items()}
    return {name: value for name, value in complete.items() if name not in grid}


def at_point(task: str, settings: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The settings of one point; values that are no settings are the potential's, under "parameters"."""
    defaults = TASKS[task].settings
    own = {name: _as(value, defaults[name]) for name, value in values.items() if name in defaults}
    parameters = {name: float(value) for name, value in values.items() if name not in defaults}
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
