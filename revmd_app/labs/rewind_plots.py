"""The plots of Lab 2: how far from the start, how much order, how many bits burnt, how a flipped bit spreads."""

from __future__ import annotations

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, CustomJSTickFormatter, FixedTicker, Span

from revmd_app.labs.rewind_model import RewindModel
from revmd_app.labs.widgets.plots import BLUE, GREEN, INK, MUTED, PURPLE, VERMILLION, Line, LivePlot, soon

COLOURS = {"float32": VERMILLION, "float64": "#B07A00", "exact": BLUE, "flipped": PURPLE}
NAMES = {"float32": "float32", "float64": "float64", "exact": "exact", "flipped": "one bit flipped"}
FLOOR = -19.0
"""Where a distance of exactly 0 is drawn on the logarithmic axis (as a power of ten)."""
DECADES = """
const sup = {'-': '⁻', 0: '⁰', 1: '¹', 2: '²', 3: '³', 4: '⁴', 5: '⁵', 6: '⁶', 7: '⁷', 8: '⁸', 9: '⁹'};
return tick <= FLOOR ? '0' : '10' + String(tick).split('').map(c => sup[c]).join('');
""".replace("FLOOR", str(FLOOR))
NONE = np.zeros(0)


def on_decades(nm) -> np.ndarray:
    """log10 of distances (nm) for the axis; an exact 0 lies on the floor, and what is not known stays NaN."""
    values = np.asarray(nm, float)
    safe = np.where(values > 0, values, 1.0)
    return np.where(values == 0, FLOOR, np.where(np.isnan(values), np.nan, np.log10(safe)))


class Plots:
    """All plots over one model; `draw()` redraws them from its last frame."""

    def __init__(self, model: RewindModel):
        self.model = model
        self.distance = self._make_distance()
        self.order = LivePlot("step", "order left", self._pairs(""), compact=True, legend=False, key="order")
        self.astray = LivePlot(
            "step",
            "off its own way out (nm)",
            {f"back {name}": Line("", colour, 2.5) for name, colour in COLOURS.items()},
            compact=True,
            legend=False,
            key="astray",
        )
        self.astray.figure.yaxis.formatter = CustomJSTickFormatter(code=DECADES)
        self.astray.figure.yaxis.ticker = FixedTicker(ticks=[FLOOR, -15, -10, -5, 0])
        self.astray.limits(y=(FLOOR - 0.8, 1.2))
        self.bits = LivePlot(
            "step",
            "bits per degree of freedom",
            {"law": Line("γt/ln 2", MUTED, 1.5, "dashed"), "tape": Line("on the tape", GREEN, 2.5)},
            compact=True,
            legend_location="top_left",
            key="bits",
        )
        self.spread = LivePlot(
            "time since the flip (ps)",
            "difference (nm)",
            {"spread": Line("", PURPLE, 2.5), "fit": Line("", INK, 1.5, "dashed")},
            compact=True,
            legend=False,
            key="spread",
        )
        self.spread.figure.yaxis.formatter = CustomJSTickFormatter(code=DECADES)
        self.here = {}
        for plot in (self.distance, self.order, self.astray, self.bits):
            self.here[plot] = Span(location=0, dimension="height", line_color=INK, line_width=1.2, line_dash="dotted")
            plot.figure.add_layout(self.here[plot])
            plot.figure.on_event(Tap, self._tapped)

    def _pairs(self, label: str) -> dict[str, Line]:
        """Way out (fine) and way back (bold) of every clock."""
        lines = {}
        for name in ("exact", "float64", "float32", "flipped"):
            lines[f"out {name}"] = Line("", COLOURS[name], 1.2, "dashed", 0.55)
            lines[f"back {name}"] = Line(NAMES[name] if label else "", COLOURS[name], 4.5 if name == "exact" else 2.0)
        return lines

    def _make_distance(self) -> LivePlot:
        plot = LivePlot(
            "step",
            "distance to the start (nm)",
            self._pairs("back"),
            legend_location="bottom_right",
            key="distance",
        )
        figure = plot.figure
        figure.yaxis.formatter = CustomJSTickFormatter(code=DECADES)
        figure.yaxis.ticker = FixedTicker(ticks=[FLOOR, -15, -12, -9, -6, -3, 0])
        figure.add_layout(Span(location=FLOOR, dimension="width", line_color=MUTED, line_width=1, line_dash="dotted"))
        plot.limits(y=(FLOOR - 0.8, 1.2))
        self.ends = ColumnDataSource({"x": [], "y": [], "color": []}, name="lost distance")
        figure.scatter("x", "y", source=self.ends, marker="x", size=12, line_width=3, line_color="color")
        return plot

    def _tapped(self, event) -> None:
        """Time goes to where the plot was tapped."""
        if event.x is not None:
            self.model.seek(round(event.x))

    def draw(self) -> None:
        """Redraw all from the model's last frame."""
        model = self.model
        frame = model.frame
        for name in COLOURS:
            for row, plot in (("off", self.distance), ("order", self.order)):
                steps, out, back = model.curve(row, name)
                y = on_decades if row == "off" else (lambda x: x)
                plot.set(f"out {name}", steps, y(out))
                plot.set(f"back {name}", steps, y(back))
            steps, _, back = model.curve("astray", name)
            self.astray.set(f"back {name}", steps, on_decades(back))
        span = (0, model.length)
        self.distance.limits(x=span)
        self.astray.limits(x=span)
        self._draw_ends()
        self.order.limits(x=span, y=(-0.04, 1.06))
        tape, law = frame["tape series"] if frame else (NONE, NONE)
        steps = model.curve("off", "exact")[0]
        self.bits.set("tape", steps, tape)
        self.bits.set("law", steps, law)
        self.bits.limits(x=span, y=(-2, max(20.0, 1.15 * float(np.nanmax(law, initial=0.0)))))
        for here in self.here.values():
            here.location = model.step
        self._draw_spread()
        for plot in (self.distance, self.order, self.astray, self.bits, self.spread):
            plot.push()

    def _draw_ends(self) -> None:
        """A cross where a clock blew up."""
        lost = self.model.frame["lost"] if self.model.frame else {}
        distances = [float(np.sqrt(np.mean(np.asarray(self.model.frame["off"][name]) ** 2))) for name in lost]
        self.ends.data = {
            "x": list(lost.values()),
            "y": [float(y) for y in on_decades(distances)],
            "color": [COLOURS[name] for name in lost],
        }

    def _draw_spread(self) -> None:
        frame, growth = self.model.frame, self.model.growth()
        rows = frame["spread"] if frame else np.zeros((0, 4))
        self.spread.set("spread", rows[:, 1], on_decades(rows[:, 2]))
        self.spread.set("fit", *((growth.time, on_decades(growth.difference)) if growth else (NONE, NONE)))
        if len(rows) > 1:
            y = on_decades(rows[:, 2])
            ends = np.flatnonzero(rows[:, 2] > 0.2)
            last = rows[ends[0], 1] * 1.4 if len(ends) else rows[-1, 1]
            self.spread.limits(x=(0, max(float(last), 0.1)), y=(float(y.min()) - 0.5, max(float(y.max()) + 0.5, 0.5)))

    def draw_soon(self) -> None:
        """Redraw with the document locked."""
        soon(self.draw)
