"""What Lab 4 says: what each view shows, what to look for, questions, and the limits of the model."""

from __future__ import annotations

import panel as pn

from revmd_app.labs.widgets.lesson import lesson

SEES = {
    "training": "<b>Each epoch: simulate, compare with experiment, move every parameter downhill.</b> "
    "Solid: reversible. Dashed: reweighting.",
    "surface": "<b>The loss over two parameters, all others at the start.</b> Each square is a simulation of its "
    "own. Trainings also move the others.",
}
NO_RUNS = "No run is shipped with this installation. Your own: revmd train water --preset laptop --to DIR."
EPOCH = (
    "<b>One epoch</b><ol style='margin:2px 0;padding-left:18px'>"
    "<li>Prepare: the liquid settles at the present parameters and 1 bar.</li>"
    "<li>Run 4 ps; average g(r) and ΔH_vap.</li>"
    "<li>Compare: the loss.</li>"
    "<li>Differentiate: dL/dθ of every parameter, through the run.</li>"
    "<li>Step: Adam moves every θ downhill.</li></ol>"
)
LOOK_FOR = (
    "<b>Before you press Start:</b> where does the start (dotted) miss the experiment? The second shell of "
    "g<sub>OO</sub> near 0.45 nm is hardly there, and ΔH_vap is too small. Which parameter would you turn?",
    "<b>Press Start training.</b> The loss falls within some ten epochs, noisily: every epoch is a short simulation of "
    "its own.",
    "<b>Solid against dashed.</b> Both begin with the same simulation and part after the first step. More replicas "
    "make both smoother; which one needs them more?",
    "<b>Weights.</b> Train to ΔH_vap alone (set the others to 0): the enthalpy is hit, and g(r) goes where it "
    "will. Then the other way round.",
    "<b>Bonds and angle</b> move too, although no target names them: they set the dipole, and that the enthalpy.",
    "<b>The loss surface</b> is a long narrow valley: σ is pinned sharply, ε hardly. A way runs down the steep side "
    "first, then creeps along.",
    "<b>Learning rate 0.02:</b> fast, and then? A training that goes astray is stopped with its reason.",
)
QUESTIONS = (
    (
        "Nobody shows the training an energy or a force from quantum chemistry. Where does it learn from?",
        "From measured averages alone. A parameter changes the forces, these change where the atoms go, and that "
        "changes g(r) and ΔH_vap. The gradient of this chain says in which direction every parameter must move. "
        "This is top-down training.",
    ),
    (
        "The loss no longer falls but does not reach zero. Give three reasons.",
        "Noise: one epoch is a short run of few molecules, and its averages scatter. The form: one van der Waals site "
        "and three charges cannot do everything at once, so the targets pull against one another. The box: 64 "
        "molecules with a cutoff of 0.58 nm are not bulk water. (A loss taken of single snapshots would add a fourth: "
        "their variance, which no parameter removes.)",
    ),
    (
        "σ and ε of two trainings differ, and their losses do not. Which one is right?",
        "Neither is: the valley of the loss surface is long, so the targets determine a combination of the parameters "
        "and not each of them. More targets (density, diffusion, other temperatures) would close the valley. Compare "
        "what the parameters do, not the parameters.",
    ),
)
LIMITS = (
    "A few picoseconds of 64 or 216 molecules an epoch: averages are noisy and the cutoff is short. The published "
    "values were trained with 895 molecules and 50 ps an epoch; do not expect the same numbers.",
    "The target of ΔH_vap, 46.92 kJ/mol, is the measured 44.12 plus 2.8 for bonds and angle that vibrate classically "
    "(Greener, PNAS 122, e2426058122, 2025).",
    "The reversible gradient looks back a fifth of a picosecond at most: slower responses are left out (a bias); "
    "looking back much further explodes (noise).",
    "The box of each epoch is found beforehand, at 1 bar, and then held: its change with the parameters is not in the "
    "gradient, and the density is no target.",
    "Fixed charges: a field trained to the liquid fails for steam, ice, or a molecule alone.",
)


def about() -> pn.viewable.Viewable:
    """The text below the bench."""
    return lesson(LOOK_FOR, QUESTIONS, LIMITS)
