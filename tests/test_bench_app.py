"""`revmd bench app` in a real browser, in a process of its own: Playwright's loop is taken by the other tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from revmd_app.bench.records import Results


@pytest.mark.browser
def test_the_app_is_measured(tmp_path):
    path = tmp_path / "app.json"
    command = [sys.executable, "-m", "revmd_app", "bench", "app", "--quick", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stderr
    app = Results.load(path).app
    assert app.problem == ""
    assert 0 < app.starts["server answers, cold"] < app.starts["first canvas, cold"]
    assert app.starts["first canvas, warm"] < app.starts["first moving frame, warm"]
    assert [latency.name for latency in app.latencies] == ["the new curve", "the new dynamics"]
    assert all(0 < ms < 60_000 for latency in app.latencies for ms in latency.milliseconds)
    assert app.frames[0].applied > 0
    assert app.memory[-1].rss > app.memory[-1].pss > 50e6
