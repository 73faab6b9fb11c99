"""Studies of gradients, each a generator that yields what it has found so far."""

from collections.abc import Callable

from revmd_app.gradients.studies.away import away as away
from revmd_app.gradients.studies.cost import cost as cost
from revmd_app.gradients.studies.dynamics import dynamics as dynamics
from revmd_app.gradients.studies.growth import growth as growth
from revmd_app.gradients.studies.question import Question as Question
from revmd_app.gradients.studies.question import Step as Step
from revmd_app.gradients.studies.scatter import default_grid as default_grid
from revmd_app.gradients.studies.scatter import scatter as scatter
from revmd_app.gradients.studies.snapshots import snapshots as snapshots
from revmd_app.gradients.studies.truncation import truncation as truncation

STUDIES: dict[str, Callable] = {
    "cost": cost,
    "growth": growth,
    "scatter": scatter,
    "away": away,
    "snapshots": snapshots,
    "truncation": truncation,
}
"""By the name under which the laboratory asks for them."""
