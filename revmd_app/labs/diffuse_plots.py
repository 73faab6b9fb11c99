"""The plots of Lab 5: displacement and D while the oxygen moves, D epoch by epoch, and variance against length."""

from __future__ import annotations

from typing import Any

import numpy as np

from revmd_app.gradients.studies.dynamics import SCORE, WHOLE
from revmd_app.labs.diffuse_model import SI, DiffuseModel
from revmd_app.labs.gradients_plots_base import Series, StatPlot
from revmd_app.labs.widgets.plots import BLUE, GREEN, MUTED, ORANGE, PURPLE, SKY, VERMILLION

DIFFUSION = "D (10⁻⁹ m²/s)"
CUTS = (GREEN, PURPLE, SKY)


class LivePlots:
    """The mean squared displacement with its line, and D against the length of the run."""

    def __init__(self, model: DiffuseModel):
        self.model = model
        msd = {
            "band": Series("", BLUE, "", "", band=True),
            "msd": Series("measured", BLUE, "", "solid", width=2.5),
            "fit": Series("fit", VERMILLION, "", "solid", width=2.0),
            "target": Series("target", MUTED, "", "dashed"),
        }
        self.msd = StatPlot("lag (ps)", "⟨|r(t) − r(0)|²⟩ (nm²)", msd, min_height=120, key="msd")
        d = {
            "band": Series("", BLUE, "", "", band=True),
            "d": Series("D ± 1 standard error", BLUE, "", "solid", width=2.5),
            "target": Series("target", MUTED, "", "dashed"),
        }
        self.d = StatPlot("length of the run (ps)", DIFFUSION, d, min_height=120, key="d")
        self.plots = {"displacement": self.msd, "diffusion": self.d}

    def draw(self) -> None:
        """Show the latest frame."""
        model, frame = self.model, self.model.frame
        times, values, errors = (np.asarray(frame["msd"][k]) if frame else np.zeros(0) for k in _MSD)
        errors = np.where(np.isfinite(errors), errors, 0.0)
        put(self.msd, "band", "measured, with its standard error", times, values, errors)
        put(self.msd, "msd", "measured", times, values)
        fit = frame["fit"] if frame else None
        ends = np.array(fit.window) if fit else np.zeros(0)
        put(self.msd, "fit", "fit", ends, fit.intercept + 6 * fit.coefficient * ends if fit else ends)
        last = np.array([0.0, times[-1]]) if len(times) else np.zeros(0)
        put(self.msd, "target", "target", last, 6 * model.target / SI * last)
        self.msd.fit(include_y=(0.0,) if len(times) else (0.0, 0.02))
        t, d, error = model.history()
        keep = np.isfinite(error)
        put(self.d, "band", "D, with its standard error", t[keep], d[keep], error[keep])
        put(self.d, "d", "D", t, d)
        span = np.array([t[0], t[-1]]) if len(t) else np.zeros(0)
        put(self.d, "target", "target", span, np.full(len(span), model.target))
        self.d.fit(include_y=(0.0, model.target))
        self.msd.push()
        self.d.push()


_MSD = ("times", "values", "errors")


def put(plot: StatPlot, name: str, words: str, x, y, error=None) -> None:
    """Replace a series; `words` say what it is where its numbers are saved."""
    plot.set(name, x, y, error, what=np.full(len(x), words, dtype=object))


