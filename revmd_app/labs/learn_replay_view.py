"""The replay of Lab 4 on the screen: trainings that were run beforehand, epoch by epoch, with the command of each."""

from __future__ import annotations

import html
import math
import time
from typing import Any

import panel as pn

from revmd_app.labs.learn_replay import Recorded, described, load, shipped
from revmd_app.labs.learn_text import NO_RUNS
from revmd_app.labs.learn_views import GAP, SAYS, SMALL, TrackPlots, strip_of
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.plots import soon

FRAME = 120
"""Milliseconds between two pictures of a replay, each an epoch on."""
FRAMES = 100
"""A long run is played in so many pictures."""
MOST = 4
"""Pictures that a browser too slow to draw each of them leaves out at a time, at most."""
ALONE = "nothing"


class ReplayView(pn.viewable.Viewer):
    """Choose one shipped run, or two of the same form side by side, and move through their epochs."""

    def __init__(self):
        super().__init__()
        self.runs = shipped()
        self.recorded: dict[str, Recorded] = {}
        self.banner = look.text("", **SAYS)
        names = {self._title(name): name for name in self.runs}
        select = lambda words, options: pn.widgets.Select(name=words, options=options, width=410, **SMALL)
        self.run, self.beside = select("Run", names), select("Beside it", {ALONE: ""})
        self.epoch = pn.widgets.IntSlider(
            name="Epoch", start=1, end=2, value=2, sizing_mode="stretch_width", margin=(0, 10), disabled=not names,
            stylesheets=[look.WIDGET_CSS],
        )  # fmt: skip
        self.play = look.button("Play", width=72, margin=(14, 4, 0, 4), disabled=not names)
        self.plots = TrackPlots("replay")
        self._clock: Any = None
        self._drawn = 0.0  # when the last picture was asked for
        controls = pn.Row(self.run, self.beside, self.play, self.epoch, margin=0, sizing_mode="stretch_width")
        strip = strip_of(self.banner, "replay", self.plots.figures(), self.plots.measure)
        head = look.card(controls, sizing_mode="stretch_width")
        self._layout = pn.Column(head, strip, self.plots, sizing_mode="stretch_both", margin=0, styles=GAP)
        self.run.param.watch(lambda _: self._choose(), "value")
        self.beside.param.watch(lambda _: self._choose_other(), "value")
        self.epoch.param.watch(lambda _: soon(self.draw), "value")
        self.play.on_click(lambda _: self._toggle())
        self._choose()

    def _choose(self) -> None:
        """Another run: its form decides which others can lie beside it."""
        if not self.runs:
            self.banner.object = look.alert(NO_RUNS, "busy")
            return
        first = self._recorded(self.run.value)
        if first is not None:
            others = [name for name in self.runs if name != self.run.value and self._form(name) == first.form]
            beside = {ALONE: "", **{self._title(name): name for name in others}}
            self.beside.param.update(options=beside, value=others[0] if others else "")
        self._choose_other()

    def _choose_other(self) -> None:
        self.halt()
        chosen = self.chosen()
        last = max((run.records[-1]["epoch"] for run in chosen if run.records), default=1)
        self.epoch.param.update(end=max(last, 2), value=max(last, 2))
        if chosen:
            lines = [f"<code>{html.escape(run.command)}</code>" for run in chosen]
            words = "<b>Replay of a run computed beforehand with:</b> " if len(lines) == 1 else (
                "<b>Replay of runs computed beforehand with:</b> ")  # fmt: skip
            self.banner.object = words + " and ".join(lines)
        soon(self.draw)

    def _title(self, name: str) -> str:
        """A run in words, with its name where that is all there is to say."""
        recorded = self._recorded(name)
        return described(recorded) if recorded is not None else name

    def _form(self, name: str) -> str | None:
        recorded = self._recorded(name)
        return recorded.form if recorded else None

    def _recorded(self, name: str) -> Recorded | None:
        """A run, read when it is first asked for; a damaged one is told of."""
        if name not in self.recorded:
            try:
                self.recorded[name] = load(self.runs[name])
            except (OSError, ValueError, KeyError) as error:
                self.banner.object = look.alert(f"The run {name} cannot be read: {as_sentence(error)}")
                return None
        return self.recorded[name]

    def chosen(self) -> list[Recorded]:
        """The runs that are shown."""
        names = [name for name in (self.run.value, self.beside.value) if name in self.runs]
        return [run for run in map(self._recorded, names) if run is not None]

    def draw(self) -> None:
        """Redraw up to the chosen epoch."""
        runs = self.chosen()
        if runs:
            tracks = [(run.words, run.until(self.epoch.value)) for run in runs]
            self.plots.draw(tracks, runs[0].quantities())

    # ------------------------------------------------------------------------------------------------------- playing

    def _toggle(self) -> None:
        if self._clock is not None:
            self.halt()
            return
        if self.epoch.value >= self.epoch.end:
            self.epoch.value = self.epoch.start
        self.play.name, self._drawn = "Pause", time.monotonic()
        self._clock = pn.state.add_periodic_callback(self._next, FRAME)

    def _next(self) -> None:
        if self.epoch.value >= self.epoch.end:
            self.halt()
        else:
            now = time.monotonic()
            pictures = min(MOST, max(1, math.floor(1000 * (now - self._drawn) / FRAME)))
            self._drawn = now
            step = pictures * max(1, self.epoch.end // FRAMES)
            self.epoch.value = min(self.epoch.end, self.epoch.value + step)

    def halt(self) -> None:
        """Stop playing."""
        if self._clock is not None:
            self._clock.stop()
            self._clock = None
        self.play.name = "Play"

    def close(self) -> None:
        """The lab ends."""
        self.halt()

    def __panel__(self):
        return self._layout
