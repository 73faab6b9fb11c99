"""g(r): against a NumPy histogram, an ideal gas, an fcc lattice, and finite differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine.integrator import Settings
from revmd_app.engine.lattice import from_physical, to_snapshot
from revmd_app.engine.system import make_system
from revmd_app.observables import structure
from revmd_app.observables.structure import RadialDistributionFunction, coordination_number, rdf_histogram


def snapshot_of(positions, box, precision="float64", **options):
    options = {"species": ("A",), "counts": (positions.shape[1],), "species_masses": (1.0,)} | options
    system = make_system("test", box=box, **options)
    state = from_physical(system, positions, np.zeros_like(positions))
    return to_snapshot(system, state, Settings(precision=precision))


def water_like(n=20, box=1.6, seed=0):
    rng = np.random.default_rng(seed)
    oxygen = rng.uniform(0, box, (3, n))
    hydrogen = np.repeat(oxygen, 2, axis=1) + rng.normal(0, 0.05, (3, 2 * n))
    molecule = np.concatenate([np.arange(n), np.repeat(np.arange(n), 2)])
    return snapshot_of(
        np.concatenate([oxygen, hydrogen], axis=1),
        box,
        species=("O", "H"),
        counts=(n, 2 * n),
        species_masses=(16.0, 1.0),
        molecule=molecule,
    )


def reference_histogram(snapshot, a, b, r_max, n_bins):
    """All pairs in plain NumPy."""
    system, x = snapshot.system, np.asarray(snapshot.positions)
    box, molecule = np.asarray(system.box), np.asarray(system.molecule)
    distances = []
    first, second = range(*system.atoms(a).indices(system.n_atoms)), range(*system.atoms(b).indices(system.n_atoms))
    for i in first:
        for j in second:
            if molecule[i] != molecule[j] and (a != b or i < j):
                d = x[:, i] - x[:, j]
                distances.append(np.linalg.norm(d - box * np.rint(d / box)))
    counts, edges = np.histogram(distances, bins=n_bins, range=(0, r_max))
    shells = 4 / 3 * np.pi * (edges[1:] ** 3 - edges[:-1] ** 3)
    return counts * np.prod(box) / (len(distances) * shells)


@pytest.mark.parametrize("pair", [("O", "O"), ("O", "H"), ("H", "O"), ("H", "H"), ("all", "all")])
@pytest.mark.parametrize("pairs_at_once", [1 << 18, 64])
def test_histogram_equals_numpy(pair, pairs_at_once, monkeypatch):
    monkeypatch.setattr(structure, "PAIRS_AT_ONCE", pairs_at_once)
    snapshot = water_like()
    ours = rdf_histogram(snapshot, *pair, r_max=0.8, n_bins=40)
    np.testing.assert_allclose(ours, reference_histogram(snapshot, *pair, 0.8, 40), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 7, 8])
def test_every_pair_counts_once(n):
    rng = np.random.default_rng(n)
    snapshot = snapshot_of(rng.uniform(0, 3, (3, n)), 3.0)
    ours = rdf_histogram(snapshot, r_max=1.5, n_bins=6)
    np.testing.assert_allclose(ours, reference_histogram(snapshot, "A", "A", 1.5, 6), atol=1e-12)


def test_smooth_equals_histogram_of_the_same_resolution():
    """Both, averaged over many bins, count the same pairs: their running coordination numbers agree."""
    snapshot = water_like(40, 1.8)
    smooth = RadialDistributionFunction("O", "H", r_max=0.9, n_bins=300)
    g, h = smooth(snapshot), rdf_histogram(snapshot, "O", "H", r_max=0.9, n_bins=300)
    shells = 4 * np.pi * smooth.r**2
    running_g, running_h = np.cumsum(np.asarray(g) * shells), np.cumsum(np.asarray(h) * shells)
    assert np.max(np.abs(running_g - running_h)) < 0.01 * running_h[-1]
    assert not np.allclose(g, h)


def test_smooth_is_the_histogram_convolved_with_the_spline():
    """The B-spline of degree 3 is three box convolutions of the fine histogram (a pair's distance spread exactly)."""
    from scipy.interpolate import BSpline

    snapshot = snapshot_of(np.array([[0.1, 0.1 + 0.437], [0.2, 0.2], [0.3, 0.3]]), 2.0)
    rdf = RadialDistributionFunction(r_max=1.0, n_bins=50)
    h = 1.0 / 50
    basis = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)
    weights = np.nan_to_num(basis((rdf.r - 0.437) / h))
    shells = 4 * np.pi * h * (rdf.r**2 + h**2 / 3)  # the spline's second moment is h^2/3
    np.testing.assert_allclose(rdf(snapshot)[3:], 8.0 * (weights / shells)[3:], rtol=1e-6, atol=1e-6)


def test_gaussian_smoothing_has_the_stated_width():
    snapshot = snapshot_of(np.array([[0.0, 0.5], [0.0, 0.0], [0.0, 0.0]]), 2.0)
    rdf = RadialDistributionFunction(r_max=1.0, n_bins=200, smoothing=0.03)
    w = np.asarray(rdf(snapshot)) * rdf.r**2
    mean = np.sum(w * rdf.r) / np.sum(w)
    spread = np.sqrt(np.sum(w * (rdf.r - mean) ** 2) / np.sum(w))
    assert abs(mean - 0.5) < 1e-3
    assert abs(spread - np.sqrt(0.03**2 + 0.005**2 / 3)) < 5e-4


