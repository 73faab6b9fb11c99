"""A field for a number: what is out of bounds is answered and undone, what fits reaches the model."""

import pytest

from revmd_app.labs.diffuse_model import DiffuseModel
from revmd_app.labs.learn_model import LearnModel
from revmd_app.labs.widgets.fields import NumberField

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # Panel announces names of its version 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (0, "Epochs must be a whole number from 1 to 1000, not &#x27;0&#x27;."),
        (2.5, "not &#x27;2.5&#x27;."),
        (1e9, "not &#x27;1000000000&#x27;."),
        (None, "not &#x27;nothing&#x27;."),
    ],
)
def test_what_cannot_be_is_answered_and_the_number_that_holds_comes_back(given, sentence):
    model = LearnModel(epochs=7)
    field = NumberField(model, "epochs")
    field.widget.value = given
    assert model.epochs == field.widget.value == 7
    assert field.complaint.visible
    assert sentence in field.complaint.object
    field.widget.value = 8
    assert (model.epochs, type(model.epochs)) == (8, int)
    assert not field.complaint.visible


def test_a_field_follows_its_model_and_says_what_it_is_called():
    model = DiffuseModel()
    field = NumberField(model, "target", "Target", "the target")
    field.widget.value = 99.0
    assert "The target must be a number from 0.2 to 10" in field.complaint.object
    model.target = 3.0
    assert field.widget.value == 3.0
    assert not field.complaint.visible
