"""What Lab 3's studies have found, in words with numbers; and what to say to somebody who guessed beforehand."""

from __future__ import annotations

import math
from typing import Any

from revmd_app.labs.gradients_model import NAMES, GradientsModel
from revmd_app.labs.gradients_plots_compare import beyond
from revmd_app.labs.widgets.look import significant


def within(x: float | None, error: float | None = None, unit: str = "", digits: int = 3) -> str:
    """A number with its standard error and unit, the error in two significant figures: "−1.23 ± 0.04 nm"."""
    if x is None or not math.isfinite(x):
        return "unknown"
    unit = f" {unit}" if unit else ""
    if error is None or not math.isfinite(error) or error <= 0:
        return f"{significant(x, digits)}{unit}"
    if 1e-4 <= max(abs(x), error) < 1e6:
        decimals = min(8, max(0, 1 - math.floor(math.log10(error))))
        return f"{x:.{decimals}f} ± {error:.{decimals}f}{unit}".replace("-", "−")
    return f"{significant(x, digits)} ± {significant(error, 2)}{unit}"


def plural(n: int, what: str) -> str:
    """ "1 set", "25 sets"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}".replace(",", " ")


def compare(model: GradientsModel) -> str:
    """How far the estimators agree with the referee."""
    rows = {r["estimator"]: r for r in model.chosen_rows() if not r["refused"] and r["gradient"] is not None}
    judge = rows.get("finite_difference")
    if judge is None or len(rows) < 2:
        return ""
    exact = [n for n in ("reversible", "reverse_mode", "checkpointed", "forward_mode") if n in rows]
    words = []
    if exact:
        off = max(abs(rows[n]["gradient"] - judge["gradient"]) for n in exact) / max(abs(judge["gradient"]), 1e-300)
        names = " and ".join(filter(None, [", ".join(NAMES[n].lower() for n in exact[:-1]), NAMES[exact[-1]].lower()]))
        verb = "agrees" if len(exact) == 1 else "agree"
        words.append(f"{names.capitalize()} {verb} with the referee to {_percent(off)}.")
    for name in ("reweighting", "path_reweighting"):
        if name in rows:
            words.append(_apart(rows[name], judge))
    if out := beyond(list(rows.values())):
        words.append(f"Beyond the plot: {', '.join(out).lower()}.")
    return " ".join(filter(None, words))


def _apart(row: dict[str, Any], judge: dict[str, Any]) -> str:
    errors = [row["standard_error"], judge["standard_error"]]
    if any(e is None for e in errors) or math.hypot(*errors) == 0:
        return ""
    away = abs(row["gradient"] - judge["gradient"]) / math.hypot(*errors)
    ratio = errors[0] / max(errors[1], 1e-300)
    times = f", with an error bar {significant(ratio, 2)} times as long" if ratio > 1.3 else ""
    return f"{NAMES[row['estimator']]} is {away:.1f} standard errors away{times}."


def _percent(x: float) -> str:
    return f"{significant(100 * x, 2)} %"


def parts(model: GradientsModel) -> str:
    """What share of the gradient goes through the atoms."""
    rows = [r for r in model.chosen_rows() if not r["refused"] and None not in (r["explicit"], r["response"])]
    chosen = next((r for r in rows if r["estimator"] == "reversible"), rows[0] if rows else None)
    if chosen is None:
        return ""
    unit, total = model.gradient_unit, abs(chosen["explicit"]) + abs(chosen["response"])
    share = 100 * abs(chosen["response"]) / total if total else 0.0
    sign = "the same sign" if chosen["explicit"] * chosen["response"] > 0 else "opposite signs"
    if chosen["explicit"] == 0:
        sign = "no explicit part: the observable does not contain θ"
    return (
        f"{NAMES[chosen['estimator']]}: explicit {within(chosen['explicit'], chosen.get('explicit_error'), unit)}, "
        f"response {within(chosen['response'], chosen.get('response_error'), unit)}; {share:.0f} % of their sizes is "
        f"response, and they have {sign}."
    )


def cost(model: GradientsModel) -> str:
    """Where reverse mode meets the limit, and what ours needs there."""
    result = model.studies["cost"].result
    ours = [r for r in result.get("rows", []) if r["method"] == "reversible" and r["bytes"] is not None]
    if not ours:
        return ""
    ours.sort(key=lambda r: r["n_steps"])
    first, last = ours[0], ours[-1]
    words = [
        f"Reversible: {significant(first['bytes'] / 1e6, 3)} MB at {plural(first['n_steps'], 'step')}, "
        f"{significant(last['bytes'] / 1e6, 3)} MB at {plural(last['n_steps'], 'step')}."
    ]
    for method, n in result.get("crossing", {}).items():
        if n is not None and method in ("reverse_mode", "checkpointed"):
            steps = plural(round(n, 1 - math.floor(math.log10(n))), "step")
            words.append(f"{'Reverse mode' if method == 'reverse_mode' else 'Checkpointed'} needs 1 GB at {steps}.")
    return " ".join([*words, *_speeds(result["rows"])])


def _speeds(rows) -> list[str]:
    timed: dict[int, dict[str, float]] = {}
    for r in rows:
        if r["seconds"]:
            timed.setdefault(r["n_steps"], {})[r["method"]] = r["seconds"]
    both = [n for n, found in timed.items() if "reversible" in found and len(found) > 1]
    if not both:
        return []
    n = max(both, key=lambda n: (len(timed[n]), n))
    ours = timed[n]["reversible"]
    others = {"checkpointed": "checkpointing", "reverse_mode": "reverse mode"}
    words = f"At {plural(n, 'step')} it takes {significant(ours, 2)} s"
    if "forward" in timed[n]:
        words += f", {significant(ours / timed[n]['forward'], 2)} times as long as the simulation alone"
    slower = [f"{others[m]} {significant(s / ours, 2)} times" for m, s in timed[n].items() if m in others]
    return [words + (f"; {', '.join(slower)} as long as ours" if slower else "") + "."]


def growth(model: GradientsModel) -> str:
    """The rate of growth, the independent exponent, and the time in which the gradient grows tenfold."""
    result = model.studies["growth"].result
    fit, two, unit = result.get("fit"), result.get("lyapunov"), model.time_unit
    if not fit:
        return "Too short for a slope." if result.get("time") else ""
    words = f"The gradient grows as exp(λ t), λ = {within(fit['slope'], fit['error'])} per {unit}"
    if fit["slope"] > 0:
        words += f": tenfold every {significant(math.log(10) / fit['slope'], 3)} {unit}"
    if two:
        words += f". Two neighbouring runs part with {within(two['slope'], two['error'])} per {unit}"
    return words + "."


def at_marker(model: GradientsModel, place: float) -> str:
    """What the gradient would be if the backward walk were cut at this time."""
    result, name = model.studies["growth"].result, model.parameter_name
    times, means = result.get("time", []), result.get("gradient", {}).get(name, [])
    if not times or not means:
        return ""
    i = min(range(len(means)), key=lambda i: abs(times[i] - place))
    value = within(means[i], result["gradient_error"][name][i], model.gradient_unit)
    steps = result["steps"][i]
    return f"Cut {steps} steps back ({significant(times[i], 3)} {model.time_unit}): dL/d{model.symbol} = {value}."


def grid(model: GradientsModel) -> str:
    """The correlation over the grid."""
    result = model.studies["grid"].result
    fit, n = result.get("fit", {}).get(model.parameter_name), len(result.get("points", []))
    failed = len(result.get("failed", []))
    lost = f" {plural(failed, 'set')} could not be simulated." if failed else ""
    if not fit:
        return (f"{plural(n, 'set')} so far." if n else "") + lost
    interval = f" (95 %: {fit['low']:.2f} to {fit['high']:.2f})" if fit.get("low") is not None else ""
    return (
        f"r = {fit['pearson']:.2f}{interval} over {plural(fit['points'], 'set')}; slope {fit['slope']:.2f}.{lost} "
        "Press a point to take its parameters."
    ).replace("-", "−")


def away(model: GradientsModel) -> str:
    """How far the samples reach, and how wrong the reweighted average is at the ends."""
    result = model.studies["away"].result
    points, ends = result.get("points", []), result.get("trusted")
    if not points:
        return ""
    symbol = model.symbol
    farthest = min(points, key=lambda p: p["ess_fraction"])
    words = (
        f"{plural(result['samples'], 'sample')} at {symbol}₀. At {symbol} = {farthest['factor']:g} {symbol}₀ "
        f"about {max(1, round(farthest['ess']))} of them still "
        f"count{'s' if round(farthest['ess']) <= 1 else ''}."
    )
    if ends:
        low, high = (100 * (end - 1) for end in ends)
        words += f" At least a tenth counts from {low:+.2g} % to {high:+.2g} %."
    off = _farthest_off(points, result.get("direct", []))
    if off:
        words += f" Beside direct simulation it is off by up to {off[1]:.1f} standard errors, at {off[0]:g} {symbol}₀."
    return words.replace("-", "−")


def _farthest_off(points, direct) -> tuple[float, float] | None:
    reweighted = {round(p["factor"], 9): p for p in points}
    found = []
    for d in direct:
        p = reweighted.get(round(d["factor"], 9))
        if p is None or None in (p["loss"], d["loss"]):
            continue
        error = math.hypot(p["loss_error"] or 0.0, d["loss_error"] or 0.0)
        if error > 0:
            found.append((d["factor"], abs(p["loss"] - d["loss"]) / error))
    return max(found, key=lambda f: f[1]) if found else None


def snapshots(model: GradientsModel) -> str:
    """The two losses, their difference and the variance that it is."""
    result = model.studies["snapshots"].result
    rows = {r["of"]: r for r in result.get("rows", [])}
    if "average" not in rows or "snapshots" not in rows:
        return ""
    name, unit = model.parameter_name, model.gradient_unit
    told = lambda of: within(rows[of]["value"], rows[of]["value_error"], model.unit)
    words = f"Loss of the average {told('average')}, mean of the snapshots' losses {told('snapshots')}."
    same = result.get("identity")
    if same:
        kind = "exactly, to round-off" if result.get("exact") else "to second order"
        words += (
            f" They differ by {significant(same['difference'], 4)}; the variance is "
            f"{significant(same['variance'], 4)} ({kind})."
        )
    slope = lambda of: within(rows[of]["gradient"].get(name), rows[of]["gradient_error"].get(name), unit)
    return f"{words} dL/d{model.symbol}: {slope('average')} against {slope('snapshots')}."


def truncation(model: GradientsModel) -> str:
    """Where bias and error together are least."""
    result, name = model.studies["truncation"].result, model.parameter_name
    rows, best = result.get("rows", []), result.get("best", {}).get(name)
    if not rows or best is None:
        return ""
    row = next((r for r in rows if r["truncate"] == best), None)
    if row is None:
        return ""
    unit, longest = model.gradient_unit, rows[-1]
    words = f"Best at {best} steps back: {within(row['mean'][name], row['error'][name], unit)}"
    target = result.get("reference") or {}
    if target.get("gradient", {}).get(name) is not None:
        value = within(target["gradient"][name], target["error"].get(name), unit)
        words += f"; the reference ({target['how']}) is {value}"
    if row["spread"].get(name) and longest["spread"].get(name):
        times = longest["spread"][name] / row["spread"][name]
        words += f". At {longest['truncate']} steps the spread is {significant(times, 2)} times as large"
    return words + "."


WORDS = {
    "compare": compare,
    "cost": cost,
    "growth": growth,
    "parts": parts,
    "grid": grid,
    "away": away,
    "snapshots": snapshots,
    "truncation": truncation,
}


def feedback(model: GradientsModel) -> str:
    """What to say about a guess, once there is a referee; empty without guess or result."""
    row = next((r for r in model.chosen_rows() if not r["refused"] and r["gradient"] is not None), None)
    asked = model.guess_sign != "?" or model.guess_size != "?"
    if row is None or not asked:
        return ""
    x, error = row["gradient"], row["standard_error"] or 0.0
    words = []
    if model.guess_sign != "?":
        words.append(_on_sign(model.guess_sign, x, error))
    if model.guess_size != "?" and x != 0:
        words.append(_on_size(math.log10(abs(x)) - math.log10(model.guess_size)))
    return f"{' '.join(words)} {hint(model, row)}".strip()


def _on_sign(guess: str, x: float, error: float) -> str:
    if abs(x) < 2 * error:
        return "The sign cannot be told: the gradient lies within two standard errors of zero."
    sign = "positive" if x > 0 else "negative"
    return f"The sign is right: {sign}." if guess == sign else f"The sign is {sign}, not {guess}."


def _on_size(orders: float) -> str:
    if abs(orders) <= 0.5:
        return "The size is right."
    times = "ten times" if abs(orders) < 1.5 else f"10^{abs(orders):.0f} times"
    return f"It is about {times} {'larger' if orders > 0 else 'smaller'} than you thought."


def hint(model: GradientsModel, row: dict[str, Any]) -> str:
    """Why the number is what it is, for the cases in which that can be said in a sentence."""
    field, value = model.knob.key.split(".")[1], row["value"]
    if not model.knob.of_pair:
        return ""
    now = model.values[model.knob.key]
    if model.loss == "Potential energy" and field == "epsilon" and model.case.name != "water":
        return f"U is ε times a function of the positions, so dU/dε is near U/ε = {significant(value / now, 3)}."
    larger = {
        "Pressure": ("larger atoms in the same box push harder", 1),
        "Diffusion coefficient": ("larger atoms in the same box get out of each other's way less easily", -1),
        "Diffusion from the MSD": ("larger atoms in the same box get out of each other's way less easily", -1),
        "Mean squared displacement": ("larger atoms in the same box get less far", -1),
        "g(r) against the reference": (_on_best(now, model.knob.value), 1 if now > model.knob.value else -1),
    }
    why, sign = larger.get(model.loss, ("", 0)) if field == "sigma" else ("", 0)
    clear = abs(row["gradient"]) > 2 * (row["standard_error"] or 0.0) and row["gradient"] * sign > 0
    return f"The reason: {why}." if why and clear else ""


def _on_best(now: float, best: float) -> str:
    side = "above" if now > best else "below"
    return f"σ stands {side} the value that fits, so the misfit grows when σ is {'in' if now > best else 'de'}creased"
