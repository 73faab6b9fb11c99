"""Lab 3 (Gradients), the view: choose a loss and a parameter on the left, a study above, and watch it fill in."""

from __future__ import annotations

import html
from typing import ClassVar

import panel as pn
import param

from revmd_app.gradients.losses import LOSSES
from revmd_app.labs import gradients_text
from revmd_app.labs.base import Lab
from revmd_app.labs.gradients_model import GradientsModel
from revmd_app.labs.gradients_studies_model import RUN, SAME_RUN, SPECS
from revmd_app.labs.gradients_views import SHRINKS, VIEWS, StudyView
from revmd_app.labs.knobs import Knob
from revmd_app.labs.widgets import look

CHOSEN = ("liquid", "loss", "own", "parameter", "n_steps", "sample_every", "replicas", "truncate")


class GradientsLab(Lab):
    """Compare gradient estimators and study them. Works in a served page and in a notebook cell."""

    name = param.String(default="gradients")
    period: ClassVar[int] = 150
    model: GradientsModel

    def __init__(self, model: GradientsModel | None = None):
        model = model or GradientsModel()
        super().__init__(model)
        self.views: dict[str, StudyView] = {}
        self._sliders: dict[str, look.Slider] = {}
        self._working = ""  # the study that the job computes
        self._make_widgets()
        self._layout = self._arrange()
        model.param.watch(lambda *_: self._new_knobs(), "knobs")
        model.param.watch(lambda *_: self._follow_values(), "values")
        model.param.watch(lambda *_: self._show_study(), "study")
        model.param.watch(lambda *_: self._tell_loss(), ["loss", "own", "liquid", "parameter"])
        self._new_knobs()
        self._tell_loss()
        self._show_study()

    # ------------------------------------------------------------------------------------------------------ widgets

    def _make_widgets(self) -> None:
        model = self.model
        make = lambda name: pn.widgets.TextInput if name == "own" else pn.widgets.Select
        self.choices = {name: make(name).from_param(model.param[name], **look.FIELD) for name in CHOSEN}
        self.formula = look.text("", margin=(0, 10, 4, 10), styles={"font-size": "12px"})
        self.knobs = pn.Column(margin=0, sizing_mode="stretch_width")
        self.others = pn.Column(margin=0, sizing_mode="stretch_width")
        self.fold = look.fold("Charge, bond and angle", self.others)
        self.bar = pn.widgets.RadioButtonGroup.from_param(
            model.param.study,
            name="",
            options={spec.title: key for key, spec in SPECS.items()},
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[look.BAR_CSS],
        )
        self.stage = pn.Column(sizing_mode="stretch_both", margin=0, styles=SHRINKS)
        self.run_note = look.text("", margin=(0, 10, 2, 10), styles={"font-size": "11.5px", "color": look.MUTED})

    def _arrange(self) -> pn.viewable.Viewable:
        c = self.choices
        side = look.card(
            c["liquid"],
            c["loss"],
            c["own"],
            self.formula,
            c["parameter"],
            look.heading("Taken at"),
            self.knobs,
            self.fold,
            look.heading("Run"),
            pn.Row(c["n_steps"], c["sample_every"], margin=0, sizing_mode="stretch_width"),
            pn.Row(c["replicas"], c["truncate"], margin=0, sizing_mode="stretch_width"),
            self.run_note,
            width=292,
            sizing_mode="stretch_height",
            scroll=True,
        )
        studies = look.card(self.bar, sizing_mode="stretch_width", styles={"padding": "3px 5px"})
        right = pn.Column(studies, self.stage, sizing_mode="stretch_both", margin=0, styles={"gap": "8px", **SHRINKS})
        bench = pn.Row(
            side, right, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"}, stylesheets=[look.SCREEN_CSS]
        )
        return look.page(bench, gradients_text.about())

    def _new_knobs(self) -> None:
        self._sliders = {knob.key: self._slider(knob) for knob in self.model.knobs}
        self.knobs[:] = [self._sliders[knob.key].widget for knob in self.model.knobs if knob.of_pair]
        self.others[:] = [self._sliders[knob.key].widget for knob in self.model.knobs if not knob.of_pair]
        self.fold.visible = bool(self.others.objects)

    def _slider(self, knob: Knob) -> look.Slider:
        meta, model = knob.parameter, self.model
        turn = lambda value: model.turn(knob.key, value)
        return look.Slider(
            model.label(knob), meta.unit, meta.bounds, model.values[knob.key], turn, log=meta.log, digits=4
        )

    def _follow_values(self) -> None:
        """The sliders show values that were set otherwise: a point of the grid, an address."""
        for key, slider in self._sliders.items():
            value = self.model.values.get(key)
            if value is not None and abs(slider.value - value) > 1e-9 * abs(value):
                slider.set(value)

    def _show_study(self) -> None:
        """Show the chosen study, built when it is first asked for; the others stay as they are, out of sight."""
        key = self.model.study
        for holder in self.stage:  # first, so that a new one is measured in the room that it will have
            holder.visible = holder.name == key
        if key not in self.views:
            self.views[key] = view = VIEWS[key](self.model, self.press, self.cancel)
            self.stage.append(pn.Column(view, sizing_mode="stretch_both", margin=0, name=key, styles=SHRINKS))
        uses = SPECS[key].uses
        for name in RUN:
            if name in self.choices:
                self.choices[name].disabled = name not in uses
        self.run_note.object = "" if "n_steps" in uses else "This study chooses its own lengths and numbers of runs."

    def _tell_loss(self) -> None:
        model = self.model
        loss = LOSSES[model.loss]
        self.choices["own"].visible = model.is_own
        if (fault := model.own_fault) is not None:
            self.formula.object = look.alert(fault)
            return
        words = html.escape(gradients_text.OWN_HELP if model.is_own else loss.formula)
        self.formula.object = words + (f" &ensp;in {loss.unit[model.case.units]}" if model.unit else "")

    # ------------------------------------------------------------------------------------------------------ effects

    def press(self, key: str | None = None) -> None:
        """Begin a study (the one in view), in place of one that is still running."""
        key = key or self.model.study
        request = self.model.begin(key)
        if request is not None:
            self._working = SAME_RUN.get(key, key)
            self.begin(self.model.studies[key].task, request)
        elif self.model.running is None:
            self.halt()

    def cancel(self) -> None:
        """End the study that is running; what has come so far stays."""
        study = self.model.running
        self.halt()
        if study is not None:
            study.end("cancelled")

    def receive(self, messages) -> None:
        """Show what the child process has found."""
        study = self.model.studies.get(self._working)
        if study is None or study.state != "running":
            return
        if "progress" in messages:
            study.take(messages["progress"])
        if "error" in messages:
            study.end("failed", messages["error"])
        elif "done" in messages:
            study.end("done")
