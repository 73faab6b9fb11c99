"""Live plots: Bokeh figures built once, whose data sources are then written directly.

Writing a data source takes 0.2 ms where HoloViews' pipeline takes 20 to 40, so a slider can redraw a curve at once.
Colours are Okabe and Ito's, told apart with any colour vision; lines differ in dash or width as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import panel as pn
from bokeh.models import BasicTickFormatter, BoxAnnotation, ColumnDataSource, HoverTool, Range1d, Span, WheelZoomTool
from bokeh.plotting import figure

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, INK, MUTED, FAINT = "#56B4E9", "#AA4499", "#1d2733", "#5b6776", "#e6eaf0"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif"


class Line:
    """How one series is drawn: label of the legend ("" for none), colour, width, dash and opacity."""

    def __init__(self, label="", color=BLUE, width=2.0, dash="solid", alpha=1.0):
        self.label, self.color, self.width, self.dash, self.alpha = label, color, width, dash, alpha


class LivePlot(pn.viewable.Viewer):
    """A line plot with named series. `set(name, x, y)` redraws one; `fit()` moves the ranges when they no longer suit.

    Axis labels state the quantity and its unit. `key` distinguishes this plot's data sources by name in the browser.
    """

    def __init__(
        self,
        x_label: str,
        y_label: str,
        lines: dict[str, Line],
        *,
        title="",
        compact=False,
        legend=True,
        legend_location="top_right",
        key="",
        **pane,
    ):
        super().__init__()
        self._key = key
        self.x_range, self.y_range = Range1d(0, 1), Range1d(0, 1)
        self.figure = figure(
            title=title or None,
            x_range=self.x_range,
            y_range=self.y_range,
            toolbar_location=None,
            tools="" if compact else "pan,reset",
            sizing_mode="stretch_both",
            min_height=60 if compact else 120,
        )
        if not compact:
            zoom = WheelZoomTool(modifiers="ctrl")
            self.figure.add_tools(
                zoom, HoverTool(tooltips=[(x_label, "@x{0.000}"), (y_label, "@y{0.000}")], mode="mouse")
            )
            self.figure.toolbar.active_scroll = zoom
        dress(self.figure, x_label, y_label, compact)
        self.sources: dict[str, ColumnDataSource] = {}
        self._legend: dict = {}  # entries of the legend, hidden while there is nothing to see
        for name, line in lines.items():
            self.sources[name] = source = ColumnDataSource(
                {"x": np.zeros(0), "y": np.zeros(0)}, name=f"{name} {key}".strip()
            )
            label = {"legend_label": line.label} if line.label and legend else {}
            self.figure.line(
                "x",
                "y",
                source=source,
                line_color=line.color,
                line_width=line.width,
                line_dash=line.dash,
                line_alpha=line.alpha,
                **label,
            )
            if label:
                self._legend[name] = self.figure.legend[0].items[-1]
        if legend and any(line.label for line in lines.values()):
            dress_legend(self.figure, legend_location)
        self.pane = pn.pane.Bokeh(self.figure, sizing_mode="stretch_both", **pane)

    def rename(self, name: str, label: str) -> None:
        """Give a series another label in the legend."""
        self._legend[name].label = {"value": label}

    def zero_line(self) -> LivePlot:
        """Draw y = 0."""
        self.figure.add_layout(Span(location=0, dimension="width", line_color=MUTED, line_width=1, line_dash="dotted"))
        return self

    def ticks(self, name: str, color: str) -> LivePlot:
        """Add a series drawn as short upright strokes."""
        self.sources[name] = source = ColumnDataSource(
            {"x": np.zeros(0), "y": np.zeros(0)}, name=f"{name} {self._key}".strip()
        )
        self.figure.scatter(
            "x", "y", source=source, marker="dash", angle=np.pi / 2, size=9, line_color=color, line_alpha=0.8
        )
        return self

    def band(self, color: str) -> BoxAnnotation:
        """An upright band that marks a range of x; hidden at first."""
        band = BoxAnnotation(left=0, right=0, fill_color=color, fill_alpha=0.35, line_color=color, visible=False)
        self.figure.add_layout(band)
        return band

    def read_out(self, name: str) -> LivePlot:
        """Say the value of a series where the pointer is."""
        x, y = (axis[0].axis_label for axis in (self.figure.xaxis, self.figure.yaxis))
        line = next(r for r in self.figure.renderers if r.data_source is self.sources[name])
        self._reader = HoverTool(renderers=[line], mode="vline", tooltips=[(x, "@x{0.00}"), (y, "@y{0.00}")])
        self.figure.add_tools(self._reader)
        return self

    def label(self, x: str, y: str) -> None:
        """Name the axes anew: quantity and unit."""
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = x, y
        for hover in self.figure.select(HoverTool):
            hover.tooltips = [(x, hover.tooltips[0][1]), (y, hover.tooltips[1][1])]

    def set(self, name: str, x, y) -> None:
        """Replace the data of one series."""
        keep = np.isfinite(np.asarray(y, dtype=float))
        if name in self._legend:
            self._legend[name].visible = bool(keep.any())
        self.sources[name].data = {"x": np.asarray(x, dtype=float)[keep], "y": np.asarray(y, dtype=float)[keep]}

    def limits(self, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None) -> None:
        """Set the ranges outright."""
        for axis, bounds in ((self.x_range, x), (self.y_range, y)):
            if bounds is not None and bounds[1] > bounds[0]:
                axis.update(
                    start=float(bounds[0]),
                    end=float(bounds[1]),
                    reset_start=float(bounds[0]),
                    reset_end=float(bounds[1]),
                )

    def fit(self, names: Iterable[str] | None = None, least: float = 0.0) -> None:
        """Give y a range that holds the named series, `least` wide at least; leave it alone while it still suits."""
        arrays = [self.sources[name].data["y"] for name in (names or self.sources)]
        values = np.concatenate([a for a in arrays if len(a)] or [np.zeros(1)])
        low, high = float(values.min()), float(values.max())
        span = max(high - low, least, 1e-9)
        start, end = self.y_range.start, self.y_range.end
        if low < start or high > end or end - start > 3 * span:
            middle = (low + high) / 2
            self.limits(y=(middle - 0.65 * span, middle + 0.65 * span))

    def push(self) -> None:
        """In a notebook changes of a data source must be sent by hand; in a served page this does nothing."""
        push(self.pane)

    def __panel__(self):
        return self.pane


def frame(x_range, y_range, x_label: str, y_label: str, *, log: str = "", min_height: int = 120):
    """An empty Bokeh figure in the labs' look, to be dragged, and zoomed with Ctrl and the wheel.

    `log` names the logarithmic axes: "", "x", "y" or "xy".
    """
    plot = figure(
        x_range=x_range,
        y_range=y_range,
        x_axis_type="log" if "x" in log else "linear",
        y_axis_type="log" if "y" in log else "linear",
        toolbar_location=None,
        tools="pan,reset",
        sizing_mode="stretch_both",
        min_height=min_height,
    )
    zoom = WheelZoomTool(modifiers="ctrl")
    plot.add_tools(zoom)
    plot.toolbar.active_scroll = zoom
    dress(plot, x_label, y_label)
    return plot


def soon(draw: Callable[[], None]) -> None:
    """Draw with the document locked, as writing to a Bokeh model demands.

    Panel handles the events of widgets made with `from_param` without that lock; a next-tick callback holds it.
    """
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        draw()
    else:
        document.add_next_tick_callback(draw)


def push(pane) -> None:
    """Send a pane's changes to the notebook that shows it. (While it handles an event there is a document, too.)"""
    document = pn.state.curdoc
    if (document is None or document.session_context is None) and pane._models:
        pn.io.push_notebook(pane)


