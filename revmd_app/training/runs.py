"""One directory a training run, made so that a killed run continues as if nothing had happened.

    config.toml      the configuration
    metrics.csv      one row an epoch, numbers in full; no clock in it, so that two runs can be compared byte by byte
    timings.csv      seconds of each epoch
    curves/          g(r) of every tenth epoch, one .npz each
    checkpoint.npz   what the next epoch depends on, to the bit; replaced in one step
    plots/           pictures, drawn anew as the run goes on

The checkpoint is written last and counts: what metrics or curves hold beyond it is dropped when the run goes on.
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from revmd_app.archive import read_arrays, write_arrays
from revmd_app.engine.lattice import State
from revmd_app.files import write_whole
from revmd_app.training.configuration import Configuration, from_toml, to_toml
from revmd_app.training.fit import Begin, Progress, Record, Training

CONFIGURATION, METRICS, TIMINGS, CHECKPOINT = "config.toml", "metrics.csv", "timings.csv", "checkpoint.npz"
COMMAND = "command.txt"
CURVES_EVERY = 10
FORMAT = 1
"""Raise when a checkpoint of older code must not be continued."""
STATE = ("position", "velocity", "image", "step", "reference_step", "bits_at_reference")


class Run:
    """A training run in a directory. `Run.create` makes one, `Run.open` takes one up where its checkpoint stands.

    Only one process at a time may hold a run (a second one is told so). Use it as a context manager, or `close` it.
    """

    def __init__(self, folder: Path, run: Configuration, progress: Progress | None):
        self.folder, self.configuration = folder, run
        self._lock = _lock(folder)
        try:
            self.training = Training(run)
            if progress is None:
                progress = _read_checkpoint(folder / CHECKPOINT, self.training)
        except BaseException:
            self.close()
            raise
        self.progress = progress

    @classmethod
    def create(cls, folder, run: Configuration, command: str = "") -> Run:
        """A new run. `command` is kept beside it, for whoever wants to repeat it. Raises `ValueError` when there is a
        run already, `OSError` when the directory cannot be written."""
        folder = Path(folder)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / CONFIGURATION).exists():
                raise ValueError(
                    f"'{folder}' holds a training run already: continue it with --resume, or choose another directory."
                )
            write_whole(folder / CONFIGURATION, to_toml(run).encode())
            if command:
                write_whole(folder / COMMAND, f"{command}\n".encode())
        return cls(folder, run, None)

    @classmethod
    def open(cls, folder, epochs: int | None = None) -> Run:
        """An existing run; `epochs` lengthens it. Raises `ValueError` when it is no run, or was changed."""
        folder = Path(folder)
        run = _read_configuration(folder)
        if epochs is not None:
            from revmd_app.training.configuration import with_value

            run = with_value(run, f"optimiser.epochs={epochs}")
        opened = cls(folder, run, None)
        with explained(folder):
            write_whole(folder / CONFIGURATION, to_toml(run).encode())
            opened._forget_beyond(opened.progress.epoch)
        return opened

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.progress.epoch >= self.configuration.optimiser.epochs

    def go(
        self,
        on_record: Callable[[Record, float], None] = lambda record, seconds: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Run epochs until all are done (True) or `should_stop()` says so between two of them (False).

        `on_record(record, seconds)` hears of each. Raises `Diverged` (the last good checkpoint stays) or `OSError` with
        one sentence when the directory cannot be written any more (the same).
        """
        while not self.finished:
            if should_stop():
                return False
            began = time.perf_counter()
            progress, record = self.training.epoch(self.progress)
            seconds = time.perf_counter() - began
            with explained(self.folder):
                self._keep(progress, record, seconds)
            self.progress = progress
            on_record(record, seconds)
        return True

    def close(self) -> None:
        """Let go of the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _keep(self, progress: Progress, record: Record, seconds: float) -> None:
        row = record.row()
        _append(self.folder / METRICS, row)
        _append(self.folder / TIMINGS, {"epoch": record.epoch, "seconds": round(seconds, 3)})
        if (
            record.epoch == 1
            or record.epoch % CURVES_EVERY == 0
            or progress.epoch >= self.configuration.optimiser.epochs
        ):
            (self.folder / "curves").mkdir(exist_ok=True)
            curves = {"r": record.grid, **record.curves}
            small = {name: np.asarray(values, np.float32) for name, values in curves.items()}
            write_arrays(_curves_path(self.folder, record.epoch), small, compressed=True)
        _write_checkpoint(self.folder / CHECKPOINT, progress, self.configuration)

    def _forget_beyond(self, epoch: int) -> None:
        """Drop rows and curves that were written after the last checkpoint, half a row included."""
        for name in (METRICS, TIMINGS):
            path = self.folder / name
            if not path.exists():
                continue
            header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines[:epoch] if line.endswith("\n")]
            if len(kept) < epoch and name == METRICS:
                raise ValueError(
                    f"'{path}' has {len(kept)} rows, and the checkpoint is of epoch {epoch}: rows are missing."
                )
            write_whole(path, "".join([header, *kept] if epoch else []).encode())
            if epoch == 0:
                path.unlink()
        for path in (self.folder / "curves").glob("epoch-*.npz"):
            if int(path.stem.partition("-")[2]) > epoch:
                path.unlink()


@dataclass(frozen=True)
class Replay:
    """A run as it is on disk: its configuration, one row of metrics an epoch, g(r) at some epochs, its command.

    `curves` maps an epoch to {"r": ..., "rdf_OO": ..., ...}.
    """

    name: str
    configuration: Configuration
    metrics: pd.DataFrame
    curves: dict[int, dict[str, np.ndarray]]
    command: str

    @property
    def parameters(self) -> pd.DataFrame:
        """The physical parameters, a column each, a row an epoch."""
        named = [c for c in self.metrics.columns if c.startswith("parameter ")]
        return self.metrics[named].rename(columns=lambda c: c.removeprefix("parameter "))


def read_run(folder) -> Replay:
    """Read a run without continuing it. Raises `ValueError` with one sentence when it is none, or is damaged."""
    folder = Path(folder)
    run = _read_configuration(folder)
    path = folder / METRICS
    try:
        metrics = pd.read_csv(path)
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"'{folder}' has no metrics that can be read ({error}).") from error
    curves = {
        int(p.stem.partition("-")[2]): read_arrays(p, at_most=10_000_000)
        for p in sorted((folder / "curves").glob("epoch-*.npz"))
    }
    command = folder / COMMAND
    words = command.read_text(encoding="utf-8").strip() if command.exists() else ""
    return Replay(folder.name, run, metrics, curves, words)


def shipped_runs() -> dict[str, Path]:
    """The runs that come with the package, by name."""
    from importlib import resources

    root = Path(str(resources.files("revmd_app.data") / "runs"))
    return {path.name: path for path in sorted(root.glob("*")) if (path / METRICS).is_file()}


def _read_configuration(folder: Path) -> Configuration:
    path = folder / CONFIGURATION
    if not path.is_file():
        raise ValueError(f"'{folder}' is no training run: it has no {CONFIGURATION}.")
    return from_toml(path.read_text(encoding="utf-8"), f"'{path}'")


def _append(path: Path, row: dict[str, Any]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
    if not path.exists():
        writer.writeheader()
    writer.writerow({key: repr(value) if isinstance(value, float) else value for key, value in row.items()})
    with path.open("a", encoding="utf-8") as file:
        file.write(text.getvalue())
        file.flush()
        os.fsync(file.fileno())


def _curves_path(folder: Path, epoch: int) -> Path:
    return folder / "curves" / f"epoch-{epoch:05d}.npz"


def _write_checkpoint(path: Path, progress: Progress, run: Configuration) -> None:
    header = {
        "format": FORMAT,
        "configuration": run.digest(),
        "epoch": progress.epoch,
        "replicas": len(progress.starts),
    }
    arrays = {"header": np.array(json.dumps(header)), "scaled": progress.scaled}
    for i, leaf in enumerate(jax.tree.leaves(progress.optimiser)):
        arrays[f"optimiser {i}"] = np.asarray(leaf)
    for i, begin in enumerate(progress.starts):
        arrays[f"box {i}"] = np.asarray(begin.box)
        arrays |= {f"{name} {i}": np.asarray(getattr(begin.state, name)) for name in STATE}
    write_arrays(path, arrays)


def _read_checkpoint(path: Path, training: Training) -> Progress:
    """The progress in a checkpoint; that of the beginning when there is none yet."""
    first = training.begin()
    if not path.exists():
        return first
    try:
        arrays = read_arrays(path, at_most=os.path.getsize(path) + 1)
        header = json.loads(str(arrays["header"]))
        of_format, digest, epoch = header["format"], header["configuration"], int(header["epoch"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the checkpoint '{path}' is damaged ({error}).") from error
    if of_format != FORMAT:
        raise ValueError(f"the checkpoint '{path}' has format {of_format}; this program continues format {FORMAT}.")
    if digest != training.configuration.digest():
        raise ValueError(
            f"{path.parent / CONFIGURATION} was changed since the checkpoint was written: put it back, or begin a new "
            "run in another directory."
        )
    try:
        leaves, structure = jax.tree.flatten(first.optimiser)
        restored = [_like(arrays[f"optimiser {i}"], leaf) for i, leaf in enumerate(leaves)]
        starts = tuple(_begin(arrays, i, begin) for i, begin in enumerate(first.starts))
        scaled = _like(arrays["scaled"], first.scaled)
    except (ValueError, KeyError) as error:
        raise ValueError(f"the checkpoint '{path}' is damaged ({error}).") from error
    return Progress(epoch, np.asarray(scaled), jax.tree.unflatten(structure, restored), starts)


def _begin(arrays, i: int, like: Begin) -> Begin:
    state = {name: _like(arrays[f"{name} {i}"], getattr(like.state, name)) for name in STATE}
    return Begin(_like(arrays[f"box {i}"], like.box), State(**state))


def _like(array: np.ndarray, template) -> jax.Array:
    if array.shape != template.shape or array.dtype != template.dtype:
        raise ValueError(
            f"an array is {array.dtype}{list(array.shape)} instead of {template.dtype}{list(template.shape)}"
        )
    return jnp.asarray(array)


def _lock(folder: Path) -> int | None:
    """Hold a lock that ends with the process, however it ends; None where the platform has no such lock."""
    try:
        import fcntl
    except ImportError:
        return None
    with explained(folder):
        handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise ValueError(f"another process is working on '{folder}': wait for it, or stop it.") from error
    return handle


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what the file system says into one sentence that names the directory and the way out."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"'{folder}' cannot be written ({reason}): free some space or choose another directory; whatever was kept "
            "before is whole, and --resume goes on from there."
        ) from error
