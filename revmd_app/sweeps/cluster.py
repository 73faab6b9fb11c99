"""Who computes the points: processes of this machine, or a Dask scheduler's workers; and what happens when one dies.

A worker that is lost costs what it was computing: the scheduler gives those points to another. Results come back to
this process, which alone writes them, so that workers need no common disk.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from revmd_app import processor
from revmd_app.sweeps.plan import Point, Sweep
from revmd_app.sweeps.table import MISSING, Table, pyarrow
from revmd_app.sweeps.work import work

RETRIES = 3
"""How often a point is tried again on another worker before it is left for the next run of the sweep."""
GLANCE = 1.0
"""Seconds between two looks at the cluster while nothing arrives."""
CONNECT = 10.0
GOLDEN = 0.618
QUIET: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": RETRIES,
    "distributed.scheduler.worker-ttl": None,  # compiling on a busy machine may take longer than any patience
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.daemon": True,
    "distributed.comm.timeouts.connect": f"{CONNECT:g}s",
    "distributed.admin.tick.limit": "1h",  # compiling holds a process for longer than Dask likes
}


class News(NamedTuple):
    """How far a sweep is: points done (all, and in this run), wanted, the last one, and how many workers there are."""

    done: int
    fresh: int
    total: int
    point: Point | None
    failed: str
    workers: int


class Outcome(NamedTuple):
    """The end of a run: how many points are there, how many of them failed, and why points are missing if they are."""

    done: int
    total: int
    failed: int
    lost: dict[str, str]  # name of the point: reason


class SchedulerGone(OSError):
    """The connection to the scheduler was lost."""


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    *,
    workers: int | None = None,
    scheduler: str = "",
    on_news: Callable[[News], None] = lambda news: None,
) -> Outcome:
    """Compute the points of a sweep that `folder` does not hold yet, and write each as it comes.

    With `workers` processes on this machine (default: one a core), or at a Dask scheduler ("tcp://host:8786").
    Interrupting it, or anything else that ends it, leaves whole results behind; the next run goes on from there.
    Raises `ValueError` or `OSError` in one sentence when it cannot be started or the folder cannot be written.
    """
    pyarrow()
    table = Table(Path(folder))
    table.open(sweep)
    there = table.done()
    points = sweep.points()
    missing = [point for point in in_turn(points) if point.name not in there]
    done, failed, lost = len(points) - len(missing), 0, {}
    if missing:
        n = min(workers or usable_cores(), len(missing))
        on_news(News(done, 0, len(points), None, "", n))
        with _cluster(n, scheduler) as client:
            for point, answer, present in _answers(client, sweep, missing):
                reason = ""
                if point is not None and isinstance(answer, str):
                    lost[point.name] = reason = answer
                elif point is not None:
                    table.add(point, *answer)
                    done += 1
                    reason = answer[0][0].get("failed", "")
                    failed += bool(reason)
                on_news(News(done, done - len(points) + len(missing), len(points), point, reason, present))
    return Outcome(done, len(points), failed, lost)


def in_turn(points: list[Point]) -> list[Point]:
    """The order in which points are computed: all of them once before any again, and soon from the whole grid."""
    found = []
    for replica in range(max(point.replica for point in points) + 1):
        those = [point for point in points if point.replica == replica]
        n = len(those)
        stride = next(s for s in range(max(1, round(GOLDEN * n)), 2 * n + 1) if math.gcd(s, n) == 1)
        found += [those[i * stride % n] for i in range(n)]
    return found


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _distributed():
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ValueError(MISSING) from error
    return dask, distributed


@contextlib.contextmanager
def _cluster(workers: int, scheduler: str) -> Iterator[Any]:
    """A client of the scheduler, or of a cluster of this machine that ends with the block."""
    dask, distributed = _distributed()
    for name in ("distributed", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(QUIET))
        address = scheduler
        if not scheduler:
            processor.prepare()  # the workers inherit it
            space = stack.enter_context(tempfile.TemporaryDirectory(prefix="revmd-sweep-", ignore_cleanup_errors=True))
            address = stack.enter_context(_local(distributed, workers, space))
        yield stack.enter_context(_connected(distributed, address))


def _local(distributed, workers: int, space: str):
    with _deaf_children():
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None would look for port 8787 and warn when somebody has it
            scheduler_kwargs={"dashboard": False},
            worker_dashboard_address=None,
            memory_limit=0,
            local_directory=space,
            silence_logs=logging.CRITICAL,
        )


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started here ignore Ctrl-C, which a terminal sends to all: this process ends them, without tracebacks.

    Only the main thread may say so; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _connected(distributed, address):
    try:
        return distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ValueError(
            f"there is no Dask scheduler at '{address}' ({' '.join(str(error).split())[:100]}): start one with 'dask "
            "scheduler' and give its address as tcp://host:8786, or leave --scheduler out to use this machine."
        ) from error


def _answers(client, sweep: Sweep, missing: list[Point]) -> Iterator[tuple[Point | None, Any, int]]:
    """(point, its (rows, seconds, worker) or why there are none, number of workers), as they come.

    A point of None says that nothing came for a while.
    """
    arrived: queue.Queue = queue.Queue()
    futures = {}
    for point in missing:
        call = (sweep.task, sweep.settings, point.values, point.seed)
        future = client.submit(work, *call, key=f"sweep-{point.name}", pure=False, retries=RETRIES)
        futures[future.key] = (point, future)
        future.add_done_callback(arrived.put)
    present = _present(client)
    try:
        while futures:
            try:
                key = arrived.get(timeout=GLANCE).key
            except queue.Empty:
                present = _present(client)
                yield None, None, present
                continue
            point, future = futures.pop(key)
            yield point, _answer(client, future), present
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            client.cancel([future for _, future in futures.values()], force=True)


def _present(client) -> int:
    """How many workers there are. Raises `SchedulerGone` when nobody can say."""
    if client.status not in ("running", "connecting"):
        raise SchedulerGone(
            "the connection to the scheduler was lost; what had arrived is kept: run the same command again to go on."
        )
    return len(client.nthreads())


def _answer(client, future):
    """(rows, seconds, worker) of a finished future, or a sentence why there are none."""
    if future.status == "finished":
        who = client.who_has([future]).get(future.key, ())
        rows, seconds = future.result(timeout=CONNECT)
        future.release()
        return rows, seconds, next(iter(who), "")
    if future.status == "cancelled":
        return "the scheduler forgot it"
    error = future.exception(timeout=CONNECT)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
