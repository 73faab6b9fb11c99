"""Configurations and addresses: any setting goes there and back, and a wrong link is told from a right one."""

from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revmd_app.labs.gradients_model import GradientsModel
from revmd_app.labs.knobs import TYPED
from revmd_app.labs.model import choice, number, slug
from revmd_app.labs.tune_model import COLOURS, DRAWN_AS, LIQUIDS, MEMORIES, SPEEDS, TRUNCATIONS, TuneModel
from revmd_app.labs.widgets import share

FORMS = ("Lennard-Jones", "Morse", "Buckingham", "Weeks–Chandler–Andersen", TYPED)
LABS = ("tune", "rewind", "gradients")


def arguments(query):
    """What a web server makes of the part after "?"."""
    return {name: [v.encode() for v in values] for name, values in parse_qs(query, keep_blank_values=True).items()}


def opened(query, model):
    """A model after the page with this address was opened, and the complaints."""
    _, wanted, complaints = share.read(arguments(query), LABS)
    return complaints + share.follow(model, wanted)


def state(model):
    """Everything that the simulation is asked for, less the counters."""
    return {k: v for k, v in model.request().items() if k not in ("epoch", "resets", "steps_asked")}


@st.composite
def turned(draw):
    """A Lab 1 as somebody may have left it."""
    model = TuneModel()
    model.liquid = draw(st.sampled_from(["Argon, 108 atoms", "Water, 64 molecules", "Toy fluid, 256 atoms"]))
    model.form = draw(st.sampled_from(FORMS))
    if model.form == TYPED and draw(st.booleans()):
        model.formula = "A*exp(-B*(r-0.34)*40) + liquid/r^6"
    for knob in draw(st.lists(st.sampled_from(model.knobs), max_size=3)):
        model.turn(knob.key, draw(st.floats(*knob.parameter.bounds)))
    model.temperature = draw(st.floats(0.01, 1000))
    model.friction = draw(st.floats(0, 20))
    model.time_step = draw(st.floats(0.05, 10))
    model.truncation = draw(st.sampled_from(list(TRUNCATIONS)))
    model.steps_per_picture = draw(st.sampled_from(SPEEDS))
    model.memory = draw(st.sampled_from(list(MEMORIES)))
    model.rdf_pair = draw(st.sampled_from(model.rdf_names))
    model.drawn_as = draw(st.sampled_from(DRAWN_AS))
    model.colour = draw(st.sampled_from(COLOURS))
    return model


@given(turned())
@settings(max_examples=25)
def test_any_configuration_of_lab_1_goes_through_an_address_and_back(model):
    other = TuneModel()
    query = share.query("tune", model, "tune")
    assert opened(query, other) == []
    assert state(other) == state(model)
    for name in ("rdf_pair", "drawn_as", "colour"):
        assert getattr(other, name) == getattr(model, name)
    assert share.query("tune", other, "tune") == query


@given(st.sampled_from(list(LIQUIDS)), st.sampled_from(FORMS))
@settings(max_examples=10)
def test_nothing_changed_is_nothing_written(liquid, form):
    model = TuneModel()
    assert share.query("tune", model, "tune") == ""
    assert share.query("gradients", GradientsModel(), "tune") == "lab=gradients"
    model.param.update(liquid=liquid)
    model.param.update(form=form)
    assert set(model.configuration()) <= {"liquid", "form"}


@given(st.data())
@settings(max_examples=15)
def test_lab_3_goes_through_an_address_and_back(data):
    model, other = GradientsModel(), GradientsModel()
    for name in model.shared:
        objects = getattr(model.param[name], "objects", None)
        if name != "estimators" and objects:
            setattr(model, name, data.draw(st.sampled_from(list(objects)), label=name))
    knob = data.draw(st.sampled_from(model.knobs))
    model.turn(knob.key, data.draw(st.floats(*knob.parameter.bounds)))
    assert opened(share.query("gradients", model, "tune"), other) == []
    assert other.configuration() == model.configuration()


