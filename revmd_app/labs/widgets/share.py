"""A lab's configuration in the page's address: `/?lab=tune&liquid=water-64-molecules&sigma=0.32`.

`read` and `follow` take an address up, `query` writes one; all three know nothing of Panel's widgets. `ShareLink` keeps
the browser's address in step and copies it. Only the part after "?" is ever written: the rest is what the browser says,
so that it works below any prefix that a proxy puts in front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import panel as pn

from revmd_app.labs.model import LabModel, quoted
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets import look

PAUSE = 300
"""Milliseconds after the last change before the address follows."""
MOST = 60
"""More settings than any lab has: a longer list is not looked at."""
OTHERS = {"token", "theme", "bokeh-session-id", "bokeh-protocol-version", "bokeh-app-path", "bokeh-absolute-url"}
"""Keys that Jupyter, Panel and Bokeh put into addresses."""

FOLLOW = """
const search = cb_obj.value ? '?' + cb_obj.value : '';
if (search !== location.search) history.replaceState(history.state, '', location.pathname + search + location.hash);
"""
COPY = """
const link = location.origin + location.pathname + (address.value ? '?' + address.value : '');
const done = () => { button.label = 'Copied'; setTimeout(() => { button.label = 'Copy link'; }, 1500); };
const byHand = () => {  // the clipboard is only given to https and localhost
  const box = document.createElement('textarea');
  box.value = link; document.body.appendChild(box); box.select();
  if (document.execCommand('copy')) done(); else window.prompt('Copy this link:', link);
  box.remove();
};
if (navigator.clipboard) navigator.clipboard.writeText(link).then(done, byHand); else byHand();
"""


def read(arguments: Mapping[str, Sequence[bytes]], labs: Sequence[str]) -> tuple[str, dict[str, str], list[str]]:
    """What an address asks for: the lab (the first when it names none), the settings, and what is wrong with it."""
    given = {name: values[-1].decode(errors="replace") for name, values in arguments.items() if values}
    given = {name: value for name, value in given.items() if name not in OTHERS}
    lab = given.pop("lab", labs[0])
    if lab not in labs:
        known = ", ".join(labs)
        return labs[0], {}, [f"There is no lab '{quoted(lab)}'; there are {known}."]
    if len(given) > MOST:
        return lab, {}, [f"It has {len(given)} settings; no lab has more than {MOST}."]
    return lab, given, []


def follow(model: LabModel, given: Mapping[str, str]) -> list[str]:
    """Make the settings that can be made. Returns a sentence for each of the others."""
    try:
        model.configure(given)
        return []
    except ValueError:
        good: dict[str, str] = {}
        complaints = []
        for name in sorted(given, key=_order(model)):
            try:
                type(model)().configure({**good, name: given[name]})
                good[name] = given[name]
            except ValueError as error:
                complaints.append(as_sentence(error))
        model.configure(good)
        return complaints


def _order(model: LabModel):
    """Settings in the order in which they decide over one another; whatever is not a parameter is a knob."""
    places = {name: i for i, name in enumerate(model.shared)}
    return lambda name: places.get(name, places.get("values", len(places)))


def query(lab: str, model: LabModel, first: str) -> str:
    """The part of the address after "?"; empty for the `first` lab as it comes."""
    settings = model.address()
    return urlencode({"lab": lab, **settings}) if settings or lab != first else ""


class ShareLink(pn.viewable.Viewer):
    """The button "Copy link", and the browser's address in step with `show(query)`."""

    def __init__(self):
        super().__init__()
        self.address = pn.widgets.TextInput(value="", visible=False)
        self.address.jscallback(value=FOLLOW)
        self.button = look.button("Copy link", width=92, margin=0, height=28, css_classes=["revmd-copy"])
        self.button.js_on_click(args={"address": self.address, "button": self.button}, code=COPY)
        self._layout = pn.Row(self.button, self.address, margin=0)

    def show(self, address: str) -> None:
        """Write the part of the address after "?"."""
        self.address.value = address

    def __panel__(self):
        return self._layout
