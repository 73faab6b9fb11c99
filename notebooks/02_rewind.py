# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2  Rewind: running time backwards, exactly
#
# **Goals.** At the end you can
# * say why a reversible law of motion does not make a reversible program, and predict when the way back is lost;
# * build an integrator that comes back to the last bit, even with single-precision forces;
# * count the bits that friction destroys, and say what they have to do with entropy.
#
# You need: [notebook 1](01_tune.ipynb), and how computers store numbers. Time: 45 minutes.

# %%
from revmd_app import notebook

notebook.start()

# %%
import equinox as eqx
import holoviews as hv
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine import floating
from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.simulate import advance, rewind
from revmd_app.systems import prepared
from revmd_app.systems.crystal import argon_crystal

liquid = prepared("argon", 108)
system, potential = liquid.system, liquid.potential
box, mass = float(system.box[0]), float(system.masses[0])
n_atoms, key = system.n_atoms, jax.random.key(0)
start = liquid.snapshot()
x0, v0 = np.asarray(start.centred_positions, dtype=float), np.asarray(start.velocity, dtype=float)
dt = 0.004  # ps

# %% [markdown]
# ## The naive way: turn the velocities round
#
# Newton's equations do not know in which direction time runs, and neither does the leapfrog: half a drift, a kick, half
# a drift is the same read backwards. So run $n$ steps, reverse all velocities, run $n$ steps more: every atom must be
# where it began. Here it is, in any precision, with the forces of notebook 1.

# %%
i, j = np.triu_indices(n_atoms, k=1)
sigma, epsilon, cutoff = 0.34, float(potential.epsilon), 0.85


def energy(x):
    """Potential energy (kJ/mol) of positions (3, N); smooth at the cutoff, so that only rounding is to blame."""
    d = x[:, i] - x[:, j]
    d = d - box * jnp.round(d / box)
    r2 = jnp.sum(d * d, axis=0)
    s6 = (sigma**2 / r2) ** 3
    smooth = jnp.maximum(1 - r2 / cutoff**2, 0.0) ** 3
    return jnp.sum(4 * epsilon * (s6 * s6 - s6) * smooth)


@jax.jit
def run(x, v, n_steps):
    """n_steps of the leapfrog: half a drift, a kick, half a drift."""

    def step(_, carry):
        x, v = carry
        x = x + 0.5 * dt * v
        v = v - dt / mass * jax.grad(energy)(x)
        return x + 0.5 * dt * v, v

    return jax.lax.fori_loop(0, n_steps, step, (x, v))


def there_and_back(n_steps, precision):
    """Root mean square distance (nm) from the start after n_steps forwards and as many back."""
    x, v = run(jnp.asarray(x0, precision), jnp.asarray(v0, precision), n_steps)
    x, _ = run(x, -v, n_steps)
    return float(np.sqrt(np.mean(np.sum((np.asarray(x, float) - x0) ** 2, axis=0))))


lengths = np.array([100, 250, 500, 1000, 2000, 3000, 4000, 5000, 6000])
missed = {p: np.array([there_and_back(n, p) for n in lengths]) for p in ("float32", "float64")}
print("steps    float32 (nm)  float64 (nm)")
for n, single, double in zip(lengths, *missed.values(), strict=True):
    print(f"{n:5}    {single:.0e}         {double:.0e}")

# %%
hv.Overlay(
    [hv.Curve((lengths, d), "steps there (and as many back)", "distance (nm)", label=p) for p, d in missed.items()]
    + [hv.HLine(sigma).opts(color="grey", line_dash="dashed")]
).opts(
    width=720,
    height=340,
    logy=True,
    legend_position="bottom_right",
    title="How far from home; dashed: the size of an atom",
)

# %% [markdown]
# Both fail. Each step makes a rounding error of about $10^{-7}$ nm or $10^{-16}$ nm, and the liquid *multiplies* it:
# two trajectories that differ by $\delta$ differ by $\delta\, e^{\lambda t}$ a little later. The straight parts of the
# curves give the Lyapunov exponent $\lambda$; it is the same liquid, so they are parallel, and more digits only buy
# time.

