"""Lab 5 (Diffuse), the view: oxygen among waters, how far it comes, and D trained to a target."""

from __future__ import annotations

from typing import Any, ClassVar

import panel as pn
import param

from revmd_app.labs import diffuse_text
from revmd_app.labs.base import Lab
from revmd_app.labs.diffuse_controls import Controls
from revmd_app.labs.diffuse_model import YOUNG, DiffuseModel
from revmd_app.labs.diffuse_panels import StudyPanel, TrainPanel
from revmd_app.labs.diffuse_plots import LivePlots
from revmd_app.labs.diffuse_view import DissolvedView
from revmd_app.labs.diffuse_worker import TRAIL
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.export import export_menu
from revmd_app.labs.widgets.jobs import Job
from revmd_app.labs.widgets.plots import soon

SIMULATION = "revmd_app.labs.diffuse_worker:run"
WORK = "revmd_app.labs.diffuse_work"
SLOW = 6
"""Plots and numbers are redrawn every so many frames."""
WATCHED = ["size", "force_field", "values", "temperature", "friction", "steps_per_picture", "running"]
"""Parameters that the simulation must hear of."""


class DiffuseLab(Lab):
    """Watch oxygen diffuse and train how fast it does. Works in a served page and in a notebook cell."""

    name = param.String(default="diffuse")
    period: ClassVar[int] = 40
    model: DiffuseModel

    def __init__(self, model: DiffuseModel | None = None):
        model = model or DiffuseModel()
        super().__init__(model)
        self._frames = 0
        self._busy = "Starting the simulation …"
        self._work: Job | None = None
        self._working = ""
        self.atoms = DissolvedView(water=model.water)
        self.controls = Controls(model)
        self.live = LivePlots(model)
        self.panels = {
            "train": TrainPanel(model, self.press, self.cancel),
            "study": StudyPanel(model, self.press, self.cancel),
        }
        self._make_buttons()
        self.status = look.text("", margin=0, visible=False, styles=look.OVERLAY)
        self.number = look.text("", margin=(0, 6), sizing_mode="stretch_width")
        self._layout = self._arrange()
        model.param.watch(lambda *_: self._new_box(), "size")
        model.param.watch(lambda *_: self._send(), WATCHED)
        model.param.watch(lambda *_: self._tell(), ["message", "state"])
        model.param.watch(lambda *_: self.atoms.param.update(water=model.water), "water")
        model.param.watch(
            lambda *_: soon(self._show_numbers), ["target", "corrected", "viscosity", "values", "friction"]
        )
        self._new_box()
        self._show_numbers()
        self._tell()

    # ------------------------------------------------------------------------------------------------------- widgets

    def _make_buttons(self) -> None:
        model = self.model
        self.run = look.button("Pause", button_type="primary", width=80)
        self.reset = look.button("Reset", width=66)
        self.run.on_click(lambda _: model.param.update(running=not model.running))
        self.reset.on_click(lambda _: self._reset())
        self.clock = look.text("", margin=(8, 6), styles={"font-variant-numeric": "tabular-nums"})

    def _arrange(self) -> pn.viewable.Viewable:
        flat: dict = {"margin": 0, "sizing_mode": "stretch_width"}
        both: dict = {"sizing_mode": "stretch_both", "margin": 0, "styles": {"gap": "8px"}}
        viewer = look.card(
            pn.Row(self.run, self.reset, pn.layout.HSpacer(), self.clock, height=38, **flat),
            self.status,
            self.atoms,
            min_width=330,
            styles={"position": "relative", "flex": "1 1 0"},
        )
        live = pn.Row(
            look.card(_head("Mean squared displacement", self.live.msd, "msd"), self.live.msd.pane),
            look.card(_head("Diffusion coefficient", self.live.d, "d"), self.number, self.live.d.pane),
            min_height=230,
            **both,
        )
        titles = {"train": "Train D to a target", "study": "Two estimators, longer and longer runs"}
        self.tabs = pn.Tabs(
            *((titles[key], panel) for key, panel in self.panels.items()),
            active=list(self.panels).index(self.model.panel),
            sizing_mode="stretch_both",
            margin=0,
        )
        self.tabs.param.watch(lambda event: self.model.param.update(panel=list(self.panels)[event.new]), "active")
        self._menus = {key: pn.Column(panel.menu(), margin=0) for key, panel in self.panels.items()}
        self.model.param.watch(lambda _: self._show_panel(), "panel")
        self._show_panel()
        menus = pn.Row(*self._menus.values(), margin=0, styles=look.CARD_CORNER)
        below = look.card(menus, self.tabs, min_height=330, styles={"position": "relative"})
        right = pn.Column(live, below, **{**both, "styles": {"gap": "8px", "flex": "1.6 1 0", "min-width": "0"}})
        bench = pn.Row(self.controls, viewer, right, stylesheets=[look.SCREEN_CSS], **both)
        return look.page(bench, diffuse_text.about())

    def _show_panel(self) -> None:
        """The chosen tab, and the menu that saves its plots."""
        self.tabs.active = list(self.panels).index(self.model.panel)
        for key, menu in self._menus.items():
            menu.visible = key == self.model.panel

    # ------------------------------------------------------------------------------------------------------- effects

    def start(self) -> None:
        """Begin to simulate and to listen."""
        super().start()
        if self.job is None:
            self.model.state = "starting"
            self.begin(SIMULATION, self.model.request())

    def close(self) -> None:
        """End the other job and the viewer's threads."""
        self._end_work()
        self.atoms.dispose()

    def _new_box(self) -> None:
        case = self.model.case
        self.atoms.show_box(case.system, case.snapshot().positions, TRAIL)

    def _send(self) -> None:
        model = self.model
        if self.job is not None:
            self.job.send(model.request())
        self.run.name = "Pause" if model.running else "Run"
        if model.state in ("running", "paused"):
            model.state = "running" if model.running else "paused"

    def _reset(self) -> None:
        self.model.restore()
        if self.job is None or not self.job.running:
            self.halt()
            self.start()
        self._send()
        self.atoms.centre()

    def press(self, key: str) -> None:
        """Begin a training or the study, in place of the one that is running."""
        self._end_work()
        self._working = key
        self._work = Job(f"{WORK}:{key}", self.model.begin(key))

    def cancel(self) -> None:
        """End what is running; what has come so far stays."""
        work = self.model.works.get(self._working)
        self._end_work()
        if work is not None and work.state == "running":
            work.end("cancelled")

    def _end_work(self) -> None:
        if self._work is not None:
            self._work.stop()
            self._work = None

    def _look(self) -> None:
        super()._look()
        messages = self._work.poll() if self._work is not None else {}
        if messages:
            self.model.receive_work(self._working, messages)

    def receive(self, messages: dict[str, Any]) -> None:
        """Show a frame, or say what is being done or went wrong."""
        if "busy" in messages:
            self._busy = messages["busy"]
            self.model.state = "compiling"
            self._tell()
        if "exploded" in messages:
            reason = messages["exploded"].partition("; ")[0].rstrip(".")  # the rest advises what cannot be set here
            words = f"{reason}. You see the last good state: press Reset to begin again with the usual values."
            self.model.param.update(message=words, state="exploded")
        if "error" in messages:
            self.model.param.update(message=messages["error"], state="failed")
        if "frame" in messages and self.model.take(messages["frame"]):
            self._show_frame(messages["frame"])

    def _show_frame(self, frame: dict[str, Any]) -> None:
        model = self.model
        self._frames += 1
        if model.state in ("starting", "compiling") and frame["time"] > 0:
            model.state = "running" if model.running else "paused"
        if not self.shown:
            return
        self.atoms.follow(frame["positions"], frame["trail"])
        if self._frames % SLOW == 0 or not model.running:
            self.clock.object = f"t = {look.readable(frame['time'])} ps &ensp; {frame['temperature']:.0f} K"
            self._show_numbers()

    def _show_numbers(self) -> None:
        self.live.draw()
        self.number.object = self._words()

    def _words(self) -> str:
        """D in large figures, and whether it may be believed."""
        model = self.model
        if model.state in ("exploded", "failed"):
            return ""  # said beside
        d = model.diffusion()
        if model.stale and not model.running:
            return f"<span style='color:{look.MUTED}'>The settings have changed: press Run.</span>"
        if model.stale or d is None:
            return f"<span style='color:{look.MUTED}'>Too short a run for D: a few picoseconds more.</span>"
        length = model.frame["time"] if model.frame else 0.0
        young = f"<span style='color:#8a2f00'> {length:.1f} ps only</span>" if length < YOUNG else ""
        which = "D<sub>∞</sub>" if model.corrected else "D"
        return f"<span style='font-size:15px'>{which} = <b>{d.value:.2f} ± {d.error:.2f}</b></span> ·10⁻⁹ m²/s{young}"

    def _tell(self) -> None:
        model = self.model
        waiting = model.state in ("starting", "compiling")
        if model.message:
            self.status.object = look.alert(model.message)
        elif waiting:
            self.status.object = look.alert(self._busy, "busy")
        self.status.visible = bool(model.message) or waiting
        self.reset.button_type = "danger" if model.state in ("exploded", "failed") else "default"


def _head(title: str, plot, name: str) -> pn.Row:
    menu = export_menu({"": plot.figure}, f"diffuse {name}")
    return pn.Row(look.heading(title), pn.layout.HSpacer(), menu, margin=0, height=26, sizing_mode="stretch_width")
