"""The time machine behind Lab 2, in its own process: it drives all clocks to the step that the page asks for.

The page states a wish, which may change at any time: a route of steps to go to (and bits to flip on the way), the
controls, a speed. The bench goes a little way, looks for a new wish, and posts what there is to see.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from revmd_app.engine.loops import SimulationError
from revmd_app.engine.restart import Recorder
from revmd_app.labs.rewind_clocks import CLOCKS, EXACT, FLIPPED, NEAR, Clocks, key_of
from revmd_app.labs.rewind_systems import SYSTEMS, case_of
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets.jobs import Link

PICTURES_PER_SECOND = 25.0
LONGEST_STRIDE = 250
"""Steps between two looks at the page's wishes; few enough that the tape of a stride has one size."""
FINE_STRIDE = 20
"""Steps between two measurements while a flipped bit spreads."""
SPREAD_ENDS = 0.2
"""nm. Beyond this distance two runs have nothing in common any more."""
ROWS = ("off", "order", "astray")
"""Of every clock: its distance from the start, the order that is left, how far the way back is off the way out."""


def run(link: Link, request: dict[str, Any]) -> None:
    """Serve the page until it ends us.

    Posts "busy" (a text), "frame" (a dict), "exploded" and "refused" (sentences), "opened" (a dict) and "file" (bytes).
    """
    bench = Bench(link)
    bench.follow(request)
    while True:
        bench.follow(link.controls(wait=0.0 if bench.moving else 0.25))
        if bench.moving:
            bench.go_on()


