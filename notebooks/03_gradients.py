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
# # 3  Gradients: differentiating a simulation
#
# **Goals.** At the end you can
# * differentiate an observable of a simulation with respect to its force field, and say what it costs in memory;
# * tell a gradient that is *wrong* from one that is *right and useless*, and show which one chaos gives you;
# * choose between the ways out: run backwards, truncate, reweight.
#
# You need: notebooks [1](01_tune.ipynb) and [2](02_rewind.ipynb). Time: 60 minutes.

# %%
from revmd_app import notebook

notebook.start()

# %%
import holoviews as hv
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.integrator import Settings
from revmd_app.engine.simulate import simulate
from revmd_app.gradients import compare
from revmd_app.gradients.estimate import reserved_bytes
from revmd_app.gradients.losses import make_experiment
from revmd_app.gradients.studies import STUDIES, Question
from revmd_app.potentials import LennardJones
from revmd_app.systems import prepared

liquid = prepared("argon", 108, precision="float64")
system = liquid.system
box, mass, n_atoms = float(system.box[0]), float(system.masses[0]), system.n_atoms
sigma, epsilon, cutoff = 0.34, float(liquid.potential.epsilon), float(liquid.potential.cutoff)
start = liquid.snapshot()
x0, v0 = jnp.asarray(start.centred_positions), jnp.asarray(start.velocity)
dt = 0.004  # ps
key = jax.random.key(0)

# %% [markdown]
# ## The question
#
# A force field is trained from the top down: simulate, compare an observable $O$ with experiment, move the parameters
# $\theta$ downhill. That needs $\mathrm{d}L/\mathrm{d}\theta$ *through the simulation*: a change of $\varepsilon$
# changes every force, hence every position, hence $O$.
#
# Our example: $L$ is the potential energy per atom after $n$ steps, $\theta = \varepsilon$, no thermostat.
#
# ## The naive way: `jax.grad` of the loop
#
# JAX differentiates any program. So write the simulation as a loop over steps (`lax.scan`) and ask.


# %%
def forces_and_energy(x, epsilon):
    """Forces (3, N) and energy of the force-shifted Lennard-Jones liquid, over an (N, N) table of pairs."""

    def u(r2):
        s6 = (sigma**2 / r2) ** 3
        return 4 * epsilon * (s6 * s6 - s6)

    def energy(x):
        d = x[:, :, None] - x[:, None, :]
        d = d - box * jnp.round(d / box)
        r2 = jnp.sum(d * d, axis=0) + jnp.eye(n_atoms)  # an atom does not meet itself
        r = jnp.sqrt(r2)
        at_cutoff, slope = u(cutoff**2), jax.grad(lambda r: u(r * r))(cutoff)
        pairs = jnp.where(r < cutoff, u(r2) - at_cutoff - (r - cutoff) * slope, 0.0) * (1 - jnp.eye(n_atoms))
        return 0.5 * jnp.sum(pairs)

    value, slope = jax.value_and_grad(energy)(x)
    return -slope, value


def naive_loss(epsilon, n_steps):
    """Potential energy per atom (kJ/mol) after n_steps."""

    def step(carry, _):
        x, v = carry
        v = v + dt / mass * forces_and_energy(x, epsilon)[0]
        return (x + dt * v, v), None

    (x, _), _ = jax.lax.scan(step, (x0, v0), length=n_steps)
    return forces_and_energy(x, epsilon)[1] / n_atoms


naive_gradient = jax.jit(jax.value_and_grad(naive_loss), static_argnums=1)
value, slope = naive_gradient(epsilon, 20)
print(f"20 steps: L = {value:.4f} kJ/mol, dL/dε = {slope:.4f}")

# %% [markdown]
# It works, for 20 steps. The chain rule runs *backwards* through the loop and needs every step's intermediate results,
# so they are all stored. We do not have to run out of memory to see it: the compiled program says what it would
# reserve.

