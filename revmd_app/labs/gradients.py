"""Lab 3 (Gradients), the view: choose a loss and a parameter, let the estimators run, watch the answers arrive."""

from __future__ import annotations

import html

import panel as pn

from revmd_app.labs import gradients_text
from revmd_app.labs.gradients_model import LOSSES, NAMES, GradientsModel
from revmd_app.labs.gradients_plots import Forest, beyond, table
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.jobs import Job
from revmd_app.labs.widgets.plots import soon

PERIOD = 150
"""Milliseconds between two looks into the mailbox."""


class GradientsLab(pn.viewable.Viewer):
    """Compare gradient estimators on one loss. Works in a served page and in a notebook cell."""

    def __init__(self, model: GradientsModel | None = None):
        super().__init__()
        self.model = model = model or GradientsModel()
        self.job: Job | None = None
        self._callback = None
        self.forest = Forest(model)
        self.table = look.text("", sizing_mode="stretch_width", margin=(2, 4))
        self._make_widgets()
        self._layout = self._arrange()
        model.param.watch(lambda *_: self._new_knobs(), "knobs")
        model.param.watch(lambda *_: self._draw(), ["rows", "parameter", "estimators"])
        model.param.watch(lambda *_: self._tell(), ["state", "message", "fraction", "stale", "loss"])
        self._new_knobs()
        self._draw()
        self._tell()

    def _make_widgets(self) -> None:
        model = self.model
        common: dict = {
            "description": None,
            "sizing_mode": "stretch_width",
            "margin": (1, 8, 3, 8),
            "stylesheets": [look.WIDGET_CSS],
        }
        chosen = ("liquid", "loss", "parameter", "n_steps", "sample_every", "replicas", "truncate")
        self.choices = {name: pn.widgets.Select.from_param(model.param[name], **common) for name in chosen}
        self.formula = look.text("", margin=(0, 10, 4, 10), styles={"font-size": "12px"})
        self.knobs = pn.Column(margin=0, sizing_mode="stretch_width")
        self.others = pn.Column(margin=0, sizing_mode="stretch_width")
        self.fold = look.fold("Charge, bond and angle", self.others)
        self.estimators = pn.widgets.CheckBoxGroup(
            options={NAMES[n]: n for n in model.param.estimators.objects},
            value=model.estimators,
            inline=True,
            margin=(6, 8),
            stylesheets=[look.WIDGET_CSS + ".bk-input-group { gap: 4px 14px; flex-wrap: wrap }"],
        )
        self.estimators.param.watch(lambda e: model.param.update(estimators=e.new), "value")
        self.go = look.button("Compare", button_type="primary", width=100)
        self.cancel = look.button("Cancel", width=80)
        self.go.on_click(lambda _: self.compare())
        self.cancel.on_click(lambda _: self.cancel_comparison())
        self.bar = pn.indicators.Progress(value=0, max=100, height=10, sizing_mode="stretch_width", margin=(16, 8))
        self.status = look.text("", margin=(4, 8), sizing_mode="stretch_width")

    def _arrange(self) -> pn.viewable.Viewable:
        c = self.choices
        side = look.card(
            c["liquid"],
            c["loss"],
            self.formula,
            c["parameter"],
            look.heading("Taken at"),
            self.knobs,
            self.fold,
            look.heading("Run"),
            pn.Row(c["n_steps"], c["sample_every"], margin=0, sizing_mode="stretch_width"),
            pn.Row(c["replicas"], c["truncate"], margin=0, sizing_mode="stretch_width"),
            width=292,
            sizing_mode="stretch_height",
            scroll=True,
        )
        head = look.card(
            pn.Row(look.heading("Estimators"), self.estimators, margin=0, sizing_mode="stretch_width"),
            pn.Row(self.go, self.cancel, self.bar, margin=0, sizing_mode="stretch_width"),
            self.status,
            sizing_mode="stretch_width",
        )
        gradient, seconds, memory = self.forest.panes
        self.beyond = look.text("", margin=(3, 4), styles={"font-size": "12px", "color": "#8a2f00"})
        plots = pn.Row(
            look.card(
                pn.Row(
                    look.heading("Gradient", "◆ mean, thick ± 1, thin ± 2 standard errors, ● replicas"),
                    self.beyond,
                    margin=0,
                ),
                gradient,
                min_width=460,
            ),
            look.card(look.heading("Time"), seconds, sizing_mode="stretch_height", width=230),
            look.card(look.heading("Memory"), memory, sizing_mode="stretch_height", width=230),
            sizing_mode="stretch_both",
            margin=0,
            styles={"gap": "8px"},
            min_height=230,
        )
        results = look.card(self.table, sizing_mode="stretch_width", min_height=236, scroll=True)
        stage = pn.Column(head, plots, results, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"})
        bench = pn.Row(
            side, stage, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"}, stylesheets=[look.SCREEN_CSS]
        )
        return look.page(bench, gradients_text.about())

    def _new_knobs(self) -> None:
        model = self.model
        make = lambda knob: (
            look.Slider(
                model.label(knob),
                knob.parameter.unit,
                knob.parameter.bounds,
                model.values[knob.key],
                lambda value, key=knob.key: model.turn(key, value),
                log=knob.parameter.log,
                digits=4,
            ).widget
        )
        self.knobs[:] = [make(knob) for knob in model.knobs if knob.of_pair]
        self.others[:] = [make(knob) for knob in model.knobs if not knob.of_pair]
        self.fold.visible = bool(self.others.objects)

    # ------------------------------------------------------------------------------------------------------- effects

    def start(self) -> None:
        """Listen for results; in a served page everything ends with the session."""
        if self._callback is None:
            self._callback = pn.state.add_periodic_callback(self.look, PERIOD)
            if pn.state.curdoc is not None:
                pn.state.on_session_destroyed(lambda _: self.stop())

    def stop(self) -> None:
        """End the comparison and the listening."""
        if self._callback is not None:
            self._callback.stop()
            self._callback = None
        if self.job is not None:
            self.job.stop()
            self.job = None

    def compare(self) -> None:
        """Begin a comparison, in place of one that is still running."""
        request = self.model.begin()
        if request is None:
            return
        if self.job is not None:
            self.job.stop()
        self.start()
        self.job = Job("revmd_app.labs.gradients_worker:run", request)

    def cancel_comparison(self) -> None:
        """End the comparison; what has come so far stays."""
        if self.job is not None and self.job.running:
            self.job.stop()
            self.model.end("cancelled")

    def look(self) -> None:
        """Read the mailbox and show what is new."""
        if self.job is None:
            return
        messages = self.job.poll()
        if "progress" in messages:
            self.model.take(messages["progress"])
        if "error" in messages:
            self.model.end("failed", messages["error"])
        elif "done" in messages:
            self.model.end("done")

    def _draw(self) -> None:
        soon(self.forest.draw)
        self.table.object = table(self.model)
        out = beyond(self.model.chosen_rows())
        self.beyond.object = f"→ beyond: {', '.join(out)}" if out else ""

    def _tell(self) -> None:
        model = self.model
        loss = LOSSES[model.loss]
        self.formula.object = html.escape(loss.formula) + (
            f" &ensp;in {loss.unit[model.case.units]}" if model.unit else ""
        )
        self.bar.value = round(100 * model.fraction)
        self.cancel.disabled = model.state != "running"
        if model.state == "failed":
            self.status.object = look.alert(model.message)
        elif model.stale:
            self.status.object = look.alert(
                "The settings have changed since these results were computed: press Compare again."
            )
        elif model.message:
            self.status.object = look.alert(model.message, "done" if model.state == "done" else "busy")
        else:
            self.status.object = look.alert(
                "Choose a loss and press Compare: each estimator compiles once, then runs its replicas.", "busy"
            )

    def __panel__(self):
        return self._layout
