"""The left side of Lab 2: the system, the controls of the run, the bit to be flipped, and files."""

from __future__ import annotations

import io

import panel as pn

from revmd_app.labs.rewind_model import SYMBOLS, UNITS, RewindModel
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.fields import NumberField
from revmd_app.labs.widgets.look import Slider

LABELS = {"temperature": "temperature", "friction": "friction", "time_step": "time step", "sigma": "", "epsilon": ""}


class Controls(pn.viewable.Viewer):
    """Widgets bound to the model; the sliders follow when a rewind passes a change."""

    def __init__(self, model: RewindModel, refuse):
        super().__init__()
        self.model, self._refuse = model, refuse
        self.sliders: dict[str, Slider] = {}
        self._box = pn.Column(margin=0, sizing_mode="stretch_width")
        self.system = pn.widgets.Select.from_param(model.param.system, **look.FIELD)
        self.length = pn.widgets.Select.from_param(
            model.param.length,
            **{**look.FIELD, "options": {f"{n:,}".replace(",", " "): n for n in model.param.length.objects}},
        )
        self.speed = pn.widgets.Select.from_param(model.param.speed, **look.FIELD)
        self.view = pn.widgets.Select.from_param(model.param.view, **look.FIELD)
        small = {**look.FIELD, "margin": (1, 3, 3, 3)}
        atom, bit = (NumberField(model, name, step=1, **small) for name in ("flip_atom", "flip_bit"))
        self.bit = [atom.widget, pn.widgets.Select.from_param(model.param.flip_component, **small), bit.widget]
        self.complaints = [atom.complaint, bit.complaint]
        self.bit_size = look.text("", margin=(0, 10, 4, 10), styles={"font-size": "12px"})
        self.flip = look.button("Flip it and go back", sizing_mode="stretch_width", margin=(0, 8, 6, 8))
        self.flip.on_click(lambda _: model.flip_and_back())
        self.download = pn.widgets.FileDownload(
            callback=self._bytes,
            filename="revmd-run.npz",
            label="Save this run",
            button_type="default",
            disabled=True,
            sizing_mode="stretch_width",
            margin=(2, 8),
            stylesheets=[look.WIDGET_CSS],
        )
        self.upload = pn.widgets.FileInput(accept=".npz", sizing_mode="stretch_width", margin=(2, 8, 6, 8))
        self.upload.param.watch(self._opened, "value")
        self._new_system()
        self._bit_changed()
        model.param.watch(self._new_system, "system")
        model.param.watch(self._follow, list(self.sliders))
        model.param.watch(self._bit_changed, ["flip_atom", "flip_component", "flip_bit", "frame"])
        self._layout = look.card(
            self.system,
            self.length,
            look.heading("Change them at any time"),
            self._box,
            self.speed,
            self.view,
            look.heading("One bit of one atom"),
            pn.Row(*self.bit, margin=(0, 5), sizing_mode="stretch_width"),
            *self.complaints,
            self.bit_size,
            self.flip,
            look.heading("Restart file"),
            self.download,
            self.upload,
            width=258,
            sizing_mode="stretch_height",
            scroll=True,
        )

    def _new_system(self, *_) -> None:
        model = self.model
        made = []
        for name, label in LABELS.items():
            title = f"{label} {SYMBOLS[name]}".strip()
            slider = Slider(
                title,
                UNITS[name],
                model.bounds(name),
                getattr(model, name),
                lambda value, name=name: model.param.update(**{name: value}),
            )
            self.sliders[name] = slider
            made.append(slider.widget)
        self._box[:] = made

    def _follow(self, *events) -> None:
        for event in events:
            slider = self.sliders[event.name]
            if abs(slider.value - event.new) > 1e-9:
                slider.set(event.new)

    def _bit_changed(self, *_) -> None:
        size = look.significant(self.model.flip_size(), 2)
        felt = "felt at once" if self.model.flip_bit >= 32 else "forces see it when it carries over"
        words = f"moves the atom by {size} nm: {felt}"
        if self.bit_size.object != words:
            self.bit_size.object = words

    def offer(self) -> None:
        """The run as it stands can be saved."""
        saved = self.model.saved
        self.download.disabled = saved is None
        if saved is not None:
            self.download.filename = f"revmd-run-{saved['step']}.npz"

    def _bytes(self) -> io.BytesIO:
        return io.BytesIO(self.model.saved["bytes"] if self.model.saved else b"")

    def _opened(self, event) -> None:
        if event.new:
            try:
                self.model.open(self.upload.filename or "this file", event.new)
            except ValueError as error:
                self._refuse(str(error))

    def __panel__(self):
        return self._layout
