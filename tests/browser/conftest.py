"""A real browser on a real server: started as a person starts it, cut off from the network, watched for errors."""

import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

LOCAL = re.compile(r"^(https?|wss?)://(localhost|127\.0\.0\.1)(:\d+)?/")
PATIENCE = 120_000
"""Milliseconds that a slow machine may take for anything."""


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    """The smallest screen for which the page is made."""
    return {**browser_context_args, "viewport": {"width": 1366, "height": 768}}


@pytest.fixture(scope="session")
def app_url(tmp_path_factory):
    """The address of an app served by the command line."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [sys.executable, "-m", "revmd_app", "app", "--no-browser", "--address", "localhost", "--port", str(port)]
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out)
    url = f"http://localhost:{port}/"
    try:
        _wait_for(server, url, log)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(server, url, log, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=60)
            return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"no answer from {url}:\n{log.read_text()}")


@pytest.fixture
def offline_page(context, page):
    """A page whose every request to another host is aborted and remembered, as are errors in its scripts."""
    page.external, page.errors = [], []

    def guard(route):
        address = route.request.url
        if address.startswith(("data:", "blob:")) or LOCAL.match(address):
            route.continue_()
        else:
            page.external.append(address)
            route.abort()

    context.route("**/*", guard)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: "Unhandled ERROR" in message.text and page.errors.append(message.text))
    page.set_default_timeout(PATIENCE)
    yield page
    assert page.external == []
    assert page.errors == []
