"""What all labs' models share: a configuration that can be written down, sent to somebody, and taken up again.

No widget and no Panel here.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import param

SHOWN = 60
"""So many characters of what somebody gave are quoted when it is refused."""


class LabModel(param.Parameterized):
    """The state of one lab.

    `shared` names the parameters that make up a configuration, in the order in which they must be set: first what
    decides over the others' usual values (the system, then the form of its potential). "values" in it stands for the
    knobs of the potential, which are listed in `knobs` and appear under their own names.
    """

    shared: ClassVar[tuple[str, ...]] = ()
    _quiet = False  # while several parameters change as one, none derives another

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Change several parameters as one: who listens hears of them at the end; none derives another meanwhile."""
        outer, self._quiet = self._quiet, True
        try:
            with param.parameterized.batch_call_watchers(self):
                yield
        finally:
            self._quiet = outer

    def configuration(self) -> dict[str, Any]:
        """What differs from a new model in which the settings named before it have been made. JSON-able."""
        usual = type(self)()
        found: dict[str, Any] = {}
        for name in self.shared:
            if name == "values":
                turned = {short: self.values[key] for short, key in self.knob_names().items()}
                now = usual.knob_names()
                found |= {s: x for s, x in turned.items() if s in now and usual.values[now[s]] != x}
            elif getattr(self, name) != getattr(usual, name):
                found[name] = getattr(self, name)
                usual.put(name, found[name])
        return found

    def configure(self, given: Mapping[str, Any]) -> None:
        """Make the settings of `given`; values are typed, or text as in an address.

        Raises `ValueError` with one sentence, and changes nothing, when one of them cannot be made.
        """
        trial = type(self)()
        trial._take_up(self.configuration())
        trial._take_up(given)
        self._take_up(given)

    def put(self, name: str, value: Any) -> None:
        """Make one setting. Overridden where more must be checked than the parameter itself does."""
        setattr(self, name, value)

    def address(self) -> dict[str, str]:
        """The configuration as text, as it stands in an address."""
        return {name: self._as_text(name, value) for name, value in self.configuration().items()}

    def knob_names(self) -> dict[str, str]:
        """The knobs' keys by short names: "sigma" -> "0.sigma"; with the term where two have such a one."""
        fields = [knob.key.split(".", 1)[1] for knob in self.knobs]
        taken = {*self.shared, "lab"}
        return {
            field if fields.count(field) == 1 and field not in taken else f"{slug(knob.where)}.{field}": knob.key
            for field, knob in zip(fields, self.knobs, strict=True)
        }

    # ----------------------------------------------------------------------------------------------- reading, writing

    def _take_up(self, given: Mapping[str, Any]) -> None:
        rest = dict(given)
        for name in self.shared:
            if name == "values":
                self._take_up_knobs(rest)
            elif name in rest:
                self.put(name, self._from_text(name, rest.pop(name)))
        if rest:
            raise ValueError(f"there is no setting '{quoted(next(iter(rest)))}'; there are {', '.join(self.names())}.")

    def names(self) -> list[str]:
        """The names of all settings."""
        knobs = list(self.knob_names()) if "values" in self.shared else []
        return [*(name for name in self.shared if name != "values"), *knobs]

    def _take_up_knobs(self, rest: dict[str, Any]) -> None:
        """Take the knobs' values out of `rest` and set them."""
        values = dict(self.values)
        by_key = {knob.key: knob.parameter for knob in self.knobs}
        for short, key in self.knob_names().items():
            if short in rest:
                meta = by_key[key]
                values[key] = number(rest.pop(short), f"{short} ({meta.label})", meta.bounds, meta.unit)
        if values != self.values:
            self.put("values", values)

    def _from_text(self, name: str, given: Any) -> Any:
        """The value of a setting from text or from itself. Raises `ValueError`."""
        kind = self.param[name]
        label = kind.label
        if isinstance(kind, param.ListSelector):
            items = given.split(",") if isinstance(given, str) else list(given)
            return [choice(item, kind.objects, label) for item in items if item != ""]
        if isinstance(kind, param.Selector):
            return choice(given, kind.objects, label)
        if isinstance(kind, param.Boolean):
            return choice(given, {"yes": True, "no": False, True: True, False: False}, label)
        if isinstance(kind, param.Integer):
            return int(number(given, label, kind.bounds, whole=True))
        if isinstance(kind, param.Number):
            return number(given, label, kind.bounds)
        if not isinstance(given, str):
            raise ValueError(f"{label} must be a text, not {quoted(given)}.")
        return given

    def _as_text(self, name: str, value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list | tuple):
            return ",".join(slug(item) for item in value)
        if isinstance(value, float):
            return repr(value)
        chosen = name in self.param and isinstance(self.param[name], param.Selector)
        return slug(value) if chosen else str(value)


def slug(value: Any) -> str:
    """A choice as it stands in an address: "Argon, 108 atoms" -> "argon-108-atoms"; "σ" has no other spelling."""
    plain = unicodedata.normalize("NFKD", str(value).replace("–", "-")).lower()
    words = re.sub(r"[^a-z0-9.]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")
    return words or str(value)


def quoted(given: Any) -> str:
    """What was given, short enough to be repeated in a sentence."""
    text = " ".join(str(given).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def choice(given: Any, objects: Any, label: str) -> Any:
    """The one of `objects` that is meant: itself, its slug, or the first words of its slug when those name only one.

    `objects` is a list, or a mapping from names to what they stand for. Raises `ValueError` with the whole list.
    """
    named = dict(objects) if isinstance(objects, Mapping) else {item: item for item in objects}
    if not isinstance(given, list | dict) and given in named:
        return named[given]
    wanted = slug(given)
    exact = [value for item, value in named.items() if slug(item) == wanted]
    begun = [value for item, value in named.items() if slug(item).startswith(f"{wanted}-")]
    for found in (exact, begun):
        if len(found) == 1:
            return found[0]
    offered = "; ".join(str(item) for item in named if not isinstance(item, bool))
    raise ValueError(f"{label} cannot be '{quoted(given)}'; it is one of: {offered}.")


def number(given: Any, label: str, bounds=None, unit: str = "", whole: bool = False) -> float:
    """A number within bounds, from text or from itself. Raises `ValueError` saying what would be right."""
    low, high = bounds or (None, None)
    told = f" {unit}" if unit else ""
    kind = "a whole number" if whole else "a number"
    limits = [f"from {low:.6g}" if low is not None else "", f"to {high:.6g}" if high is not None else ""]
    wanted = " ".join([kind, *filter(None, limits)]) + told
    try:
        value = float(given) if not isinstance(given, bool) else math.nan
    except (TypeError, ValueError):
        value = math.nan
    fits = (low is None or value >= low) and (high is None or value <= high)
    if not (math.isfinite(value) and fits and (not whole or value == int(value))):
        raise ValueError(f"{label} must be {wanted}, not '{quoted(given)}'.")
    return value
