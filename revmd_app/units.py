"""The unit system of the whole package and its constants.

Length nm, time ps, mass u, energy kJ/mol, temperature K, charge e. An acceleration is then force / mass in nm/ps^2
with no conversion factor. Reduced Lennard-Jones units appear only in the `toy` systems, where `boltzmann` is 1.
"""

BOLTZMANN = 0.00831446261815324
"""Boltzmann constant times Avogadro's number, kJ/mol/K (exact since the 2019 SI)."""

COULOMB = 138.935458
"""1/(4 pi eps0) in kJ mol^-1 nm e^-2 (CODATA 2018, as the molecular simulation codes round it)."""

AVOGADRO = 6.02214076e23
"""Particles per mole (exact)."""

BAR_PER_PRESSURE_UNIT = 16.6053906717
"""1 kJ/mol/nm^3 in bar."""

GRAM_PER_CM3 = 1.66053906660e-3
"""1 u/nm^3 in g/cm^3."""
