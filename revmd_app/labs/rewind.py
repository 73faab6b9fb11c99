"""Lab 2 (Rewind), the view: boxes of atoms on several clocks, a time slider, and how far each is from the start."""

from __future__ import annotations

import html
from typing import Any, ClassVar

import numpy as np
import panel as pn
import param

from revmd_app.labs import rewind_text
from revmd_app.labs.base import Lab
from revmd_app.labs.rewind_controls import Controls
from revmd_app.labs.rewind_model import VIEWS, RewindModel
from revmd_app.labs.rewind_plots import COLOURS, NAMES, Plots
from revmd_app.labs.rewind_view import BoxesView
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.export import export_menu
from revmd_app.labs.widgets.plots import LivePlot

TASK = "revmd_app.labs.rewind_worker:run"
SLOW = 4
"""Plots are redrawn every so many frames, and always when time stands still."""
CLOCKS_CSS = (
    "display:flex;justify-content:space-around;text-align:center;font-variant-numeric:tabular-nums;line-height:1.25"
)
TIME_CSS = """
.noUi-target { height: 14px !important; border-radius: 7px; }
.noUi-handle { width: 22px !important; height: 26px !important; top: -7px !important; border-radius: 6px; }
"""
WISHES = ["temperature", "friction", "time_step", "sigma", "epsilon", "speed"]
"""Controls of which the child must hear when they are turned; everything else goes along with a route."""


