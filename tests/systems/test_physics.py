"""What the systems and observables say together, against published thermodynamics, within honest error bars."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from revmd_app.data import lj_eos
from revmd_app.engine.simulate import simulate
from revmd_app.observables import (
    lennard_jones_energy_tail,
    lennard_jones_pressure_tail,
    mean_with_error,
    potential_energy,
    temperature,
    virial_pressure,
)
from revmd_app.systems import lennard_jones_fluid, prepared
from revmd_app.systems.prepare import equilibrate

pytestmark = pytest.mark.slow


def measure(case, observe, n_steps, sample_every=20):
    """A series at a friction that forgets fast: averages do not depend on it."""
    return simulate(
        case.system,
        case.potential,
        replace(case.settings, friction=5.0),
        observe=observe,
        n_steps=n_steps,
        sample_every=sample_every,
        key=jax.random.key(11),
        state=case.state,
    )


@pytest.mark.parametrize(("t", "rho"), [(0.85, 0.82), (1.35, 0.7), (2.0, 0.4)])
def test_lennard_jones_fluid_against_the_equation_of_state(t, rho):
    """256 atoms, plain cutoff 3 sigma, tail corrections; Kolafa and Nezbeda 1994 claim 0.01 in U and 0.02 in p here."""
    n = 256
    case = equilibrate(lennard_jones_fluid(n, density=rho, temperature=t, truncation="plain"))
    cutoff = case.potential.cutoff
    series = measure(case, lambda s: (potential_energy(s) / n, virial_pressure(s), temperature(s)), 10_000)
    energy, pressure, kinetic = (mean_with_error(x) for x in series)
    u = energy.value + float(lennard_jones_energy_tail(1, rho, 1.0, 1.0, cutoff))
    p = pressure.value + float(lennard_jones_pressure_tail(rho, 1.0, 1.0, cutoff))
    assert abs(kinetic.value - t) < 4 * kinetic.standard_error + 2e-3 * t
    assert abs(u - float(lj_eos.energy(t, rho))) < 4 * energy.standard_error + 0.012
    assert abs(p - float(lj_eos.pressure(t, rho))) < 4 * pressure.standard_error + 0.03
    assert energy.standard_error < 0.02
    assert pressure.standard_error < 0.06


def test_equipartition_in_water():
    """Oxygen and hydrogen have the temperature of the bath, bonds or no bonds."""
    case = prepared("water", 64)
    observe = lambda s: (temperature(s, "O"), temperature(s, "H"))
    series = measure(case, observe, 30_000, 50)
    oxygen, hydrogen = (mean_with_error(x[100:]) for x in series)
    bath = float(case.settings.temperature)
    for species in (oxygen, hydrogen):
        assert abs(species.value - bath) < 4 * species.standard_error + 0.005 * bath
        assert species.standard_error < 0.02 * bath
    assert abs(oxygen.value - hydrogen.value) < 4 * np.hypot(oxygen.standard_error, hydrogen.standard_error)


def test_argon_is_what_its_page_says():
    """The force-shifted potential of the default is less cohesive than the full one by what `limits` says."""
    case = prepared("argon", 216)
    energy, pressure = (
        mean_with_error(x) for x in measure(case, lambda s: (potential_energy(s) / 216, virial_pressure(s)), 10_000)
    )
    sigma, epsilon = float(case.potential.sigma), float(case.potential.epsilon)
    t, rho = 94.4 * 0.00831446261815324 / epsilon, 216 / float(np.prod(case.system.box)) * sigma**3
    above = energy.value - epsilon * float(lj_eos.energy(t, rho))
    bar = 16.6053906717 * (pressure.value - epsilon / sigma**3 * float(lj_eos.pressure(t, rho)))
    assert "about 1.5 kJ/mol" in case.limits
    assert "about 500 bar" in case.limits.replace("\n ", "")
    assert abs(above - 1.5) < 0.1
    assert abs(bar - 500) < 90
