"""Pictures of the comparison: a forest plot of the estimates, their cost beside it, their two parts, and the table."""

from __future__ import annotations

import html
import math
from typing import Any, ClassVar

import numpy as np
import panel as pn
from bokeh.models import BoxAnnotation, ColumnDataSource, FactorRange, HoverTool, LogTicker, Range1d, Span
from bokeh.plotting import figure

from revmd_app.labs.gradients_model import NAMES, GradientsModel
from revmd_app.labs.widgets.look import MUTED, significant
from revmd_app.labs.widgets.plots import BLUE, GREEN, INK, ORANGE, VERMILLION, dress, dress_legend, push

EXACT = ("reversible", "reverse_mode", "checkpointed", "forward_mode", "finite_difference")
"""Estimators of the derivative of this very run; the others estimate that of an average."""
NUDGE = 0.25
FOREST = ("y", "x", "low", "high", "low2", "high2", "color", "marker", "size")
MARKERS = {"finite_difference": "square", "reweighting": "triangle", "path_reweighting": "inverted_triangle"}
"""Of the means; all others are diamonds."""


class Forest:
    """One row an estimator: the gradient of each replica, the mean, one and two standard errors; seconds and memory."""

    def __init__(self, model: GradientsModel):
        self.model = model
        self.rows = FactorRange(factors=["…"])
        self.estimates = ColumnDataSource({k: [] for k in FOREST})
        self.replicas = ColumnDataSource({"y": [], "x": [], "color": []})
        self.costs = ColumnDataSource({k: [] for k in ("y", "seconds", "megabytes", "color")})
        self.x_range = Range1d(-1, 1)
        self.referee = BoxAnnotation(fill_color=GREEN, fill_alpha=0.13, line_color=None, visible=False)
        self.gradient = self._gradient()
        self.seconds = self._cost("seconds", "seconds a replica", (1e-3, 1e2))
        self.memory = self._cost("megabytes", "MB, peak", (1e-1, 1e4))
        self.panes = [pn.pane.Bokeh(p, sizing_mode="stretch_both") for p in (self.gradient, self.seconds, self.memory)]

    def _figure(self, **options):
        return figure(
            y_range=self.rows, toolbar_location=None, tools="", sizing_mode="stretch_both", min_height=180, **options
        )

    def _gradient(self):
        plot = self._figure(x_range=self.x_range)
        dress(plot, "dL/dθ", "")
        plot.add_layout(Span(location=0, dimension="height", line_color=MUTED, line_dash="dotted"))
        plot.add_layout(self.referee)
        plot.scatter("x", "y", source=self.replicas, size=6, color="color", alpha=0.35)
        for low, high, width in (("low2", "high2", 1.5), ("low", "high", 5)):
            plot.segment(low, "y", high, "y", source=self.estimates, line_color="color", line_width=width)
        means = plot.scatter(
            "x", "y", source=self.estimates, size="size", color="color", line_color="white", marker="marker"
        )
        plot.add_tools(HoverTool(renderers=[means], tooltips=[("", "@y"), ("dL/dθ", "@x"), ("− 1 s.e.", "@low")]))
        plot.yaxis.major_label_text_color = INK
        plot.yaxis.major_label_text_font_size = "12px"
        return plot

    def _cost(self, column, label, limits):
        plot = self._figure(x_axis_type="log", x_range=Range1d(*limits))
        dress(plot, label, "")
        plot.xaxis.ticker = LogTicker(desired_num_ticks=3)
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
        self._mark_referee(rows)
        self.costs.data = {
            "y": names,
            "seconds": [row["seconds"] / row["replicas"] for row in rows],
            "megabytes": [row["peak_bytes"] / 1e6 for row in rows],
            "color": [colour(row) for row in rows],
        }
        symbol, unit = self.model.symbol, self.model.gradient_unit
        self.gradient.xaxis.axis_label = f"dL/d{symbol}" + (f"  ({unit})" if unit else "")
        low, high = span(rows)
        self.x_range.update(start=low, end=high)
        for pane in self.panes:
            push(pane)

    def _mark_referee(self, rows) -> None:
        """A green band: the finite difference with two standard errors."""
        judge = next((row for row in rows if row["estimator"] == "finite_difference"), None)
        self.referee.visible = judge is not None
        if judge is not None and judge["gradient"] is not None:
            x, error = judge["gradient"], _size(judge["standard_error"])
            self.referee.update(left=x - 2 * error, right=x + 2 * error)


def colour(row: dict[str, Any]) -> str:
    """Blue: exact for the run. Orange and vermillion: from fluctuations. Green: finite difference."""
    return {"finite_difference": GREEN, "reweighting": VERMILLION, "path_reweighting": ORANGE}.get(
        row["estimator"], BLUE
    )


