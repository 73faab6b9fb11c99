"""Runs in a directory: killed at any moment and resumed to the same bytes, held by one process."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from revmd_app.training import runs
from revmd_app.training.command import main
from revmd_app.training.configuration import configuration
from revmd_app.training.fit import Diverged, Record
from revmd_app.training.runs import Run, read_run

EPOCHS = 5
TINY = [
    *("--preset", "lab", "--epochs", str(EPOCHS)),
    *("--set", "preparation.steps=20", "--set", "preparation.first_steps=20", "--set", "preparation.interval=10"),
    *("--set", "run.steps=20", "--set", "run.sample_every=10", "--set", "run.replicas=2"),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """One cache of compiled programs for all processes: they differ in nothing else."""
    cache = tmp_path_factory.mktemp("programs")
    return {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def train(environment, *arguments) -> subprocess.Popen:
    command = [sys.executable, "-m", "revmd_app", "train", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(environment, tmp_path_factory):
    """The folder of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    process = train(environment, "water", *TINY, "--to", str(folder))
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    assert f"{EPOCHS} epochs done" in out
    return folder


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(environment, whole, tmp_path):
    folder = tmp_path / "killed"
    process = train(environment, "water", *TINY, "--to", str(folder))
    metrics = folder / "metrics.csv"
    while process.poll() is None and (not metrics.exists() or metrics.read_text().count("\n") < 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert process.returncode == -signal.SIGKILL
    with metrics.open("a") as file:  # as if it had been killed while writing the next row
        file.write("4,17.3")
    resumed = train(environment, "--resume", str(folder))
    out, err = resumed.communicate(timeout=280)
    assert resumed.returncode == 0, err
    assert "epoch 1/" not in out
    assert metrics.read_bytes() == (whole / "metrics.csv").read_bytes()
    one, other = (np.load(path / "checkpoint.npz") for path in (folder, whole))
    assert all(np.array_equal(one[name], other[name]) for name in one.files)


@pytest.mark.slow
def test_ctrl_c_stops_after_the_epoch(environment, tmp_path):
    folder = tmp_path / "stopped"
    process = train(environment, "water", *TINY[:2], "--epochs", "1000", *TINY[4:], "--to", str(folder))
    while process.poll() is None and not (folder / "metrics.csv").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "go on with: revmd train --resume" in out
    epochs = len(read_run(folder).metrics)
    assert f"stopped after epoch {epochs}" in out


def test_what_a_run_leaves_behind(whole):
    replay = read_run(whole)
    assert len(replay.metrics) == EPOCHS
    assert list(replay.metrics.epoch) == list(range(1, EPOCHS + 1))
    assert replay.configuration.optimiser.epochs == EPOCHS
    assert replay.command.startswith("revmd train water --preset lab")
    assert set(replay.curves) == {1, EPOCHS}
    assert replay.parameters["LennardJones.sigma"].iloc[0] == 0.315
    assert (whole / "plots" / "training.png").stat().st_size > 10_000
    assert "seconds" not in (whole / "metrics.csv").read_text()
    assert len((whole / "timings.csv").read_text().splitlines()) == EPOCHS + 1


def test_a_finished_run_has_nothing_left_to_do(whole):
    with Run.open(whole) as run:
        assert run.finished
        assert run.go()


def test_two_processes_cannot_hold_one_run(whole):
    with Run.open(whole), pytest.raises(ValueError, match="another process is working on"):
        Run.open(whole)


def test_a_run_is_not_overwritten(whole):
    with pytest.raises(ValueError, match="holds a training run already: continue it with --resume"):
        Run.create(whole, configuration("water", "lab"))


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of the run to break."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("config.toml", "metrics.csv", "checkpoint.npz"):
        (folder / name).write_bytes((whole / name).read_bytes())
    return folder


def test_a_changed_configuration_is_not_continued(copy):
    config = copy / "config.toml"
    config.write_text(config.read_text().replace("dt = 0.001", "dt = 0.002"))
    with pytest.raises(ValueError, match="was changed since the checkpoint was written"):
        Run.open(copy)


def test_a_wrong_key_is_named_with_its_file(copy):
    config = copy / "config.toml"
    config.write_text(config.read_text().replace("dt = 0.001", "dtt = 0.001"))
    with pytest.raises(ValueError, match=r"config\.toml': \[system\] has no key 'dtt'; did you mean 'dt'"):
        Run.open(copy)


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_damaged_checkpoint_is_said_to_be_damaged(copy, keep):
    path = copy / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"the checkpoint '.*' is damaged"):
        Run.open(copy)


