"""What Lab 1 says: what to try, what to look for, and what the model cannot show."""

from __future__ import annotations

import panel as pn

from revmd_app.labs.widgets import look
from revmd_app.systems.case import Case

TRY = {
    "argon": (
        "<b>Make the atoms larger</b> (σ): the first peak of g(r) moves out with them, and the pressure "
        "climbs steeply.",
        "<b>Make them stickier</b> (ε): the peaks grow sharper, the energy falls, the pressure falls below zero.",
        "<b>Heat it</b> (T): the second and third shells fade. The first stays: atoms cannot overlap.",
        "<b>Take the attraction away</b> (Weeks–Chandler–Andersen): g(r) hardly changes. Repulsion makes the "
        "structure of "
        "a simple liquid; attraction holds it together.",
        "<b>Turn friction off</b> (γ = 0): now the total energy is conserved. A larger time step makes it wobble.",
    ),
    "water": (
        "<b>Watch O–O</b>: the first peak comes out well, the second at 0.45 nm hardly at all. That is the model's "
        "well-known fault, and what training against g(r) repairs.",
        "<b>Weaken the charge</b> (q): hydrogen bonds go, and with them the tetrahedral neighbours; water "
        "turns into a "
        "simple liquid.",
        "<b>Change σ of oxygen</b>: the first O–O peak follows, and so does O–H, though hydrogen has no size here.",
        "<b>Heat it to 400 K</b> at this density: the shells wash out.",
    ),
}
FLUID = (
    "<b>Heat it</b> to T = 3: the shells fade, the pressure climbs.",
    "<b>Double ε</b>: the same as halving the temperature. Only ε/kT matters.",
    "<b>Turn friction off</b> (γ = 0): the total energy is conserved.",
)
CUTOFF = (
    "<b>Cutoff.</b> Beyond r<sub>c</sub> pairs do not interact. <i>Force-shifted</i> and <i>switched</i> bend "
    "u(r) so that "
    "energy and force end at zero; the dotted curve is u(r) without that. <i>Plain</i> lets both jump: each "
    "pair that "
    "crosses kicks the energy, and gradients through the simulation become wrong."
)


def about(case: Case) -> list[pn.viewable.Viewable]:
    """The texts that stand below the bench."""
    items = "".join(f"<li style='margin:3px 0'>{item}</li>" for item in TRY.get(case.name, FLUID))
    watch = look.card(
        look.heading("Try, and look for"),
        look.text(f"<ul style='margin:4px 0 6px;padding-left:20px'>{items}</ul>{CUTOFF}", margin=(0, 8)),
        sizing_mode="stretch_width",
    )
    limits = look.card(
        look.heading("Limits of this model"),
        look.text(limits_markup(case.limits), margin=(0, 8)),
        sizing_mode="stretch_width",
    )
    return [pn.Row(watch, limits, sizing_mode="stretch_width", margin=0, styles={"gap": "8px"})]


def limits_markup(limits: str) -> str:
    """A case's page of limits (a line, then items that begin with "* ") as HTML."""
    title, _, rest = limits.strip().partition("\n")
    items = [" ".join(item.split()) for item in rest.split("* ") if item.strip()]
    return (
        f"<i>{title}</i><ul style='margin:4px 0;padding-left:20px'>"
        + "".join(f"<li style='margin:3px 0'>{item}</li>" for item in items)
        + "</ul>"
    )
