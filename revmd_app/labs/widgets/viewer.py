"""Live atoms in nglview inside Panel: without a CDN, in a served page, behind a proxy and in a notebook.

nglview, ipywidgets_bokeh and Panel do not fit together out of the box. What is patched here are private parts of
theirs, each for a stated reason; `TESTED` names the versions for which the browser tests have passed.
"""

from __future__ import annotations

import atexit
import filecmp
import json
import shutil
import sys
import tempfile
import threading
import types
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import panel as pn
import param
import platformdirs
from bokeh.embed.bundle import extension_dirs

from revmd_app.files import write_whole
from revmd_app.labs.widgets.molecule import ANGSTROM_PER_NM, Picture, draw, place

TESTED = {"nglview": "4.0", "panel": "1.9", "ipywidgets_bokeh": "1.8"}
"""Versions (the first two numbers) whose private parts this module knows."""

REPRESENTATIONS = {"Spheres": "spacefill", "Ball and stick": "ball+stick", "Points": "point"}
COLOURS = {"by element": "element", "by kinetic energy": "bfactor"}
SENT_AGAIN = (3, 30)
"""Frames after which the system is sent once more: while the page comes up, nglview can lose a call. The browser
ignores what it has."""
HOTTEST = 4.0
"""Upper end of the colour scale of kinetic energy, in units of kT (the mean is 1.5)."""
SCALE = ["#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"]
"""cividis: read alike with and without colour blindness."""

CHOSEN, LIT = "#AA4499", "#E69F00"
"""Colours of the chosen atom and of those that light up; no element that we draw has them."""


def _share() -> Path:
    """Where pip put nglview's JavaScript. Raises `RuntimeError` when it is not there."""
    for root in (sys.prefix, sys.base_prefix, str(Path.home() / ".local"), "/usr/local", "/usr"):
        share = Path(root, "share", "jupyter")
        if (share / "nbextensions" / "nglview-js-widgets" / "index.js").exists():
            return share
    raise RuntimeError(
        "nglview's JavaScript is not installed: reinstall it with `pip install --force-reinstall nglview`."
    )


SHARE = _share()
JS_VERSION = json.loads((SHARE / "labextensions" / "nglview-js-widgets" / "package.json").read_text(encoding="utf-8"))[
    "version"
]


def _import_nglview():
    """nglview 4.0.1 asks the browser for version 4.0 of its JavaScript but ships 3.1.5, and so is never found.

    Its module `_frontend` holds only that version: one with the version that is really there takes its place.
    """
    if "nglview" not in sys.modules:
        stub = types.ModuleType("nglview._frontend")
        stub.__frontend_version__ = JS_VERSION  # type: ignore[attr-defined]
        sys.modules["nglview._frontend"] = stub
    import nglview

    for name, known in TESTED.items():
        if ".".join(version(name).split(".")[:2]) != known:
            warnings.warn(f"{name} {version(name)} is new to the viewer's patches (known: {known}.*).", stacklevel=2)
    return nglview


nv = _import_nglview()


