"""What sweeps of trainings and of validation runs say: a table with errors over the repeats, and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from revmd_app.sweeps.plan import Sweep

if TYPE_CHECKING:
    import pandas as pd

END = 0.1
"""The last tenth of its epochs is the end of a training: a single epoch's loss is noisy."""
REPORTED = ("enthalpy", "density_at_pressure", "diffusion", "density")
"""Columns of a training that are told of beside its loss."""
TARGETS = {"enthalpy": 46.92, "density": 0.99777}
"""Lines in the picture of validation runs: kJ/mol (Greener 2025) and g/cm³ (Tanaka et al., Metrologia 2001)."""
TITLES = {"enthalpy": "ΔH_vap (kJ/mol)", "density": "density (g/cm³)"}


def trained(sweep: Sweep, rows: pd.DataFrame) -> pd.DataFrame:
    """Per point of the grid: the loss of the first epoch and at the end, and what was measured at the end.

    ± is the standard error over the repeats (NaN for one).
    """
    import pandas as pd

    names = [name for name in REPORTED if name in rows]
    found = []
    for values, runs in _points(sweep, rows):
        first = [run["loss"].iloc[0] for run in runs]
        ends = [run.tail(max(1, round(END * len(run)))) for run in runs]
        row: dict[str, Any] = {**values, "runs": len(runs), "epochs": min(len(run) for run in runs)}
        row["stopped"] = sum(run["stopped"].iloc[-1] != "" for run in runs)
        row |= _mean("first loss", first) | _mean("last loss", [end["loss"].mean() for end in ends])
        for name in names:
            row |= _mean(name, [end[name].mean() for end in ends])
        found.append(row)
    return pd.DataFrame(found)


def evaluated(sweep: Sweep, rows: pd.DataFrame) -> pd.DataFrame:
    """Per point of the grid: the mean of every property over the repeats, and its standard error."""
    import pandas as pd

    found = []
    for values, runs in _points(sweep, rows):
        row: dict[str, Any] = {**values, "runs": len(runs)}
        for name in _properties(rows):
            row |= _mean(name, [run[name].iloc[0] for run in runs])
        found.append(row)
    return pd.DataFrame(found)


def _properties(rows: pd.DataFrame) -> list[str]:
    return ["enthalpy", "density", *(name for name in map(str, rows) if name.startswith("g_"))]


def _points(sweep: Sweep, rows: pd.DataFrame) -> list[tuple[dict[str, Any], list[pd.DataFrame]]]:
    """(values of a point, its repeats), in the order of the grid."""
    groups: Any = rows.groupby(list(sweep.grid), sort=False)
    found = {key: [run for _, run in of_point.groupby("replica")] for key, of_point in groups}
    order = [tuple(point.values.values()) for point in sweep.points() if point.replica == 0]
    return [(dict(zip(sweep.grid, key, strict=True)), found[key]) for key in order if key in found]


def _mean(name: str, values) -> dict[str, float]:
    x = np.array(values, float)
    error = x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.nan
    return {name: float(x.mean()), f"± {name}": float(error)}


def draw_trained(figure: Any, sweep: Sweep, rows: pd.DataFrame) -> None:
    """The loss and ΔH_vap against the epoch, one line a point (mean over its repeats)."""
    figure.set_size_inches(10.5, 4)
    loss, heat = figure.subplots(1, 2)
    for values, runs in _points(sweep, rows):
        means = _by_epoch(runs)
        loss.plot(means.index, means["loss"], label=_label(values))
        heat.plot(means.index, means["enthalpy"])
    loss.set(xlabel="epoch", ylabel="loss", yscale="log")
    heat.set(xlabel="epoch", ylabel=TITLES["enthalpy"])
    heat.axhline(TARGETS["enthalpy"], color="black", lw=0.8, ls="--")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)


def _by_epoch(runs: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(runs).groupby("epoch")[["loss", "enthalpy"]].mean()


def draw_evaluated(figure: Any, sweep: Sweep, rows: pd.DataFrame) -> None:
    """One panel a property, one point with its error a line: smaller errors of g(r) are better."""
    table, names = evaluated(sweep, rows), _properties(rows)
    labels = [_label({name: row[name] for name in sweep.grid}) for _, row in table.iterrows()]
    figure.set_size_inches(2.4 * len(names) + 1.6, 0.28 * len(table) + 1.4)
    axes = figure.subplots(1, len(names), sharey=True)
    for axis, name in zip(axes, names, strict=True):
        error = table[f"± {name}"].fillna(0.0)
        axis.errorbar(table[name], range(len(table)), xerr=error, fmt="o", ms=4, color="#1f5fa8")
        axis.set(xlabel=TITLES.get(name, name))
        if name in TARGETS:
            axis.axvline(TARGETS[name], color="black", lw=0.8, ls="--")
        else:
            axis.set_xlim(left=0)
        axis.grid(axis="y", lw=0.3)
    axes[0].set_yticks(range(len(table)), labels, fontsize=8)
    axes[0].invert_yaxis()


def _label(values: dict[str, Any]) -> str:
    return ", ".join(f"{name.rpartition('.')[2].replace('_', ' ')} {value}" for name, value in values.items())
