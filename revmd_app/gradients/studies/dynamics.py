"""A dynamic loss, two estimators that can treat it, and what happens to them as the trajectory grows longer.

The loss is the diffusion coefficient of one run of length t, D = <|r(t) - r(0)|²> / 6t, of the dissolved molecules (or
of the first species). Three ways to dD/dtheta, from the same trajectories:

  * reversible, whole: exact, but every cotangent grows like exp(lambda t) on its way back, and its variance with it;
  * reversible, cut n steps before the end: its variance stays where it was after n steps, its bias is what it left out;
  * path reweighting: cov(D, score) over runs. Unbiased at any length; the variance of the score grows like t.

Reweighting of configurations cannot treat this loss at all: it depends on the order of the samples in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine import integrator as steps
from revmd_app.engine import loops
from revmd_app.engine.adjoint import observed
from revmd_app.engine.automatic import Shadow, shadow_view
from revmd_app.engine.neighbours import Plan
from revmd_app.engine.simulate import SimulationError
from revmd_app.gradients.backward import Backward, Walk
from revmd_app.gradients.estimate import Experiment, Starts, rebuild, standard_error
from revmd_app.gradients.path_reweighting import PathReweighting, scored_step
from revmd_app.gradients.studies.question import Clock, Question, Step, chosen, repeated
from revmd_app.observables.transport import unwrapped_positions

DEFAULTS = {"steps": 800, "sample_every": 50, "cuts": [50, 100, 200], "whole": 500, "replicas": 12}
EQUILIBRATION = 500
SCORE = "path reweighting"
WHOLE = "reversible, whole"
SPRINGS = ("HarmonicBond", "HarmonicAngle")
"""Terms whose parameters are left out: they are not trained for a diffusion coefficient."""


def cut_label(n: int) -> str:
    """The name of the gradient that is cut after n steps."""
    return f"reversible, {n} steps"


def dynamics(question: Question, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Estimates of dD/dtheta at every sampled length, run by run.

    `cuts` are truncation lengths in steps, `whole` the longest run whose gradient is followed back to its start.
    Raises `ValueError` for settings that cannot be used, `SimulationError` for a run that fails.
    """
    options = chosen(DEFAULTS, given)
    n_steps, every, replicas = options["steps"], options["sample_every"], options["replicas"]
    cuts = sorted({int(n) for n in options["cuts"]})
    if not cuts or cuts[0] < 1:
        raise ValueError("cuts are numbers of steps, 1 or more: give at least one.")
    if n_steps % every or n_steps < 2 * every:
        raise ValueError(f"{n_steps} steps cannot be sampled every {every}: take a multiple of it, twice or more.")
    experiment = displacement_experiment(question, n_steps, every)
    refused = PathReweighting().refusal(experiment, question.potential)
    if refused:
        raise ValueError(refused)
    edges = sorted({*cuts, min(options["whole"], n_steps)})
    picked = [k for k, name in enumerate(question.names) if not name.startswith(SPRINGS)]
    walker, scores = (
        FromOrigin(experiment, question.potential, reach=edges[-1]),
        score_program(question, experiment, picked),
    )
    starts = Starts(experiment, question.potential, jax.random.key(31))
    clock = Clock(repeated(_work(experiment, edges[-1], len(picked)), replicas))
    values, each, scored = [], [], []
    yield clock.step("compiling the walk back and the score", {})
    for replica in range(replicas):
        state, on_run = starts(replica)
        walk = walker(question.leaves, on_run, edges, start=(experiment.system.box, state))
        value, score = scores(question.leaves, state, on_run)
        if not np.all(np.isfinite(score)):
            raise SimulationError("the score of a run is not finite: the run exploded; use milder parameters.")
        values.append(np.asarray(value))
        scored.append(np.asarray(score))
        each.append(_gathered(walk)[:, :, picked])
        clock.tick()
        names = [question.names[k] for k in picked]
        result = _result(question, experiment, names, cuts, edges, np.array(values), np.array(each), np.array(scored))
        yield clock.step(f"run {replica + 1} of {replicas}", result)


def displacement_experiment(question: Question, n_steps: int, every: int) -> Experiment:
    """Runs of a case whose samples are the centres of the molecules that are followed; the loss is `FromOrigin`'s."""
    case = question.case
    return Experiment(
        system=case.system,
        settings=case.settings,
        state=case.state,
        observe=followed(case),
        loss=lambda series: jnp.zeros(()),
        n_steps=n_steps,
        sample_every=every,
        loss_of="series",
        equilibration_steps=EQUILIBRATION,
    )


def followed(case) -> Callable:
    """snapshot -> (3, molecules) unwrapped centres (nm): of the last species' molecules in a mixture, else of atoms."""
    system = case.system
    if "O2" not in system.species:
        return lambda snapshot: unwrapped_positions(snapshot, system.species[0])
    return lambda snapshot: unwrapped_positions(snapshot, "O2").reshape(3, -1, 2).mean(axis=2)


def diffusion_of_lengths(series, origin, times):
    """(frames,) D = <|r(t) - r(0)|²> / 6t in nm²/ps, from (frames, 3, molecules)."""
    away = series - origin
    return jnp.mean(jnp.sum(away * away, axis=1), axis=1) / (6 * times)


