"""Contenders in processes of their own, which take turns on the same system: interleaved rounds, medians, ratios."""

from __future__ import annotations

import contextlib
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import revmd_app
from revmd_app import processor
from revmd_app.bench.records import Agreement, Contest, Row, usable_cores

OURS, JAX_MD, OPENMM = "revmd", "jax-md", "OpenMM"
MODULES = {OURS: "ours", JAX_MD: "jaxmd", OPENMM: "openmm_cpu"}
GRADIENT_STEPS = 200
"""Steps of the run whose gradient is taken; fewer where that many would not fit into memory."""
TURN = 0.4
"""Seconds of forward steps that make a turn."""
LONG_TURN = 1.5
"""Seconds from which a turn is long: such programs sit out two rounds of three."""
PATIENCE = 300.0
"""Seconds for one answer, compilation included."""

Say = Callable[[str], None]


class WorkerError(RuntimeError):
    """A contender that is not there, fell silent or failed, with the reason in a sentence."""


class Worker:
    """A contender's process and the line to it."""

    def __init__(
        self,
        contender: str,
        problem: Path,
        *,
        single: bool,
        python: str = sys.executable,
        cache: Path | None = None,
        platform: str = "CPU",
    ):
        self.contender = contender
        self.began = time.perf_counter()
        core = max(os.sched_getaffinity(0)) if single and hasattr(os, "sched_getaffinity") else None
        threads = 1 if single else usable_cores()
        # Appended, so that another interpreter's own packages come first; it takes only revmd itself from here.
        bootstrap = "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
        bootstrap += "runpy.run_module(sys.argv.pop(1), run_name='__main__')"
        root = str(Path(revmd_app.__file__).resolve().parent.parent)
        command = [python, "-c", bootstrap, root, f"revmd_app.bench.peers.{MODULES[contender]}"]
        command += ["--problem", str(problem), "--threads", str(threads), "--platform", platform]
        command += [] if core is None else ["--core", str(core)]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in `close`)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(single, cache),
            start_new_session=True,  # Ctrl-C is ours; we end the workers
        )
        self._buffer = b""
        try:
            first = self._read(PATIENCE)
            if "missing" in first:
                raise WorkerError(first["missing"])
        except BaseException:
            self.close()
            raise
        self.about: dict[str, Any] = first["about"]

    def ask(self, do: str, **request) -> dict[str, Any]:
        """One request and its answer. Raises `WorkerError` when it fails, dies or takes too long."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps({"do": do, **request}) + "\n").encode())
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerError(self._obituary()) from error
        answer = self._read(PATIENCE)
        if "failed" in answer:
            raise WorkerError(answer["failed"])
        return answer

    def _read(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise WorkerError(f"{self.contender} gave no answer within {seconds:.0f} s.")
            piece = os.read(self._process.stdout.fileno(), 65536)
            if not piece:
                raise WorkerError(self._obituary())
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def _obituary(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._errors.seek(0)
        last = [line for line in self._errors.read().splitlines() if line.strip()][-1:]
        told = f": {last[0].strip()}" if last else ""
        return f"{self.contender} ended with exit code {self._process.returncode}{told}"

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def environment(single: bool, cache: Path | None = None) -> dict[str, str]:
    """The environment of a contender: one thread for everything, or none of those limits; no cache unless given."""
    env = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR")}
    env |= {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if single:
        env["XLA_FLAGS"] = " ".join(processor.flags())
        env |= dict.fromkeys(("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS"), "1")
    if cache is not None:
        env |= {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        env["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    return env


@dataclass
class Entry:
    """A program in the contest: who runs it, its row, and the seconds of its turns by round."""

    worker: Worker
    row: Row
    turns: dict[int, tuple[float, float]]  # round -> (wall, cpu) microseconds a step

    @property
    def gradient(self) -> bool:
        return self.row.program.startswith("gradient")


FORWARD = {
    OURS: ["forward shifted", "forward built-in"],
    JAX_MD: ["forward shifted"],
    OPENMM: ["forward shifted", "forward built-in"],
}
GRADIENTS = {
    OURS: ["gradient loss", "gradient reversible", "gradient checkpointed", "gradient reverse_mode"],
    JAX_MD: ["gradient reverse_mode"],
    OPENMM: [],
}


@dataclass
class Plan:
    """What a contest is made of."""

    rounds: int = 9
    single: bool = True
    gradients: bool = True
    gradient_steps: int = GRADIENT_STEPS
    turn: float = TURN
    jax_md_python: str = sys.executable
    openmm_platform: str = "CPU"


def hold(contest: Contest, problem: Path, plan: Plan, say: Say) -> None:
    """Run a contest and fill its rows; a contender that is missing or fails is told of in its rows."""
    with contextlib.ExitStack() as workers:
        entries: list[Entry] = []
        reference = None
        for contender in MODULES:
            say(f"starting {contender}")
            programs = FORWARD[contender] + (GRADIENTS[contender] if plan.gradients else [])
            where: dict[str, Any] = {"platform": plan.openmm_platform}
            where |= {"python": plan.jax_md_python} if contender == JAX_MD else {}
            try:
                worker = workers.enter_context(Worker(contender, problem, single=plan.single, **where))
            except WorkerError as error:
                status = "not installed" if "not installed" in str(error) else "failed"
                contest.rows += [Row(contender, program, status=status, why=str(error)) for program in programs[:1]]
                continue
            entries += _prepared(contest, worker, programs, plan, say)
            forces = _forces(worker, FORWARD[contender], problem, say)
            reference = reference or forces
            contest.agreement += _agreement(contender, forces, reference)
        try:
            _rounds(entries, plan, say)
        finally:  # Ctrl-C keeps the rounds that were made
            for entry in entries:
                _conclude(entry, entries, plan.single)


def _prepared(contest: Contest, worker: Worker, programs: list[str], plan: Plan, say: Say) -> list[Entry]:
    """Compile every program and time one turn of it, which sets how long its turns are."""
    entries = []
    for program in programs:
        row = Row(worker.contender, program, about=worker.about)
        contest.rows.append(row)
        say(f"compiling {worker.contender}, {program}")
        try:
            steps = plan.gradient_steps
            known = worker.ask("prepare", program=program, steps=steps)
            if known.get("too_large"):
                row.bytes = known["bytes"]
                steps = _shorter(known["bytes"], steps)
                known = worker.ask("prepare", program=program, steps=steps) if steps else known
            row.compile_seconds, row.note = known.get("compile_seconds"), known.get("note", "")
            if known.get("too_large"):
                need = (row.bytes or 0) / 1e9
                row.status, row.why = "not run", f"{plan.gradient_steps} steps would need {need:,.0f} GB."
                continue
            row.bytes, row.steps = known.get("bytes"), steps
            if program.startswith("forward"):
                row.steps = _calibrated(worker, program, plan.turn)
            else:
                worker.ask("run", program=program, steps=steps)
        except WorkerError as error:
            row.status, row.why = "failed", str(error)
            continue
        entries.append(Entry(worker, row, {}))
    return entries


def _shorter(need: int, steps: int, limit: float = 3.5e9) -> int:
    """The largest number of steps, a multiple of 20, whose need should stay below the limit; 0 when there is none."""
    return int(limit / need * steps) // 20 * 20


def _calibrated(worker: Worker, program: str, turn: float) -> int:
    """Steps that fill a turn."""
    steps, seconds = 10, 0.0
    while True:
        seconds = worker.ask("run", program=program, steps=steps)["wall"]
        if seconds > turn / 8:
            return max(10, int(steps * turn / seconds))
        steps *= 4


def _forces(worker: Worker, programs: list[str], problem: Path, say: Say) -> dict[str, tuple[float, np.ndarray]]:
    """Energy and forces at the start under each Hamiltonian that the contender runs."""
    say(f"comparing the forces of {worker.contender}")
    found = {}
    path = problem.with_name("forces.npy")
    for program in programs:
        hamiltonian = program.split()[1]
        with contextlib.suppress(WorkerError):  # such a contender's rows say why it failed
            energy = worker.ask("agree", program=hamiltonian, to=str(path))["energy"]
            found[hamiltonian] = (energy, np.load(path, allow_pickle=False))
    return found


def _agreement(contender: str, forces, reference) -> list[Agreement]:
    rows = []
    for hamiltonian, (energy, vectors) in forces.items():
        if hamiltonian in reference:
            exact, exact_vectors = reference[hamiltonian]
            far = np.max(np.abs(vectors - exact_vectors)) / np.sqrt(np.mean(exact_vectors**2))
            rows.append(Agreement(contender, hamiltonian, energy, abs(energy / exact - 1), float(far)))
    return rows


def _rounds(entries: list[Entry], plan: Plan, say: Say) -> None:
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        for entry in list(entries):
            seconds = sum(wall for wall, _ in entry.turns.values()) * entry.row.steps / 1e6
            if entry.turns and number % 3 and seconds / len(entry.turns) > LONG_TURN:
                continue
            try:
                took = entry.worker.ask("run", program=entry.row.program, steps=entry.row.steps)
            except WorkerError as error:
                entry.row.status, entry.row.why = "failed", str(error)
                entries.remove(entry)
                continue
            entry.turns[number] = tuple(1e6 * took[name] / took["steps"] for name in ("wall", "cpu"))


def _conclude(entry: Entry, entries: list[Entry], single: bool) -> None:
    """Medians of a program's turns, and of its ratio to ours in the same rounds: of CPU time, of wall time on many
    cores."""
    row, walls = entry.row, [wall for wall, _ in entry.turns.values()]
    if not walls:
        return
    row.rounds, row.wall = len(walls), statistics.median(walls)
    row.cpu = statistics.median(cpu for _, cpu in entry.turns.values())
    low, _, high = statistics.quantiles(walls, n=4, method="inclusive") if len(walls) > 1 else (walls[0],) * 3
    row.wall_range = (low, high)
    base_program = "gradient loss" if entry.gradient else row.program
    base = next((e for e in entries if (e.row.contender, e.row.program) == (OURS, base_program)), None)
    common = [] if base is None else [n for n in entry.turns if n in base.turns]
    if base is not None and common:
        time = 1 if single else 0
        row.ratio = statistics.median(entry.turns[n][time] / base.turns[n][time] for n in common)
