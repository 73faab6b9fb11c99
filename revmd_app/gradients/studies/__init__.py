"""Studies of gradients, each a generator that yields what it has found so far."""

from collections.abc import Callable

from revmd_app.gradients.studies.growth import growth as growth
from revmd_app.gradients.studies.question import Question as Question
from revmd_app.gradients.studies.question import Step as Step
from revmd_app.gradients.studies.scatter import default_grid as default_grid
from revmd_app.gradients.studies.scatter import scatter as scatter
from revmd_app.gradients.studies.truncation import truncation as truncation

STUDIES: dict[str, Callable] = {"growth": growth, "scatter": scatter, "truncation": truncation}
