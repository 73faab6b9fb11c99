"""The atoms of Lab 5: water drawn thin, each O2 large and in a colour of its own, with the way that it came."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import param

from revmd_app.labs.diffuse_model import WATERS
from revmd_app.labs.widgets.molecule import ANGSTROM_PER_NM, place
from revmd_app.labs.widgets.plots import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from revmd_app.labs.widgets.viewer import AtomsView

COLOURS = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY)
STYLES = dict(zip(WATERS, ("line", "licorice", "hidden"), strict=True))
SETUP = Path(__file__).with_name("diffuse_view.js").read_text(encoding="utf-8")


class DissolvedView(AtomsView):
    """Oxygen among waters. `show_box` draws another system, `follow` moves it."""

    water = param.Selector(default="thin lines", objects=list(STYLES), doc="How the waters are drawn.")

    def __init__(self, **params):
        super().__init__(own_setup=SETUP, **params)
        self._first_gas = 0

    def _look(self) -> str:
        return f"{super()._look()}; this.revmd.water = {json.dumps(STYLES[self.water])}"

    @param.depends("water", watch=True)
    def _redraw(self) -> None:
        self._run(f"if (this.revmd) {{ {self._look()}; this.revmd.draw() }}")

    def show_box(self, system, positions, n_points: int) -> None:
        """Draw a system whose last species are the atoms of O2, two a molecule; positions (3, N) nm, trails of
        `n_points` points."""
        self._first_gas = system.n_atoms - system.counts[-1]
        m = system.counts[-1] // 2
        names = system.species_of_atoms.astype(object)
        names[self._first_gas :] = "O"
        colour_of = lambda j: COLOURS[j % len(COLOURS)]
        gas = [[[self._first_gas + 2 * j, self._first_gas + 2 * j + 1], colour_of(j)] for j in range(m)]
        ways = [[[j * n_points + k for k in range(n_points)], colour_of(j)] for j in range(m)]
        text = trail_text(m, n_points, np.asarray(system.box))
        before = "; ".join(
            f"this.revmd.{name} = {json.dumps(value)}"
            for name, value in (("gas", gas), ("ways", ways), ("trails", text), ("way", None))
        )
        self.show(names, np.asarray(system.molecule), positions, np.asarray(system.box), before)

    def follow(self, positions, trail) -> None:
        """The next frame: positions (3, N) and trails (M, points, 3), both nm; a trail ends at its molecule."""
        picture = self._picture
        if picture is None or positions.shape[1] != len(picture.molecule):
            return
        gas = place(np.asarray(positions), picture.molecule, self._box)[:, self._first_gas :]
        centres = gas.reshape(3, -1, 2).mean(axis=2).T
        way = trail - trail[:, -1:] + centres[:, None]
        self.move(positions, more={3: way * ANGSTROM_PER_NM})


def trail_text(n_molecules: int, n_points: int, box) -> str:
    """A PDB text of n_points points a molecule, each a residue of its own, joined in a row by CONECT records."""
    lines, bonds = [], []
    x, y, z = np.asarray(box) / 2 * ANGSTROM_PER_NM
    for j in range(n_molecules):
        for k in range(n_points):
            serial = j * n_points + k + 1
            lines.append(
                f"HETATM{serial:5d} C    WAY A{serial % 10000:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C"
            )
            if k:
                bonds.append(f"CONECT{serial - 1:5d}{serial:5d}")
    return "\n".join([*lines, *bonds, "END", ""])
