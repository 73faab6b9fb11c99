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
# # 1  Tune: from an energy of two atoms to a liquid
#
# **Goals.** At the end you can
# * derive the forces on all atoms from one function $u(r)$, by hand and by automatic differentiation;
# * say why a loop over pairs and Euler's method do not make a simulation, and what does;
# * measure the structure of a liquid, $g(r)$, and predict how it answers when you bend $u(r)$.
#
# You need: Python, and that a force is minus the slope of an energy. Time: 45 minutes.
# Units: nm, ps, u, kJ/mol, K. Coordinates are arrays of shape `(3, N)`.
#
# Run the cells from top to bottom. The next one loads what plots and labs need, from this machine and no other.

# %%
from revmd_app import notebook

notebook.start()

# %%
import time

import holoviews as hv
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.simulate import advance, simulate
from revmd_app.observables import RadialDistributionFunction, coordination_number, total_energy
from revmd_app.potentials import LennardJones
from revmd_app.systems import prepared
from revmd_app.units import BOLTZMANN

# %% [markdown]
# ## The model
#
# Liquid argon is the simplest liquid there is. Two atoms a distance $r$ apart have the energy of Lennard and Jones,
#
# $$u(r) = 4\varepsilon\left[\left(\frac{\sigma}{r}\right)^{12} - \left(\frac{\sigma}{r}\right)^{6}\right],$$
#
# with $\sigma$ the size of an atom and $\varepsilon$ the depth of the well. Rahman (1964) made the first simulation of
# a real liquid with it: $\sigma = 0.34$ nm and $\varepsilon/k_\mathrm{B} = 120$ K, at 94.4 K and 1.374 g/cm³. We start
# from an equilibrated box at his state point.

# %%
liquid = prepared("argon", 108)
start = liquid.snapshot()
sigma, epsilon = 0.34, 120 * BOLTZMANN
cutoff = 0.85  # nm: no pair beyond it has an energy or a force
box = float(liquid.system.box[0])
mass = float(liquid.system.masses[0])
x0 = np.asarray(start.centred_positions, dtype=float)  # (3, N) nm
v0 = np.asarray(start.velocity, dtype=float)  # (3, N) nm/ps
print(f"{x0.shape[1]} atoms in a periodic box of {box:.3f} nm; epsilon = {epsilon:.4f} kJ/mol")

# %%
r = np.linspace(0.31, 0.85, 300)
u = 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)
force = 24 * epsilon * (2 * (sigma / r) ** 12 - (sigma / r) ** 6) / r
curves = [
    hv.Curve((r, u), "r (nm)", "u (kJ/mol)").opts(ylim=(-1.3, 2), title="Energy of a pair"),
    hv.Curve((r, force), "r (nm)", "−u′ (kJ/mol/nm)").opts(ylim=(-12, 20), title="Its force: > 0 pushes apart"),
]
hv.Layout([c.opts(width=420, height=260) * hv.HLine(0).opts(color="grey", line_width=1) for c in curves])

# %% [markdown]
# ## The naive way: a loop over pairs
#
# Newton: the force on atom $i$ is the sum over all others of $-u'(r_{ij})$ along the line between them. The box is
# periodic, so each pair meets through its *nearest* images: take the separation modulo the box.


# %%
def forces_by_loops(x):
    """(3, N) forces in kJ/mol/nm, one pair after another."""
    f = np.zeros_like(x)
    for i in range(x.shape[1]):
        for j in range(i):
            d = x[:, i] - x[:, j]
            d -= box * np.round(d / box)  # the nearest image
            r2 = d @ d
            if r2 < cutoff**2:
                s6 = (sigma**2 / r2) ** 3
                push = 24 * epsilon * (2 * s6 * s6 - s6) / r2 * d
                f[:, i] += push
                f[:, j] -= push
    return f


