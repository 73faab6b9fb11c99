"""What Lab 5 says: what to try, three questions with answers, why one estimator cannot, and the limits of the model."""

from __future__ import annotations

import panel as pn

from revmd_app.gradients.reweighting import IN_TIME
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.lesson import lesson, listed
from revmd_app.systems.oxygen_in_water import LIMITS

WHY_NOT = IN_TIME[:1].upper() + IN_TIME[1:]
"""The estimator's own words."""
LOOK_FOR = (
    "<b>Watch one O₂.</b> It rattles for about 0.1 ps in the cage of its neighbours, then slips into the next one. Its "
    "coloured trail is its way of the last 5 ps or so.",
    "<b>Let the line settle.</b> The mean squared displacement becomes a straight line, and D is its slope over 6. See "
    "how slowly the error bar shrinks: a run four times as long halves it.",
    "<b>Turn σ of the gas up</b>: a larger molecule finds a hole less often. Then turn ε and σ of the water: the "
    "liquid's own mobility matters more than the gas.",
    "<b>Turn the friction up to 10/ps</b>: the thermostat now slows the molecules, and D is no longer that of the "
    "liquid.",
    "<b>Switch on the correction</b> for the finite box, then take the larger box: the two corrected values should "
    "come closer to each other than the bare ones.",
    "<b>Train D to 2.0</b> and take the trained values up into the box. Then ask reweighting to do the same.",
)
QUESTIONS = (
    (
        "Why can ordinary reweighting give dg(r)/dσ, but not dD/dσ?",
        "It knows how the Boltzmann weight of a <i>configuration</i> changes with σ, and g(r) is an average over "
        "configurations. D compares a configuration with a later one of the same trajectory; the probability of going "
        "from one to the other is no Boltzmann weight. Weights of whole <i>paths</i> exist (the noise of the "
        "thermostat has a known probability), and that is path reweighting.",
    ),
    (
        "Path reweighting is unbiased at any length. Why not simply use it?",
        "Its score is a sum of one random number for every step and degree of freedom, so its variance grows "
        "in proportion to the length of the run and the size of the box. Every run of the study gives a gradient of "
        "D whose noise is many times its value. The reversible gradient follows one trajectory through its own "
        "forces: no such noise, until chaos (e<sup>λt</sup>) brings it in. Cutting after 0.1 to 0.2 ps stops that, at "
        "the price of a bias.",
    ),
    (
        "The cut gradient sees 0.2 ps. D is about picoseconds. How can training work at all?",
        "The direction is what training needs. A change of σ changes the forces of the cage at once, and how easily "
        "an atom moves within the next 0.2 ps says much of how easily it leaves. The size of the gradient is wrong, "
        "and Adam rescales it anyway. What acts over longer times (the whole liquid becoming more viscous) is lost. "
        "For the same reason the training takes D as MSD over 6 t: the cut gradient changes the MSD alike at all lags, "
        "and the slope of a line would not notice.",
    ),
)


def about() -> pn.viewable.Viewable:
    """The texts that stand below the bench."""
    return lesson(LOOK_FOR, QUESTIONS, limits())


def limits() -> str:
    """The limits of the model as a list."""
    points = [" ".join(point.split()) for point in LIMITS.split("\n* ")[1:]]
    return listed(points)


def why_not() -> str:
    """Markup: why reweighting cannot train this."""
    return f"<span style='color:{look.MUTED}'>Why not by reweighting? {WHY_NOT}</span>"
