"""What a gradient estimate is: an experiment in, and the same record out, whatever the estimator."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import State
from revmd_app.engine.simulate import SimulationError, advance, simulate
from revmd_app.engine.system import System

LOSS_OF = ("average", "series", "snapshots")


@dataclass(eq=False)
class Experiment:
    """A system, how it is run, what is observed, and the loss.

    `observe(snapshot)` gives a pytree of arrays; every `sample_every` of `n_steps` steps it is sampled. `loss_of`
    says what the loss is a function of:
      * "average": loss(mean over the samples). An ensemble property; every estimator can treat it.
      * "series": loss(series), with the samples' order in time (a VACF, a diffusion coefficient).
      * "snapshots": the mean of loss(sample). Biased when the loss is not linear: E[(O - t)^2] = (E[O] - t)^2 + Var(O).
    Each replica first runs `equilibration_steps` (not differentiated) with its own noise from `state`. `report(series)`
    is whatever else a caller wants to know of a replica; it comes back in its `Sample`, without a derivative.
    `capacity_box` (nm) sizes the neighbour lists of a program whose box is an argument.
    """

    system: System
    settings: Settings
    state: State
    observe: Callable[[Any], Any]
    loss: Callable[[Any], Any]
    n_steps: int = 200
    sample_every: int = 20
    loss_of: str = "average"
    equilibration_steps: int = 500
    report: Callable[[Any], Any] | None = None
    capacity_box: tuple[float, ...] | None = None
    compiled: dict = field(default_factory=dict, repr=False)

    def __post_init__(self):
        if self.loss_of not in LOSS_OF:
            raise ValueError(f"loss_of must be one of {', '.join(LOSS_OF)}, not '{self.loss_of}'.")

    def value(self, series):
        """The loss of a series of samples."""
        if self.loss_of == "series":
            return self.loss(series)
        if self.loss_of == "average":
            return self.loss(jax.tree.map(lambda x: jnp.mean(x, axis=0), series))
        return jnp.mean(jax.vmap(self.loss)(series))

    def series(self, potential, state, key, **options):
        """`simulate` with this experiment's system, settings and schedule."""
        options = {"observe": self.observe, "capacity_box": self.capacity_box, **options}
        return simulate(
            self.system,
            potential,
            self.settings,
            n_steps=self.n_steps,
            sample_every=self.sample_every,
            key=key,
            state=state,
            **options,
        )

    def reported(self, series):
        """What `report` makes of a series, constant for whoever differentiates; None without a report."""
        return None if self.report is None else jax.lax.stop_gradient(self.report(series))

    def start(self, potential, key) -> State:
        """An independent starting state for one replica. Raises `SimulationError` when the run fails."""
        if self.equilibration_steps == 0:
            return self.state
        n = self.equilibration_steps
        state, _, report = advance(self.system, potential, self.settings, self.state, key, n)
        report.check()
        return state


class Sample(NamedTuple):
    """What one replica gives: the loss, its gradient's explicit and response part as flat arrays (P,), the report."""

    value: Any
    explicit: Any
    response: Any
    reported: Any = None


@dataclass
class GradientEstimate:
    """One estimator's answer. Gradients have the structure of the potential's float leaves.

    The errors are standard errors over replicas. `explicit` is dL/dtheta at a fixed trajectory, `response` the part
    that goes through the trajectory (None where an estimator cannot tell them apart). `peak_bytes` is what XLA reserves
    for one replica.
    """

    estimator: str
    names: tuple[str, ...]
    value: float
    value_error: float
    gradient: Any
    standard_error: Any
    explicit: Any
    response: Any
    explicit_error: Any
    response_error: Any
    seconds: float
    compile_seconds: float
    peak_bytes: int
    force_evaluations: int
    replicas: int
    samples: np.ndarray  # (replicas, P) gradient of each replica
    diagnostics: dict = field(default_factory=dict)

    def rows(self) -> list[dict]:
        """One dictionary a parameter, for tables."""
        n = len(self.names)
        columns = ("gradient", "standard_error", "explicit", "explicit_error", "response", "response_error")
        flat = [_flat(getattr(self, column), n) for column in columns]
        return [
            {
                "estimator": self.estimator,
                "parameter": name,
                "value": self.value,
                "value_error": self.value_error,
                **dict(zip(columns, of_name, strict=True)),
                "seconds": self.seconds,
                "compile_seconds": self.compile_seconds,
                "peak_bytes": self.peak_bytes,
                "force_evaluations": self.force_evaluations,
                "replicas": self.replicas,
                "refused": None,
            }
            for name, *of_name in zip(self.names, *flat, strict=True)
        ]


