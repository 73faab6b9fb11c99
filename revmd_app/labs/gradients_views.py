"""The studies of Lab 3 on the screen: each a bar with its button, a sentence, its plots, and what it found in words."""

from __future__ import annotations

import abc
import html
from collections.abc import Callable, Mapping
from typing import Any

import panel as pn

from revmd_app.labs import gradients_words
from revmd_app.labs.gradients_model import NAMES, GradientsModel
from revmd_app.labs.gradients_plots_compare import Forest, Parts, table
from revmd_app.labs.gradients_plots_cost import CostPlots, GrowthPlots
from revmd_app.labs.gradients_plots_studies import AwayPlots, GridPlot, SnapshotPlots, TruncationPlots
from revmd_app.labs.gradients_text import BUTTONS, SEES
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.export import export_menu
from revmd_app.labs.widgets.plots import MUTED, soon

SMALL: dict[str, Any] = {"description": None, "margin": (0, 4), "stylesheets": [look.WIDGET_CSS]}
SHRINKS = {"min-height": "0"}
"""A plot that was once high must not keep its place from becoming lower: the room of the screen decides."""
GAP = {"gap": "8px", **SHRINKS}


class StudyView(pn.viewable.Viewer):
    """One study. Subclasses make `plots`, lay them out in `body`, and redraw them in `draw`.

    `press(key)` begins the study, `cancel()` ends it.
    """

    key = ""
    redraw_on: tuple[str, ...] = ("parameter",)
    """Settings that change what is shown of the results."""

    def __init__(self, model: GradientsModel, press: Callable[[str], None], cancel: Callable[[], None]):
        super().__init__()
        self.model, self.study = model, model.studies[self.key]
        self.go = look.button(BUTTONS[self.key], button_type="primary", width=150)
        self.stop = look.button("Cancel", width=76)
        self.go.on_click(lambda _: press(self.key))
        self.stop.on_click(lambda _: cancel())
        self.bar = pn.indicators.Progress(value=0, max=100, height=6, sizing_mode="stretch_width", margin=(1, 6, 0, 6))
        self.status = look.text("", margin=(0, 6), sizing_mode="stretch_width")
        self.sees = look.text(SEES[self.key], margin=(2, 4), sizing_mode="stretch_width")
        self.words = look.text("", margin=(2, 4), sizing_mode="stretch_width")
        self.plots: Mapping[str, Any] = self.make()
        self._layout = self.arrange()
        self.study.param.watch(lambda *_: self.tell(), ["state", "message", "fraction", "stale"])
        self.study.param.watch(lambda *_: soon(self.refresh), "result")
        model.param.watch(lambda *_: soon(self.refresh), list(self.redraw_on))
        self.refresh()
        self.tell()

    @abc.abstractmethod
    def make(self) -> Mapping[str, Any]:
        """The plots by their titles."""

    @abc.abstractmethod
    def draw(self) -> None:
        """Redraw the plots from the results."""

    def body(self) -> pn.viewable.Viewable:
        """The plots side by side."""
        return pn.Row(
            *(look.card(plot.pane, min_width=300, styles=SHRINKS) for plot in self.plots.values()),
            sizing_mode="stretch_both",
            margin=0,
            styles=GAP,
        )

    def options(self) -> list[pn.viewable.Viewable]:
        """Further controls beside the button."""
        return [pn.widgets.Select.from_param(self.model.param.effort, name="", width=84, **SMALL)]

    def arrange(self) -> pn.Column:
        """From top to bottom: controls, the sentence, the plots, the results in words."""
        return pn.Column(
            self.head(),
            self.strip(),
            self.body(),
            look.card(self.words, sizing_mode="stretch_width", min_height=38),
            sizing_mode="stretch_both",
            margin=0,
            styles=GAP,
        )

    def head(self, *more: pn.viewable.Viewable) -> pn.Column:
        """The card with the button, the progress and the message; `more` rows lie between them."""
        progress = pn.Column(self.status, self.bar, margin=0, sizing_mode="stretch_width")
        row = pn.Row(self.go, self.stop, *self.options(), progress, margin=0, sizing_mode="stretch_width")
        return look.card(*more, row, sizing_mode="stretch_width")

    def strip(self) -> pn.Column:
        """What one sees, in a sentence, and the menu that saves the plots."""
        figures = {title: getattr(plot, "figure", plot) for title, plot in self.plots.items()}
        menu = pn.Column(export_menu(figures, f"{self.key} study"), width=76, margin=0)
        row = pn.Row(self.sees, menu, margin=0, sizing_mode="stretch_width")
        return look.card(row, sizing_mode="stretch_width", styles={"padding": "2px 8px"})

    def refresh(self) -> None:
        """Show the results as they are now."""
        self.draw()
        self.words.object = html.escape(gradients_words.WORDS[self.key](self.model)) or self._nothing()

    def _nothing(self) -> str:
        return f"<span style='color:{MUTED}'>The result will stand here in words.</span>"

    def tell(self) -> None:
        """Show how far the study is."""
        study = self.study
        running = study.state == "running"
        self.bar.value = round(100 * study.fraction)
        self.stop.disabled = not running
        if study.state == "failed":
            self.status.object = look.alert(study.message)
        elif study.stale:
            words = f"The settings have changed since these results were computed: press {self.go.name} again."
            self.status.object = look.alert(words)
        elif study.message:
            self.status.object = look.alert(study.message, "done" if study.state == "done" else "busy")
        else:
            self.status.object = look.alert(f"Press {self.go.name}.", "busy")

    def __panel__(self):
        return self._layout


