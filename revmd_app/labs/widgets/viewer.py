"""Live atoms in nglview inside Panel: without a CDN, in a served page, behind a proxy and in a notebook.

nglview, ipywidgets_bokeh and Panel do not fit together out of the box. What is patched here are private parts of
theirs, each for a stated reason; `TESTED` names the versions for which the browser tests have passed.
"""

from __future__ import annotations

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
from bokeh.embed.bundle import extension_dirs

from revmd_app.labs.widgets.molecule import ANGSTROM_PER_NM, Picture, draw, place

TESTED = {"nglview": "4.0", "panel": "1.9", "ipywidgets_bokeh": "1.8"}
"""Versions (the first two numbers) whose private parts this module knows."""

REPRESENTATIONS = {"Spheres": "spacefill", "Ball and stick": "ball+stick", "Points": "point"}
COLOURS = {"by element": "element", "by kinetic energy": "bfactor"}
HOTTEST = 4.0
"""Upper end of the colour scale of kinetic energy, in units of kT (the mean is 1.5)."""
SCALE = ["#00224e", "#35456c", "#666970", "#948e77", "#c8b866", "#fee838"]
"""cividis: read alike with and without colour blindness."""


def _share() -> Path:
    """Where pip put nglview's JavaScript. Raises `RuntimeError` when it is not there."""
    for root in (sys.prefix, sys.base_prefix, str(Path.home() / ".local"), "/usr/local", "/usr"):
        share = Path(root, "share", "jupyter")
        if (share / "nbextensions" / "nglview-js-widgets" / "index.js").exists():
            return share
    raise RuntimeError("nglview's JavaScript is not installed: reinstall it with `pip install --force-reinstall nglview`.")


SHARE = _share()
JS_VERSION = json.loads((SHARE / "labextensions" / "nglview-js-widgets" / "package.json").read_text())["version"]


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
    """ipywidgets_bokeh fetches nglview from unpkg.com. Serve the installed copy as a Bokeh extension instead.

    A copy, since tornado refuses symbolic links; and named as the CDN would: {package}@{version}/dist/index.
    """
    root = Path(tempfile.mkdtemp(prefix="revmd-nglview-"))
    folder = root / f"nglview-js-widgets@{JS_VERSION}" / "dist"
    folder.mkdir(parents=True)
    shutil.copyfile(SHARE / "nbextensions" / "nglview-js-widgets" / "index.js", folder / "index")
    extension_dirs["nglview"] = root
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
    """nglview waits for the browser in a loop of 0.1 ms without end: a page closed while loading costs a third of a core."""

    def wait(self, timeout=0.0001):
        self._event.clear()
        self._event.wait(10)

    nv.NGLWidget._wait_until_finished = wait


_patch_waiting()


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


def prepare_server() -> None:
    """What a served page needs (a notebook does not, and must not import Panel's kernel patches)."""
    _patch_messages()
    from ipywidgets_bokeh.widget import IPyWidget

    IPyWidget.__css__ = []  # a Font Awesome from a CDN, for buttons that we do not show
    no_delay()


class NGLPane(pn.pane.IPyWidget):
    """A pane for nglview that takes its JavaScript from this server, below whatever prefix a proxy puts in front."""

    def _get_ipywidget(self, obj, doc, root, comm, **kwargs):
        model = super()._get_ipywidget(obj, doc, root, comm, **kwargs)
        if "cdn" in model.properties():  # ipywidgets_bokeh's model: a served page, not a notebook
            prefix = f"{pn.state.rel_path}/" if pn.state.rel_path else ""
            model.cdn = f"{prefix}static/extensions/nglview"
        return model