def dress(plot, x_label: str, y_label: str, compact: bool = False) -> None:
    """The look that all plots share."""
    plot.background_fill_color = plot.border_fill_color = "white"
    plot.outline_line_color = None
    plot.min_border = 4
    plot.min_border_right = 12
    for axis, label in ((plot.xaxis, x_label), (plot.yaxis, y_label)):
        axis.axis_label = label
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "11px" if compact else "12px"
        axis.major_label_text_font_size = "10px" if compact else "11px"
        axis.axis_label_text_color = INK
        axis.major_label_text_color = MUTED
        axis.axis_label_standoff = 4
        axis.axis_line_color = axis.major_tick_line_color = "#b7c0cc"
        axis.minor_tick_line_color = None
        if isinstance(axis.formatter, BasicTickFormatter):
            axis.formatter.power_limit_high = 6
        if hasattr(axis.ticker, "desired_num_ticks"):  # categories have no such thing
            axis.ticker.desired_num_ticks = 3 if compact else 5
    plot.grid.grid_line_color = FAINT
    if plot.title is not None and plot.title.text:
        plot.title.text_font = FONT
        plot.title.text_font_size = "12px"
        plot.title.text_color = INK


def dress_legend(plot, location="top_right") -> None:
    """A legend inside the plot, without a frame, that hides a series when clicked."""
    legend = plot.legend[0]
    legend.location = location
    legend.label_text_font = FONT
    legend.label_text_font_size = "11px"
    legend.label_text_color = INK
    legend.border_line_color = None
    legend.background_fill_alpha = 0.75
    legend.padding = legend.spacing = legend.margin = 3
    legend.label_height = legend.glyph_height = 14
    legend.click_policy = "hide"
