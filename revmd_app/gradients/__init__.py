"""Seven estimators of dL/dtheta with one signature, and their comparison."""

from revmd_app.gradients.automatic import Checkpointed as Checkpointed
from revmd_app.gradients.automatic import ForwardMode as ForwardMode
from revmd_app.gradients.automatic import ReverseMode as ReverseMode
from revmd_app.gradients.compare import ESTIMATORS as ESTIMATORS
from revmd_app.gradients.compare import Progress as Progress
from revmd_app.gradients.compare import compare as compare
from revmd_app.gradients.compare import compare_iter as compare_iter
from revmd_app.gradients.compare import plain as plain
from revmd_app.gradients.estimate import Experiment as Experiment
from revmd_app.gradients.estimate import GradientEstimate as GradientEstimate
from revmd_app.gradients.estimate import Refusal as Refusal
from revmd_app.gradients.finite_difference import FiniteDifference as FiniteDifference
from revmd_app.gradients.path_reweighting import PathReweighting as PathReweighting
from revmd_app.gradients.reversible import Reversible as Reversible
from revmd_app.gradients.reweighting import Reweighting as Reweighting
