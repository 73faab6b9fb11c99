"""What a worker does with one point. Light to import: the processor is prepared before JAX starts."""

from __future__ import annotations

import time
from typing import Any

from revmd_app import processor
from revmd_app.sweeps.tasks import TASKS, Rows, at_point


def work(task: str, settings: dict[str, Any], values: dict[str, Any], seed: int) -> tuple[Rows, float]:
    """(rows of the point, seconds it took). A point that cannot be computed is one row that says why."""
    processor.prepare()
    processor.keep_programs()  # the next worker, or the next sweep, need not compile them again
    from revmd_app.engine.loops import SimulationError

    began = time.perf_counter()
    try:
        rows = TASKS[task].run(at_point(task, settings, values), seed)
    except (SimulationError, ValueError, ArithmeticError) as failure:
        rows = [{"failed": " ".join(str(failure).split())}]
    return rows, time.perf_counter() - began
