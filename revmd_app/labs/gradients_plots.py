"""The pictures of Lab 3: a forest plot of the estimates, their cost beside it, and the table below."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, FactorRange, Range1d, Span
from bokeh.plotting import figure

from revmd_app.labs.gradients_model import NAMES, GradientsModel
from revmd_app.labs.widgets.look import MUTED, significant
from revmd_app.labs.widgets.plots import BLUE, GREEN, INK, ORANGE, VERMILLION, dress, push

EXACT = ("reversible", "reverse_mode", "checkpointed", "forward_mode", "finite_difference")
"""Estimators of the derivative of this very run; the others estimate that of an average."""
NUDGE = 0.25


class Forest:
    """One row an estimator: the gradient of each replica, the mean, one and two standard errors; seconds and memory."""

    def __init__(self, model: GradientsModel):
        self.model = model
        self.rows = FactorRange(factors=["…"])
        self.estimates = ColumnDataSource({k: [] for k in ("y", "x", "low", "high", "low2", "high2", "color")})
        self.replicas = ColumnDataSource({"y": [], "x": [], "color": []})
        self.costs = ColumnDataSource({k: [] for k in ("y", "seconds", "megabytes", "color")})
        self.x_range = Range1d(-1, 1)
        self.gradient = self._gradient()
        self.seconds = self._cost("seconds", "seconds a replica (log scale)", (1e-3, 1e2))
        self.memory = self._cost("megabytes", "peak memory in MB (log scale)", (1e-1, 1e4))
        self.panes = [pn.pane.Bokeh(p, sizing_mode="stretch_both") for p in (self.gradient, self.seconds, self.memory)]

    def _figure(self, **options):
        return figure(
            y_range=self.rows, toolbar_location=None, tools="", sizing_mode="stretch_both", min_height=180, **options
        )

    def _gradient(self):
        plot = self._figure(x_range=self.x_range)
        dress(plot, "dL/dθ", "")
        plot.add_layout(Span(location=0, dimension="height", line_color=MUTED, line_dash="dotted"))
        plot.scatter("x", "y", source=self.replicas, size=6, color="color", alpha=0.35)
        for low, high, width in (("low2", "high2", 1.5), ("low", "high", 5)):
            plot.segment(low, "y", high, "y", source=self.estimates, line_color="color", line_width=width)
        plot.scatter("x", "y", source=self.estimates, size=11, color="color", line_color="white", marker="diamond")
        plot.yaxis.major_label_text_color = INK
        plot.yaxis.major_label_text_font_size = "12px"
        return plot

    def _cost(self, column, label, limits):
        plot = self._figure(x_axis_type="log", x_range=Range1d(*limits))
        dress(plot, label, "")
        plot.hbar("y", height=0.5, left=limits[0], right=column, source=self.costs, color="color", alpha=0.85)
        plot.yaxis.visible = False
        return plot

    def draw(self) -> None:
        """Redraw from the model's rows."""
        rows = [row for row in self.model.chosen_rows() if not row["refused"]]
        names = [NAMES[row["estimator"]] for row in rows]
        asked = [NAMES[name] for name in self.model.param.estimators.objects if name in self.model.estimators]
        self.rows.factors = list(dict.fromkeys(asked + names))[::-1] or ["…"]
        self.estimates.data = forest(rows)
        self.replicas.data = scatter(rows)
        self.costs.data = {
            "y": names,
            "seconds": [row["seconds"] / row["replicas"] for row in rows],
            "megabytes": [row["peak_bytes"] / 1e6 for row in rows],
            "color": [colour(row) for row in rows],
        }
        symbol, unit = self.model.parameter, self.model.gradient_unit
        self.gradient.xaxis.axis_label = f"dL/d{symbol}" + (f"  ({unit})" if unit else "")
        low, high = span(rows)
        self.x_range.update(start=low, end=high)
        for pane in self.panes:
            push(pane)


def colour(row: dict[str, Any]) -> str:
    """Blue: exact for the run. Orange and vermillion: from fluctuations. Green: finite difference."""
    return {"finite_difference": GREEN, "reweighting": VERMILLION, "path_reweighting": ORANGE}.get(
        row["estimator"], BLUE
    )


