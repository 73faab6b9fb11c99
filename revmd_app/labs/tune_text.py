"""What Lab 1 says: what to look for, three questions with folded answers, and what the model cannot show.

Numbers were read off the lab itself (108 argon atoms, 64 water molecules, averages over 100 ps and more).
"""

from __future__ import annotations

from typing import NamedTuple

import panel as pn

from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.lesson import lesson, listed
from revmd_app.systems.case import Case


class Text(NamedTuple):
    """What is said of one system."""

    look_for: tuple[str, ...]
    questions: tuple[tuple[str, str], ...]


LINK = (
    "<b>Click an atom</b>: the ticks below g(r) are its own distances, and g(r) is the histogram of such ticks over "
    "all atoms and pictures. <b>Click g(r)</b> on its first peak: the neighbours light up; in the dip behind it, "
    "though that shell is larger, fewer do."
)
ARGON = Text(
    (
        LINK,
        "<b>Make the atoms larger</b>, σ from 0.34 to 0.36 nm: the first peak of g(r) follows, and the pressure "
        "climbs from 500 to 2,000 bar. A liquid is nearly incompressible.",
        "<b>Make them stickier</b> (ε): the peaks sharpen, the energy falls, and the pressure falls below zero: the "
        "liquid would like to shrink, and the cell does not let it.",
        "<b>Take the attraction away</b> (Weeks–Chandler–Andersen): g(r) hardly changes, the pressure jumps to "
        "2,400 bar. Repulsion gives a simple liquid its structure, attraction only holds it together.",
        "<b>Heat it to 300 K</b>: the first peak sinks from 2.9 to 2.3 and moves inwards, for faster atoms climb "
        "higher up the wall. The 12 to 13 neighbours that it counts stay.",
    ),
    (
        (
            "The well of u(r) is deepest at 2<sup>1/6</sup>σ = 0.382 nm. Is the first peak of g(r) there, too?",
            "No, at 0.37 nm. In a thin gas g(r) = exp(−u(r)/kT) would peak exactly where u is lowest. In the liquid "
            "−kT ln g(r) is the <i>free</i> energy of a pair among all the others, who push the two together. The "
            "second peak, at 0.7 nm, where u is almost zero, shows the same: it is made by the first shell, not by u.",
        ),
        (
            "The thermostat is set to 94.4 K, and the temperature jumps by ±7 K. Is it broken?",
            "No. What is drawn is the kinetic energy of N atoms as a temperature, and that fluctuates by "
            "√(2/3N) T, which is 7.4 K for 108 atoms; choose 500 and it is 3.4 K. Now turn the friction off: about "
            "its mean, now another, it jumps by ±4.3 % only, as the total energy is fixed and kinetic energy can but "
            "come out of the potential. That size gives the heat capacity: "
            "var(T)/T² = (2/3N)(1 − 3k/2c<sub>v</sub>), hence c<sub>v</sub> ≈ 2.1 k an atom (Lebowitz, Percus and "
            "Verlet, Phys. Rev. 153, 250, 1967).",
        ),
        (
            "Set ε to twice its value and T to 189 K. What happens to g(r), to the energy and to the pressure?",
            "g(r) stays as it was: Boltzmann's factor knows only ε/kT and σ³ρ, and both are unchanged. Energy and "
            "pressure double (−4.35 to −8.7 kJ/mol, 520 to 1,080 bar). This is the law of corresponding states: one "
            "simulation serves argon, krypton and xenon.",
        ),
    ),
)
WATER = Text(
    (
        LINK,
        "<b>O–O</b>: the first peak comes out well, the second, at 0.45 nm, hardly at all. That is this model's "
        "well-known fault, and what training against g(r) can mend.",
        "<b>O–H</b>: the peak at 0.18 nm is the hydrogen bond. The two atoms are closer than their sizes allow: the "
        "charges pull harder than the repulsion pushes.",
        "<b>Weaken the charge</b> q from −0.834 to −0.6 e: the hydrogen bonds go, and oxygen's nearest neighbours "
        "move out from 0.27 to 0.31 nm. About two thirds of the binding energy are gone.",
        "<b>Heat it to 400 K</b> at this density: the shells wash out; the hydrogen bonds' peak shrinks, but stays.",
    ),
    (
        (
            "How many neighbours has an oxygen atom up to 0.33 nm, and how many has an argon atom in its first shell?",
            "About 4.5 against 12 to 13 (integrate 4πr²ρ g(r), or click atoms and count the lights). Spheres pack; "
            "water molecules bond, two by their own hydrogens and two by their neighbours'. The other places stay "
            "empty: an open structure, and when ice melts and some of it breaks down, water shrinks.",
        ),
        (
            "Why is the time step 0.5 fs here, when argon takes 4 fs?",
            "Because of its fastest motion. The O–H spring swings with ω = √(k<sub>b</sub>/μ) = 700/ps, a period of "
            "9 fs, and the integrator falls apart at a step of 2/ω, 2.9 fs, at the latest. A pair of argon atoms needs "
            "1.3 ps to swing once. Put &amp;time_step=5 behind this page's address and see how it ends.",
        ),
        (
            "In the ball-and-stick picture bonds stretch by a few per cent. How much should they, and is it true?",
            "A classical spring gives √(kT/k<sub>b</sub>) = 0.0023 nm, 2.4 % of the 0.0957 nm. A real O–H bond sits in "
            "its quantum ground state: energy ħω/2 = 22 kJ/mol where the spring has kT = 2.5, three times that "
            "amplitude, and no answer to temperature. So the model's heat capacity is too large.",
        ),
    ),
)
FLUID = Text(
    (
        LINK,
        "<b>Heat it</b> to 3 ε₀/k: the shells fade, the pressure climbs.",
        "<b>Take the attraction away</b> (Weeks–Chandler–Andersen): g(r) hardly changes, pressure and energy do.",
        "<b>Pull the cutoff in</b> to 1.5 σ₀: structure stays, energy and pressure move. What is cut off belongs to "
        "the model.",
    ),
    (
        (
            "Which substance is this?",
            "None and many. In units of σ₀, ε₀ and the mass m, every Lennard-Jones liquid obeys the same equations. "
            "For argon (0.34 nm, 120 K) the unit of time τ = σ₀√(m/ε₀) is 2.15 ps, that of pressure 420 bar.",
        ),
        (
            "Double ε and double T. What changes?",
            "Neither g(r) nor any other picture of the structure: only ε/kT and σ³ρ matter. Energy and pressure "
            "double, and the atoms are √2 times as fast.",
        ),
        (
            "Does the average kinetic energy depend on the potential?",
            "No: 3kT/2 an atom whatever u(r) is, for in a classical liquid momenta and positions are independent. An "
            "atom in a tight place is no faster than one with room: colour by kinetic energy and look for a pattern.",
        ),
    ),
)
TEXTS = {"argon": ARGON, "water": WATER}
CUTOFF = (
    "<b>Cutoff.</b> Beyond r<sub>c</sub> pairs do not interact. <i>Force-shifted</i> and <i>switched</i> bend u(r) so "
    "that energy and force end at zero; the dotted curve is u(r) without that. <i>Plain</i> lets both jump: each pair "
    "that crosses kicks the energy, and gradients through the simulation become wrong."
)


def about(case: Case) -> list[pn.viewable.Viewable]:
    """The texts that stand below the bench."""
    text = TEXTS.get(case.name, FLUID)
    more = look.card(look.text(CUTOFF, margin=(0, 8)), sizing_mode="stretch_width")
    return [lesson(text.look_for, text.questions, limits_markup(case.limits), more)]


def limits_markup(limits: str) -> str:
    """A case's page of limits (a line, then items that begin with "* ") as HTML."""
    title, _, rest = limits.strip().partition("\n")
    items = [" ".join(item.split()) for item in rest.split("* ") if item.strip()]
    return f"<i>{title}</i>{listed(items)}"
