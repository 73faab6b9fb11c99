"""The laboratory as a web page: `serve()` opens it, and so does `panel serve revmd_app/app.py`.

The page is a bar of tabs. A lab is imported and built when its tab is first opened, and goes on working when another
tab hides it. The address names the lab in sight and its settings.
"""

from __future__ import annotations

import html
import importlib
import os
import threading
from typing import Any, NamedTuple

import panel as pn

from revmd_app import jupyter
from revmd_app.labs.widgets import look, share
from revmd_app.labs.widgets.server import no_delay, nothing_from_afar, quiet_log

TITLE = "revmd: a rewindable molecular dynamics laboratory"
FONT_AWESOME = "static/extensions/panel/bundled/font-awesome/css/all.min.css"


class Entry(NamedTuple):
    """One lab of the page: its name in an address, its tab, and the class to be built, as "module:class"."""

    name: str
    title: str
    view: str


LABS = (
    Entry("tune", "1  Tune", "revmd_app.labs.tune:TuneLab"),
    Entry("rewind", "2  Rewind", "revmd_app.labs.rewind:RewindLab"),
    Entry("gradients", "3  Gradients", "revmd_app.labs.gradients:GradientsLab"),
    Entry("learn", "4  Learn", "revmd_app.labs.learn:LearnLab"),
    Entry("diffuse", "5  Diffuse", "revmd_app.labs.diffuse:DiffuseLab"),
)


def prepare() -> None:
    """Load Panel's extensions from this server only, and the bundled Font Awesome instead of the one on a CDN."""
    pn.extension("ipywidgets", "katex", "tabulator", notifications=False)
    pn.config.css_files[:] = [FONT_AWESOME]
    pn.config.raw_css[:] = [look.PAGE_CSS]
    pn.config.throttled = False
    nothing_from_afar()
    no_delay()


class Page(pn.viewable.Viewer):
    """The whole page of one visitor. `arguments` is what stands after "?" in the address."""

    def __init__(self, arguments: dict[str, list[bytes]]):
        super().__init__()
        names = [entry.name for entry in LABS]
        first, self._wanted, self._complaints = share.read(arguments, names)
        self.labs: dict[str, Any] = {}
        self._timer: Any = None
        opening = f"<div style='padding:24px;color:{look.MUTED}'>Opening the lab …</div>"
        self._slots = {
            name: pn.Column(look.text(opening), sizing_mode="stretch_both", margin=0, name=name) for name in names
        }
        self.tabs = pn.Tabs(
            *((entry.title, self._slots[entry.name]) for entry in LABS),
            active=names.index(first),
            sizing_mode="stretch_both",
            stylesheets=[look.TABS_CSS],
            margin=0,
        )
        self.tabs.param.watch(lambda _: self.open(), "active")
        self.link = share.ShareLink()
        self.notice = look.text("", margin=0, sizing_mode="stretch_width")
        dismiss = look.button("Dismiss", width=80, margin=(0, 0, 0, 8))
        self._notice_row = row = pn.Row(self.notice, dismiss, visible=False, margin=0, styles=look.NOTICE)
        dismiss.on_click(lambda _: row.param.update(visible=False))
        self._layout = pn.Column(
            self.tabs,
            pn.Row(*_way_back(), self.link, margin=0, styles=look.CORNER),
            self._notice_row,
            sizing_mode="stretch_both",
            margin=0,
            styles={"position": "relative"},
        )

    @property
    def name_in_sight(self) -> str:
        """The name of the lab whose tab is open."""
        return LABS[self.tabs.active].name

    def open(self) -> None:
        """Show the lab of the open tab, and build and start it when it is opened for the first time."""
        name = self.name_in_sight
        if name not in self.labs:
            self.labs[name] = lab = build(name)
            self._take_up_address(lab.model)
            self._slots[name][:] = [lab]
            lab.start()
            lab.model.param.watch(lambda *_: self._later(), list(lab.model.shared))
        for other, lab in self.labs.items():
            lab.shown = other == name
        self._later()

    def _take_up_address(self, model) -> None:
        """The address's settings go to the lab that it names, which is the first to be opened."""
        self._complaints += share.follow(model, self._wanted)
        if self._complaints:
            words = "Not used of this link: " + " ".join(self._complaints[:3])
            self.notice.object = look.alert(words)
            self._notice_row.visible = True
        self._wanted, self._complaints = {}, []

    def _later(self) -> None:
        """Let the address follow when the controls have come to rest."""
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            self._write_address()
            return
        if self._timer is not None:
            document.remove_timeout_callback(self._timer)
        self._timer = document.add_timeout_callback(self._write_address, share.PAUSE)

    def _write_address(self) -> None:
        self._timer = None
        self.link.show(share.query(self.name_in_sight, self.labs[self.name_in_sight].model, LABS[0].name))

    def __panel__(self):
        return self._layout


def build(name: str):
    """Import and make the lab of that name."""
    entry = next(entry for entry in LABS if entry.name == name)
    module, view = entry.view.split(":")
    return getattr(importlib.import_module(module), view)()


def _way_back() -> list[pn.viewable.Viewable]:
    """A link to JupyterLab when that is where the app was started."""
    address = html.escape(jupyter.address(), quote=True)
    style = "color:white;font-size:13px;text-decoration:none;line-height:28px;white-space:nowrap"
    return [look.text(f"<a href='{address}' target='_top' style='{style}'>Open JupyterLab ↗</a>")] if address else []


def page() -> pn.viewable.Viewer:
    """The whole page of one visitor. Its first lab is built when the browser has loaded its scripts."""
    prepare()
    shown = Page(pn.state.session_args)
    pn.state.onload(shown.open)
    return shown


def warm_up() -> None:
    """Import the first lab while the browser loads the page's scripts."""
    importlib.import_module(LABS[0].view.split(":")[0])


def serve(
    port: int = 5006, address: str = "localhost", show: bool = True, websocket_origin=None, prefix: str = ""
) -> None:
    """Serve the laboratory until Ctrl-C. `websocket_origin` ("*" for any) and `prefix` are for use behind a proxy."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # or ipykernel's debugger complains in every child
    quiet_log()
    options: dict = {"unused_session_lifetime_milliseconds": 6000, "check_unused_sessions_milliseconds": 3000}
    if websocket_origin is not None:
        options["websocket_origin"] = [websocket_origin] if isinstance(websocket_origin, str) else websocket_origin
    threading.Thread(target=warm_up, daemon=True).start()
    pn.serve({"/": page}, port=port, address=address, show=show, title=TITLE, prefix=prefix, **options)


if pn.state.served:
    page().servable(title=TITLE)