WRONG = {
    "lab=nowhere": "There is no lab 'nowhere'; there are tune, rewind, gradients.",
    "liquid=unobtainium": "System cannot be 'unobtainium'; it is one of: Argon, 108 atoms;",
    "liquid=argon+100000": "System cannot be 'argon 100000'",
    "liquid=": "System cannot be ''",
    "temperature=hot": "Temperature must be a number from 0.01 to 1000, not 'hot'.",
    "temperature=-3": "Temperature must be a number from 0.01 to 1000, not '-3'.",
    "temperature=nan": "Temperature must be a number",
    "time_step=1e99": "Time step must be a number",
    "sigma=0": "Sigma (σ) must be a number from 0.25 to 0.42 nm, not '0'.",
    "epsilon=1e400": "Epsilon (ε) must be a number from 0.05 to 5 kJ/mol, not '1e400'.",
    "cutoff=3": "Cutoff 3 nm exceeds half the box",
    "charge=-0.8": "There is no setting 'charge'; there are liquid, form,",
    "formula=__import__('os').system('true')": "The formula cannot be used",
    "formula=r.__class__": "The formula cannot be used",
    "form=%3Cscript%3Ealert(1)%3C/script%3E": "Pair potential u(r) cannot be '<script>alert(1)</script>'",
    "steps_per_picture=7": "Speed cannot be '7'",
    "memory=last": "Average g(r) over cannot be 'last'",
    "liquid=%ff%fe": "System cannot be",
    "&".join(f"key{i}=1" for i in range(1000)): "It has 1000 settings; no lab has more than 60.",
}


@pytest.mark.parametrize("query", WRONG, ids=lambda query: query[:40])
def test_a_wrong_link_is_one_sentence_and_the_rest_of_it_counts(query):
    model = TuneModel()
    complaints = opened(query, model)
    (words,) = complaints
    assert words.startswith(WRONG[query])
    assert words.endswith(".")
    assert "\n" not in words
    assert len(words) < 400
    assert state(model) == state(TuneModel())
    if query.startswith(("lab", "key0")):
        return
    good = {"friction": "2.5", "truncation": "switched"}
    assert opened(f"{urlencode(good)}&{query}", model) == complaints
    assert model.configuration() == {"friction": 2.5, "truncation": "switched"}


def test_configure_changes_all_or_nothing():
    model = TuneModel()
    with pytest.raises(ValueError, match="half the box"):
        model.configure({"liquid": "Argon, 216 atoms", "temperature": 120.0, "cutoff": 3.0})
    assert model.configuration() == {}
    model.configure({"liquid": "Argon, 216 atoms", "temperature": 120.0, "sigma": 0.35})
    assert model.configuration() == {"liquid": "Argon, 216 atoms", "temperature": 120.0, "sigma": 0.35}
    model.configure({"temperature": "100"})  # the rest stays
    assert model.configuration() == {"liquid": "Argon, 216 atoms", "temperature": 100.0, "sigma": 0.35}


def test_keys_of_jupyter_and_panel_are_no_settings():
    assert share.read(arguments("token=abc&theme=dark&lab=gradients&sigma=1"), LABS) == (
        "gradients",
        {"sigma": "1"},
        [],
    )


def test_slugs_and_choices():
    assert slug("Argon, 108 atoms") == "argon-108-atoms"
    assert slug("Weeks–Chandler–Andersen") == "weeks-chandler-andersen"
    assert slug("Müller–Brown surface") == "muller-brown-surface"
    assert slug("σ") == "σ"
    assert choice("argon-108", LIQUIDS, "System") == LIQUIDS["Argon, 108 atoms"]
    with pytest.raises(ValueError, match="cannot be 'argon'"):  # which of them?
        choice("argon", LIQUIDS, "System")
    assert choice("none", {"no truncation": None, "none": 3}, "x") == 3


@pytest.mark.parametrize("given", ["", "x", "1,5", "inf", None, True, "1e999", "0x10"])
def test_what_is_no_number(given):
    with pytest.raises(ValueError, match=r"must be a number from 0 to 1, not"):
        number(given, "x", (0, 1))


def test_every_slug_of_a_choice_is_unique():
    for model in (TuneModel(), GradientsModel()):
        for name in model.shared:
            objects = getattr(model.param[name], "objects", None)
            if objects:
                slugs = [slug(item) for item in objects]
                assert len(set(slugs)) == len(slugs)
