"""What Lab 3 says: what each study shows, what each estimator does, what to look for, questions, and limits."""

from __future__ import annotations

import panel as pn

from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.lesson import lesson

BUTTONS = {
    "compare": "Compare estimators",
    "cost": "Measure the cost",
    "growth": "Walk backwards",
    "parts": "Split the gradient",
    "grid": "Run the grid",
    "away": "Reweight",
    "snapshots": "Take both losses",
    "truncation": "Cut the walk",
}
SEES = {
    "compare": "<b>The same derivative by several estimators.</b> Bars: ± 1, ± 2 standard errors; dots: single runs; "
    "green: the finite difference as referee.",
    "cost": "<b>What one gradient needs as the run gets longer.</b> Reverse mode keeps every step and climbs; the "
    "reversible walk stays flat.",
    "growth": "<b>How strongly the loss depends on what happened so long before.</b> A straight line means chaos. Drag "
    "the orange marker to cut the walk.",
    "parts": "<b>Two ways in which θ acts.</b> Explicit: θ stands in what is observed. Response: θ moves the atoms; "
    "only this needs the trajectory.",
    "grid": "<b>Each point is one parameter set.</b> On the line both methods say the same; scatter about it is noise, "
    "a slope below 1 a response cut short.",
    "away": "<b>Samples taken at θ₀, used for other θ.</b> Green: where a tenth of them still counts. Outside, a few "
    "samples decide everything.",
    "snapshots": "<b>The mean of the losses is not the loss of the mean.</b> They differ by the variance of what is "
    "observed, however long one averages.",
    "truncation": "<b>Looking back less far.</b> Short: a bias, since the response is cut off. Long: a spread that "
    "grows like chaos. In between lies the best.",
}
OWN_HELP = (
    "Of U, K, E (kJ/mol), T (K), p (bar), peak, g(0.37) (nm); or of dynamics: D (nm²/ps), msd(0.5), vacf(0.1) (ps)."
)
ESTIMATORS = (
    ("Reversible", "walks the exact trajectory backwards and carries the derivative along: the memory of one step."),
    (
        "Reverse mode",
        "automatic differentiation that stores every step: the same number, memory that grows with the run.",
    ),
    ("Checkpointed", "stores some steps and recomputes the rest: less memory, more time, the same number."),
    ("Forward mode", "carries dx/dθ along with x, once for each parameter: little memory, slow with many parameters."),
    ("Finite difference", "runs twice with θ ± δ and the same noise: no derivative at all, a check on the others."),
    (
        "Reweighting",
        "never differentiates the trajectory: d⟨O⟩/dθ = ⟨∂O/∂θ⟩ − cov(O, ∂U/∂θ)/kT. Averages only, and noisy.",
    ),
    ("Path reweighting", "how the thermostat's noise would have to change: works for dynamics, noise grows with time."),
)
LOOK_FOR = (
    "<b>Compare.</b> The first four agree to every digit: they are the same derivative of the same run. Reweighting "
    "has "
    "longer error bars, and answers a slightly different question: a short run has not yet responded in full.",
    "<b>Cost.</b> The line that climbs into the orange band would end a session on Binder. Which one is flat?",
    "<b>Growth.</b> The slope of the gradient's norm is the Lyapunov exponent. It does not depend on the loss: try "
    "another.",
    "<b>Two parts.</b> Energy and ε: nearly all explicit. g(r): all response, since no θ stands in a histogram.",
    "<b>Grid.</b> Correlation over the parameter sets; press a point, then <i>Compare</i> there.",
    "<b>Far away.</b> The effective sample size falls long before the error bar grows: it is the warning.",
    "<b>Average or snapshot.</b> One curve falls to its limit as samples are averaged, the other never does.",
    "<b>Truncation.</b> Where bias and spread together are least depends on the length of the run and on the loss.",
)
QUESTIONS = (
    (
        "Reverse mode and the reversible method give the same digits. Why does one need a gigabyte where the other "
        "needs "
        "a megabyte?",
        "Both walk the chain of steps from its end to its start and need every state on the way. Reverse mode keeps "
        "them "
        "all. Here the integrator adds integers, so each step can be undone exactly, and the states are computed "
        "again: "
        "the time of another run instead of its memory.",
    ),
    (
        "The gradient is exact, and still useless for long runs. How can an exact number be useless?",
        "A liquid is chaotic: a displacement grows as exp(λt), and the derivative with it. It is the true slope of "
        "this one "
        "run's loss, which wiggles on a scale of exp(−λt). The average over runs is smooth and has a modest slope, but "
        "single slopes scatter so widely that no affordable number of runs finds it. Look back less far, or reweight.",
    ),
    (
        "Reweighting needs no derivative of the trajectory at all. When would you still walk backwards?",
        "When the loss contains time: a velocity autocorrelation or a diffusion coefficient has no Boltzmann weight. "
        "When "
        "there are many parameters and few independent samples: the covariance is with the energy of the whole box, "
        "and "
        "its noise grows with the box. And when θ has moved so far that few of the samples still count.",
    ),
)
LIMITS = (
    "The exact estimators differentiate <i>this</i> run, from where it starts. Until the liquid has responded in full "
    "that "
    "is less than the derivative of the equilibrium average.",
    "Memory is what the compiler reserves for one replica; the program itself comes on top.",
    "Error bars are standard errors over a few independent replicas: with 2 or 4 they are themselves rough.",
    "Finite differences are a referee for short runs only: round-off and chaos leave no good step for long ones.",
    "A few picoseconds of 64 to 216 molecules: diffusion coefficients carry finite-size and finite-time errors.",
)


def about() -> pn.viewable.Viewable:
    """The texts that stand below the results."""
    what = "".join(
        f"<tr><td style='padding:3px 12px 3px 0;white-space:nowrap;vertical-align:top'><b>{name}</b></td>"
        f"<td style='padding:3px 0'>{text}</td></tr>"
        for name, text in ESTIMATORS
    )
    who = look.card(
        look.heading("Who estimates"), look.text(f"<table>{what}</table>", margin=(0, 8)), sizing_mode="stretch_width"
    )
    return lesson(LOOK_FOR, QUESTIONS, LIMITS, more=who)
