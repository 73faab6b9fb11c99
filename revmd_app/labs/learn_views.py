"""The views of Lab 4 on the screen: the training as it goes, the loss surface, and the replay of a shipped run."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any

import panel as pn

from revmd_app.labs.learn_model import SURFACE, LearnModel, time_left
from revmd_app.labs.learn_plots import (
    MEASURES,
    PAIRS,
    TABLE_CSS,
    Losses,
    Measures,
    Parameters,
    Structure,
    Tracks,
    measured,
    table,
    wanted,
)
from revmd_app.labs.learn_plots_surface import SurfaceMap
from revmd_app.labs.learn_quantities import ESTIMATORS, Quantity
from revmd_app.labs.learn_text import SEES
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.export import export_menu
from revmd_app.labs.widgets.plots import soon

SHRINKS = {"min-height": "0"}
GAP = {"gap": "8px", **SHRINKS}
SAYS: dict[str, Any] = {"margin": (6, 4, 2, 4), "sizing_mode": "stretch_width"}
SMALL: dict[str, Any] = {"description": None, "margin": (0, 4), "stylesheets": [look.WIDGET_CSS]}


class TrackPlots(pn.viewable.Viewer):
    """Two rows of plots and the table of numbers, drawn from tracks: a live training's or a replay's."""

    def __init__(self, key: str):
        super().__init__()
        self.key = key
        self.structure, self.losses = Structure(key), Losses(key)
        self.parameters, self.measures = Parameters(key), Measures(key)
        self.measure = pn.widgets.Select(name="", options=list(MEASURES), width=170, height=36, **SMALL)
        self.measure.param.watch(lambda _: soon(self._draw_measure), "value")
        self.numbers = look.text("", sizing_mode="stretch_width", stylesheets=[TABLE_CSS])
        self.latest = look.text("", margin=(2, 4), styles={"font-variant-numeric": "tabular-nums"})
        self._tracks: Tracks = []
        self._layout = self._arrange()

    def figures(self) -> dict[str, Any]:
        """The plots by title, for the menu that saves them."""
        found = {f"g(r) {PAIRS[pair].words}": plot.figure for pair, plot in self.structure.plots.items()}
        others = {"loss": self.losses.plot, "parameters": self.parameters.plot, "measured": self.measures.plot}
        return {**found, **{title: plot.figure for title, plot in others.items()}}

    def _arrange(self) -> pn.Column:
        structure = [look.card(plot.pane, min_width=200, styles=SHRINKS) for plot in self.structure.plots.values()]
        over_epochs = (self.losses.plot, self.parameters.plot, self.measures.plot)
        others = [look.card(plot.pane, min_width=200, styles=SHRINKS) for plot in over_epochs]
        row = lambda cards: pn.Row(*cards, sizing_mode="stretch_both", margin=0, styles=GAP)
        numbers = look.card(self.latest, self.numbers, sizing_mode="stretch_width", min_height=30)
        return pn.Column(row(structure), row(others), numbers, sizing_mode="stretch_both", margin=0, styles=GAP)

    def draw(self, tracks: Tracks, quantities: list[Quantity]) -> None:
        """Redraw everything."""
        self._tracks = tracks
        self.structure.draw(tracks)
        self.losses.draw(tracks)
        self.parameters.draw(tracks, quantities)
        self._draw_measure()
        self.numbers.object = table(tracks, quantities)
        self.latest.object = summary(tracks)

    def _draw_measure(self) -> None:
        self.measures.draw(self._tracks, self.measure.value)

    def __panel__(self):
        return self._layout


def summary(tracks: Tracks) -> str:
    """A sentence on each track: its loss then and now, ΔH_vap against its target."""
    words = []
    for name, records in tracks:
        if not records:
            continue
        first, last = records[0], records[-1]
        text = f"<b>{html.escape(name)}</b>: loss {look.readable(first['loss'])}"
        text += f" → {look.readable(last['loss'])}" if len(records) > 1 else " at the start"
        heat, target = measured(last, "enthalpy"), wanted(records, "enthalpy")
        if target is not None:
            error = last.get("errors", {}).get("enthalpy", math.nan)
            within = f" ± {error:.2f}" if math.isfinite(error) else ""
            text += f", ΔH_vap off by {heat - target:+.2f}{within} kJ/mol".replace("-", "−")
        words.append(text + ".")
    return "&ensp; ".join(words)


class TrainingView(pn.viewable.Viewer):
    """The training as it goes."""

    def __init__(self, model: LearnModel, press: Callable[[], None], reset: Callable[[], None]):
        super().__init__()
        self.model = model
        self.go = look.button("Start training", button_type="primary", width=128)
        self.reset = look.button("Reset", width=68)
        self.go.on_click(lambda _: press())
        self.reset.on_click(lambda _: reset())
        self.bar = pn.indicators.Progress(value=0, max=100, height=6, sizing_mode="stretch_width", margin=(1, 6, 0, 6))
        self.status = look.text("", margin=(0, 6), sizing_mode="stretch_width")
        self.plots = TrackPlots("live")
        progress = pn.Column(self.status, self.bar, margin=0, sizing_mode="stretch_width")
        head = look.card(
            pn.Row(self.go, self.reset, progress, margin=0, sizing_mode="stretch_width"), sizing_mode="stretch_width"
        )
        strip = strip_of(look.text(SEES["training"], **SAYS), "training", self.plots.figures(), self.plots.measure)
        self._layout = pn.Column(head, strip, self.plots, sizing_mode="stretch_both", margin=0, styles=GAP)
        model.param.watch(lambda *_: soon(self.draw), ["tracks", "form"])
        model.param.watch(lambda *_: self.tell(), ["state", "message", "fraction", "stale", "tracks"])
        self.draw()
        self.tell()

    def draw(self) -> None:
        """Redraw the plots."""
        self.plots.draw(live_tracks(self.model), self.model.shown_quantities)

    def tell(self) -> None:
        """Button, progress and message."""
        model = self.model
        self.go.name = go_words(model)
        self.reset.disabled = not model.trained
        self.bar.value = round(100 * model.fraction)
        if model.state == "failed":
            self.status.object = look.alert(model.message)
        elif model.stale and model.trained and model.state != "running":
            words = "The settings have changed since this training: Start anew, or set them back and continue."
            self.status.object = look.alert(words)
        elif model.fault_words() and model.state != "running":
            self.status.object = look.alert(model.message)
        elif model.state == "idle" and not model.message:
            found = any(track["records"] for track in model.tracks.values())
            words = "Dotted: the start values, simulated just now. " if found else ""
            if found and model.stale:
                words = "Below is the start with the settings before; a training takes the present ones. "
            self.status.object = look.alert(f"{words}Press {self.go.name}.", "busy")
        else:
            self.status.object = look.alert(model.message, "done" if model.state == "done" else "busy")

    def __panel__(self):
        return self._layout


def go_words(model: LearnModel) -> str:
    """What the button does when it is pressed next."""
    if model.state == "running":
        return "Pause"
    if not model.trained:
        return "Start training"
    if model.stale or not model.can_go_on:
        return "Start anew"
    return "Train on" if model.done_epochs() >= model.epochs else "Continue"


def live_tracks(model: LearnModel) -> list[tuple[str, list[dict[str, Any]]]]:
    """The model's tracks, reversible first; an empty one keeps its place."""
    return [(words, model.tracks.get(name, {"records": []})["records"]) for name, words in ESTIMATORS.items()]


