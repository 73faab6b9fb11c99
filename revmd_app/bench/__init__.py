"""`revmd bench`: what the engine costs next to the other ways of getting the same numbers, and how fast the app is.

`contest.py` lets our engine, jax-md and OpenMM take turns in processes of their own (`peers/`), `studies.py` measures
memory and start-up, `laboratory.py` the app in a real browser; `records.py` keeps the numbers, `report.py` and
`plot.py` show them.
"""

from revmd_app.bench.command import main

__all__ = ["main"]
