"""The tasks "train" and "evaluate": the same numbers as the commands give, and sentences for what cannot be."""

from __future__ import annotations

from types import SimpleNamespace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from revmd_app.sweeps.plan import Sweep, from_toml, named
from revmd_app.sweeps.plots import draw
from revmd_app.sweeps.summary import summary, tables
from revmd_app.sweeps.tasks import TASKS, at_point
from revmd_app.sweeps.water import chosen_protocol, configured, evaluate, train
from revmd_app.systems.force_fields import water_potential
from revmd_app.training.configuration import configuration
from revmd_app.training.evaluate import measure
from revmd_app.training.fit import Diverged, Training

SHORT = {
    "preset": "lab",
    "preparation.steps": 20,
    "preparation.first_steps": 20,
    "run.steps": 20,
    "run.sample_every": 10,
    "optimiser.epochs": 2,
}


def training_point(**settings):
    return at_point("train", Sweep("train", SHORT, {"gradient.truncate": [10]}).settings, settings)


@pytest.fixture(scope="module")
def rows():
    return train(training_point(**{"gradient.truncate": 10}), seed=11)


def test_a_trained_point_is_what_the_training_itself_gives(rows):
    """Epoch by epoch the metrics of a run with that configuration and that seed."""
    run = configuration(
        "water",
        "lab",
        preparation={"steps": 20, "first_steps": 20},
        run={"steps": 20, "sample_every": 10, "seed": 11},
        optimiser={"epochs": 2},
        gradient={"truncate": 10},
    )
    training = Training(run)
    progress = training.begin()
    for row in rows:
        progress, record = training.epoch(progress)
        expected = {**record.row(), "stopped": ""}
        assert row.keys() == expected.keys()
        np.testing.assert_equal(list(row.values()), list(expected.values()))
    assert len(rows) == 2


def test_the_sweep_may_set_the_seed_itself():
    settings = at_point("train", Sweep("train", SHORT, {"run.seed": [4]}).settings, {"run.seed": 4})
    assert configured(settings, 99).run.seed == 4


class Astray:
    """A training whose second epoch explodes."""

    def __init__(self, run):
        self.begin = lambda: SimpleNamespace(epoch=0)

    def epoch(self, progress):
        if progress.epoch:
            raise Diverged(f"epoch {progress.epoch + 1} cannot be finished: it exploded.")
        return SimpleNamespace(epoch=1), SimpleNamespace(row=lambda: {"epoch": 1, "loss": 3.0})


def test_a_training_that_goes_astray_keeps_its_epochs_and_the_reason(monkeypatch):
    monkeypatch.setattr("revmd_app.sweeps.water.Training", Astray)
    (row,) = train(training_point(), seed=1)
    assert row == {"epoch": 1, "loss": 3.0, "stopped": "epoch 2 cannot be finished: it exploded."}


def test_an_evaluated_point_is_one_validation_run():
    sweep = Sweep(
        "evaluate",
        {"molecules": 64, "cutoff": 0.5, "equilibration": 0.03, "production": 0.3},
        {"sigma": [0.31]},
    )
    settings = at_point("evaluate", sweep.settings, {"sigma": 0.31})
    (row,) = evaluate(settings, seed=5)
    protocol = chosen_protocol(settings)
    assert (protocol.n_molecules, protocol.cutoff, protocol.temperature) == (64, 0.5, 295.15)
    potential = water_potential("lennard_jones", 0.5, "shifted")
    potential = eqx.tree_at(lambda p: p.parts[0].sigma, potential, jnp.asarray(0.31))
    found = measure(potential, protocol, 5)
    assert row["enthalpy"] == pytest.approx(found["enthalpy"], rel=1e-12)
    assert row["density"] == found["density"]
    assert row["g_O-H error"] > 0