class SurfaceView(pn.viewable.Viewer):
    """The loss over two parameters."""

    def __init__(self, model: LearnModel, press: Callable[[], None], cancel: Callable[[], None]):
        super().__init__()
        self.model = model
        self.go = look.button("Compute the surface", button_type="primary", width=158)
        self.stop = look.button("Cancel", width=76)
        self.go.on_click(lambda _: press())
        self.stop.on_click(lambda _: cancel())
        self.bar = pn.indicators.Progress(value=0, max=100, height=6, sizing_mode="stretch_width", margin=(1, 6, 0, 6))
        self.status = look.text("", margin=(0, 6), sizing_mode="stretch_width")
        self.map = SurfaceMap()
        make = lambda name, width: pn.widgets.Select.from_param(model.param[name], width=width, **SMALL)
        names = {"across": 72, "across_half": 80, "upwards": 72, "upwards_half": 80, "grid": 72}
        self.choices = {name: make(name, width) for name, width in names.items()}
        progress = pn.Column(self.status, self.bar, margin=0, sizing_mode="stretch_width")
        buttons = pn.Row(self.go, self.stop, margin=(14, 0, 0, 0))
        row = pn.Row(*self.choices.values(), buttons, progress, margin=0, sizing_mode="stretch_width")
        plot = look.card(self.map.pane, styles=SHRINKS)
        self._layout = pn.Column(
            look.card(row, sizing_mode="stretch_width"),
            strip_of(look.text(SEES["surface"], **SAYS), "surface", {"loss surface": self.map.figure}),
            plot,
            sizing_mode="stretch_both",
            margin=0,
            styles=GAP,
        )
        model.param.watch(lambda *_: soon(self.draw), ["surface", "tracks", "across", "upwards", "form"])
        model.param.watch(lambda *_: self.tell(), ["surface", "surface_state", "stale", "message", *SURFACE])
        self.draw()
        self.tell()

    def draw(self) -> None:
        """Redraw the map: of the surface that was computed, or of the parameters that are chosen."""
        model = self.model
        if "x" in model.surface:
            known = {quantity.name: quantity for quantity in model.shown_quantities}
            x, y = (known[model.surface[axis][0]] for axis in ("x", "y"))
        else:
            by_label = {quantity.label: quantity for quantity in model.quantities}
            x, y = by_label[model.across], by_label[model.upwards]
        tracks = live_tracks(model) if model.shown_quantities == model.quantities else []
        self.map.draw(model.surface, tracks, x, y)

    def tell(self) -> None:
        """Progress and message."""
        model = self.model
        surface, state = model.surface, model.surface_state
        done, total = len(surface.get("points", [])), surface.get("total", 1)
        self.bar.value = round(100 * done / total)
        self.stop.disabled = state != "running"
        self.status.object = surface_words(model, done, total)

    def __panel__(self):
        return self._layout