def seconds_per_call(function, calls):
    """Seconds that one call takes, after a first one that is not counted (it may compile)."""
    jax.block_until_ready(function())
    began = time.perf_counter()
    for _ in range(calls):
        result = function()
    jax.block_until_ready(result)
    return (time.perf_counter() - began) / calls


loops = seconds_per_call(lambda: forces_by_loops(x0), 3)
picoseconds = 100
hours = loops * picoseconds / 0.004 / 3600
print(f"one evaluation of the forces: {1000 * loops:.0f} ms")
print(f"{picoseconds} ps in steps of 4 fs: {hours * 60:.0f} minutes, for a hundred atoms")

# %% [markdown]
# A liquid needs some hundred picoseconds and more than a hundred atoms, and the cost grows with $N^2$. **This is too
# slow**, and each new $u(r)$ would need its derivative by hand.
#
# ## First mend: write the energy, let JAX do the rest
#
# One expression for the energy of *all* pairs at once; `jax.grad` gives the exact forces, `jax.jit` compiles both.

# %%
i, j = np.triu_indices(x0.shape[1], k=1)


def energy(x):
    """Potential energy in kJ/mol of positions (3, N) in nm."""
    d = x[:, i] - x[:, j]
    d = d - box * jnp.round(d / box)
    r2 = jnp.sum(d * d, axis=0)
    s6 = (sigma**2 / r2) ** 3
    return jnp.sum(jnp.where(r2 < cutoff**2, 4 * epsilon * (s6 * s6 - s6), 0.0))


forces_by_jax = jax.jit(lambda x: -jax.grad(energy)(x))

difference = np.abs(np.asarray(forces_by_jax(x0)) - forces_by_loops(x0)).max()
whole = seconds_per_call(lambda: forces_by_jax(x0), 200)
print(f"largest difference between the two: {difference:.1e} kJ/mol/nm")
print(f"one evaluation: {1e6 * whole:.0f} µs, {loops / whole:.0f} times faster")
assert difference < 1e-8
assert whole < loops / 10

# %% [markdown]
# ## The next naive step: Euler's method
#
# We have forces, so let us move: $x \leftarrow x + v\,\Delta t$, $\;v \leftarrow v + F(x)\,\Delta t/m$, both from the
# *old* values. And beside it **the leapfrog**, which differs in one thing only: the velocities are updated first, and
# the positions move with the *new* ones.

# %%
dt = 0.004  # ps


def euler(carry, _):
    x, v = carry
    return (x + dt * v, v + dt / mass * forces_by_jax(x)), kinetic_temperature(v)


def leapfrog(carry, _):
    x, v = carry
    v = v + dt / mass * forces_by_jax(x)
    return (x + dt * v, v), kinetic_temperature(v)


def kinetic_temperature(v):
    """Temperature in K of velocities (3, N) in nm/ps."""
    return mass * jnp.sum(v * v) / (3 * v.shape[1] * BOLTZMANN)


n_steps = 2000
run = jax.jit(lambda step: jax.lax.scan(step, (x0, v0), length=n_steps)[1], static_argnums=0)
heated, kept = np.asarray(run(euler)), np.asarray(run(leapfrog))
times = dt * np.arange(n_steps)
doubled = times[np.argmax(heated > 2 * heated[0])]
print(f"Euler: twice as hot after {doubled:.1f} ps; leapfrog: {kept[-500:].mean():.0f} K over the last 2 ps")
assert 0 < doubled < 4
assert abs(kept[-500:].mean() - 94.4) < 20
hv.Overlay(
    [
        hv.Curve((times, t), "time (ps)", "temperature (K)", label=label)
        for t, label in ((heated, "Euler"), (kept, "leapfrog"))
    ]
).opts(width=700, height=300, ylim=(0, 600), title="The same liquid, the same forces, no thermostat")

