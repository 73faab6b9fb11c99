"""What Lab 4 draws of a training: g(r) against experiment, the loss, the parameters, ΔH_vap, and the table of numbers.

Everything is drawn from tracks: [(name, records), …], at most two, the first solid and blue, the second dashed and
vermillion. So a live training and a replay look the same.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from revmd_app.data import load_water_rdf
from revmd_app.labs.learn_plots_base import Curves, Look
from revmd_app.labs.learn_quantities import PUBLISHED, Quantity
from revmd_app.labs.widgets.look import MUTED, significant
from revmd_app.labs.widgets.plots import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILLION

Tracks = Sequence[tuple[str, Sequence[dict[str, Any]]]]
"""(name, records) of each training; an empty list of records where there is none."""


class Pair(NamedTuple):
    """A pair of species: its name, and the part of its g(r) that is of interest: from where (nm), and how high."""

    words: str
    species: tuple[str, str]
    begins: float
    high: float


PAIRS = {
    "rdf_OO": Pair("O–O", ("O", "O"), 0.22, 3.2),
    "rdf_OH": Pair("O–H", ("O", "H"), 0.13, 1.8),
    "rdf_HH": Pair("H–H", ("H", "H"), 0.17, 1.6),
}
LEAST_REACH = 0.58
TRACK_LOOKS = (Look("", BLUE, "solid", 2.4, 0), Look("", VERMILLION, "dashed", 2.4, 0))
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK, "#8c6d31", "#7f7f7f")
TERMS = {
    "total": ("total", INK, 2.6),
    "rdf_OO": ("g O–O", BLUE, 1.6),
    "rdf_OH": ("g O–H", SKY, 1.6),
    "rdf_HH": ("g H–H", GREEN, 1.6),
    "enthalpy": ("ΔH_vap", ORANGE, 1.6),
    "density_at_pressure": ("density", PURPLE, 1.6),
}
BELOW = 40.0
"""A term that passes through zero must not flatten the others: nothing is shown so far below the least total."""
DASHES = ("solid", "dashed")
MEASURES = {
    "ΔH_vap (kJ/mol)": "enthalpy",
    "Density (g/cm³)": "density",
    "Temperature (K)": "temperature",
}
"""What can be watched beside the loss: its name on the axis, and how a record calls it."""
WANTED = {"density": 0.998}
"""Measured values that are no targets: of water at 295 K and 1 bar."""


class Structure:
    """Three g(r): experiment, the start, and where the trainings are now."""

    def __init__(self, key: str = "live"):
        looks = {
            "experiment": Look("experiment", INK, "solid", 1.4),
            "start": Look("start", MUTED, "dotted", 1.8),
            "first": TRACK_LOOKS[0]._replace(label="first"),
            "second": TRACK_LOOKS[1]._replace(label="second"),
        }
        self.plots = {
            name: Curves("r (nm)", f"g(r) {pair.words}", looks, key=f"{name} {key}", legend="above")
            for name, pair in PAIRS.items()
        }
        known = load_water_rdf()
        for pair, plot in self.plots.items():
            curve = known[PAIRS[pair].species]
            shown = curve.r >= curve.valid_from
            plot.set("experiment", curve.r[shown], curve.g[shown], curve.label)

    def draw(self, tracks: Tracks) -> None:
        """Redraw from the first and the latest record of each track."""
        reach = LEAST_REACH
        for pair, plot in self.plots.items():
            first = next((records[0] for _, records in tracks if records and pair in records[0]["curves"]), None)
            r, g = first["curves"][pair] if first else ([], [])
            plot.set("start", r, g, "start")
            for slot, (name, records) in zip(("first", "second"), _two(tracks), strict=True):
                plot.rename(slot, name or slot)
                r, g = records[-1]["curves"].get(pair, ([], [])) if len(records) > 1 else ([], [])
                plot.set(slot, r, g, f"{name}, epoch {records[-1]['epoch']}" if len(r) else "")
            if first:
                reach = max(reach, min(float(np.max(first["curves"][pair][0])), 0.9))
            _, _, low, high = PAIRS[pair]
            top = max([high, *(1.04 * _highest(plot.sources[n].data, low) for n in plot.sources)])
            plot.fit(x=(low, reach), y=(0.0, top))
            plot.push()


class Losses:
    """The loss and its terms against the epoch, on a logarithmic axis."""

    def __init__(self, key: str = "live"):
        looks = {
            f"{term} {slot}": Look(label, color, DASHES[slot], width, 5 if term == "total" else 3)
            for slot in (0, 1)
            for term, (label, color, width) in TERMS.items()
        }
        self.plot = Curves("epoch", "loss", looks, log=True, key=f"loss {key}")

    def draw(self, tracks: Tracks) -> None:
        """Redraw all of it."""
        for slot, (name, records) in enumerate(_two(tracks)):
            epochs = [r["epoch"] for r in records]
            for term, (label, _, _) in TERMS.items():
                found = [r["loss"] if term == "total" else r["terms"].get(term, (0, 0, np.nan))[2] for r in records]
                counts = term == "total" or any(x > 0 for x in found)
                self.plot.set(f"{term} {slot}", epochs if counts else [], found if counts else [], f"{label}, {name}")
        losses = [r["loss"] for _, records in tracks for r in records]
        y = (min(losses) / BELOW, 1.4 * max(losses)) if losses else None
        self.plot.fit(x=_epochs(tracks), y=y)
        self.plot.push()


class Parameters:
    """Each parameter relative to its start, against the epoch."""

    def __init__(self, key: str = "live"):
        self._slots = [f"p{i}" for i in range(len(COLOURS))]
        looks = {
            f"{p} {slot}": Look(p, COLOURS[i], DASHES[slot], 2.0, 3)
            for slot in (0, 1)
            for i, p in enumerate(self._slots)
        }
        self.plot = Curves("epoch", "parameter / start", looks, key=f"parameters {key}")
        self.plot.level(1.0)

    def draw(self, tracks: Tracks, quantities: Sequence[Quantity]) -> None:
        """Redraw all of it."""
        self.plot.clear(f"{p} {slot}" for p in self._slots[len(quantities) :] for slot in (0, 1))
        for i, quantity in enumerate(quantities[: len(COLOURS)]):
            self.plot.rename(self._slots[i], quantity.label)
            for slot, (name, records) in enumerate(_two(tracks)):
                epochs = [r["epoch"] for r in records]
                ratio = [r["parameters"][quantity.name] / quantity.start for r in records]
                self.plot.set(f"{self._slots[i]} {slot}", epochs, ratio, f"{quantity.label}, {name}")
        self.plot.fit(x=_epochs(tracks), include=(0.98, 1.02))
        self.plot.push()


class Measures:
    """One measured number against the epoch, with its standard error, and the value that is wanted."""

    def __init__(self, key: str = "live"):
        looks = {
            "target": Look("target", MUTED, "dotted", 1.5),
            "first": TRACK_LOOKS[0]._replace(label="first", marker=4, bars=True),
            "second": TRACK_LOOKS[1]._replace(label="second", marker=4, bars=True),
        }
        self.plot = Curves("epoch", next(iter(MEASURES)), looks, key=f"measures {key}", legend="above")

    def draw(self, tracks: Tracks, measure: str) -> None:
        """Redraw all of it; `measure` is one of `MEASURES`."""
        what = MEASURES[measure]
        self.plot.figure.yaxis.axis_label = measure
        target = next((t for _, rs in tracks for t in [wanted(rs, what)] if t is not None), WANTED.get(what))
        for slot, (name, records) in zip(("first", "second"), _two(tracks), strict=True):
            values, errors = ([of(record, what) for record in records] for of in (measured, uncertain))
            self.plot.rename(slot, name or slot)
            self.plot.set(slot, [r["epoch"] for r in records], values, name, errors)
        known = [] if target is None or not any(records for _, records in tracks) else [target]
        words = "".join(f"{'experiment' if what in WANTED else 'target'} {significant(value)}" for value in known)
        self.plot.rename("target", words)
        self.plot.set("target", (1, _last(tracks))[: 2 * len(known)], 2 * known, words)
        self.plot.fit(x=_epochs(tracks))
        self.plot.push()


def measured(record: dict[str, Any], what: str) -> float:
    """A number of a record: of its terms, or of its own; NaN where it has none."""
    if what in record["terms"]:
        return float(record["terms"][what][0])
    return float(record.get(what, np.nan))


def uncertain(record: dict[str, Any], what: str) -> float:
    """The standard error over replicas of what `measured` gives; NaN where there is none."""
    return float(record.get("errors", {}).get(what, np.nan))


def wanted(records: Sequence[dict[str, Any]], what: str) -> float | None:
    """The target of a term, or None."""
    return float(records[-1]["terms"][what][1]) if records and what in records[-1]["terms"] else None


def table(tracks: Tracks, quantities: Sequence[Quantity]) -> str:
    """The numbers as HTML: a column a parameter; rows for the start, where each training is, and published values."""
    head = "".join(f"<th>{html.escape(q.label)}<br><i>{html.escape(q.unit) or '–'}</i></th>" for q in quantities)
    rows = [("start", [q.start for q in quantities], "")]
    for (name, records), colour in zip(_two(tracks), (BLUE, VERMILLION), strict=True):
        if records:
            now = [records[-1]["parameters"][q.name] for q in quantities]
            rows.append((f"{name}, epoch {records[-1]['epoch']}", now, colour))
    rows += [
        (words, [q.published[how] for q in quantities], MUTED)
        for how, words in PUBLISHED.items()
        if all(how in q.published for q in quantities)
    ]
    body = "".join(_row(words, values, colour) for words, values, colour in rows)
    return f"<table class='numbers'><tr><th></th>{head}</tr>{body}</table>"


def _row(words: str, values: Sequence[float], colour: str) -> str:
    cells = "".join(f"<td>{significant(value, 5)}</td>" for value in values)
    style = f" style='color:{colour}'" if colour else ""
    return f"<tr{style}><th>{html.escape(words)}</th>{cells}</tr>"


TABLE_CSS = f"""
table.numbers {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 12px; }}
table.numbers th, table.numbers td {{ padding: 1px 7px; text-align: right; white-space: nowrap; font-weight: normal; }}
table.numbers tr > th:first-child {{ text-align: left; }}
table.numbers tr:first-child th {{ font-weight: 600; line-height: 1.15; border-bottom: 1px solid #d9dfe7; }}
table.numbers i {{ font-weight: normal; font-style: normal; font-size: 10.5px; color: {MUTED}; }}
"""


def _two(tracks: Tracks) -> list[tuple[str, Sequence[dict[str, Any]]]]:
    """Exactly two tracks, empty ones where there are fewer."""
    return [*tracks, ("", []), ("", [])][:2]


def _last(tracks: Tracks) -> int:
    """The last epoch that the plots have room for."""
    return max([6, *(r["epoch"] for _, records in tracks for r in records[-1:])])


def _epochs(tracks: Tracks) -> tuple[float, float]:
    last = _last(tracks)
    return 1 - 0.03 * last, 1.03 * last


def _highest(data: dict[str, Any], beyond: float) -> float:
    """The largest y at x > beyond, 0 when there is none."""
    x, y = np.asarray(data["x"]), np.asarray(data["y"])
    return float(np.max(y[x > beyond], initial=0.0))
