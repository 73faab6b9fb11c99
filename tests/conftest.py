"""What all tests share: double precision, reproducible hypothesis examples, and the browser of the browser tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import hypothesis
import jax
import pytest

jax.config.update("jax_enable_x64", True)

# The same few examples in every run; a first example compiles, so time says nothing about an example.
hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# HYPOTHESIS_PROFILE=search looks further, with new examples in every run.
hypothesis.settings.register_profile(
    "search", parent=hypothesis.settings.get_profile("ci"), derandomize=False, max_examples=300, print_blob=True
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(items):
    """Whatever lies in tests/browser is a browser test, marked or not."""
    for item in items:
        if "browser" in item.path.parent.parts:
            item.add_marker(pytest.mark.browser)


def _system_browser() -> str | None:
    """The Chromium or Chrome of this machine; None means the one that Playwright installed. See .ci/browser."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for path in filter(None, (shutil.which(name) for name in names if name)):
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    """Headless Chromium with WebGL in software, which neither phones home nor needs a sandbox (CI runs as root)."""
    flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic"]
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    launch = {**browser_type_launch_args, "args": flags + quiet}
    path = _system_browser()
    return launch if path is None else {**launch, "executable_path": path}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    """A laptop's window."""
    return {**browser_context_args, "viewport": {"width": 1440, "height": 900}}


@pytest.fixture(autouse=True)
def _no_server_left(request):
    """Panel's server threads are no daemons: one left behind would keep pytest from ending."""
    yield
    if request.node.get_closest_marker("browser") and "panel" in sys.modules:
        sys.modules["panel"].state.kill_all_servers()
