"""Reweighting away from where the samples were drawn: what they still know, and where they stop knowing it.

Samples at theta_0 are weighted by exp(-beta (U(theta) - U(theta_0))). The farther theta, the fewer of them carry the
weight: the effective sample size exp(entropy of the weights) says how many (Thaler & Zavadlav, Nat. Commun. 12, 6884
(2021)). Direct simulations at a few of the points show when the answer has become wrong without saying so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine import loops
from revmd_app.engine.adjoint import observed
from revmd_app.engine.neighbours import make_plan
from revmd_app.engine.simulate import SimulationError
from revmd_app.gradients.estimate import flat_leaves, rebuild, standard_error
from revmd_app.gradients.reweighting import effective_sample_size, weighted_average
from revmd_app.gradients.studies.question import Clock, Part, Question, Step, by_system, chosen, keys_of
from revmd_app.gradients.studies.scatter import parameter_at, with_parameters

LIQUID = {"knob": None, "factors": None, "direct": None, "steps": 8000, "sample_every": 80, "replicas": 4}
WATER = {"knob": None, "factors": None, "direct": None, "steps": 4000, "sample_every": 40, "replicas": 4}
REACHES = {"sigma": 0.05, "r_m": 0.05, "r0": 0.05, "epsilon": 0.25, "charge": 0.1}
"""How far to go to either side of a parameter, relative to it; 0.15 for others. A length is stiff, an energy is not."""
POINTS = 25
EQUILIBRATION = 1500
TRUSTED = 0.1
"""The fraction of the samples that must still count."""


class Samples(NamedTuple):
    """States of one run, stacked along a first axis, and what they say at the parameters of the run."""

    states: Any
    energy: Any  # (samples,) U(theta_0)


def away(question: Question, given: Mapping[str, Any] | None = None) -> Iterator[Step]:
    """Sample at theta_0; reweight to each factor times it; simulate some of those directly."""
    question.must_be_static()
    options = chosen(by_system(question.case, WATER, LIQUID), given)
    key = options["knob"] or first_knob(question)
    at = parameter_at(question.potential, key)
    reach = REACHES.get(key.partition(".")[2], 0.15)
    factors = sorted({float(f) for f in options["factors"] or (1 + reach * np.linspace(-1, 1, POINTS)).tolist()})
    direct = sorted({float(f) for f in options["direct"] or (1 + reach * np.linspace(-1, 1, 5)).tolist()})
    if not factors or min([*factors, *direct]) <= 0:
        raise ValueError("factors multiply the parameter: give at least one, all above 0.")
    sampler = Sampler(question, options["steps"], options["sample_every"], name_of(question, key))
    replicas = options["replicas"]
    runs = [Part(EQUILIBRATION + options["steps"], n == 0) for n in range(replicas)]
    asked = [Part(0.0, True)] + [Part((EQUILIBRATION + options["steps"]) * replicas) for _ in direct]
    clock = Clock(runs + asked)
    result: dict[str, Any] = {
        "knob": key,
        "name": name_of(question, key),
        "at": at,
        "samples": replicas * sampler.n_samples,
        "points": [],
        "direct": [],
        "trusted": None,
    }
    yield clock.step("compiling the run", result)
    here = []
    for n, noise in enumerate(keys_of(41, replicas)):
        here.append(sampler.run(question.potential, noise))
        clock.tick()
        yield clock.step(f"samples at θ₀, run {n + 1} of {replicas}", result)
    at_factor = lambda factor: with_parameters(question.potential, {key: at * factor})
    points = [{"factor": f, "value": at * f, **sampler.reweighted(here, at_factor(f))} for f in factors]
    result = {**result, "points": points, "trusted": trusted(points)}
    clock.tick()
    yield clock.step("reweighted", result)
    for n, factor in enumerate(direct):
        row = {
            "factor": factor,
            "value": at * factor,
            **directly(sampler, at_factor(factor), keys_of(50 + n, replicas)),
        }
        result = {**result, "direct": [*result["direct"], row]}
        clock.tick()
        yield clock.step(f"simulated at {factor:.4g} θ₀", result)


def directly(sampler: Sampler, potential, keys) -> dict[str, Any]:
    """The answer of runs at these very parameters; a run that explodes leaves None and the reason."""
    try:
        found = sampler.reweighted([sampler.run(potential, key) for key in keys], potential)
    except SimulationError as failure:
        return {"loss": None, "loss_error": None, "gradient": None, "gradient_error": None, "why": str(failure)}
    return {name: found[name] for name in ("loss", "loss_error", "gradient", "gradient_error")}


def trusted(points) -> list[float] | None:
    """The range of factors around 1 in which enough samples count."""
    good = [point["factor"] for point in points if point["ess_fraction"] >= TRUSTED]
    return [min(good), max(good)] if good else None


def first_knob(question: Question) -> str:
    """The first parameter of the first term."""
    return f"0.{next(iter(question.potential.terms()[0].parameters))}"


def name_of(question: Question, key: str) -> str:
    """The parameter's name in the estimators' table."""
    number, _, field = key.partition(".")
    terms = question.potential.terms()
    return field if len(terms) == 1 else f"{type(terms[int(number)]).__name__}.{field}"


class Sampler:
    """Runs that keep the states of their samples, and the reweighting of those states to other parameters."""

    def __init__(self, question: Question, steps: int, sample_every: int, name: str):
        self.experiment = question.experiment(steps, sample_every, EQUILIBRATION)
        self.n_samples = steps // sample_every
        if self.n_samples < 2:
            raise ValueError("reweighting needs at least two samples: run longer or sample more often.")
        self.beta = question.beta
        self.index = question.names.index(name)
        self.plan = make_plan(question.case.system, question.potential, question.case.settings)
        self.make = rebuild(question.potential)
        self._run = jax.jit(self._sample)
        self._look = jax.jit(self._weigh)
        self._solve = jax.jit(self._loss_and_gradient)

    def run(self, potential, key) -> Samples:
        """Equilibrate and run at these parameters. Raises `SimulationError` when the run cannot be trusted."""
        states, energy, flags = self._run(flat_leaves(potential), key)
        flags.check()
        return Samples(states, energy)

    def reweighted(self, runs: list[Samples], potential) -> dict[str, Any]:
        """Loss and dL/dtheta at these parameters from the samples of all runs together; errors by leaving out one
        run at a time (jackknife)."""
        looks = [jax.tree.map(np.asarray, self._look(flat_leaves(potential), *run)) for run in runs]
        everything = self._answer(looks)
        answer = {name: everything[name] for name in ("loss", "gradient", "ess", "ess_fraction")}
        if len(looks) < 2:
            return {**answer, "loss_error": float("nan"), "gradient_error": float("nan")}
        without = [self._answer(looks[:n] + looks[n + 1 :]) for n in range(len(looks))]
        for name in ("loss", "gradient"):
            answer[f"{name}_error"] = (len(looks) - 1) * float(standard_error([each[name] for each in without]))
        return answer

    def _answer(self, looks) -> dict[str, float]:
        """The weighted loss, its gradient and the effective number of samples."""
        log_w, seen, slope, direct = (
            jax.tree.map(lambda *x: np.concatenate(x), *part) for part in zip(*looks, strict=True)
        )
        value, gradient = self._solve(log_w, seen, slope, direct)
        ess = float(effective_sample_size(log_w))
        return {"loss": float(value), "gradient": float(gradient), "ess": ess, "ess_fraction": ess / len(log_w)}

    def _sample(self, leaves, key):
        experiment, potential = self.experiment, self.make(leaves)
        world = loops.make_world(experiment.system, potential, experiment.settings, key, self.plan)
        tape = loops.Tape.empty(1, experiment.system.n_atoms)  # nobody goes back
        moving = loops.start_moving(world, experiment.state, tape)
        moving = loops.go_forward(world, moving, moving.state.step + EQUILIBRATION)

        def to_sample(moving, _):
            moving = loops.go_forward(world, moving, moving.state.step + experiment.sample_every)
            moving = loops.with_valid_list(world, moving)
            return moving, (moving.state, potential.energy(loops.view(world, moving)))

        moving, (states, energy) = jax.lax.scan(to_sample, moving, length=self.n_samples)
        flags = loops.report(moving._replace(tape=tape))
        return states, energy, flags

    def _weigh(self, leaves, states, energy):
        """(log weights, observables, dU/dtheta, dO/dtheta) of every sample at other parameters."""
        experiment = self.experiment
        along = jnp.zeros_like(leaves).at[self.index].set(1.0)

        def look(state):
            def at(leaves):
                potential = self.make(leaves)
                world = loops.make_world(
                    experiment.system, potential, experiment.settings, jax.random.key(0), self.plan
                )
                moving = loops.start_moving(world, state, loops.Tape.empty(1, experiment.system.n_atoms))
                view = loops.view(world, moving)
                return potential.energy(view), observed(experiment.observe, view, potential)

            (u, seen), (slope, direct) = jax.jvp(at, (leaves,), (along,))
            return u, seen, slope, direct

        u, seen, slope, direct = jax.lax.map(look, states)
        return -self.beta * (u - energy), seen, slope, direct

    def _loss_and_gradient(self, log_w, seen, slope, direct):
        """L and dL/dtheta of weighted samples: the weights move by -beta dU/dtheta, the observables by dO/dtheta."""
        per_snapshot, function = self.experiment.loss_of == "snapshots", self.experiment.loss

        def loss(t):
            moved = jax.tree.map(lambda o, d: o + t * d, seen, direct)
            if per_snapshot:
                moved = jax.vmap(function)(moved)
            average = weighted_average(moved, log_w - self.beta * t * slope)
            return average if per_snapshot else function(average)

        return jax.jvp(loss, (0.0,), (1.0,))
