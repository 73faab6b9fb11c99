"""The loss surface: the training's own loss at its start, points in their order, and sentences for what cannot be."""

import math

import numpy as np
import pytest

from revmd_app.training.configuration import configuration
from revmd_app.training.fit import Training
from revmd_app.training.surface import Landscape, Point, grid, surface

pytestmark = pytest.mark.slow
SIGMA, EPSILON = "LennardJones.sigma", "LennardJones.epsilon"


@pytest.fixture(scope="module")
def training():
    return Training(
        configuration(
            "water",
            "lab",
            gradient={"estimator": "reweighting"},
            run={"steps": 40, "sample_every": 20, "replicas": 2},
            preparation={"first_steps": 20, "steps": 20, "interval": 10},
        )
    )


def test_at_the_start_the_surface_is_the_loss_with_which_a_training_begins(training):
    _, record = training.epoch(training.begin())
    loss, error = Landscape(training).loss(training.start)
    assert loss == pytest.approx(record.loss, rel=1e-5)
    assert error == pytest.approx(record.loss_error, rel=1e-3)


def test_points_come_row_by_row_and_a_simulation_that_fails_is_a_point_with_its_reason(training):
    steps = surface(training, (SIGMA, [0.315, 0.34]), (EPSILON, [0.636, -1.0]))
    points = list(steps)
    assert [(p.column, p.row) for p in points] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert all(math.isfinite(p.loss) and p.loss > 0 and not p.fault for p in points[:2])
    assert points[1].loss > points[0].loss  # atoms that are far too large
    assert all(math.isnan(p.loss) and "epsilon" in p.fault for p in points[2:])


@pytest.mark.parametrize(
    ("across", "upwards", "sentence"),
    [
        (("sigma", [0.3]), (EPSILON, [0.6]), "there is no parameter 'sigma'; there are LennardJones.sigma"),
        ((SIGMA, [0.3]), (SIGMA, [0.3]), "two different parameters"),
        ((SIGMA, []), (EPSILON, [0.6]), "at least one value"),
    ],
)
def test_what_is_no_surface_is_refused_before_anything_is_computed(training, across, upwards, sentence):
    with pytest.raises(ValueError, match=sentence):
        surface(training, across, upwards)


def test_a_grid_of_what_has_come():
    xs, ys, losses = grid(
        [Point(0, 0, 0.3, 0.5, 1.0, 0.1), Point(1, 0, 0.4, 0.5, 2.0, 0.1), Point(0, 1, 0.3, 0.6, 3, 0)]
    )
    assert list(xs) == [0.3, 0.4]
    assert list(ys) == [0.5, 0.6]
    np.testing.assert_equal(losses, [[1, 2], [3, np.nan]])
