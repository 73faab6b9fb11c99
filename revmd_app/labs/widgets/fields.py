"""A field for one number of a model. What cannot be is answered in a sentence, and the number that holds comes back.

Bokeh's own bounds would put another number in place of the one typed, and its field for whole numbers reads 2.5 as 25,
both without a word. So the field takes any number, and the model's bounds decide here.
"""

from __future__ import annotations

import panel as pn
import param

from revmd_app.labs.model import LabModel, number
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.plots import soon


class NumberField:
    """A `widget` for the model's number `name`, and the `complaint` to be laid out near it, hidden while all is well.

    `label` is what stands above the widget, `words` what a sentence calls it (both are usually the parameter's label);
    `options` go to Panel's `FloatInput`.
    """

    def __init__(self, model: LabModel, name: str, label: str = "", words: str = "", **options):
        kind = model.param[name]
        label = label or kind.label
        self.model, self.name, self.words = model, name, words or label
        self.whole = isinstance(kind, param.Integer)
        self.widget = pn.widgets.FloatInput(name=label, value=getattr(model, name), **options)
        self.complaint = look.text("", visible=False, margin=(0, 8, 4, 8), sizing_mode="stretch_width")
        self.widget.param.watch(lambda event: self._take(event.new), "value")
        model.param.watch(lambda _: self._follow(), name)

    def _take(self, given: float | None) -> None:
        if given == getattr(self.model, self.name):
            return  # it was put there by `_show`
        try:
            told = "nothing" if given is None else f"{given:.10g}"
            bounds = self.model.param[self.name].bounds  # they may depend on the other settings
            value = number(told, self.words, bounds, whole=self.whole)
        except ValueError as error:
            self._complain(as_sentence(error))
            soon(self._show)
            return
        self._complain("")
        self.model.put(self.name, int(value) if self.whole else value)

    def _follow(self) -> None:
        """The model's number has changed, by this field or otherwise."""
        self._complain("")
        self._show()

    def _show(self) -> None:
        self.widget.value = getattr(self.model, self.name)

    def _complain(self, words: str) -> None:
        self.complaint.object = look.alert(words) if words else ""
        self.complaint.visible = bool(words)
