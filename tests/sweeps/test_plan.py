"""What a sweep may be: grids, points and their hashes, TOML there and back, and a sentence for everything wrong."""

from __future__ import annotations

import pytest

from revmd_app.sweeps.plan import STUDIES, Sweep, from_toml, named, to_toml
from revmd_app.sweeps.tasks import TASKS, at_point

GRID = {"k": [0.5, 1.0], "friction": [1.0, 2.0]}
SETTINGS = {"system": "harmonic_oscillator", "size": 1, "loss": "Potential energy"}


def sweep(**changes) -> Sweep:
    return Sweep(**{"task": "gradients", "settings": SETTINGS, "grid": GRID, "replicas": 2, "seed": 5, **changes})


def test_every_combination_is_a_point_with_a_name_and_a_seed_of_its_own():
    points = sweep().points()
    assert len(points) == 2 * 2 * 2
    assert len({point.name for point in points}) == len({point.seed for point in points}) == 8
    assert points[0].values == {"k": 0.5, "friction": 1.0}
    assert str(points[1]) == "k 0.5, friction 1.0, replica 1"


def test_a_point_is_known_by_what_its_result_depends_on_and_by_nothing_else():
    names = {str(point): point.name for point in sweep().points()}
    larger = {str(point): point.name for point in sweep(grid={**GRID, "k": [2.0, 1.0, 0.5]}, replicas=3).points()}
    assert names.items() <= larger.items()  # a grid can grow, in any order, without changing what is there
    for other in (sweep(seed=6), sweep(settings={**SETTINGS, "steps": 800})):
        assert not {point.name for point in other.points()} & set(names.values())


def test_toml_there_and_back():
    for given in (sweep(), *(named(name) for name in STUDIES)):
        assert from_toml(to_toml(given)) == given


def test_the_studies_are_those_of_the_paper():
    gradients, truncation = named("water-gradients"), named("water-truncation")
    assert len(gradients.points()) == 250
    assert len(truncation.points()) % 125 == 0
    assert truncation.settings["truncate"] == [50, 100, 200, 500, 750, 1000]
    for study in (gradients, truncation):
        first = study.points()[0].values
        TASKS[study.task].check(at_point(study.task, study.settings, first))


def test_settings_and_parameters_of_a_point_are_told_apart():
    values = {"k": 1, "friction": 2}
    settings = at_point("gradients", sweep().settings, values)
    assert settings["parameters"] == {"k": 1.0}
    assert settings["friction"] == 2.0
    assert settings["size"] == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("task = ", "no TOML"),
        ("grid = {k = [1.0]}", "needs a task"),
        ('task = "gradients"\nrepeats = 2', "has no 'repeats'; it has task, seed, replicas"),
        ('task = "gradient"', "no task 'gradient' to sweep; there are gradients"),
        ('task = "gradients"', "grid of this sweep is empty"),
        ('task = "gradients"\n[grid]\nk = []', "'k' in the grid needs a list"),
        ('task = "gradients"\n[grid]\nk = 1.0', "'k' in the grid needs a list"),
        ('task = "gradients"\n[grid]\nk = [1.0, 1.0]', "names a value twice"),
        ('task = "gradients"\n[grid]\nk = [[1.0]]', "a list or a table"),
        ('task = "gradients"\n[grid]\nk = [1.0, "a"]', "mixes numbers with texts"),
        ('task = "gradients"\n[grid]\nk = ["a"]', "'k' in the grid is a number, not 'a'"),
        ('task = "gradients"\n[grid]\nk = [nan]', "not finite"),
        (
            'task = "gradients"\nreplicas = 0\n[grid]\nk = [1.0]',
            "'replicas' of a sweep is a whole number of at least 1",
        ),
        ('task = "gradients"\nreplicas = true\n[grid]\nk = [1.0]', "'replicas' of a sweep is a whole number, not True"),
        ('task = "gradients"\nseed = -1\n[grid]\nk = [1.0]', "'seed' of a sweep"),
        ('task = "gradients"\n[settings]\nstep = 1\n[grid]\nk = [1.0]', "has no setting 'step'; it has system, size"),
        ('task = "gradients"\n[settings]\nsteps = 1.5\n[grid]\nk = [1.0]', "'steps' is a whole number, not 1.5"),
        ('task = "gradients"\n[settings]\ntruncate = 5\n[grid]\nk = [1.0]', "'truncate' is a list with at least one"),
        ('task = "gradients"\n[settings]\nsize = 1\n[grid]\nsize = [1, 2]', "both a setting and in the grid"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_toml(text)


@pytest.mark.parametrize(
    ("changes", "parameters", "sentence"),
    [
        ({}, {"kk": 1.0}, "'kk' is neither a setting nor a parameter of the potential, which has k"),
        ({"steps": 50, "every": 40}, {}, "must be a multiple of 'every'"),
        ({"steps": 40, "every": 40}, {}, "at least two snapshots"),
        ({"loss": "Diffusion coefficient"}, {}, "no loss of averages"),
        ({"loss": "structure and enthalpy"}, {}, "is for water"),
        ({"cutoff": 0.5}, {}, "settings of water"),
        ({"system": "helium"}, {}, "no system 'helium'"),
        ({"size": 0}, {}, "'size', the number of particles,"),
        ({"truncate": [20, 20]}, {}, "names a length twice"),
        ({"loss_of": "series"}, {}, "'loss_of' is"),
        ({"time_step": -1.0}, {}, "time step"),
    ],
)
def test_settings_with_which_no_point_could_be_computed_are_refused_before_anything_starts(
    changes, parameters, sentence
):
    settings = at_point("gradients", sweep(settings={**SETTINGS, "steps": 400, "every": 40, **changes}).settings, {})
    with pytest.raises(ValueError, match=sentence):
        TASKS["gradients"].check({**settings, "friction": 1.0, "parameters": parameters})


def test_a_name_that_two_terms_have_must_say_which():
    settings = at_point("gradients", Sweep("gradients", {}, {"sigma": [0.3]}).settings, {"k": 1.0})
    with pytest.raises(ValueError, match=r"more than one term has a parameter 'k': name one of 2\.k, 3\.k"):
        TASKS["gradients"].check(settings)
