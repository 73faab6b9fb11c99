"""The loss over two parameters as a map with contours, and on it the ways that the trainings have taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    HoverTool,
    LogColorMapper,
    LogTicker,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.plotting.contour import contour_data

from revmd_app.labs.learn_plots import Tracks, _two
from revmd_app.labs.learn_quantities import PUBLISHED, Quantity
from revmd_app.labs.widgets.plots import BLUE, FONT, INK, MUTED, VERMILLION, dress_legend, frame, push

SHADES = ((250, 251, 252), (200, 214, 226), (133, 154, 175), (63, 83, 107))
"""From a low loss to a high one: pale enough below for the paths to be seen on it."""
LEVELS = 8
AT = ("at", "@x{0.[00000]}, @y{0.[00000]}")
CELLS = ("x", "y", "wide", "high", "loss", "error", "what")


def palette(n: int = 128) -> list[str]:
    """n colours from the first to the last of `SHADES`."""
    places = np.linspace(0, len(SHADES) - 1, n)
    columns = [np.interp(places, range(len(SHADES)), [shade[c] for shade in SHADES]) for c in range(3)]
    return [f"#{int(r):02x}{int(g):02x}{int(b):02x}" for r, g, b in zip(*columns, strict=True)]


class SurfaceMap:
    """The map. `draw(surface, tracks, x, y)` shows the points that have come and the tracks' ways over them."""

    def __init__(self):
        self.x_range, self.y_range = Range1d(0, 1), Range1d(0, 1)
        self.figure = plot = frame(self.x_range, self.y_range, "", "", min_height=260)
        plot.grid.visible = False
        self.cells = ColumnDataSource({c: [] for c in CELLS}, name="cells surface")
        self.mapper = LogColorMapper(palette=palette(), low=1.0, high=10.0)
        shade = {"field": "loss", "transform": self.mapper}
        squares = plot.rect(
            "x", "y", "wide", "high", source=self.cells, fill_color=shade, line_color=shade, line_width=0.5
        )
        says = [("loss", "@loss{0.[000]}"), ("standard error", "@error{0.[000]}"), AT]
        plot.add_tools(HoverTool(renderers=[squares], tooltips=says))
        self._contours()
        self.bar = ColorBar(
            visible=False,  # until there is a loss to be read off
            color_mapper=self.mapper, title="loss", width=12, padding=2, ticker=LogTicker(desired_num_ticks=5),
            formatter=NumeralTickFormatter(format="0.[00]"), title_text_font=FONT, major_label_text_font=FONT,
            title_text_font_style="normal", major_label_text_color=MUTED, bar_line_color=None,
        )  # fmt: skip
        plot.add_layout(self.bar, "right")
        self.ways: dict[str, ColumnDataSource] = {}
        self._way("first", BLUE, "solid")
        self._way("second", VERMILLION, "dashed")
        self.places = {
            "start": self._place("start", "circle", "white", INK),
            **{how: self._place(words, "diamond", c, c) for (how, words), c in zip(
                PUBLISHED.items(), (BLUE, VERMILLION), strict=True)},
        }  # fmt: skip
        plot.add_layout(plot.legend[0], "above")
        dress_legend(plot, "top_left")
        plot.legend[0].update(orientation="horizontal", spacing=12, padding=0, background_fill_alpha=0.0)
        plot.legend[0].update(glyph_width=22, glyph_height=18)  # room for a diamond's colour
        self.pane = pn.pane.Bokeh(plot, sizing_mode="stretch_both")

    def _contours(self) -> None:
        """Lines of equal loss, empty at first."""
        flat = contour_data([0.0, 1.0], [0.0, 1.0], [[0.0, 0.0], [0.0, 0.0]], levels=[1.0, 2.0], want_fill=False)
        self.contours = self.figure.contour(
            [0.0, 1.0], [0.0, 1.0], [[0.0, 0.0], [0.0, 0.0]], levels=[1.0, 2.0], line_color=INK, line_alpha=0.55
        )
        self.contours.set_data(flat)

    def _way(self, name: str, colour: str, dash: str) -> None:
        self.ways[name] = source = ColumnDataSource({"x": [], "y": [], "epoch": [], "what": []}, name=f"way {name}")
        plot = self.figure
        plot.line("x", "y", source=source, line_color="white", line_width=5, line_alpha=0.85)
        plot.line("x", "y", source=source, line_color=colour, line_width=2.5, line_dash=dash, legend_label=name)
        dots = plot.scatter("x", "y", source=source, size=5, color=colour, line_color="white", line_width=0.5)
        said = [(name, "epoch @epoch"), AT]
        plot.add_tools(HoverTool(renderers=[dots], tooltips=said))
        setattr(self, f"_{name}", plot.legend[0].items[-1])

    def _place(self, words: str, marker: str, fill: str, edge: str) -> ColumnDataSource:
        source = ColumnDataSource({"x": [], "y": [], "what": []}, name=f"place {words}")
        self.figure.scatter(
            "x", "y", source=source, marker=marker, size=12, fill_color=fill, line_color=edge, line_width=1.5,
            legend_label=words,
        )  # fmt: skip
        return source

    def draw(self, surface: dict[str, Any], tracks: Tracks, x: Quantity, y: Quantity) -> None:
        """Redraw from a surface ("x" and "y" (name, values), "points" of (i, j, loss, error)) and the tracks."""
        for axis, quantity in ((self.figure.xaxis, x), (self.figure.yaxis, y)):
            axis.axis_label = f"{quantity.label} ({quantity.unit})" if quantity.unit else quantity.label
        self._show_points(surface)
        if "x" not in surface:
            self._show_all(tracks, x, y)
        for (name, records), slot in zip(_two(tracks), ("first", "second"), strict=True):
            item = getattr(self, f"_{slot}")
            item.update(label={"value": name or slot}, visible=bool(records))
            at = lambda quantity, records=records: [r["parameters"][quantity.name] for r in records]
            epochs = [r["epoch"] for r in records]
            self.ways[slot].data = {"x": at(x), "y": at(y), "epoch": epochs, "what": [name] * len(epochs)}
        self.places["start"].data = {"x": [x.start], "y": [y.start], "what": ["start"]}
        for how, words in PUBLISHED.items():
            known = [(x.published[how], y.published[how])] if how in x.published else []
            known = [point for point in known if self._holds(*point)]
            xs, ys = ([point[axis] for point in known] for axis in (0, 1))
            self.places[how].data = {"x": xs, "y": ys, "what": [words] * len(known)}
        for item in self.figure.legend[0].items[-len(PUBLISHED) :]:
            item.visible = bool(len(item.renderers[0].data_source.data["x"]))
        push(self.pane)

    def _holds(self, x: float, y: float) -> bool:
        """Whether a point is on the map."""
        return all(r.start <= value <= r.end for r, value in ((self.x_range, x), (self.y_range, y)))

    def _show_points(self, surface: dict[str, Any]) -> None:
        if "x" not in surface:
            self.cells.data = {c: [] for c in CELLS}
            self.bar.visible = False
            self._set_contours(None)
            return
        (_, xs), (_, ys) = surface["x"], surface["y"]
        points = [p for p in surface["points"] if math.isfinite(p[2])]
        wide, high = (abs(v[1] - v[0]) for v in (xs, ys))
        self.cells.data = {
            "x": [xs[i] for i, *_ in points],
            "y": [ys[j] for _, j, *_ in points],
            "wide": [wide] * len(points),
            "high": [high] * len(points),
            "loss": [p[2] for p in points],
            "error": [p[3] for p in points],
            "what": ["loss"] * len(points),
        }
        for axis, values, step in ((self.x_range, xs, wide), (self.y_range, ys, high)):
            low, top = min(values) - step / 2, max(values) + step / 2
            axis.update(start=low, end=top, reset_start=low, reset_end=top)
        losses = [p[2] for p in points if p[2] > 0]
        self.bar.visible = bool(losses)
        if losses:
            self.mapper.update(low=min(losses), high=max(max(losses), 1.01 * min(losses)))
        self._set_contours(grid_of(surface))

    def _show_all(self, tracks: Tracks, x: Quantity, y: Quantity) -> None:
        """Without a surface: ranges that hold the start, the published values and the ways."""
        for axis, quantity in ((self.x_range, x), (self.y_range, y)):
            known = [quantity.start, 1.02 * quantity.start, 0.98 * quantity.start, *quantity.published.values()]
            values = known + [r["parameters"][quantity.name] for _, records in tracks for r in records]
            room = 0.2 * (max(values) - min(values))
            low, high = min(values) - room, max(values) + room
            axis.update(start=low, end=high, reset_start=low, reset_end=high)

    def _set_contours(self, grid: tuple[Sequence[float], Sequence[float], np.ndarray] | None) -> None:
        """Lines of equal loss, evenly spaced in its logarithm, once every point has come."""
        if grid is None or not (np.all(np.isfinite(grid[2])) and grid[2].min() > 0 and np.ptp(grid[2]) > 0):
            grid = ([0.0, 1.0], [0.0, 1.0], np.zeros((2, 2)))
            levels = np.array([1.0, 2.0])
        else:
            levels = np.geomspace(grid[2].min(), grid[2].max(), LEVELS + 2)[1:-1]
        self.contours.set_data(contour_data(*grid, levels=levels, want_fill=False))

    def push(self) -> None:
        """Send the changes to a notebook; in a served page this does nothing."""
        push(self.pane)


def grid_of(surface: dict[str, Any]) -> tuple[list[float], list[float], np.ndarray] | None:
    """(xs, ys, losses (len(ys), len(xs))) of a surface whose points have all come, else None."""
    (_, xs), (_, ys) = surface["x"], surface["y"]
    if len(surface["points"]) < len(xs) * len(ys):
        return None
    losses = np.full((len(ys), len(xs)), np.nan)
    for i, j, loss, *_ in surface["points"]:
        losses[j, i] = loss
    return list(xs), list(ys), losses
