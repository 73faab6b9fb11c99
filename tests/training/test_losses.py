"""The losses of a training run: against plain NumPy, Soper's table, and for dissolved gas against water alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from revmd_app.engine.lattice import to_snapshot
from revmd_app.engine.system import make_system
from revmd_app.observables.structure import rdf_histogram
from revmd_app.observables.thermodynamics import density, potential_energy
from revmd_app.observables.vaporisation import gas_energy
from revmd_app.systems.case import maxwell_boltzmann, start
from revmd_app.systems.force_fields import force_field, water_potential
from revmd_app.systems.prepare import prepared
from revmd_app.systems.water import HYDROGEN, OXYGEN
from revmd_app.training.configuration import configuration
from revmd_app.training.fit import training_case
from revmd_app.training.losses import Composite, Target, Term, composite


def number(name: str, value: float, uncertainty: float, weight: float, key: int, **options) -> Term:
    target = Target(name, name, "", np.asarray(value), np.asarray(uncertainty), weight, "made up for this test")
    return Term(target, lambda x: x[key], **options)


SERIES = {
    "a": jnp.array([1.0, 2.0, 4.0]),
    "b": jnp.array([-1.0, 0.5, 0.2]),
    "temperature": jnp.array([300.0, 301.0, 302.0]),
}
MEAN = {name: jnp.mean(x) for name, x in SERIES.items()}


def test_a_loss_of_averages_is_the_weighted_sum_of_squares():
    loss = Composite([number("a", 2.0, 0.5, 3.0, 0), number("b", 0.0, 0.1, 0.5, 1)])
    assert loss.loss_of == "average"
    expected = 3 * ((7 / 3 - 2) / 0.5) ** 2 + 0.5 * (-0.1 / 0.1) ** 2
    np.testing.assert_allclose(loss.loss(MEAN), expected, rtol=1e-12)
    report = loss.report(SERIES)
    np.testing.assert_allclose(report["a"], 7 / 3)
    np.testing.assert_allclose(3 * report["deviation"]["a"] + 0.5 * report["deviation"]["b"], expected, rtol=1e-12)


def test_a_loss_of_snapshots_adds_the_variance():
    """E[(O - t)^2] = (E[O] - t)^2 + Var(O)."""
    terms = [number("a", 2.0, 0.5, 1.0, 0)]
    each, mean = Composite(terms, "snapshots"), Composite(terms)
    of_each = np.mean([each.loss({"a": a}) for a in SERIES["a"]])
    variance = np.var(np.asarray(SERIES["a"])) / 0.5**2
    np.testing.assert_allclose(of_each, mean.loss(MEAN) + variance, rtol=1e-12)
    np.testing.assert_allclose(each.report(SERIES)["deviation"]["a"], of_each, rtol=1e-12)


def test_a_property_of_the_series_makes_the_loss_one_of_the_series():
    last = number("a", 1.0, 1.0, 2.0, 0, of_series=lambda x: x[-1] - x[0])
    loss = Composite([last, number("b", 0.0, 0.1, 1.0, 1)])
    assert loss.loss_of == "series"
    np.testing.assert_allclose(loss.loss(SERIES), 2 * (3.0 - 1.0) ** 2 + (-0.1 / 0.1) ** 2, rtol=1e-12)
    unweighted = Composite([number("a", 1.0, 1.0, 0.0, 0, of_series=lambda x: x[-1]), number("b", 0.0, 0.1, 1.0, 1)])
    assert unweighted.loss_of == "average"  # what only is reported keeps no estimator away


def test_targets_without_an_uncertainty_are_refused():
    with pytest.raises(ValueError, match="uncertainty above 0"):
        number("a", 1.0, 0.0, 1.0, 0)
    with pytest.raises(ValueError, match="a name of its own"):
        Composite([number("a", 1.0, 1.0, 1.0, 0), number("a", 1.0, 1.0, 1.0, 0)])


@pytest.fixture(scope="module")
def lab():
    run = configuration("water", "lab")
    return training_case(run), composite(training_case(run), run)


def test_targets_are_sopers_and_leave_the_molecule_itself_out(lab):
    _, loss = lab
    peak = loss.terms["rdf_OO"].target
    assert peak.values.max() == pytest.approx(2.495, abs=0.08)  # interpolated onto bins of 0.01 nm
    assert peak.grid[np.argmax(peak.values)] == pytest.approx(0.279, abs=0.006)
    assert loss.terms["rdf_OH"].target.grid.min() >= 0.162
    assert loss.terms["rdf_HH"].target.grid.min() >= 0.222
    assert loss.terms["enthalpy"].target.values == 46.92


def test_what_is_observed_in_water(lab):
    """The enthalpy by hand; the smooth g(r) integrates to the histogram's number of neighbours."""
    case, loss = lab
    snapshot = case.snapshot()
    seen = loss.observe(snapshot)
    by_hand = gas_energy(case.potential, 295.15) - potential_energy(snapshot) / 64 + 0.00831446 * 295.15
    np.testing.assert_allclose(seen["enthalpy"], by_hand, rtol=1e-6)
    r = loss.terms["rdf_OO"].axis
    rough = rdf_histogram(snapshot, "O", "O", r_max=0.56, n_bins=56)
    shells = r**2 * (r < 0.5)
    np.testing.assert_allclose(np.sum(seen["rdf_OO"] * shells), np.sum(rough * shells), rtol=0.02)