def surface_words(model: LearnModel, done: int, total: int) -> str:
    """Markup of how far the surface is."""
    state = model.surface_state
    if state == "failed":
        return look.alert(model.surface.get("fault", ""))
    if state == "running":
        words = f"{done} of {total} points{time_left(model.surface.get('seconds'), total - done)}"
        if not done:
            before = f"{model.message} " if model.state in ("preview", "running") else ""
            words = f"{before}The surface comes next: its first point takes longest."
        return look.alert(words, "busy")
    if done and (model.stale or model.surface_is_other):
        return look.alert("The settings have changed since this surface: compute it again.")
    if state == "done":
        return look.alert(f"All {total} points.", "done")
    if state == "cancelled":
        return look.alert(f"Cancelled after {done} points; they stay.", "busy")
    return look.alert("Choose two parameters, then compute.", "busy")


def strip_of(words: pn.viewable.Viewable, view: str, figures: dict[str, Any], *more: pn.viewable.Viewable) -> pn.Column:
    """What one sees, in words, further controls, and the menu that saves the plots."""
    menu = pn.Column(export_menu(figures, f"learn {view}"), width=66, margin=0)
    row = pn.Row(words, *more, menu, margin=0, sizing_mode="stretch_width")
    return look.card(row, sizing_mode="stretch_width", styles={"padding": "2px 8px"})
