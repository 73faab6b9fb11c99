"""Pictures of the other studies: the grid, reweighting far away, average against snapshot, and truncation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import BoxAnnotation, ColumnDataSource, HoverTool

from revmd_app.labs.gradients_model import GradientsModel
from revmd_app.labs.gradients_plots_base import Series, StatPlot
from revmd_app.labs.widgets.look import significant
from revmd_app.labs.widgets.plots import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, VERMILLION

TRUSTED = 0.1
"""Below this share of effective samples a reweighted average is not to be trusted."""


class GridPlot:
    """The two gradients of each parameter set against each other; `on_pick(values)` is called for a pressed point."""

    def __init__(self, model: GradientsModel, on_pick: Callable[[dict[str, float]], None]):
        self.model, self.on_pick = model, on_pick
        looks = {
            "equal": Series("y = x", MUTED, "", "dashed"),
            "sets": Series("one parameter set, ± 1 standard error", BLUE, "circle", size=9, alpha=0.85),
        }
        self.plot = StatPlot("reweighting", "reversible", looks, key="grid")
        self.plot.zero_line("width").zero_line("height")
        self.chosen = ColumnDataSource({"x": [], "y": []}, name="chosen set")
        ring = {"size": 17, "fill_alpha": 0, "line_color": VERMILLION, "line_width": 3}
        self.plot.figure.scatter("x", "y", source=self.chosen, **ring)
        points = [r for r in self.plot.figure.renderers if getattr(r, "data_source", None) is self.plot.sources["sets"]]
        hover = HoverTool(renderers=points[-1:], tooltips=[("", "@words"), ("reweighting", "@x"), ("reversible", "@y")])
        self.plot.figure.tools = [t for t in self.plot.figure.tools if not isinstance(t, HoverTool)] + [hover]
        self.plot.figure.on_event(Tap, self._tapped)
        self.plots = {"grid": self.plot}
        self._values: list[dict[str, float]] = []

    def _tapped(self, event) -> None:
        """Take the point nearest to where the mouse was pressed, if one is near."""
        data, plot = self.plot.sources["sets"].data, self.plot
        if not len(data["x"]) or event.x is None:
            return
        wide = plot.x_range.end - plot.x_range.start
        high = plot.y_range.end - plot.y_range.start
        distance = np.hypot((np.asarray(data["x"]) - event.x) / wide, (np.asarray(data["y"]) - event.y) / high)
        nearest = int(np.argmin(distance))
        if distance[nearest] < 0.04:
            self.pick(nearest)

    def pick(self, index: int) -> None:
        """Mark a point and hand its parameter set on."""
        data = self.plot.sources["sets"].data
        self.chosen.data = {"x": [data["x"][index]], "y": [data["y"][index]]}
        self.plot.push()
        self.on_pick(self._values[int(data["number"][index])])

    def draw(self, result: dict[str, Any]) -> None:
        """Redraw from a grid study."""
        name, unit = self.model.parameter_name, self.model.gradient_unit
        points = result.get("points", [])
        self._values = [p["values"] for p in points]
        found = lambda key: _floats([p[key].get(name) for p in points])
        unit = f" ({unit})" if unit else ""
        self.plot.title(
            x=f"dL/d{self.model.symbol} by reweighting{unit}", y=f"dL/d{self.model.symbol}, reversible{unit}"
        )
        self.plot.set(
            "sets",
            found("reweighting"),
            found("reversible"),
            found("reversible_error"),
            found("reweighting_error"),
            number=np.arange(len(points)),
            words=np.array([self._words(values) for values in self._values], dtype=object),
        )
        self.chosen.data = {"x": [], "y": []}
        data = self.plot.sources["sets"].data
        both = np.concatenate([data["low"], data["high"], data["left"], data["right"]])
        ends = np.array([both.min(), both.max()]) if len(both) else np.zeros(0)
        self.plot.set("equal", ends, ends)
        self.plot.fit()
        self.plot.push()

    def _words(self, values: dict[str, float]) -> str:
        knobs = {knob.key: knob for knob in self.model.knobs}
        parts = [
            f"{knobs[key].parameter.label} = {significant(x)} {knobs[key].parameter.unit}".strip()
            for key, x in values.items()
            if key in knobs
        ]
        return ", ".join(parts)


class AwayPlots:
    """How many samples still count, and what reweighting says, away from where the samples were taken."""

    def __init__(self, model: GradientsModel):
        self.model = model
        size = {"share": Series("effective share of the samples", BLUE, "circle", "solid")}
        self.share = StatPlot("θ / θ₀", "share that still counts", size, log="y", key="share")
        self.share.zero_line("width", TRUSTED)
        loss = {
            "reweighted": Series("reweighted from θ₀", BLUE, "circle", "solid"),
            "direct": Series("simulated there", VERMILLION, "square", size=10),
        }
        self.loss = StatPlot("θ / θ₀", "L", loss, key="away")
        slope = {
            "reweighted": Series("reweighted from θ₀", BLUE, "circle", "solid"),
            "direct": Series("simulated there", VERMILLION, "square", size=10),
        }
        self.slope = StatPlot("θ / θ₀", "dL/dθ", slope, key="away gradient")
        self.slope.zero_line()
        self.plots = {"share": self.share, "loss": self.loss, "gradient": self.slope}
        self.trusted = [BoxAnnotation(fill_color=GREEN, fill_alpha=0.12, line_color=None, visible=False) for _ in "123"]
        for plot, box in zip(self.plots.values(), self.trusted, strict=True):
            plot.figure.add_layout(box)

    def draw(self, result: dict[str, Any]) -> None:
        """Redraw from a study of reweighting away from its samples."""
        symbol, unit = self.model.symbol, self.model.gradient_unit
        for plot in self.plots.values():
            plot.title(x=f"{symbol} / {symbol}₀")
        self.loss.title(y=f"L ({self.model.unit})" if self.model.unit else "L")
        self.slope.title(y=f"dL/d{symbol}" + (f" ({unit})" if unit else ""))
        points, direct = result.get("points", []), result.get("direct", [])
        at = lambda rows: [r["factor"] for r in rows]
        self.share.set("share", at(points), [r["ess_fraction"] for r in points])
        for plot, what in ((self.loss, "loss"), (self.slope, "gradient")):
            for name, rows in (("reweighted", points), ("direct", direct)):
                plot.set(name, at(rows), _floats([r[what] for r in rows]), _floats([r[f"{what}_error"] for r in rows]))
        ends = result.get("trusted")
        for box in self.trusted:
            box.visible = bool(ends)
            if ends:
                box.update(left=ends[0], right=ends[1])
        self.share.fit(include_y=(1.0, 0.05))
        self.loss.fit()
        self.slope.fit()
        for plot in self.plots.values():
            plot.push()


class SnapshotPlots:
    """The loss of the average and the average of the loss, against how many samples are averaged."""

    def __init__(self, model: GradientsModel):
        self.model = model
        looks = {
            "snapshots": Series("mean of the snapshots' losses", VERMILLION, "triangle", "dashed", size=9),
            "average": Series("loss of the average", BLUE, "circle", "solid"),
        }
        self.value = StatPlot("samples averaged", "L", looks, log="xy", key="snapshots")
        self.plots = {"loss": self.value}

    def draw(self, result: dict[str, Any]) -> None:
        """Redraw from a study of averages and snapshots."""
        rows = result.get("against", [])
        self.value.title(y=f"L ({self.model.unit})" if self.model.unit else "L")
        n = [r["samples"] for r in rows]
        for name in ("average", "snapshots"):
            self.value.set(name, n, _floats([r[name] for r in rows]), _floats([r[f"{name}_error"] for r in rows]))
        self.value.fit()
        self.value.push()


class TruncationPlots:
    """The gradient against how far the backward walk looks back; and what cutting costs: bias, against spread."""

    def __init__(self, model: GradientsModel):
        self.model = model
        mean = {
            "reference band": Series("", GREEN, "", band=True),
            "reference": Series("reference, ± 1 standard error", GREEN, "", "dashed"),
            "mean": Series("truncated, ± 1 standard error", BLUE, "circle", "solid"),
        }
        self.mean = StatPlot("looks back (steps)", "dL/dθ", mean, key="truncation")
        self.mean.zero_line()
        price = {
            "spread": Series("spread from run to run", PURPLE, "square", "dashdot"),
            "bias": Series("|bias|", ORANGE, "triangle", "dashed", size=9),
            "both": Series("one run: √(bias² + spread²)", INK, "circle", "solid", size=7),
        }
        self.price = StatPlot("looks back (steps)", "size", price, log="y", key="price")
        self.plots = {"gradient": self.mean, "price": self.price}

    def draw(self, result: dict[str, Any]) -> None:
        """Redraw from a truncation study."""
        name, unit = self.model.parameter_name, self.model.gradient_unit
        unit = f" ({unit})" if unit else ""
        self.mean.title(y=f"dL/d{self.model.symbol}{unit}")
        self.price.title(y=f"size{unit}")
        rows = result.get("rows", [])
        n = np.array([r["truncate"] for r in rows], dtype=float)
        found = lambda key: _floats([r[key].get(name) if r.get(key) else None for r in rows])
        mean, error, bias = found("mean"), found("error"), found("bias")
        self.mean.set("mean", n, mean, error)
        known = result.get("reference") or {}
        target = known.get("gradient", {}).get(name)
        ends = n[[0, -1]] if len(n) and target is not None else np.zeros(0)
        level = np.full(len(ends), np.nan if target is None else target)
        self.mean.set("reference", ends, level)
        self.mean.set("reference band", ends, level, np.full(len(ends), known.get("error", {}).get(name) or 0.0))
        self.price.set("spread", n, found("spread"))
        self.price.set("bias", n, np.abs(bias))
        self.price.set("both", n, np.hypot(bias, found("spread")))
        self.mean.fit()
        self.price.fit(decades=3)
        for plot in self.plots.values():
            plot.push()


def _floats(values) -> np.ndarray:
    """Numbers, with NaN for None."""
    return np.array([np.nan if x is None else x for x in values], dtype=float)
