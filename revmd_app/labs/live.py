"""A simulation that a page steers while it runs, in the child process: a few steps, a picture, and again."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

from revmd_app.engine.integrator import Settings
from revmd_app.engine.loops import SimulationError
from revmd_app.engine.simulate import advance
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets.jobs import Link


class LiveSimulation(ABC):
    """One box under the page's controls. Posts "busy" (a text), "exploded" (a sentence) and what `show` posts.

    Subclasses take over the controls in `follow`, make some steps in `picture`, and post the present state in `show`.
    An explosion keeps the last good state and waits for a reset.
    """

    case: Any
    potential: Any
    key: Any

    def __init__(self, link: Link):
        self.link = link
        self.asked: dict[str, Any] = {}
        self.settings: Settings | None = None
        self.exploded = False
        self.known: set = set()  # what has been compiled

    @property
    def moving(self) -> bool:
        """Whether there is a step to make."""
        return self.asked["running"] and not self.exploded

    @abstractmethod
    def follow(self, asked: dict[str, Any] | None) -> None:
        """Take over new controls; None when there are none."""

    @abstractmethod
    def picture(self) -> None:
        """Some steps, then a frame."""

    @abstractmethod
    def show(self) -> None:
        """Post the present state."""

    def serve(self, request: dict[str, Any], pictures_per_second: float) -> None:
        """Simulate until the page ends this process."""
        self.follow(request)
        self.show()
        while True:
            began = time.monotonic()
            self.follow(self.link.controls(wait=0.0 if self.moving else 0.25))
            if self.moving:
                self.picture()
                time.sleep(max(0.0, 1 / pictures_per_second - (time.monotonic() - began)))

    def stepped(self, state, n_steps: int):
        """The state so many steps later. Raises `SimulationError` when they cannot be made."""
        state, _, report = advance(self.case.system, self.potential, self.settings, state, self.key, n_steps)
        report.check()
        return state

    def explode(self, why: str | SimulationError) -> None:
        """Stand still at the last good state, and say why."""
        self.exploded = True
        self.link.post("exploded", why if isinstance(why, str) else as_sentence(why))
