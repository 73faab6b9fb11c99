"""What all labs share: a model, a job in a child process, and a mailbox that is looked into while the page is open."""

from __future__ import annotations

from typing import Any, ClassVar

import panel as pn
import param

from revmd_app.labs.model import LabModel
from revmd_app.labs.widgets.jobs import Job

__all__ = ["Lab", "LabModel"]


class Lab(pn.viewable.Viewer):
    """A lab's view over its model. Works in a served page and in a notebook cell.

    Subclasses set `name`, lay out their widgets in `_layout`, and say in `receive` what a message means. `shown` is
    False while another tab hides the lab: its job goes on, but nothing needs to be drawn.
    """

    name = param.String(default="lab", doc="The lab in an address.")
    shown = param.Boolean(default=True, doc="Whether the lab can be seen.")
    period: ClassVar[int] = 100
    """Milliseconds between two looks into the mailbox."""

    model: LabModel
    _layout: pn.viewable.Viewable

    def __init__(self, model: LabModel):
        super().__init__()
        self.model = model
        self.job: Job | None = None
        self._callback: Any = None

    def start(self) -> None:
        """Listen to the job. In a served page everything ends with the session, in a notebook with `stop`."""
        if self._callback is None:
            self._callback = pn.state.add_periodic_callback(self._look, self.period)
            if pn.state.curdoc is not None:
                pn.state.on_session_destroyed(lambda _: self.stop())

    def stop(self) -> None:
        """End the job, the listening, and what `close` ends. Safe to call twice."""
        if self._callback is not None:
            self._callback.stop()
            self._callback = None
        self.halt()
        self.close()

    def begin(self, task: str, request: Any) -> None:
        """Run `task` ("module:function") in a new child process, in place of the one before."""
        self.halt()
        self.job = Job(task, request)
        self.start()

    def halt(self) -> None:
        """End the job, if there is one."""
        if self.job is not None:
            self.job.stop()
            self.job = None

    def _look(self) -> None:
        messages = self.job.poll() if self.job is not None else {}
        if messages:
            self.receive(messages)

    def receive(self, messages: dict[str, Any]) -> None:
        """Show what came since the last look: of each kind of message the latest."""

    def close(self) -> None:
        """End what only this lab has: a viewer's threads."""

    def __panel__(self):
        return self._layout