class RewindLab(Lab):
    """Run time forwards and backwards, exactly and in floating point. Works in a served page and in a notebook."""

    name = param.String(default="rewind")
    period: ClassVar[int] = 40
    model: RewindModel

    def __init__(self, model: RewindModel | None = None):
        model = model or RewindModel()
        super().__init__(model)
        self._frames = 0
        self._quiet = False
        self._sent: tuple = ()
        self.atoms = BoxesView()
        self.plots = Plots(model)
        self.controls = Controls(model, self._refuse)
        self._make_buttons()
        self._make_time()
        self.status = look.text("", margin=0, visible=False, styles=look.OVERLAY)
        self.clocks = look.text("", margin=(0, 4), sizing_mode="stretch_width")
        self._layout = self._arrange()
        model.param.watch(lambda *_: self._send(), [*WISHES, "goal", "moving", "system", "length", "seed", "file_id"])
        model.param.watch(self._tell, ["message", "busy", "frame", "moving", "goal"])
        model.param.watch(lambda *_: self._show_atoms(), "view")
        model.param.watch(lambda *_: self._new_length(), "length")
        self._tell()

    # ------------------------------------------------------------------------------------------------------- widgets

    def _make_buttons(self) -> None:
        model = self.model
        self.melt = look.button("Melt and un-melt", button_type="primary", width=150)
        self.one_bit = look.button("The same, with one bit flipped", width=212)
        self.again = look.button("New start", width=86, margin=(2, 12))
        self.melt.on_click(lambda _: self._do(model.there_and_back))
        self.one_bit.on_click(lambda _: self._do(self._one_bit))
        self.again.on_click(lambda _: self._do(model.restart))
        self.back = look.button("◀ Back", width=78)
        self.halt_button = look.button("Stop", width=62)
        self.play = look.button("Run ▶", width=78)
        self.back.on_click(lambda _: self._do(model.play_back))
        self.halt_button.on_click(lambda _: self._do(model.halt))
        self.play.on_click(lambda _: self._do(model.play))

    def _one_bit(self) -> None:
        if self.model.step == 0:
            self.model.restart()
        self.model.flip_and_back()

    def _make_time(self) -> None:
        self.time = pn.widgets.IntSlider(
            name="Time: step",
            start=0,
            end=self.model.length,
            step=self.model.every // 5 or 1,
            value=0,
            sizing_mode="stretch_width",
            margin=(0, 16, 0, 12),
            stylesheets=[look.WIDGET_CSS + TIME_CSS],
        )
        self.time.param.watch(self._dragged, "value")
        self.marks = look.text("", margin=(0, 16, 0, 12), sizing_mode="stretch_width", height=19)
        self.how = look.text("", margin=(4, 10), styles={"font-size": "13px", "font-variant-numeric": "tabular-nums"})
        self.verdict = look.text("", margin=(2, 8), sizing_mode="stretch_width")

    def _new_length(self) -> None:
        self._quiet = True
        try:
            self.time.param.update(end=self.model.length, step=self.model.every // 5 or 1, value=0)
        finally:
            self._quiet = False

    def _arrange(self) -> pn.viewable.Viewable:
        flat: dict = {"margin": 0, "sizing_mode": "stretch_width"}
        viewer = look.card(
            pn.Row(self.melt, self.one_bit, self.again, height=38, **flat),
            self.status,
            self.atoms,
            self.clocks,
            min_width=380,
            styles={"position": "relative"},
        )
        timeline = look.card(
            pn.Row(self.back, self.halt_button, self.play, self.how, self.verdict, height=36, **flat),
            self.time,
            self.marks,
            sizing_mode="stretch_width",
            height=118,
        )
        p = self.plots
        self.spread_words = look.text("", margin=(2, 4), styles={"font-size": "12px"}, sizing_mode="stretch_width")
        self.tabs = pn.Tabs(
            ("Way back", _plot("Way back, off the way out", p.astray, "chaos is a straight line")),
            ("Order", _plot("Order left", p.order, "1: as at the start")),
            ("Bits burnt", _plot("Bits burnt by friction", p.bits)),
            ("One bit", _plot("Spread of the flipped bit", p.spread, "", self.spread_words)),
            sizing_mode="stretch_both",
            margin=0,
            min_height=210,
        )
        note = "thin: out, thick: back · tap to go there"
        right = pn.Column(
            look.card(*_plot("Distance to the start", p.distance, note).objects, min_height=220),
            look.card(self.tabs, min_height=220),
            sizing_mode="stretch_both",
            margin=0,
            styles={"gap": "8px"},
            min_width=360,
        )
        gap: dict = {"sizing_mode": "stretch_both", "margin": 0, "styles": {"gap": "8px"}}
        stage = pn.Column(pn.Row(viewer, right, **gap), timeline, **gap)
        bench = pn.Row(self.controls, stage, stylesheets=[look.SCREEN_CSS], **gap)
        return look.page(bench, rewind_text.about())

    # ------------------------------------------------------------------------------------------------------- effects

    def start(self) -> None:
        """Begin with a start of the chosen system, and listen."""
        super().start()
        if self.job is None:
            self.model.busy = "Starting the engine …"
            self.begin(TASK, self.model.request())

    def close(self) -> None:
        """End the viewer's threads."""
        self.atoms.dispose()

    def _do(self, what) -> None:
        """A wish of the page: make it, then tell the child."""
        what()
        self._send()

    def _send(self) -> None:
        """Tell the child, when there is something new to tell. A child that has died is started anew."""
        model = self.model
        wish = (model.touched, model.route_id, model.restarts, model.file_id, model.speed, model.length, model.seed)
        if wish == self._sent or self.job is None:
            return
        self._sent = wish
        if self.job.running:
            self.job.send(model.request())
        else:
            self.begin(TASK, model.request())

    def _dragged(self, event) -> None:
        if not self._quiet:
            self.model.seek(event.new)
            self._send()

    def _refuse(self, words: str) -> None:
        self.model.message = words

    def receive(self, messages: dict[str, Any]) -> None:
        """Show what the child has sent."""
        model = self.model
        if "busy" in messages:
            model.busy = messages["busy"]
        if "file" in messages:
            model.saved = messages["file"]
            self.controls.offer()
        if "frame" in messages and model.take(messages["frame"]):
            self._frames += 1
            if self.shown:
                self._show_atoms()
                if not model.moving or self._frames % SLOW == 0:
                    self.plots.draw_soon()
                    self._say_spread()
        if "opened" in messages:
            model.opened(messages["opened"])
            self._send()
        for kind in ("refused", "exploded", "error"):
            if kind in messages:
                more = " You see the last good state; going back still works." if kind == "exploded" else ""
                model.param.update(busy="", moving=False, message=as_sentence(ValueError(messages[kind])) + more)

    def _show_atoms(self) -> None:
        frame = self.model.frame
        if frame is None:
            return
        twin = "flipped" in frame["positions"]
        compare = twin and self.model.view == VIEWS[1]
        names = ("exact", "flipped") if compare else ("float32", "float64", "exact")
        self.atoms.lay_out(names, frame["species"], frame["molecule"], frame["positions"], frame["box"])
        off = frame["off"]
        if compare:
            off = {"exact": np.zeros_like(off["apart"]), "flipped": off["apart"]}
        self.atoms.follow(frame["positions"], off)
        self.clocks.object = self._clocks(frame, names, compare)

    def _clocks(self, frame, names, compare: bool) -> str:
        """What stands under each box: its clock, how far it is off, and what became of it."""
        cells = []
        for name in names:
            off = frame["off"]["apart"] if compare and name == "flipped" else frame["off"][name]
            distance = float(np.sqrt(np.mean(np.asarray(off, float) ** 2)))
            words = "0" if distance == 0 else look.significant(distance, 3)
            to = "nm off"
            lost = frame["lost"].get(name)
            fate = f"blew up at step {lost:,}" if lost is not None else ""
            if compare and name == "flipped" and not fate:
                fate = f"{int((np.asarray(off) > 0.1).sum())} atoms off by more than 0.1 nm"
            if name == "exact" and frame["identical"] is not None and frame["moved"]:
                same, all_of = frame["identical"]
                fate = f"{same:,} of {all_of:,} integers identical"
            colour, tone = COLOURS[name], "#00593f" if "integers" in fate else "#8a2f00"
            cells.append(
                f"<div style='flex:1'><b style='color:{colour};font-size:15px'>{NAMES[name]}</b><br>"
                f"<span style='font-size:17px;font-weight:600'>{words}</span> "
                f"<span style='font-size:12px;color:{look.MUTED}'>{to}</span><br>"
                f"<span style='font-size:12px;color:{tone}'>{fate}&nbsp;</span></div>"
            )
        what = "off the exact run" if compare else "off the start"
        scale = f"<div style='text-align:center;font-size:11.5px;color:{look.MUTED}'>{what}: {self.atoms.scale()}</div>"
        return f"<div style='{CLOCKS_CSS}'>{''.join(cells)}</div>{scale}"

    def _say_spread(self) -> None:
        frame, growth = self.model.frame, self.model.growth()
        if frame is None or not len(frame["spread"]):
            self.spread_words.object = "Flip a bit to see its difference grow."
            return
        rate = f"grows as e<sup>λt</sup>, λ = <b>{growth.rate:.2f}/ps</b>; " if growth else ""
        off = int(frame["spread"][-1, 3])
        self.spread_words.object = f"{rate}{off} atoms off by more than 0.1 nm"

    def _tell(self, *_) -> None:
        model, frame = self.model, self.model.frame
        words, tone = (model.message, "bad") if model.message else (model.busy, "busy")
        if self.status.object != (markup := look.alert(words, tone) if words else ""):
            self.status.object, self.status.visible = markup, bool(words)
        self._quiet = True
        try:
            shown = model.step if model.moving and not self._seeking() else model.goal
            self.time.value = min(shown, self.time.end)
        finally:
            self._quiet = False
        self.halt_button.disabled = not model.moving
        words = f"step {model.step:,}"
        if frame is not None and frame["words"]:
            words += f" · {frame['words']}"
        if frame is not None and frame["same future"]:
            words += " · <b>the same future, bit for bit</b>"
        self.how.object = words
        tone, told = model.verdict()
        self.verdict.object = look.alert(told, tone) if told and not model.moving else ""
        self._mark()

    def _seeking(self) -> bool:
        """Whether a person has just put the slider somewhere: it then stays there while the clocks follow."""
        return self.model.fast and len(self.model.route) == 1

    def _mark(self) -> None:
        """What was changed when, below the slider."""
        model = self.model
        marks = [(step, f"▲ {html.escape(words)}", "#8a2f00") for step, words in model.markers()]
        if model.frame is not None and model.frame["flipped at"] is not None:
            marks.append((model.frame["flipped at"], "◆ bit flipped", COLOURS["flipped"]))
        spans = []
        for step, words, colour in marks:
            at = 100 * min(step / model.length, 1)
            side = f"right:{100 - at:.2f}%" if at > 75 else f"left:{at:.2f}%"
            spans.append(f"<span style='position:absolute;{side};color:{colour};white-space:nowrap'>{words}</span>")
        markup = f"<div style='position:relative;height:18px;font-size:11.5px'>{''.join(spans)}</div>"
        if self.marks.object != markup:
            self.marks.object = markup


def _plot(title: str, plot: LivePlot, note: str = "", *more) -> pn.Column:
    head = pn.Row(
        look.heading(title, note),
        pn.layout.HSpacer(),
        export_menu({title: plot}, "rewind"),
        margin=0,
        height=28,
        sizing_mode="stretch_width",
    )
    return pn.Column(head, plot.pane, *more, sizing_mode="stretch_both", margin=0)
