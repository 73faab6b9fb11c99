"""The configuration of a training run: presets, TOML there and back, and a sentence for everything that is wrong."""

from __future__ import annotations

import dataclasses

import pytest

from revmd_app.training.configuration import (
    PRESETS,
    TASKS,
    Configuration,
    as_dictionary,
    configuration,
    from_dictionary,
    from_toml,
    to_toml,
    with_value,
)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_and_survives_its_file(task, preset):
    run = configuration(task, preset)
    assert from_toml(to_toml(run)) == run
    assert run.task == task


def test_the_paper_preset_is_the_published_protocol():
    """Greener, PNAS 122, e2426058122 (2025), and its released training scripts."""
    water, oxygen = configuration("water", "paper"), configuration("oxygen", "paper")
    assert (water.system.molecules, oxygen.system.molecules, oxygen.system.gas_molecules) == (895, 885, 10)
    for run in (water, oxygen):
        assert run.system.dt == 0.001
        assert run.system.temperature == 295.15
        assert run.system.cutoff == 1.0
        assert run.preparation.start == "prepared"
        assert (run.preparation.steps, run.run.steps) == (10_000, 50_000)
        assert (run.gradient.truncate, run.gradient.clamp) == (200, 1000.0)
    assert (water.run.sample_every, oxygen.run.sample_every) == (2000, 500)
    assert (water.preparation.barostat, oxygen.preparation.barostat) == (True, False)
    assert (water.optimiser.learning_rate, oxygen.optimiser.learning_rate) == (2e-3, 5e-4)
    assert oxygen.loss.diffusion_target == 2.0e-3
    # 1e18 (D - 2e-9 m^2/s)^2 is ((D - 2e-3 nm^2/ps) / 1e-3)^2
    assert oxygen.loss.diffusion_uncertainty == 1e-3
    assert water.loss.enthalpy_target == 46.92


WRONG = {
    "an unknown section": ({"optimizer": {}}, "'optimizer' is no section .* did you mean 'optimiser'"),
    "an unknown key": ({"run": {"replica": 3}}, r"\[run\] has no key 'replica'; did you mean 'replicas'"),
    "a word for a number": ({"run": {"steps": "many"}}, "run.steps is a whole number, not 'many'"),
    "a fraction for a count": ({"run": {"steps": 10.5}}, "run.steps is a whole number, not 10.5"),
    "a truth for a number": ({"system": {"dt": True}}, "system.dt is a number, not True"),
    "a number for a section": ({"run": 3}, r"\[run\] is a section"),
    "steps that do not fit": ({"run": {"steps": 1001}}, r"run.steps \(1001\) must be a multiple"),
    "a negative temperature": ({"system": {"temperature": -3.0}}, "system.temperature"),
    "an unknown estimator": ({"gradient": {"estimator": "magic"}}, "gradient.estimator is one of"),
    "an unknown force field": ({"system": {"force_field": "magic"}}, "magic"),
    "no target at all": (
        {"loss": {"rdf_OO": 0.0, "rdf_OH": 0.0, "rdf_HH": 0.0, "enthalpy": 0.0}},
        "every target has the weight 0",
    ),
    "diffusion of nothing": ({"loss": {"diffusion": 1.0}}, "loss.diffusion is for the task oxygen"),
    "the density of a mixture": (
        {
            "task": "oxygen",
            "system": {"force_field": "lennard_jones_diffusion_start", "gas_molecules": 4},
            "loss": {"density": 1.0},
        },
        "loss.density is for the task water",
    ),
    "too few molecules": ({"system": {"molecules": 8}}, "system.molecules"),
    "no epochs": ({"optimiser": {"epochs": 0}}, "optimiser.epochs"),
    "a schedule that is none": ({"optimiser": {"schedule": "steep"}}, "optimiser.schedule is one of"),
    "a gas for water": ({"system": {"force_field": "lennard_jones_diffusion_start"}}, "training water needs"),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_what_is_wrong_is_said_in_a_sentence(case):
    changes, sentence = WRONG[case]
    with pytest.raises(ValueError, match=sentence):
        from_dictionary(changes)


def test_a_file_is_named_in_the_sentence():
    with pytest.raises(ValueError, match=r"'my\.toml' is not TOML"):
        from_toml("[run", "'my.toml'")
    with pytest.raises(ValueError, match=r"'my\.toml': \[run\] has no key 'step'"):
        from_toml("[run]\nstep = 3", "'my.toml'")


def test_one_key_can_be_set_by_text():
    run = with_value(Configuration(), "gradient.estimator=reweighting")
    assert run.gradient.estimator == "reweighting"
    assert with_value(run, "optimiser.epochs = 7").optimiser.epochs == 7
    with pytest.raises(ValueError, match=r"write section\.key=value"):
        with_value(run, "epochs 7")


def test_whole_numbers_are_welcome_where_numbers_are_asked_for():
    assert from_dictionary({"system": {"friction": 2}}).system.friction == 2.0


def test_the_fingerprint_notices_every_key_but_the_length_of_a_run_of_constant_rate():
    run = configuration("water", "paper")
    assert with_value(run, "optimiser.epochs=7").digest() == run.digest()
    falling = with_value(run, "optimiser.schedule=cosine")
    assert with_value(falling, "optimiser.epochs=7").digest() != falling.digest()
    seen = {run.digest()}
    for section, values in as_dictionary(run).items():
        if isinstance(values, dict) and section != "optimiser":
            for key, value in values.items():
                if type(value) is float and value:
                    part = dataclasses.replace(getattr(run, section), **{key: value * 1.0001 + 1e-9})
                    seen.add(dataclasses.replace(run, **{section: part}).digest())
    assert len(seen) > 15