@pytest.mark.parametrize("smoothing", [None, 0.0, 0.05])
def test_an_ideal_gas_has_g_of_one_up_to_half_the_box(smoothing):
    rng = np.random.default_rng(1)
    box = np.array([2.0, 2.3, 2.6])
    total, n_frames = 0.0, 60
    for _ in range(n_frames):
        snapshot = snapshot_of(rng.uniform(0, 1, (3, 200)) * box[:, None], box)
        if smoothing is None:
            g = rdf_histogram(snapshot, r_max=1.0, n_bins=10)
        else:
            g = RadialDistributionFunction(r_max=1.0, n_bins=10, smoothing=smoothing)(snapshot)
        total = total + np.asarray(g) / n_frames
    pairs = n_frames * 200 * 199 / 2 * 4 * np.pi * bin_squares() * 0.1 / np.prod(box)
    assert np.all(np.abs(total - 1) < 5 / np.sqrt(pairs))


def bin_squares():
    return structure.bin_centres(1.0, 10) ** 2


def fcc(cells, a):
    base = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    return ((corners + base).reshape(-1, 3) * a).T


@pytest.mark.parametrize("smooth", [True, False])
def test_coordination_shells_of_fcc(smooth):
    a, cells = 0.52, 4
    snapshot = snapshot_of(fcc(cells, a), cells * a)
    n = snapshot.system.n_atoms
    rdf = RadialDistributionFunction(r_max=1.04, n_bins=260)
    g = rdf(snapshot) if smooth else rdf_histogram(snapshot, r_max=1.04, n_bins=260)
    rho = (n - 1) / (cells * a) ** 3  # g counts the N - 1 others
    within = [coordination_number(rdf.r, g, rho, a * np.sqrt(s)) for s in (0.75, 1.25, 1.75)]
    np.testing.assert_allclose(np.diff([0, *within]), [12, 6, 24], rtol=2e-3)


def test_gradient_against_finite_differences():
    snapshot = water_like(6, 1.6)
    rdf = RadialDistributionFunction("O", "H", r_max=0.8, n_bins=30, smoothing=0.02)
    target = np.sin(rdf.r * 9) ** 2

    def loss(offset):
        return jnp.sum(
            (rdf(eqx.tree_at(lambda s: s.offset, snapshot, offset, is_leaf=lambda x: x is None)) - target) ** 2
        )

    zero = jnp.zeros((3, snapshot.system.n_atoms))
    gradient = jax.jit(jax.grad(loss))(zero)
    direction = jnp.asarray(np.random.default_rng(3).normal(size=zero.shape))
    h = 1e-5
    numeric = (loss(h * direction) - loss(-h * direction)) / (2 * h)
    assert abs(jnp.vdot(gradient, direction) / numeric - 1) < 1e-6


def test_gradient_through_blocks_equals_gradient_at_once(monkeypatch):
    snapshot = water_like(8, 1.6)
    rdf = RadialDistributionFunction("H", "H", r_max=0.8, n_bins=30)
    zero = jnp.zeros((3, snapshot.system.n_atoms))

    def gradient():
        at = lambda o: eqx.tree_at(lambda s: s.offset, snapshot, o, is_leaf=lambda x: x is None)
        return jax.grad(lambda o: jnp.sum(rdf(at(o)) ** 2))(zero)

    whole = gradient()
    monkeypatch.setattr(structure, "PAIRS_AT_ONCE", 32)
    np.testing.assert_allclose(gradient(), whole, rtol=1e-10, atol=1e-8)


def test_hydrogen_pairs_of_895_waters_need_little_memory():
    """1.6 million pairs, value and gradient: in blocks, since the separations alone would be 38 MB at once."""
    snapshot = water_like(895, 3.0)
    rdf = RadialDistributionFunction("H", "H", r_max=1.0, n_bins=330)

    def loss(offset, snapshot):
        return jnp.sum((rdf(eqx.tree_at(lambda s: s.offset, snapshot, offset, is_leaf=lambda x: x is None)) - 1) ** 2)

    zero = jnp.zeros(snapshot.lattice.shape)
    compiled = jax.jit(jax.value_and_grad(loss)).lower(zero, snapshot).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 50e6
    value, gradient = compiled(zero, snapshot)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.abs(np.asarray(gradient)).max() > 0


def test_two_atoms_on_one_spot_give_no_nan():
    snapshot = snapshot_of(np.full((3, 2), 0.3), 2.0)
    rdf = RadialDistributionFunction(r_max=1.0, n_bins=10)
    assert np.all(np.isfinite(rdf(snapshot)))


def test_float32_agrees_with_float64():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, (3, 100))
    rdf = RadialDistributionFunction(r_max=1.0, n_bins=50)
    np.testing.assert_allclose(rdf(snapshot_of(x, 2.0, "float32")), rdf(snapshot_of(x, 2.0)), atol=2e-4)


def test_bad_input_is_one_sentence():
    snapshot = snapshot_of(np.random.default_rng(0).uniform(0, 1, (3, 5)), 1.0)
    with pytest.raises(ValueError, match="exceeds half the box"):
        rdf_histogram(snapshot, r_max=0.6)
    with pytest.raises(ValueError, match="no species 'Ne'"):
        rdf_histogram(snapshot, "Ne", "A", r_max=0.5)
    with pytest.raises(ValueError, match="at least 2 bins"):
        RadialDistributionFunction(r_max=0.5, n_bins=1)
    with pytest.raises(ValueError, match="positive"):
        RadialDistributionFunction(r_max=-0.5)
    with pytest.raises(ValueError, match="cannot be negative"):
        RadialDistributionFunction(r_max=0.5, smoothing=-1.0)