class Refusal(ValueError):
    """An estimator cannot treat a loss; the message is the sentence that says why."""


class Estimator(abc.ABC):
    """A way to estimate dL/dtheta. Subclasses write `build` (one replica) and say what they cost and cannot do."""

    name = "estimator"

    def refusal(self, experiment: Experiment, potential) -> str | None:
        """Why this estimator cannot treat the experiment, or None."""
        return None

    @abc.abstractmethod
    def build(self, experiment: Experiment, potential) -> Callable:
        """f(leaves, state, key) -> Sample for the flat float leaves (P,) of this potential's structure."""

    @abc.abstractmethod
    def force_evaluations(self, experiment: Experiment, n_parameters: int) -> int:
        """Evaluations of the force (a product with its Jacobian counts as one) of one replica."""

    def combine(self, samples: list[Sample]) -> np.ndarray:
        """(replicas, P) contributions whose mean is the gradient."""
        return np.array([s.explicit + s.response for s in samples])

    def __call__(self, experiment: Experiment, potential, key, replicas: int = 4) -> GradientEstimate:
        """The estimate over `replicas` independent replicas. Raises `Refusal` or `SimulationError`."""
        *_, last = self.progressively(experiment, potential, key, replicas)
        return last

    def progressively(
        self, experiment: Experiment, potential, key, replicas: int = 4, starts: Starts | None = None
    ) -> Iterator[GradientEstimate]:
        """The estimate after each replica; estimators that are given the same `starts` equilibrate only once."""
        reason = self.refusal(experiment, potential)
        if reason:
            raise Refusal(reason)
        program = self.compile(experiment, potential)
        starts = Starts(experiment, potential, key) if starts is None else starts
        samples, seconds = [], 0.0
        for replica in range(replicas):
            state, on_run = starts(replica)
            began = time.perf_counter()
            sample = jax.tree.map(np.asarray, program.run(program.flatten(potential), state, on_run))
            seconds += time.perf_counter() - began
            if not np.isfinite(sample.value):
                raise SimulationError(
                    f"{self.name}: the loss is not finite: the simulation exploded, a neighbour list overflowed, or "
                    "the loss has no value there; use a smaller time step or milder parameters."
                )
            samples.append(sample)
            yield self.summary(experiment, potential, program, samples, seconds)

    def compile(self, experiment: Experiment, potential) -> Program:
        """The compiled program of one replica, kept with the experiment: other parameter values reuse it."""
        structure = jax.tree.structure(eqx.filter(potential, eqx.is_inexact_array, inverse=True))
        key = (self.options(), structure, _static(potential))
        if key not in experiment.compiled:
            experiment.compiled[key] = Program(self.build(experiment, potential), potential, experiment.state)
        return experiment.compiled[key]

    def options(self) -> tuple:
        """What distinguishes two estimators of one class."""
        return (self.name, *sorted(vars(self).items()))

    def summary(self, experiment, potential, program: Program, samples, seconds) -> GradientEstimate:
        """The record of the replicas so far."""
        each = self.combine(samples)
        n = len(samples)
        values = np.array([s.value for s in samples])
        explicit = np.array([s.explicit for s in samples])
        split = np.all(np.isfinite(explicit))
        mean = lambda x: program.unflatten(np.mean(x, axis=0))
        error = lambda x: program.unflatten(standard_error(x))
        return GradientEstimate(
            estimator=self.name,
            names=parameter_names(potential),
            value=float(values.mean()),
            value_error=float(standard_error(values)),
            gradient=mean(each),
            standard_error=error(each),
            explicit=mean(explicit) if split else None,
            response=mean(each - explicit) if split else None,
            explicit_error=error(explicit) if split else None,
            response_error=error(each - explicit) if split else None,
            seconds=seconds,
            compile_seconds=program.compile_seconds,
            peak_bytes=program.peak_bytes,
            force_evaluations=n * self.force_evaluations(experiment, each.shape[1]),
            replicas=n,
            samples=each,
        )