def forest(rows: list[dict[str, Any]]) -> dict[str, list]:
    """Means with one and two standard errors."""
    data: dict[str, list] = {k: [] for k in FOREST}
    for row in rows:
        x, error = row["gradient"], row["standard_error"]
        if x is None:  # an estimate from the covariance over replicas needs two of them
            continue
        error = _size(error)
        marker = MARKERS.get(row["estimator"], "diamond")
        size = 11 if marker == "diamond" else 9
        means = (NAMES[row["estimator"]], x, x - error, x + error, x - 2 * error, x + 2 * error)
        values = (*means, colour(row), marker, size)
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


def _size(error) -> float:
    return error if error is not None and math.isfinite(error) else 0.0


LONG = 8.0
"""Times the median standard error."""


class Parts:
    """For each estimator that can tell them apart: the explicit part, the response part, and their sum."""

    SHIFTS: ClassVar = {"explicit": 0.22, "response": 0.0, "gradient": -0.22}
    LOOKS: ClassVar = {
        "explicit": ("explicit: θ in the observable", ORANGE, "square"),
        "response": ("response: θ moves the atoms", BLUE, "triangle"),
        "gradient": ("sum", INK, "diamond"),
    }

    def __init__(self, model: GradientsModel):
        self.model = model
        self.rows = FactorRange(factors=["…"])
        self.x_range = Range1d(-1, 1)
        self.sources = {
            part: ColumnDataSource({k: [] for k in ("y", "x", "low", "high")}, name=f"{part} part")
            for part in self.SHIFTS
        }
        self.figure = plot = figure(
            y_range=self.rows, x_range=self.x_range, toolbar_location=None, tools="", sizing_mode="stretch_both"
        )
        dress(plot, "dL/dθ", "")
        plot.add_layout(Span(location=0, dimension="height", line_color=MUTED, line_dash="dotted"))
        for part, (label, tint, marker) in self.LOOKS.items():
            source = self.sources[part]
            plot.segment("low", "y", "high", "y", source=source, line_color=tint, line_width=2.5)
            points = plot.scatter(
                "x", "y", source=source, marker=marker, size=11, color=tint, line_color="white", legend_label=label
            )
            plot.add_tools(HoverTool(renderers=[points], tooltips=[(label, "@x")]))
        plot.add_layout(plot.legend[0], "above")
        dress_legend(plot, "top_left")
        plot.legend[0].orientation = "horizontal"
        plot.legend[0].spacing = 18
        plot.yaxis.major_label_text_color = INK
        plot.yaxis.major_label_text_font_size = "12px"
        self.pane = pn.pane.Bokeh(plot, sizing_mode="stretch_both")

    def draw(self) -> None:
        """Redraw from the model's rows."""
        rows = [r for r in self.model.chosen_rows() if not r["refused"] and None not in (r["explicit"], r["gradient"])]
        long = beyond(rows)
        rows = [row for row in rows if NAMES[row["estimator"]] not in long]
        self.rows.factors = [NAMES[row["estimator"]] for row in rows][::-1] or ["…"]
        ends = [0.0]
        for part, shift in self.SHIFTS.items():
            error_of = "standard_error" if part == "gradient" else f"{part}_error"
            x = [row[part] for row in rows]
            error = [_size(row.get(error_of)) for row in rows]
            low, high = [a - b for a, b in zip(x, error, strict=True)], [a + b for a, b in zip(x, error, strict=True)]
            y = [(NAMES[row["estimator"]], shift) for row in rows]
            self.sources[part].data = {"y": y, "x": x, "low": low, "high": high}
            ends += low + high
        room = 0.08 * ((max(ends) - min(ends)) or 1.0)
        self.x_range.update(start=min(ends) - room, end=max(ends) + room)
        unit = self.model.gradient_unit
        self.figure.xaxis.axis_label = f"dL/d{self.model.symbol}" + (f"  ({unit})" if unit else "")
        push(self.pane)


HEADS = (
    "Estimator",
    "L",
    "dL/dθ",
    "± std. error",
    "explicit",
    "response",
    "time a run",
    "compilation",
    "memory",
    "forces",
    "runs",
)


def table(model: GradientsModel) -> str:
    """The results as an HTML table; a refused estimator gives its reason instead."""
    heads = [h.replace("dL/dθ", f"dL/d{model.symbol}") for h in HEADS]
    units = ["", model.unit, *[model.gradient_unit] * 4, "s", "s", "MB", "", ""]
    top = "".join(
        f"<th style='{CELL};white-space:nowrap;text-align:{'right' if i else 'left'};font-weight:600'>{html.escape(h)}"
        f"<div style='font-weight:400;color:{MUTED};font-size:11px;min-height:13px'>{html.escape(u)}</div></th>"
        for i, (h, u) in enumerate(zip(heads, units, strict=True))
    )
    body = "".join(_row(row) for row in model.chosen_rows())
    if not body:
        words = "No result yet. Results come in one by one."
        body = f"<tr><td colspan='{len(HEADS)}' style='{CELL};color:{MUTED}'>{words}</td></tr>"
    look = "border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums"
    return f"<table style='{look}'><tr>{top}</tr>{body}</table>"


CELL = "padding:2px 6px;border-bottom:1px solid #e6eaf0;font-size:12.5px;white-space:nowrap;vertical-align:bottom"


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
