"""Fitting force fields to measurements: configurations, losses, the loop of epochs, and runs that survive a kill."""