def test_lost_rows_are_noticed(copy):
    path = copy / "metrics.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(ValueError, match="has 2 rows, and the checkpoint is of epoch 5"):
        Run.open(copy)


def test_what_is_no_run_is_said_so(tmp_path):
    with pytest.raises(ValueError, match=r"is no training run: it has no config\.toml"):
        read_run(tmp_path)


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot be written .*free some space or choose another directory"):
        Run.create(tmp_path / "file" / "run", configuration("water", "lab"))


def one_more(training, progress):
    """An epoch that costs nothing: the same numbers again."""
    parameters = np.asarray(progress.scaled) * training.scale
    record = Record(
        epoch=progress.epoch + 1,
        loss=1.0,
        loss_error=float("nan"),
        terms=dict.fromkeys(training.loss.terms, (None, None, 0.1)),
        term_errors={},
        names=training.names,
        parameters=parameters,
        gradient=parameters,
        gradient_error=parameters,
        clamped=parameters > 1e9,
        density=1.0,
        temperature=300.0,
        grid=np.arange(3.0),
        curves={"rdf_OO": np.arange(3.0)},
    )
    return dataclasses.replace(progress, epoch=progress.epoch + 1), record


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    """The disk is full when the second checkpoint is written; with space again, the run goes on from the first."""
    folder = tmp_path / "run"
    run = Run.create(folder, configuration("water", "lab", optimiser={"epochs": 3}))
    monkeypatch.setattr(run.training, "epoch", functools.partial(one_more, run.training))
    write = runs._write_checkpoint

    def second_time(path, progress, *rest):
        if progress.epoch == 2:
            raise OSError(28, "No space left on device")
        write(path, progress, *rest)

    with run, monkeypatch.context() as disk:
        disk.setattr(runs, "_write_checkpoint", second_time)
        with pytest.raises(OSError, match=r"cannot be written \(No space left on device\)"):
            run.go()
    assert len(read_run(folder).metrics) == 2
    with Run.open(folder) as run:
        assert run.progress.epoch == 1
        assert len(read_run(folder).metrics) == 1  # the row beyond the checkpoint is gone
        monkeypatch.setattr(run.training, "epoch", functools.partial(one_more, run.training))
        assert run.go()
    assert list(read_run(folder).metrics.epoch) == [1, 2, 3]


def test_a_diverging_run_keeps_its_last_good_checkpoint(copy, monkeypatch):
    before = (copy / "checkpoint.npz").read_bytes()
    config = copy / "config.toml"
    with Run.open(copy) as run:

        def diverge(progress):
            raise Diverged("epoch 6 cannot be finished: the reason.")

        monkeypatch.setattr(type(run), "finished", property(lambda self: False))
        monkeypatch.setattr(run.training, "epoch", diverge)
        with pytest.raises(Diverged, match="the reason"):
            run.go()
    assert (copy / "checkpoint.npz").read_bytes() == before
    assert config.exists()


def test_the_command_refuses_in_sentences(tmp_path):
    with pytest.raises(ValueError, match="say what to train"):
        main([])
    with pytest.raises(ValueError, match="--resume goes on with a run as it was configured"):
        main(["water", "--resume", str(tmp_path)])
    with pytest.raises(ValueError, match=r"write section\.key=value"):
        main(["water", "--set", "nonsense", "--to", str(tmp_path / "x")])
    missing = Path("no-such.toml")
    with pytest.raises(OSError, match=r"no-such\.toml"):
        main(["--config", str(missing)])
