"""Lab 4 (Learn), the view: a force field of water is trained to experiment, by two gradients side by side."""

from __future__ import annotations

from typing import Any, ClassVar

import panel as pn
import param

from revmd_app.labs import learn_text
from revmd_app.labs.base import Lab
from revmd_app.labs.learn_model import TARGETS, WORKER, LearnModel
from revmd_app.labs.learn_quantities import ESTIMATORS
from revmd_app.labs.learn_replay_view import ReplayView
from revmd_app.labs.learn_views import GAP, SHRINKS, SurfaceView, TrainingView
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.fields import NumberField
from revmd_app.labs.widgets.plots import MUTED

TITLES = {"Training": "training", "Loss surface": "surface", "Replay of longer runs": "replay"}
ANEW = ["form", "molecules", "seed"]
"""Settings that change what the start looks like: it is simulated again when nothing has been trained yet."""


class LearnLab(Lab):
    """Train a force field of water to experiment. Works in a served page and in a notebook cell."""

    name = param.String(default="learn")
    period: ClassVar[int] = 150
    model: LearnModel

    def __init__(self, model: LearnModel | None = None):
        model = model or LearnModel()
        super().__init__(model)
        self.views: dict[str, Any] = {}
        self._make_widgets()
        self._layout = self._arrange()
        model.param.watch(lambda *_: self._show_view(), "view")
        model.param.watch(lambda *_: self._simulate_start(), ANEW)
        model.param.watch(lambda *_: self._send(), ["state", "epochs", "surface_state"])
        model.param.watch(lambda *_: self._tell_estimators(), "estimators")
        self.param.watch(lambda *_: self._let_go(), "shown")
        self._tell_estimators()
        self._show_view()

    # ------------------------------------------------------------------------------------------------------ widgets

    def _make_widgets(self) -> None:
        model = self.model
        select = lambda name: pn.widgets.Select.from_param(model.param[name], **look.FIELD)
        number = lambda name: NumberField(model, name, step=1, **look.FIELD)
        called = lambda name: f"the weight of {model.param[name].label}"
        weight = lambda name: NumberField(model, name, words=called(name), step=0.5, **look.FIELD)
        chosen = ("form", "molecules", "truncate", "replicas", "rate")
        self.choices: dict[str, Any] = {name: select(name) for name in chosen}
        self.numbers = {name: number(name) for name in ("epochs", "seed")}
        self.numbers |= {name: weight(name) for name in TARGETS}
        self.choices |= {name: field.widget for name, field in self.numbers.items()}
        self.choices["estimators"] = pn.widgets.CheckBoxGroup.from_param(
            model.param.estimators,
            options={words: name for name, words in ESTIMATORS.items()},
            inline=True,
            margin=(0, 8, 2, 8),
            stylesheets=[look.WIDGET_CSS + ".bk-input-group { gap: 2px 14px; flex-wrap: wrap }"],
        )
        self.bar = pn.widgets.RadioButtonGroup.from_param(
            model.param.view, name="", options=TITLES, sizing_mode="stretch_width", margin=0, stylesheets=[look.BAR_CSS]
        )
        self.stage = pn.Column(sizing_mode="stretch_both", margin=0, styles=SHRINKS)

    def _arrange(self) -> pn.viewable.Viewable:
        c = self.choices
        wide: dict = {"margin": 0, "sizing_mode": "stretch_width"}
        complaints = lambda names: [self.numbers[name].complaint for name in names if name in self.numbers]
        row = lambda *names: pn.Column(pn.Row(*(c[name] for name in names), **wide), *complaints(names), **wide)
        formula = "loss = Σ weight · ⟨((simulated − measured) / uncertainty)²⟩; 0 leaves a target out."
        self.side = look.card(
            look.heading("Force field of water"),
            c["form"],
            row("molecules", "seed"),
            look.heading("Gradient by"),
            c["estimators"],
            row("truncate", "replicas"),
            look.heading("Targets", "and their weights"),
            row("w_oo", "w_oh"),
            row("w_hh", "w_enthalpy"),
            row("w_density"),
            look.text(formula, margin=(0, 10, 4, 10), styles={"font-size": "11.5px", "color": MUTED}),
            look.heading("Descent", "(Adam)"),
            row("rate", "epochs"),
            look.text(learn_text.EPOCH, margin=(8, 10, 4, 10), styles={"font-size": "12px", "color": MUTED}),
            width=304,
            sizing_mode="stretch_height",
            scroll=True,
        )
        views = look.card(self.bar, sizing_mode="stretch_width", styles={"padding": "3px 5px"})
        right = pn.Column(views, self.stage, sizing_mode="stretch_both", margin=0, styles=GAP)
        bench = pn.Row(
            self.side, right, sizing_mode="stretch_both", margin=0, styles={"gap": "8px"}, stylesheets=[look.SCREEN_CSS]
        )
        return look.page(bench, learn_text.about())

    def _show_view(self) -> None:
        """Show the chosen view, built when it is first asked for; the others stay as they are, out of sight.

        A replay has settings of its own and takes the whole width.
        """
        key = self.model.view
        self.side.visible = key != "replay"
        for holder in self.stage:
            holder.visible = holder.name == key
        if key not in self.views:
            self.views[key] = view = self._make_view(key)
            self.stage.append(pn.Column(view, sizing_mode="stretch_both", margin=0, name=key, styles=SHRINKS))

    def _make_view(self, key: str) -> Any:
        if key == "training":
            return TrainingView(self.model, self.press, self.reset)
        if key == "surface":
            return SurfaceView(self.model, self.compute_surface, self.model.cancel_surface)
        return ReplayView()

    def _tell_estimators(self) -> None:
        self.choices["truncate"].disabled = "reversible" not in self.model.estimators

    # ------------------------------------------------------------------------------------------------------ effects

    def start(self) -> None:
        """Listen, and simulate the start values, so that there is something to see."""
        super().start()
        if self.job is None and not self.model.tracks:
            self._simulate_start()

    def _simulate_start(self) -> None:
        if self._callback is not None and not self.model.trained:
            self._run(self.model.preview())

    def press(self) -> None:
        """Start, pause, or go on."""
        model = self.model
        if model.state == "running":
            model.pause()
        else:
            self._run(model.start())

    def reset(self) -> None:
        """Forget what was learned; the start is shown again."""
        self.halt()
        self._run(self.model.preview())

    def _let_go(self) -> None:
        """A hidden lab that has nothing but its start gives its child's half gigabyte back; a training begins anew."""
        model = self.model
        if not self.shown and model.state == "idle" and model.surface_state != "running":
            self.halt()
            model.forget_child()

    def compute_surface(self) -> None:
        """The loss over two parameters, by the child process that also trains."""
        model = self.model
        alive = self.job is not None and self.job.running and model.began is not None
        if not alive or model.stale:
            if model.trained:
                model.refuse_surface(
                    "the settings have changed since the training, or it has ended: press Reset under Training, then "
                    "compute."
                )
                return
            self._run(model.preview())
        if model.began is not None:
            model.begin_surface()

    def _run(self, request: dict[str, Any] | None) -> None:
        """A new child process for a request; none is needed (or possible) without one."""
        if request is not None:
            self.begin(WORKER, {**request, "controls": self.model.controls()})

    def _send(self) -> None:
        if self.job is not None:
            self.job.send(self.model.controls())

    def receive(self, messages) -> None:
        """Show what the child process has found."""
        self.model.take(messages)
        self._let_go()
        if "error" in messages:
            self.model.fail(messages["error"])

    def close(self) -> None:
        """End a replay that is playing."""
        for view in self.views.values():
            if isinstance(view, ReplayView):
                view.close()