# %%
lengths = (100, 1_000, 10_000)
needs = [reserved_bytes(naive_gradient.lower(epsilon, n).compile()) for n in lengths]
for n, need in zip(lengths, needs, strict=True):
    print(f"{n:6,} steps: {need / 1e9:8.3f} GB")
print("Binder gives you 1 to 2 GB; 10,000 steps are 40 ps")
assert needs[1] > 1e9
assert abs(needs[2] / needs[1] - 10) < 1

# %% [markdown]
# **First failure: memory.** About two megabytes a step, for a hundred atoms.
#
# ## Mend the memory: run backwards
#
# Notebook 2 gave us a simulation that can be run backwards exactly. So nothing has to be stored: walk back from the
# end, recompute each state on the way, and carry along $\lambda = \partial L/\partial x$ and $\mu = \partial L/\partial
# v$. For a step $v' = v + F(x)\Delta t/m$, $x' = x + v'\Delta t$ the chain rule says
#
# $$\mu \leftarrow \mu + \Delta t\,\lambda, \qquad \lambda \leftarrow \lambda + \tfrac{\Delta t}{m} J^\top\mu, \qquad
# \frac{\mathrm{d}L}{\mathrm{d}\theta} \mathrel{+}= \tfrac{\Delta t}{m}\,\mu\cdot\frac{\partial F}{\partial\theta},
# \qquad J = \frac{\partial F}{\partial x}.$$
#
# That is what `jax.grad` does after `simulate(..., method="reversible")`, thermostat included.

# %%
isolated = Settings(dt=dt, temperature=94.4, friction=0.0, precision="float64")
SAMPLES = {"observe": lambda snapshot: snapshot.potential.energy(snapshot) / n_atoms, "key": key, "state": liquid.state}


def loss(epsilon, n_steps, method="reversible"):
    """The same loss by the engine."""
    potential = LennardJones(sigma=sigma, epsilon=epsilon, cutoff=cutoff)
    series = simulate(system, potential, isolated, n_steps=n_steps, sample_every=n_steps, method=method, **SAMPLES)
    return series[-1]


reversible = jax.jit(jax.value_and_grad(loss), static_argnums=(1, 2))
naive, ours = naive_gradient(epsilon, 100), reversible(epsilon, 100)
print(f"100 steps: jax.grad of the loop {naive[1]:.10f}, backwards in time {ours[1]:.10f}")
assert abs(ours[1] - naive[1]) < 1e-6 * abs(naive[1])
flat = [reserved_bytes(reversible.lower(epsilon, n).compile()) for n in (1_000, 100_000)]
print(f"reserved for 1,000 steps {flat[0] / 1e6:.2f} MB, for 100,000 steps {flat[1] / 1e6:.2f} MB")
assert flat[1] < 1.2 * flat[0] < 1e-2 * needs[1]

# %% [markdown]
# The same number, and the memory no longer depends on the length. So let us take long runs.
#
# ## The second failure: the exact gradient explodes
#
# $L$ after 100, 200, … 4,000 steps, and its derivative. To have all lengths from one run we use forward mode: it
# carries $\mathrm{d}x/\mathrm{d}\varepsilon$ along with $x$, which is cheap for *one* parameter.

# %%
every, n_steps = 100, 4_000


def series(epsilon):
    potential = LennardJones(sigma=sigma, epsilon=epsilon, cutoff=cutoff)
    return simulate(system, potential, isolated, n_steps=n_steps, sample_every=every, method="forward_mode", **SAMPLES)


values, slopes = jax.jit(lambda e: jax.jvp(series, (e,), (1.0,)))(jnp.asarray(epsilon))
values, slopes = np.asarray(values), np.abs(np.asarray(slopes))
times = dt * every * np.arange(1, len(slopes) + 1)
for n in (100, 200, 1_000, 2_000, 4_000):
    print(f"{n:5,} steps: L = {values[n // every - 1]:.3f}, |dL/dε| = {slopes[n // every - 1]:.1e}")
