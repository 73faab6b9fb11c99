"""Published data: the tables say what their papers say, and the equation of state gives the published points."""

import dataclasses

import jax
import numpy as np
import pytest

from revmd_app.data import argon_reference, lj_eos, load_argon_rdf, load_water_rdf
from revmd_app.data.reference import ARGON_RDF, provenance


def test_water_peaks():
    """The peaks that Soper (2013) gives."""
    curves = load_water_rdf()
    for pair, position, height in ((("O", "O"), 0.279, 2.495), (("O", "H"), 0.327, 1.475), (("H", "H"), 0.243, 1.339)):
        curve = curves[pair]
        outside = curve.r > (0.25 if pair == ("O", "H") else curve.valid_from)
        k = np.argmax(np.where(outside, curve.g, 0))
        assert abs(curve.r[k] - position) < 0.0016
        assert abs(curve.g[k] - height) < 0.002
        assert curve.kind == "experiment"
        assert "10.1155/2013/279463" in curve.citation
        assert len(curve.r) == len(curve.g) == len(curve.error) == 351
        assert abs(curve.g[-50:].mean() - 1) < 0.02


def test_curves_on_another_grid():
    curve = load_water_rdf()[("O", "H")]
    values = curve.on(np.array([0.1, 0.161, 0.1635, 0.2, 5.0]))
    assert np.isnan(values[[0, 1, 4]]).all()
    np.testing.assert_allclose(values[3], np.interp(0.2, curve.r, curve.g))


def test_uncertainties_on_another_grid():
    """Rows of the table as printed, the floor, and NaN where g is not comparable either."""
    curve = load_water_rdf()[("O", "O")]
    np.testing.assert_allclose(curve.uncertainty(np.array([0.243, 0.2475])), [0.0166, 0.0379], atol=1e-9)
    for pair, curve in load_water_rdf().items():
        r = np.linspace(0.1, 1.3, 400)
        floored = curve.uncertainty(r, at_least=0.01)
        assert np.array_equal(np.isnan(floored), np.isnan(curve.on(r))), pair
        assert np.nanmin(floored) == 0.01
        assert 0.05 < np.nanmax(floored) < 0.2
    with pytest.raises(ValueError, match="without uncertainties"):
        dataclasses.replace(curve, error=None).uncertainty(r)


def test_argon_curve_is_a_simulation_and_looks_like_argon():
    """Against the measured peaks (Yarnell et al., 85 K): the positions agree; at 94.4 K the peaks are a little
    lower."""
    curve = load_argon_rdf()[("Ar", "Ar")]
    peaks = argon_reference()["rdf_peaks"]
    assert curve.kind == "simulation"
    assert "not an experiment" not in curve.label
    first = np.argmax(curve.g)
    second = np.argmax(np.where(curve.r > 0.6, curve.g, 0))
    assert abs(curve.r[first] - peaks["first_maximum"]["r"]) < 0.01
    assert 0.85 < curve.g[first] / peaks["first_maximum"]["g"] < 1.0
    assert abs(curve.r[second] - peaks["second_maximum"]["r"]) < 0.02
    assert abs(curve.g[second] - peaks["second_maximum"]["g"]) < 0.05
    assert curve.error.max() < 0.01
    assert "revmd prepare --reference" in provenance(ARGON_RDF)["command"]


@pytest.mark.parametrize("point", lj_eos.NIST_POINTS)
def test_equation_of_state_at_the_nist_points(point):
    t, rho, energy, pressure, _ = point
    assert abs(float(lj_eos.energy(t, rho)) - energy) < 0.012
    assert abs(float(lj_eos.pressure(t, rho)) - pressure) < 0.04


def test_equation_of_state_is_an_ideal_gas_when_thin():
    """Second virial coefficient of Lennard-Jones at T* = 2 by quadrature (its definition)."""
    from scipy.integrate import quad

    t = 2.0
    mayer = lambda r: (np.exp(-4 / t * (r**-12 - r**-6)) - 1) * r * r
    b2 = -2 * np.pi * (quad(mayer, 0.3, 5)[0] + quad(mayer, 5, 200)[0] - 0.3**3 / 3)
    rho = 1e-4
    slope = (float(lj_eos.pressure(t, rho)) / (rho * t) - 1) / rho
    assert abs(slope / b2 - 1) < 0.01


def test_energy_and_pressure_follow_from_one_free_energy():
    """(dU/dV)_T = T (dp/dT)_V - p, a Maxwell relation."""
    t, rho = 1.2, 0.7
    left = -(rho**2) * jax.grad(lj_eos.energy, argnums=1)(t, rho)
    right = t * jax.grad(lj_eos.pressure)(t, rho) - lj_eos.pressure(t, rho)
    np.testing.assert_allclose(left, right, rtol=1e-9)