def forest(rows: list[dict[str, Any]]) -> dict[str, list]:
    """Means with one and two standard errors."""
    data: dict[str, list] = {k: [] for k in ("y", "x", "low", "high", "low2", "high2", "color")}
    for row in rows:
        x, error = row["gradient"], row["standard_error"]
        error = error if error is not None and math.isfinite(error) else 0.0
        values = (NAMES[row["estimator"]], x, x - error, x + error, x - 2 * error, x + 2 * error, colour(row))
        for key, value in zip(data, values, strict=True):
            data[key].append(value)
    return data


def scatter(rows: list[dict[str, Any]]) -> dict[str, list]:
    """The gradient of each replica, a little below its estimator's line."""
    points = [((NAMES[row["estimator"]], -NUDGE), x, colour(row)) for row in rows for x in row["samples"]]
    return {"y": [p[0] for p in points], "x": [p[1] for p in points], "color": [p[2] for p in points]}


def span(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """A range that holds zero and the estimates with two standard errors, but for those that `beyond` names."""
    out = beyond(rows)
    data = forest([row for row in rows if NAMES[row["estimator"]] not in out])
    values = np.array([0.0, *data["low2"], *data["high2"]])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    room = 0.08 * ((high - low) or 1.0)
    return low - room, high + room


def beyond(rows: list[dict[str, Any]]) -> list[str]:
    """Estimators with error bars so long that the others could not be told apart on one axis: the plot says so."""
    errors = {NAMES[r["estimator"]]: r["standard_error"] for r in rows if not r["refused"]}
    known = [e for e in errors.values() if e is not None and math.isfinite(e)]
    return [name for name, e in errors.items() if e is not None and e > LONG * float(np.median(known))] if known else []


LONG = 8.0
"""Times the median standard error."""


HEADS = (
    "Estimator",
    "L",
    "dL/dθ",
    "± standard error",
    "explicit part",
    "response part",
    "time a replica",
    "time to compile",
    "peak memory",
    "force evaluations",
    "replicas",
)


def table(model: GradientsModel) -> str:
    """The results as an HTML table; a refused estimator gives its reason instead."""
    heads = [h.replace("dL/dθ", f"dL/d{model.parameter}") for h in HEADS]
    units = ["", model.unit, *[model.gradient_unit] * 4, "s", "s", "MB", "", ""]
    top = "".join(
        f"<th style='{CELL};white-space:normal;text-align:{'right' if i else 'left'};font-weight:600'>{html.escape(h)}"
        f"<div style='font-weight:400;color:{MUTED};font-size:11px;min-height:13px'>{html.escape(u)}</div></th>"
        for i, (h, u) in enumerate(zip(heads, units, strict=True))
    )
    body = "".join(_row(row) for row in model.chosen_rows())
    if not body:
        words = "Press Compare. Results come in one by one."
        body = f"<tr><td colspan='{len(HEADS)}' style='{CELL};color:{MUTED}'>{words}</td></tr>"
    look = "border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums"
    return f"<table style='{look}'><tr>{top}</tr>{body}</table>"


CELL = "padding:4px 7px;border-bottom:1px solid #e6eaf0;font-size:12.5px;white-space:nowrap;vertical-align:bottom"


def _row(row: dict[str, Any]) -> str:
    name = f"<td style='{CELL};border-left:4px solid {colour(row)}'>{NAMES[row['estimator']]}</td>"
    if row["refused"]:
        why, wide = html.escape(row["refused"]), len(HEADS) - 1
        return (
            f"<tr>{name}<td colspan='{wide}' style='{CELL};white-space:normal;color:#8a2f00'>refused: {why}</td></tr>"
        )
    cells = [
        _number(row["value"]),
        f"<b>{_number(row['gradient'])}</b>",
        f"± {_number(row['standard_error'])}",
        _number(row["explicit"]),
        _number(row["response"]),
        _number(row["seconds"] / row["replicas"], 3),
        _number(row["compile_seconds"], 2),
        _number(row["peak_bytes"] / 1e6, 3),
        f"{row['force_evaluations']:,}".replace(",", " "),
        str(row["replicas"]),
    ]
    return f"<tr>{name}" + "".join(f"<td style='{CELL};text-align:right'>{cell}</td>" for cell in cells) + "</tr>"


def _number(x, digits: int = 4) -> str:
    return "—" if x is None or not math.isfinite(x) else significant(x, digits)
