"""`revmd evaluate`: force fields, published or of a training run, against experiment, with runs kept in a file.

A file of runs is JSON: the protocol, the versions and the machine, and one entry a run. It is written anew after each
run, whole or not at all; the same command goes on from it, and runs that it holds are not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from revmd_app import processor
from revmd_app.checks import check_number
from revmd_app.data import load_water_rdf
from revmd_app.engine.simulate import SimulationError
from revmd_app.files import write_whole
from revmd_app.systems.force_fields import PRESETS, ForceField, force_field
from revmd_app.systems.prepare import versions
from revmd_app.training.evaluate import (
    COMPARED_FROM,
    DENSITY,
    ENTHALPY,
    PAIRS,
    PROTOCOLS,
    Evaluation,
    Property,
    Protocol,
    known_protocol,
    measure,
    starting_liquid,
    summary,
)
from revmd_app.training.runs import read_run

FAILED = 1
TELL_EVERY = 10.0
"""Seconds between lines of progress."""


def main(arguments: Sequence[str] | None = None) -> int:
    """`revmd evaluate`: run what is missing, print the table. Returns the exit status."""
    options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    fields = {field.name: field for field in map(chosen_field, options.fields)}
    protocol = chosen_protocol(options.protocol, options.cutoff)
    for name, value in {"--runs": options.runs, "--threads": options.threads}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}.")
    os.environ.setdefault("NPROC", str(options.threads))  # of XLA's own threads: each runs one program at a time
    processor.prepare()
    kept = RunFile(options.json, protocol)
    wanted = [(field, options.seed + k) for k in range(options.runs) for field in fields.values()]
    missing = [(field, seed) for field, seed in wanted if (field.name, seed) not in kept]
    try:
        if missing:
            _run_all(missing, protocol, kept, options.threads)
    except SimulationError as error:
        print(f"revmd: {error}", file=sys.stderr)
        return FAILED
    evaluations = [summary(name, protocol, kept.of(name)) for name in fields]
    print(table(evaluations))
    if options.plot:
        plot(evaluations, options.plot)
    return 0


def chosen_protocol(name: str, cutoff: float | None) -> Protocol:
    """The protocol of that name, with another cutoff (nm) where one is given. Raises `ValueError` when it cannot be."""
    protocol = known_protocol(name)
    if cutoff is None:
        return protocol
    check_number("--cutoff", cutoff, "nm", above=0.0)
    return protocol._replace(name=f"{protocol.name}, cutoff {cutoff:g} nm", cutoff=cutoff)


def chosen_field(name: str) -> ForceField:
    """A preset by its name, or what a training run ended with by its directory.

    The name of the latter says the epoch. Raises `ValueError` when it is neither, or a run that has no epoch yet or
    trains something else than water.
    """
    if name in PRESETS or not Path(name).is_dir():
        return force_field(name)
    run = read_run(name)
    start = force_field(run.configuration.system.force_field)
    if run.configuration.task != "water" or not len(run.metrics):
        raise ValueError(f"'{name}' is no training run of water with at least one epoch.")
    *vdw, charge, bond_k, length, angle_k, angle = (float(x) for x in run.parameters.iloc[-1])
    last = f"{run.name}, epoch {int(run.metrics['epoch'].iloc[-1])}"
    return start._replace(
        name=last,
        title=f"{start.title}, {last}",
        source=f"training run {run.name}: {run.command}",
        vdw=dict(zip(start.vdw, vdw, strict=True)),
        charge=charge,
        bond_k=bond_k,
        bond_length=length,
        angle_k=angle_k,
        angle=angle,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="revmd evaluate",
        description="Compare force fields of water with experiment: g(r), enthalpy of vaporisation, density.",
        epilog="force fields: " + ", ".join(name for name in PRESETS if "diffusion" not in name),
    )
    parser.add_argument("fields", nargs="+", metavar="FIELD", help="names of force fields, or directories of runs")
    parser.add_argument("--protocol", default="laptop", help=f"{' or '.join(PROTOCOLS)} (default: laptop)")
    parser.add_argument("--cutoff", type=float, metavar="NM", help="in place of the protocol's, for a denser liquid")
    parser.add_argument("--runs", type=int, default=5, help="independent runs of each (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first run; the next has the next one")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="runs that go at a time")
    parser.add_argument("--json", type=Path, help="file that keeps the runs, and from which they go on")
    parser.add_argument("--plot", type=Path, help="picture of g(r) to write (PNG or SVG)")
    return parser


class RunFile:
    """The runs of a protocol, in memory and (with a path) in a file.

    Raises `ValueError` when the file is no such file, or holds runs of another protocol.
    """

    def __init__(self, path: Path | None, protocol: Protocol):
        self.path, self.protocol, self.runs = path, protocol, []
        self._lock = threading.Lock()
        if path is not None and path.exists():
            self.runs = self._read(path)

    def _read(self, path: Path) -> list[dict[str, Any]]:
        try:
            stored = json.loads(path.read_text())
            protocol, runs = stored["protocol"], list(stored["runs"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a file of runs that 'revmd evaluate' wrote.") from error
        if protocol != self.protocol._asdict():
            raise ValueError(f"{path} holds runs of another protocol ({protocol['name']}): write to another file.")
        return runs

    def __contains__(self, job: tuple[str, int]) -> bool:
        return any((run["force_field"], run["seed"]) == job for run in self.runs)

    def of(self, name: str) -> list[dict[str, Any]]:
        """The runs of a force field, by seed."""
        return sorted((run for run in self.runs if run["force_field"] == name), key=lambda run: run["seed"])

    def add(self, run: dict[str, Any]) -> None:
        """Keep a run, in the file too, along with what another process may have put there meanwhile."""
        with self._lock:
            there = self._read(self.path) if self.path is not None and self.path.exists() else []
            known = {(r["force_field"], r["seed"]) for r in self.runs}
            self.runs += [r for r in there if (r["force_field"], r["seed"]) not in known]
            self.runs.append(run)
            if self.path is not None:
                self._write(self.path)

    def _write(self, path: Path) -> None:
        record = {"command": "revmd evaluate", "versions": versions(), "machine": machine()}
        lines = ",\n".join(json.dumps(run) for run in self.runs)
        head = json.dumps({**record, "protocol": self.protocol._asdict()}, indent=1)[:-2]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f'{head},\n "runs": [\n{lines}\n]}}\n'.encode())


def machine() -> str:
    """The processor and the number of cores, as the system tells."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(errors="replace").splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _run_all(jobs: list[tuple[ForceField, int]], protocol: Protocol, kept: RunFile, n_threads: int) -> None:
    """Do the missing runs, `n_threads` at a time, and keep each as it ends. Ctrl-C keeps those that are done."""
    progress = Progress(len(jobs), len(jobs) * protocol.n_steps * protocol.dt, sys.stderr)
    progress.say(f"preparing the liquid of {protocol.n_molecules} molecules ...")
    starting_liquid(protocol)
    stop = threading.Event()

    def one(job: tuple[ForceField, int]) -> None:
        if stop.is_set():
            return
        field, seed = job
        run = measure(field, protocol, seed, lambda n: progress.advance(n * protocol.dt), stop.is_set)
        kept.add(run)
        progress.ended(f"{field.name}, seed {seed}: {run['enthalpy']:.2f} kJ/mol, {run['density']:.4f} g/cm³")

    with ThreadPoolExecutor(n_threads) as threads:
        futures = [threads.submit(one, job) for job in jobs]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            threads.shutdown(wait=True, cancel_futures=True)
            raise