def test_what_cannot_be_is_said_before_anything_starts():
    for task, grid, sentence in (
        ("train", {"sigma": [0.3]}, "'sigma' is neither a setting nor a key of a training run"),
        ("train", {"optimiser.rate": [0.1]}, r"\[optimiser\] has no key 'rate'"),
        ("train", {"gradient.estimator": ["magic"]}, "gradient.estimator is one of"),
        ("evaluate", {"force_field": ["magic"]}, "magic"),
        ("evaluate", {"kappa": [1.0]}, "'kappa' is neither a setting nor a parameter of the potential"),
        ("evaluate", {"molecules": [8]}, "the setting 'molecules'"),
        ("evaluate", {"protocol": ["quick"]}, "no protocol 'quick'"),
    ):
        sweep = Sweep(task, {}, grid)
        with pytest.raises(ValueError, match=sentence):
            TASKS[task].check(at_point(task, sweep.settings, sweep.points()[0].values))
    with pytest.raises(ValueError, match="the task 'evaluate' has no setting 'optimiser"):
        Sweep("evaluate", {"optimiser.epochs": 3}, {"sigma": [0.3]})


def test_keys_may_be_tables_of_their_own():
    text = 'task = "train"\n[settings.optimiser]\nepochs = 3\n[grid]\ngradient.truncate = [50, 100]'
    quoted = 'task = "train"\n[settings]\n"optimiser.epochs" = 3\n[grid]\n"gradient.truncate" = [50, 100]'
    assert from_toml(text) == from_toml(quoted)


@pytest.mark.parametrize("name", ["water-training", "water-force-fields"])
def test_the_studies_can_be_computed(name):
    study = named(name)
    for point in study.points():
        settings = at_point(study.task, study.settings, point.values)
        if study.task == "train":
            configured(settings, point.seed)
        else:
            TASKS[study.task].check(settings)


def table_of(sweep: Sweep, each) -> pd.DataFrame:
    points = [(point, row) for point in sweep.points() for row in each(point)]
    return pd.DataFrame([{"point": p.name, **p.values, "replica": p.replica, "failed": "", **row} for p, row in points])


def test_trainings_are_summed_up_by_their_beginning_and_their_end(tmp_path):
    """Twenty epochs of a known loss: the first, and the mean of the last two; ± over the repeats."""
    sweep = Sweep("train", {}, {"gradient.truncate": [200, 50]}, replicas=2)
    level = lambda point: point.values["gradient.truncate"] / 50 + point.replica

    def epochs(point):
        for epoch in range(1, 21):
            yield {
                "epoch": epoch,
                "loss": level(point) / epoch,
                "enthalpy": 45.0 + epoch,
                "density": 1.0,
                "stopped": "",
            }

    rows = table_of(sweep, epochs)
    (table,) = tables(sweep, rows).values()
    assert list(table["gradient.truncate"]) == [200, 50]  # in the order of the grid
    assert list(table["first loss"]) == [4.5, 1.5]
    np.testing.assert_allclose(table["last loss"], np.array([4.5, 1.5]) * (1 / 19 + 1 / 20) / 2)
    np.testing.assert_allclose(table["± first loss"], 0.5)  # |a - b| / 2 for two
    assert list(table["enthalpy"]) == [64.5, 64.5]
    assert "4 points with a result" in summary(sweep, rows)
    draw(sweep, rows, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_validation_runs_are_summed_up_with_their_errors(tmp_path):
    sweep = Sweep("evaluate", {}, {"force_field": ["lennard_jones", "buckingham"]}, replicas=3)
    value = {"enthalpy": 45.0, "density": 0.99, "g_O-O error": 0.05}
    rows = table_of(sweep, lambda point: [{name: x * (1 + 0.01 * point.replica) for name, x in value.items()}])
    (table,) = tables(sweep, rows).values()
    np.testing.assert_allclose(table["enthalpy"], 45.0 * 1.01)
    np.testing.assert_allclose(table["± enthalpy"], 0.45 / np.sqrt(3))
    draw(sweep, rows, tmp_path / "a.svg")
    assert "buckingham" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="nothing to draw"):
        draw(sweep, rows.assign(failed="it exploded"), tmp_path / "b.png")
