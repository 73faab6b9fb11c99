"""The plot that Lab 4 draws with: named curves with a hover, a legend of what matters, linear or logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, HoverTool, Label, Legend, LegendItem, Range1d, Span, WheelZoomTool
from bokeh.plotting import figure

from revmd_app.labs.gradients_plots_base import _ticks
from revmd_app.labs.widgets.plots import BLUE, FONT, MUTED, dress, dress_legend, push


class Look(NamedTuple):
    """How a curve looks. `marker` is the size of its points (0: none), `label` its entry of the legend ("": none)."""

    label: str = ""
    color: str = BLUE
    dash: str = "solid"
    width: float = 2.0
    marker: float = 0.0
    alpha: float = 1.0


class Curves(pn.viewable.Viewer):
    """Curves by name. `set(name, x, y, what)` replaces one ("what" is said by the hover), `fit()` shows all of them.

    Curves that share a label share an entry of the legend, which hides and shows them.
    """

    def __init__(
        self, x_label: str, y_label: str, looks: dict[str, Look], *, log=False, key="", legend="right", min_height=110
    ):
        super().__init__()
        self.log = log
        self.x_range, self.y_range = Range1d(0, 1), Range1d(0.1, 1)
        self.figure = plot = figure(
            x_range=self.x_range,
            y_range=self.y_range,
            y_axis_type="log" if log else "linear",
            toolbar_location=None,
            tools="pan,reset",
            sizing_mode="stretch_both",
            min_height=min_height,
        )
        zoom = WheelZoomTool(modifiers="ctrl")
        plot.add_tools(zoom)
        plot.toolbar.active_scroll = zoom
        dress(plot, x_label, y_label)
        plot.xaxis.axis_label_standoff = plot.yaxis.axis_label_standoff = 2
        self.sources: dict[str, ColumnDataSource] = {}
        self._items: dict[str, LegendItem] = {}
        self._entry = {name: look.label for name, look in looks.items()}
        drawn = [self._draw(name, look, key) for name, look in looks.items()]
        says = [("", "@what"), (x_label, "@x{0.[000]}"), (y_label, "@y{0.[0000]}")]
        plot.add_tools(HoverTool(renderers=[r for pair in drawn for r in pair], tooltips=says))
        self._legend(legend)
        self._levels: dict[str, tuple[Span, Label]] = {}
        self.pane = pn.pane.Bokeh(plot, sizing_mode="stretch_both")

    def _draw(self, name: str, look: Look, key: str) -> list:
        empty = {"x": np.zeros(0), "y": np.zeros(0), "what": []}
        self.sources[name] = source = ColumnDataSource(empty, name=f"{name} {key}".strip())
        line = self.figure.line(
            "x",
            "y",
            source=source,
            line_color=look.color,
            line_width=look.width,
            line_dash=look.dash,
            line_alpha=look.alpha,
        )
        drawn = [line]
        if look.marker:
            dots = {"size": look.marker, "fill_color": look.color, "line_color": None, "fill_alpha": look.alpha}
            drawn.append(self.figure.scatter("x", "y", source=source, **dots))
        if look.label:
            item = self._items.setdefault(look.label, LegendItem(label=look.label, renderers=[], visible=False))
            item.renderers = [*item.renderers, *drawn]
        return drawn

    def _legend(self, place: str) -> None:
        if not self._items:
            return
        legend = Legend(items=list(self._items.values()))
        self.figure.add_layout(legend, place if place in ("right", "above") else "center")
        dress_legend(self.figure, "top_left" if place in ("right", "above") else place)
        legend.update(label_text_font_size="10.5px", glyph_width=18, spacing=1, padding=2, label_standoff=3)
        if place == "above":
            narrow = {"glyph_width": 14, "label_standoff": 2, "label_text_font_size": "10px"}
            legend.update(orientation="horizontal", spacing=5, background_fill_alpha=0.0, margin=0, **narrow)

    def rename(self, label: str, words: str) -> None:
        """Another text for an entry of the legend."""
        self._items[label].label = {"value": words}

    def set(self, name: str, x, y, what: str = "") -> None:
        """Replace one curve, arrays (n,); what is not finite (or not positive on a logarithmic axis) is left out."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        keep = np.isfinite(x) & np.isfinite(y) & ((y > 0) if self.log else True)
        self.sources[name].data = {"x": x[keep], "y": y[keep], "what": [what] * int(keep.sum())}

    def clear(self, names: Iterable[str] | None = None) -> None:
        """Take curves away."""
        for name in self.sources if names is None else names:
            self.set(name, [], [])

    def level(self, name: str, y: float | None, words: str = "") -> None:
        """A dotted line across at y with a word on it; None hides it."""
        if name not in self._levels:
            line = Span(location=0, dimension="width", line_color=MUTED, line_dash="dotted", line_width=1.5)
            small = {"text_font": FONT, "text_font_size": "10.5px", "text_color": MUTED, "text_baseline": "bottom"}
            word = Label(x=4, x_units="screen", y=0, text="", **small)
            self.figure.add_layout(line)
            self.figure.add_layout(word)
            self._levels[name] = (line, word)
        line, word = self._levels[name]
        line.update(location=y or 0.0, visible=y is not None)
        word.update(y=y or 0.0, text=words, visible=y is not None)

    def fit(
        self, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None, include: Iterable[float] = ()
    ) -> None:
        """Ranges that hold all curves and the numbers of `include`, or those given."""
        for entry, item in self._items.items():
            named = [name for name, label in self._entry.items() if label == entry]
            item.visible = any(len(self.sources[name].data["x"]) for name in named)
        for axis, column, given in ((self.x_range, "x", x), (self.y_range, "y", y)):
            more = [np.asarray(list(include), dtype=float)] if column == "y" else []
            values = np.concatenate([np.zeros(0), *(s.data[column] for s in self.sources.values()), *more])
            if given is None and not len(values):
                continue
            log = self.log and column == "y"
            low, high = given or _around(float(values.min()), float(values.max()), log)
            axis.update(start=low, end=high, reset_start=low, reset_end=high)
            if log:
                _ticks(self.figure.yaxis, low, high)

    def push(self) -> None:
        """Send the changes to a notebook; in a served page this does nothing."""
        push(self.pane)

    def __panel__(self):
        return self.pane


def _around(low: float, high: float, log: bool) -> tuple[float, float]:
    if log:
        room = max(0.06 * math.log10(high / low), 0.1)
        return low / 10**room, high * 10**room
    room = 0.08 * ((high - low) or abs(high) or 1.0)
    return low - room, high + room
