"""What every lab does: one job at a time, a mailbox, an end that ends everything."""

import time
from pathlib import Path

import panel as pn
import pytest

from revmd_app.labs.base import Lab
from revmd_app.labs.model import LabModel


class Bench(Lab):
    """A lab that keeps what it receives."""

    def __init__(self):
        super().__init__(LabModel())
        self._layout = pn.Column()
        self.received, self.closed = [], 0

    def receive(self, messages):
        self.received.append(messages)

    def close(self):
        self.closed += 1


@pytest.fixture
def lab(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    beats = []

    class Beat:
        """A periodic callback that the test calls itself."""

        def __init__(self, look):
            self.look, self.stopped = look, False

        def stop(self):
            self.stopped = True

    def add(look, period):
        beats.append(Beat(look))
        return beats[-1]

    monkeypatch.setattr(type(pn.state), "add_periodic_callback", lambda _, look, period: add(look, period))
    lab = Bench()
    lab.beats = beats
    yield lab
    lab.stop()


def alive(job):
    return job._process.is_alive()


def look_until(lab, kind, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lab.beats[-1].look()
        for messages in lab.received:
            if kind in messages:
                return messages[kind]
        time.sleep(0.02)
    raise AssertionError(f"no {kind} in {seconds} s")


def test_a_job_begins_with_its_listening_and_its_messages_are_received(lab):
    lab.begin("job_tasks:echo", {"a": 1})
    assert look_until(lab, "frame") == {"a": 1}
    assert len(lab.beats) == 1
    lab.start()
    assert len(lab.beats) == 1


def test_another_job_ends_the_one_before(lab):
    lab.begin("job_tasks:echo", {"a": 1})
    before = lab.job
    lab.begin("job_tasks:echo", {"a": 2})
    before._process.join(10)
    assert not alive(before)
    assert look_until(lab, "frame") == {"a": 2}


def test_stop_ends_job_and_listening_and_may_come_twice(lab):
    lab.begin("job_tasks:echo", {"a": 1})
    job = lab.job
    lab.stop()
    lab.stop()
    job._process.join(10)
    assert not alive(job)
    assert lab.job is None
    assert lab.beats[0].stopped
    assert lab.closed == 2


def test_nothing_is_received_when_nothing_came(lab):
    lab.start()
    lab.beats[-1].look()
    assert lab.received == []
