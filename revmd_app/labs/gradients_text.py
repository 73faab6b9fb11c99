"""What Lab 3 says: what each estimator does, and what to look for."""

from __future__ import annotations

import panel as pn

from revmd_app.labs.widgets import look

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
TRY = (
    "<b>The first four agree to every digit</b>: they are the same derivative, of the same run. Compare their "
    "memory and "
    "time.",
    "<b>Reweighting has wider error bars</b> for the same run: it is a covariance with the whole energy. Give "
    "it longer "
    "runs and more replicas.",
    "<b>It answers a slightly different question</b>: the change of the equilibrium average. A short run has not yet "
    "responded in full, so the exact derivative of the run may be smaller.",
    "<b>Make the run longer</b> (1,000 steps and more): liquids are chaotic, and the error bar of the exact "
    "gradient grows "
    "without bound. Truncating (<i>looks back</i>) keeps it small, at the price of a bias.",
    "<b>Choose the velocity autocorrelation</b>: reweighting refuses, and says why.",
    "<b>Loss of each snapshot</b>: the mean of squares is not the square of the mean. L is larger, by the "
    "variance of g(r).",
)


def about() -> pn.viewable.Viewable:
    """The texts that stand below the results."""
    what = "".join(
        f"<tr><td style='padding:3px 12px 3px 0;white-space:nowrap;vertical-align:top'><b>{name}</b></td>"
        f"<td style='padding:3px 0'>{text}</td></tr>"
        for name, text in ESTIMATORS
    )
    tries = "".join(f"<li style='margin:3px 0'>{item}</li>" for item in TRY)
    return pn.Row(
        look.card(
            look.heading("Try, and look for"),
            look.text(f"<ul style='margin:4px 0 6px;padding-left:20px'>{tries}</ul>", margin=(0, 8)),
            sizing_mode="stretch_width",
        ),
        look.card(
            look.heading("Who estimates"),
            look.text(f"<table>{what}</table>", margin=(0, 8)),
            sizing_mode="stretch_width",
        ),
        sizing_mode="stretch_width",
        margin=0,
        styles={"gap": "8px"},
    )
