"""The Langevin-middle step on the lattice, forward and backward, bit for bit.

With s the scale of the lattice velocities p (physical velocity = s p box/2^38 per ps) and a = exp(-friction dt),
step n is

    kick    p' = p + rint( F(x) dt/m / s )
    noise   p" = p' + rint( sqrt(1 - a^2) sqrt(kT/m) xi_n / (s a) )
    drift   x  = x + rint( s p' dt/2 ) + rint( s a p" dt/2 )

every line adds to one half of the state an integer computed from the rest, so it is undone by subtracting the same
integer. Friction is the factor a in front of p": nothing is multiplied, only the scale decays. When friction has
burnt 16 bits the integers are shifted right by 16; the bits that fall off go to the tape, and come back when time runs
backwards.

Source: the splitting is Zhang et al., J. Phys. Chem. A 123, 6056 (2019), as in OpenMM; exact reversal by integers
follows Levesque & Verlet, J. Stat. Phys. 72, 519 (1993), here with a thermostat.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int64

from revmd_app.checks import check_number
from revmd_app.engine.lattice import SHIFT_BITS, VELOCITY_BITS, State, burnt_bits, shift_count
from revmd_app.engine.system import System

PRECISIONS = ("float32", "float64")


_WANTED: dict[str, dict[str, Any]] = {
    "dt": {
        "name": "the time step dt",
        "unit": "ps",
        "above": 0.0,
        "advice": "liquid argon takes 0.004, flexible water 0.0005",
    },
    "temperature": {"name": "the temperature", "at_least": 0.0, "advice": "it is an absolute one, not in °C"},
    "friction": {"name": "the friction", "unit": "1/ps", "at_least": 0.0, "advice": "0 conserves energy, 1 is usual"},
}
"""What a traced setting may be: the arguments of `check_number`."""


def _traced(name, default):
    def convert(x):
        check_number(value=x, **_WANTED[name])
        return jnp.asarray(x, dtype=jnp.float64)

    return eqx.field(converter=convert, default=default)


class Settings(eqx.Module):
    """Langevin dynamics (friction 0: NVE) in the Langevin-middle splitting of one force evaluation a step.

    `dt` in ps, `temperature` in K, `friction` in 1/ps: traced, so that changing them never recompiles. `precision` is
    that of the forces ("float32" or "float64"); the state is exact in both. `neighbours` is "dense" (all pairs),
    "list", or "auto" (a list where it pays). `skin` (nm) and `capacity` (a factor on the expected number) shape the
    list.
    """

    dt: Float[Array, ""] = _traced("dt", 0.002)
    temperature: Float[Array, ""] = _traced("temperature", 300.0)
    friction: Float[Array, ""] = _traced("friction", 1.0)
    precision: str = eqx.field(static=True, kw_only=True, default="float32")
    neighbours: str = eqx.field(static=True, kw_only=True, default="auto")
    skin: float = eqx.field(static=True, kw_only=True, default=0.12)
    capacity: float = eqx.field(static=True, kw_only=True, default=1.35)

    def __check_init__(self):
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not '{self.precision}'.")
        if self.neighbours not in ("auto", "dense", "list"):
            raise ValueError(f"neighbours must be auto, dense or list, not '{self.neighbours}'.")
        check_number("the skin of the neighbour list", self.skin, "nm", above=0.0)
        check_number("the capacity of the neighbour list", self.capacity, above=0.0, advice="1.35 leaves room to move")

    def check(self) -> None:
        """Raise `ValueError` for a time step, temperature or friction that means nothing; traced ones pass."""
        for name, wanted in _WANTED.items():
            check_number(value=getattr(self, name), **wanted)

    @property
    def dtype(self):
        return jnp.float32 if self.precision == "float32" else jnp.float64


NOISE_BLOCK = 32
"""Steps whose random numbers are drawn together: one call of the generator costs as much as hundreds of numbers."""


class Coefficients(NamedTuple):
    """Constants of a step: what a force, a random number and a lattice velocity are to be multiplied by."""

    kick: Float[Array, "3 atoms"]  # lattice velocity per kJ/mol/nm, at scale 1
    noise: Float[Array, "3 atoms"]  # lattice velocity per standard normal, at scale 1
    drift: Float[Array, ""]  # box/2^64 per lattice velocity, for half a step


def coefficients(system: System, settings: Settings) -> Coefficients:
    """The constants of a step, in float64."""
    unit = system.box[:, None] / 2.0**VELOCITY_BITS  # nm/ps
    lost = -jnp.expm1(-2 * settings.friction * settings.dt)  # 1 - a^2
    thermal = jnp.sqrt(system.boltzmann * settings.temperature / system.masses)
    return Coefficients(
        kick=settings.dt / system.masses / unit,
        noise=jnp.sqrt(lost) * thermal / unit,
        drift=0.5 * settings.dt * 2.0 ** (64 - VELOCITY_BITS),
    )


def noise_block(key, block: Int64[Array, ""], n_atoms: int) -> Float[Array, "steps 3 atoms"]:
    """Standard normals of the steps [block, block + 1) * NOISE_BLOCK: a function of key and step number alone."""
    return jax.random.normal(jax.random.fold_in(key, block), (NOISE_BLOCK, 3, n_atoms), jnp.float32)


def isolated(function, *arguments):
    """Call a function between optimization barriers.

    XLA then cannot fuse it with its surroundings, so the forward and the reverse program compile it alike and round
    alike. Every float that becomes an integer of the state must come out of such an island.
    """
    return jax.lax.optimization_barrier(function(*jax.lax.optimization_barrier(arguments)))


def to_integer(x) -> Int64[Array, "3 atoms"]:
    """rint(x). What does not fit, and NaN, becomes 2^61: the next move is a quarter of the box, which is an explosion.

    A plain cast would saturate (the two halves of a drift then add up to almost nothing) and make NaN a zero.
    """
    return jnp.rint(jnp.where(jnp.abs(x) < 2.0**61, x, 2.0**61)).astype(jnp.int64)


class Scales(NamedTuple):
    """The scale before and after the friction of a step (the 16-bit shift, if one is due, comes after the step)."""

    before: Float[Array, ""]
    after: Float[Array, ""]


def scales(state: State, settings: Settings, step) -> Scales:
    """Scales of the step that leads to step number `step`."""

    def compute(state, settings, step):
        before, after = (burnt_bits(_at_step(state, n), settings) for n in (step - 1, step))
        shifted = SHIFT_BITS * shift_count(before).astype(jnp.float64)
        return Scales(jnp.exp2(shifted - before), jnp.exp2(shifted - after))

    return isolated(compute, _clock(state), settings, step)


def shift_is_due(state: State, settings: Settings, step) -> jax.Array:
    """Whether the velocities are shifted when this step is complete."""

    def compute(state, settings, step):
        before, after = (shift_count(burnt_bits(_at_step(state, n), settings)) for n in (step - 1, step))
        return (step > state.reference_step) & (after > before)

    return isolated(compute, _clock(state), settings, step)


def _clock(state: State) -> State:
    """The state without its arrays: what the scale depends on."""
    return eqx.tree_at(lambda s: (s.position, s.velocity, s.image), state, (None, None, None))


def _at_step(state: State, step) -> State:
    return eqx.tree_at(lambda s: s.step, state, step)


def kick_increment(force, kick, s: Scales) -> Int64[Array, "3 atoms"]:
    """rint(F dt/m / s) as integers."""
    return isolated(lambda f, k, b: to_integer(f.astype(jnp.float64) * (k / b)), force, kick, s.before)


def noise_increment(xi, noise, s: Scales) -> Int64[Array, "3 atoms"]:
    """rint(sigma xi / (s a)) as integers."""
    return isolated(lambda x, c, a: jnp.rint(x.astype(jnp.float64) * (c / a)).astype(jnp.int64), xi, noise, s.after)


def drift_increment(kicked, thermalised, drift, s: Scales) -> Int64[Array, "3 atoms"]:
    """rint(s p' dt/2) + rint(s a p" dt/2) as integers: the move of a whole step.

    The halves are rounded one by one: a sum of two float products may or may not become a fused multiply-add, and then
    the last bit would depend on the program around it.
    """

    def compute(kicked, thermalised, drift, before, after):
        first = to_integer(kicked.astype(jnp.float64) * (before * drift))
        return first + to_integer(thermalised.astype(jnp.float64) * (after * drift))

    return isolated(compute, kicked, thermalised, drift, s.before, s.after)


def drift_forward(position, image, move):
    """Add a move; an integer overflow is a crossing of the boundary, counted in `image`."""
    moved = position + move
    crossed_up = ((move > 0) & (moved < position)).astype(jnp.int32)
    crossed_down = ((move < 0) & (moved > position)).astype(jnp.int32)
    return moved, image + crossed_up - crossed_down


def drift_backward(position, image, move):
    """Undo `drift_forward`."""
    origin = position - move
    crossed_up = ((move > 0) & (position < origin)).astype(jnp.int32)
    crossed_down = ((move < 0) & (position > origin)).astype(jnp.int32)
    return origin, image - crossed_up + crossed_down


def shift_right(velocity):
    """(velocities without their 16 lowest bits, those bits): halving the scale 16 times."""
    return velocity >> SHIFT_BITS, (velocity & (2**SHIFT_BITS - 1)).astype(jnp.uint16)


def shift_left(velocity, words):
    """Undo `shift_right`."""
    return (velocity << SHIFT_BITS) | words.astype(jnp.int64)


def step_state(state: State, settings: Settings, c: Coefficients, s: Scales, force, xi) -> State:
    """The state one step later, shift included; the bits that it pushes out are dropped. For runs that never go
    back."""
    kicked = state.velocity + kick_increment(force, c.kick, s)
    thermalised = kicked + noise_increment(xi, c.noise, s)
    position, image = drift_forward(state.position, state.image, drift_increment(kicked, thermalised, c.drift, s))
    velocity = jnp.where(shift_is_due(state, settings, state.step + 1), shift_right(thermalised)[0], thermalised)
    after = (position, velocity, image, state.step + 1)
    return eqx.tree_at(lambda s: (s.position, s.velocity, s.image, s.step), state, after)
