"""A loss that a person types: a formula of averages, such as `(g(0.37) - 2.8)^2 + 1e-6*(p - 200)^2`, or of dynamics.

Read by the whitelisting reader of `potentials/formula.py`: nothing of the text is ever executed. What the formula
mentions decides which estimators can treat it: averages alone can be reweighted, dynamics (D, msd, vacf) cannot.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from revmd_app.gradients.recording import Recording
from revmd_app.observables.structure import RadialDistributionFunction
from revmd_app.observables.thermodynamics import (
    kinetic_energy,
    potential_energy,
    pressure,
    temperature,
    virial_pressure,
)
from revmd_app.observables.transport import (
    green_kubo_diffusion,
    mean_squared_displacement,
    unwrapped_positions,
    velocities,
    velocity_autocorrelation,
)
from revmd_app.potentials.formula import Node, Reader, evaluate, names_of, to_latex
from revmd_app.systems.case import Case

EXAMPLE = "(g(0.37) - 2.8)^2"
"""A formula to begin with."""
AVERAGES = {
    "U": "potential energy per molecule",
    "K": "kinetic energy per molecule",
    "E": "total energy per molecule",
    "T": "temperature",
    "p": "pressure",
    "peak": "height of the first peak of g(r)",
}
AVERAGES_AT = {"g": "g at a distance"}
DYNAMICS = {"D": "diffusion coefficient"}
DYNAMICS_AT = {"msd": "mean squared displacement at a lag", "vacf": "normalised velocity autocorrelation at a lag"}
"""What a formula may mention, by how it is written: a name alone, or a name with a number in brackets."""
ALLOWED = "U, K, E, T, p, peak, g(0.37), D, msd(0.5) and vacf(0.1)"
BINS = 100


class OwnFormula(NamedTuple):
    """A formula that has been read: the text, its tree, what it mentions ((name, number or None), in order)."""

    text: str
    tree: Node
    names: tuple[tuple[str, float | None], ...]

    @property
    def loss_of(self) -> str:
        """ "series" when it mentions dynamics, "average" otherwise."""
        return "series" if any(name in DYNAMICS or name in DYNAMICS_AT for name, _ in self.names) else "average"

    @property
    def latex(self) -> str:
        """The formula as LaTeX."""
        return to_latex(_spoken(self.tree))


def read_formula(text: str) -> OwnFormula:
    """Read a typed loss. Raises `ValueError`, one sentence with the position, when it cannot be used."""
    if not isinstance(text, str):
        raise ValueError(f"a formula is a text, not {type(text).__name__}.")
    return _read(text)


@functools.lru_cache(maxsize=256)
def _read(text: str) -> OwnFormula:
    tree = _LossReader(text).read()
    return OwnFormula(text, tree, tuple(_mentioned(name) for name in names_of(tree)))


class _LossReader(Reader):
    """The reader of formulas, which here knows averages instead of the distance r."""

    def read(self) -> Node:
        if not self.text.strip():
            self.fail(f"it is empty; write a loss such as {EXAMPLE}, of {ALLOWED}")
        self.check_text()
        node = self.visit(self.tree(), 0)
        if not names_of(node):
            self.fail(f"it mentions nothing of the simulation; use {ALLOWED}")
        return node

    def name(self, node: ast.Name) -> Node:
        found = super().name(node)
        if found.kind == "name" and node.id not in AVERAGES and node.id not in DYNAMICS:
            hint = f"write {node.id}(0.37)" if node.id in {**AVERAGES_AT, **DYNAMICS_AT} else f"there are {ALLOWED}"
            self.fail(f"'{node.id}' is not known here; {hint}", node)
        return found

    def call(self, node: ast.Call, depth: int) -> Node:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in AVERAGES_AT and name not in DYNAMICS_AT:
            return super().call(node, depth)
        inside = [self.visit(argument, depth + 1) for argument in node.args]
        if node.keywords or len(inside) != 1 or inside[0].kind != "number":
            self.fail(f"{name} takes one number, as in {name}(0.37)", node)
        number = inside[0].value
        if not (isinstance(number, float) and number >= 0):
            self.fail(f"{name} takes a number that is not negative", node)
        return Node("name", f"{name}({number!r})")


def _mentioned(written: str) -> tuple[str, float | None]:
    name, _, number = written.partition("(")
    return name, float(number[:-1]) if number else None


def _spoken(node: Node) -> Node:
    """The tree with names that LaTeX can write."""
    if node.kind == "name":
        name, number = _mentioned(str(node.value))
        return node if number is None else Node("name", f"{name}_{number:g}")
    return node._replace(children=tuple(_spoken(child) for child in node.children))


# ------------------------------------------------------------------------------------------------- from words to a loss


def build(own: OwnFormula, case: Case, recording: Recording) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """(observe, loss) of a formula. Raises `ValueError` for a distance or a lag that this run does not have."""
    rdf = _rdf(case)
    measures = {written: _measure(name, number, case, rdf, recording) for written, (name, number) in _pairs(own)}
    what = {kind for kind, _ in measures.values()}
    series = own.loss_of == "series"

    def observe(snapshot):
        return {kind: _OBSERVE[kind](case, rdf)(snapshot) for kind in sorted(what)}

    def loss(observed):
        mean = {k: (jnp.mean(x, axis=0) if series and k not in IN_TIME else x) for k, x in observed.items()}
        values = {written: jnp.asarray(read(mean[kind]), jnp.float64) for written, (kind, read) in measures.items()}
        return jnp.asarray(evaluate(own.tree, values), jnp.float64)

    return observe, loss


def _pairs(own: OwnFormula):
    return zip(names_of(own.tree), own.names, strict=True)


def _rdf(case: Case) -> RadialDistributionFunction:
    first = case.system.species[0]
    half = float(np.min(np.asarray(case.system.box))) / 2
    return RadialDistributionFunction(first, first, r_max=half, n_bins=BINS)


IN_TIME = ("velocities", "positions")
"""What is kept as a series, because its order in time matters."""

_OBSERVE: dict[str, Callable] = {
    "U": lambda case, rdf: lambda s: potential_energy(s) / case.system.n_molecules,
    "K": lambda case, rdf: lambda s: kinetic_energy(s) / case.system.n_molecules,
    "T": lambda case, rdf: temperature,
    "p": lambda case, rdf: virial_pressure if case.units == "reduced" else pressure,
    "g": lambda case, rdf: rdf,
    "velocities": lambda case, rdf: lambda s: velocities(s, case.system.species[0]),
    "positions": lambda case, rdf: lambda s: unwrapped_positions(s, case.system.species[0]),
    "E": lambda case, rdf: lambda s: (potential_energy(s) + kinetic_energy(s)) / case.system.n_molecules,
}


def _measure(name: str, number: float | None, case: Case, rdf, recording: Recording) -> tuple[str, Callable]:
    """(what has to be observed, how the number is read from it)."""
    if name == "g":
        assert number is not None
        return "g", _at_distance(number, rdf)
    if name == "peak":
        return "g", jnp.max
    if name == "D":
        lags = recording.lags()
        return "velocities", lambda v: green_kubo_diffusion(velocity_autocorrelation(v, lags), recording.interval)[-1]
    if name == "msd":
        assert number is not None
        lag = recording.lag(number)
        return "positions", lambda x: mean_squared_displacement(x, lag + 1)[-1]
    if name == "vacf":
        assert number is not None
        lag = recording.lag(number)
        return "velocities", lambda v: _normalised(velocity_autocorrelation(v, lag + 1))
    return name, lambda x: x


def _normalised(correlation):
    return correlation[-1] / correlation[0]


def _at_distance(distance: float, rdf) -> Callable:
    """g by linear interpolation between the centres of bins."""
    r = rdf.r
    if not r[0] <= distance <= r[-1]:
        raise ValueError(
            f"g({distance:g}) lies outside of the distances that this box has: use one from {r[0]:.3g} to {r[-1]:.3g}."
        )
    left = min(int(np.searchsorted(r, distance, side="right")) - 1, len(r) - 2)
    weight = float((distance - r[left]) / (r[left + 1] - r[left]))
    return lambda g: (1 - weight) * g[left] + weight * g[left + 1]
