"""Reference curves and numbers: what a simulation is compared with, and who measured or computed it.

Water: Soper's g_OO, g_OH, g_HH (2013), the published table. Argon: the published reference is the equation of state
of the Lennard-Jones fluid (`lj_eos.py`: Kolafa and Nezbeda 1994), with measured densities of liquid argon and the
peaks of its measured g(r). The full curve g(r) of argon in this directory is *not* an experiment: it is a long run of
Rahman's model by `revmd prepare --reference`, and labelled so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

SOPER = (
    "A. K. Soper, ISRN Physical Chemistry 2013, 279463, doi 10.1155/2013/279463 "
    "(liquid water, 298 K, 1 atm; neutron and X-ray diffraction)"
)
YARNELL = "J. L. Yarnell, M. J. Katz, R. G. Wenzel and S. H. Koenig, Phys. Rev. A 7, 2130 (1973)"
RAHMAN = "A. Rahman, Phys. Rev. 136, A405 (1964)"
TEGELER = "C. Tegeler, R. Span and W. Wagner, J. Phys. Chem. Ref. Data 28, 779 (1999), the NIST reference equation"

ARGON_RDF = "argon_rahman_rdf.csv"


@dataclass(frozen=True)
class ReferenceCurve:
    """A published or computed g(r): `r` in nm, `g`, its uncertainty `error` (or None), where it is comparable.

    `kind` is "experiment" or "simulation". Compare only from `valid_from` (nm) outwards: nearer lie intramolecular
    peaks that the table leaves out.
    """

    label: str
    r: np.ndarray
    g: np.ndarray
    error: np.ndarray | None
    kind: str
    citation: str
    valid_from: float = 0.0

    def on(self, r: np.ndarray) -> np.ndarray:
        """g interpolated linearly on another grid (nm); NaN where the table has no comparable value."""
        return self._interpolated(r, self.g)

    def uncertainty(self, r: np.ndarray, at_least: float = 0.0) -> np.ndarray:
        """The published uncertainty of g on another grid (nm), NaN where there is no comparable value.

        Soper's table gives the spread of several fits to the data, which passes through zero at some distances; a
        target for training divides by it, so give a floor `at_least`. Raises `ValueError` for a curve without one.
        """
        if self.error is None:
            raise ValueError(f"'{self.label}' comes without uncertainties.")
        return np.maximum(self._interpolated(r, self.error), at_least)

    def _interpolated(self, r: np.ndarray, column: np.ndarray) -> np.ndarray:
        return np.where(r < self.valid_from, np.nan, np.interp(r, self.r, column, left=np.nan, right=np.nan))


@cache
def load_water_rdf() -> dict[tuple[str, str], ReferenceCurve]:
    """Soper's g(r) of water, by pair of species: ("O", "O"), ("O", "H"), ("H", "H")."""
    table = _table("water_soper2013.csv")
    from_ = {"OO": 0.0, "OH": 0.162, "HH": 0.222}
    return {
        (pair[0], pair[1]): ReferenceCurve(
            label="Soper 2013, experiment",
            r=table["r"],
            g=table[f"g_{pair}"],
            error=table[f"error_{pair}"],
            kind="experiment",
            citation=SOPER,
            valid_from=valid_from,
        )
        for pair, valid_from in from_.items()
    }


@cache
def load_argon_rdf() -> dict[tuple[str, str], ReferenceCurve]:
    """g(r) of Rahman's model of liquid argon, from our own long run: a simulation, not an experiment.

    Raises `FileNotFoundError` when the table has not been made (`revmd prepare --reference` makes it).
    """
    table = _table(ARGON_RDF)
    curve = ReferenceCurve(
        label="Rahman's model (simulation by revmd)",
        r=table["r"],
        g=table["g"],
        error=table["error"],
        kind="simulation",
        citation=f"computed by this package with the model and state point of {RAHMAN}",
    )
    return {("Ar", "Ar"): curve}


@cache
def argon_reference() -> dict[str, Any]:
    """What is known of liquid argon: g(r) (simulated), the measured peaks of g(r), densities, Rahman's diffusion."""
    return {
        "rdf": load_argon_rdf(),
        "rdf_peaks": {
            "first_maximum": {"r": 0.37, "g": 3.05},  # nm
            "first_minimum": {"r": 0.52, "g": 0.57},
            "second_maximum": {"r": 0.70, "g": 1.27},
            "temperature": 85.0,  # K
            "number_density": 21.25,  # nm^-3
            "citation": "rounded (r to 0.01 nm, g to 0.03) from a transform of the structure factor of "
            + YARNELL
            + "; not values printed there",
        },
        "liquid_density": {
            "triple_point": {"temperature": 83.8058, "density": 1.4168},  # K, g/cm^3
            "normal_boiling_point": {"temperature": 87.302, "density": 1.3954},
            "citation": TEGELER,
        },
        "diffusion": {"value": 2.43e-3, "unit": "nm²/ps", "citation": RAHMAN + ", 94.4 K, 1.374 g/cm³"},
        "equation_of_state": "revmd_app.data.lj_eos (J. Kolafa and I. Nezbeda, Fluid Phase Equilibria 100, 1, 1994)",
    }


def provenance(name: str) -> dict[str, Any]:
    """How a computed table was made: the JSON file beside it."""
    return json.loads((resources.files("revmd_app.data") / name.replace(".csv", ".json")).read_text())


def _table(name: str) -> dict[str, np.ndarray]:
    lines = (resources.files("revmd_app.data") / name).read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    columns = lines[0].split(",")
    values = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])
    return {name: values[:, i] for i, name in enumerate(columns)}
