"""Pictures of cost and growth: what a gradient needs against the length of the run, and how fast it grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Span

from revmd_app.labs.gradients_model import GradientsModel
from revmd_app.labs.gradients_plots_base import Series, StatPlot
from revmd_app.labs.widgets.plots import BLUE, GREEN, MUTED, ORANGE, PURPLE, VERMILLION

METHODS = {
    "reversible": Series("reversible", BLUE, "circle", "solid", size=9, width=2.5),
    "checkpointed": Series("checkpointed", PURPLE, "square", "dashdot"),
    "reverse_mode": Series("reverse mode", VERMILLION, "triangle", "dashed", size=9),
    "forward": Series("simulation alone", MUTED, "diamond", "dotted"),
}
EXTRAPOLATED = {
    f"{name} extrapolated": look._replace(label="", marker="", dash="dotted", width=1.5)
    for name, look in METHODS.items()
}


class CostPlots:
    """Seconds and peak memory against the number of steps, both on logarithmic axes."""

    def __init__(self, model: GradientsModel):
        self.seconds = StatPlot("steps", "seconds", METHODS, log="xy", key="seconds")
        self.memory = StatPlot("steps", "peak memory (MB)", {**METHODS, **EXTRAPOLATED}, log="xy", key="memory")
        self.memory.band(1000, 2000, "Binder's limit, 1–2 GB")
        self.plots = {"time": self.seconds, "memory": self.memory}

    def draw(self, result: dict[str, Any]) -> None:
        """Redraw from the rows of a cost study."""
        for method in METHODS:
            rows = sorted((r for r in result.get("rows", []) if r["method"] == method), key=lambda r: r["n_steps"])
            timed = [r for r in rows if r["seconds"] is not None]
            self.seconds.set(method, [r["n_steps"] for r in timed], [r["seconds"] for r in timed])
            known = [r for r in rows if r["bytes"] is not None]
            sure = [r for r in known if not r["extrapolated"]]
            self.memory.set(method, [r["n_steps"] for r in sure], [r["bytes"] / 1e6 for r in sure])
            beyond = sure[-1:] + [r for r in known if r["extrapolated"]]
            self.memory.set(
                f"{method} extrapolated", [r["n_steps"] for r in beyond], [r["bytes"] / 1e6 for r in beyond]
            )
        self.seconds.fit()
        self.memory.fit(include_y=(0.5, 4000))
        for plot in self.plots.values():
            plot.push()


class GrowthPlots:
    """|dL/dv| against the time before the sample, with its slope; and the gradient gathered so far.

    The marker (a vertical line in both) says where the backward walk would be cut; dragging it calls `on_marker(ps)`.
    """

    def __init__(self, model: GradientsModel, on_marker: Callable[[float], None]):
        self.model = model
        looks = {
            "band": Series(color=BLUE, band=True, marker=""),
            "norm": Series("|∂L/∂v|", BLUE, "", "solid", width=2.5),
            "fit": Series("fitted exponential", VERMILLION, "", "dashed", width=2.5),
            "two": Series("two runs parting (Benettin)", GREEN, "", "dotted", width=2.5),
        }
        self.norm = StatPlot("time before the sample (ps)", "norm of the gradient", looks, log="y", key="growth")
        self.curves = ColumnDataSource({"xs": [], "ys": []}, name="single runs")
        lines = self.norm.figure.multi_line(
            "xs", "ys", source=self.curves, line_color=MUTED, line_alpha=0.35, line_width=1
        )
        lines.level = "underlay"
        gathered = {
            "band": Series(color=BLUE, band=True, marker=""),
            "gradient": Series("mean, ± 1 standard error", BLUE, "", "solid", width=2.5),
        }
        self.gathered = StatPlot("looks back (ps)", "dL/dθ", gathered, key="gathered")
        self.gathered.zero_line()
        self.plots = {"growth": self.norm, "gathered": self.gathered}
        self.markers = [self._marker(plot) for plot in self.plots.values()]
        self._quiet = False
        for marker in self.markers:
            marker.on_change("location", lambda _, __, new: self._dragged(new, on_marker))

    def _marker(self, plot: StatPlot) -> Span:
        marker = Span(
            location=0.0, dimension="height", line_color=ORANGE, line_width=4, line_dash="dashed", editable=True
        )
        plot.figure.add_layout(marker)
        return marker

    def _dragged(self, place: float, on_marker) -> None:
        if not self._quiet:
            on_marker(float(place))

    def mark(self, place: float) -> None:
        """Move the marker to a time before the sample (ps)."""
        self._quiet = True
        for marker in self.markers:
            marker.location = place
        self._quiet = False
        for plot in self.plots.values():
            plot.push()

    def draw(self, result: dict[str, Any]) -> None:
        """Redraw from a growth study."""
        unit = self.model.time_unit
        self.norm.title(x=f"time before the sample ({unit})")
        self.gathered.title(
            x=f"looks back ({unit})", y=f"dL/d{self.model.symbol} gathered ({self.model.gradient_unit})"
        )
        t = np.array(result.get("time", []), dtype=float)
        numbers = lambda key: np.array([np.nan if x is None else x for x in result.get(key, [])], dtype=float)
        mu, low, high = numbers("mu"), numbers("mu_low"), numbers("mu_high")
        self.norm.set("norm", t, mu)
        between = np.isfinite(mu) & (low > 0) if len(t) else np.zeros(0, dtype=bool)
        band = {"x": t, "y": mu, "low": low, "high": high, "left": t, "right": t}
        self.norm.sources["band"].data = {key: column[between] for key, column in band.items()}
        curves = [np.array([np.nan if x is None else x for x in c], dtype=float) for c in result.get("curves", [])]
        self.curves.data = {"xs": [t[: len(c)] for c in curves], "ys": [np.where(c > 0, c, np.nan) for c in curves]}
        self._lines(result, t)
        self._gradient(result, t)
        self.norm.fit()
        self.gathered.fit()
        for plot in self.plots.values():
            plot.push()

    def _lines(self, result, t) -> None:
        fit, two = result.get("fit"), result.get("lyapunov")
        x = np.array([fit["from"], fit["to"]]) if fit else np.zeros(0)
        self.norm.set("fit", x, np.exp(fit["intercept"] + fit["slope"] * x) if fit else x)
        if fit and two and two["time"]:
            when, growth = np.array(two["time"]), np.array(two["log_growth"])
            keep = when <= (t.max() if len(t) else 0)
            self.norm.set("two", when[keep], np.exp(fit["intercept"] + growth[keep] - growth[keep][:1]))
        else:
            self.norm.set("two", [], [])

    def _gradient(self, result, t) -> None:
        name = self.model.parameter_name
        mean = np.array([np.nan if g is None else g for g in result.get("gradient", {}).get(name, [])], dtype=float)
        error = result.get("gradient_error", {}).get(name, [])
        t = t[: len(mean)]
        error = np.array([np.nan if e is None else e for e in error], dtype=float)[: len(mean)]
        usable = _readable(mean, error)
        self.gathered.set("gradient", t[usable], mean[usable])
        self.gathered.set("band", t[usable], mean[usable], error[usable])


def _readable(mean: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Where the gathered gradient still shares an axis with its beginning: its error grows without bound."""
    if len(mean) == 0:
        return np.zeros(0, dtype=bool)
    size = np.nanmax(np.abs(mean[: max(2, len(mean) // 4)]))
    wild = np.abs(np.nan_to_num(error)) > 20 * max(size, 1e-30)
    first = int(np.argmax(wild)) if wild.any() else len(mean)
    return np.arange(len(mean)) < max(first, 2)
