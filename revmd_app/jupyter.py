"""The laboratory inside Jupyter: a tile in JupyterLab's launcher, and the way back to JupyterLab from the app.

jupyter-server-proxy finds `server` by its entry point (pyproject.toml), starts the app when `<base URL>/revmd/` is
first asked for, and passes requests and websockets on. It takes the prefix away on the way in, and the app's page asks
for everything by relative addresses: so it works below any base URL, Binder's `/user/<name>/` included.

Imports nothing heavy: the Jupyter server itself runs this.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

STARTED_BY_JUPYTER = "REVMD_STARTED_BY_JUPYTER"
"""Environment variable that tells the app who started it."""
ICON = Path(__file__).with_name("labs") / "widgets" / "icon.svg"
PATIENCE = 90
"""Seconds that the app may take to answer: a small machine imports it for the first time (the default is 5)."""


def server() -> dict[str, Any]:
    """What jupyter-server-proxy needs to know: command, environment, and the launcher's tile."""
    where = ["--no-browser", "--address", "127.0.0.1", "--port", "{port}"]
    return {
        # The page's origin is that of the Jupyter server, whose name (on Binder) nobody knows in advance.
        "command": [sys.executable, "-m", "revmd_app", "app", *where, "--origin", "*"],
        "environment": {STARTED_BY_JUPYTER: "yes"},
        "timeout": PATIENCE,
        "absolute_url": False,
        "new_browser_tab": True,
        "launcher_entry": {"title": "revmd laboratory", "icon_path": str(ICON)},
    }


def address() -> str:
    """JupyterLab's address as seen from the app's page, relative; empty when Jupyter did not start the app."""
    return "../lab" if os.environ.get(STARTED_BY_JUPYTER) else ""
