"""The picture of a sweep; of gradients: two methods against one another, their noise, and what truncation does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from revmd_app.sweeps import summary
from revmd_app.sweeps.plan import Sweep
from revmd_app.sweeps.summary_water import draw_evaluated, draw_trained

if TYPE_CHECKING:
    import pandas as pd

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#8a8f98"
SHORT = {
    "sigma": "σ",
    "epsilon": "ε",
    "charge": "q",
    "r0": "r₀",
    "theta0": "θ₀",
    "HarmonicBond.k": "k bond",
    "HarmonicAngle.k": "k angle",
}


def draw(sweep: Sweep, rows: pd.DataFrame, path: Path) -> None:
    """Write the picture of a sweep. Raises `ValueError` when there is nothing to draw or no matplotlib."""
    good = summary.succeeded(rows)
    if not len(good):
        raise ValueError("--plot has nothing to draw yet: no point of this sweep has a result.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("--plot needs matplotlib: pip install 'revmd[train]'.") from error
    figure = Figure(layout="constrained")
    _drawing(sweep, good)(figure, sweep, good)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _drawing(sweep: Sweep, rows: pd.DataFrame):
    others = {"train": draw_trained, "evaluate": draw_evaluated}
    return others.get(sweep.task) or (_compare if summary.compares(sweep, rows) else _truncate)


def short(parameter: str) -> str:
    """A parameter's name for an axis."""
    return SHORT.get(parameter) or SHORT.get(parameter.rpartition(".")[2]) or parameter.rpartition(".")[2]


