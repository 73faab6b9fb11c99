"""Where atoms start: face-centred cubic sites, with vacancies where the number is not 4 k^3."""

from __future__ import annotations

import numpy as np

_FCC = np.array([[0.25, 0.25, 0.25], [0.75, 0.75, 0.25], [0.75, 0.25, 0.75], [0.25, 0.75, 0.75]])


def fcc_sites(n: int, box: float, seed: int = 0) -> np.ndarray:
    """(3, n) positions (nm) on the smallest face-centred cubic lattice that has n sites in a cubic box.

    When n is not 4 k^3 the surplus sites are left empty, drawn without replacement from the seed, so that the
    vacancies do not line up.
    """
    cells = 1
    while 4 * cells**3 < n:
        cells += 1
    corner = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    sites = ((corner + _FCC) * (box / cells)).reshape(-1, 3)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(sites))[:n])
    return sites[chosen].T


def random_rotations(n: int, seed: int) -> np.ndarray:
    """(n, 3, 3) rotation matrices, uniform over all orientations (unit quaternions from normal variables)."""
    q = np.random.default_rng(seed).normal(size=(n, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=-1),
            np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=-1),
            np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=-1),
        ],
        axis=1,
    )


def cubic_edge(mass: float, density: float) -> float:
    """Edge (nm) of the cube that holds `mass` (u) at a density in g/cm^3."""
    from revmd_app import units

    return float((mass * units.GRAM_PER_CM3 / density) ** (1 / 3))
