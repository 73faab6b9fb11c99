"""What Lab 2 says: what to try, three questions with answers, and the limits of what is shown."""

from __future__ import annotations

import panel as pn

from revmd_app.labs.widgets.lesson import lesson

LOOK_FOR = (
    "<b>Melt and un-melt.</b> All three clocks make the same steps with the same noise. On the way back float32 and "
    "float64 leave the way within a few thousand steps; the exact one puts every atom back on its site.",
    "<b>Drag the time slider.</b> Nothing is played back: the engine computes its way to that step, backwards or "
    "forwards. Going forward again gives the same future, for the noise is a function of the step.",
    "<b>Heat or cool during the run</b>, change σ or γ, then go back: the change is on the time axis (▲), and the "
    "sliders move by themselves when you pass it.",
    "<b>Flip one bit</b> at the turning point. Bit 32 is 4·10⁻¹⁰ nm, a millionth of an atom's thickness. The crystal "
    "does not come back.",
    "<b>Set the friction to 0.</b> The tape stays empty: nothing is destroyed. With friction the tape takes "
    "γt/ln 2 bits for each degree of freedom, in words of 16.",
    "<b>Shorten the run</b> to 500 steps: now float64 returns to 10⁻¹² nm and float32 to 10⁻⁵ nm. Never to 0.",
)
QUESTIONS = (
    (
        "float64 has twice the digits of float32. Why does it get only twice as far back?",
        "A difference grows as e<sup>λt</sup>, so the time until it is as large as an atom is ln(size/ε)/λ. It "
        "depends on the logarithm of the round-off ε: 16 digits instead of 7 buy a little more than twice the time. "
        "Read λ off the flipped bit: the slope of the straight line in <i>One bit</i>.",
    ),
    (
        "Friction multiplies velocities by a &lt; 1. How can that be undone exactly, and what does it cost?",
        "Multiplying integers by a and rounding merges states. Here nothing is multiplied: the scale of the integers "
        "shrinks instead, and each time it has halved 16 times, 16 bits are pushed out and kept. That is γt/ln 2 bits "
        "a degree of freedom: the contraction of phase space, the entropy given to the bath.",
    ),
    (
        "On the way back with friction, float32 does not just miss the crystal: it blows up. Why?",
        "Backwards, the noise is subtracted and velocities are divided by a: fine as long as that noise is the one "
        "that was added to these velocities. Once round-off has grown, they have nothing to do with each other, and "
        "dividing by a multiplies the energy by e<sup>2γt</sup>. Without friction (γ = 0) it only stays liquid.",
    ),
)
LIMITS = (
    "Exact for this program on this machine. Another processor or another version of XLA may round a force "
    "differently: its trajectory is another one, as exact in itself. A saved run opened elsewhere may have another "
    "start.",
    "Exactly reversible is not exactly right: forces have single precision and the time step is finite. The "
    "trajectory is that of the program, not of the equations.",
    "Un-melting breaks no law: of all states of this melt, one in unimaginably many leads back to the crystal. We "
    "have it to the last bit; a single wrong one loses it.",
    "The lowest 32 bits of a position are memory: forces see the upper 32. A flipped low bit is felt when it carries "
    "over, after some 2<sup>32−bit</sup> steps.",
    "The exponent measured on the way back is that of the reversed dynamics: with friction it is larger than the "
    "forward one by γ, for contraction forwards is expansion backwards.",
    "Lennard-Jones argon at fixed volume, a few hundred atoms: the crystal can be superheated, and melts at its "
    "limit of stability.",
)


def about() -> pn.viewable.Viewable:
    """The texts that stand below the bench."""
    return lesson(LOOK_FOR, QUESTIONS, LIMITS)