grows, _ = np.polyfit(times[5:], np.log(slopes[5:]), 1)
print(f"the derivative grows like exp({grows:.1f} t/ps)")
assert slopes[0] < 10
assert slopes[-1] > 1e8
hv.Curve((times, slopes), "length of the run (ps)", "|dL/dε|").opts(width=720, height=300, logy=True)

# %% [markdown]
# $L$ itself stays a few kJ/mol, and its derivative becomes astronomical. Is it wrong? Ask somebody who cannot be wrong:
# move $\varepsilon$ by a little and run again.

# %%
naive = jax.jit(lambda e: naive_loss(e, 2_000))
exact = float(jax.jvp(naive, (epsilon,), (1.0,))[1])
step = 1e-8
difference = float(naive(epsilon + step) - naive(epsilon - step)) / (2 * step)
print(f"2,000 steps: derivative {exact:.4e}, finite difference with a step of 1e-8: {difference:.4e}")
assert abs(difference / exact - 1) < 0.02

run = jax.jit(loss, static_argnums=(1, 2))
grid = epsilon * (1 + np.linspace(-1e-3, 1e-3, 31))
scan = {n: np.array([float(run(e, n)) for e in grid]) for n in (200, 2_000)}
smooth, rough = (np.abs(np.diff(scan[n], 2)).mean() for n in (200, 2_000))
print(f"mean second difference: {smooth:.1e} after 200 steps, {rough:.1e} after 2,000")
assert rough > 1e3 * smooth
hv.Layout(
    [
        hv.Curve((grid / epsilon, scan[n]), "ε / ε₀", "L (kJ/mol)").opts(
            width=420, height=260, title=f"After {n:,} steps"
        )
        for n in (200, 2_000)
    ]
)

# %% [markdown]
# **The gradient is right: it is the slope of a landscape that has become rough.** Within a thousandth of $\varepsilon$
# the energy of *one* trajectory after 8 ps jumps about at random. No optimiser can use that slope. What we want is the
# derivative of the *average* over trajectories, which is smooth. Averaging $10^{8}$-sized numbers that cancel to one of
# order 1 would take more runs than anybody has.
#
# ## Two ways out
#
# **Truncate.** Follow each sample's influence only $k$ steps back. The friction of a thermostat and the decay of
# correlations make distant steps matter little *on average*, so the bias is small; the noise, which grows like
# $e^{\lambda t}$, is cut off. (Greener uses 200 steps.)
#
# **Reweight.** In the canonical ensemble no trajectory is needed at all:
#
# $$\frac{\mathrm{d}\langle O\rangle}{\mathrm{d}\theta} = \left\langle\frac{\partial O}{\partial\theta}\right\rangle
# - \beta\,\mathrm{cov}\!\left(O, \frac{\partial U}{\partial\theta}\right).$$
#
# It knows nothing of time, so it cannot treat a diffusion coefficient.
#
# Below: the mean energy of the liquid with a thermostat, $\mathrm{d}\langle U\rangle/\mathrm{d}\varepsilon$ truncated
# after $k$ steps, against reweighting of longer runs as the referee. It is one of the studies of the lab.

# %%
argon = prepared("argon", 108)
question = Question(argon, argon.potential, "Potential energy")
*_, last = STUDIES["truncation"](
    question,
    {"lengths": [0, 10, 50, 100, 200, 500, 1000], "steps": 1000, "sample_every": 100, "replicas": 6, "reference": 4},
)
rows, referee = last.result["rows"], last.result["reference"]
true, its_error = referee["gradient"]["epsilon"], referee["error"]["epsilon"]
print(f"referee ({referee['how']}): {true:.2f} ± {its_error:.2f}")
print("steps back   mean      error    spread of one run")
for row in rows:
    mean, error, spread = (row[name]["epsilon"] for name in ("mean", "error", "spread"))
    print(f"{row['truncate']:10}   {mean:9.2f} {error:9.2f}   {spread:9.2f}")
