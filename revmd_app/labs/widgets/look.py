"""The look of the labs: colours, type sizes, cards, and sliders with value and unit. No fonts or icons from afar."""

from __future__ import annotations

import html
import math
from typing import Any

import panel as pn
from bokeh.models import CustomJSTickFormatter

from revmd_app.labs.widgets.plots import BLUE, FONT, INK, MUTED, VERMILLION

EDGE = "#d9dfe7"
GROUND = "#f3f5f8"
ACCENT = "#0b4f80"

PAGE_CSS = f"""
html, body {{ margin: 0; background: {GROUND}; }}
:root {{
  --bokeh-base-font: {FONT}; --bokeh-font-size: 13px; --bokeh-mono-font: ui-monospace, 'DejaVu Sans Mono', monospace;
  --panel-primary-color: {BLUE}; --design-primary-color: {BLUE}; --bokeh-primary-color: {BLUE};
}}
"""
CARD = {
    "background": "white",
    "border": f"1px solid {EDGE}",
    "border-radius": "8px",
    "box-sizing": "border-box",
    "padding": "6px 8px",
    "font-family": FONT,
    "color": INK,
}
WIDGET_CSS = f"""
:host {{ font-family: {FONT}; font-size: 13px; color: {INK}; --design-primary-color: {BLUE}; }}
label, .bk-slider-title {{ font-size: 12.5px; color: {INK}; margin-bottom: 1px; }}
select.bk-input, input.bk-input {{ font-size: 13px; height: 30px; padding: 3px 8px; border: 1px solid #b9c3cf;
  border-radius: 5px; background-color: white; color: {INK}; }}
.bk-btn {{ font-size: 13px; border-radius: 6px; padding: 5px 12px; }}
.bk-btn:focus-visible, select:focus-visible, input:focus-visible {{
  outline: 2px solid {VERMILLION}; outline-offset: 1px; }}
.bk-slider-value, .bk-slider-title strong {{ font-variant-numeric: tabular-nums; }}
.noUi-connect {{ background: {BLUE} !important; }}
.noUi-target {{ border-color: #b9c3cf; }}
.noUi-handle {{ border-color: {BLUE} !important; }}
.noUi-handle:focus-visible {{ outline: 2px solid {VERMILLION}; outline-offset: 2px; }}
"""
FIELD: dict[str, Any] = {
    "description": None,
    "sizing_mode": "stretch_width",
    "margin": (1, 8, 3, 8),
    "stylesheets": [WIDGET_CSS],
}
"""Options of a field in a column of settings."""
OVERLAY = {"position": "absolute", "top": "50px", "left": "10px", "right": "10px", "z-index": "20"}
"""Styles of a message that lies over the atoms, so that nothing moves when it comes and goes."""
BAR_CSS = f"""
:host {{ font-family: {FONT}; }}
.bk-btn-group {{ display: flex; gap: 2px; }}
.bk-btn {{ flex: 1 1 auto; font-size: 13px; padding: 6px 10px; border: none !important; background: transparent;
  border-radius: 6px !important; color: {INK}; box-shadow: none !important; }}
.bk-btn:hover {{ background: #e3ebf2; }}
.bk-btn.bk-active {{ background: {ACCENT} !important; color: white !important; font-weight: 600; }}
.bk-btn:focus-visible {{ outline: 2px solid {VERMILLION}; outline-offset: 1px; }}
"""
"""Of a row of buttons, one of which is chosen: the views of a lab."""
SCREEN_CSS = (
    ":host { height: calc(100vh - 57px) !important; min-height: 640px; max-height: 1200px; flex: none !important; }"
)
"""One screen high, less the bar of tabs; what is below needs scrolling."""
TABS_CSS = f"""
:host(.bk-above) .bk-header {{ background: {ACCENT}; border: none; padding: 0 12px; align-items: center; }}
.bk-header::before {{ content: "revmd"; color: white; font-size: 18px; font-weight: 700; letter-spacing: .02em;
  padding: 0 18px 2px 4px; }}
.bk-tab {{ color: #dbe7f1 !important; background: transparent !important; border: none !important; font-size: 14px;
  padding: 9px 18px !important; border-bottom: 3px solid transparent !important; border-radius: 0 !important; }}
.bk-tab.bk-active {{ color: white !important; border-bottom-color: #56B4E9 !important; font-weight: 600; }}
.bk-tab:focus-visible {{ outline: 2px solid white; outline-offset: -3px; }}
"""

