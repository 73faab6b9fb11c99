"""The command `revmd sweep`: read what is to be swept, go on where the folder ends, tell how far it is, and sum up."""

from __future__ import annotations

import argparse
import collections
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from revmd_app.sweeps.plan import STUDIES, Sweep, from_toml, named, to_toml
from revmd_app.sweeps.table import PLAN, Table, read_sweep
from revmd_app.sweeps.tasks import TASKS

INTERRUPTED, INCOMPLETE = 130, 1


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    tasks = "; ".join(f"{name}: {task.about}" for name, task in TASKS.items())
    p = argparse.ArgumentParser(
        prog="revmd sweep",
        description="Compute one task at every point of a grid, on all cores or on a Dask cluster. Tasks: " + tasks,
    )
    p.add_argument(
        "sweep",
        nargs="?",
        help=f"a TOML file, or a study: {', '.join(STUDIES)} (default: that of the folder, to go on with it)",
    )
    p.add_argument("--to", type=Path, metavar="DIR", help="folder of the results; a sweep goes on where it ends")
    p.add_argument("--workers", type=_positive, metavar="N", help="processes on this machine (default: one a core)")
    p.add_argument("--scheduler", default="", metavar="ADDRESS", help="of a running Dask scheduler: tcp://host:8786")
    p.add_argument("--replicas", type=_positive, metavar="N", help="repeats of each point, in place of the sweep's")
    p.add_argument("--print", dest="show", action="store_true", help="print the sweep as TOML and compute nothing")
    p.add_argument("--summary", action="store_true", help="sum up what the folder holds and compute nothing")
    p.add_argument("--table", type=Path, metavar="FILE", help="write all rows as one table (.csv or .parquet)")
    p.add_argument("--plot", type=Path, metavar="FILE", help="draw the summary (PNG or SVG; needs matplotlib)")
    return p


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 up is wanted, not '{text}'")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, go on with, or sum up a sweep. Ctrl-C stops it and keeps what is there. Returns the exit status."""
    options = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    sweep = _wanted(options)
    if options.show:
        print(to_toml(sweep), end="")
        return 0
    status = 0 if options.summary else _run(sweep, options)
    _sum_up(options)
    return status


def _wanted(options) -> Sweep:
    """The sweep that is meant. Raises `ValueError` when none is."""
    if options.to is None and not (options.show and options.sweep):
        raise ValueError("say where the results go: revmd sweep water-gradients --to DIR.")
    if options.table is not None and options.table.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--table writes .csv or .parquet, not '{options.table.name}'.")
    if options.scheduler and options.workers:
        raise ValueError("--workers are processes of this machine: leave it out with --scheduler.")
    if options.sweep is not None:
        path = Path(options.sweep)
        if path.is_file():
            try:
                sweep = from_toml(path.read_text(encoding="utf-8"))
            except (ValueError, UnicodeDecodeError) as error:
                raise ValueError(f"{path}: {error}") from error
        else:
            sweep = named(options.sweep)
    else:
        there = Table(options.to).sweep()
        if there is None:
            raise ValueError(f"'{options.to}' holds no {PLAN} to go on with: name a study or a TOML file.")
        sweep = there
    if options.replicas is None:
        return sweep
    return Sweep(sweep.task, sweep.settings, sweep.grid, options.replicas, sweep.seed)


def _run(sweep: Sweep, options) -> int:
    from revmd_app.sweeps.cluster import run_sweep

    _check(sweep)
    progress = Progress()
    before = signal.signal(signal.SIGTERM, _interrupt)  # as a batch system ends a job
    try:
        outcome = run_sweep(sweep, options.to, workers=options.workers, scheduler=options.scheduler, on_news=progress)
    except KeyboardInterrupt:
        again = shlex.join(["revmd", "sweep", "--to", str(options.to)])
        print(f"\nrevmd sweep: interrupted; what was computed is kept. Go on with: {again}", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
        progress.close()
    if outcome.failed:
        print(f"revmd sweep: {outcome.failed} points have no result; their rows say why.", file=sys.stderr)
    for reason, n in collections.Counter(outcome.lost.values()).most_common(3):
        print(f"revmd sweep: {n} points were not computed: {reason}", file=sys.stderr)
    return INCOMPLETE if outcome.lost else 0


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


def _check(sweep: Sweep) -> None:
    """Raise `ValueError` for a sweep whose first point cannot be computed, before anything is started."""
    from revmd_app import processor
    from revmd_app.sweeps.tasks import at_point

    processor.prepare()
    TASKS[sweep.task].check(at_point(sweep.task, sweep.settings, sweep.points()[0].values))


class Progress:
    """Says on standard error how many points are done, and about how long the others will take at this pace."""

    def __init__(self):
        self.began = time.monotonic()
        self.first: tuple[float, int] | None = None
        self._last = ""

    def __call__(self, news) -> None:
        now = time.monotonic()
        if news.fresh and self.first is None:
            self.first = (now, news.fresh)
        if news.point is None and self._last and news.workers and not sys.stderr.isatty():
            return  # nothing new for a log
        gone = int(now - self.began)
        line = f"[{gone // 60:d}:{gone % 60:02d}, {self.left(news, now)}] {news.done} of {news.total} points"
        line += f", {news.workers} worker{'s' * (news.workers != 1)}" if news.workers else ": waiting for a worker"
        if news.point is not None:
            line += f": {news.point}" + (f" failed ({news.failed[:60]})" if news.failed else "")
        self._say(line)

    def left(self, news, now: float) -> str:
        """The time that is left, in words. The first result comes after compiling and tells nothing of the pace."""
        if self.first is None or news.fresh <= self.first[1]:
            return "starting"
        seconds = (now - self.first[0]) / (news.fresh - self.first[1]) * (news.total - news.done)
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"

    def _say(self, line: str) -> None:
        if sys.stderr.isatty():
            print("\r" + line[:119].ljust(len(self._last)), end="", file=sys.stderr, flush=True)
        elif line != self._last:
            print(line, file=sys.stderr, flush=True)
        self._last = line[:119] if sys.stderr.isatty() else line

    def close(self) -> None:
        """Leave the last line of a terminal."""
        if sys.stderr.isatty() and self._last:
            print(file=sys.stderr)


def _sum_up(options) -> None:
    from revmd_app.sweeps.summary import summary

    rows = read_sweep(options.to)  # which tells if there is no sweep
    sweep = Table(options.to).sweep()
    assert sweep is not None
    print(summary(sweep, rows))
    if options.table is not None:
        _write(rows, options.table)
    if options.plot is not None:
        from revmd_app.sweeps.plots import draw

        draw(sweep, rows, options.plot)


def _write(rows, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_parquet(path, index=False, compression="zstd")
