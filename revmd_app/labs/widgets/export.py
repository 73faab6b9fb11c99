"""A small menu that saves plots: as a picture (PNG, SVG) or as the numbers drawn (CSV).

Everything happens in the browser (`export.js`): so it works alike in a served page, behind a proxy and in a notebook,
and what is saved is what is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import panel as pn
from bokeh.models import ColumnDataSource, CustomJS, Dropdown, Plot

from revmd_app.labs.model import slug
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.plots import LivePlot

FORMATS = ("png", "svg", "csv")
SAVE = Path(__file__).with_name("export.js").read_text(encoding="utf-8")
CSS = f"""
:host {{ font-family: {look.FONT}; }}
.bk-btn {{ font-size: 11.5px; padding: 1px 7px; border-radius: 5px; border: 1px solid transparent;
  background: transparent; color: {look.MUTED}; box-shadow: none; }}
.bk-btn:hover {{ border-color: #b9c3cf; color: {look.INK}; }}
.bk-btn:focus-visible {{ outline: 2px solid {look.VERMILLION}; outline-offset: 1px; }}
.bk-Menu {{ left: auto !important; right: 0; width: max-content; white-space: nowrap; font-size: 11.5px;
  max-height: 68vh; overflow-y: auto; }}
"""


def export_menu(plots: Mapping[str, LivePlot | Plot], name: str) -> pn.viewable.Viewable:
    """A menu button for plots by their titles. Files are called "<name> <title>.<format>", in words and hyphens."""
    menu: list = []
    for number, title in enumerate(plots):
        before = f"{title}: " if len(plots) > 1 else ""
        menu += [None] if number else []
        menu += [(f"{before}{kind.upper()}", f"{number}:{kind}") for kind in FORMATS]
    button = Dropdown(label="Save", menu=menu, stylesheets=[CSS], width_policy="fit", name=f"save {name}")
    stems = [slug(f"{name} {title}") for title in plots]
    args = {"plots": [_figure(plot) for plot in plots.values()], "titles": stems, "names": _series(plots)}
    button.js_on_event("menu_item_click", CustomJS(args=args, code=SAVE))
    return pn.pane.Bokeh(button, margin=0, css_classes=["revmd-save"])


def _figure(plot: LivePlot | Plot) -> Plot:
    return plot.figure if isinstance(plot, LivePlot) else plot


def _series(plots: Mapping[str, LivePlot | Plot]) -> dict[str, str]:
    """What each data source of a live plot is called: its series, not the name by which the browser finds it."""
    live = [plot for plot in plots.values() if isinstance(plot, LivePlot)]
    sources: list[tuple[str, ColumnDataSource]] = [pair for plot in live for pair in plot.sources.items()]
    return {source.id: name for name, source in sources}
