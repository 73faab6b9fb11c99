"""Evaluation: what is compared and how errors are found, the file of runs, and a real run of a few molecules."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from revmd_app.data import load_water_rdf
from revmd_app.gradients.estimate import flat_leaves, parameter_names
from revmd_app.systems.force_fields import force_field, water_potential
from revmd_app.training import evaluate_command as command
from revmd_app.training.configuration import configuration
from revmd_app.training.evaluate import (
    BIN,
    COMPARED_FROM,
    ENTHALPY,
    PAIRS,
    PROTOCOLS,
    Property,
    curve_error,
    evaluate,
    known_protocol,
    measure,
    summary,
)
from revmd_app.training.runs import Replay

TINY = PROTOCOLS["laptop"]._replace(
    name="tiny", n_molecules=64, density=0.997, temperature=298.15, cutoff=0.55, equilibration=0.3, production=0.6
)
"""The shipped liquid, for a moment; its box leaves the barostat some room."""
R = (np.arange(333) + 0.5) * BIN


def curve(pair: str, offset: float = 0.0) -> np.ndarray:
    """The measured g(r) plus a constant, 0 where there is none."""
    return np.nan_to_num(load_water_rdf()[PAIRS[pair]].on(R)) + offset


def a_run(name="lennard_jones", seed=0, enthalpy=45.0, density=0.99, offset=0.0):
    g = {pair: curve(pair, offset).tolist() for pair in PAIRS}
    return {"force_field": name, "seed": seed, "enthalpy": enthalpy, "density": density, "temperature": 295.0, "g": g}


def test_the_protocols_are_those_that_are_documented():
    paper = known_protocol("paper")
    assert (paper.n_molecules, paper.cutoff, paper.truncation, paper.dt) == (895, 1.0, "plain", 0.001)
    assert paper.n_trials * paper.trial_every == pytest.approx(10_000, abs=30)
    assert paper.n_samples * paper.sample_every == 50_000
    edge = (895 * 18.015324 * 1.66053906660e-3 / paper.density) ** (1 / 3)
    assert edge == pytest.approx(3.0, abs=2e-3)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_experiment_has_no_error_and_a_constant_is_found(pair):
    assert curve_error(pair, np.array([curve(pair)])).value == pytest.approx(0.0, abs=1e-12)
    assert curve_error(pair, np.array([curve(pair, 0.1), curve(pair, 0.3)])).value == pytest.approx(0.2)
    near = curve(pair) + np.where(COMPARED_FROM[pair] > R, 5.0, 0.0)  # what is not comparable does not count
    assert curve_error(pair, np.array([near])).value == pytest.approx(0.0, abs=1e-12)


def test_the_error_of_a_curve_is_the_spread_between_runs():
    """For offsets of one sign the deviation is their mean, and the jackknife is the standard error of a mean."""
    offsets = np.array([0.10, 0.14, 0.06, 0.12])
    found = curve_error("O-O", np.array([curve("O-O", x) for x in offsets]))
    assert found.value == pytest.approx(offsets.mean())
    assert found.error == pytest.approx(offsets.std(ddof=1) / 2)
    assert np.isnan(curve_error("O-O", np.array([curve("O-O")])).error)


def test_noise_of_single_runs_does_not_count_as_deviation():
    rng = np.random.default_rng(0)
    noisy = np.array([curve("O-O") + rng.normal(0, 0.2, len(R)) for _ in range(100)])
    assert curve_error("O-O", noisy[:1]).value > 0.1
    assert curve_error("O-O", noisy).value < 0.03


def test_a_summary():
    found = summary("lennard_jones", TINY, [a_run(seed=k, enthalpy=e) for k, e in enumerate((45.0, 46.0, 47.0))])
    enthalpy = found.properties["enthalpy"]
    assert (enthalpy.value, enthalpy.target) == (46.0, ENTHALPY)
    assert enthalpy.error == pytest.approx(1 / np.sqrt(3))
    assert found.properties["g_H-H error"].value == pytest.approx(0.0, abs=1e-12)
    assert set(found.curves) == set(PAIRS)
    with pytest.raises(ValueError, match="no run of 'buckingham'"):
        summary("buckingham", TINY, [])


def test_a_breathing_and_a_frozen_box():
    """Runs of one seed repeat bit for bit; other seeds and other force fields differ; a frozen box stays."""
    done = evaluate("lennard_jones", protocol=TINY, n_runs=2)
    first, second = done.runs
    assert [run["seed"] for run in done.runs] == [0, 1]
    assert first["volumes"] != second["volumes"]
    again = measure("lennard_jones", TINY, 1)
    assert {**again, "seconds": 0} == {**second, "seconds": 0}
    assert done.properties["enthalpy"].value == pytest.approx(45.0, abs=6.0)
    assert done.properties["density"].value == pytest.approx(0.98, abs=0.08)
    assert done.properties["temperature"].value == pytest.approx(298.0, abs=60.0)
    assert done.curves["O-O"][: int(0.2 / BIN)].max() < 0.1
    still = measure("lennard_jones_reversible", TINY._replace(box="frozen"), 0)
    assert still["box_density"] == pytest.approx(64 * 18.015324 * 1.66053906660e-3 / still["volumes"][-1], rel=1e-4)
    assert still["n_samples"] == 2


def test_stopping():
    with pytest.raises(KeyboardInterrupt):
        measure("lennard_jones", TINY, 0, should_stop=lambda: True)


@pytest.fixture
def quick(monkeypatch):
    """Runs of no length, which are counted."""
    done = []

    def run(field, protocol, seed, on_steps=None, should_stop=None):
        done.append((field.name, seed))
        return a_run(field.name, seed, enthalpy=45.0 + 0.1 * seed)

    monkeypatch.setattr(command, "measure", run)
    monkeypatch.setattr(command, "starting_liquid", lambda protocol: None)
    return done


def test_the_command_goes_on_from_its_file(quick, tmp_path, capsys):
    path = tmp_path / "runs.json"
    ask = ["lennard_jones", "buckingham", "--threads", "1", "--json", str(path)]
    assert command.main([*ask, "--runs", "1"]) == 0
    assert quick == [("lennard_jones", 0), ("buckingham", 0)]
    assert command.main([*ask, "--runs", "3", "--plot", str(tmp_path / "g.png")]) == 0
    assert sorted(quick[2:]) == [(name, seed) for name in ("buckingham", "lennard_jones") for seed in (1, 2)]
    stored = json.loads(path.read_text())
    assert len(stored["runs"]) == 6
    assert stored["protocol"]["name"] == "laptop"
    shown = capsys.readouterr().out
    assert "| `buckingham` | 3 |" in shown
    assert "45.100 ± 0.058" in shown
    assert (tmp_path / "g.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="runs of another protocol"):
        command.main([*ask, "--protocol", "paper"])


def test_what_a_training_run_ended_with(quick, monkeypatch, tmp_path):
    """Parameters of the last epoch, in the order of the potential's own parameters, under a name with the epoch."""
    trained = force_field("buckingham_reversible")
    names = parameter_names(water_potential("buckingham", 0.6))
    values = flat_leaves(water_potential(trained, 0.6))
    columns = {f"parameter {name}": [0.0, float(value)] for name, value in zip(names, values, strict=True)}
    run = Replay("mine", configuration("water", "lab"), pd.DataFrame({"epoch": [1, 2], **columns}), {}, "revmd train")
    buckingham = run.configuration.system.__class__(force_field="buckingham")
    run = replace(run, configuration=replace(run.configuration, system=buckingham))
    monkeypatch.setattr(command, "read_run", lambda folder: run)
    field = command.chosen_field(str(tmp_path))
    assert field.name == "mine, epoch 2"
    assert field._replace(name="", title="", source="") == trained._replace(name="", title="", source="")
    assert command.main([str(tmp_path), "--runs", "1", "--threads", "1"]) == 0
    assert quick == [("mine, epoch 2", 0)]