class TrainPlots:
    """D and the loss, epoch by epoch."""

    def __init__(self, model: DiffuseModel):
        self.model = model
        d = {
            "d": Series("D ± error", BLUE, "circle", "solid"),
            "target": Series("target", MUTED, "", "dashed"),
        }
        self.d = StatPlot("epoch", DIFFUSION, d, min_height=110, key="epochs")
        self.loss = StatPlot(
            "epoch", "loss", {"loss": Series("", VERMILLION, "circle", "solid")}, log="y", min_height=110, key="loss"
        )
        self.plots = {"diffusion by epoch": self.d, "loss by epoch": self.loss}

    def draw(self) -> None:
        """Show the epochs so far."""
        rows = self.model.train.result.get("epochs", [])
        number = np.array([row["epoch"] for row in rows], float)
        put(self.d, "d", "D of the epoch", number, *([SI * row[key] for row in rows] for key in ("diffusion", "error")))
        computed = self.model.train.computed or {}
        ends = np.array([1.0, max(2.0, computed.get("epochs", self.model.epochs))])
        asked = computed.get("target", self.model.target)
        put(self.d, "target", "target", ends, np.full(len(ends), asked))
        self.d.fit(include_y=(0.0,))
        put(self.loss, "loss", "loss", number, [row["loss"] for row in rows])
        self.loss.fit()
        for axis in (self.d.x_range, self.loss.x_range):  # room for the epochs to come
            start, end = 1 - 0.03 * ends[1], 1.03 * ends[1]
            axis.update(start=start, end=end, reset_start=start, reset_end=end)
        for plot in (self.d, self.loss):
            plot.push()


class StudyPlots:
    """The variance of each estimator's gradient from one run, and its mean, against the length of the run."""

    def __init__(self, model: DiffuseModel):
        self.model = model
        looks = {
            "score": Series("path weights", ORANGE, "square", "solid"),
            "whole": Series("whole", VERMILLION, "circle", "solid"),
            # a word of its own each: series with the same one would share an entry of the legend
            **{f"cut{k}": Series(f"cut {k}", CUTS[k], "triangle", "solid", size=7) for k in range(len(CUTS))},
        }
        first, second = (  # the legend is shared by the two plots: one would be too narrow for all of it
            {key: look if key.startswith("cut") is cuts else look._replace(label="") for key, look in looks.items()}
            for cuts in (False, True)
        )
        x_label = "length of the run (ps)"
        self.variance = StatPlot(x_label, "var dD/dθ", first, log="y", min_height=120, key="variance")
        self.mean = StatPlot(x_label, "mean dD/dθ", second, min_height=120, key="mean")
        self.mean.zero_line("width")
        self.mean.figure.legend[0].update(spacing=6, glyph_width=16, label_standoff=3)
        self.plots = {"variance": self.variance, "mean": self.mean}

    def draw(self) -> None:
        """Show the runs so far."""
        model, result = self.model, self.model.study.result
        methods = result.get("methods", {})
        knob = next((k for k in model.knobs if model.name_of(k) == model.parameter), None)
        leaf = model.leaf_of(knob) if knob else ""
        symbol = model.parameter or "θ"
        self.variance.title(y=f"var dD/d({symbol})")
        self.mean.title(y=f"mean dD/d({symbol})")
        cuts = [label for label in methods if label not in (SCORE, WHOLE)]
        names = {"score": SCORE, "whole": WHOLE} | {f"cut{k}": label for k, label in enumerate(cuts[: len(CUTS)])}
        time = np.array(result.get("time", []))
        for key in self.variance.series:
            found = methods.get(names.get(key, ""), {})
            variance, mean, error = (_of(found, column, leaf, len(time)) for column in _COLUMNS)
            words = names.get(key, key)
            put(self.variance, key, words, time, SI**2 * variance)
            put(self.mean, key, words, time, SI * mean, SI * error)
            if key.startswith("cut") and key in names:
                self.mean.rename(key, names[key].removeprefix("reversible, ").replace("steps", "back"))
        self.variance.fit(decades=12)
        self.mean.fit()
        for plot in (self.variance, self.mean):
            plot.push()


_COLUMNS = ("variance", "mean", "error")


def _of(found: dict[str, Any], column: str, leaf: str, n: int) -> np.ndarray:
    values = found.get(column, {}).get(leaf)
    return np.full(n, np.nan) if values is None else np.array([np.nan if x is None else x for x in values], float)
