"""The plot that Lab 4 draws with: named curves with a hover, a legend of what matters, linear or logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, HoverTool, Legend, LegendItem, Range1d, Span

from revmd_app.labs.gradients_plots_base import _ticks
from revmd_app.labs.widgets.plots import BLUE, MUTED, dress_legend, frame, push

CROWDED = 25
"""More points than this would hide whether their line is dashed: then the line stands alone."""
COLUMNS = ("x", "y", "low", "high", "error")


class Look(NamedTuple):
    """How a curve looks. `marker` is the size of its points (0: none), `label` its entry of the legend ("": none);
    `bars` says whether it has error bars.
    """

    label: str = ""
    color: str = BLUE
    dash: str = "solid"
    width: float = 2.0
    marker: float = 0.0
    alpha: float = 1.0
    bars: bool = False


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
        self.figure = plot = frame(
            self.x_range, self.y_range, x_label, y_label, log="y" if log else "", min_height=min_height
        )
        plot.xaxis.axis_label_standoff = plot.yaxis.axis_label_standoff = 2
        self.sources: dict[str, ColumnDataSource] = {}
        self._items: dict[str, LegendItem] = {}
        self._entry = {name: look.label for name, look in looks.items()}
        self._dots: dict[str, tuple[Any, float]] = {}  # the marks of a curve, and their size
        self._shown: tuple[float, float] | None = None  # the range of the logarithmic axis
        drawn = [self._draw(name, look, key) for name, look in looks.items()]
        says = [("", "@what"), (x_label, "@x{0.[000]}"), (y_label, "@y{0.[0000]}")]
        says += [("standard error", "@error{0.[000]}")] if any(look.bars for look in looks.values()) else []
        plot.add_tools(HoverTool(renderers=[r for pair in drawn for r in pair], tooltips=says))
        self._legend(legend)
        self.pane = pn.pane.Bokeh(plot, sizing_mode="stretch_both")

    def _draw(self, name: str, look: Look, key: str) -> list:
        columns = COLUMNS if look.bars else COLUMNS[:2]
        empty: dict[str, Any] = {**{column: np.zeros(0) for column in columns}, "what": []}
        self.sources[name] = source = ColumnDataSource(empty, name=f"{name} {key}".strip())
        if look.bars:
            bars = {"line_color": look.color, "line_width": 1.5, "line_alpha": 0.6}
            self.figure.segment("x", "low", "x", "high", source=source, **bars)
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
            self._dots[name] = (drawn[-1].glyph, look.marker)
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

    def set(self, name: str, x, y, what: str = "", error=None) -> None:
        """Replace one curve, arrays (n,), with standard errors (n,) where it has error bars and they are known.

        What is not finite (or not positive on a logarithmic axis) is left out. A curve that stays as it is costs the
        browser nothing.
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        keep = np.isfinite(x) & np.isfinite(y) & ((y > 0) if self.log else True)
        data: dict[str, Any] = {"x": x[keep], "y": y[keep], "what": [what] * int(keep.sum())}
        before = self.sources[name].data
        if "error" in before:
            known = np.full(len(y), np.nan) if error is None else np.asarray(error, dtype=float)
            bar = np.where(np.isfinite(known), known, 0.0)
            data |= {"low": (y - bar)[keep], "high": (y + bar)[keep], "error": known[keep]}
        if all(_same(before[column], values) for column, values in data.items()):
            return
        self.sources[name].data = data
        if name in self._dots:
            dots, size = self._dots[name]
            dots.size = size if len(data["x"]) <= CROWDED else 0.0

    def clear(self, names: Iterable[str] | None = None) -> None:
        """Take curves away."""
        for name in self.sources if names is None else names:
            self.set(name, [], [])

    def level(self, y: float) -> None:
        """Draw a dotted line across at y."""
        line = Span(location=y, dimension="width", line_color=MUTED, line_dash="dotted", line_width=1.5)
        self.figure.add_layout(line)

    def fit(
        self, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None, include: Iterable[float] = ()
    ) -> None:
        """Ranges that hold all curves and the numbers of `include`, or those given."""
        for entry, item in self._items.items():
            named = [name for name, label in self._entry.items() if label == entry]
            item.visible = any(len(self.sources[name].data["x"]) for name in named)
        for axis, column, given in ((self.x_range, "x", x), (self.y_range, "y", y)):
            more = [np.asarray(list(include), dtype=float)] if column == "y" else []
            columns = ("y", "low", "high") if column == "y" else ("x",)
            found = [s.data[c] for s in self.sources.values() for c in columns if c in s.data]
            values = np.concatenate([np.zeros(0), *found, *more])
            if given is None and not len(values):
                continue
            log = self.log and column == "y"
            low, high = given or _around(float(values.min()), float(values.max()), log)
            axis.update(start=low, end=high, reset_start=low, reset_end=high)
            if log and (low, high) != self._shown:
                self._shown = (low, high)
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


def _same(before, now) -> bool:
    if isinstance(now, list):
        return list(before) == now
    return np.array_equal(before, now, equal_nan=True)