class CompareView(StudyView):
    """Forest plot with the referee, cost bars, the table, and a guess beforehand."""

    key = "compare"
    redraw_on = ("parameter", "estimators", "guess_sign", "guess_size")

    def make(self):
        self.forest = Forest(self.model)
        self.table = look.text("", sizing_mode="stretch_width", margin=(0, 2))
        self.guess = look.text("", margin=(2, 4), sizing_mode="stretch_width")
        return {"gradient": self.forest.gradient, "time": self.forest.seconds, "memory": self.forest.memory}

    def options(self):
        sizes = {_power(v): v for v in self.model.param.guess_size.objects}
        sign = pn.widgets.Select.from_param(self.model.param.guess_sign, name="", width=88, **SMALL)
        size = pn.widgets.Select(options=sizes, value=self.model.guess_size, width=108, **SMALL)
        size.param.watch(lambda e: self.model.param.update(guess_size=e.new), "value")
        quiet = {"font-size": "12px", "color": MUTED, "white-space": "nowrap"}
        before = look.text("Your guess of dL/dθ:", margin=(7, 2, 0, 10), styles=quiet)
        return [before, sign, size]

    def arrange(self):
        estimators = pn.widgets.CheckBoxGroup.from_param(
            self.model.param.estimators,
            options={NAMES[n]: n for n in self.model.param.estimators.objects},
            inline=True,
            margin=(2, 8),
            stylesheets=[look.WIDGET_CSS + ".bk-input-group { gap: 2px 14px; flex-wrap: wrap }"],
        )
        gradient, seconds, memory = self.forest.panes
        head = self.head(estimators)
        plots = pn.Row(
            look.card(gradient, min_width=440, styles=SHRINKS),
            look.card(look.heading("Time"), seconds, sizing_mode="stretch_height", width=200, styles=SHRINKS),
            look.card(look.heading("Memory"), memory, sizing_mode="stretch_height", width=200, styles=SHRINKS),
            sizing_mode="stretch_both",
            margin=0,
            styles=GAP,
        )
        found = look.card(
            self.table, self.words, self.guess, sizing_mode="stretch_width", styles={"padding": "2px 8px"}
        )
        return pn.Column(head, self.strip(), plots, found, sizing_mode="stretch_both", margin=0, styles=GAP)

    def draw(self):
        self.forest.draw()
        self.table.object = table(self.model)
        self.guess.object = html.escape(gradients_words.feedback(self.model))
        self.guess.visible = bool(self.guess.object)

    def _nothing(self) -> str:
        return ""