# %% [markdown]
# **Euler's method boils the liquid, then blows it up.** That is no matter of rounding, and a shorter step only delays
# it: every step stretches phase space a little, and the energy grows without end. The leapfrog is *symplectic*: it
# keeps the volume of phase space, and with it the energy up to small oscillations. It is also *reversible*; that is
# what notebook 2 is about.
#
# ## What we use from here on
#
# The engine behind the labs does what you have just seen, and three things more: its potentials go to zero *smoothly*
# at the cutoff (ours above jumps there), its thermostat is Langevin's (friction and noise in balance hold the
# temperature), and it keeps positions and velocities as integers so that every step can be undone exactly.
# `advance` runs it; a potential is an object whose numbers are its parameters.

# %%
argon = LennardJones(sigma=sigma, epsilon=epsilon, cutoff=cutoff, truncation="plain")
ours = argon.forces(liquid.snapshot(argon))
scale = np.abs(forces_by_loops(x0)).max()
print(f"largest difference from the loop: {np.abs(np.asarray(ours) - forces_by_loops(x0)).max() / scale:.0e} of the")
print("largest force: the engine's forces are in single precision")
assert np.abs(np.asarray(ours) - forces_by_loops(x0)).max() < 1e-4 * scale

# %%
isolated = Settings(dt=dt, temperature=94.4, friction=0.0)  # friction 0: no thermostat, energy is conserved
key = jax.random.key(1)


def run_engine(n_steps):
    """The state after so many steps."""
    state, _, report = advance(liquid.system, liquid.potential, isolated, liquid.state, key, n_steps)
    report.check()  # an explosion is an error, never a wrong number
    return state


def energy_per_atom(state):
    """Total energy in kJ/mol per atom."""
    return float(total_energy(to_snapshot(liquid.system, state, isolated, liquid.potential))) / liquid.system.n_atoms


per_step = seconds_per_call(lambda: run_engine(2000), 1) / 2000
drift = energy_per_atom(run_engine(20_000)) - energy_per_atom(run_engine(0))
print(f"a step: {1e6 * per_step:.0f} µs; the loop took {1e6 * loops:,.0f} µs for its forces alone")
print(
    f"energy after 20,000 steps (80 ps): {drift:+.4f} kJ/mol per atom, {abs(drift) / 1.177:.1%} of the kinetic energy"
)
assert abs(drift) < 0.02
assert per_step < loops / 20

# %% [markdown]
# ## The structure of the liquid
#
# $g(r)$ is how often two atoms are found a distance $r$ apart, compared with atoms strewn at random: 0 where they
# overlap, above 1 in a shell of neighbours, 1 far away. `simulate` runs and samples an observable on the way. We run
# with the thermostat on, average, and compare with a long run of Rahman's model that comes with the package.

# %%
rdf = RadialDistributionFunction(r_max=0.85, n_bins=120)


def structure(potential, n_steps=4000, seed=2):
    """g(r) of the liquid with another potential, after 1,000 steps to forget the old one."""
    parts = {"observe": rdf, "key": jax.random.key(seed), "state": liquid.state}
    series = simulate(liquid.system, potential, liquid.settings, n_steps=n_steps, sample_every=20, **parts)
    return np.asarray(series[50:].mean(axis=0))


def first_peak(r, g):
    """(position in nm, height) of the top of the parabola through the highest three points."""
    k = g.argmax()
    a, b, c = np.polyfit(r[k - 1 : k + 2] - r[k], g[k - 1 : k + 2], 2)
    return r[k] - b / (2 * a), c - b * b / (4 * a)


g = structure(liquid.potential)
reference = liquid.reference["rdf"]["Ar", "Ar"]
peak, its_height = first_peak(rdf.r, g)
known_peak, known_height = first_peak(reference.r, reference.g)
density = liquid.system.n_atoms / box**3
neighbours = float(coordination_number(rdf.r, g, density, 0.53))
print(f"first shell: its peak {its_height:.2f} at {peak:.3f} nm, {neighbours:.1f} neighbours up to 0.53 nm")
assert abs(peak - known_peak) < 0.01
assert abs(its_height - known_height) < 0.2
(
    hv.Curve((rdf.r, g), "r (nm)", "g(r)", label="this run, 12 ps")
    * hv.Curve((reference.r, reference.g), "r (nm)", "g(r)", label=reference.label).opts(line_dash="dashed")
).opts(width=700, height=320, xlim=(0.25, 0.85))

