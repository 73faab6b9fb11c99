"""`revmd sweep`: one task at many points of a grid, on the cores of this machine or on a Dask cluster.

`plan.py` says what is to be done (a TOML file), `tasks.py` what can be done at a point, `cluster.py` who does it and
what happens when a worker is lost, `table.py` how results lie on disk. Nothing here imports JAX before it is needed:
a worker first prepares its processor.
"""

from revmd_app.sweeps.plan import Point, Sweep, from_toml, named, to_toml
from revmd_app.sweeps.table import read_sweep

__all__ = ["Point", "Sweep", "from_toml", "main", "named", "read_sweep", "run_sweep", "to_toml"]


def run_sweep(*arguments, **options):
    """See `revmd_app.sweeps.cluster.run_sweep`."""
    from revmd_app.sweeps.cluster import run_sweep

    return run_sweep(*arguments, **options)


def main(arguments=None) -> int:
    """The command `revmd sweep`: see `revmd_app.sweeps.command`."""
    from revmd_app.sweeps.command import main

    return main(arguments)