# What runs in the browser, with `view` the nglview view. NGL listens on `document` and compares event.target with
# its canvas; inside Bokeh's shadow DOM the target is the host, so nothing rotates, zooms or is picked: the listeners are
# wrapped to see the innermost target. nglview sizes itself once: a ResizeObserver makes it follow the page. And
# `updateCoordinates` takes positions (0) and kinetic energies (1) of the system that is loaded, and ignores others.
SETUP = r"""
(function(view){
  if (view.revmd) return;
  const me = view.revmd = {wanted: 0, component: null, look: ['spacefill', 'element'], frames: 0};
  const mouse = view.stage.mouseObserver;
  if (mouse && mouse.domElement.getRootNode() !== document) {
    const innermost = f => e => f(new Proxy(e, {get(target, key) {
      if (key === 'target') return target.composedPath()[0];
      const value = target[key]; return typeof value === 'function' ? value.bind(target) : value; }}));
    const names = {mousewheel: '_onMousewheel', wheel: '_onMousewheel', MozMousePixelScroll: '_onMousewheel',
      mousemove: '_onMousemove', mousedown: '_onMousedown', mouseup: '_onMouseup', contextmenu: '_onContextmenu',
      touchstart: '_onTouchstart', touchend: '_onTouchend', touchmove: '_onTouchmove'};
    for (const [type, name] of Object.entries(names)) document.removeEventListener(type, mouse[name], {passive: false});
    for (const name of new Set(Object.values(names))) mouse[name] = innermost(mouse[name]);
    for (const [type, name] of Object.entries(names)) document.addEventListener(type, mouse[name], {passive: false});
  }
  const fit = () => {
    const place = view.el.parentElement || view.el, box = view.stage.viewer.container;
    const width = view.el.clientWidth, height = view.el.clientHeight || place.clientHeight;
    if (width > 0 && height > 0) { box.style.width = width + 'px'; box.style.height = height + 'px'; view.stage.handleResize(); }
  };
  if (window.ResizeObserver) new ResizeObserver(fit).observe(view.el);
  me.fit = fit;
  view.stage.setParameters({cameraType: 'orthographic', clipNear: 0, clipFar: 100, fogNear: 60, fogFar: 110});
  me.aim = () => {
    if (!me.component) return;
    const controls = view.stage.viewerControls;
    controls.rotate(new (controls.rotation.constructor)());
    controls.spin([0, 1, 0], -0.42); controls.spin([1, 0, 0], 0.3);
    me.component.autoView();
    setTimeout(() => view.stage.viewerControls.zoom(0.2), 50);
  };
  me.draw = () => {
    const c = me.component; if (!c) return;
    const [kind, colour] = me.look, n = c.structure.atomStore.count;
    c.removeAllRepresentations();
    const options = {colorScheme: colour, multipleBond: 'off'};
    if (colour === 'bfactor') Object.assign(options, {colorScale: SCALE, colorDomain: [0, HOTTEST]});
    if (kind === 'spacefill') Object.assign(options, {radiusType: 'vdw', radiusScale: 0.75, sphereDetail: 1});
    if (kind === 'ball+stick') Object.assign(options, me.bonded
      ? {radiusType: 'size', radiusSize: 0.28, aspectRatio: 1.4, bondScale: 0.5} : {radiusType: 'size', radiusSize: 0.6, aspectRatio: 1});
    if (kind === 'point') Object.assign(options, {pointSize: 9, sizeAttenuation: false, useTexture: true, alphaTest: 0.5, edgeBleach: 0});
    c.addRepresentation(kind, options);
    c.addRepresentation('unitcell', {disablePicking: true});
  };
  me.load = (serial, pdb, bonded) => {
    me.wanted = serial;
    view.stage.loadFile(new Blob([pdb], {type: 'text/plain'}), {ext: 'pdb'}).then(c => {
      if (serial !== me.wanted) { view.stage.removeComponent(c); return; }
      for (const old of view.stage.compList.slice()) if (old !== c) view.stage.removeComponent(old);
      const cell = c.structure.unitcell, data = cell.getData.bind(cell);  // NGL passes no options on: grey, not orange
      cell.getData = structure => data(structure, {colorValue: '#9aa5b5', radius: 0.1});
      me.component = c; me.bonded = bonded; fit(); me.draw(); me.aim();
    });
  };
  view.updateCoordinates = (numbers, part) => {
    const c = me.component; if (!c) return;
    const n = c.structure.atomStore.count, array = new Float32Array(numbers);
    if (part === 0 && array.length === 3 * n) {
      c.structure.updatePosition(array);
      c.updateRepresentations({position: true}); me.frames += 1;
    } else if (part === 1 && array.length === n && me.look[1] === 'bfactor') {
      c.structure.atomStore.bfactor.set(array);
      c.updateRepresentations({color: true});
    }
  };
})(this)
""".replace("SCALE", json.dumps(SCALE).replace('"', "'")).replace("HOTTEST", str(HOTTEST))


class AtomsView(pn.viewable.Viewer):
    """The atoms of one system, moving. One nglview widget for its whole life: browsers allow few WebGL stages."""

    representation = param.Selector(default="Spheres", objects=list(REPRESENTATIONS), doc="How atoms are drawn.")
    colour = param.Selector(default="by element", objects=list(COLOURS), doc="What their colour means.")

    def __init__(self, **params):
        super().__init__(**params)
        self.widget = nv.NGLWidget()
        self.widget.background = "white"
        self.widget.layout.width = "100%"
        self.widget.layout.height = "100%"
        self._picture: Picture | None = None
        self._box = np.ones(3)
        self._serial = 0
        self._run(SETUP)
        self.pane = NGLPane(self.widget, sizing_mode="stretch_both", min_height=200, css_classes=["revmd-atoms"])

    def _run(self, code: str) -> None:
        self.widget._remote_call("executeCode", target="Widget", args=[code], fire_embed=True)

    def show(self, species, molecule, positions, box) -> None:
        """Draw another system: element symbols (N,), molecule numbers (N,), positions (3, N) and box (3,) in nm."""
        self._picture, self._box = draw(species, molecule, positions, box), np.asarray(box)
        self._serial += 1
        bonded = len(np.unique(molecule)) < len(molecule)
        arguments = f"{self._serial}, {json.dumps(self._picture.pdb)}, {json.dumps(bonded)}"
        self._run(f"this.revmd.load({arguments})")

    def move(self, positions, kinetic=None) -> None:
        """The next frame: positions (3, N) nm and, where they give the colour, kinetic energies (N,) in kT."""
        picture = self._picture
        if picture is None or not self.widget.loaded or positions.shape[1] != len(picture.order):
            return
        xyz = place(positions, picture.molecule, self._box)[:, picture.order].T * ANGSTROM_PER_NM
        buffers = [np.ascontiguousarray(xyz, dtype="f4").tobytes()]
        if kinetic is not None and COLOURS[self.colour] == "bfactor":
            buffers.append(np.ascontiguousarray(kinetic[picture.order], dtype="f4").tobytes())
        data = {str(i): i for i in range(len(buffers))}
        self.widget.send({"type": "binary_single", "data": data}, buffers=buffers)

    @param.depends("representation", "colour", watch=True)
    def _restyle(self) -> None:
        look = json.dumps([REPRESENTATIONS[self.representation], COLOURS[self.colour]])
        self._run(f"this.revmd.look = {look}; this.revmd.draw()")

    def centre(self) -> None:
        """Turn the camera back to the whole cell."""
        self._run("this.revmd.aim()")

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
