"""Pictures of a training run as it grows: loss, enthalpy, parameters, and g(r) at the start and now."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from revmd_app.data import load_water_rdf
from revmd_app.training.losses import PAIRS
from revmd_app.training.runs import Replay, read_run

INK, BLUE, ORANGE, GREY = "#1b2a41", "#3d6fb6", "#d9822b", "#9aa5b5"


def plots_available() -> bool:
    """Whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def draw_run(folder) -> list[Path]:
    """Draw the pictures of a run into its folder `plots`; returns their paths. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    replay, target = read_run(folder), Path(folder) / "plots"
    target.mkdir(exist_ok=True)
    written = []
    for name, draw, size in (("training", _draw_training, (10, 6)), ("structure", _draw_structure, (10, 3.4))):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, replay)
        path = target / f"{name}.png"
        figure.savefig(path, dpi=110)
        written.append(path)
    return written


def _draw_training(figure, replay: Replay) -> None:
    axes, metrics = figure.subplots(2, 2), replay.metrics
    loss, numbers, parameters, density = axes.ravel()
    loss.plot(metrics.epoch, metrics.loss, color=INK, lw=2, label="loss")
    for name in (*PAIRS, "enthalpy", "density_at_pressure", "diffusion"):
        if f"loss {name}" in metrics and metrics[f"loss {name}"].any():
            loss.plot(metrics.epoch, metrics[f"loss {name}"], lw=1, label=name)
    loss.set(yscale="log", xlabel="epoch", ylabel="loss")
    loss.legend(fontsize=8)
    watched = "diffusion" if "diffusion" in metrics else "enthalpy"
    goal = getattr(replay.configuration.loss, f"{watched}_target")
    error = np.nan_to_num(metrics[f"{watched}_error"])
    numbers.errorbar(metrics.epoch, metrics[watched], error, color=BLUE, lw=1)
    numbers.axhline(goal, color=ORANGE, label="target")
    unit = {"enthalpy": "ΔH_vap (kJ/mol)", "diffusion": "D (nm²/ps)"}[watched]
    numbers.set(xlabel="epoch", ylabel=unit)
    numbers.legend(fontsize=8)
    for label, column in replay.parameters.items():
        parameters.plot(metrics.epoch, column / column.iloc[0], label=str(label))
    parameters.set(xlabel="epoch", ylabel="parameter / start")
    parameters.legend(fontsize=7)
    density.plot(metrics.epoch, metrics.density, color=BLUE)
    density.set(xlabel="epoch", ylabel="density (g/cm³)")


def _draw_structure(figure, replay: Replay) -> None:
    reference = load_water_rdf()
    axes = figure.subplots(1, len(PAIRS))
    epochs = sorted(replay.curves)
    for axis, (name, pair) in zip(axes, PAIRS.items(), strict=True):
        known = reference[pair]
        axis.plot(known.r, known.g, color=GREY, lw=4, label="Soper 2013")
        for epoch, colour in ((epochs[0], ORANGE), (epochs[-1], BLUE)) if epochs else ():
            curve = replay.curves[epoch]
            axis.plot(curve["r"], curve[name], color=colour, lw=1.5, label=f"epoch {epoch}")
        axis.set(
            xlim=(0.1, replay.configuration.loss.r_max), ylim=(0, 3.6), xlabel="r (nm)", ylabel=f"g_{''.join(pair)}"
        )
    axes[0].legend(fontsize=8)


def draw_comparison(folders, path) -> None:
    """Several runs in one picture, written to `path`: loss, its enthalpy and structure parts, and the enthalpy itself.

    Needs matplotlib. Raises `ValueError` for a folder that is no run.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, structure, heat = figure.subplots(1, 3)
    for folder in folders:
        replay = read_run(folder)
        metrics = replay.metrics
        label = f"{replay.configuration.system.force_field}, {replay.configuration.gradient.estimator}".replace(
            "_", " "
        )
        loss.plot(metrics.epoch, metrics.loss, label=label)
        structure.plot(metrics.epoch, metrics[[f"loss {name}" for name in PAIRS]].sum(axis=1))
        heat.plot(metrics.epoch, metrics.enthalpy)
        goal = replay.configuration.loss.enthalpy_target
    heat.axhline(goal, color=GREY, lw=3, zorder=0)
    loss.set(yscale="log", xlabel="epoch", ylabel="loss")
    structure.set(yscale="log", xlabel="epoch", ylabel="loss of g_OO, g_OH and g_HH")
    heat.set(xlabel="epoch", ylabel="ΔH_vap (kJ/mol); target grey")
    loss.legend(fontsize=8)
    figure.savefig(path, dpi=110)