class Series:
    """What was measured at the steps of a grid, on the way out and on the way back; NaN where nobody has been."""

    def __init__(self, length: int, every: int):
        self.every, self.size = every, length // every + 1
        empty = lambda: np.full((2, self.size), np.nan, np.float32)
        self.values = {f"{row} {name}": empty() for row in ROWS for name in CLOCKS}
        self.tape = np.full((2, self.size), np.nan)  # bits on the tape, bits burnt
        self.way_out: dict[tuple[str, int], np.ndarray] = {}

    def next_after(self, step: int, forwards: bool) -> int:
        """The next step of the grid in this direction."""
        return (step // self.every + 1) * self.every if forwards else (-(-step // self.every) - 1) * self.every

    def note(self, clocks: Clocks, backwards: bool) -> None:
        """Measure the clocks, if their step is on the grid."""
        at, rest = divmod(clocks.step, self.every)
        if rest or at >= self.size:
            return
        self.tape[:, at] = clocks.tape()
        for name in clocks.names():
            if name not in clocks.lost:
                self.values[f"off {name}"][int(backwards), at] = np.sqrt(np.mean(clocks.off(name) ** 2))
                self.values[f"order {name}"][int(backwards), at] = clocks.order(name)
                self._compare_ways(clocks, name, at, backwards)

    def _compare_ways(self, clocks: Clocks, name: str, at: int, backwards: bool) -> None:
        """How far a clock on its way back is from where it was at this step on its way out."""
        if name == FLIPPED:
            astray = float(np.sqrt(np.mean(clocks.apart() ** 2)))
        elif not backwards:
            self.way_out[name, at] = clocks.coordinates(name)
            return
        elif (name, at) in self.way_out:
            astray = clocks.between(self.way_out[name, at], name)
        else:
            return
        self.values[f"astray {name}"][1, at] = astray


class Bench:
    """All clocks under the page's wishes."""

    def __init__(self, link: Link):
        self.link = link
        self.asked: dict[str, Any] = {}
        self.route: list[dict[str, Any]] = []
        self.compiled: set[str] = set()
        self.system = ""
        self.posted = 0.0

    @property
    def moving(self) -> bool:
        """Whether there is somewhere to go."""
        return bool(self.route)

    # -------------------------------------------------------------------------------------------------------- wishes

    def follow(self, asked: dict[str, Any] | None) -> None:
        """Take over a new wish; None when there is none."""
        if asked is None:
            return
        before, self.asked = self.asked, asked
        new = lambda *names: any(asked[name] != before.get(name) for name in names)
        if new("file_id") and asked["file"] is not None:
            self._open(asked["file_name"], asked["file"])
        elif new("restarts"):
            self._begin(asked["system"], asked["controls"])
        elif new("touched"):
            self._turn(asked["controls"])
        if new("length", "every"):
            self._new_series()
        if new("route_id"):
            self._set_out(asked["route"])
        self.show()

    def _begin(self, system: str, controls: dict[str, float]) -> None:
        if system != self.system:
            self.link.post("busy", "Preparing the atoms …")
        self.clocks = Clocks(case_of(system, controls["temperature"]), controls, key_of(self.asked["seed"]))
        self._take_over(system)

    def _take_over(self, system: str) -> None:
        self.same_future = None
        self.system, self.route, self.failed, self.words = system, [], "", ""
        self.furthest: Any = None
        if system not in self.compiled:
            self.clocks.compile(lambda words: self.link.post("busy", words))
            self.compiled.add(system)
        self._new_series()

    def _new_series(self) -> None:
        self.series = Series(self.asked["length"], self.asked["every"])
        self.spread: list[tuple[int, float, float, int]] = []
        self.backwards = False
        self.series.note(self.clocks, False)

    def _turn(self, controls: dict[str, float]) -> None:
        """Other controls from here on. Before the first step they make another start."""
        if not self.clocks.moved:
            self._begin(self.system, controls)
            return
        self.clocks.turn(controls)
        self.furthest = None
        self.failed = ""

    def _set_out(self, route: list[dict[str, Any]]) -> None:
        self.route = [dict(leg) for leg in route]
        self._start_leg()

    def _start_leg(self) -> None:
        self.leg_began, self.leg_from = time.monotonic(), self.clocks.step
        self._skip_legs_done()

    def _skip_legs_done(self) -> None:
        """Flip what is due, and drop legs whose goal is reached."""
        while self.route:
            leg = self.route[0]
            if "flip" in leg:
                self._flip(*leg["flip"])
            elif leg["to"] != self.clocks.step:
                return
            self.route.pop(0)
            self.leg_began, self.leg_from = time.monotonic(), self.clocks.step
        self._rest()

    def _flip(self, atom: int, component: int, bit: int) -> None:
        self.clocks.flip(atom, component, bit)
        for row in ROWS:
            self.series.values[f"{row} {FLIPPED}"][:] = np.nan
        self.spread, self.spread_time = [], 0.0
        self._note_spread()

    # ---------------------------------------------------------------------------------------------------------- time

    def go_on(self) -> None:
        """A stride towards the goal of the first leg; a picture when one is due."""
        began, clocks = time.monotonic(), self.clocks
        goal = self.route[0]["to"]
        forwards = goal > clocks.step
        n = self._stride(goal, forwards)
        try:
            (clocks.forward if forwards else clocks.backward)(n)
        except (SimulationError, ValueError) as error:
            self.failed, self.route = as_sentence(error), []
            self.link.post("exploded", self.failed)
            self.show()
            return
        self.backwards = not forwards
        self._note(n)
        self._say()
        if clocks.step == goal:
            self.route.pop(0)
            self._start_leg()
        slow = self.asked["pace"] > 0 and self.moving
        if slow or not self.moving or began - self.posted > 1 / PICTURES_PER_SECOND:
            self.show()
        if slow:
            time.sleep(max(0.0, 1 / PICTURES_PER_SECOND - (time.monotonic() - began)))

    def _stride(self, goal: int, forwards: bool) -> int:
        """Steps to the next thing to do: the goal, the grid, the end of a picture, or of a short stride."""
        step = self.clocks.step
        stops = [abs(goal - step), abs(self.series.next_after(step, forwards) - step), LONGEST_STRIDE]
        if self.asked["pace"]:
            stops.append(self.asked["pace"])
        if self.spreading:
            stops.append(FINE_STRIDE)
        return min(stops)

    @property
    def spreading(self) -> bool:
        """Whether the flipped bit has not yet reached everything."""
        clocks = self.clocks
        return clocks.twin is not None and FLIPPED not in clocks.lost and self.spread[-1][2] < SPREAD_ENDS

    def _note(self, n: int) -> None:
        self.series.note(self.clocks, self.backwards)
        if self.clocks.twin is not None and FLIPPED not in self.clocks.lost:
            self.spread_time += n * float(self.clocks.exact.settings.dt)
            if self.spreading or self.clocks.step % self.series.every == 0:
                self._note_spread()
        self._compare_with_the_future()

    def _note_spread(self) -> None:
        apart = self.clocks.apart()
        row = (self.clocks.step, self.spread_time, float(np.sqrt(np.mean(apart**2))), int((apart > NEAR).sum()))
        self.spread.append(row)

    def _compare_with_the_future(self) -> None:
        """Whether a run that went back and forward again has come to the very state in which it had been."""
        state, known = self.clocks.exact.state, self.furthest
        step = int(state.step)
        if self.backwards or (known is not None and step < int(known.step)):
            return
        self.same_future = None
        if known is not None and step == int(known.step):
            self.same_future = all(
                np.array_equal(getattr(state, f), getattr(known, f)) for f in ("position", "velocity")
            )
        if known is None or step > int(known.step):
            self.furthest = state

    same_future: bool | None = None

    def _say(self) -> None:
        """How it got here."""
        steps = abs(self.clocks.step - self.leg_from)
        seconds = time.monotonic() - self.leg_began
        way = "backwards" if self.backwards else "forwards"
        self.words = f"computed {way}: {steps:,} steps in {seconds:.1f} s"

    def _rest(self) -> None:
        """At a standstill the run can be saved."""
        with tempfile.TemporaryDirectory(prefix="revmd-") as folder:
            path = Path(folder) / "run.npz"
            self.clocks.exact.save(path)
            self.link.post("file", {"step": self.clocks.step, "system": self.system, "bytes": path.read_bytes()})

    # ------------------------------------------------------------------------------------------------------ pictures

    def show(self) -> None:
        """Post where everything is."""
        clocks = self.clocks
        names = clocks.names()
        off = {name: clocks.off(name).astype(np.float32) for name in names}
        if FLIPPED in names:
            off["apart"] = clocks.apart().astype(np.float32)
        at_start = clocks.step == clocks.exact.start
        self.posted = time.monotonic()
        frame = {
            "restarts": self.asked["restarts"],
            "route_id": self.asked["route_id"],
            "touched": self.asked["touched"],
            "system": self.system,
            "step": clocks.step,
            "moved": clocks.moved,
            "moving": self.moving,
            "goal": self.route[0].get("to", clocks.step) if self.route else clocks.step,
            "backwards": self.backwards,
            "words": self.words,
            "controls": clocks.controls(),
            "changes": clocks.changes(),
            "positions": {name: clocks.positions(name).astype(np.float32) for name in names},
            "off": off,
            "lost": dict(clocks.lost),
            "order": {name: clocks.order(name) for name in names},
            "identical": clocks.identical() if at_start else None,
            "identical flipped": clocks.identical(FLIPPED)
            if at_start and FLIPPED in names and FLIPPED not in clocks.lost
            else None,
            "same future": self.same_future,
            "box": np.asarray(clocks.system.box),
            "species": list(clocks.system.species_of_atoms),
            "molecule": np.asarray(clocks.system.molecule),
            "tape": clocks.tape(),
            "tape bytes": clocks.exact.tape_bytes,
            "every": self.series.every,
            "series": self.series.values,
            "tape series": self.series.tape,
            "flipped at": clocks.flipped_at if FLIPPED in names else None,
            "spread": np.array(self.spread, np.float64).reshape(-1, 4),
        }
        self.link.post("frame", frame)

    # --------------------------------------------------------------------------------------------------------- files

    def _open(self, name: str, content: bytes) -> None:
        """Take up a saved run: back to its start first, then the page lets it come forward again with all clocks."""
        self.link.post("busy", f"Taking the run of {name} back to its start …")
        try:
            system, run = read_run(name, content, self.asked["system"])
            end = run.state
            clocks = Clocks.of_run(case_of(system), run)
        except (ValueError, SimulationError, OverflowError) as error:
            self.link.post("refused", f"{as_sentence(error)} The run on the bench stays as it was.")
            return
        self.clocks = clocks
        clocks.moved = True
        self._take_over(system)
        self.furthest = end  # on coming forward again the run must meet the file's integers
        self.link.post("opened", {"system": system, "step": int(end.step), "file": name})


def read_run(name: str, content: bytes, first: str) -> tuple[str, Recorder]:
    """(key of the lab's system, run) of a restart file. Raises `ValueError` with one sentence when it is not one of
    ours."""
    with tempfile.TemporaryDirectory(prefix="revmd-") as folder:
        path = Path(folder) / "run.npz"
        path.write_bytes(content)
        failure = ""
        for key in (first, *(key for key in SYSTEMS if key != first)):
            case = case_of(key)
            try:
                return key, Recorder.load(path, case.system, case.potential)
            except ValueError as error:
                failure = failure or str(error).replace(str(path), name)
    raise ValueError(failure)


__all__ = ["EXACT", "Bench", "Series", "read_run", "run"]