class Starts:
    """The replicas' starting states and noise: functions of the key alone, kept for the estimators that come later."""

    def __init__(self, experiment: Experiment, potential, key):
        self.experiment, self.potential, self.key = experiment, potential, key
        self._states: dict[int, State] = {}

    def __call__(self, replica: int) -> tuple[State, jax.Array]:
        """(equilibrated state, key of the run). Raises `SimulationError` when the equilibration fails."""
        on_start, on_run = jax.random.split(jax.random.fold_in(self.key, replica))
        if replica not in self._states:
            self._states[replica] = self.experiment.start(self.potential, on_start)
        return self._states[replica], on_run


class Program:
    """A compiled replica: f(flat leaves, state, key), what it needs, and how leaves and flat vectors convert."""

    def __init__(self, function: Callable, potential, state: State):
        leaves, self.structure = jax.tree.flatten(eqx.filter(potential, eqx.is_inexact_array))
        self.shapes = [leaf.shape for leaf in leaves]
        began = time.perf_counter()
        compiled = jax.jit(function).lower(self.flatten(potential), state, jax.random.key(0)).compile()
        self.compile_seconds = time.perf_counter() - began
        self.peak_bytes = reserved_bytes(compiled)
        self.run = compiled

    def flatten(self, potential):
        """The float leaves as one vector (P,)."""
        return flat_leaves(potential)

    def unflatten(self, vector):
        """A vector (P,) as the potential's float leaves."""
        return unflatten(self.structure, self.shapes, vector)


def reserved_bytes(compiled) -> int:
    """Bytes that XLA reserves to run a compiled program: temporaries, results and arguments."""
    memory = compiled.memory_analysis()
    if memory is None:
        raise RuntimeError("this backend does not report how much memory a program needs.")
    return int(memory.temp_size_in_bytes + memory.output_size_in_bytes + memory.argument_size_in_bytes)


def standard_error(samples) -> np.ndarray:
    """Of the mean over the first axis of independent samples; NaN when there is only one."""
    samples = np.asarray(samples, np.float64)
    n = len(samples)
    return np.std(samples, axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(samples.shape[1:], np.nan)


def flat_leaves(potential):
    """All float leaves of a potential as one float64 vector (P,)."""
    leaves = jax.tree.leaves(eqx.filter(potential, eqx.is_inexact_array))
    return jnp.concatenate([jnp.ravel(leaf).astype(jnp.float64) for leaf in leaves])


def unflatten(structure, shapes, vector):
    """The inverse of `flat_leaves`: a pytree with the structure of the float leaves."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = jnp.split(jnp.asarray(vector), np.cumsum(sizes)[:-1])
    return jax.tree.unflatten(structure, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])


def rebuild(potential) -> Callable:
    """A function from a flat vector (P,) to a potential of this structure."""
    dynamic, fixed = eqx.partition(potential, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(dynamic)
    shapes = [leaf.shape for leaf in leaves]
    return lambda vector: eqx.combine(unflatten(structure, shapes, vector), fixed)


def parameter_names(potential) -> tuple[str, ...]:
    """A name for each float of a potential, e.g. ("sigma", "epsilon") or ("LennardJones.sigma", …) in a sum.

    Of two terms of one class, each is named with the species it is between: "HarmonicBond(O-H).k".
    """
    terms = potential.terms()
    kinds = [type(term).__name__ for term in terms]
    names = []
    for term, kind in zip(terms, kinds, strict=True):
        between = getattr(term, "between", None)
        kind = f"{kind}({'-'.join(between)})" if kinds.count(kind) > 1 and between else kind
        prefix = f"{kind}." if len(terms) > 1 else ""
        for path, leaf in jax.tree_util.tree_flatten_with_path(eqx.filter(term, eqx.is_inexact_array))[0]:
            name = prefix + str(getattr(path[-1], "name", getattr(path[-1], "key", path[-1])))
            names += [name] if leaf.size == 1 else [f"{name}[{i}]" for i in range(leaf.size)]
    return tuple(names)


def _static(potential) -> str:
    """What a compiled program depends on beside the parameters' values."""
    return repr(eqx.filter(potential, eqx.is_array, inverse=True)) + repr(jax.tree.structure(potential))


def _flat(tree, n: int) -> list:
    if tree is None:
        return [None] * n
    return [float(x) for leaf in jax.tree.leaves(tree) for x in np.ravel(leaf)]
