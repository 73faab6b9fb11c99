"""Two kinds of sites that share one radial form: what a foreign atom feels of the solvent, by mixing rules.

Between equal sites the form has that kind's parameters; between unequal ones, those of the mixing rules

    σ_ab = (σ_a + σ_b)/2      ε_ab = √(ε_a ε_b)      A, B, C: arithmetic means (Buckingham).

Parameters that only shape the curve (α, β, δ, γ, λ, exponents) belong to the form and are the same for all pairs. The
energy is a sum of three blocks, host-host + host-guest + guest-guest, each an ordinary pair potential: forces and the
products of the reverse pass are theirs, and the derivative of the mixing rule carries the products back to the
parameters that exist. Lorentz, Ann. Phys. 1881, 248, 127 (σ); Berthelot, C. R. Acad. Sci. 1898, 126, 1703 (ε); the
means of A, B and C as in Greener, PNAS 2025, 122, e2426058122.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from revmd_app.checks import check_number
from revmd_app.potentials.base import Parameter, Potential
from revmd_app.potentials.pair import RadialForm

GUEST = "gas_"
"""How the guest's parameters are named: "gas_sigma" beside the host's "sigma"."""


def arithmetic(a, b):
    """(a + b)/2."""
    return (a + b) / 2


def geometric(a, b):
    """√(a b), for a, b > 0."""
    return jnp.sqrt(a * b)


RULES: dict[str, Callable[[Any, Any], Any]] = {
    "sigma": arithmetic,
    "r_m": arithmetic,
    "epsilon": geometric,
    "A": arithmetic,
    "B": arithmetic,
    "C": arithmetic,
}
"""How a parameter of unequal sites follows from those of equal ones; a parameter without a rule is shared by all."""


class MixedPair(Potential):
    """One radial form among two kinds of sites: `host` as it stands, `guest` with parameters of its own.

    `host` is a `RadialForm` between a species and itself, and brings the cutoff and the truncation. `guest` gives the
    guest's value of every parameter that has a mixing rule (`own_names`). Every parameter is one leaf: the host's
    by its own name, the guest's with "gas_" before it.
    Raises `ValueError` when the guest's parameters are not those that the form needs, or one has no meaning.
    """

    host: RadialForm
    guest: dict[str, Float[Array, ""]]
    species: str = eqx.field(static=True)

    def __init__(self, host: RadialForm, guest: Mapping[str, float], species: str):
        if not isinstance(host, RadialForm):
            raise ValueError(f"mixing rules are known for the radial forms, not for {type(host).__name__}.")
        if host.between[0] != host.between[1] or host.between[0] in ("all", species):
            raise ValueError(
                f"the host of a mixture acts between one species and itself, and the guest is another species; "
                f"here they are {' and '.join(host.between)}, and {species}."
            )
        needed = own_names(type(host))
        if set(guest) != set(needed):
            raise ValueError(
                f"the guest of a {type(host).__name__} mixture needs {', '.join(needed)}, not "
                f"{', '.join(guest) or 'nothing'}."
            )
        self.host = host
        self.guest = {GUEST + name: jnp.asarray(guest[name], jnp.float64) for name in needed}
        self.species = species

    @property
    def parameters(self) -> dict[str, Parameter]:  # type: ignore[override]
        """The host's, then the guest's; bounds are those of the form."""
        of_guest = {
            GUEST + name: self.host.parameters[name]._replace(
                label=f"{self.host.parameters[name].label} gas",
                doc=f"{self.host.parameters[name].doc} Of the dissolved atoms.".strip(),
            )
            for name in own_names(type(self.host))
        }
        return {**self.host.parameters, **of_guest}

    @property
    def formula(self) -> str:  # type: ignore[override]
        return type(self.host).formula

    def __getattr__(self, name: str):
        """A parameter by its name, the host's or the guest's."""
        fields = vars(self)
        if name in fields.get("guest", {}):
            return fields["guest"][name]
        if "host" in fields and name in fields["host"].parameters:
            return getattr(fields["host"], name)
        raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")

    def blocks_of_pairs(self) -> tuple[RadialForm, RadialForm, RadialForm]:
        """The form between host and host, host and guest, guest and guest."""
        a, b = self.host.between[0], self.species
        own = {name: getattr(self.host, name) for name in own_names(type(self.host))}
        guest = {name: self.guest[GUEST + name] for name in own}
        mixed = {name: RULES[name](own[name], guest[name]) for name in own}
        return (
            self.host,
            dataclasses.replace(self.host, between=(a, b), **mixed),
            dataclasses.replace(self.host, between=(b, b), **guest),
        )

    def energy(self, snapshot):
        return sum(block.energy(snapshot) for block in self.blocks_of_pairs())

    def forces(self, snapshot):
        return sum(block.forces(snapshot) for block in self.blocks_of_pairs())

    def force_vjp(self, snapshot, w):
        dynamic, static = eqx.partition(self, eqx.is_inexact_array)

        def parameters_of_blocks(leaves):
            blocks = eqx.combine(leaves, static).blocks_of_pairs()
            return eqx.filter(blocks, eqx.is_inexact_array)

        _, pull = jax.vjp(parameters_of_blocks, dynamic)
        products = [block.force_vjp(snapshot, w) for block in self.blocks_of_pairs()]
        (gradient,) = pull(tuple(of_block for _, of_block in products))
        return sum(product for product, _ in products), gradient

    def blocks(self, system):
        return tuple(block.block(system) for block in self.blocks_of_pairs())

    def check(self, system):
        self.check_parameters()
        for block in self.blocks_of_pairs():
            block.check(system)

    def check_parameters(self):
        """The form's own checks for every block; a depth must be positive, for a root has no derivative at 0."""
        for name, value in ((n, getattr(self, n)) for n in ("epsilon", GUEST + "epsilon") if n in self.parameters):
            check_number(f"{name} of a mixture", value, "kJ/mol", above=0.0, advice="mixing takes its root")
        host, mixed, guest = self.blocks_of_pairs()
        for block in (host, guest, mixed):
            block.check_parameters()


def own_names(form: type[RadialForm]) -> tuple[str, ...]:
    """The parameters of a form that each kind of site has for itself."""
    return tuple(name for name in form.parameters if name in RULES)
