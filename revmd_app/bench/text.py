"""The prose of the benchmark's page: what was done, why it is fair, and where it is not. Numbers come from runs."""

from __future__ import annotations

from revmd_app.bench.contest import GRADIENT_STEPS, JAX_MD, OPENMM
from revmd_app.bench.records import Results

HEAD = """\
# What it costs

This page is written by one command, and every number on it comes from that run:

    {command}

{machine}.
"""
INTERRUPTED = "**The run was interrupted: what is missing here was not measured.**"
BUSY = """\
**The load average was above {limit} when this run began. If something else was still running, times are too long and
ratios blurred.**"""
PICTURE = "Forward and gradient cost of each engine, and memory against the length of a run"
METHOD = f"""\
## How it is measured

* **Same physics.** The equilibrated liquid of `revmd prepare` is written to a file; every engine reads positions,
  velocities, masses, box and parameters from it. Time step, temperature and friction are the same; so is the thermostat
  (Langevin, one force evaluation a step: the "middle" splitting in revmd and OpenMM, the same splitting with the kick
  cut in two halves in jax-md). Argon: 94.4 K, 1.374 g/cm³, cutoff 0.85 nm, 4 fs. Water: flexible three-site molecules,
  298.15 K, 0.997 g/cm³, reaction field, 0.5 fs. Before anything is timed, energies and forces at the start are compared
  with revmd's in double precision; "agrees" means 1e-5 of the energy and 1e-4 of the root mean square force.
* **Same run.** Each engine is a process of its own that waits, idle, until it is told to take its turn. Turns are
  interleaved in rounds, so that a machine that becomes slower slows all alike. Tables give medians over rounds; a ratio
  is the median of the ratios within rounds. Turns of more than 1.5 s are taken in every third round.
* **One core.** All processes are bound to the same core, with one thread each (XLA:
  `--xla_cpu_multi_thread_eigen=false`, a pool of one, and 512-bit vectors where the processor has them, for every
  contender that uses XLA; OpenMM: `Threads=1`). CPU time is that of all threads of the
  process; ratios use it. Tables that name several cores have none of these limits, and ratios of wall time.
* **Forward** is plain stepping, without measuring anything. **Gradient** is value and gradient of the mean potential
  energy, sampled every 20 steps of a run of {GRADIENT_STEPS}, in every parameter of the potential; fewer steps where
  the method would need more than 4 GB. Its forward run, against which the cost is held, computes the same loss.
  Memory is what XLA reserves for the compiled program, arguments and results included. Compile times are without a
  cache.
"""
CAVEATS = """\
## Where the comparison limps

* revmd and jax-md compute forces in single precision, and so does OpenMM's CPU platform; but revmd keeps positions and
  velocities as 64-bit integers, which the others do not. That costs it time and buys exact reversal.
* OpenMM computes a force-shifted energy only as a custom force, which its CPU platform evaluates more slowly than its
  own nonbonded force. The rows "its own force" switch Lennard-Jones and leave the reaction field unshifted instead;
  revmd then computes exactly that. OpenMM is at home on GPUs and with many thousands of atoms and Ewald sums; none of
  that is measured here. It is not differentiable.
* jax-md writes energies and differentiates them, in exchange for generality; revmd's pair forces are written out.
  jax-md may sum over all pairs, a dense or a sparse neighbour list: each is tried and the fastest taken. Its list has
  the skin of revmd's. The trial that decides (times in brackets) is a few steps long and rebuilds no list; the rounds
  contain what rebuilding costs. Its gradient is `jax.grad` through its own steps, neighbour list included.
* OpenMM's CPU platform keeps positions in single precision, which in the larger boxes shows in the forces' fifth digit:
  "differs" may mean 1.1e-4 where 1e-4 is the bound.
* `jax.grad` and checkpoints of revmd's own steps sum over all pairs, since JAX cannot go back through the rebuilding of
  revmd's list; where it uses one, part of the difference is the list.
* The runs are short (seconds). A laptop that throttles, a shared machine or hyper-threads move all numbers; ratios move
  less.
"""
APP = """\
## How the app is measured

The app is started by its command, and a headless Chromium with software rendering opens it on the same machine, so
browser, server and simulation share its cores: a visitor with a graphics card sees more frames. "Cold" means an empty
cache of compiled programs, "warm" the second start. A slider is moved with the keyboard; the clock starts at the key's
event in the browser and stops there, when the new curve arrives in the plot's data, or when the first positions arrive
that were computed with the new value. Applied frames are those whose positions reached the structure, painted ones are
animation frames in which the canvas was drawn. Memory is that of the server and all its child processes, with one
visitor; PSS divides shared pages among those who share them.
"""


def peers(results: Results) -> str:
    """The other engines with their versions."""
    found = {}
    for contest in results.contests:
        for row in contest.rows:
            if row.contender in (JAX_MD, OPENMM) and row.about:
                found[row.contender] = row.about
    lines = [
        f"* {about['name']} {about['version']}" + (f" with jax {about['jax']}" if "jax" in about else "")
        for about in found.values()
    ]
    return "## The others\n\n" + "\n".join(lines) if lines else ""
