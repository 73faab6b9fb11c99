"""A sweep survives: a worker killed in the middle, Ctrl-C, a second run. The table is always the same."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from revmd_app.cli import main
from revmd_app.sweeps import Sweep, read_sweep, to_toml
from revmd_app.sweeps.table import Table

STIFFNESS = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
SWEEP = Sweep(
    "gradients",
    {
        "system": "harmonic_oscillator",
        "size": 1,
        "loss": "Potential energy",
        "equilibration": 100,
        "steps": 300_000,
        "every": 3000,
        "truncate": [20],
    },
    {"k": STIFFNESS},
    replicas=2,
    seed=3,
)
PATIENCE = 240


HEARS_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "revmd_app", *sys.argv[1:]])
"""
"""Who runs the tests in the background may have told them, and so their children, to ignore Ctrl-C."""


def revmd(*arguments, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", HEARS_CTRL_C, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


@contextlib.contextmanager
def dask(what: str, *arguments):
    """A process of Dask's command line."""
    command = [sys.executable, "-m", "distributed.cli.dask_" + what, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition, process: subprocess.Popen | None = None) -> None:
    """Wait for a condition, or fail when the process ends or patience does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def log(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "log.csv")


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "sweep.toml"
    path.write_text(to_toml(SWEEP))
    return path


@pytest.fixture(scope="module")
def interrupted(plan, tmp_path_factory) -> tuple[Path, int, str, int]:
    """A sweep on a cluster of its own that Ctrl-C stops; then the same command again until the end."""
    folder = tmp_path_factory.mktemp("interrupted")
    first = revmd("sweep", plan, "--to", folder, "--workers", 1, start_new_session=True)
    until(lambda: len(Table(folder).done()) >= 2, first)
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does: the workers get it, too
    said, _ = first.communicate(timeout=PATIENCE)
    kept = len(Table(folder).done())
    second = revmd("sweep", "--to", folder, "--workers", 1)
    assert second.wait(PATIENCE) == 0, second.stdout.read()
    return folder, first.returncode, said, kept


def test_ctrl_c_keeps_what_is_there_and_the_next_run_goes_on(interrupted):
    folder, status, said, kept = interrupted
    assert status == 130
    assert "interrupted; what was computed is kept. Go on with: revmd sweep --to" in said
    assert "Traceback" not in said
    assert 2 <= kept < len(SWEEP.points())
    assert len(log(folder)) == log(folder)["point"].nunique() == len(SWEEP.points())  # nothing twice


def test_a_killed_worker_changes_nothing_in_the_table(interrupted, plan, tmp_path):
    where = tmp_path / "scheduler.json"
    folder = tmp_path / "results"
    quiet = ("--no-dashboard", "--scheduler-file", where)
    alone = ("--nthreads", 1, "--no-nanny", "--local-directory", tmp_path, "--host", "127.0.0.1")
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask("scheduler", "--host", "127.0.0.1", "--port", 0, *quiet))
        until(where.is_file)
        workers = [stack.enter_context(dask("worker", *quiet, *alone, "--name", name)) for name in ("a", "b")]
        sweep = revmd("sweep", plan, "--to", folder, "--scheduler", json.loads(where.read_text())["address"])
        until(lambda: (folder / "log.csv").is_file() and log(folder)["worker"].nunique() == 2, sweep)
        workers[0].kill()
        before = len(Table(folder).done())
        said, _ = sweep.communicate(timeout=PATIENCE)
    assert sweep.returncode == 0, said
    assert before < len(SWEEP.points())
    pd.testing.assert_frame_equal(read_sweep(folder), read_sweep(interrupted[0]))
    assert set(read_sweep(folder)["k"]) == set(STIFFNESS)


def test_a_finished_sweep_computes_nothing_and_is_summed_up(interrupted, capsys, tmp_path):
    folder, *_ = interrupted
    before = log(folder)
    table, picture = tmp_path / "rows.csv", tmp_path / "picture.png"
    assert main(["sweep", "--to", str(folder), "--table", str(table), "--plot", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "12 points with a result, 0 without" in said
    assert "Reversible against reweighting" in said
    pd.testing.assert_frame_equal(log(folder), before)
    assert len(pd.read_csv(table)) == len(read_sweep(folder))
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "say where the results go"),
        (
            ["water-gradient", "--to", "x"],
            "no study 'water-gradient' and no such file; the studies are water-gradients",
        ),
        (["--to", "nowhere"], "holds no sweep.toml to go on with"),
        (["--to", "x", "--table", "rows.xls"], "--table writes .csv or .parquet"),
        (["PLAN", "--to", "x", "--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler at 'tcp://127.0.0.1:9'"),
        (["PLAN", "--to", "x", "--scheduler", "tcp://h:1", "--workers", "2"], "leave it out with --scheduler"),
        (["PLAN", "--to", "/proc/nowhere"], "/proc/nowhere"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(arguments, sentence, plan, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("revmd_app.sweeps.cluster.CONNECT", 0.5)
    assert main(["sweep", *(str(plan) if a == "PLAN" else a for a in arguments)]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("revmd: ")
    assert sentence in told
