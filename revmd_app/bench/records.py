"""What a benchmark found, as plain values: written to JSON, and read back for a report."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One program of one contender on one system. Times are medians over rounds, in microseconds a step."""

    contender: str
    program: str
    status: str = "measured"  # or "not run", "not installed", "failed"
    why: str = ""  # for every status but "measured", a sentence
    about: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    steps: int = 0  # a turn
    rounds: int = 0
    wall: float | None = None
    cpu: float | None = None
    wall_range: tuple[float, float] | None = None  # quartiles
    ratio: float | None = None  # to our forward run under the same Hamiltonian (or of the loss): median over rounds
    compile_seconds: float | None = None
    bytes: int | None = None  # what XLA reserves for a turn


@dataclass
class Agreement:
    """How far a contender's energy and forces lie from ours in double precision, at the start positions."""

    contender: str
    hamiltonian: str
    energy: float  # kJ/mol
    energy_error: float  # relative
    force_error: float  # largest deviation over the root mean square force

    @property
    def agrees(self) -> bool:
        return self.energy_error < ENERGY_TOLERANCE and self.force_error < FORCE_TOLERANCE


ENERGY_TOLERANCE, FORCE_TOLERANCE = 1e-5, 1e-4


@dataclass
class Contest:
    """All rows of one system on a number of cores."""

    system: str
    atoms: int
    cores: int
    meta: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    agreement: list[Agreement] = field(default_factory=list)

    def row(self, contender: str, program: str) -> Row | None:
        """A row by name."""
        return next((row for row in self.rows if (row.contender, row.program) == (contender, program)), None)


@dataclass
class Start:
    """Seconds from the start of a process to its first step."""

    contender: str
    system: str
    cold: float
    warm: float | None = None  # with compiled programs in the cache; None where nothing is compiled


@dataclass
class Growth:
    """Bytes that XLA reserves for the gradient of a run of so many steps."""

    method: str
    steps: int
    bytes: int


@dataclass
class Latency:
    """Milliseconds of one thing the page does, each time it was done."""

    name: str
    milliseconds: list[float]
    bar: float | None = None  # what DESIGN asks for

    @property
    def median(self) -> float:
        ordered = sorted(self.milliseconds)
        half = len(ordered) // 2
        return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])


@dataclass
class Frames:
    """Frames a second of one system: applied to the structure, and painted."""

    system: str
    applied: float
    painted: float


@dataclass
class Resident:
    """Memory of the server and its child processes after something was used."""

    after: str
    processes: int
    pss: int | None  # bytes; shared pages are divided among those who share them
    rss: int  # bytes, summed


@dataclass
class App:
    """What the page does, how fast, and in how much memory."""

    starts: dict[str, float] = field(default_factory=dict)  # seconds
    latencies: list[Latency] = field(default_factory=list)
    frames: list[Frames] = field(default_factory=list)
    memory: list[Resident] = field(default_factory=list)
    browser: str = ""
    problem: str = ""  # why it could not be measured, or not all of it


@dataclass
class Results:
    """Everything, filled while the benchmark goes on: what is there when it is interrupted is kept."""

    command: str
    machine: dict[str, Any]
    date: str
    contests: list[Contest] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    app: App | None = None
    problems: list[str] = field(default_factory=list)  # what could not be measured, a sentence each
    complete: bool = False

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote. Raises `ValueError` when it is something else."""
        try:
            return _revive(cls, json.loads(path.read_text(encoding="utf-8")))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a file that 'revmd bench --json' wrote.") from error


_PARTS = {
    "contests": Contest,
    "rows": Row,
    "agreement": Agreement,
    "starts": Start,
    "growth": Growth,
    "latencies": Latency,
    "frames": Frames,
    "memory": Resident,
    "app": App,
}


def _revive(kind, values: Any):
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} is made of named values")
    known = {f.name for f in dataclasses.fields(kind)}
    revived = {}
    for name, value in values.items():
        if name not in known:
            raise KeyError(name)
        part = _PARTS.get(name)
        if part is not None and isinstance(value, list):
            value = [_revive(part, item) for item in value]
        elif name == "app" and isinstance(value, dict):
            value = _revive(App, value)
        revived[name] = value
    return kind(**revived)


def begin(command: str) -> Results:
    """Empty results of this machine, now."""
    now = datetime.datetime.now(datetime.UTC)
    return Results(command=command, machine=machine(), date=now.strftime("%Y-%m-%d %H:%M UTC"))


def machine() -> dict[str, Any]:
    """What a reader must know of the machine to read the numbers."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": usable_cores(),
        "memory_bytes": _memory(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("revmd", "jax", "jaxlib", "numpy", "panel", "nglview")},
        "load_at_start": load,
    }


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _memory() -> int | None:
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
