"""What is measured: functions of one snapshot (structure, thermodynamics) and of a series (transport, statistics)."""

from revmd_app.observables.statistics import Mean, autocorrelation_time, block_errors, mean_with_error
from revmd_app.observables.structure import (
    RadialDistributionFunction,
    bin_centres,
    coordination_number,
    rdf_histogram,
)
from revmd_app.observables.thermodynamics import (
    density,
    kinetic_energy,
    lennard_jones_energy_tail,
    lennard_jones_pressure_tail,
    momentum,
    number_density,
    potential_energy,
    pressure,
    temperature,
    total_energy,
    virial_pressure,
    volume,
)
from revmd_app.observables.transport import (
    Diffusion,
    einstein_diffusion,
    green_kubo_diffusion,
    lag_times,
    mean_squared_displacement,
    spectrum,
    unwrapped_positions,
    velocities,
    velocity_autocorrelation,
)
from revmd_app.observables.vaporisation import enthalpy_of_vaporisation, gas_energy

__all__ = [
    "Diffusion",
    "Mean",
    "RadialDistributionFunction",
    "autocorrelation_time",
    "bin_centres",
    "block_errors",
    "coordination_number",
    "density",
    "einstein_diffusion",
    "enthalpy_of_vaporisation",
    "gas_energy",
    "green_kubo_diffusion",
    "kinetic_energy",
    "lag_times",
    "lennard_jones_energy_tail",
    "lennard_jones_pressure_tail",
    "mean_squared_displacement",
    "mean_with_error",
    "momentum",
    "number_density",
    "potential_energy",
    "pressure",
    "rdf_histogram",
    "spectrum",
    "temperature",
    "total_energy",
    "unwrapped_positions",
    "velocities",
    "velocity_autocorrelation",
    "virial_pressure",
    "volume",
]