CORNER: dict[str, str] = {
    "position": "absolute",
    "top": "6px",
    "right": "14px",
    "z-index": "30",
    "gap": "14px",
    "align-items": "center",
}
"""What stands at the right end of the bar of tabs."""
CARD_CORNER: dict[str, str] = {"position": "absolute", "top": "3px", "right": "5px", "z-index": "10"}
"""A small thing in the upper right corner of a card whose position is "relative"."""
NOTICE: dict[str, str] = {
    "position": "absolute",
    "top": "48px",
    "left": "25%",
    "right": "25%",
    "z-index": "40",
    "background": "white",
    "border": f"1px solid {EDGE}",
    "border-radius": "8px",
    "box-shadow": "0 4px 18px rgba(20, 40, 60, .25)",
    "padding": "8px",
    "align-items": "center",
}
"""A message that lies over the page until it is dismissed."""


class Text(pn.widgets.StaticText):
    """A piece of HTML; `object` is its markup. Panel's HTML pane would fetch style sheets again when a notebook's
    text changes, from another host.
    """

    @property
    def object(self) -> str:
        """The markup."""
        return self.value

    @object.setter
    def object(self, markup: str) -> None:
        self.value = markup


def text(markup: str, **options) -> Text:
    """A piece of HTML in the page's type."""
    styles = {
        "font-family": FONT,
        "color": INK,
        "font-size": "13px",
        "line-height": "1.35",
        **options.pop("styles", {}),
    }
    sheets = [":host > div { width: 100%; }", *options.pop("stylesheets", [])]
    return Text(value=markup, styles=styles, stylesheets=sheets, **{"margin": 0, **options})


def heading(words: str, note: str = "") -> Text:
    """A small heading, with a quieter note after it."""
    quiet = f" <span style='font-weight:400;color:{MUTED}'>{note}</span>" if note else ""
    return text(f"<b>{words}</b>{quiet}", margin=(2, 4, 0, 4))


def alert(words: str, tone: str = "bad") -> str:
    """Markup of a message: "bad" (something is wrong), "busy" (be patient) or "done" (it is finished)."""
    colour, ground, sign = {
        "bad": ("#8a2f00", "#fdeee6", "!"),
        "busy": (ACCENT, "#e7f1f9", "…"),
        "done": ("#00593f", "#e5f4ee", "✓"),
    }[tone]
    return (
        f"<div role='status' style='border-left:4px solid "
        f"{colour};background:{ground};color:{colour};padding:5px 10px;"
        f"border-radius:4px'><b aria-hidden='true'>{sign}</b>&ensp;{html.escape(words)}</div>"
    )


def number(label: str, value: str, unit: str, note: str = "") -> str:
    """Markup of a quantity: its name, a large number, its unit."""
    return (
        f"<div style='font-size:12px;color:{MUTED};white-space:nowrap'>{label}</div>"
        f"<div style='white-space:nowrap;font-variant-numeric:tabular-nums'>"
        f"<span style='font-size:22px;font-weight:600'>{value}</span> <span "
        f"style='font-size:12px;color:{MUTED}'>{unit}</span>"
        f"<span style='font-size:11.5px;color:{MUTED};float:right;margin-top:9px'>{note}</span></div>"
    )


def readable(x: float) -> str:
    """A number with as many digits as one can read at a glance, and a true minus sign."""
    if not math.isfinite(x):
        return "—"
    size = abs(x)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3
    if 0 < size < 1e-3 or size >= 1e6:
        return f"{x:.2e}".replace("-", "−")
    return f"{x:,.{digits}f}".replace("-", "−").replace(",", " ")


