"""The left side of Lab 1: what is simulated, the knobs of its potential, the cutoff, and the dynamics."""

from __future__ import annotations

import panel as pn

from revmd_app.labs.knobs import TYPED, Knob
from revmd_app.labs.tune_model import TuneModel
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.look import Slider

FORMULA_HELP = (
    "Any name but <code>r</code> becomes a slider. Use + - * / ^ and exp, log, sqrt; distances are in the plot's unit."
)

FOLLOWED = ("cutoff", "temperature", "friction", "time_step")
"""Numbers of the model that have a slider of their own."""


class Controls(pn.viewable.Viewer):
    """Widgets bound to the model's parameters; those of the knobs are made anew with every form."""

    def __init__(self, model: TuneModel):
        super().__init__()
        self.model = model
        self._sliders: dict[str, Slider] = {}  # of knobs, by key
        self._followers: dict[str, Slider] = {}  # of the model's numbers, by name
        self.liquid = pn.widgets.Select.from_param(model.param.liquid, **look.FIELD)
        self.form = pn.widgets.Select.from_param(model.param.form, **look.FIELD)
        self.formula = pn.widgets.TextInput.from_param(model.param.formula, **look.FIELD)
        self.formula_help = look.text(FORMULA_HELP, styles={"font-size": "11.5px"}, margin=(0, 8, 4, 8))
        self.truncation = pn.widgets.Select.from_param(model.param.truncation, **look.FIELD)
        self.pair_knobs = pn.Column(margin=0, sizing_mode="stretch_width")
        self.other_knobs = pn.Column(margin=0, sizing_mode="stretch_width")
        self.other = look.fold("Charge, bond and angle", self.other_knobs)
        self.cutoff = pn.Column(margin=0, sizing_mode="stretch_width")
        self.dynamics = pn.Column(margin=0, sizing_mode="stretch_width")
        model.param.watch(self._new_knobs, "knobs")
        model.param.watch(self._new_dynamics, "case")
        model.param.watch(self._formula_shown, "form")
        model.param.watch(self._follow, ["values", *FOLLOWED])
        self.memory = pn.widgets.Select.from_param(model.param.memory, **look.FIELD)
        self.restart = look.button("Restart", width=84, align="end")
        self.restart.on_click(lambda _: model.forget())
        self._new_dynamics()
        self._new_knobs()
        self._formula_shown()
        self._layout = look.card(
            self.liquid,
            self.form,
            self.formula,
            self.formula_help,
            self.pair_knobs,
            self.other,
            self.cutoff,
            self.truncation,
            look.heading("Dynamics"),
            self.dynamics,
            look.heading("Averages"),
            pn.Row(self.memory, self.restart, margin=0, sizing_mode="stretch_width"),
            width=292,
            sizing_mode="stretch_height",
            scroll=True,
        )

    def _formula_shown(self, *_) -> None:
        self.formula.visible = self.formula_help.visible = self.model.form == TYPED

    def _new_knobs(self, *_) -> None:
        self._sliders.clear()
        pair = [self._slider(knob) for knob in self.model.knobs if knob.of_pair]
        rest = [self._slider(knob) for knob in self.model.knobs if not knob.of_pair]
        self.pair_knobs[:], self.other_knobs[:] = pair, rest
        self.other.visible = bool(rest)

    def _slider(self, knob: Knob) -> pn.viewable.Viewable:
        meta = knob.parameter
        label = meta.label if knob.of_pair else f"{meta.label} ({knob.where})"
        slider = Slider(
            label,
            meta.unit,
            meta.bounds,
            self.model.values[knob.key],
            lambda value, key=knob.key: self.model.turn(key, value),
            log=meta.log,
            digits=4 if meta.unit == "nm" else 3,
        )
        self._sliders[knob.key] = slider
        return slider.widget

    def _new_dynamics(self, *_) -> None:
        model, choice, units = self.model, self.model.choice, self.model.units
        half = 0.499 * float(model.case.system.box.min())
        put = lambda name: lambda value: model.param.update(**{name: value})
        far = min(choice.cutoff[1], half)
        self._followers = {
            # Another cutoff is another program, a second or two of compilation: only for the one that is chosen.
            "cutoff": Slider(
                "cutoff radius",
                units["length"],
                (choice.cutoff[0], far),
                model.cutoff,
                put("cutoff"),
                on_release=True,
            ),
            "temperature": Slider(
                "temperature T", units["temperature"], choice.temperature, model.temperature, put("temperature")
            ),
            "friction": Slider("friction γ", units["rate"], (0.0, 10.0), model.friction, put("friction")),
            "time_step": Slider(
                "time step Δt", units["small time"], choice.time_step, model.time_step, put("time_step")
            ),
        }
        cutoff, *dynamics = (slider.widget for slider in self._followers.values())
        self.cutoff[:], self.dynamics[:] = [cutoff], dynamics

    def _follow(self, *_) -> None:
        """Show what was set otherwise: by a link, by Reset, from Python."""
        for name, slider in self._followers.items():
            slider.set(getattr(self.model, name))
        for key, slider in self._sliders.items():
            if key in self.model.values:
                slider.set(self.model.values[key])

    def slider(self, key: str) -> Slider:
        """The slider of one knob."""
        return self._sliders[key]

    def __panel__(self):
        return self._layout