def _compare(figure: Any, sweep: Sweep, rows: pd.DataFrame) -> None:
    """One scatter a parameter, then the noise of both, then the gradient against each axis of the grid."""
    parameters = list(rows["parameter"].unique())
    swept = [name for name in sweep.grid if _own(rows, name) is not None]
    panels = len(parameters) + summary.repeated(rows) + len(swept)
    columns = min(4, panels)
    lines = -(-panels // columns)
    figure.set_size_inches(3.4 * columns, 3.1 * lines)
    axes = iter(figure.subplots(lines, columns, squeeze=False).ravel())
    for parameter in parameters:
        _scatter(next(axes), sweep, rows, parameter)
    if summary.repeated(rows):
        _noise(next(axes), sweep, rows)
    for name in swept:
        _against(next(axes), sweep, rows, name)
    for rest in axes:
        rest.axis("off")


def _own(rows: pd.DataFrame, name: str) -> str | None:
    """The one parameter of the potential that an axis of the grid varies."""
    ends = [parameter for parameter in rows["parameter"].unique() if parameter.rpartition(".")[2] == name]
    return ends[0] if len(ends) == 1 else None


def _scatter(axis: Any, sweep: Sweep, rows: pd.DataFrame, parameter: str) -> None:
    both = summary.paired(sweep, rows, parameter)
    density = rows.groupby(list(sweep.grid))["density"].mean().reindex(both.index)
    size = float(np.abs(both.to_numpy()).max()) or 1.0
    threshold = max(float(np.median(np.abs(both.to_numpy()))) / 5, 1e-12)
    axis.plot([-size, size], [-size, size], color=GREY, lw=1, zorder=0)
    dots = axis.scatter(both["reweighting"], both["reversible"], c=density, s=14, cmap="viridis", linewidths=0)
    for scale in (axis.set_xscale, axis.set_yscale):
        scale("symlog", linthresh=threshold)
    for coordinate in (axis.xaxis, axis.yaxis):
        coordinate.set_major_locator(_few_ticks(threshold, size))
    axis.set_xlim(-1.6 * size, 1.6 * size)
    axis.set_ylim(-1.6 * size, 1.6 * size)
    axis.axhline(0, color=GREY, lw=0.4)
    axis.axvline(0, color=GREY, lw=0.4)
    r = float(np.corrcoef(both["reweighting"], both["reversible"])[0, 1])
    axis.set_title(f"{short(parameter)}: r = {r:.3f}", fontsize=10)
    axis.set_xlabel("reweighting, p ∂L/∂p", fontsize=8)
    axis.set_ylabel(f"reversible, {summary.longest(rows)} steps", fontsize=8)
    axis.tick_params(labelsize=7)
    bar = axis.figure.colorbar(dots, ax=axis, pad=0.02)
    bar.set_label("density, g/cm³", fontsize=7)
    bar.ax.tick_params(labelsize=6)


def _few_ticks(threshold: float, size: float):
    from matplotlib.ticker import FixedLocator

    last = int(np.floor(np.log10(size)))
    first = max(int(np.ceil(np.log10(threshold))), last - 2)
    tens = [10.0**n for n in range(first, last + 1)]
    return FixedLocator([-x for x in tens[::-1]] + [0.0] + tens)


def _noise(axis: Any, sweep: Sweep, rows: pd.DataFrame) -> None:
    table = summary.spreads(sweep, rows)
    at = np.arange(len(table))
    axis.bar(at - 0.2, table["reversible"], 0.4, color=BLUE, label="reversible")
    axis.bar(at + 0.2, table["reweighting"], 0.4, color=ORANGE, label="reweighting")
    axis.plot(at, table["signal"], "k_", ms=14, label="|p ∂L/∂p|")
    axis.set_yscale("log")
    axis.set_xticks(at, [short(name) for name in table["parameter"]], fontsize=8, rotation=45)
    axis.set_title("Repeat-to-repeat deviation, median of sets", fontsize=10)
    axis.tick_params(axis="y", labelsize=7)
    axis.legend(fontsize=7)


def _against(axis: Any, sweep: Sweep, rows: pd.DataFrame, name: str) -> None:
    """The gradient against its own parameter: median and quartiles over all else."""
    both = summary.paired(sweep, rows, str(_own(rows, name)))
    groups = both.groupby(level=name)
    for method, colour, shift in (("reversible", BLUE, -1), ("reweighting", ORANGE, 1)):
        low, median, high = (groups[method].quantile(q) for q in (0.25, 0.5, 0.75))
        x = np.asarray(median.index, float)
        x = x + shift * 0.04 * (x[1] - x[0] if len(x) > 1 else 1.0)
        error = np.array([median - low, high - median])
        axis.errorbar(x, median, yerr=error, color=colour, marker="o", ms=4, lw=1.2, capsize=2, label=method)
    axis.axhline(0, color=GREY, lw=0.6)
    axis.set_yscale("symlog", linthresh=max(float(np.median(np.abs(both.to_numpy()))) / 5, 1e-12))
    axis.set_xlabel(short(name), fontsize=9)
    axis.set_title(f"Gradient in {short(name)} against {short(name)}", fontsize=10)
    axis.set_ylabel("p ∂L/∂p, median and quartiles", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7)


def _truncate(figure: Any, sweep: Sweep, rows: pd.DataFrame) -> None:
    """|p dL/dp| against the truncation: the distribution for the first parameter, the medians of all."""
    parameters = list(rows["parameter"].unique())
    lengths = sorted(int(n) for n in rows["truncate"].dropna().unique())
    figure.set_size_inches(11, 4.2)
    left, right = figure.subplots(1, 2)
    _boxes(left, rows[rows["parameter"] == parameters[0]], lengths)
    left.set_title(f"|p ∂L/∂p| for {short(parameters[0])}, {rows['point'].nunique()} runs", fontsize=10)
    table = summary.by_truncation(rows)
    for parameter in parameters:
        of = table[table["parameter"] == parameter].sort_values("truncate")
        right.plot(of["truncate"], of["median response"], marker="o", ms=4, label=short(parameter))
    right.set_yscale("log")
    right.set_title("Median of the part that came through the trajectory", fontsize=10)
    right.set_xlabel("truncation, steps", fontsize=9)
    right.set_ylabel("|p ∂L/∂p − explicit|", fontsize=9)
    right.legend(fontsize=8, ncols=2)


def _boxes(axis: Any, rows: pd.DataFrame, lengths: list[int]) -> None:
    sizes = [summary.scaled(rows[rows["truncate"] == n]).abs().to_numpy() for n in lengths]
    style = {"color": BLUE, "lw": 1.2}
    axis.boxplot(
        sizes,
        whis=(5, 95),
        showfliers=False,
        boxprops=style,
        medianprops={"color": ORANGE, "lw": 2},
        whiskerprops=style,
    )
    explicit = float(np.median(np.abs(rows["explicit"] * rows["value"])))
    axis.axhline(explicit, color=GREY, lw=1, ls="--", label="explicit part alone, median")
    axis.set_yscale("log")
    axis.set_xticks(range(1, len(lengths) + 1), [str(n) for n in lengths])
    axis.set_xlabel("truncation, steps", fontsize=9)
    axis.set_ylabel("|p ∂L/∂p|: quartiles, 5 % to 95 %", fontsize=9)
    axis.legend(fontsize=8)