def test_bad_input_is_one_sentence(quick, tmp_path):
    with pytest.raises(ValueError, match="no force field 'spce'"):
        command.main(["spce"])
    with pytest.raises(ValueError, match="no protocol 'quick'; there are paper, laptop"):
        command.main(["lennard_jones", "--protocol", "quick"])
    with pytest.raises(ValueError, match="--runs must be at least 1"):
        command.main(["lennard_jones", "--runs", "0"])
    other = tmp_path / "other.json"
    other.write_text("[]")
    with pytest.raises(ValueError, match="is not a file of runs"):
        command.main(["lennard_jones", "--json", str(other)])
    assert not quick


def test_progress_does_not_count_compilation(monkeypatch):
    """2 of 100 ps in the 20 s after the first step that ran: 970 s for the other 97."""
    now, lines = [1000.0], io.StringIO()
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    progress = command.Progress(2, 100.0, lines)
    progress.advance(1.0)
    now[0] += 20.0
    progress.advance(2.0)
    assert lines.getvalue().splitlines()[-1] == "3.0 of 100 ps; 16 min 10 s left"


def test_numbers_with_errors():
    assert command.with_error(Property(0.08731, 0.00123)) == "0.0873 ± 0.0012"
    assert command.with_error(Property(46.789, 0.0456)) == "46.789 ± 0.046"
    assert command.with_error(Property(46.789, float("nan"))) == "46.79"
    assert command.readable_time(75) == "1 min 15 s"


def test_another_cutoff_is_another_protocol():
    protocol = command.chosen_protocol("laptop", 0.84)
    assert protocol == PROTOCOLS["laptop"]._replace(name="laptop, cutoff 0.84 nm", cutoff=0.84)
    assert command.chosen_protocol("paper", None) == PROTOCOLS["paper"]
    with pytest.raises(ValueError, match="--cutoff"):
        command.chosen_protocol("laptop", -1.0)