# %%
d = missed["float64"]
straight = (d > 1e-14) & (d < 1e-2)
lyapunov, _ = np.polyfit(lengths[straight] * dt, np.log(d[straight]), 1)
doubling = np.log(2) / lyapunov
print(f"λ = {lyapunov:.1f} per ps: an error doubles every {doubling:.2f} ps, or {doubling / dt:.0f} steps")
print(f"to come back over 100 ps you would need {lyapunov * 100 / np.log(10):.0f} digits more than you want in the end")
assert missed["float32"][lengths == 3000] > sigma / 3  # float32 has lost the start
assert missed["float64"][lengths == 3000] < 1e-3  # where float64 still comes close
assert missed["float64"][-1] > sigma / 3  # but it, too, is lost some thousand steps later
assert 1 < lyapunov < 4

# %% [markdown]
# ## The second failure: friction
#
# A thermostat is worse. Langevin's friction multiplies every velocity by $a = e^{-\gamma\Delta t} < 1$ in each step and
# adds a random number. Backwards we know the random number (it is a function of the step), so we can subtract it and
# divide by $a$. On paper. `floating.rewind` does that; look at the temperature on the way back.

# %%
gentle = Settings(dt=dt, temperature=94.4, friction=1.0)
n_steps = 6000
there = floating.from_state(system, liquid.state, gentle, "float64")
there, _ = floating.advance(system, potential, gentle, there, key, n_steps)
back, rows = there, []
for _ in range(n_steps // 250):
    back, report = floating.rewind(system, potential, gentle, back, key, 250)
    kinetic = mass * float(jnp.sum(back.velocity**2)) / (3 * n_atoms * system.boltzmann)
    rows.append((dt * float(back.step), kinetic))
    if report.exploded:
        break
times, hot = np.array(rows).T
print(
    f"undone from {n_steps * dt:.0f} to {times[-1]:.1f} ps; temperature {hot[0]:.0f} K at first, {hot[-1]:,.0f} K at last"
)
assert hot[0] < 200
assert hot[-1] > 1000
hv.Curve((times, hot), "time (ps), running to the left", "temperature (K)").opts(width=720, height=280, logy=True)

# %% [markdown]
# Friction *destroys information*: it contracts velocities, so that many old velocities are mapped to one new number.
# Dividing by $a$ brings back the size but not the digits. As soon as chaos has put the way back out of step with the
# noise, what is subtracted is no longer what was added, and division by $a$ heats without limit.
#
# ## The mend: do not round, or rather: round to integers
#
# Floating point forgets in one operation: the sum.

# %%
print((1e16 + 1.0) - 1e16, "but", (10**16 + 1) - 10**16)

# %% [markdown]
# *Adding an integer to an integer is undone by subtracting it*, whatever it was and however it was computed. So keep
# positions and velocities as integers (here 64-bit, in units of box/2⁶⁴), and let each update be
# "add an integer that is computed from the **other half** of the state":
#
# $$ v \mathrel{+}= \mathrm{rint}(F(x)\,\Delta t/m), \qquad x \mathrel{+}= \mathrm{rint}(v\,\Delta t). $$
#
# Backwards, $v$ is still there to compute what to subtract from $x$, and then $x$ is there for $v$. The forces may be
# as coarse as they like, say single precision: they only have to be *the same* on the way back. (The barrier below
# keeps the compiler from rounding them differently in the two programs.) And integer overflow, a mistake elsewhere, is
# the periodic boundary.

# %%
unit = box / 2.0**64  # nm
per_ps = box / 2.0**38  # nm/ps: a lattice velocity of 1


def kick(x):
    """The integer to add to the velocities: float32 forces, rounded."""
    x = jax.lax.optimization_barrier(x)
    nm = ((x >> 32).astype(jnp.float32)) * jnp.float32(box / 2.0**32)
    push = -jax.grad(energy)(nm).astype(jnp.float64) * (dt / mass / per_ps)
    return jax.lax.optimization_barrier(jnp.rint(push).astype(jnp.int64))


def drift(v):
    """The integer to add to the positions."""
    return v * int(dt * 2**10) * 2**16  # box/2^64 per step; 2^26 dt, rounded once and for all


@jax.jit
def forwards(x, v, n_steps):
    def step(_, carry):
        x, v = carry
        v = v + kick(x)
        return x + drift(v), v

    return jax.lax.fori_loop(0, n_steps, step, (x, v))


@jax.jit
def backwards(x, v, n_steps):
    def step(_, carry):
        x, v = carry
        x = x - drift(v)
        return x, v - kick(x)

    return jax.lax.fori_loop(0, n_steps, step, (x, v))


X0 = jnp.asarray(np.rint(x0 / box * 2.0**62), jnp.int64) << 2
V0 = jnp.asarray(np.rint(v0 / per_ps), jnp.int64)
X, V = forwards(X0, V0, 20_000)
moved = np.abs(np.asarray(X - X0)).max() * unit
X, V = backwards(X, V, 20_000)
print(
    f"20,000 steps forwards moved an atom by up to {moved:.2f} nm; 20,000 back: {int((X != X0).sum() + (V != V0).sum())} of"
)
print(f"{X.size + V.size} integers differ from the start, with forces in single precision")
assert moved > sigma
assert jnp.array_equal(X, X0)
assert jnp.array_equal(V, V0)

# %% [markdown]
# **Not close: identical.** Twenty lines of your own do what no floating-point program can. (Levesque and Verlet, 1993.)
#
# ## Friction, and the bits that it burns
#
# Multiplying by $a$ is no integer map. The engine of this package therefore keeps the velocity as $s \cdot p$: the
# integers $p$ are never multiplied, only the scale $s$ decays, $s \leftarrow a s$. The integers then grow; when
# friction has taken 16 bits, they are shifted right by 16, and the bits that fall off go on a **tape**. To rewind,
# shift them back in. So the tape holds what friction has destroyed, and nothing more:
#
# $$ \text{bits per velocity component} = \gamma t / \ln 2. $$


# %%
def differ(a, b):
    """How many integers of positions and velocities differ between two states."""
    return int((a.position != b.position).sum() + (a.velocity != b.velocity).sum())


n_steps = 20_000  # 80 ps at a friction of 1/ps
state, tape, report = advance(system, potential, gentle, liquid.state, key, n_steps)
report.check()
home, empty, report = rewind(system, potential, gentle, state, tape, key, n_steps)
report.check()
differing = differ(home, liquid.state)
burnt = float(tape.count) * 16
predicted = 1.0 * n_steps * dt / np.log(2)
stored = n_steps * 2 * 3 * n_atoms * 4
print(f"{differing} integers differ; bits burnt in each component: {burnt:.0f}, γt/ln 2 = {predicted:.1f}")
print(
    f"the tape takes {burnt / 8 * 3 * n_atoms / 1e3:.1f} kB; storing every step in single precision, {stored / 1e6:.0f} MB"
)
assert differing == 0
assert int(empty.count) == 0
assert predicted - 16 < burnt <= predicted

# %% [markdown]
# The Gibbs entropy of a velocity that is contracted by $e^{-\gamma t}$ falls by $k_\mathrm{B}\gamma t$, that is $\gamma
# t/\ln 2$ bits. The noise puts the same amount of fresh randomness in: that is how a thermostat works. Erasing a bit
# costs at least $k_\mathrm{B}T \ln 2$ of heat (Landauer, 1961); the tape is the erased record.
#
# ## Flip one bit
#
# Now the test that this is no film. At the far end flip *one bit* of *one* coordinate (the lowest that the forces see:
# box/2³², $4\cdot 10^{-10}$ nm), rewind both, and follow their distance.

# %%
far, tape, _ = advance(system, potential, gentle, liquid.state, key, 8000)
flipped = eqx.tree_at(lambda s: s.position, far, far.position.at[0, 0].set(far.position[0, 0] ^ (1 << 32)))
true, other, true_tape, other_tape, rows = far, flipped, tape, tape, []
for _ in range(8000 // 100):
    true, true_tape, _ = rewind(system, potential, gentle, true, true_tape, key, 100)
    other, other_tape, report = rewind(system, potential, gentle, other, other_tape, key, 100)
    apart = (other.position - true.position).astype(jnp.float64) * unit  # an integer difference: the nearest image
    rows.append((dt * float(true.step), float(jnp.sqrt(jnp.mean(jnp.sum(apart**2, axis=0))))))
times, apart = np.array(rows).T
passed = 8000 * dt - times
straight = (apart > 1e-9) & (apart < 1e-2)
spread = np.polyfit(passed[straight], np.log(apart[straight]), 1)[0]
print(
    f"the true run misses home in {differ(true, liquid.state)} integers; the flipped one ends {apart[-1]:.2f} nm away"
)
print(f"the flip grew by e every {1 / spread:.2f} ps: λ = {spread:.1f} per ps, from rounding it was {lyapunov:.1f}")
assert differ(true, liquid.state) == 0
assert apart[-1] > 0.05
assert 0.5 < spread / lyapunov < 2
hv.Curve((passed, apart), "time undone since the flip (ps)", "distance of the two runs (nm)").opts(
    width=720, height=300, logy=True
)

# %% [markdown]
# One bit in 41,472 is enough to make the past another one. The exact way back is *unstable*, and it works because
# nothing at all goes wrong, not because errors were small.
#
# ## Melt a crystal, and un-melt it

# %%
crystal = argon_crystal(108, temperature=60.0)
melting = Settings(dt=dt, temperature=300.0, friction=1.0)


def order(state):
    """|mean of exp(i k·x)| over atoms, for a reciprocal vector of the crystal: 1 on the sites, about 0.1 in a liquid."""
    x = np.asarray(to_snapshot(crystal.system, state, melting).centred_positions, dtype=float)
    cell = (4 * mass / 1.623 * 1.66053906660e-3) ** (1 / 3)
    return abs(np.mean(np.exp(2j * np.pi / cell * np.array([1, 1, 1]) @ x)))


melt, tape, report = advance(crystal.system, crystal.potential, melting, crystal.state, key, n_steps)
report.check()
again, _, report = rewind(crystal.system, crystal.potential, melting, melt, tape, key, n_steps)
report.check()
print(f"order: crystal {order(crystal.state):.3f}, after 80 ps at 300 K {order(melt):.3f}, and back {order(again):.3f}")
print(f"integers that differ from the crystal's: {differ(again, crystal.state)}")
assert order(crystal.state) > 0.99
assert order(melt) < 0.4
assert differ(again, crystal.state) == 0

# %% [markdown]
# Entropy rose on the way there and fell on the way back, and no law was broken: the state at the far end is one of
# the few liquids that freeze in 80 ps, *because it came from a crystal*. Flip a bit and it is a liquid like all others.
#
# ## The lab
#
# Three clocks run side by side: single precision, double precision, integers. Run, drag the time slider back, flip a
# bit.

# %%
lab = notebook.lab("rewind")
lab

# %% [markdown]
# ## Exercises
#
# **1. Predict the horizon.** From $\lambda$ alone: after how many steps there and back does double precision lose the
# start by 0.1 nm? Compare with the table at the top.
#
# <details><summary>Solution</summary>
#
# ```python
# rounding = 1e-16  # nm, about half a unit in the last place of a coordinate
# horizon = np.log(0.1 / rounding) / lyapunov / dt
# found = np.interp(np.log(0.1), np.log(missed["float64"]), lengths)
# print(f"predicted {horizon:.0f} steps, found {found:.0f}")
# assert 0.5 < horizon / found < 2
# ```
#
# Only the way back amplifies an error that was made at the far end over the *whole* length, so the total length that
# counts is $n$ and not $2n$.
# </details>
#
# **2. The wrong tape.** Rewind a run with friction, but with a tape of zeros. How far from home do you end? Why is it
# so far, although the tape holds only the *lowest* bits of the velocities?
#
# <details><summary>Solution</summary>
#
# ```python
# end, tape, _ = advance(system, potential, gentle, liquid.state, key, 8000)
# blank = eqx.tree_at(lambda t: t.words, tape, jnp.zeros_like(tape.words))
# lost, _, _ = rewind(system, potential, gentle, end, blank, key, 8000)
# apart = (lost.position - liquid.state.position).astype(jnp.float64) * unit
# rms = float(jnp.sqrt(jnp.mean(jnp.sum(apart**2, axis=0))))
# print(f"{rms:.2f} nm from home")
# assert rms > 0.05
# ```
#
# The lowest bits are a perturbation of about $10^{-10}$ nm/ps, and chaos does the rest: they are not negligible, they
# *are* the memory of the past.
# </details>
#
# **3. No friction, no tape.** Show that the tape of an isolated run (`friction=0`) stays empty, and that the run comes
# back all the same.
#
# <details><summary>Solution</summary>
#
# ```python
# isolated = Settings(dt=dt, temperature=94.4, friction=0.0)
# end, tape, _ = advance(system, potential, isolated, liquid.state, key, 5000)
# home, _, _ = rewind(system, potential, isolated, end, tape, key, 5000)
# print(f"{int(tape.count)} entries on the tape, {differ(home, liquid.state)} integers differ")
# assert int(tape.count) == 0
# assert differ(home, liquid.state) == 0
# ```
#
# Newton's map is a bijection of the lattice: nothing is destroyed, so there is nothing to keep.
# </details>
#
# ## Three questions
#
# <details><summary>1. The forces are single precision. Is the trajectory then as exact as single precision?</summary>
#
# It is *reversible* to the last bit, and as *accurate* as its forces and its time step: two different virtues. The
# trajectory shadows a system with slightly different forces; its way back is that system's own.
# </details>
#
# <details><summary>2. Would you come back on another computer?</summary>
#
# If it rounds every force alike. Another processor or compiler may add the same numbers in another order, and one
# different bit is enough, as you saw. Forwards and backwards must run on the same machine, with the same program.
# </details>
#
# <details><summary>3. Why does the gradient lab (notebook 3) need all this?</summary>
#
# The derivative of a trajectory is computed from its end to its beginning and needs the states on the way. Whoever can
# run backwards need not store them.
# </details>

# %% [markdown]
# ## What this model cannot show
#
# * Real liquids are quantum and open: no experiment rewinds. Spin echoes come near.
# * 108 atoms in a periodic box, two-body forces; the Lyapunov exponent of a larger box is a little larger.
# * The Lyapunov exponents here are fits over a few e-folds of one trajectory: good to 20 % or so.
# * Exact reversal holds for the integers of *this* program on *this* machine.

# %% [markdown]
# ## References
#
# * D. Levesque, L. Verlet, *J. Stat. Phys.* **72**, 519 (1993): molecular dynamics on integers, exactly reversible.
# * J. G. Greener, *PNAS* **122**, e2426058122 (2025): reversible simulation with a thermostat, for gradients.
# * R. Landauer, *IBM J. Res. Dev.* **5**, 183 (1961): erasing a bit costs heat.
# * J. Loschmidt, *Sitzungsber. Akad. Wiss. Wien* **73**, 128 (1876): turn the velocities round, he told Boltzmann.
# * Z. Zhang et al., *J. Phys. Chem. A* **123**, 6056 (2019): the Langevin-middle step that the engine uses.
#
# Next: [3  Gradients](03_gradients.ipynb).