def significant(x: float, digits: int = 4) -> str:
    """A number in `digits` significant figures, without an exponent where one can do without."""
    if x == 0 or not math.isfinite(x):
        return "0" if x == 0 else "—"
    if 1e-4 <= abs(x) < 1e6:
        return f"{x:.{max(0, digits - 1 - math.floor(math.log10(abs(x))))}f}".replace("-", "−")
    return f"{x:.{digits - 1}e}".replace("-", "−")


class Slider(pn.viewable.Viewer):
    """A slider whose title shows symbol, value and unit; on a logarithmic scale where asked.

    `on_change(value)` is called while the handle moves, or with `on_release` once it is let go. `set(value)` moves it
    without calling back. The range grows where a value lies outside `bounds`.
    """

    STEPS = 200

    def __init__(self, label, unit, bounds, value, on_change, *, log=False, digits=3, on_release=False, **options):
        super().__init__()
        self.log, self.on_change = log, on_change
        low, high = (self._scaled(b) for b in (min(bounds[0], value), max(bounds[1], value)))
        self._quiet = False
        self.widget = pn.widgets.FloatSlider(
            start=low,
            end=high,
            step=(high - low) / self.STEPS,
            value=self._scaled(value),
            name=label,
            format=_written(log, digits, unit),
            sizing_mode="stretch_width",
            margin=(1, 12, 2, 10),
            stylesheets=[WIDGET_CSS],
            **options,
        )
        self.widget.param.watch(self._moved, "value_throttled" if on_release else "value")

    def _scaled(self, value):
        return math.log10(value) if self.log else float(value)

    @property
    def value(self) -> float:
        """The value in its own unit, in six figures: nobody sets more by hand."""
        return float(f"{10.0**self.widget.value if self.log else self.widget.value:.6g}")

    def _moved(self, _) -> None:
        if not self._quiet:
            self.on_change(self.value)

    def set(self, value: float) -> None:
        """Show another value, without calling back."""
        if value == self.value:
            return
        self._quiet = True
        try:
            at = self._scaled(value)
            self.widget.param.update(start=min(self.widget.start, at), end=max(self.widget.end, at), value=at)
        finally:
            self._quiet = False

    def __panel__(self):
        return self.widget


def _written(log: bool, digits: int, unit: str) -> CustomJSTickFormatter:
    """How the browser writes a slider's value while it moves."""
    number = "Math.pow(10, tick)" if log else "tick"
    written = f"const x = {number}; const t = x === 0 ? '0' : Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? "
    written += f"x.toExponential({digits - 1}) : Math.abs(x) >= 10**{digits} ? x.toFixed(0) : x.toPrecision({digits});"
    return CustomJSTickFormatter(code=f"{written} return t.replace('-', '−') + ' {unit}';")


def select(**options: Any) -> pn.widgets.Select:
    """A drop-down in the labs' look."""
    return pn.widgets.Select(**{**FIELD, **options})


def button(name: str, **options: Any) -> pn.widgets.Button:
    """A button in the labs' look (words, no icon: icons come from a CDN)."""
    return pn.widgets.Button(name=name, **{"margin": (2, 4), "stylesheets": [WIDGET_CSS], **options})


def card(*children, **options) -> pn.Column:
    """A white box with a fine edge."""
    styles = {**CARD, **options.pop("styles", {})}
    return pn.Column(*children, styles=styles, **{"margin": 0, "sizing_mode": "stretch_both", **options})


def fold(title: str, content) -> pn.Card:
    """A box that opens when its title is pressed."""
    return pn.Card(
        content,
        header=text(f"<b>{title}</b>"),
        collapsed=True,
        sizing_mode="stretch_width",
        margin=(4, 8),
        header_background="#eef2f6",
        styles={"box-shadow": "none", "border": f"1px solid {EDGE}"},
    )


def page(*children) -> pn.Column:
    """A lab's page: its parts below one another on the page's ground."""
    styles = {"padding": "8px", "gap": "8px", "background": GROUND, "box-sizing": "border-box"}
    return pn.Column(*children, sizing_mode="stretch_both", margin=0, styles=styles)
