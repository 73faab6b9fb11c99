"""`revmd train water|oxygen`: a training run in a directory of its own, with progress and the time left."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from revmd_app import processor
from revmd_app.training import REPLICAS_AT_ONCE

FAILED = 1
INTERRUPTED = 130
PLOT_EVERY = 60.0
"""Seconds between two drawings of the plots."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or go on with a run. Returns the exit status: 0 done, 1 diverged, 130 interrupted.

    Raises `ValueError` or `OSError` with one sentence for what the user can put right.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    os.environ.setdefault("NPROC", str(min(REPLICAS_AT_ONCE, os.cpu_count() or 1)))
    processor.prepare()
    processor.keep_programs()
    from revmd_app.training.configuration import configuration, from_toml, with_value
    from revmd_app.training.runs import Run

    _check_usage(options)
    if options.resume is not None:
        run = Run.open(options.resume, options.epochs)
    else:
        if options.config is not None:
            chosen = from_toml(options.config.read_text(encoding="utf-8"), f"'{options.config}'")
        else:
            chosen = configuration(options.task, options.preset)
        length = [] if options.epochs is None else [f"optimiser.epochs={options.epochs}"]
        chosen = with_value(chosen, *(options.set or ()), *length)
        where = options.to or Path(f"{chosen.task}-{options.preset}-{time.strftime('%Y%m%d-%H%M%S')}")
        print(f"revmd: {chosen.task}, {chosen.system.force_field}, {chosen.system.molecules} molecules, to {where}")
        run = Run.create(where, chosen, "revmd train " + " ".join(given))
    with run:
        return follow(run)


def follow(run) -> int:
    """Run to the end with a line an epoch; the first Ctrl-C stops after the epoch, a second one at once."""
    from revmd_app.training.fit import Diverged

    reporter = Reporter(run)
    asked = _stop_on_interrupt()
    try:
        done = run.go(reporter, lambda: bool(asked))
    except Diverged as error:
        reporter.draw()
        kept = f"The checkpoint of epoch {run.progress.epoch} is kept." if run.progress.epoch else ""
        print(f"revmd: the training diverged: {error} {kept}", file=sys.stderr)
        return FAILED
    reporter.draw()
    if done:
        print(f"revmd: {run.progress.epoch} epochs done, in {run.folder}")
        return 0
    print(f"revmd: stopped after epoch {run.progress.epoch}; go on with: revmd train --resume {run.folder}")
    return INTERRUPTED


class Reporter:
    """Prints a line an epoch with the time that is left, and draws the plots now and then."""

    def __init__(self, run):
        from revmd_app.training.plots import plots_available

        self.run = run
        self._times: list[float] = []
        self._drawn = 0.0
        self._plots = plots_available()
        if not self._plots:
            print("revmd: no plots, matplotlib is missing; pip install 'revmd[train]' brings it.")

    def __call__(self, record, seconds: float) -> None:
        self._times.append(seconds)
        recent = sorted(self._times[1:][-10:] or self._times)  # the first epoch compiles
        left = (self.run.configuration.optimiser.epochs - record.epoch) * recent[len(recent) // 2]
        numbers = "  ".join(
            f"{name} {value:.4g} ± {record.term_errors[name]:.1g}" if value is not None else f"{name} {part:.3g}"
            for name, (value, _, part) in record.terms.items()
        )
        total = self.run.configuration.optimiser.epochs
        print(
            f"epoch {record.epoch}/{total}  loss {record.loss:.4g}  {numbers}  "
            f"density {record.density:.3f}  {seconds:.1f} s, {remaining(left)} left",
            flush=True,
        )
        if time.monotonic() - self._drawn > PLOT_EVERY:
            self.draw()

    def draw(self) -> None:
        """Draw the plots, if there is anything to draw and anything to draw with."""
        if self._plots and self.run.progress.epoch:
            from revmd_app.training.plots import draw_run
            from revmd_app.training.runs import explained

            with explained(self.run.folder):
                draw_run(self.run.folder)
            self._drawn = time.monotonic()


def remaining(seconds: float) -> str:
    """A duration for people: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _stop_on_interrupt() -> list[int]:
    """A list that becomes non-empty at the first Ctrl-C; the second ends the process (what is on disk is whole)."""
    asked: list[int] = []

    def heard(number, _):
        if asked:
            os._exit(INTERRUPTED)
        asked.append(number)
        print("revmd: stopping after this epoch; Ctrl-C again stops at once.", file=sys.stderr, flush=True)

    signal.signal(signal.SIGINT, heard)
    return asked


def _check_usage(options) -> None:
    if options.resume is None and options.task is None and options.config is None:
        raise ValueError("say what to train, 'revmd train water' or 'revmd train oxygen', or --resume a directory.")
    if options.resume is not None and (options.task or options.set or options.config or options.to):
        raise ValueError("--resume goes on with a run as it was configured: give only --epochs with it.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="revmd train",
        description="Train a force field to measurements, epoch by epoch. A run lives in a directory and can be killed "
        "and resumed at any moment.",
    )
    parser.add_argument("task", nargs="?", choices=("water", "oxygen"), help="pure water, or the diffusion of O2 in it")
    parser.add_argument(
        "--preset",
        default="laptop",
        choices=("lab", "laptop", "paper"),
        help="lab: 64 molecules; laptop: 216; paper: 895 and the published protocol",
    )
    parser.add_argument("--config", type=Path, help="a TOML file in place of a preset")
    parser.add_argument("--set", action="append", metavar="SECTION.KEY=VALUE", help="change one key (may be repeated)")
    parser.add_argument("--epochs", type=int, help="how many epochs in all")
    parser.add_argument("--to", type=Path, help="the run's directory (default: named after task and time)")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in DIR")
    return parser
