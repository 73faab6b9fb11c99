"""What a sweep says, in tables: how far two gradients agree, how much each varies, and what truncation does to one.

Gradients are scaled as a trainer scales them, p dL/dp = dL/dln p, so that parameters of any unit can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from revmd_app.sweeps.plan import Sweep
from revmd_app.sweeps.summary_water import evaluated, trained

if TYPE_CHECKING:
    import pandas as pd


def summary(sweep: Sweep, rows: pd.DataFrame) -> str:
    """The summary of a sweep as text."""
    good, bad = succeeded(rows), failures(rows)
    lines = [f"{good['point'].nunique():,} points with a result, {len(bad):,} without."]
    lines += [f"  {n:,} times: {reason}" for reason, n in bad["failed"].value_counts().items()]
    if len(good):
        for title, table in tables(sweep, rows).items():
            lines += ["", title, table.to_string(index=False, float_format=lambda x: f"{x:.4g}")]
    return "\n".join(lines)


def succeeded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of points with a result."""
    return rows[rows["failed"] == ""]


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each point that has none, with the reason under `failed`."""
    return rows[rows["failed"] != ""]


def tables(sweep: Sweep, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Title: table, for what this sweep holds."""
    good = succeeded(rows)
    if sweep.task == "train":
        return {"Trainings, mean over the repeats ± standard error; the end is the last tenth": trained(sweep, good)}
    if sweep.task == "evaluate":
        return {"Validation runs, mean over the repeats ± standard error": evaluated(sweep, good)}
    found = {}
    if compares(sweep, good):
        found["Reversible against reweighting, over the sets of parameters"] = agreement(sweep, good)
    if compares(sweep, good) and repeated(good):
        found["Standard deviation of one run's p dL/dp: median over the sets"] = spreads(sweep, good)
    found["|p dL/dp| by truncation: quartiles over the sets"] = by_truncation(good)
    return found


def compares(sweep: Sweep, rows: pd.DataFrame) -> bool:
    """Whether both methods are there, at three sets of parameters at least."""
    return set(rows["method"]) >= {"reversible", "reweighting"} and len(rows[list(sweep.grid)].drop_duplicates()) > 2


def repeated(rows: pd.DataFrame) -> bool:
    """Whether a set of parameters has more than one run."""
    return rows["replica"].nunique() > 1


def longest(rows: pd.DataFrame) -> int:
    """The longest truncation of the reversible gradients."""
    return int(rows["truncate"].max())


def scaled(rows: pd.DataFrame, part: str = "whole") -> pd.Series:
    """p dL/dp of each row, or of its "explicit" or "response" part."""
    chosen = {"whole": rows["gradient"], "explicit": rows["explicit"], "response": rows["gradient"] - rows["explicit"]}
    return chosen[part] * rows["value"]


def paired(sweep: Sweep, rows: pd.DataFrame, parameter: str, part: str = "whole") -> pd.DataFrame:
    """Columns "reversible" (longest truncation) and "reweighting": p dL/dp of each set, mean over the replicas."""
    return wide(sweep, rows, parameter, part).groupby(level=list(range(len(sweep.grid)))).mean()


def wide(sweep: Sweep, rows: pd.DataFrame, parameter: str, part: str = "whole") -> pd.DataFrame:
    """Columns "reversible" and "reweighting" with one row a run, indexed by the grid and the replica."""
    chosen = rows[(rows["parameter"] == parameter) & (rows["truncate"].isna() | (rows["truncate"] == longest(rows)))]
    chosen = chosen.assign(scaled=scaled(chosen, part))
    return chosen.pivot(index=[*sweep.grid, "replica"], columns="method", values="scaled")


def agreement(sweep: Sweep, rows: pd.DataFrame) -> pd.DataFrame:
    """Per parameter: Pearson's r with its 95 % interval, slope, and how often the signs agree.

    The explicit part is common to both methods; `r response` correlates what is left, where they differ.
    """
    import pandas as pd

    from revmd_app.gradients.studies.scatter import correlation

    found: list[dict[str, Any]] = []
    for parameter in rows["parameter"].unique():
        both = paired(sweep, rows, parameter)
        response = paired(sweep, rows, parameter, "response")
        fit = correlation(both["reweighting"], both["reversible"])
        rest = correlation(response["reweighting"], response["reversible"])
        signs = np.sign(both["reweighting"]) == np.sign(both["reversible"])
        found.append(
            {
                "parameter": parameter,
                "sets": len(both),
                "r": fit.pearson,
                "r low": fit.low,
                "r high": fit.high,
                "slope": fit.slope,
                "same sign": signs.mean(),
                "r response": rest.pearson,
                "slope response": rest.slope,
            }
        )
    return pd.DataFrame(found)


def spreads(sweep: Sweep, rows: pd.DataFrame) -> pd.DataFrame:
    """Per parameter: the standard deviation over replicas of both methods, the median over the sets, and their ratio.

    `signal` is the median of |p dL/dp|, of the mean of both methods.
    """
    import pandas as pd

    found = []
    for parameter in rows["parameter"].unique():
        runs = wide(sweep, rows, parameter)
        by_set = runs.groupby(level=list(range(len(sweep.grid))))
        spread = by_set.std(ddof=1).dropna()
        median = spread.median()
        ratio = (spread["reweighting"] / spread["reversible"]).median()
        found.append(
            {
                "parameter": parameter,
                "signal": by_set.mean().mean(axis=1).abs().median(),
                "reversible": median["reversible"],
                "reweighting": median["reweighting"],
                "ratio of medians": median["reweighting"] / median["reversible"],
                "median ratio": ratio,
                "quieter: reversible": (spread["reversible"] < spread["reweighting"]).mean(),
            }
        )
    return pd.DataFrame(found)


def by_truncation(rows: pd.DataFrame) -> pd.DataFrame:
    """Per parameter and truncation length: quartiles and the largest of |p dL/dp|, and of its response part."""
    import pandas as pd

    found = []
    chosen = rows[rows["method"] == "reversible"]
    kinds: Any = chosen.groupby(["parameter", "truncate"], sort=False)
    for (parameter, length), group in kinds:
        whole, response = scaled(group).abs(), scaled(group, "response").abs()
        low, median, high = np.nanpercentile(whole, [25, 50, 75])
        found.append(
            {
                "parameter": parameter,
                "truncate": int(length),
                "runs": len(group),
                "lower quartile": low,
                "median": median,
                "upper quartile": high,
                "largest": whole.max(),
                "median response": response.median(),
            }
        )
    return pd.DataFrame(found)
