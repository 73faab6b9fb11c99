"""What a sweep is: a task, its settings, a grid of values, and how often each point is repeated. Kept as TOML.

    task = "gradients"
    seed = 0
    replicas = 2

    [settings]            # of the task; what is left out has its default
    system = "water"

    [grid]                # settings or parameters of the potential; every combination is a point
    sigma = [0.301, 0.308]
    charge = [-0.834, -0.784]

A name with a point in it (gradient.estimator of the task "train", 2.k) may be written with quotes or as TOML's own
table; both mean the same.

A point is known by a hash of everything that its result depends on, and its random numbers are derived from that
hash: they depend neither on the order of the points nor on who computes them, and a grid can be extended later.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tomllib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from revmd_app.sweeps.tasks import TASKS, check_settings

MAX_POINTS = 100_000
SECTIONS = {"task": str, "seed": int, "replicas": int, "settings": dict, "grid": dict}


class Point(NamedTuple):
    """One thing to compute: values by name, which repeat it is, its hash and the seed of its random numbers."""

    values: dict[str, Any]
    replica: int
    name: str
    seed: int

    def __str__(self) -> str:
        return ", ".join([*(f"{key} {value}" for key, value in self.values.items()), f"replica {self.replica}"])


@dataclass(frozen=True)
class Sweep:
    """A task at every point of a grid. `settings` are complete once made: defaults are filled in.

    Raises `ValueError` in one sentence for what cannot be: an unknown task or setting, a wrong type, an empty grid.
    """

    task: str
    settings: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list] = field(default_factory=dict)
    replicas: int = 1
    seed: int = 0

    def __post_init__(self):
        for name, kind in SECTIONS.items():
            _check_type(name, getattr(self, name), kind)
        if self.task not in TASKS:
            raise ValueError(f"there is no task '{self.task}' to sweep; there are {', '.join(TASKS)}.")
        _check_count("replicas", self.replicas, 1)
        _check_count("seed", self.seed, 0)
        _check_grid(self.grid)
        complete = check_settings(self.task, self.settings, self.grid)
        object.__setattr__(self, "settings", complete)
        n = self.replicas * math.prod(len(values) for values in self.grid.values())
        if n > MAX_POINTS:
            raise ValueError(f"a sweep of {n:,} points is more than the {MAX_POINTS:,} that are allowed.")

    def points(self) -> list[Point]:
        """Every combination of the grid, in its order; the repeats of each together."""
        sets = [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]
        return [self._point(values, replica) for values in sets for replica in range(self.replicas)]

    def _point(self, values: dict[str, Any], replica: int) -> Point:
        settings = {name: value for name, value in self.settings.items() if name not in values}
        known_by = [self.task, settings, values, replica, self.seed]
        digest = hashlib.sha256(json.dumps(known_by, sort_keys=True).encode()).digest()
        return Point(values, replica, digest[:10].hex(), int.from_bytes(digest[10:17], "big"))


def _check_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        said = {str: "a text", int: "a whole number", dict: "a table"}[kind]
        raise ValueError(f"'{name}' of a sweep is {said}, not {value!r}.")


def _check_count(name: str, value: int, at_least: int) -> None:
    if not at_least <= value < 2**62:
        raise ValueError(f"'{name}' of a sweep is a whole number of at least {at_least}, not {value}.")


def _check_grid(grid: dict[str, Any]) -> None:
    if not grid:
        raise ValueError("the grid of this sweep is empty: give at least one name a list of values under [grid].")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"'{name}' in the grid needs a list of values with at least one in it, not {values!r}.")
        if any(isinstance(value, list | dict) for value in values):
            raise ValueError(f"'{name}' in the grid holds a list or a table: values are numbers, texts or true/false.")
        if any(isinstance(value, float) and not math.isfinite(value) for value in values):
            raise ValueError(f"'{name}' in the grid holds a value that is not finite.")
        if len({isinstance(value, bool | str) and type(value) for value in values}) > 1:
            raise ValueError(f"'{name}' in the grid mixes numbers with texts or true/false: {values}.")
        if len({json.dumps(value) for value in values}) < len(values):
            raise ValueError(f"'{name}' in the grid names a value twice: {values}; use replicas to repeat a point.")


def from_toml(text: str) -> Sweep:
    """The sweep that a TOML text describes. Raises `ValueError` in one sentence when it describes none."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"this is no TOML: {error}.") from error
    unknown = [name for name in given if name not in SECTIONS]
    if unknown:
        raise ValueError(f"a sweep has no '{unknown[0]}'; it has {', '.join(SECTIONS)}.")
    if "task" not in given:
        raise ValueError(f'a sweep needs a task: add a line such as task = "gradients"; there are {", ".join(TASKS)}.')
    for name in ("settings", "grid"):
        if isinstance(given.get(name), dict):
            given[name] = _flat(given[name])
    return Sweep(**given)


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found


