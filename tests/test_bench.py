"""The benchmark: engines with the same physics, missing peers told of in a sentence, reports that hold together."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from revmd_app.bench import command, resident
from revmd_app.bench.contest import JAX_MD, OPENMM, OURS, Plan, Worker, WorkerError, hold
from revmd_app.bench.goals import goals
from revmd_app.bench.peers.openmm_cpu import OpenMM
from revmd_app.bench.peers.ours import Revmd
from revmd_app.bench.peers.problem import problem
from revmd_app.bench.peers.turns import HAMILTONIANS, Problem
from revmd_app.bench.plot import draw
from revmd_app.bench.records import (
    Agreement,
    App,
    Contest,
    Frames,
    Growth,
    Latency,
    Resident,
    Results,
    Row,
    Start,
    begin,
)
from revmd_app.bench.report import page, show, tables
from revmd_app.systems import prepared

QUIET = lambda what: None


@pytest.fixture(scope="module")
def argon(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "argon.npz"
    problem("argon", 108).save(path)
    return path


@pytest.fixture
def no_jax_md(tmp_path, monkeypatch):
    """An environment in which jax-md cannot be imported, whether it is installed or not."""
    (tmp_path / "jax_md.py").write_text("raise ImportError('no such thing here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def far(forces, exact):
    return np.max(np.abs(forces - exact)) / np.sqrt(np.mean(exact**2))


@pytest.mark.parametrize("hamiltonian", HAMILTONIANS)
def test_openmm_computes_our_water(hamiltonian):
    energy, forces = Revmd(prepared("water", 64)).energy_and_forces(hamiltonian)
    theirs, their_forces = OpenMM(problem("water", 64), threads=1, platform="Reference").energy_and_forces(hamiltonian)
    assert theirs == pytest.approx(energy, rel=1e-7)
    assert far(their_forces, forces) < 1e-6


def test_a_problem_is_written_and_read(argon):
    read = Problem.load(argon)
    assert read.meta["lj"]["atoms"] == read.n_atoms == 108
    assert read.arrays["positions"].shape == (3, 108)
    assert read.inside.shape == (0, 2)
    water = problem("water", 64)
    assert len(water.inside) == 3 * 64
    assert abs(water.arrays["charges"].sum()) < 1e-9


def test_a_contest_without_jax_md(argon, no_jax_md, capsys):
    """Two engines take turns and agree on the forces; the third is told of, and the page is whole."""
    contest = Contest("argon 108", 108, 1)
    hold(contest, argon, Plan(rounds=2, gradients=False, turn=0.01), QUIET)
    ours, theirs = contest.row(OURS, "forward shifted"), contest.row(OPENMM, "forward built-in")
    assert ours.ratio == 1
    assert ours.rounds == theirs.rounds == 2
    assert min(ours.cpu, ours.wall, theirs.cpu, theirs.wall, theirs.ratio) > 0
    assert len(contest.agreement) == 4
    assert all(a.agrees for a in contest.agreement)
    missing = contest.row(JAX_MD, "forward shifted")
    assert missing.status == "not installed"
    assert missing.why.startswith("jax-md is not installed")
    results = begin("revmd bench")
    results.contests.append(contest)
    show(results)
    assert missing.why in capsys.readouterr().out
    assert missing.why in page(results)


def test_jax_md_computes_our_forces_or_is_told_of(argon, tmp_path):
    """With jax-md installed its forces are ours; without it there is one sentence."""
    try:
        with Worker(JAX_MD, argon, single=True) as worker:
            path = tmp_path / "forces.npy"
            energy = worker.ask("agree", program="shifted", to=str(path))["energy"]
            exact, exact_forces = Revmd(prepared("argon", 108)).energy_and_forces("shifted")
            assert energy == pytest.approx(exact, rel=1e-9)
            assert far(np.load(path), exact_forces) < 1e-9
    except WorkerError as error:
        assert "jax-md is not installed" in str(error)  # noqa: PT017  (either outcome is one to look at)


def test_a_gradient_by_two_methods(argon):
    with Worker(OURS, argon, single=True) as worker:
        for method in ("reversible", "reverse_mode"):
            known = worker.ask("prepare", program=f"gradient {method}", steps=20)
            assert known["bytes"] > 0
            assert worker.ask("run", program=f"gradient {method}", steps=20)["steps"] == 20
        with pytest.raises(WorkerError, match="nobody knows how to 'fly'"):
            worker.ask("fly")


def test_a_contender_that_dies_is_told_of(argon, monkeypatch):
    monkeypatch.setattr("revmd_app.bench.contest.MODULES", {OPENMM: "nowhere"})
    contest = Contest("argon 108", 108, 1)
    hold(contest, argon, Plan(rounds=1, gradients=False), QUIET)
    (row,) = contest.rows
    assert row.status == "failed"
    assert "exit code 1" in row.why
    assert "nowhere" in row.why


# ------------------------------------------------------------------------------------------------------------ reports


def some_results() -> Results:
    """Numbers of nothing: what a complete run looks like."""
    about = {"name": "OpenMM (CPU platform)", "version": "8", "threads": 1}
    timed = {"steps": 20, "rounds": 3, "wall": 11.0, "cpu": 10.0, "wall_range": (9.0, 12.0), "compile_seconds": 1.0}
    contest = Contest("argon 1000", 1000, 1)
    contest.rows = [
        Row(OURS, "forward shifted", ratio=1.0, **timed),
        Row(OPENMM, "forward shifted", ratio=3.0, about=about, **timed),
        Row(JAX_MD, "forward shifted", status="not installed", why="jax-md is not installed: a sentence."),
        Row(OURS, "gradient loss", ratio=1.0, bytes=10**6, **timed),
        Row(OURS, "gradient reversible", ratio=3.0, bytes=3 * 10**6, **timed),
        Row(OURS, "gradient checkpointed", ratio=15.0, bytes=10**8, **timed),
        Row(OURS, "gradient reverse_mode", status="not run", why="200 steps would need 18 GB."),
    ]
    contest.agreement = [
        Agreement(OPENMM, "shifted", -1.0, 1e-8, 1e-5),
        Agreement(OPENMM, "built-in", -1.0, 1e-3, 1e-5),
    ]
    results = begin("revmd bench --all")
    results.contests = [contest, Contest("argon 1000", 1000, 2, rows=contest.rows[:3])]
    results.growth = [Growth("reversible", n, 10**6 + n) for n in (1000, 100_000)]
    results.starts = [Start(OURS, "argon 1000", 5.0, 2.0), Start(OPENMM, "argon 1000", 0.5)]
    results.app = App(
        starts={"first moving frame, cold": 9.0, "first moving frame, warm": 5.0},
        latencies=[Latency("the new curve", [50.0, 70.0, 60.0, 90.0], 100.0)],
        frames=[Frames("Argon, 500 atoms", 24.0, 11.0)],
        memory=[
            Resident("after lab 1", 3, 500 * 10**6, 700 * 10**6),
            Resident("after labs 1 to 3", 3, None, 8 * 10**8),
        ],
    )
    results.complete = True
    return results


def test_results_survive_a_file(tmp_path):
    results, path = some_results(), tmp_path / "deep" / "bench.json"
    results.save(path)
    again = Results.load(path)
    assert [table.rows for table in tables(again)] == [table.rows for table in tables(results)]
    assert again.app.latencies[0].median == 65.0
    assert again.contests[0].agreement[0].agrees
    assert not again.contests[0].agreement[1].agrees


@pytest.mark.parametrize("content", ["", "[]", '{"command": 1}', '{"command": "", "machine": {}, "date": "", "x": 1}'])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="is not a file that 'revmd bench --json' wrote"):
        Results.load(path)


def test_the_page_names_its_command_and_shows_every_number(capsys):
    results = some_results()
    text = page(results, "images/bench.png")
    assert "    revmd bench --all\n" in text
    assert "(images/bench.png)" in text
    assert "interrupted" not in text
    assert "None" not in text
    for table in tables(results):
        assert f"## {table.title}" in text
        assert len({len(row) for row in [table.columns, *table.rows]}) == 1
    show(results)
    printed = capsys.readouterr().out
    assert "would need 18 GB" in printed
    assert "jax-md is not installed: a sentence." in printed
    assert "differs" in printed


def test_goals_are_met_or_missed():
    met = {goal.what: goal.met for goal in goals(some_results())}
    assert met["argon 1000: value and gradient, over the forward run"]
    assert met["argon 1000: gradient, faster than √n checkpointing"]
    assert not met["memory of the gradient, 100,000 steps over 1,000"] or max(met.values())
    assert met["the new curve"]
    assert met["memory of the app after labs 1 to 3"]
    assert "argon 1000: gradient, faster than jax.grad of the same steps" not in met  # it was not run


@pytest.mark.parametrize("name", ["bench.png", "bench.svg"])
def test_the_picture(tmp_path, name):
    path = tmp_path / "images" / name
    draw(some_results(), path)
    assert path.stat().st_size > 5000
    with pytest.raises(ValueError, match="nothing to draw"):
        draw(begin(""), path)


# ------------------------------------------------------------------------------------------------------------ command


def test_a_stored_run_is_reported_again(tmp_path, capsys):
    stored, written = tmp_path / "a.json", tmp_path / "docs" / "bench.md"
    some_results().save(stored)
    picture = tmp_path / "docs" / "images" / "bench.png"
    assert command.main(["--from", str(stored), "--markdown", str(written), "--plot", str(picture)]) == 0
    assert "![" in written.read_text(encoding="utf-8")
    assert f"({os.path.join('images', 'bench.png')})" in written.read_text(encoding="utf-8")
    assert "argon 1000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["neon-7"], "there is no 'neon-7' to measure: choose from argon-216"),
        (["--jax-md-python", "/no/such/python"], "there is no interpreter '/no/such/python'"),
        (["--json", "."], "is a folder: name a file"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        command.main(arguments)


def test_ctrl_c_keeps_what_was_measured(tmp_path, monkeypatch, capsys):
    def interrupted(contest, *_):
        contest.rows = some_results().contests[0].rows
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "hold", interrupted)
    path = tmp_path / "bench.json"
    assert command.main(["--quick", "--json", str(path)]) == command.INTERRUPTED
    kept = Results.load(path)
    assert not kept.complete
    assert len(kept.contests[0].rows) == 7
    assert "what was measured is kept" in capsys.readouterr().err
    assert "The run was interrupted" in page(kept)


def test_the_command_says_nothing_of_this_machines_folders():
    assert command._shown("/home/somebody/env/bin/python") == "python"
    assert command._shown("--json=/tmp/x.json") == "--json=x.json"
    assert command._shown("docs/bench.md") == "docs/bench.md"


def test_memory_of_a_family():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as parent:
        try:
            while len(resident.descendants(parent.pid)) < 2 and parent.poll() is None:
                pass
            held = resident.of(parent.pid, "here")
            assert held.processes == 2
            assert 0 < held.pss <= held.rss
        finally:
            parent.communicate(b"\n", timeout=30)
    with pytest.raises(OSError, match="cannot be read"):
        resident.of(parent.pid, "gone")


def test_a_part_that_fails_leaves_the_others(tmp_path, monkeypatch, capsys):
    def refused(*_):
        raise ValueError("argon 108 could not be prepared: no reason.")

    monkeypatch.setattr(command, "_problem", refused)
    path = tmp_path / "bench.json"
    assert command.main(["--quick", "--json", str(path)]) == 0
    assert Results.load(path).problems == ["argon-108: argon 108 could not be prepared: no reason."]
    assert "no reason" in capsys.readouterr().out
