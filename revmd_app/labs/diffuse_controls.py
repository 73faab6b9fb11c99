"""The left side of Lab 5: the box, the force field and its knobs, the dynamics, and how D is read."""

from __future__ import annotations

import panel as pn

from revmd_app.labs.diffuse_model import DiffuseModel
from revmd_app.labs.knobs import Knob
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.look import Slider

NUMBERS = {
    "temperature": ("temperature T", "K", (250.0, 400.0)),
    "friction": ("friction γ", "1/ps", (0.0, 20.0)),
    "viscosity": ("viscosity η", "mPa s", (0.1, 2.0)),
}
CORRECT = "Correct D for the finite box"


class Controls(pn.viewable.Viewer):
    """Widgets bound to the model; those of the knobs are made anew with every force field."""

    def __init__(self, model: DiffuseModel):
        super().__init__()
        self.model = model
        self.size = pn.widgets.Select.from_param(model.param.size, **look.FIELD)
        self.force_field = pn.widgets.Select.from_param(model.param.force_field, **look.FIELD)
        speeds = {f"{n} steps a picture": n for n in model.param.steps_per_picture.objects}
        self.speed = pn.widgets.Select.from_param(model.param.steps_per_picture, **{**look.FIELD, "options": speeds})
        self.water = pn.widgets.Select.from_param(model.param.water, **look.FIELD)
        # a group of one: its words can be clicked and are read out, those of Bokeh's single box cannot
        self.corrected = pn.widgets.CheckBoxGroup(
            name="", options=[CORRECT], margin=(4, 8, 0, 5), stylesheets=[look.WIDGET_CSS]
        )
        self.corrected.param.watch(lambda event: model.param.update(corrected=bool(event.new)), "value")
        self.numbers = {name: self._number(name) for name in NUMBERS}
        self.correction = look.text("", margin=(0, 10, 6, 10), styles={"font-size": "11.5px", "color": look.MUTED})
        self.gas = pn.Column(margin=0, sizing_mode="stretch_width")
        self.of_water = pn.Column(margin=0, sizing_mode="stretch_width")
        self.sliders: dict[str, Slider] = {}
        self._new_knobs()
        self._tell_correction()
        model.param.watch(self._new_knobs, "knobs")
        model.param.watch(self._follow, ["values", *NUMBERS])
        model.param.watch(self._tell_correction, ["corrected", "viscosity", "temperature", "size"])
        self._layout = look.card(
            self.size,
            self.force_field,
            look.heading("The dissolved gas"),
            self.gas,
            look.fold("Water: sites and charge", self.of_water),
            look.heading("Dynamics"),
            self.numbers["temperature"].widget,
            self.numbers["friction"].widget,
            self.speed,
            self.water,
            look.heading("Reading D"),
            self.corrected,
            self.correction,
            self.numbers["viscosity"].widget,
            width=272,
            sizing_mode="stretch_height",
            scroll=True,
        )

    def _number(self, name: str) -> Slider:
        label, unit, bounds = NUMBERS[name]
        put = lambda value: self.model.param.update(**{name: value})
        return Slider(label, unit, bounds, getattr(self.model, name), put)

    def _new_knobs(self, *_) -> None:
        self.sliders = {knob.key: self._slider(knob) for knob in self.model.knobs}
        self.gas[:] = [self.sliders[knob.key].widget for knob in self.model.knobs if knob.of_pair]
        self.of_water[:] = [self.sliders[knob.key].widget for knob in self.model.knobs if not knob.of_pair]

    def _slider(self, knob: Knob) -> Slider:
        meta, model = knob.parameter, self.model
        turn = lambda value: model.turn(knob.key, value)
        name, value = model.name_of(knob), model.values[knob.key]
        return Slider(name, meta.unit, meta.bounds, value, turn, log=meta.log, digits=4)

    def _follow(self, *_) -> None:
        """Show what was set otherwise: by a link, by Reset, by a training."""
        for name, slider in self.numbers.items():
            slider.set(getattr(self.model, name))
        for key, slider in self.sliders.items():
            if key in self.model.values:
                slider.set(self.model.values[key])

    def _tell_correction(self, *_) -> None:
        model = self.model
        self.corrected.value = [CORRECT] if model.corrected else []
        added = f"adds {look.significant(model.correction, 3)}·10⁻⁹ m²/s" if model.corrected else "Yeh and Hummer 2004"
        edge = float(model.case.system.box[0])
        self.correction.object = f"{added} (box of {edge:.2f} nm)"
        self.numbers["viscosity"].widget.visible = model.corrected

    def __panel__(self):
        return self._layout