def _serve_javascript() -> Path:
    """ipywidgets_bokeh would fetch nglview from a CDN. Serve the installed copy as a Bokeh extension instead.

    A copy, since tornado refuses symbolic links; and named as the CDN would: {package}@{version}/dist/index. It lies
    in the user's cache, where the next start finds it; where that cannot be written, in a folder that goes at exit.
    """
    try:
        root = _copied_to(Path(platformdirs.user_cache_dir("revmd", appauthor=False), "nglview"))
    except OSError:
        root = Path(tempfile.mkdtemp(prefix="revmd-nglview-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        _copied_to(root)
    extension_dirs["nglview"] = root
    return root


def _copied_to(root: Path) -> Path:
    """`root`, with nglview's JavaScript in it. Raises `OSError` when it cannot be written."""
    source = SHARE / "nbextensions" / "nglview-js-widgets" / "index.js"
    copy = root / f"nglview-js-widgets@{JS_VERSION}" / "dist" / "index"
    if not (copy.is_file() and filecmp.cmp(source, copy, shallow=False)):
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_whole(copy, source.read_bytes())
    return root


JS_ROOT = _serve_javascript()


def _patch_messages() -> None:
    """Two faults of Panel's link between ipywidgets and the browser.

    Its messages have no `buffers` key, but nglview reads `msg.buffers.length` and dies in silence: the stage stays
    blank. And it iterates over its queue and then empties it, so that a message from another thread can be lost.
    """
    from panel.io.ipywidget import PanelSessionWebsocket

    if hasattr(PanelSessionWebsocket, "_revmd_msg"):
        return
    original = PanelSessionWebsocket.msg
    PanelSessionWebsocket._revmd_msg = original

    def msg(self, *args, **kwargs):
        message = original(self, *args, **kwargs)
        message.setdefault("buffers", [])
        return message

    def dispatch(self):
        while self._queue:
            self._document.callbacks.trigger_on_change(self._queue.pop(0))

    PanelSessionWebsocket.msg = msg
    PanelSessionWebsocket._dispatch = dispatch


def _patch_waiting() -> None:
    """nglview waits for the browser in an endless 0.1 ms loop: a page closed while loading costs a third of a core."""

    def wait(self, timeout=0.0001):
        self._event.clear()
        self._event.wait(10)

    nv.NGLWidget._wait_until_finished = wait


_patch_waiting()


class NGLPane(pn.pane.IPyWidget):
    """A pane for nglview that takes its JavaScript from this server, below whatever prefix a proxy puts in front."""

    def _get_ipywidget(self, obj, doc, root, comm, **kwargs):
        model = super()._get_ipywidget(obj, doc, root, comm, **kwargs)
        if "cdn" in model.properties():  # ipywidgets_bokeh's model: a served page, not a notebook
            prefix = f"{pn.state.rel_path}/" if pn.state.rel_path else ""
            model.cdn = f"{prefix}static/extensions/nglview"
        return model


SETUP = (
    Path(__file__)
    .with_name("viewer.js")
    .read_text(encoding="utf-8")
    .replace("COLOUR_SCALE", json.dumps(SCALE))
    .replace("HOTTEST", str(HOTTEST))
    .replace("CHOSEN", json.dumps(CHOSEN))
    .replace("LIT", json.dumps(LIT))
)
"""What runs in the browser; the file says why."""


class AtomsView(pn.viewable.Viewer):
    """The atoms of one system, moving. One nglview widget for its whole life: browsers allow few WebGL stages."""

    representation = param.Selector(default="Spheres", objects=list(REPRESENTATIONS), doc="How atoms are drawn.")
    colour = param.Selector(default="by element", objects=list(COLOURS), doc="What their colour means.")
    picked = param.Integer(default=None, allow_None=True, doc="The atom last clicked; None beside the atoms.")

    def __init__(self, own_setup: str = "", **params):
        """`own_setup` is JavaScript that a kind of view adds to viewer.js; like that, it may run more than once."""
        super().__init__(**params)
        if pn.state.curdoc is not None:  # a notebook must not import Panel's link
            _patch_messages()
        self.widget = nv.NGLWidget()
        self.widget.background = "white"
        self.widget.layout.width = "100%"
        self.widget.layout.height = "100%"
        self._picture: Picture | None = None
        self._box = np.ones(3)
        self._serial = self._moves = 0
        self._load = ""
        self._marks: list[list[int]] = [[], []]
        self._setup = f"{SETUP.strip()};\n{own_setup.strip()};\n"
        self._run(self._setup)
        self.widget.observe(self._clicked, "picked")
        self.pane = NGLPane(self.widget, sizing_mode="stretch_both", min_height=200, css_classes=["revmd-atoms"])

    def _run(self, code: str) -> None:
        """Run JavaScript in the browser, where `this` is nglview's view."""
        self.widget._remote_call("executeCode", target="Widget", args=[code], fire_embed=True)

    def show(self, species, molecule, positions, box, before: str = "") -> None:
        """Draw another system: element symbols (N,), molecule numbers (N,), positions (3, N) and box (3,) in nm.

        `before` is code that the browser runs first.
        """
        self._picture, self._box = draw(species, molecule, positions, box), np.asarray(box)
        self._serial += 1
        self._marks = [[], []]
        bonded = len(np.unique(molecule)) < len(molecule)
        arguments = f"{self._serial}, {json.dumps(self._picture.pdb)}, {json.dumps(bonded)}"
        self._load, self._moves = f"{before}; this.revmd.load({arguments})", 0
        self._send_scene()

    def _send_scene(self) -> None:
        """Everything a fresh stage needs: its set-up may be lost, or trimmed from what nglview replays to a new one."""
        self._run(f"{self._setup}{self._look()}; {self._load}")

    def _look(self) -> str:
        look = json.dumps([REPRESENTATIONS[self.representation], COLOURS[self.colour]])
        return f"this.revmd.look = {look}"

    def move(self, positions, kinetic=None, epoch: int = 0, more: dict[int, np.ndarray] | None = None) -> None:
        """The next frame: positions (3, N) nm and, where they give the colour, kinetic energies (N,) in kT.

        `epoch` counts the changes of the controls that the simulation had heard of, for who measures latency. `more`
        are further parts, from number 3 on, for the JavaScript of a kind of view.
        """
        picture = self._picture
        if picture is None or not self.widget.loaded or positions.shape[1] != len(picture.order):
            return
        self._moves += 1
        if self._moves in SENT_AGAIN:
            self._send_scene()
        xyz = place(positions, picture.molecule, self._box)[:, picture.order].T * ANGSTROM_PER_NM
        parts = {0: xyz, 2: np.array([epoch]), **(more or {})}
        if kinetic is not None and COLOURS[self.colour] == "bfactor":
            parts[1] = kinetic[picture.order]
        parts = dict(sorted(parts.items()))  # nglview counts the buffers in the order of the keys
        buffers = [np.ascontiguousarray(part, dtype="f4").tobytes() for part in parts.values()]
        data = {str(name): i for i, name in enumerate(parts)}
        self.widget.send({"type": "binary_single", "data": data}, buffers=buffers)

    def _clicked(self, change) -> None:
        """The browser counts atoms in the order of the file; `picked` is in ours."""
        if "click" not in change["new"] or self._picture is None:
            return  # nglview's own message, which precedes ours
        number = change["new"].get("atom")
        self.picked = None if number is None else int(self._picture.order[number])

    def mark(self, chosen: int | None, lit=()) -> None:
        """Show the chosen atom, and those that light up, in colours of their own."""
        if self._picture is None:
            return
        place_of = np.argsort(self._picture.order)
        marks = [[int(place_of[i]) for i in atoms] for atoms in ([] if chosen is None else [chosen], lit)]
        if marks != self._marks:
            self._marks = marks
            self._run(f"if (this.revmd) this.revmd.mark({json.dumps(marks)})")

    @param.depends("representation", "colour", watch=True)
    def _restyle(self) -> None:
        self._run(f"if (this.revmd) {{ {self._look()}; this.revmd.draw() }}")

    def legend(self) -> str:
        """Markup that says what the colours mean; empty when they are those of the elements."""
        if COLOURS[self.colour] != "bfactor":
            return ""
        bar = f"background:linear-gradient(90deg,{','.join(SCALE)})"
        return f"0 <span style='display:inline-block;width:70px;height:9px;{bar}'></span> {HOTTEST:.0f} kT"

    def centre(self) -> None:
        """Turn the camera back to the whole cell."""
        self._run("if (this.revmd) this.revmd.aim()")

    def dispose(self) -> None:
        """End nglview's two threads and forget its widgets; nglview itself never does."""
        from ipywidgets.widgets.widget import _instances
        from nglview.remote_thread import RemoteCallThread

        view = self.widget
        for thread in threading.enumerate():
            if isinstance(thread, RemoteCallThread) and thread.view is view:
                thread.q = _Ended()
        view._event.set()
        player = view._iplayer
        for widget in [view, player, *player.children, view._ibtn_fullscreen, view._widget_image]:
            for part in (widget, getattr(widget, "layout", None), getattr(widget, "style", None)):
                _instances.pop(getattr(part, "model_id", None), None)

    def __panel__(self):
        return self.pane


class _Ended(list):
    """A queue that ends the thread reading it: `RemoteCallThread.run` catches only IndexError."""

    def pop(self, *_):
        raise SystemExit