def to_toml(sweep: Sweep) -> str:
    """The text from which `from_toml` makes the same sweep."""
    import tomli_w

    return tomli_w.dumps({name: getattr(sweep, name) for name in SECTIONS})


PAPER_GRID = {
    "sigma": [0.301, 0.308, 0.315, 0.322, 0.329],
    "epsilon": [0.436, 0.536, 0.636, 0.736, 0.836],
    "charge": [-0.934, -0.884, -0.834, -0.784, -0.734],
}
"""The 125 sets of parameters of Greener, PNAS 122, e2426058122 (2025), figures 1C-E and S1."""

WATER = {"system": "water", "size": 64, "cutoff": 0.55, "time_step": 0.001, "temperature": 295.15, "friction": 1.0}
"""Laptop size: 64 molecules, and a cutoff that leaves the box room to shrink."""

FORCE_FIELDS = (
    *("lennard_jones", "lennard_jones_reversible", "lennard_jones_reweighting"),
    *("double_exponential", "double_exponential_reversible", "buckingham", "buckingham_reversible"),
    *("soft_core", "soft_core_reversible"),
)
"""The starts whose trained parameters were released, and these (`revmd_app.systems.force_fields`)."""

STUDIES: dict[str, dict[str, Any]] = {
    "water-gradients": {
        "task": "gradients",
        "replicas": 2,
        "settings": {
            **WATER,
            "equilibration": 1000,
            "barostat": 9000,
            "steps": 20_000,
            "every": 800,
            "truncate": [50, 100, 200],
        },
        "grid": PAPER_GRID,
    },
    "water-truncation": {
        "task": "gradients",
        "replicas": 1,
        "settings": {
            **WATER,
            "equilibration": 100,
            "barostat": 0,
            "steps": 1000,
            "every": 1000,
            "reweighting": False,
            "truncate": [50, 100, 200, 500, 750, 1000],
        },
        "grid": PAPER_GRID,
    },
    "water-training": {
        "task": "train",
        "replicas": 2,
        "settings": {"train": "water", "preset": "lab", "optimiser.epochs": 30, "optimiser.schedule": "constant"},
        "grid": {
            "gradient.estimator": ["reversible", "reweighting"],
            "optimiser.learning_rate": [0.001, 0.002, 0.005],
        },
    },
    "water-force-fields": {
        "task": "evaluate",
        "replicas": 3,
        "settings": {"protocol": "laptop", "cutoff": 0.84},  # 0.88 does not fit where Buckingham's start is so dense
        "grid": {"force_field": list(FORCE_FIELDS)},
    },
}
"""Sweeps with a name, as `Sweep` takes them."""


def named(name: str) -> Sweep:
    """The study of that name. Raises `ValueError` when there is none."""
    if name not in STUDIES:
        raise ValueError(f"there is no study '{name}' and no such file; the studies are {', '.join(STUDIES)}.")
    return Sweep(**STUDIES[name])
