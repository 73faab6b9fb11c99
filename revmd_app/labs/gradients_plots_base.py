"""The plot that the studies of Lab 3 share: named series of points with error bars, linear or logarithmic axes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import panel as pn
from bokeh.models import (
    BasicTickFormatter,
    BoxAnnotation,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Label,
    LogTickFormatter,
    Range1d,
    Span,
)

from revmd_app.labs.widgets.plots import BLUE, FONT, INK, MUTED, dress_legend, frame, push


class Series(NamedTuple):
    """How one series looks: markers ("" for none), line dash ("" for no line), and its entry in the legend."""

    label: str = ""
    color: str = BLUE
    marker: str = "circle"
    dash: str = ""
    size: float = 8
    width: float = 2.0
    alpha: float = 1.0
    band: bool = False  # show the error as a filled band, not as bars


COLUMNS = ("x", "y", "low", "high", "left", "right")


class StatPlot(pn.viewable.Viewer):
    """Points with error bars. `set(name, x, y, error)` replaces one series, `fit()` makes all of them visible.

    On a logarithmic axis values that are not positive cannot be drawn and are left out; an error bar that reaches
    below zero ends at the lower edge of the plot.
    """

    def __init__(
        self,
        x_label: str,
        y_label: str,
        series: dict[str, Series],
        *,
        log: str = "",
        min_height: int = 180,
        key: str = "",
    ):
        super().__init__()
        self.log = log
        self.x_range, self.y_range = Range1d(0.1, 1), Range1d(0.1, 1)
        self.figure = plot = frame(self.x_range, self.y_range, x_label, y_label, log=log, min_height=min_height)
        self.series = series
        self.sources = {
            name: ColumnDataSource({c: np.zeros(0) for c in COLUMNS}, name=f"{name} {key}".strip()) for name in series
        }
        self._legend: dict[str, Any] = {}
        for name, look in series.items():
            self._draw(name, look)
        if self._legend:
            _legend_above(plot)
        self.pane = pn.pane.Bokeh(plot, sizing_mode="stretch_both")

    def _draw(self, name: str, look: Series) -> None:
        plot, source = self.figure, self.sources[name]
        label = {"legend_label": look.label} if look.label else {}
        if look.band:
            plot.varea("x", "low", "high", source=source, fill_color=look.color, fill_alpha=0.15)
        elif look.marker:
            bars: dict = {"source": source, "line_color": look.color, "line_width": 1.5, "line_alpha": look.alpha}
            plot.segment("x", "low", "x", "high", **bars)
            plot.segment("left", "y", "right", "y", **bars)
        if look.dash:
            plot.line(
                "x", "y", source=source, line_color=look.color, line_width=look.width, line_dash=look.dash, **label
            )
        if look.marker:
            points = plot.scatter(
                "x",
                "y",
                source=source,
                marker=look.marker,
                size=look.size,
                fill_color=look.color,
                line_color="white",
                fill_alpha=look.alpha,
                **label,
            )
            columns = [(self.figure.xaxis.axis_label, "@x{0.000a}"), (self.figure.yaxis.axis_label, "@y")]
            plot.add_tools(HoverTool(renderers=[points], tooltips=columns))
        if label:
            self._legend[name] = plot.legend[0].items[-1]
            self._legend[name].visible = False

    def title(self, x: str | None = None, y: str | None = None) -> None:
        """Give the axes other words."""
        if x is not None:
            self.figure.xaxis.axis_label = x
        if y is not None:
            self.figure.yaxis.axis_label = y

    def rename(self, name: str, label: str) -> None:
        """Give a series another label in the legend."""
        self._legend[name].label = {"value": label}

    def set(self, name: str, x, y, error=None, x_error=None, **columns) -> None:
        """Replace one series: points (n,), with standard errors (n,) and further columns (n,) where they are known."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        up, across = _error(error, y), _error(x_error, x)
        keep = np.isfinite(x) & np.isfinite(y)
        for axis, values in (("x", x), ("y", y)):
            if axis in self.log:
                keep &= values > 0
        low, left = y - up, x - across
        if "y" in self.log:  # an error bar that ends below zero has no lower end
            low = np.where(low > 0, low, np.minimum(y, 1e-300))
        if "x" in self.log:
            left = np.where(left > 0, left, np.minimum(x, 1e-300))
        data = {"x": x, "y": y, "low": low, "high": y + up, "left": left, "right": x + across}
        data |= {k: np.asarray(v) for k, v in columns.items()}
        self.sources[name].data = {k: v[keep] for k, v in data.items()}
        if name in self._legend:
            self._legend[name].visible = bool(keep.any())

    def fit(self, include_y: tuple[float, ...] = (), decades: float = 300.0) -> None:
        """Ranges that hold every point with its error bar, and the numbers given; at most so many decades of y."""
        for axis, bounds, ends, more in (
            (self.x_range, "x", ("left", "right"), ()),
            (self.y_range, "y", ("low", "high"), include_y),
        ):
            log = bounds in self.log
            found = [source.data[c] for source in self.sources.values() for c in (bounds, *ends)]
            values = np.concatenate([*found, np.asarray(more, dtype=float)])
            values = values[np.isfinite(values) & ((values > 1e-290) if log else True)]
            if len(values):
                least = float(values.max()) / 10.0**decades if log and bounds == "y" else -math.inf
                low, high = _around(max(float(values.min()), least), float(values.max()), log)
                axis.update(start=low, end=high, reset_start=low, reset_end=high)
                if log:
                    _ticks(self.figure.xaxis if bounds == "x" else self.figure.yaxis, low, high)

    def zero_line(self, dimension: str = "width", at: float = 0.0) -> StatPlot:
        """Draw a dotted line at a value."""
        self.figure.add_layout(Span(location=at, dimension=dimension, line_color=MUTED, line_dash="dotted"))
        return self

    def band(self, low: float, high: float, words: str, color: str = "#E69F00") -> None:
        """A horizontal band with a word in it; it takes no part in `fit`."""
        self.figure.add_layout(BoxAnnotation(bottom=low, top=high, fill_color=color, fill_alpha=0.22, line_color=None))
        self.figure.add_layout(
            Label(
                x=6,
                x_units="screen",
                y=low,
                text=words,
                text_font=FONT,
                text_font_size="11px",
                text_color=INK,
                text_baseline="bottom",
            )
        )

    def push(self) -> None:
        """Send the changes to a notebook; in a served page this does nothing."""
        push(self.pane)

    def __panel__(self):
        return self.pane


