"""Trainings that were run beforehand and ship with the package, read into the records that Lab 4 draws.

No widget and no Panel here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from revmd_app.labs.learn_quantities import ESTIMATORS, Quantity, quantities
from revmd_app.systems.force_fields import TITLES, force_field
from revmd_app.training.configuration import Configuration, from_toml
from revmd_app.training.runs import CONFIGURATION, Replay, read_run, shipped_runs


class Recorded(NamedTuple):
    """A run: a name for the legend, the command that made it, the form of its force field, a record an epoch."""

    words: str
    command: str
    form: str
    molecules: int
    records: list[dict[str, Any]]

    def until(self, epoch: int) -> list[dict[str, Any]]:
        """The records up to an epoch; the first one always."""
        return [record for record in self.records if record["epoch"] <= epoch] or self.records[:1]

    def quantities(self) -> list[Quantity]:
        """Its parameters, each with the value that this run began with."""
        begun = self.records[0]["parameters"]
        return [quantity._replace(start=begun[quantity.name]) for quantity in quantities(self.form)]


def shipped() -> dict[str, Path]:
    """The shipped runs of water by name, in the order of the forms, reversible before reweighting; maybe none."""
    known = {name: (path, _configuration(path)) for name, path in shipped_runs().items()}
    water = {name: (path, run) for name, (path, run) in known.items() if run is not None and run.task == "water"}
    return {name: path for name, (path, run) in sorted(water.items(), key=lambda item: _rank(item[1][1]))}


def _configuration(folder: Path) -> Configuration | None:
    """What a run was to do; None when that cannot be read."""
    try:
        return from_toml((folder / CONFIGURATION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _rank(run: Configuration) -> tuple[int, int]:
    form, estimator = force_field(run.system.force_field).form, run.gradient.estimator
    return list(TITLES).index(form), [*ESTIMATORS, estimator].index(estimator)


def load(folder: Path) -> Recorded:
    """Read a run. Raises `ValueError` with one sentence for one that is damaged, or not of water."""
    replay = read_run(folder)
    run = replay.configuration
    if run.task != "water":
        raise ValueError(f"'{folder}' is a training of {run.task}: this lab shows trainings of water.")
    if replay.metrics.empty or not replay.curves:
        raise ValueError(f"'{folder}' holds no finished epoch.")
    estimator = run.gradient.estimator
    return Recorded(
        words=ESTIMATORS.get(estimator, estimator.replace("_", " ").capitalize()),
        command=replay.command or f"revmd train water with the configuration {folder / 'config.toml'}",
        form=force_field(run.system.force_field).form,
        molecules=run.system.molecules,
        records=records(replay),
    )


def described(recorded: Recorded) -> str:
    """A run in a few words: form, estimator, size, epochs."""
    last = recorded.records[-1]["epoch"]
    return f"{TITLES[recorded.form]}, {recorded.words.lower()}, {recorded.molecules} molecules, {last} epochs"


def records(replay: Replay) -> list[dict[str, Any]]:
    """One record an epoch, as a live training gives them; g(r) is that of the last epoch for which it was kept."""
    loss = replay.configuration.loss
    wanted = {"enthalpy": loss.enthalpy_target}
    names = [column.removeprefix("loss ") for column in replay.metrics.columns if column.startswith("loss ")]
    kept = sorted(replay.curves)
    found = []
    for row, parameters in zip(replay.metrics.to_dict("records"), replay.parameters.to_dict("records"), strict=True):
        epoch = int(row["epoch"])
        of = max((k for k in kept if k <= epoch), default=kept[0])
        arrays = replay.curves[of]
        found.append(
            {
                "epoch": epoch,
                "loss": row["loss"],
                "loss_error": row["loss_error"],
                "terms": {name: (row.get(name), wanted.get(name), row[f"loss {name}"]) for name in names},
                "errors": {"enthalpy": row["enthalpy_error"]},
                "parameters": parameters,
                "density": row["density"],
                "temperature": row["temperature"],
                "curves": {name: (np.asarray(arrays["r"]), np.asarray(g)) for name, g in arrays.items() if name != "r"},
            }
        )
    return found
