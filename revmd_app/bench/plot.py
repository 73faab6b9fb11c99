"""The benchmark as a picture: forward speed, cost of a gradient, and memory against the length of a run."""

from __future__ import annotations

import math
from pathlib import Path

from revmd_app.bench.contest import JAX_MD, OPENMM, OURS
from revmd_app.bench.records import Contest, Results

BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00"
FORWARD = {
    (OURS, "forward shifted"): ("revmd", BLUE),
    (OPENMM, "forward shifted"): ("OpenMM, custom force", GREEN),
    (JAX_MD, "forward shifted"): ("jax-md", ORANGE),
    (OURS, "forward built-in"): ("revmd, switched", "#7fb8d8"),
    (OPENMM, "forward built-in"): ("OpenMM, its own force, switched", "#7fceb9"),
}
GRADIENTS = {
    (OURS, "gradient reversible"): ("revmd, reversible", BLUE),
    (OURS, "gradient checkpointed"): ("√n checkpoints", PURPLE),
    (OURS, "gradient reverse_mode"): ("jax.grad of the same steps", VERMILLION),
    (JAX_MD, "gradient reverse_mode"): ("jax.grad of jax-md", ORANGE),
}
METHODS = {
    "reversible": ("revmd, reversible", BLUE),
    "checkpointed": ("√n checkpoints", PURPLE),
    "reverse_mode": ("jax.grad", VERMILLION),
}


def draw(results: Results, path: Path) -> None:
    """Write the picture, PNG or SVG by its name. Raises `ValueError` when matplotlib is missing or nothing is there."""
    contests = [contest for contest in results.contests if contest.cores == 1 and contest.rows]
    if not contests:
        raise ValueError("there is nothing to draw: --plot shows systems, and none was measured.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("--plot needs matplotlib: pip install 'revmd[bench]' brings it.") from error
    figure = Figure(figsize=(13, 5), layout="constrained")
    axes = figure.subplots(1, 3 if results.growth else 2)
    _bars(axes[0], contests, FORWARD, "Forward, µs a step (one core)")
    _bars(axes[1], contests, GRADIENTS, "Value and gradient, µs a step (one core)")
    if results.growth:
        _memory(axes[2], results)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)


def _bars(axis, contests: list[Contest], kinds, title: str) -> None:
    width = 0.8 / len(kinds)
    for i, ((contender, program), (label, colour)) in enumerate(kinds.items()):
        places, heights = [], []
        for place, contest in enumerate(contests):
            row = contest.row(contender, program)
            if row is not None and row.cpu is not None:
                places.append(place + (i - (len(kinds) - 1) / 2) * width)
                heights.append(row.cpu)
        bars = axis.bar(places, heights, width, color=colour, label=label)
        axis.bar_label(bars, fmt=_short, fontsize=7, padding=1, rotation=90 if len(contests) > 2 else 0)
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    axis.set_ylim(10 ** math.floor(math.log10(low)), 2.5 * high)
    axis.set_xticks(range(len(contests)), [contest.system for contest in contests])
    _dress(axis, title)


def _short(value: float) -> str:
    return f"{value:,.0f}"


def _memory(axis, results: Results) -> None:
    for method, (label, colour) in METHODS.items():
        points = sorted((g.steps, g.bytes) for g in results.growth if g.method == method)
        axis.plot([n for n, _ in points], [size / 1e6 for _, size in points], "o-", color=colour, label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    _dress(axis, "Memory of a gradient, MB, against the steps of the run")


def _dress(axis, title: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#e6eaf0", zorder=0)
    axis.set_axisbelow(True)
    axis.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
