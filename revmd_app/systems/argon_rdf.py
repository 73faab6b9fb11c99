"""The reference g(r) of argon: a long run of Rahman's model with a long cutoff, by `revmd prepare --reference`.

Measured g(r) of liquid argon exists (Yarnell et al. 1973); this table is not it, and everything that shows it says
so. Rahman had 864 atoms for 10 ps (Phys. Rev. 136, A405, 1964); here are 864 atoms for 240 ps, and a cutoff of 4
sigma instead of 2.25.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from revmd_app.data.reference import ARGON_RDF
from revmd_app.engine.simulate import advance
from revmd_app.observables.structure import bin_centres, rdf_histogram
from revmd_app.potentials.pair import LennardJones
from revmd_app.systems.argon import EPSILON, SIGMA, argon
from revmd_app.systems.prepare import equilibrate, method, versions

N_ATOMS = 864
CUTOFF = 4 * SIGMA
N_FRAMES, STEPS_PER_FRAME, N_BLOCKS = 1200, 50, 12
R_MAX, N_BINS = 1.5, 300


def write_reference(folder: Path) -> Path:
    """Run, and write the table (r in nm, g, its standard error) with a JSON file beside it that says how."""
    begin = time.perf_counter()
    case, frames = _run()
    blocks = frames.reshape(N_BLOCKS, -1, N_BINS).mean(axis=1)
    error = blocks.std(axis=0, ddof=1) / np.sqrt(N_BLOCKS)
    seconds = time.perf_counter() - begin
    path = folder / ARGON_RDF
    rows = np.stack([bin_centres(R_MAX, N_BINS), blocks.mean(axis=0), error], axis=1)
    lines = [
        "# g(r) of Rahman's model of liquid argon (Phys. Rev. 136, A405, 1964): a simulation, not an experiment.",
        "# Made by: revmd prepare --reference (see the JSON file beside this one).",
        "# Columns: r in nm, the centre of a 0.005 nm bin; g; its standard error from blocks of 20 ps.",
        "r,g,error",
        *(f"{r:.4f},{g:.5f},{e:.5f}" for r, g, e in rows),
    ]
    path.write_text("\n".join(lines) + "\n")
    record = {"command": "revmd prepare --reference", "method": _method(case), "seconds": round(seconds, 1)}
    path.with_suffix(".json").write_text(json.dumps(record | {"versions": versions()}, indent=1) + "\n")
    print(f"{seconds:.0f} s, written to {path}", flush=True)
    return path


def _run():
    """(the equilibrated case, (frames, bins) histograms)."""
    start = argon(N_ATOMS)
    long_range = LennardJones(sigma=SIGMA, epsilon=EPSILON, cutoff=CUTOFF)
    case = equilibrate(replace(start, potential=long_range))
    state, frames = case.state, []
    key = jax.random.key(case.recipe["seed"] + 1)
    for _ in range(N_FRAMES):
        state, _, report = advance(case.system, case.potential, case.settings, state, key, STEPS_PER_FRAME)
        report.check()
        snapshot = case.with_state(state).snapshot()
        frames.append(np.asarray(rdf_histogram(snapshot, r_max=R_MAX, n_bins=N_BINS)))
    return case, np.array(frames)


def _method(case) -> str:
    dt = float(case.settings.dt)
    return (
        f"{N_ATOMS} atoms, sigma {SIGMA} nm, eps/k 120 K, force-shifted at {CUTOFF:.2f} nm, 1.374 g/cm^3, 94.4 K. "
        f"{method(case)}. Then {N_FRAMES} frames, one every {STEPS_PER_FRAME * dt:g} ps, "
        f"friction {float(case.settings.friction):g}/ps."
    )
