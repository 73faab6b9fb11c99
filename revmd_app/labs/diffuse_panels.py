"""The lower right of Lab 5: training D to a target, and the study of two estimators."""

from __future__ import annotations

import abc
import html
from collections.abc import Callable
from typing import Any

import panel as pn

from revmd_app.gradients.studies.dynamics import SCORE, WHOLE
from revmd_app.labs import diffuse_text
from revmd_app.labs.diffuse_model import SI, DiffuseModel, Work
from revmd_app.labs.diffuse_plots import StudyPlots, TrainPlots
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.export import export_menu
from revmd_app.labs.widgets.fields import NumberField
from revmd_app.labs.widgets.plots import MUTED, soon

SMALL: dict[str, Any] = {"description": None, "margin": (0, 4), "stylesheets": [look.WIDGET_CSS]}
SHRINKS = {"min-height": "0"}
CELL = "style='padding:1px 8px 1px 0;text-align:right;font-variant-numeric:tabular-nums'"


class WorkPanel(pn.viewable.Viewer):
    """A button, settings, progress, plots and words of one long calculation. `press` begins it, `cancel` ends it."""

    key = ""
    button = ""

    def __init__(self, model: DiffuseModel, press: Callable[[str], None], cancel: Callable[[], None]):
        super().__init__()
        self.model, self.work = model, model.works[self.key]
        self.go = look.button(self.button, button_type="primary", width=84, align="end")
        self.stop = look.button("Cancel", width=70, align="end")
        self.go.on_click(lambda _: press(self.key))
        self.stop.on_click(lambda _: cancel())
        self.bar = pn.indicators.Progress(value=0, max=100, height=5, sizing_mode="stretch_width", margin=(2, 6))
        self.status = look.text("", margin=(2, 6), sizing_mode="stretch_width")
        self.words = look.text("", margin=(2, 6), sizing_mode="stretch_width", styles={"font-size": "12px"})
        self.make()
        self._layout = self.arrange()
        self.work.param.watch(lambda *_: self.tell(), ["state", "message", "fraction", "stale"])
        self.work.param.watch(lambda *_: soon(self.refresh), "result")
        self.refresh()
        self.tell()

    @abc.abstractmethod
    def make(self) -> None:
        """Make the plots and the settings."""

    @abc.abstractmethod
    def settings(self) -> list[pn.viewable.Viewable]:
        """The widgets beside the button."""

    def more(self) -> list[pn.viewable.Viewable]:
        """Further buttons."""
        return []

    def complaints(self) -> list[pn.viewable.Viewable]:
        """What is said of settings that cannot be."""
        return []

    @abc.abstractmethod
    def refresh(self) -> None:
        """Draw the results as they are now."""

    def arrange(self) -> pn.Column:
        """Settings and progress above, plots and words below."""
        flat: dict = {"margin": 0, "sizing_mode": "stretch_width"}
        head = pn.Row(*self.settings(), self.go, self.stop, *self.more(), **flat)
        panes = [pn.Column(plot.pane, sizing_mode="stretch_both", margin=0, styles=SHRINKS) for plot in self.shown()]
        plots = pn.Row(*panes, sizing_mode="stretch_both", margin=0, styles=SHRINKS)
        return pn.Column(
            head, *self.complaints(), self.status, self.bar, plots, self.words,
            sizing_mode="stretch_both", margin=0, styles=SHRINKS,
        )  # fmt: skip

    def shown(self) -> list[Any]:
        """The plots, from left to right."""
        return list(self.plots.plots.values())  # type: ignore[attr-defined]

    def menu(self) -> pn.viewable.Viewable:
        """The menu that saves the plots."""
        figures = {title: plot.figure for title, plot in self.plots.plots.items()}  # type: ignore[attr-defined]
        return export_menu(figures, "diffuse")

    def tell(self) -> None:
        """Show how far it is."""
        work: Work = self.work
        running = work.state == "running"
        self.bar.value = round(100 * work.fraction)
        self.bar.visible = running
        self.stop.disabled = not running
        if work.state == "failed":
            self.status.object = look.alert(work.message)
        elif work.stale:
            self.status.object = look.alert(f"Stale: the settings have changed since; press {self.button} again.")
        elif work.message:
            self.status.object = look.alert(work.message, "done" if work.state == "done" else "busy")
        else:
            self.status.object = self.hint()

    def hint(self) -> str:
        """Markup shown before the first run."""
        return ""

    def __panel__(self):
        return self._layout


