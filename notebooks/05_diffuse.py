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
# # 5  Diffuse: training a property of time
#
# **Goals.** At the end you can
# * measure a diffusion coefficient with an honest error bar, and correct it for the finite box;
# * say why reweighting, which trained structure in notebook 4, has nothing to say about it;
# * compare the two estimators that have: weights of whole paths, and running backwards.
#
# You need: notebooks [2](02_rewind.ipynb) and [3](03_gradients.ipynb). Time: 60 minutes.

# %%
from revmd_app import notebook

notebook.start()

# %%
import holoviews as hv
import jax
import jax.numpy as jnp
import numpy as np

from revmd_app.engine.simulate import simulate
from revmd_app.gradients import Experiment, Refusal, Reversible, Reweighting
from revmd_app.gradients.studies import Question, dynamics
from revmd_app.observables.transport import MolecularCentres, self_diffusion, yeh_hummer
from revmd_app.systems import prepared
from revmd_app.training.configuration import configuration
from revmd_app.training.fit import Training

case = prepared("oxygen_in_water", 60)
system, potential, settings = case.system, case.potential, case.settings
centres = MolecularCentres.of(system, "O2", equal=True)
SI = 1000  # 1 nm²/ps is 1000 · 10⁻⁹ m²/s
key = jax.random.key(0)
print(f"{system.counts[0]} waters and {system.counts[-1] // 2} O2 in a cube of {float(system.box[0]):.3f} nm")

# %% [markdown]
# ## The laboratory
#
# Four oxygen molecules among sixty waters. Each leaves a trail; the mean squared displacement and the diffusion
# coefficient build up on the right. Everything in it is done by hand below.

# %%
notebook.lab("diffuse")

# %% [markdown]
# Stop it, so that the cells below have the processor for themselves.

# %%
notebook.stop("diffuse")

# %% [markdown]
# ## The naive way: two points in time
#
# Einstein: $\langle |r(t) - r(0)|^2 \rangle = 6 D t$. So run for a while, look at where the molecules were and where
# they are, and divide.

# %%
N_STEPS, EVERY = 4_000, 50  # 4 ps, a frame every 0.05 ps


@jax.jit
def trajectory(key):
    """(frames, 3, molecules): the centres of the O2, nm, without jumps at the boundary."""
    return simulate(
        system, potential, settings, observe=centres, n_steps=N_STEPS, sample_every=EVERY, key=key, state=case.state
    )


runs = [np.asarray(trajectory(jax.random.fold_in(key, k))) for k in range(3)]
interval = EVERY * float(settings.dt)
for k, run in enumerate(runs):
    length = (len(run) - 1) * interval
    naive = np.mean(np.sum((run[-1] - run[0]) ** 2, axis=0)) / (6 * length)
    print(f"run {k + 1}: D = {SI * naive:5.2f} ·10⁻⁹ m²/s")

# %% [markdown]
# Three runs, three answers, and no idea which to believe: four molecules and a single pair of times are hardly any
# statistics.
#
# ## Mend it: every origin, many lags, an error bar
#
# Any frame can be the origin. For lag $\tau$ average over all pairs of frames that are $\tau$ apart, fit a line beyond
# the ballistic start, and let the scatter of the molecules be the error.


# %%
def displacement(series, lag):
    """<|r(t + lag) - r(t)|²> over all origins and molecules; `lag` in frames."""
    away = series[lag:] - series[: len(series) - lag]
    return np.mean(np.sum(away**2, axis=1))


