"""Long work in a child process of its own: niced, one core, its own JAX, results through a pipe.

The page's process never computes. A job runs a function `task(link, request)` named by "module:function" (so that the
page need not import it). The child posts messages of a few kinds; the page polls, and sees of each kind the latest.
Nothing here imports Panel or JAX: the child imports only what the task does.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import multiprocessing as mp
import os
import signal
import time
import traceback
from typing import Any

from revmd_app import processor
from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets import memory

NICENESS = 5


class Cancelled(Exception):
    """The page asked the job to end."""


class Link:
    """The child's end: post messages, read what the page asks for."""

    def __init__(self, connection):
        self._connection = connection

    def post(self, kind: str, payload: Any = None) -> None:
        """Send one message. Raises `Cancelled` when the page is gone."""
        try:
            self._connection.send((kind, payload))
        except OSError as error:
            raise Cancelled from error

    def controls(self, wait: float = 0.0) -> dict | None:
        """The latest controls, or None when nothing is new within `wait` seconds. Raises `Cancelled` at the end."""
        latest = None
        try:
            while self._connection.poll(wait if latest is None else 0):
                latest = self._connection.recv()
                if latest is None:
                    raise Cancelled
        except (EOFError, OSError) as error:
            raise Cancelled from error
        return latest

    def cancelled(self) -> bool:
        """Whether the page has asked for the end; any controls that came in between are lost."""
        try:
            self.controls()
        except Cancelled:
            return True
        return False


def _child(connection, task: str, request) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the page's; it ends us
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    memory.one_heap()
    processor.prepare()
    processor.keep_programs()
    link = Link(connection)
    try:
        module, name = task.split(":")
        getattr(importlib.import_module(module), name)(link, request)
        link.post("done")
    except Cancelled:
        pass
    except (ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        _last_words(link, as_sentence(error))
    except Exception as error:  # noqa: BLE001  (whatever it is, the page must say that the job is over)
        traceback.print_exc()
        _last_words(link, f"The calculation stopped with a fault of the program: {as_sentence(error)}")


def _last_words(link: Link, text: str) -> None:
    try:
        link.post("error", text)
    except Cancelled:
        logging.getLogger(__name__).info("nobody is left to hear: %s", text)


class Job:
    """The page's end of a job. `poll()` returns the latest message of each kind since the last poll."""

    def __init__(self, task: str, request: Any):
        context = mp.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_child, args=(theirs, task, request), daemon=True, name=f"revmd {task}")
        self._process.start()
        theirs.close()
        self.started = time.monotonic()
        self.running = True

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def send(self, controls: dict) -> None:
        """Change the controls; only the latest matter."""
        if self.running:
            try:
                self._connection.send(controls)
            except OSError:
                self.running = False

    def poll(self) -> dict[str, Any]:
        """The latest message of each kind. "error" carries a sentence; it and "done" end the job."""
        messages: dict[str, Any] = {}
        if not self.running:
            return messages
        try:
            while self._connection.poll():
                kind, payload = self._connection.recv()
                messages[kind] = payload
        except (EOFError, OSError):
            if "error" not in messages and "done" not in messages:
                messages["error"] = self._obituary()
        if "error" in messages or "done" in messages:
            self.stop()
        return messages

    def _obituary(self) -> str:
        self._process.join(1)
        code = self._process.exitcode
        if code == -getattr(signal, "SIGKILL", 9):
            return "The calculation was ended by the system, most likely for want of memory: make it smaller."
        return f"The calculation ended without a result (exit code {code})."

    def stop(self) -> None:
        """End the child, at once if need be. Safe to call twice."""
        self.running = False
        with contextlib.suppress(OSError, ValueError):  # it may be gone already
            self._connection.send(None)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(1)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(1)
        self._connection.close()
