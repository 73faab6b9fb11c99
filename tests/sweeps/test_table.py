"""Results on disk: written whole or not at all, read in one order, never mixed with those of another sweep."""

from __future__ import annotations

import pandas as pd
import pytest

from revmd_app.sweeps import Sweep, read_sweep
from revmd_app.sweeps.table import Table

SETTINGS = {"system": "harmonic_oscillator", "size": 1, "loss": "Potential energy"}


def sweep(**changes) -> Sweep:
    return Sweep(**{"task": "gradients", "settings": SETTINGS, "grid": {"k": [2.0, 1.0]}, "replicas": 2, **changes})


def test_rows_come_back_sorted_whatever_the_order_they_came_in(tmp_path):
    points = sweep().points()
    tables = []
    for name, order in (("a", points), ("b", points[::-1])):
        table = Table(tmp_path / name)
        table.open(sweep())
        for point in order:
            table.add(point, [{"x": point.values["k"] * 10 + i, "y": None if i else 1.0} for i in range(2)])
        assert table.done() == {point.name for point in points}
        tables.append(read_sweep(tmp_path / name))
    pd.testing.assert_frame_equal(*tables)
    assert list(tables[0]["x"]) == [10, 11, 10, 11, 20, 21, 20, 21]
    assert list(tables[0]["replica"]) == [0, 0, 1, 1] * 2
    plain = pd.read_parquet(tmp_path / "a" / "parts")  # what any other tool reads
    assert len(plain) == 8


def test_a_failed_point_is_a_row_with_its_reason(tmp_path):
    table = Table(tmp_path)
    table.open(sweep())
    first, second, *_ = sweep().points()
    table.add(first, [{"failed": "it exploded"}])
    table.add(second, [{"x": 1.0}])
    rows = read_sweep(tmp_path)
    assert list(rows["failed"]) == ["it exploded", ""]
    assert rows["x"].isna().tolist() == [True, False]


def test_a_point_that_came_twice_is_there_once(tmp_path):
    table = Table(tmp_path)
    table.open(sweep())
    for _ in range(2):
        table.add(sweep().points()[0], [{"x": 1.0}])
    assert len(read_sweep(tmp_path)) == 1


def test_a_sweep_may_grow_but_not_become_another(tmp_path):
    Table(tmp_path).open(sweep())
    Table(tmp_path).open(sweep(grid={"k": [1.0, 3.0]}, replicas=5))
    assert Table(tmp_path).sweep() == sweep(grid={"k": [1.0, 3.0]}, replicas=5)
    for other, sentence in (
        (sweep(seed=1), r"holds another sweep \(task gradients, seed 0, grid over k\)"),
        (sweep(grid={"k": [1.0], "friction": [1.0]}), "holds another sweep"),
        (
            sweep(settings={**SETTINGS, "steps": 800}),
            "holds a sweep with steps = 20000, not 800: choose another folder",
        ),
    ):
        with pytest.raises(ValueError, match=sentence):
            Table(tmp_path).open(other)


def test_half_a_file_of_a_killed_run_is_swept_away(tmp_path):
    table = Table(tmp_path)
    table.open(sweep())
    (table.parts / ".abc.partial").write_bytes(b"half")
    Table(tmp_path).open(sweep())
    assert not list(table.parts.iterdir())
    assert read_sweep(tmp_path).empty


def test_damage_and_absence_are_told_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"holds no sweep: there is no sweep\.toml in it"):
        read_sweep(tmp_path)
    table = Table(tmp_path)
    table.open(sweep())
    (table.parts / "0123.parquet").write_bytes(b"not parquet")
    with pytest.raises(ValueError, match=r"0123\.parquet is damaged .* delete it"):
        read_sweep(tmp_path)
    (tmp_path / "sweep.toml").write_text("task = 1")
    with pytest.raises(ValueError, match=r"sweep\.toml: 'task' of a sweep is a text"):
        read_sweep(tmp_path)