at = {row["truncate"]: row for row in rows}
assert abs(at[200]["bias"]["epsilon"]) < 0.5 < abs(at[0]["bias"]["epsilon"])  # distant steps matter little ...
assert at[1000]["spread"]["epsilon"] > 10 * at[200]["spread"]["epsilon"]  # ... and are noisy
back = np.array([row["truncate"] * dt for row in rows])
means, errors = (np.array([row[name]["epsilon"] for row in rows]) for name in ("mean", "error"))
hv.ErrorBars((back, means, errors)).opts(
    width=720, height=320, xlabel="steps back (ps)", ylabel="d⟨U⟩/dε", ylim=(true - 1.5, true + 1.5)
) * hv.Points((back, means)).opts(size=6) * hv.HLine(true).opts(color="grey", line_dash="dashed")

# %% [markdown]
# With nothing but the explicit part (0 steps) the answer is wrong by a sixth; after a picosecond it is right within a
# few per cent, with hardly any noise; after 4 ps the noise has eaten everything. *Between* bias and noise lies a useful
# window.
#
# ## Estimators side by side
#
# `compare` gives each one the same starts and the same noise. Look at value, error, time and memory.

# %%
experiment = make_experiment(argon, "Potential energy", n_steps=200, sample_every=20)
chosen = ["reversible", "checkpointed", "reweighting"]
table = compare(experiment, argon.potential, chosen, key, replicas=4)
table = table[table.parameter == "epsilon"].set_index("estimator")
table[["gradient", "standard_error", "seconds", "peak_bytes"]].round(4)

# %%
g, error = table.gradient, table.standard_error
assert abs(g["reversible"] / g["checkpointed"] - 1) < 2e-2  # the same derivative of the same steps, in single precision
assert abs(g["reversible"] - g["reweighting"]) < 1.0
assert table.peak_bytes["reversible"] < table.peak_bytes["checkpointed"] / 5
for name in chosen:
    print(f"{name:13} {g[name]:.2f} ± {error[name]:.2f}")

# %% [markdown]
# The exact methods agree to the digits of single precision: they differentiate the same 200 steps. Reweighting asks
# another question, the ensemble's derivative; runs of 200 steps are too short for the liquid to answer it in full.
#
# ## The lab
#
# The same in the lab, live, with seven estimators, other losses (structure, pressure, diffusion, one of your own),
# water, and the studies of cost and growth.

# %%
lab = notebook.lab("gradients")
lab