def _ticks(axis, low: float, high: float) -> None:
    """Powers of ten on a long logarithmic axis, 1, 2, 5, 10 … on a short one."""
    short = math.log10(high / low) < 2.3
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    step = 1 + len(decades) // 9  # not more than there is room for
    powers = decades if short else [k for k in decades if k % step == 0]
    axis.ticker = FixedTicker(ticks=[m * 10.0**k for k in powers for m in ((1, 2, 5) if short else (1,))])
    axis.formatter = BasicTickFormatter(precision=6, use_scientific=False) if short else LogTickFormatter()


def _legend_above(plot) -> None:
    """The legend in a line above the plot, where it hides no point."""
    plot.add_layout(plot.legend[0], "above")
    dress_legend(plot, "top_left")
    plot.legend[0].update(orientation="horizontal", spacing=14, padding=0, background_fill_alpha=0.0)


def _error(error, like: np.ndarray) -> np.ndarray:
    if error is None:
        return np.zeros_like(like)
    found = np.asarray([math.nan if e is None else e for e in np.atleast_1d(error)], dtype=float)
    return np.where(np.isfinite(found), found, 0.0)


def _around(low: float, high: float, log: bool) -> tuple[float, float]:
    """A range with some room on both sides."""
    if log:
        room = max(0.06 * math.log10(high / low), 0.12)
        return low / 10**room, high * 10**room
    room = 0.07 * ((high - low) or abs(high) or 1.0)
    return low - room, high + room