class CostView(StudyView):
    """Time and memory against length."""

    key = "cost"
    redraw_on = ()

    def make(self):
        self.cost = CostPlots(self.model)
        return self.cost.plots

    def draw(self):
        self.cost.draw(self.study.result)


class GrowthView(StudyView):
    """The growth of the gradient with the time back, its slope, and the marker of truncation."""

    key = "growth"

    def make(self):
        self.growth = GrowthPlots(self.model, self.moved)
        self.place = 0.0
        self.slider = pn.widgets.DiscreteSlider(
            name="Cut at (steps back)", options=[0], value=0, width=210, margin=(0, 10), stylesheets=[look.WIDGET_CSS]
        )
        self.slider.param.watch(lambda e: self.cut(e.new), "value")
        self.cut_words = look.text("", margin=(2, 4), sizing_mode="stretch_width")
        return self.growth.plots

    def options(self):
        return [*super().options(), self.slider]

    def arrange(self):
        column = super().arrange()
        column[-1].insert(1, self.cut_words)
        return column

    def moved(self, place: float) -> None:
        """The marker was dragged to a time before the sample."""
        steps, times = self.study.result.get("steps", []), self.study.result.get("time", [])
        if times:
            nearest = min(range(len(times)), key=lambda i: abs(times[i] - place))
            self.slider.value = min(self.slider.options, key=lambda n: abs(n - steps[nearest]))
            self.show_cut()

    def cut(self, steps: int) -> None:
        """The slider was moved to so many steps before the sample."""
        known, times = self.study.result.get("steps", []), self.study.result.get("time", [])
        if known:
            nearest = min(range(len(known)), key=lambda i: abs(known[i] - steps))
            self.place = times[nearest]
            soon(self.show_cut)

    def show_cut(self) -> None:
        """Marker and words at the present cut."""
        self.growth.mark(self.place)
        self.cut_words.object = html.escape(gradients_words.at_marker(self.model, self.place))

    def draw(self):
        result = self.study.result
        self.growth.draw(result)
        steps = result.get("steps") or [0]
        if steps != self.slider.options:
            advised = (result.get("marker") or {}).get(self.model.parameter_name) or {}
            wanted = advised.get("steps") or result.get("paper_steps", 200)
            self.slider.param.update(options=steps, value=min(steps, key=lambda n: abs(n - wanted)))
        if result:
            self.cut(self.slider.value)


class PartsView(StudyView):
    """Explicit against response part."""

    key = "parts"

    def make(self):
        self.parts = Parts(self.model)
        return {"parts": self.parts}

    def options(self):
        return []

    def draw(self):
        self.parts.draw()


class GridView(StudyView):
    """Reversible against reweighting over the grid; a pressed point sets the sliders."""

    key = "grid"

    def make(self):
        self.grid = GridPlot(self.model, self.take)
        return self.grid.plots

    def take(self, values: dict[str, float]) -> None:
        """Set the sliders to the parameters of a point."""
        self.model.values = {**self.model.values, **values}

    def draw(self):
        self.grid.draw(self.study.result)


class AwayView(StudyView):
    """Reweighting away from where the samples were taken."""

    key = "away"

    def make(self):
        self.away = AwayPlots(self.model)
        return self.away.plots

    def draw(self):
        self.away.draw(self.study.result)


class SnapshotsView(StudyView):
    """The loss of the average against the average of the loss."""

    key = "snapshots"

    def make(self):
        self.snapshots = SnapshotPlots(self.model)
        return self.snapshots.plots

    def draw(self):
        self.snapshots.draw(self.study.result)


class TruncationView(StudyView):
    """The gradient against how far back the walk looks."""

    key = "truncation"

    def make(self):
        self.truncation = TruncationPlots(self.model)
        return self.truncation.plots

    def draw(self):
        self.truncation.draw(self.study.result)


VIEWS: dict[str, type[StudyView]] = {
    view.key: view
    for view in (
        CompareView,
        CostView,
        GrowthView,
        PartsView,
        GridView,
        AwayView,
        SnapshotsView,
        TruncationView,
    )
}


def _power(size) -> str:
    return "about …" if size == "?" else f"about {size:g}"
