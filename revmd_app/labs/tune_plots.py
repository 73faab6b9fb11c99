"""The plots of Lab 1: u(r) and its force with the previous ones behind, g(r) on the reference, and four time series."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import panel as pn

from revmd_app.labs.tune_atom import ChosenAtom
from revmd_app.labs.tune_model import TuneModel
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.export import export_menu
from revmd_app.labs.widgets.plots import BLUE, GREEN, MUTED, ORANGE, PURPLE, VERMILLION, Line, LivePlot, soon
from revmd_app.labs.widgets.viewer import CHOSEN, LIT

GHOST = "#9aa5b1"


class Curves:
    """u(r) and −u′(r)."""

    def __init__(self, model: TuneModel):
        self.model = model
        units = model.units
        ghost = Line("before", GHOST, 2, "dashed")
        bare = Line("without cutoff", ORANGE, 1.5, "dotted")
        self.energy = LivePlot(
            f"r ({units['length']})",
            f"u ({units['energy']})",
            {"bare": bare, "before": ghost, "now": Line("now", BLUE, 2.5)},
            key="u",
        ).zero_line()
        self.force = LivePlot(
            f"r ({units['length']})",
            f"−u′ ({units['force']})",
            {"before": ghost, "now": Line("now", VERMILLION, 2.5)},
            key="force",
        ).zero_line()

    def draw(self) -> None:
        """Redraw both from the model."""
        c, units = self.model.curves(), self.model.units
        none = np.zeros(0)
        self.energy.set("bare", c["r"], c["bare"])
        for plot, unit, now, before in (
            (self.energy, "energy", "u", "u_before"),
            (self.force, "force", "force", "force_before"),
        ):
            symbol = "u" if unit == "energy" else "−u′"
            plot.label(f"r ({units['length']})", f"{symbol} ({units[unit]})")
            plot.set("now", c["r"], c[now])
            plot.set("before", c["r"] if before in c else none, c.get(before, none))
            depth = max(-float(np.nanmin(c[now])), 0.02 * float(np.nanmax(np.abs(c[now][len(c[now]) // 3 :]))), 1e-3)
            plot.limits(x=(c["r"][0], c["r"][-1]), y=(-1.6 * depth, 2.4 * depth))
            plot.push()


class Structure(pn.viewable.Viewer):
    """g(r), simulated and known, and what the chosen atom adds to it."""

    def __init__(self, model: TuneModel, chosen: ChosenAtom):
        super().__init__()
        self.model, self.chosen = model, chosen
        self.plot = LivePlot(
            "r (nm)",
            "g(r)",
            {
                "known": Line("reference", GREEN, 3, "solid", 0.75),
                "old": Line("before the change", GHOST, 1.5, "dashed"),
                "own": Line("this atom alone", CHOSEN, 1.5),
                "now": Line("simulation", BLUE, 2.5),
            },
            key="g(r)",
        )
        self.plot.ticks("rug", CHOSEN)
        self.shell = self.plot.band(LIT)
        self.pair = pn.widgets.RadioButtonGroup(
            options=["–"],
            margin=(0, 4),
            button_style="outline",
            stylesheets=[look.WIDGET_CSS + ".bk-btn {padding: 1px 9px; font-size: 12px}"],
        )
        self.pair.param.watch(lambda event: model.param.update(rdf_pair=event.new), "value")
        model.param.watch(lambda *_: self.new_pair(), ["rdf_pair", "case"])
        self.age = look.text("", margin=(3, 8), styles={"font-size": "12px"})
        self.source = look.text("", margin=(0, 8, 2, 8), styles={"font-size": "11px", "color": MUTED})
        self.new_pair()

    def new_pair(self) -> None:
        """Offer the pairs of species of this system, and draw what is known of the one chosen."""
        names = self.model.rdf_names
        self.pair.param.update(options=names, value=self.model.rdf_pair, visible=len(names) > 1)
        self.chosen.pair = self.model.rdf_pair
        soon(self.draw)

    def on_tap(self, act: Callable[[float], None]) -> None:
        """Call `act(r)` when the plot is clicked at a distance r."""
        self.plot.figure.on_event("tap", lambda event: act(float(event.x)))

    def draw_own(self) -> None:
        """Redraw what the chosen atom adds, and the shell at the chosen distance."""
        chosen, none = self.chosen, np.zeros(0)
        rug = chosen.rug() if chosen.ready else none
        self.plot.set("rug", rug, np.full(len(rug), 0.03 * self.plot.y_range.end))
        self.plot.set("own", *(chosen.own() if chosen.ready else (none, none)))
        r, half = chosen.distance, chosen.half_width
        self.shell.update(visible=r is not None and chosen.ready, left=(r or 0) - half, right=(r or 0) + half)
        self.plot.push()

    def draw(self) -> None:
        """Redraw from the model's latest frame."""
        model = self.model
        name = model.rdf_pair
        known = model.reference(name)
        none = np.zeros(0)
        far = model.rdf_range
        self.plot.label(f"r ({model.units['length']})", "g(r)")
        if known is None:
            self.plot.set("known", none, none)
            self.source.object = "No published g(r) for this system."
        else:
            keep = (known.r <= far) & (known.r >= known.valid_from)
            self.plot.set("known", known.r[keep], known.g[keep])
            self.plot.rename("known", known.label)
            self.source.object = f"<span style='color:{GREEN}'>━</span> {known.citation}"
        frame = model.frame or {"r": none, "rdf": {}}
        now, old = (rdf.get(name, none) for rdf in (frame["rdf"], model.old_rdf or {}))
        self.plot.set("now", frame["r"] if len(now) else none, now)
        self.plot.set("old", *((frame["r"], old) if len(old) == len(frame["r"]) else (none, none)))
        top = max([3.0] + [1.1 * float(np.max(a)) for a in (now, self.plot.sources["known"].data["y"]) if len(a)])
        self.plot.limits(x=(0, far), y=(0, min(np.ceil(2 * top) / 2, 12)))
        self.age.object = self._age()
        self.plot.push()

    def _age(self) -> str:
        frame = self.model.frame
        if frame is None:
            return ""
        if self.model.young:
            return f"<span style='color:#8a2f00'>◔ young average: {frame['n']} pictures</span>"
        return f"<span style='color:{MUTED}'>average of {frame['n']} pictures</span>"

    def __panel__(self):
        return self.plot.pane