class TrainPanel(WorkPanel):
    """D to a target: epochs of the real training loop, with the lab's small box."""

    key = "train"
    button = "Train"

    def make(self) -> None:
        model = self.model
        self.plots = TrainPlots(model)
        self.target = NumberField(model, "target", "Target (10⁻⁹ m²/s)", step=0.1, width=124, **SMALL)
        self.epochs = pn.widgets.Select.from_param(model.param.epochs, width=68, **SMALL)
        self.by = pn.widgets.Select.from_param(model.param.estimator, width=106, **SMALL)
        self.use = look.button("Use in the box", width=106, align="end", disabled=True)
        self.use.on_click(lambda _: model.use_trained())
        model.param.watch(lambda *_: soon(self.refresh), ["target", "epochs", "knobs"])

    def settings(self):
        return [self.target.widget, self.epochs, self.by]

    def complaints(self):
        return [self.target.complaint]

    def more(self):
        return [self.use]

    def shown(self) -> list[Any]:
        self.table = look.text("", margin=(2, 6), width=236, styles={"font-size": "12px"})
        return [*super().shown(), _Holder(self.table)]

    def hint(self) -> str:
        return (
            f"<span style='color:{MUTED}'>Adam on the sites and charges, from the force field's own values; the "
            "reversible sweep is cut at 0.2 ps. Seconds an epoch; pause the box to have them faster.</span>"
        )

    def refresh(self) -> None:
        self.plots.draw()
        self.use.disabled = not self.model.trained()
        rows = self.work.result.get("epochs", [])
        self.table.object = self._table(rows)
        self.words.object = self._found(rows) if rows else diffuse_text.why_not()

    def _table(self, rows) -> str:
        model = self.model
        own = {model.leaf_of(knob): knob.value for knob in model.knobs}
        first, last = (rows[0]["parameters"], rows[-1]["parameters"]) if rows else (own, {})
        lines = []
        for knob in model.knobs:
            leaf = model.leaf_of(knob)
            if leaf in first:
                before, now = first[leaf], last.get(leaf)
                change = f"{100 * (now / before - 1):+.1f} %" if now is not None and before else ""
                told = ["–" if now is None else look.significant(now, 4), change]
                cells = "".join(f"<td {CELL}>{x}</td>" for x in (look.significant(before, 4), *told))
                lines.append(f"<tr><td {CELL}>{model.name_of(knob)}</td>{cells}</tr>")
        head = "".join(f"<th {CELL}>{word}</th>" for word in ("", "start", "now", ""))
        return f"<table style='border-collapse:collapse'><tr>{head}</tr>{''.join(lines)}</table>"

    def _found(self, rows) -> str:
        first, last = rows[0], rows[-1]
        target = (self.work.computed or {}).get("target", self.model.target)
        begin = (
            f"Epoch {first['epoch']}: D = {SI * first['diffusion']:.2f}, loss {look.significant(first['loss'], 3)}; "
        )
        return (
            f"{begin if len(rows) > 1 else ''}"
            f"epoch {last['epoch']}: D = <b>{SI * last['diffusion']:.2f}</b> (target {target:.2f}), loss "
            f"{look.significant(last['loss'], 3)}. D of one epoch is from two runs of 5 ps: it scatters by a third. "
            "Verify with a long run: put it to use in the box."
        )


class StudyPanel(WorkPanel):
    """Path reweighting against the reversible gradient, as the run grows longer."""

    key = "study"
    button = "Compare"

    def make(self) -> None:
        model = self.model
        self.plots = StudyPlots(model)
        self.longest = pn.widgets.Select.from_param(model.param.longest, width=96, **SMALL)
        self.parameter = pn.widgets.Select.from_param(model.param.parameter, width=150, **SMALL)
        model.param.watch(lambda *_: soon(self.refresh), "parameter")

    def settings(self):
        return [self.longest, self.parameter]

    def hint(self) -> str:
        return (
            f"<span style='color:{MUTED}'>dD/dθ from runs of every length up to the longest, by two estimators that "
            "can treat a property of time, from the same trajectories. D in 10⁻⁹ m²/s.</span>"
        )

    def refresh(self) -> None:
        self.plots.draw()
        words = self._found()
        self.words.object = html.escape(words) if words else diffuse_text.why_not()

    def _found(self) -> str:
        result, model = self.work.result, self.model
        knob = next((k for k in model.knobs if model.name_of(k) == model.parameter), None)
        if not result or knob is None or result["runs"] < 3:
            return ""
        leaf = model.leaf_of(knob)
        of = lambda label: result["methods"][label]["variance"].get(leaf)
        score, cuts = of(SCORE), [label for label in result["methods"] if label not in (SCORE, WHOLE)]
        cut = of(cuts[-1])
        if not (score and cut and score[-1] and cut[-1]):
            return ""
        ratio = score[-1] / cut[-1]
        whole = [x for x in of(WHOLE) if x]
        grown = (
            f" Followed back to the start, the variance grew {whole[-1] / whole[0]:,.0f}-fold."
            if len(whole) > 1
            else ""
        )
        return (
            f"After {result['runs']} runs: at {result['time'][-1]:.2f} ps the variance of path reweighting is "
            f"{ratio:,.0f} times that of the reversible gradient cut at {cuts[-1].split(', ')[1]}: it needs "
            f"{ratio:,.0f} times as many runs for the same error.{grown} (Legends: path weights; and the reversible "
            "gradient, followed back to the start, or so many steps.)"
        )


class _Holder:
    """Something that stands among the plots without being one."""

    def __init__(self, pane):
        self.pane = pane