# %% [markdown]
# ## Exercises
#
# **1. Growth and chaos.** Compare the growth rate found above with the Lyapunov exponent of notebook 2 (1.7 per ps from
# rounding errors). Then put a thermostat with a friction of 20 per ps on: does the gradient still explode?
#
# <details><summary>Solution</summary>
#
# ```python
# damped = Settings(dt=dt, temperature=94.4, friction=20.0, precision="float64")
#
#
# def damped_series(epsilon):
#     potential = LennardJones(sigma=sigma, epsilon=epsilon, cutoff=cutoff)
#     return simulate(system, potential, damped, n_steps=n_steps, sample_every=every, method="forward_mode", **SAMPLES)
#
#
# damped_slopes = np.abs(np.asarray(jax.jit(lambda e: jax.jvp(damped_series, (e,), (1.0,))[1])(jnp.asarray(epsilon))))
# print(f"after 16 ps: {slopes[-1]:.1e} isolated, {damped_slopes[-1]:.1e} with a friction of 20 per ps")
# assert damped_slopes[-1] < 1e-3 * slopes[-1]
# ```
#
# Friction damps velocities and with them the sensitivity: the exponent falls as the friction rises, and a strongly
# damped liquid can be differentiated over far longer times (its dynamics are then wrong, its averages are not).
# </details>
#
# **2. What reweighting cannot do.** Ask it for the derivative of a velocity autocorrelation function, and read its
# answer.
#
# <details><summary>Solution</summary>
#
# ```python
# dynamic = make_experiment(argon, "Velocity autocorrelation", n_steps=100, sample_every=5)
# answers = compare(dynamic, argon.potential, ["reversible", "reweighting"], key, replicas=2).set_index("estimator")
# print(answers.refused["reweighting"])
# assert "order of its samples in time" in answers.refused["reweighting"]
# assert np.isfinite(answers.gradient["reversible"]).all()
# ```
# </details>
#
# **3. Use it.** The energy per atom of the (shifted) model is $U_0$. Find by gradient descent the $\varepsilon$ whose
# mean energy is 10 % deeper, with the reversible gradient truncated after 100 steps.
#
# <details><summary>Solution</summary>
#
# ```python
# def mean_energy(epsilon, key):
#     potential = LennardJones(sigma=sigma, epsilon=epsilon, cutoff=cutoff)
#     options = {"observe": SAMPLES["observe"], "key": key, "state": argon.state}
#     series = simulate(argon.system, potential, argon.settings, n_steps=1000, sample_every=50, truncate=100, **options)
#     return series[4:].mean()
#
#
# energy_and_slope = jax.jit(jax.value_and_grad(mean_energy))
# target = 1.1 * energy_and_slope(epsilon, key)[0]
# guess = epsilon
# for n in range(8):
#     found, slope = energy_and_slope(guess, jax.random.fold_in(key, n))
#     guess = guess - 0.7 * float((found - target) / slope)  # Newton's step for one unknown
#     print(f"ε = {guess:.4f}, ⟨U⟩ = {found:.3f}, wanted {target:.3f}")
# assert abs(guess / epsilon - 1.09) < 0.05
# ```
#
# The energy is almost proportional to $\varepsilon$, so the answer is near $1.1\,\varepsilon$, a little less because
# the deeper well also brings the atoms together. The gradient's noise and bias hardly matter: near the goal the step is
# small whatever the slope.
# </details>
#
# ## Three questions
#
# <details><summary>1. The exact gradient is useless and a biased one is useful. How can that be?</summary>
#
# The error of an estimate is bias² + variance. Over long times the exact one has no bias and a variance like
# $e^{2\lambda t}$; truncation trades a small bias for an enormous gain in variance.
# </details>
#
# <details><summary>2. When is forward mode the right choice, when reverse?</summary>
#
# Forward mode costs one tangent a parameter, reverse mode one sweep whatever their number. Up to about three parameters
# forward mode wins, and it needs no memory; a neural potential has thousands.
# </details>
#
# <details><summary>3. Would checkpointing (storing every √n-th state) do as well as running backwards?</summary>
#
# It needs √n times the memory of a step and an additional forward run, and differentiates the same program; the table
# shows the price. It does not need a reversible integrator. Neither of them cures chaos.
# </details>

# %% [markdown]
# ## What this model cannot show
#
# * One liquid far from a phase transition. Near one, averages change abruptly, and every gradient estimate is poor.
# * $\mathrm{d}\langle U\rangle/\mathrm{d}\varepsilon$ is dominated by its explicit part; structure and dynamics respond
#   more, and are noisier. Try them in the lab.
# * Truncation's bias depends on the observable; 200 steps are no law of nature.
# * Memory is what XLA reserves for its program on a CPU; another version or a GPU reserves somewhat other amounts.

# %% [markdown]
# ## References
#
# * J. G. Greener, *PNAS* **122**, e2426058122 (2025): reversible simulation, truncation after 200 steps.
# * S. Thaler, J. Zavadlav, *Nat. Commun.* **12**, 6884 (2021): reweighting (DiffTRe).
# * L. Metz, C. D. Freeman, S. S. Schoenholz, T. Kachman, *Gradients are not all you need*, arXiv:2111.05803 (2021).
# * G. Benettin, L. Galgani, J.-M. Strelcyn, *Phys. Rev. A* **14**, 2338 (1976): Lyapunov exponents from two
#   trajectories.