class FromOrigin(Backward):
    """A walk back from every sample, whose loss is D of the run up to that sample: one run gives every length.

    D of one length depends on one sample alone, so the cotangent of their sum at a sample is that of its own length,
    and `gathered[s]` is the gradient of the run that ends there.
    """

    def _run(self, leaves, box, state, key, edges) -> Walk:
        experiment, potential = self.experiment, self.make(leaves)
        world = loops.make_world(experiment.system.with_box(box), potential, experiment.settings, key, self.plan)
        moving = loops.start_moving(world, state, loops.Tape.empty(self.capacity, world.system.n_atoms))
        floor, origin = moving.state.step, experiment.observe(loops.view(world, moving))
        moving, (series, slope, kept) = self._forward(world, moving)
        times = sample_times(experiment)
        total, cotangents = jax.value_and_grad(lambda x: jnp.sum(diffusion_of_lengths(x, origin, times)))(series)
        walk = lambda _, sample: (None, self._back(world, moving.tape, floor, edges, *sample))
        _, (explicit, gathered, log_mu, log_lam) = jax.lax.scan(walk, None, (cotangents, kept))
        trusted = loops.trustworthy(moving)
        return Walk(jnp.where(trusted, total, jnp.nan), explicit, gathered, log_mu, log_lam, jnp.zeros(()), slope)


def sample_times(experiment: Experiment):
    """(samples,) the lengths of the runs, ps."""
    n = experiment.n_steps // experiment.sample_every
    return jnp.arange(1, n + 1) * experiment.sample_every * experiment.settings.dt


def score_program(question: Question, experiment: Experiment, picked: list[int]) -> Callable:
    """The compiled (leaves, state, key) -> (D (frames,), score (frames, picked)) of runs of every length."""
    make = rebuild(question.potential)

    def run(leaves, state, key):
        directions = jnp.eye(leaves.size)[jnp.asarray(picked)]
        frames = lambda x: scored_frames(experiment, make(x), state, key)
        push = lambda e: jax.jvp(frames, (leaves,), (e,))
        (origin, series, _), (_, _, score) = jax.vmap(push, out_axes=(None, 0))(directions)
        return diffusion_of_lengths(series, origin, sample_times(experiment)), score.T

    return jax.jit(run)


def scored_frames(experiment: Experiment, potential, state, key):
    """(origin, series, zeros (frames,) whose derivative is the score of the path up to each frame)."""
    system = experiment.system
    world = loops.make_world(system, potential, experiment.settings, key, Plan((), (), experiment.settings.skin))
    noise = steps.noise_block(key, state.step // steps.NOISE_BLOCK, system.n_atoms)
    zero = jnp.zeros((3, system.n_atoms), experiment.settings.dtype)

    def to_sample(carry, _):
        carry, _ = jax.lax.scan(lambda c, _: (scored_step(world, c), None), carry, length=experiment.sample_every)
        return carry, (observed(experiment.observe, shadow_view(world, carry[0]), potential), carry[1])

    start = Shadow(state, noise, zero, zero)
    origin = observed(experiment.observe, shadow_view(world, start), potential)
    n_samples = experiment.n_steps // experiment.sample_every
    _, (series, score) = jax.lax.scan(to_sample, (start, jnp.zeros((), jnp.float64)), length=n_samples)
    return origin, series, score


def _gathered(walk: Walk) -> np.ndarray:
    """(lengths, edges, P) the explicit part and the response."""
    return walk.explicit[:, None] + walk.gathered


def _work(experiment: Experiment, reach: int, n_parameters: int) -> float:
    """Force evaluations of one run: forwards, back from every sample, and forwards with a tangent a parameter."""
    every, n = experiment.sample_every, experiment.n_steps
    back = sum(min(reach, length) for length in range(every, n + 1, every))
    return n + 3 * back + n * (1 + n_parameters)


def _result(question: Question, experiment, names, cuts, edges, values, each, scored) -> dict[str, Any]:
    """What the runs so far say, from `values` (runs, lengths), `each` (runs, lengths, edges, P) and `scored`, without
    the edges.

    The whole gradient of a length is known where a walk reached the run's start.
    """
    lengths = experiment.sample_every * np.arange(1, values.shape[1] + 1)
    n = len(values)
    around = (values - values.mean(axis=0)) * (n / (n - 1) if n > 1 else np.nan)
    methods = {SCORE: around[:, :, None] * scored}
    whole = np.where((lengths <= edges[-1])[None, :, None], each[:, :, -1], np.nan)
    methods[WHOLE] = whole
    for cut in cuts:
        methods[cut_label(cut)] = each[:, :, edges.index(cut)]
    return {
        "steps": lengths.tolist(),
        "time": question.time(lengths),
        "parameters": names,
        "runs": n,
        "diffusion": values.mean(axis=0).tolist(),
        "diffusion_error": standard_error(values).tolist(),
        "methods": {label: _summary(names, samples) for label, samples in methods.items()},
    }


def _summary(names, samples: np.ndarray) -> dict[str, Any]:
    """Mean, standard error, and variance of one run, of (runs, lengths, P), by parameter."""
    variance = np.var(samples, axis=0, ddof=1) if len(samples) > 1 else np.full(samples.shape[1:], np.nan)
    columns = {"mean": samples.mean(axis=0), "error": standard_error(samples), "variance": variance}
    return {key: {name: x[:, k].tolist() for k, name in enumerate(names)} for key, x in columns.items()}
