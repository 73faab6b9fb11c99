"""Lab 4 without a browser and without a simulation: what it asks for, what it keeps, what it says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revmd_app.labs.learn_model import GRIDS, HALVES, LearnModel
from revmd_app.labs.learn_quantities import FORMS, quantities
from revmd_app.labs.learn_views import go_words
from revmd_app.labs.learn_worker import configured
from revmd_app.systems.force_fields import PRESETS


def record(epoch, loss=10.0):
    """An epoch as the child process sends it."""
    parameters = {quantity.name: quantity.start for quantity in quantities("lennard_jones")}
    return {
        "epoch": epoch,
        "loss": loss,
        "loss_error": float("nan"),
        "terms": {"rdf_OO": (None, None, 4.0), "enthalpy": (45.0, 46.92, 6.0)},
        "parameters": parameters,
        "density": 0.99,
        "temperature": 295.0,
        "curves": {"rdf_OO": ([0.25, 0.3], [1.0, 2.0])},
        "seconds": 1.0,
    }


def messages(*epochs, estimators=("reversible", "reweighting")):
    """What a look into the mailbox finds: nothing is lost when several epochs have come."""
    found = {f"record {name} {epoch}": record(epoch) for epoch in epochs for name in estimators}
    return {**found, "progress": {"message": "Training …", "seconds": 2.0}}


@pytest.fixture
def model():
    return LearnModel(epochs=3)


def test_the_request_is_plain_and_makes_a_training(model):
    request = model.request()
    assert json.loads(json.dumps(request)) == request
    run = configured(request, "reversible")
    assert run.system.molecules == 64
    assert run.gradient.truncate == 200
    assert (run.loss.rdf_OO, run.loss.enthalpy) == (1.0, 1.0)
    model.param.update(molecules="216 molecules", form="Buckingham", w_oh=0.0, replicas=2)
    run = configured(model.request(), "reweighting")
    assert (run.system.molecules, run.system.force_field, run.loss.rdf_OH) == (216, "buckingham", 0.0)
    assert run.gradient.estimator == "reweighting"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"estimators": []}, "Choose at least one way to the gradient"),
        ({"w_oo": 0, "w_oh": 0, "w_hh": 0, "w_enthalpy": 0}, "Every weight is 0"),
    ],
)
def test_settings_that_cannot_be_trained_are_explained_and_the_lab_goes_on(model, settings, sentence):
    model.param.update(**settings)
    assert model.start() is None
    assert model.state == "failed"
    assert model.message.startswith(sentence)
    model.param.update(estimators=["reversible"], w_oo=1.0)
    assert model.start() is not None
    assert model.state == "running"


def test_a_training_from_preview_to_its_end_and_on(model):
    assert model.preview() == model.request()
    assert model.controls() == {"until": 1, "preview": True, "surface": None}
    model.take(messages(1, estimators=["reversible"]))
    assert model.state == "idle"
    assert go_words(model) == "Start training"
    assert model.start() is None  # the same child goes on
    assert model.controls()["until"] == 3
    assert go_words(model) == "Pause"
    model.take(messages(2, estimators=["reversible"]) | messages(1, 2, estimators=["reweighting"]))
    assert model.done_epochs() == 2
    assert model.fraction == pytest.approx(4 / 6)
    assert "about 4 s left" in model.message
    model.pause()
    assert model.controls()["until"] == 0
    assert go_words(model) == "Continue"
    model.start()
    model.take(messages(3))
    assert model.state == "done"
    assert model.message == "Finished 3 epochs."
    assert go_words(model) == "Train on"
    assert model.start() is None
    assert model.epochs == 6


def test_other_settings_make_a_training_stale_and_begin_anew(model):
    model.start()
    model.take(messages(1, 2))
    model.rate = 0.01
    assert model.stale
    model.rate = 0.002
    assert not model.stale
    model.epochs = 50  # more of the same
    assert not model.stale
    model.form = "Buckingham"
    assert model.stale
    assert [quantity.label for quantity in model.shown_quantities][:2] == ["σ", "ε"]  # what is shown is the former
    model.pause()
    assert go_words(model) == "Start anew"
    assert model.start()["form"] == "buckingham"
    assert model.tracks["reversible"]["records"] == []


def test_one_training_that_diverges_does_not_end_the_other(model):
    model.start()
    model.take(messages(1) | {"fault reweighting": "Epoch 2 cannot be finished: it exploded."})
    assert model.state == "running"
    assert "Reweighting training stopped: Epoch 2 cannot be finished: it exploded." in model.message
    model.take(messages(2, 3, estimators=["reversible"]))
    assert model.state == "done"
    assert "Finished 3 epochs. Reweighting training stopped" in model.message
    model.start()
    model.take({"fault reversible": "Epoch 4 cannot be finished: it exploded."})
    assert model.state == "failed"
    assert len(model.tracks["reversible"]["records"]) == 3  # what came before stays
    assert model.start() is not None  # and one can begin anew
    model.take(messages(1) | {f"fault {name}": "Epoch 2 cannot be finished." for name in model.tracks})
    assert model.message == "Both trainings stopped: Epoch 2 cannot be finished."


def test_a_child_that_ends_is_told_of_and_replaced(model):
    model.start()
    model.take(messages(1))
    model.fail("There is not enough memory for this: make it shorter or smaller.")
    assert model.state == "failed"
    assert model.start() is not None


def test_a_surface_is_asked_for_about_the_start_and_follows_its_number(model):
    model.preview()
    assert model.begin_surface()
    plan = model.controls()["surface"]
    name, values = plan["x"]
    assert name == "LennardJones.sigma"
    assert values == pytest.approx([0.29925, 0.307125, 0.315, 0.322875, 0.33075])
    assert plan["y"][1][2] == pytest.approx(0.636)
    points = [(i, 0, 1.0 + i, 0.1) for i in range(2)]
    model.take({"surface": {"number": plan["number"], "points": points, "seconds": 1.0}})
    assert model.surface["points"] == points
    model.take({"surface": {"number": plan["number"] - 1, "points": [], "seconds": 1.0}})  # of an earlier one
    assert model.surface["points"] == points
    model.cancel_surface()
    assert model.controls()["surface"] is None
    model.begin_surface()
    number = model.controls()["surface"]["number"]
    all_points = [(i, j, 1.0, 0.1) for j in range(5) for i in range(5)]
    model.take({"surface": {"number": number, "points": all_points, "seconds": 1.0}})
    assert model.surface_state == "done"
    assert not model.surface_is_other
    chosen = model.upwards
    model.upwards = model.across
    assert model.surface_is_other  # what is shown was computed for the choice before
    assert not model.begin_surface()
    assert model.surface["fault"] == "Choose two different parameters."
    assert model.surface_state == "failed"
    model.upwards = chosen
    assert model.surface_state == "done"
    assert not model.surface_is_other


def test_every_form_has_its_parameters_and_published_values_where_there_are_any():
    for form in FORMS.values():
        found = quantities(form)
        assert [quantity.start != 0 for quantity in found]
        assert {quantity.label for quantity in found} >= {"q", "k_b", "r₀", "k_θ", "θ₀"}
    sigma = quantities("lennard_jones")[0]
    assert sigma.published["reversible"] == PRESETS["lennard_jones_reversible"].vdw["sigma"] == 0.3229370
    assert quantities("buffered_14_7")[0].published == {}


@given(st.data())
@settings(max_examples=15)
def test_any_configuration_goes_through_an_address_and_back(data):
    model, other = LearnModel(), LearnModel()
    for name in model.shared:
        meta = model.param[name]
        if name == "estimators":
            value = data.draw(st.sampled_from([["reversible"], ["reweighting"], ["reversible", "reweighting"]]))
        elif getattr(meta, "objects", None):
            value = data.draw(st.sampled_from(list(meta.objects)), label=name)
        elif name.startswith("w_"):
            value = data.draw(st.floats(0, 100), label=name)
        else:
            value = data.draw(st.integers(*meta.bounds), label=name)
        setattr(model, name, value)
    other.configure(model.address())
    assert other.configuration() == model.configuration()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"form": "nonsense"}, "Form of the force field cannot be 'nonsense'"),
        ({"w_oo": "-1"}, "must be a number from 0 to 100"),
        ({"epochs": "0"}, "Epochs must be a whole number from 1 to 1000"),
        ({"across": "x"}, "Across cannot be 'x'"),
        ({"liquid": "argon"}, "there is no setting 'liquid'"),
    ],
)
def test_a_wrong_address_is_refused_in_a_sentence(settings, sentence):
    model = LearnModel()
    with pytest.raises(ValueError, match=sentence):
        model.configure(settings)
    assert model.configuration() == {}


def test_menus_offer_what_can_be_made():
    assert sorted(GRIDS.values()) == list(GRIDS.values())
    assert all(0 < half < 0.5 for half in HALVES.values())