class Progress:
    """How far the runs are, in picoseconds, and when they will end; a line every ten seconds at most."""

    def __init__(self, n_runs: int, total: float, stream: TextIO):
        self.n_runs, self.total, self.stream = n_runs, total, stream
        self.done, self.n_ended = 0.0, 0
        self._lock = threading.Lock()
        self._began = self._told = 0.0
        self._compiled = 0.0  # picoseconds done when the clock was started

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def advance(self, picoseconds: float) -> None:
        """Count some time simulated. The clock starts with the first: what comes before it is compilation."""
        with self._lock:
            self.done += picoseconds
            now = time.monotonic()
            if not self._began:
                self._began, self._compiled = now, self.done
                self.say(f"{self.done:,.1f} of {self.total:,.0f} ps")
            elif now - self._told >= TELL_EVERY:
                self._told = now
                left = (now - self._began) * (self.total - self.done) / (self.done - self._compiled)
                self.say(f"{self.done:,.1f} of {self.total:,.0f} ps; {readable_time(max(left, 0.0))} left")

    def ended(self, text: str) -> None:
        """Tell of a run that has ended."""
        with self._lock:
            self.n_ended += 1
            self.say(f"run {self.n_ended} of {self.n_runs}: {text}")


def readable_time(seconds: float) -> str:
    """75 -> "1 min 15 s"."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {s} s" if minutes else f"{s} s"


def table(evaluations: Sequence[Evaluation]) -> str:
    """A Markdown table of the outcomes; errors in the last digits are standard errors over the runs."""
    header = ["force field", "runs", *(f"g_{pair.replace('-', '')} error" for pair in PAIRS)]
    header += ["ΔH_vap (kJ/mol)", "density (g/cm³)"]
    rows = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for e in evaluations:
        shown = [with_error(e.properties[f"g_{pair} error"]) for pair in PAIRS]
        shown += [with_error(e.properties[name]) for name in ("enthalpy", "density")]
        rows.append([f"`{e.name}`", str(len(e.runs)), *shown])
    rows.append(["experiment", "", "0", "0", "0", f"{ENTHALPY:g}", f"{DENSITY:g}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def title(name: str) -> str:
    """A preset's title; the name of anything else."""
    return PRESETS[name].title if name in PRESETS else name


def with_error(p: Property) -> str:
    """0.0873 ± 0.0012: the error to two digits, the value to the same place."""
    if not p.error > 0:
        return f"{p.value:.3g}" if abs(p.value) < 1 else f"{p.value:.2f}"
    places = max(0, 1 - int(np.floor(np.log10(p.error))))
    return f"{p.value:.{places}f} ± {p.error:.{places}f}"


def plot(evaluations: Sequence[Evaluation], path: Path) -> None:
    """The three g(r) of every force field and of the experiment, with the standard errors as bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    measured = load_water_rdf()
    for axis, (pair, species) in zip(figure.subplots(1, 3), PAIRS.items(), strict=True):
        curve, begin = measured[species], COMPARED_FROM[pair]
        shown = (curve.r >= (0.2 if pair == "O-O" else begin)) & (curve.r <= evaluations[0].r[-1])
        axis.plot(curve.r[shown], curve.g[shown], color="black", lw=1.6, label=curve.label)
        for evaluation in evaluations:
            r, g, error = evaluation.r, evaluation.curves[pair], evaluation.errors[pair]
            (line,) = axis.plot(r, g, lw=1.2, label=title(evaluation.name))
            if np.isfinite(error).all():
                axis.fill_between(r, g - error, g + error, color=line.get_color(), alpha=0.3, lw=0)
        axis.set(xlim=(0.12, evaluations[0].r[-1]), ylim=(0, None), xlabel="r (nm)", title=f"g({pair})")
    figure.axes[0].legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=160)
