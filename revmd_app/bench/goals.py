"""What the project asks of itself, next to what was measured: met or missed, with the number."""

from __future__ import annotations

from typing import NamedTuple

from revmd_app.bench.contest import JAX_MD, OPENMM, OURS
from revmd_app.bench.records import App, Contest, Growth, Results


class Goal(NamedTuple):
    """A promise: `value` is None where it was not measured."""

    what: str
    asked: str
    value: float | None
    unit: str
    met: bool


def goals(results: Results) -> list[Goal]:
    """Every goal that these results say something about."""
    found = []
    for contest in results.contests:
        if contest.cores == 1:
            found += _of_contest(contest)
    found += _of_growth(results.growth)
    if results.app is not None:
        found += _of_app(results.app)
    return [goal for goal in found if goal.value is not None]


def at_most(what: str, limit: float, value: float | None, unit: str) -> Goal:
    """A value that shall not exceed a limit."""
    return Goal(what, f"≤ {limit:g} {unit}".strip(), value, unit, value is not None and value <= limit)


def at_least(what: str, limit: float, value: float | None, unit: str) -> Goal:
    """A value that shall reach a limit."""
    return Goal(what, f"≥ {limit:g} {unit}".strip(), value, unit, value is not None and value >= limit)


def _of_contest(contest: Contest) -> list[Goal]:
    name = contest.system
    cost = _ratio(contest, OURS, "gradient reversible")
    reverse, checkpointed = (_ratio(contest, OURS, f"gradient {how}") for how in ("reverse_mode", "checkpointed"))
    found = [
        at_most(f"{name}: value and gradient, over the forward run", 4.0, cost, ""),
        at_least(f"{name}: gradient, faster than jax.grad of the same steps", 8.0, _over(reverse, cost), "×"),
        at_least(f"{name}: gradient, faster than √n checkpointing", 2.0, _over(checkpointed, cost), "×"),
    ]
    if name in ("argon 1000", "water 216"):
        by_custom, by_own = (_ratio(contest, OPENMM, f"forward {h}") for h in ("shifted", "built-in"))
        found += [
            at_least(f"{name}: forward, faster than jax-md", 10.0, _ratio(contest, JAX_MD, "forward shifted"), "×"),
            at_least(f"{name}: forward, faster than OpenMM's CPU platform (custom force)", 1.5, by_custom, "×"),
            at_least(f"{name}: forward, faster than OpenMM's CPU platform (its own force)", 1.5, by_own, "×"),
        ]
    return found


def _ratio(contest: Contest, contender: str, program: str) -> float | None:
    row = contest.row(contender, program)
    if row is None or (contender == OPENMM and "Reference" in row.about.get("name", "")):
        return None  # the goals are about OpenMM at its best
    return row.ratio


def _over(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a / b


def _of_growth(growth: list[Growth]) -> list[Goal]:
    ours = {g.steps: g.bytes for g in growth if g.method == "reversible"}
    if len(ours) < 2:
        return []
    short, long = min(ours), max(ours)
    return [at_most(f"memory of the gradient, {long:,} steps over {short:,}", 1.1, ours[long] / ours[short], "")]


def _of_app(app: App) -> list[Goal]:
    found = [
        at_most("first moving frame with a warm compile cache", 8.0, app.starts.get("first moving frame, warm"), "s")
    ]
    found += [at_most(x.name, x.bar, x.median, "ms") for x in app.latencies if x.bar is not None]
    found += [
        at_least(f"{frames.system}: frames applied a second", 20.0, frames.applied, "")
        for frames in app.frames
        if "500" in frames.system
    ]
    if app.memory:
        last = app.memory[-1]
        held = last.rss if last.pss is None else last.pss
        found.append(at_most(f"memory of the app {last.after}", 1000, held / 1e6, "MB"))
    return found
