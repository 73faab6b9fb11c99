"""Oxygen's diffusion before and after a training: `python -m revmd_app.training.evaluate_oxygen RUN`.

Independent runs of the first and the last parameters of a training run of oxygen, each from the prepared liquid at the
run's own temperature, friction and volume: D from the slope of the MSD and from MSD over lag (as the training has it),
and g(r) and the enthalpy of vaporisation of the water, to see that it is still water.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from revmd_app import processor


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a Markdown table of both sets of parameters; returns the exit status."""
    options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("NPROC", "2")
    processor.prepare()
    processor.keep_programs()
    from revmd_app.training.runs import read_run

    replay = read_run(options.run)
    if replay.configuration.task != "oxygen" or not len(replay.metrics):
        raise ValueError(f"'{options.run}' is no training run of oxygen with at least one epoch.")
    rows = {
        f"epoch {int(replay.metrics['epoch'].iloc[at])}": measure(replay, at, options)
        for at in (0, len(replay.metrics) - 1)
    }
    print(table(rows))
    return 0


def measure(replay, at: int, options) -> list[dict[str, Any]]:
    """What each of `options.runs` independent runs of `options.length` ps gives at the parameters of row `at`."""
    import jax
    import numpy as np

    from revmd_app.engine.simulate import advance, simulate
    from revmd_app.gradients.estimate import rebuild
    from revmd_app.observables.transport import self_diffusion
    from revmd_app.training.fit import Training

    training = Training(replay.configuration)
    case, loss = training.case, training.loss
    of_series: Any = loss.terms["diffusion"].of_series
    potential = rebuild(case.potential)(np.asarray(replay.parameters.iloc[at], float))
    dt, every = replay.configuration.system.dt, 200
    n_steps = round(options.length / dt / every) * every

    def one(seed: int) -> dict[str, Any]:
        on_start, on_run = jax.random.split(jax.random.key(options.seed + seed))
        start, _, report = advance(
            case.system, potential, case.settings, case.state, on_start, round(options.equilibration / dt)
        )
        report.check()
        seen = simulate(
            case.system,
            potential,
            case.settings,
            observe=loss.observe,
            n_steps=n_steps,
            sample_every=every,
            key=on_run,
            state=start,
        )
        centres = np.asarray(seen["diffusion"])
        mean = {name: np.mean(np.asarray(seen[name]), axis=0) for name in loss.terms if name != "diffusion"}
        result = {"slope": float(self_diffusion(centres, every * dt).coefficient), "enthalpy": float(mean["enthalpy"])}
        chunk = replay.configuration.run.steps // every  # of the length that the training has
        parts = [of_series(centres[i : i + chunk]) for i in range(0, len(centres) - chunk + 1, chunk)]
        result["over lag"] = float(np.mean(parts))
        for name in ("rdf_OO", "rdf_OH"):
            term = loss.terms[name]
            result[name] = float(np.mean(np.abs(mean[name][term.select] - term.target.values)))
        print(f"row {at}, run {seed + 1}: D {1e3 * result['slope']:.2f}e-9 m²/s", file=sys.stderr, flush=True)
        return result

    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(one, range(options.runs)))


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Means and standard errors over the runs."""
    import numpy as np

    columns = {
        "slope": ("D, slope of the MSD (1e-9 m²/s)", 1e3),
        "over lag": ("D, MSD over lag (1e-9 m²/s)", 1e3),
        "rdf_OO": ("g_OO error", 1.0),
        "rdf_OH": ("g_OH error", 1.0),
        "enthalpy": ("ΔH_vap of the water (kJ/mol)", 1.0),
    }
    lines = ["| parameters | runs | " + " | ".join(title for title, _ in columns.values()) + " |"]
    lines.append("| --- | ---: |" + " ---: |" * len(columns))
    for name, runs in rows.items():
        cells = []
        for key, (_, factor) in columns.items():
            values = factor * np.array([run[key] for run in runs])
            error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
            cells.append(f"{values.mean():.4g} ± {error:.2g}")
        lines.append(f"| {name} | {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m revmd_app.training.evaluate_oxygen", description=__doc__)
    parser.add_argument("run", type=Path, help="directory of a training run of oxygen")
    parser.add_argument("--runs", type=int, default=5, help="independent runs of each set of parameters (default: 5)")
    parser.add_argument("--length", type=float, default=100.0, help="ps of each run (default: 100)")
    parser.add_argument("--equilibration", type=float, default=10.0, help="ps before (default: 10)")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
