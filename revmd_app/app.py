"""The laboratory as a web page: `serve()` opens it, and so does `panel serve revmd_app/app.py`."""

from __future__ import annotations

import logging
import os

import panel as pn
from tornado.websocket import WebSocketClosedError

from revmd_app.labs.gradients import GradientsLab
from revmd_app.labs.tune import TuneLab
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.viewer import prepare_server

TITLE = "revmd: a rewindable molecular dynamics laboratory"
FONT_AWESOME = "static/extensions/panel/bundled/font-awesome/css/all.min.css"


def prepare() -> None:
    """Load Panel's extensions from this server only, and the bundled Font Awesome instead of the one on a CDN."""
    pn.extension("ipywidgets", "katex", "tabulator", notifications=False)
    pn.config.css_files[:] = [FONT_AWESOME]
    pn.config.raw_css[:] = [look.PAGE_CSS]
    pn.config.throttled = False
    prepare_server()


def page() -> pn.viewable.Viewable:
    """The whole page of one visitor, with the first liquid already on its way."""
    prepare()
    tune, gradients = TuneLab(), GradientsLab()
    tabs = pn.Tabs(
        ("1  Tune", tune),
        ("3  Gradients", gradients),
        sizing_mode="stretch_both",
        stylesheets=[look.TABS_CSS],
        margin=0,
    )
    pn.state.onload(tune.start)
    return tabs


def serve(
    port: int = 5006, address: str = "localhost", show: bool = True, websocket_origin=None, prefix: str = ""
) -> None:
    """Serve the laboratory until Ctrl-C. `websocket_origin` ("*" for any) and `prefix` are for use behind a proxy."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # or ipykernel's debugger complains in every child
    for name in ("bokeh.server.views.ws", "asyncio"):
        logging.getLogger(name).addFilter(_of_an_open_page)
    options: dict = {"unused_session_lifetime_milliseconds": 6000, "check_unused_sessions_milliseconds": 3000}
    if websocket_origin is not None:
        options["websocket_origin"] = [websocket_origin] if isinstance(websocket_origin, str) else websocket_origin
    pn.serve({"/": page}, port=port, address=address, show=show, title=TITLE, prefix=prefix, **options)


def _of_an_open_page(record: logging.LogRecord) -> bool:
    """Whether a log record is worth keeping: that a page was closed while a frame was on its way is no error."""
    closed = record.exc_info is not None and isinstance(record.exc_info[1], WebSocketClosedError)
    return not closed and "connection was closed" not in record.getMessage()


if pn.state.served:
    page().servable(title=TITLE)
