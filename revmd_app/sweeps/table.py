"""Results on disk: one Parquet file for each finished point, under the point's own name.

    DIR/sweep.toml              what is swept
    DIR/parts/<hash>.parquet    the rows of one point
    DIR/log.csv                 when each point came, from whom, and how long it took

A part is written beside its place and moved there whole: whoever reads never sees half of one, and a name that exists
is a point that is done. Any tool that reads a folder of Parquet files reads `DIR/parts`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from revmd_app.files import write_whole
from revmd_app.sweeps.plan import Point, Sweep, from_toml, to_toml
from revmd_app.sweeps.tasks import Rows

if TYPE_CHECKING:
    import pandas as pd

PLAN, PARTS, LOG = "sweep.toml", "parts", "log.csv"
MISSING = "a sweep needs Dask and Parquet, which are not installed here: pip install 'revmd[train]'."


def pyarrow():
    """(pyarrow, pyarrow.parquet). Raises `ValueError` with what to install when they are missing."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(MISSING) from error
    return pyarrow, pyarrow.parquet


class Table:
    """The folder of one sweep."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    @property
    def parts(self) -> Path:
        return self.folder / PARTS

    def open(self, sweep: Sweep) -> None:
        """Make the folder, or go on with what is there.

        Raises `ValueError` when it holds results of another task or of other settings; a larger grid or more replicas
        are the same sweep, extended. Raises `OSError` when it cannot be written.
        """
        before = self.sweep()
        if before is not None and before != sweep:
            _check_same(before, sweep, self.folder)
        self.parts.mkdir(parents=True, exist_ok=True)
        for left in self.parts.glob(".*.partial"):
            left.unlink(missing_ok=True)
        if before != sweep:
            write_whole(self.folder / PLAN, to_toml(sweep).encode())

    def sweep(self) -> Sweep | None:
        """The sweep whose folder this is; None when there is none yet."""
        path = self.folder / PLAN
        if not path.is_file():
            return None
        try:
            return from_toml(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def done(self) -> set[str]:
        """The names of the points that are there."""
        return {path.stem for path in self.parts.glob("*.parquet")}

    def add(self, point: Point, rows: Rows, seconds: float = 0.0, worker: str = "") -> None:
        """Write a point's rows, and a line in the log. Raises `OSError` when the disk is full or gone."""
        arrow, parquet = pyarrow()
        complete = [{"point": point.name, **point.values, "replica": point.replica, "failed": "", **r} for r in rows]
        sink = arrow.BufferOutputStream()
        parquet.write_table(arrow.Table.from_pylist(_same_columns(complete)), sink)
        write_whole(self.parts / f"{point.name}.parquet", sink.getvalue().to_pybytes())
        log = self.folder / LOG
        header = "" if log.is_file() else "point,seconds,worker\n"
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{header}{point.name},{seconds:.2f},{worker}\n")


def read_sweep(folder: str | Path) -> pd.DataFrame:
    """Every row of a sweep, sorted by the grid's values, the replica, and then as the task gave them.

    A point that failed is one row with the reason under `failed`. Raises `ValueError` when there is no sweep or a
    file is damaged.
    """
    import pandas as pd

    table = Table(Path(folder))
    sweep = table.sweep()
    if sweep is None:
        raise ValueError(f"'{folder}' holds no sweep: there is no {PLAN} in it.")
    arrow, _ = pyarrow()
    parts = [_read(path) for path in sorted(table.parts.glob("*.parquet"))]
    if not parts:
        return pd.DataFrame(columns=["point", *sweep.grid, "replica", "failed"])
    whole = arrow.concat_tables(parts, promote_options="permissive").to_pandas()
    return whole.sort_values([*sweep.grid, "replica", "point"], kind="stable").reset_index(drop=True)


def _read(path: Path):
    arrow, parquet = pyarrow()
    try:
        return parquet.ParquetFile(path).read()
    except (arrow.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it, and run the sweep again.") from error


def _same_columns(rows: Rows) -> Rows:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]


def _check_same(before: Sweep, sweep: Sweep, folder: Path) -> None:
    if before.task != sweep.task or before.seed != sweep.seed or set(before.grid) != set(sweep.grid):
        raise ValueError(
            f"'{folder}' holds another sweep (task {before.task}, seed {before.seed}, grid over "
            f"{', '.join(before.grid)}): choose another folder."
        )
    other = [name for name in sweep.settings if before.settings.get(name) != sweep.settings[name]]
    if other:
        name = other[0]
        raise ValueError(
            f"'{folder}' holds a sweep with {name} = {before.settings.get(name)!r}, not {sweep.settings[name]!r}: "
            "choose another folder."
        )
