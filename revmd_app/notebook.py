"""The labs in a notebook: `start()` once, then `lab("tune")` in any cell shows a live laboratory below it.

    from revmd_app import notebook
    notebook.start()       # in a cell of its own, before the first plot

    notebook.lab("tune")   # the same lab as in the app

Scripts and styles come out of the installed packages and into the page, so a notebook needs no network.
"""

from __future__ import annotations

from typing import Any

from revmd_app import processor

LEAST_WIDTH = 1184
"""Pixels below which a lab scrolls sideways: JupyterLab's file browser takes a third of a laptop's window."""
PERIOD = 200
"""Least milliseconds between two frames. A served page is sent no more than it takes; a notebook queues everything, and
what the student moves would wait behind it.
"""
_shown: dict[str, Any] = {}
"""The running lab of each name: running a cell again ends the former one and its simulation."""


def start() -> None:
    """Load what labs and plots need into the notebook's page. Call it first, in a cell of its own."""
    import holoviews as hv
    import panel as pn
    from panel.io.notebook import load_notebook

    processor.prepare()
    again = bool(hv.extension._loaded)
    # Inline: by default both would fetch their scripts from another host.
    pn.extension("katex", "tabulator", inline=True, notifications=False)
    hv.extension("bokeh", inline=True, logo=False)
    if again:  # the kernel has loaded them before, but the page may be a new one: it was reloaded, or is a second tab
        load_notebook(inline=True)
    _keep_styles_inline()


def lab(name: str, **configuration: Any):
    """A lab, started, to be shown as a cell's result; `configuration` sets parameters of its model.

    Labs: "tune", "rewind", "gradients", "learn", "diffuse". A lab of the same name that still runs in this kernel is
    ended first. Raises `ValueError` for an unknown name, parameter or value.
    """
    from revmd_app import app

    names = [entry.name for entry in app.LABS]
    if name not in names:
        raise ValueError(f"there is no lab '{name}'; there are {', '.join(names)}.")
    stop(name)
    made = app.build(name)
    made.model.configure(configuration)
    page = made.__panel__()
    page.styles = {**page.styles, "min-width": f"{LEAST_WIDTH}px"}  # Panel overrules `min_width` by the children's
    made.period = max(made.period, PERIOD)
    made.start()
    _shown[name] = made
    return made


def stop(name: str | None = None) -> None:
    """End the lab of that name, or every lab: its simulation, its listening, its threads. Its picture stays."""
    for running in [name] if name else list(_shown):
        former = _shown.pop(running, None)
        if former is not None:
            former.stop()


def _keep_styles_inline() -> None:
    """Panel puts its style sheets into a cell when it is first shown, but names another host for those of whatever
    changes later. Put them into the changes, too.
    """
    from panel import state
    from panel.reactive import Syncable

    if hasattr(Syncable, "_revmd_process_param_change"):
        return
    original = Syncable._process_param_change
    Syncable._revmd_process_param_change = original

    def process(self, params):
        properties = original(self, params)
        served = state.curdoc is not None and state.curdoc.session_context is not None
        if "stylesheets" in properties and not served:
            properties["stylesheets"] = [_inline(sheet) for sheet in properties["stylesheets"]]
        return properties

    Syncable._process_param_change = process


def _inline(sheet):
    """A style sheet of Panel's by its content instead of its address; any other as it is."""
    from bokeh.models import ImportedStyleSheet, InlineStyleSheet
    from panel.io.resources import CDN_DIST, DIST_DIR, LOCAL_DIST

    if isinstance(sheet, ImportedStyleSheet):
        address = sheet.url.partition("?")[0]
        for root in (CDN_DIST, LOCAL_DIST):
            if address.startswith(root):
                return InlineStyleSheet(css=(DIST_DIR / address.removeprefix(root)).read_text(encoding="utf-8"))
    return sheet
