"""Lab 1 (Tune), the view: knobs on the left, atoms in the middle, what they do on the right."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import panel as pn
import param

from revmd_app.labs import tune_text
from revmd_app.labs.base import Lab
from revmd_app.labs.tune_atom import ChosenAtom
from revmd_app.labs.tune_controls import Controls
from revmd_app.labs.tune_link import AtomLink
from revmd_app.labs.tune_model import TuneModel
from revmd_app.labs.tune_plots import Curves, Meters, Structure
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.export import export_menu
from revmd_app.labs.widgets.plots import LivePlot, soon
from revmd_app.labs.widgets.viewer import AtomsView

SLOW = 5
"""Numbers, time series and g(r) are redrawn every so many frames."""
ARGON_SIGMA = 0.34
"""nm. The atoms of a system in reduced units are drawn as argon's."""
WATCHED = ["potential", "temperature", "friction", "time_step", "steps_per_picture", "memory", "running"]
"""Parameters that the simulation must hear of."""


class TuneLab(Lab):
    """Tune a potential and watch the liquid answer. Works in a served page and in a notebook cell."""

    name = param.String(default="tune")
    period: ClassVar[int] = 33
    model: TuneModel

    def __init__(self, model: TuneModel | None = None):
        model = model or TuneModel()
        super().__init__(model)
        self._frames = 0
        self.atoms = AtomsView()
        self.controls = Controls(model)
        self.chosen = ChosenAtom(model)
        self.curves, self.structure, self.meters = Curves(model), Structure(model, self.chosen), Meters(model)
        self.link = AtomLink(self.chosen, self.atoms, self.structure)
        self._make_buttons()
        self.status = look.text("", margin=0, visible=False, styles=look.OVERLAY)
        self.about = pn.Row(sizing_mode="stretch_width", margin=0)
        self._new_liquid()
        self._layout = self._arrange()
        model.param.watch(self._new_liquid, "case")
        model.param.watch(lambda *_: soon(self.curves.draw), "potential")
        model.param.watch(self._send, WATCHED)
        model.param.watch(self._tell, ["message", "state"])
        self._tell()

    # ------------------------------------------------------------------------------------------------------ widgets

    def _make_buttons(self) -> None:
        model = self.model
        small: dict = {**look.FIELD, "margin": (0, 4)}
        self.run = look.button("Pause", button_type="primary", width=84)
        self.step = look.button("Step", width=64)
        self.reset = look.button("Reset", width=68)
        self.run.on_click(lambda _: model.param.update(running=not model.running))
        self.step.on_click(lambda _: self._step())
        self.reset.on_click(lambda _: self._reset())
        speeds = {f"{n} steps a picture": n for n in model.param.steps_per_picture.objects}
        self.speed = pn.widgets.Select(name="Speed", options=speeds, value=model.steps_per_picture, **small)
        self.speed.param.watch(lambda e: model.param.update(steps_per_picture=e.new), "value")
        model.param.watch(lambda e: self.speed.param.update(value=e.new), "steps_per_picture")
        self.representation = pn.widgets.Select.from_param(model.param.drawn_as, **small)
        self.colour = pn.widgets.Select.from_param(model.param.colour, **small)
        redraw = lambda *_: self.atoms.param.update(representation=model.drawn_as, colour=model.colour)
        model.param.watch(redraw, ["drawn_as", "colour"])
        redraw()
        self.clock = look.text("", margin=(8, 6), styles={"font-variant-numeric": "tabular-nums"})

    def _arrange(self) -> pn.viewable.Viewable:
        viewer = look.card(
            pn.Row(
                self.run,
                self.step,
                self.reset,
                pn.layout.HSpacer(),
                self.clock,
                margin=0,
                height=38,
                sizing_mode="stretch_width",
            ),
            self.status,
            self.atoms,
            self.link.text,
            pn.Row(self.speed, self.representation, self.colour, margin=0, height=52, sizing_mode="stretch_width"),
            min_width=380,
            styles={"position": "relative"},
        )
        curves = pn.Row(
            look.card(_head("Energy of a pair", self.curves.energy, "u"), self.curves.energy.pane),
            look.card(_head("Force of a pair", self.curves.force, "force"), self.curves.force.pane),
            sizing_mode="stretch_both",
            margin=0,
            styles={"gap": "8px"},
            min_height=190,
        )
        structure = look.card(
            pn.Row(
                look.heading("Structure: g(r)"),
                self.structure.pair,
                pn.layout.HSpacer(),
                self.structure.age,
                export_menu({"": self.structure.plot}, "g of r"),
                margin=0,
                sizing_mode="stretch_width",
                height=28,
            ),
            self.structure.plot.pane,
            self.structure.source,
            min_height=230,
        )
        right = pn.Column(curves, structure, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"}, min_width=480)
        top = pn.Row(viewer, right, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"})
        meters = pn.Row(*self.meters.cards(), sizing_mode="stretch_width", height=158, margin=0, styles={"gap": "8px"})
        stage = pn.Column(top, meters, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"})
        bench = pn.Row(
            self.controls,
            stage,
            sizing_mode="stretch_both",
            margin=0,
            styles={"gap": "8px"},
            stylesheets=[look.SCREEN_CSS],
        )
        return look.page(bench, self.about)

    # ------------------------------------------------------------------------------------------------------- effects

    def start(self) -> None:
        """Begin to simulate and to listen; in a served page it ends with the session."""
        super().start()
        if self.job is None:
            self.model.state = "starting"
            self.begin("revmd_app.labs.tune_worker:run", self.model.request())

    def close(self) -> None:
        """End the viewer's threads."""
        self.atoms.dispose()

    def _send(self, *_) -> None:
        if self.job is not None:
            self.job.send(self.model.request())
        self.run.name = "Pause" if self.model.running else "Run"
        if self.model.state in ("running", "paused"):
            self.model.state = "running" if self.model.running else "paused"

    def _step(self) -> None:
        self.model.step_once()
        self._send()

    def _reset(self) -> None:
        self.model.restore()
        if self.job is None or not self.job.running:
            self.halt()
            self.start()
        self._send()
        self.atoms.centre()

    def _new_liquid(self, *_) -> None:
        case = self.model.case
        self.chosen.release()
        start = case.snapshot()
        self._size = ARGON_SIGMA if case.units == "reduced" else 1.0
        self.atoms.show(
            element_names(case.system),
            np.asarray(case.system.molecule),
            np.asarray(start.positions) * self._size,
            np.asarray(case.system.box) * self._size,
        )
        soon(self.curves.draw)
        soon(self.meters.draw)
        self.about[:] = tune_text.about(case)

    def receive(self, messages) -> None:
        """Show a frame, or say what is being done or went wrong."""
        if "busy" in messages:
            self.busy = messages["busy"]
            self.model.state = "compiling"
            self._tell()
        if "exploded" in messages:
            words = f"{messages['exploded']} You see the last good state: press Reset to begin again."
            self.model.param.update(message=words, state="exploded")
        if "error" in messages:
            self.model.param.update(message=messages["error"], state="failed")
        if "frame" in messages and self.model.take(messages["frame"]):
            self._show_frame(messages["frame"])

    def _show_frame(self, frame) -> None:
        model = self.model
        self._frames += 1
        self.chosen.take()
        if self.shown:
            self.atoms.move(frame["positions"] * self._size, frame["kinetic"], frame["epoch"])
        if model.state in ("starting", "compiling") and frame["time"] > 0:
            model.state = "running" if model.running else "paused"
        if self.shown and (self._frames % SLOW == 0 or not model.running):
            time = f"t = {look.readable(frame['time'])} {model.units['time']}"
            self.clock.object = f"{self.atoms.legend()} &emsp; {time}"
            self.structure.draw()
            self.meters.draw()
            self.link.show()

    busy = "Starting the simulation …"

    def _tell(self, *_) -> None:
        model = self.model
        if model.message:
            self.status.object = look.alert(model.message)
        elif model.state in ("starting", "compiling"):
            self.status.object = look.alert(self.busy, "busy")
        self.status.visible = bool(model.message) or model.state in ("starting", "compiling")
        self.reset.button_type = "danger" if model.state in ("exploded", "failed") else "default"


def element_names(system) -> np.ndarray:
    """(N,) element symbols for the viewer; the toys' particles, which are no element, look like argon."""
    names = system.species_of_atoms
    return np.where(np.isin(names, ("A",)), "Ar", names)


def _head(title: str, plot: LivePlot, name: str) -> pn.Row:
    """The line above a plot: what it shows, and the menu that saves it."""
    menu = export_menu({"": plot}, name)
    return pn.Row(look.heading(title), pn.layout.HSpacer(), menu, margin=0, height=26, sizing_mode="stretch_width")
