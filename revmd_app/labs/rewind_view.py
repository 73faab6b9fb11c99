"""The atoms of Lab 2: the boxes of several clocks side by side in one stage, coloured by how far they are off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from revmd_app.labs.widgets.molecule import ANGSTROM_PER_NM, place
from revmd_app.labs.widgets.viewer import HOTTEST, SCALE, AtomsView

GAP = 0.55
"""nm between two boxes."""
FAR = 0.4
"""nm. An atom that is off by this much (a neighbour's distance) or more has the last colour of the scale."""
SETUP = Path(__file__).with_name("rewind_view.js").read_text(encoding="utf-8")


class BoxesView(AtomsView):
    """Copies of one system, one a clock. `lay_out` draws them anew, `follow` moves them."""

    def __init__(self, **params):
        super().__init__(own_setup=SETUP, colour="by kinetic energy", **params)
        self.names: tuple[str, ...] = ()
        self._kind: tuple = ()

    def lay_out(self, names, species, molecule, positions: Mapping[str, np.ndarray], box) -> None:
        """Draw one box for each clock of `names`: species (N,), molecule (N,), positions (3, N) and box (3,) in nm."""
        kind = (tuple(names), len(molecule), tuple(np.asarray(box)))
        if kind == self._kind:
            return
        self._kind, self.names = kind, tuple(names)
        self._edges, self._molecule_of = np.asarray(box, float), np.asarray(molecule)
        k, n = len(self.names), int(self._molecule_of.max()) + 1
        molecules = np.concatenate([self._molecule_of + i * n for i in range(k)])
        whole = self._edges.copy()
        whole[0] = k * self._edges[0] + (k - 1) * GAP
        before = f"this.revmd.boxes = {json.dumps(outlines(k, self._edges))}"
        self.show(np.tile(np.asarray(species), k), molecules, self._side_by_side(positions), whole, before)

    def _side_by_side(self, positions: Mapping[str, np.ndarray]) -> np.ndarray:
        copies, last = (
            [],
            len(self.names) - 1,
        )  # NGL looks along +z with y up: the first box, on the left, has the largest x
        for i, name in enumerate(self.names):
            finite = np.where(np.isfinite(positions[name]), positions[name], 0.0)
            copy = place(finite, self._molecule_of, self._edges)
            copy[0] += (last - i) * (self._edges[0] + GAP)
            copies.append(copy)
        return np.concatenate(copies, axis=1)

    def follow(self, positions: Mapping[str, np.ndarray], off: Mapping[str, np.ndarray]) -> None:
        """The next frame: positions (3, N) nm and displacements (N,) nm of every clock."""
        colours = np.concatenate([np.minimum(off[name] / FAR, 1.0) for name in self.names]) * HOTTEST
        self.move(self._side_by_side(positions), np.where(np.isfinite(colours), colours, HOTTEST))

    def scale(self) -> str:
        """Markup that says what the colours mean."""
        bar = f"background:linear-gradient(90deg,{','.join(SCALE)})"
        bar = f"<span style='display:inline-block;width:70px;height:9px;{bar}'></span>"
        return f"0 {bar} {FAR:g} nm"


def outlines(n: int, box) -> str:
    """A PDB text whose bonds are the edges of n boxes (edges `box`, nm) side by side."""
    lines, bonds = [], []
    for i in range(n):
        for corner in range(8):
            bits = np.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
            x, y, z = (bits * box + np.array([i * (box[0] + GAP), 0, 0])) * ANGSTROM_PER_NM
            serial = 8 * i + corner + 1
            lines.append(f"HETATM{serial:5d} C    BOX A{i + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C")
            bonds += [f"CONECT{serial:5d}{serial + (1 << k):5d}" for k in range(3) if not bits[k]]
    return "\n".join([*lines, *bonds, "END", ""])