lags = np.arange(1, len(runs[0]) // 2)
by_hand = np.array([displacement(runs[0], lag) for lag in lags])
found = [self_diffusion(run, interval) for run in runs]
assert np.allclose(by_hand[: len(found[0].msd) - 1], found[0].msd[1:], rtol=1e-6)
for k, d in enumerate(found):
    print(f"run {k + 1}: D = {SI * float(d.coefficient):5.2f} ± {SI * float(d.error):.2f} ·10⁻⁹ m²/s")
axes = {"kdims": "lag (ps)", "vdims": "MSD (nm²)"}
curves = [
    hv.Curve((lags * interval, [displacement(run, lag) for lag in lags]), **axes, label=f"run {k + 1}")
    for k, run in enumerate(runs)
]
target = hv.Curve((lags * interval, 6 * case.reference["diffusion"] * lags * interval), **axes, label="target")
(hv.Overlay(curves) * target.opts(color="black", line_dash="dashed")).opts(
    width=560, height=300, legend_position="top_left"
)

# %% [markdown]
# The error bars are large, and honest. The target is $2.0\cdot10^{-9}$ m²/s; the start force field (three-site water)
# is too mobile.
#
# **A finite box** slows a molecule down, because it drags its periodic images along. Yeh and Hummer's correction is
# $\xi k_BT / 6\pi\eta L$:

# %%
edge, viscosity = float(system.box[0]), 0.3  # nm, mPa s: about that of such a model of water
added = float(yeh_hummer(0.0, 295.15, viscosity, edge))
print(f"box of {edge:.2f} nm: add {SI * added:.2f} ·10⁻⁹ m²/s; of 3 nm: {SI * added * edge / 3:.2f}")

# %% [markdown]
# ## Why reweighting cannot
#
# Ask the estimator that trained $g(r)$ in notebook 4 for $\mathrm{d}D/\mathrm{d}\theta$:


# %%
def diffusion(series):
    """D (nm²/ps) from the displacement over the whole run."""
    away = series[-1] - series[0]
    return jnp.mean(jnp.sum(away**2, axis=0)) / (6 * (len(series) - 1) * interval)


experiment = Experiment(
    system, settings, case.state, centres, diffusion, n_steps=200, sample_every=EVERY, loss_of="series"
)
try:
    Reweighting()(experiment, potential, key, replicas=2)
except Refusal as refusal:
    print(refusal)

# %% [markdown]
# Its weight $e^{-\beta U}$ belongs to a configuration. $D$ compares two configurations of one trajectory.
#
# ## Two ways that can
#
# **Run backwards** (notebook 3). $D$ is a function of the trajectory, and we can differentiate that.

# %%
estimate = Reversible(truncate=100)(experiment, potential, key, replicas=4)
for row in estimate.rows()[:5]:
    print(f"dD/d({row['parameter']:22s}) = {SI * row['gradient']:9.3f} ± {SI * row['standard_error']:.3f}")

# %% [markdown]
# **Weigh paths.** The noise of the thermostat has a known probability, so a whole path has one, too; its derivative in
# the logarithm is the *score* $S$, a sum of one term a step, and
# $\mathrm{d}\langle D\rangle/\mathrm{d}\theta = \mathrm{cov}(D, S)$. No derivative of a trajectory is needed, and
# there is no bias. But $S$ is a sum of independent random numbers: its variance grows like the length of the run.

# %%
settings_of_study = {"steps": 200, "sample_every": 25, "cuts": [50, 100], "whole": 200, "replicas": 8}
*_, last = dynamics(Question(case, potential, ""), settings_of_study)
methods, time = last.result["methods"], last.result["time"]
NAME = "MixedPair.gas_sigma"
variance = {label: np.array(found["variance"][NAME]) for label, found in methods.items()}
axes = {"kdims": "length of the run (ps)", "vdims": "variance of dD/dσ, one run"}
hv.Overlay([hv.Curve((time, v), **axes, label=label) for label, v in variance.items()]).opts(
    width=620, height=320, logy=True, legend_position="right"
)

# %%
ratio = variance["path reweighting"][-1] / variance["reversible, 100 steps"][-1]
print(f"at {time[-1]:.1f} ps path reweighting needs {ratio:,.0f} times as many runs for the same error")
assert ratio > 10

# %% [markdown]
# ## Train it
#
# With a gradient in hand, training is a loop: run, compare $D$ with the target, step downhill with Adam. A few epochs
# of very short runs here; the lab's panel *Train D to a target* takes longer ones, and `revmd train oxygen` real ones.

# %%
training = Training(
    configuration(
        "oxygen",
        "lab",
        preparation={"steps": 200, "first_steps": 200},
        run={"steps": 1000, "sample_every": 50, "replicas": 1},
        gradient={"truncate": 50},
        optimiser={"epochs": 3, "learning_rate": 0.01, "schedule": "constant"},
    )
)
progress = training.begin()
for _ in range(3):
    progress, record = training.epoch(progress)
    d = record.terms["diffusion"][0]
    gas = dict(zip(record.names, record.parameters, strict=True))["MixedPair.gas_sigma"]
    print(f"epoch {record.epoch}: D = {SI * d:5.2f} ·10⁻⁹ m²/s, σ of the gas {gas:.4f} nm, loss {record.loss:.3g}")

# %% [markdown]
# A run of 1 ps says next to nothing about $D$: the loss is mostly noise, and three epochs prove nothing. What they show
# is that the loop turns. Longer runs and more of them make it a training.
#
# ## Exercises
#
# **1.** How does the error bar of $D$ depend on the length of the series? Use the first half of `runs[0]` and all of
# it.
#
# <details><summary>Solution</summary>
#
# ```python
# for part in (runs[0][: len(runs[0]) // 2], runs[0]):
#     d = self_diffusion(part, interval)
#     print(f"{len(part) * interval:.1f} ps: {SI * float(d.coefficient):.2f} ± {SI * float(d.error):.2f}")
# ```
#
# With four molecules the error bar itself is uncertain by 40 %. On average it falls like the square root of the length.
# </details>
#
# **2.** Is the score's variance really proportional to the length? Compare the last point of the plot with the one at
# half the length.
#
# <details><summary>Solution</summary>
#
# ```python
# score = variance["path reweighting"]
# half = len(score) // 2 - 1
# print(f"{time[half]:.2f} ps: {score[half]:.3g}; {time[-1]:.2f} ps: {score[-1]:.3g}")
# ```
#
# What is plotted is the variance of $(D - \langle D\rangle)\,S$. That of $S$ doubles; that of $D$ changes, too, and
# eight runs give a variance to within a factor of two.
# </details>
#
# **3.** How large must the box be for the correction to stay below $0.5\cdot10^{-9}$ m²/s?
#
# <details><summary>Solution</summary>
#
# ```python
# needed = edge * SI * added / 0.5
# print(f"{needed:.1f} nm, that is {895 / 27 * needed**3:,.0f} molecules")
# ```
#
# It falls only like $1/L$, which is why one corrects instead of waiting.
# </details>
#
# ## Three questions
#
# 1. Why may $D$ be read from displacements, but not from the positions at one time?
#
#     <details><summary>Answer</summary>Where a molecule is at one time is an average over configurations, the same
#     for honey and for water at equal structure. How far it gets is a property of the dynamics.</details>
#
# 2. Path reweighting needs no derivative of the forces in the positions. When would you take it all the same?
#
#     <details><summary>Answer</summary>For few degrees of freedom and short times, or where forces have no second
#     derivative: its variance is then bearable, and it has no bias at all.</details>
#
# 3. The gradient is cut at 0.1 ps. What of $\mathrm{d}D/\mathrm{d}\theta$ is left out?
#
#     <details><summary>Answer</summary>Whatever takes longer: how the neighbours rearrange, how the liquid becomes
#     more or less viscous. What is kept is how the cage's forces change at once. The direction is often right; the
#     size is too small.</details>
#
# ## What this model cannot show
#
# * Four O2 in sixty waters are ten thousand times more than air dissolves; they meet, which real ones hardly ever do.
# * A box of 1.2 nm holds two shells of water: the correction for its size is nearly as large as $D$ itself.
# * The thermostat's friction of 1/ps slows everything by some per cent.
# * Three-site water with fixed charges flows too fast. Training $D$ alone can spoil its structure; the full training
#   therefore keeps $g(r)$ and the enthalpy of vaporisation in the loss.
#
# ## References
#
# * J. G. Greener, *PNAS* **122**, e2426058122 (2025): reversible simulation, training to diffusion.
# * A. Einstein, *Ann. Phys.* **322**, 549 (1905): displacement and diffusion.
# * I.-C. Yeh, G. Hummer, *J. Phys. Chem. B* **108**, 15873 (2004): the finite box.
# * P. B. Warren, R. J. Allen, *Phys. Rev. Lett.* **109**, 250601 (2012): weights of paths.
