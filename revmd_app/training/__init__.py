"""Fitting force fields to measurements: configurations, losses, the loop of epochs, and runs that survive a kill."""

REPLICAS_AT_ONCE = 2
"""Replicas of an epoch that run side by side, where the processor has as many cores."""
