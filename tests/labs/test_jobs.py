"""Work in a child process: messages, controls, cancelling, and every way to fail."""

import os
import time
from pathlib import Path

import pytest

from revmd_app.labs.sentences import as_sentence
from revmd_app.labs.widgets.jobs import Job


@pytest.fixture
def start(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    jobs = []

    def begin(task, request=None):
        jobs.append(Job(f"job_tasks:{task}", request))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.stop()


def wait_for(job, kind, seconds=60):
    """Poll until a message of this kind comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        messages = job.poll()
        if kind in messages:
            return messages[kind]
        time.sleep(0.02)
    raise AssertionError(f"no {kind} in {seconds} s")


def ended(process, seconds=10):
    process.join(seconds)
    return not process.is_alive()


def test_controls_go_there_and_messages_come_back(start):
    job = start("echo", {"a": 1})
    assert wait_for(job, "frame") == {"a": 1}
    job.send({"a": 2})
    assert wait_for(job, "frame") == {"a": 2}


def test_the_latest_message_wins_and_the_end_is_seen(start):
    job = start("count", 500)
    assert wait_for(job, "done") is None
    assert not job.running


def test_an_error_is_one_sentence(start):
    assert wait_for(start("refuse"), "error") == "The box is too small: use a larger one."


def test_a_fault_of_the_program_is_said_to_be_one(start):
    assert wait_for(start("fault"), "error").startswith("The calculation stopped with a fault of the program")


def test_a_dead_child_is_noticed(start):
    assert "exit code 7" in wait_for(start("vanish"), "error")


def test_stop_ends_a_child_that_does_not_listen(start):
    job = start("sleep")
    began = time.monotonic()
    job.stop()
    assert ended(job._process)
    assert time.monotonic() - began < 10
    assert job.poll() == {}


def test_the_child_is_nice_and_uses_one_thread(start):
    seen = wait_for(start("environment"), "frame")
    assert seen["nice"] > os.nice(0)
    assert "multi_thread_eigen=false" in seen["flags"]
    assert seen["pid"] != os.getpid()


def test_sentences():
    assert as_sentence(ValueError("no\n  such thing")) == "No such thing."
    assert as_sentence(MemoryError()).startswith("There is not enough memory")
    assert as_sentence(KeyError()) == "KeyError."
