"""Lab 1: the picture of the atoms and the plot of g(r), linked by the chosen atom and the chosen distance."""

from __future__ import annotations

from revmd_app.labs.tune_atom import ChosenAtom
from revmd_app.labs.tune_plots import Structure
from revmd_app.labs.widgets import look
from revmd_app.labs.widgets.plots import MUTED, soon
from revmd_app.labs.widgets.viewer import CHOSEN, LIT, AtomsView

HINT = "Click an atom to follow it; click g(r) to light up the atoms at that distance."
STRIP = {
    "position": "absolute",
    "bottom": "62px",
    "left": "12px",
    "z-index": "15",
    "max-width": "calc(100% - 30px)",
    "background": "rgba(255,255,255,.82)",
    "border-radius": "4px",
    "padding": "1px 5px",
    "font-size": "12px",
    "pointer-events": "none",
}
"""The line about the chosen atom lies over the lower edge of the picture and lets clicks through."""


class AtomLink:
    """Carries a click in the picture to the plot, and one in the plot to the picture."""

    def __init__(self, chosen: ChosenAtom, atoms: AtomsView, structure: Structure):
        self.chosen, self.atoms, self.structure = chosen, atoms, structure
        self.text = look.text("", styles=STRIP, css_classes=["revmd-chosen"])
        atoms.param.watch(lambda event: self._pick(event.new), "picked")
        structure.on_tap(chosen.pick_distance)
        chosen.param.watch(lambda *_: soon(self.show), ["atom", "distance", "pair"])
        self.show()

    def _pick(self, atom: int | None) -> None:
        if atom is None:
            self.chosen.release()
        else:
            self.chosen.atom = atom

    def show(self) -> None:
        """Mark the atoms, draw the atom's own distances, and say what there is to say."""
        chosen = self.chosen
        self.structure.draw_own()
        if not chosen.ready:
            self.atoms.mark(None)
            self.text.object = f"<span style='color:{MUTED}'>{HINT}</span>"
            return
        lit = chosen.lit()
        self.atoms.mark(chosen.atom, lit.tolist())
        self.text.object = f"{self._about()}{self._shell(len(lit))}"

    def _about(self) -> str:
        chosen, about, units = self.chosen, self.chosen.about(), self.chosen.model.units
        speed = "σ₀/τ" if chosen.model.case.units == "reduced" else "m/s"
        parts = [
            f"{_dot(CHOSEN)} atom {chosen.atom + 1} ({chosen.species})",
            f"{look.significant(about.speed, 3)} {speed}",
            f"kinetic {about.kinetic:.1f} kT",
        ]
        if about.bound is not None:
            parts.append(f"with neighbours {look.significant(about.bound, 3)} {units['energy']}")
        return ", ".join(parts)

    def _shell(self, n: int) -> str:
        chosen, unit = self.chosen, self.chosen.model.units["length"]
        if not chosen.partners.any():
            return f"<br>It does not belong to the pair {chosen.pair}: choose another pair, or another atom."
        if chosen.distance is None:
            return "<br>Ticks: its distances now. Click g(r) to light up the atoms at a distance."
        where = f"{chosen.distance:.3f} ± {chosen.half_width:.3f} {unit}"
        return f"<br>{_dot(LIT)} {n} atom{'' if n == 1 else 's'} at {where}"


def _dot(colour: str) -> str:
    return f"<span style='color:{colour}' aria-hidden='true'>●</span>"