# %% [markdown]
# ## Bend the potential
#
# Before you run the next cell, **predict**: make the atoms 4 % larger; make the well twice as deep. Which of the two
# moves the first peak, and which one sharpens it?

# %%
variants = {
    "as it is": LennardJones(sigma=sigma, epsilon=epsilon, cutoff=cutoff),
    "σ + 4 %": LennardJones(sigma=1.04 * sigma, epsilon=epsilon, cutoff=cutoff),
    "2 ε": LennardJones(sigma=sigma, epsilon=2 * epsilon, cutoff=cutoff),
}
structures = {name: structure(potential) for name, potential in variants.items()}
peaks = {name: first_peak(rdf.r, g) for name, g in structures.items()}
for name, (where, height) in peaks.items():
    print(f"{name:9}  peak at {where:.3f} nm, height {height:.2f}")
assert min(peaks["σ + 4 %"][0], peaks["2 ε"][0]) > 1.005 * peaks["as it is"][0]
assert peaks["2 ε"][1] > peaks["as it is"][1] + 0.3
hv.Overlay([hv.Curve((rdf.r, g), "r (nm)", "g(r)", label=name) for name, g in structures.items()]).opts(
    width=700, height=320, xlim=(0.25, 0.85)
)

# %% [markdown]
# Both move the peak, by almost as much. Larger atoms move it out, though less than 4 %: at fixed volume they have to
# squeeze. And with twice the depth the liquid is cold for its potential, $k_\mathrm{B}T/\varepsilon$ is halved:
# neighbours no longer climb the wall but sit near the minimum, at $2^{1/6}\sigma = 0.382$ nm, and the peak is sharper.
# A peak's *position* alone does not tell you which parameter is wrong; its height does.
#
# Three potentials, one compiled program: parameters are *inputs* of the program, so turning a knob costs nothing.
# That is what makes the lab below possible.
#
# ## The lab
#
# Move the sliders; type your own $u(r)$ (choose *Typed formula*); watch the atoms, $g(r)$, temperature and pressure.
# It is the same lab as in the app, and it runs in a process of its own: this notebook stays free for your code.
# (On a small screen hide JupyterLab's file browser: Ctrl+B.)

# %%
lab = notebook.lab("tune")
lab

# %% [markdown]
# The lab is an object like any other, and `lab.model` holds its parameters. Set one, say
# `lab.model.temperature = 120.0`, and look at the lab above. `notebook.stop()` ends its simulation.

# %%
print(f"{lab.model.liquid}, {lab.model.form}, {lab.model.temperature} K; knobs: {lab.model.values}")