def test_the_density_is_a_target_only_where_it_has_a_weight(lab):
    """Drawn from the pressure: a liquid at 1 bar above `system.pressure` is denser by its compressibility."""
    case, loss = lab
    assert "density_at_pressure" not in loss.terms
    seen = []
    for pressure in (1.0, 1001.0):
        run = configuration("water", "lab", loss={"density": 2.0}, system={"pressure": pressure})
        term = composite(case, run).terms["density_at_pressure"]
        seen.append(float(term.observe(case.snapshot())))
    own = density(case.snapshot())
    np.testing.assert_allclose(seen[1] - seen[0], own * 1000 * 4.52e-5, rtol=1e-6)
    np.testing.assert_allclose(term.deviation(jnp.asarray(0.97777)), (0.02 / 0.01) ** 2, rtol=1e-9)
    assert term.target.weight == 2.0


def test_dissolved_gas_is_neither_counted_nor_divided_by():
    """The enthalpy of the waters among O2 is that of the same waters in the same box, built without a gas."""
    run = configuration("oxygen", "lab")
    case = training_case(run)
    snapshot = case.snapshot()
    seen = composite(case, run).observe(snapshot)
    n = run.system.molecules
    oxygen = np.arange(n)
    first = n + 2 * oxygen
    system = make_system(
        "water",
        ("O", "H"),
        (n, 2 * n),
        (OXYGEN, HYDROGEN),
        np.asarray(case.system.box),
        molecule=np.concatenate([oxygen, np.repeat(oxygen, 2)]),
        bonds=np.concatenate([np.stack([oxygen, first], axis=1), np.stack([oxygen, first + 1], axis=1)]),
        angles=np.stack([first, oxygen, first + 1], axis=1),
    )
    field = force_field(run.system.force_field)
    potential = water_potential(field, run.system.cutoff, run.system.truncation)
    positions = np.asarray(snapshot.unwrapped)[:, : 3 * n]
    state = start(system, positions, maxwell_boltzmann(system, 295.15, 0))
    energy = potential_energy(to_snapshot(system, state, case.settings, potential))
    by_hand = gas_energy(potential, 295.15) - energy / n + 0.00831446 * 295.15
    np.testing.assert_allclose(seen["enthalpy"], by_hand, rtol=1e-5)
    assert case.system.n_molecules == n + 4


def test_diffusion_is_that_of_walkers(lab):
    """Centres that walk with a known D on average: D to within the noise of 4,000 walkers."""
    run = configuration("oxygen", "lab")
    term = composite(training_case(run), run).terms["diffusion"]
    frames = run.run.steps // run.run.sample_every
    interval = run.run.sample_every * run.system.dt
    steps = jax.random.normal(jax.random.key(0), (frames, 3, 4000)) * np.sqrt(2 * 2.0e-3 * interval)
    np.testing.assert_allclose(term.of_series(jnp.cumsum(steps, axis=0)), 2.0e-3, rtol=0.05)


def test_too_few_samples_for_a_diffusion_coefficient():
    run = configuration("oxygen", "lab", run={"steps": 600, "sample_every": 100})
    with pytest.raises(ValueError, match="at least 10 samples"):
        composite(prepared("oxygen_in_water", 60), run)
