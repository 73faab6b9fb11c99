"""What a served page needs besides the labs: prompt messages, nothing from afar, a log without false alarms."""

from __future__ import annotations

import logging

from tornado.websocket import WebSocketClosedError


def no_delay() -> None:
    """Bokeh sends a message as several websocket frames; with Nagle's algorithm each costs up to 40 ms. Turn it off."""
    from bokeh.server.views.ws import WSHandler

    if hasattr(WSHandler, "_revmd_open"):
        return
    original = WSHandler.open
    WSHandler._revmd_open = original

    def opened(self, *args, **kwargs):
        self.set_nodelay(True)
        return original(self, *args, **kwargs)

    WSHandler.open = opened


def nothing_from_afar() -> None:
    """ipywidgets_bokeh puts a Font Awesome of another host into every page, for buttons that we do not show."""
    from ipywidgets_bokeh.widget import IPyWidget

    IPyWidget.__css__ = []


def quiet_log() -> None:
    """Leave out of the log that a page was closed while a frame was on its way: that is no error."""
    for name in ("bokeh.server.views.ws", "asyncio"):
        logging.getLogger(name).addFilter(_of_an_open_page)


def _of_an_open_page(record: logging.LogRecord) -> bool:
    """Whether a log record is worth keeping."""
    closed = record.exc_info is not None and isinstance(record.exc_info[1], WebSocketClosedError)
    return not closed and "connection was closed" not in record.getMessage()