# %% [markdown]
# ## Exercises
#
# **1. How long a step?** Find by experiment the largest time step for which the energy of the isolated liquid drifts
# by less than 1 % of the kinetic energy (1.18 kJ/mol per atom) in 20 ps. What happens far beyond it?
#
# <details><summary>Solution</summary>
#
# ```python
# for step in (0.004, 0.008, 0.016, 0.024):
#     settings = Settings(dt=step, temperature=94.4, friction=0.0)
#     end, _, report = advance(liquid.system, liquid.potential, settings, liquid.state, key, round(20 / step))
#     energies = [
#         float(total_energy(to_snapshot(liquid.system, s, settings, liquid.potential))) / 108
#         for s in (liquid.state, end)
#     ]
#     print(f"{1000 * step:.0f} fs: {abs(energies[1] - energies[0]) / 1.18:.1%}")
# ```
#
# The error grows with $\Delta t^2$ as long as a step is short against the fastest motion (a few tens of steps per
# rattle in the cage, about 1 ps long), and beyond a few tens of fs the liquid heats, or explodes: `report.check()`
# then raises an error.
# </details>
#
# **2. A hard wall.** Replace Lennard-Jones by its repulsive part (`WeeksChandlerAndersen`). Which features of $g(r)$
# stay?
#
# <details><summary>Solution</summary>
#
# ```python
# from revmd_app.potentials import WeeksChandlerAndersen
#
# repulsive = structure(WeeksChandlerAndersen(sigma=sigma, epsilon=epsilon))
# (r_wall, wall), (r_whole, whole) = first_peak(rdf.r, repulsive), peaks["as it is"]
# print(f"repulsion alone: {wall:.2f} at {r_wall:.3f} nm; with attraction: {whole:.2f} at {r_whole:.3f} nm")
# assert abs(wall - whole) < 0.5
# ```
#
# Almost all of them: at this density structure is packing, and packing is repulsion (Weeks, Chandler and Andersen,
# 1971). Attraction makes the pressure and the energy.
# </details>
#
# **3. A potential of your own.** Write $u(r) = A e^{-Br} - C/r^6$ as a formula, choose $A$, $B$, $C$ so that the
# minimum is that of argon, and compare $g(r)$.
#
# <details><summary>Solution</summary>
#
# ```python
# from revmd_app.potentials import Expression
#
# depth, minimum, B = epsilon, 2 ** (1 / 6) * sigma, 37.0  # at the minimum: u = -depth and u' = 0
# C = depth * minimum**6 / (1 - 6 / (B * minimum))
# A = 6 * C / (B * minimum**7) * np.exp(B * minimum)
# formula = Expression("A*exp(-B*(r)) - C/r^6", {"A": A, "B": B, "C": C}, cutoff=cutoff)
# mine = structure(formula)
# where, height = first_peak(rdf.r, mine)
# print(f"peak {height:.2f} at {where:.3f} nm")
# assert abs(where - peaks["as it is"][0]) < 0.02
# ```
# </details>
#
# ## Three questions
#
# <details><summary>1. Two potentials give the same g(r) within the error bars. Do they give the same pressure?</summary>
#
# Not in general. $g(r)$ hardly feels the attraction, the pressure does: exercise 2 shows it. A force field fitted to
# structure alone may be wrong in thermodynamics.
# </details>
#
# <details><summary>2. Why does a deeper well at fixed volume lower the pressure, even below zero?</summary>
#
# The walls are not there: the box has a fixed volume, and the atoms pull its (periodic) faces together. A negative
# pressure is a stretched liquid, which in a larger box or after a longer time would tear into liquid and vapour.
# </details>
#
# <details><summary>3. The thermostat holds 94.4 K, yet the temperature on the screen fluctuates. By how much should it?</summary>
#
# The kinetic energy is a sum of $3N$ squares of normal numbers, so $\sigma_T/T = \sqrt{2/(3N)}$: for 108 atoms 8 %, or
# 7 K. That is physics, not error.
# </details>

# %% [markdown]
# ## What this model cannot show

# %%
print(liquid.limits)

# %% [markdown]
# ## References
#
# * J. E. Lennard-Jones, *Proc. Phys. Soc.* **43**, 461 (1931).
# * A. Rahman, *Phys. Rev.* **136**, A405 (1964): the first simulation of liquid argon.
# * L. Verlet, *Phys. Rev.* **159**, 98 (1967): the leapfrog's other form, and why it works.
# * J. D. Weeks, D. Chandler, H. C. Andersen, *J. Chem. Phys.* **54**, 5237 (1971): structure is repulsion.
# * D. Frenkel, B. Smit, *Understanding Molecular Simulation* (2nd ed., 2002), chapter 4.
#
# Next: [2  Rewind](02_rewind.ipynb).