SERIES = {
    "temperature": ("Temperature", "temperature", VERMILLION),
    "pressure": ("Pressure", "pressure", PURPLE),
    "potential": ("Potential energy", "energy", BLUE),
    "total": ("Total energy", "energy", GREEN),
}


class Meters:
    """A large number and a small time series for each quantity followed."""

    def __init__(self, model: TuneModel):
        self.model = model
        self.numbers = {name: look.text("", margin=(0, 4), height=44, sizing_mode="stretch_width") for name in SERIES}
        self.plots = {}
        for name, (_, _, colour) in SERIES.items():
            lines = {"now": Line("", colour, 1.6)}
            if name == "temperature":
                lines = {"target": Line("", MUTED, 1.2, "dashed"), **lines}
            self.plots[name] = LivePlot("time (ps)", "", lines, compact=True, legend=False, key=name)
            self.plots[name].read_out("now")

    def cards(self) -> list[pn.Column]:
        """The four cards, each with the menu that saves its plot in the corner."""
        return [
            look.card(
                self.numbers[name],
                self.plots[name].pane,
                pn.Row(export_menu({"": self.plots[name]}, f"{name} in time"), margin=0, styles=look.CARD_CORNER),
                min_height=130,
                styles={"position": "relative"},
            )
            for name in SERIES
        ]

    def draw(self) -> None:
        """Redraw from the model's history."""
        series, units = self.model.series(), self.model.units
        for name, (label, unit, _) in SERIES.items():
            plot, y = self.plots[name], series.values[name]
            label = f"{label.removesuffix(' energy')} per {self.model.counted}" if unit == "energy" else label
            recent = y[-100:]
            mean = f"mean {look.readable(float(recent.mean()))}" if len(recent) > 1 else ""
            value = look.readable(float(y[-1])) if len(y) else "—"
            self.numbers[name].object = look.number(label, value, units[unit], mean)
            plot.label(f"time ({units['time']})", units[unit])
            plot.set("now", series.time, y)
            if len(y) > 1:
                plot.limits(x=(series.time[0], max(series.time[-1], series.time[0] + 1e-3)))
            if name == "temperature" and len(y):
                plot.set("target", series.time[[0, -1]], [self.model.temperature] * 2)
            plot.fit(least=LEAST[name] * (self.model.temperature if name == "temperature" else 1.0))
            plot.push()


LEAST = {"temperature": 0.2, "pressure": 0.5, "potential": 0.1, "total": 0.1}
"""Least height of each time series' axis, so that noise does not look like drama."""
