"""`revmd bench app`: the app in a real browser, timed as a person meets it, from the command to the moving atoms."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from revmd_app.bench import resident
from revmd_app.bench.contest import Say
from revmd_app.bench.records import App, Frames, Latency

CURVE, DYNAMICS = "the new curve", "the new dynamics"
BARS = {CURVE: 100.0, DYNAMICS: 200.0}
"""Milliseconds in which each shall follow a slider."""
MOVES = 14
BETWEEN_MOVES = 500
"""Milliseconds of rest between two moves of a slider."""
WATCH = 6.0
"""Seconds over which frames are counted."""
PATIENCE = 120_000
"""Milliseconds that anything may take."""
FRAME_SYSTEMS = ("Argon, 108 atoms", "Argon, 500 atoms")
USES = {
    "1  Tune": "",
    "2  Rewind": "Run",
    "3  Gradients": "Compare",
    "4  Learn": "Start training",
    "5  Diffuse": "Train",
}
"""Tabs of the page, and the button that makes the lab work."""
FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WATCHERS = Path(__file__).with_name("watchers.js")
"""What is added to the page before it loads; the file says why."""


def measure_app(say: Say, quick: bool = False) -> App:
    """Start the app twice and drive it; what cannot be measured is told in `App.problem`."""
    app = App()
    try:
        from playwright.sync_api import Error as BrowserError
        from playwright.sync_api import sync_playwright
    except ImportError:
        app.problem = "Playwright is not installed: pip install 'revmd[bench]' brings it."
        return app
    try:
        with sync_playwright() as driver, tempfile.TemporaryDirectory(prefix="revmd-bench-") as cache:
            browser = driver.chromium.launch(args=list(FLAGS), executable_path=system_browser())
            app.browser = f"Chromium {browser.version}, headless, software rendering"
            for kind in ("cold", "warm"):
                say(f"start with a {kind} cache of compiled programs")
                with _served(Path(cache)) as (server, url, began), _opened(browser) as page:
                    _time_start(page, url, began, kind, app)
                    if kind == "warm":
                        _use(page, server, app, say, quick)
    except (BrowserError, WaitingError, OSError) as error:
        app.problem += f"The app could not be measured to the end: {str(error).strip().splitlines()[0]}"
    return app


class WaitingError(RuntimeError):
    """Something that should have happened did not."""


def system_browser() -> str | None:
    """The Chromium or Chrome of this machine; None means the one that Playwright installed."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for path in (shutil.which(name) for name in names if name) if path), None)


@contextlib.contextmanager
def _served(cache: Path) -> Iterator[tuple[subprocess.Popen, str, float]]:
    """(server, address, when it was started) of an app whose caches are in a folder of their own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "revmd_app", "app", "--no-browser", "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(cache)
    began = time.perf_counter()
    with (cache / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield server, f"http://localhost:{port}/", began
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextlib.contextmanager
def _opened(browser):
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.set_default_timeout(PATIENCE)
    page.add_init_script(path=WATCHERS)
    try:
        yield page
    finally:
        page.close()


def _time_start(page, url: str, began: float, kind: str, app: App) -> None:
    """From the command to the answering server, the canvas, and the second frame: the first that has moved."""
    end = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            break
        except OSError as error:
            if time.monotonic() > end:
                raise WaitingError("the app's server did not answer.") from error
            time.sleep(0.05)
    app.starts[f"server answers, {kind}"] = time.perf_counter() - began
    page.goto(url)
    page.locator(".revmd-atoms canvas").first.wait_for()
    app.starts[f"first canvas, {kind}"] = time.perf_counter() - began
    page.wait_for_function("() => (revmdWatch.viewer()?.frames ?? 0) >= 2", polling=20)
    app.starts[f"first moving frame, {kind}"] = time.perf_counter() - began


def _use(page, server, app: App, say: Say, quick: bool) -> None:
    """Move a slider, count frames, and use every lab that the page has."""
    page.wait_for_timeout(2000)
    say("slider to curve and to dynamics")
    app.latencies += _latencies(page, 3 if quick else MOVES)
    for system in FRAME_SYSTEMS[: 1 if quick else None]:
        say(f"frames a second of {system}")
        app.frames.append(_count_frames(page, system))
    app.memory.append(resident.of(server.pid, "after lab 1"))
    for tab, button in USES.items():
        if button and page.get_by_text(_short(tab), exact=False).first.is_visible():
            say(f"memory after {_short(tab)}")
            page.get_by_text(_short(tab), exact=False).first.click()
            if not _pressed(page, button):
                app.problem += f"The button '{button}' of {_short(tab)} did not come, so the lab was only opened. "
            page.wait_for_timeout(3000 if quick else 20_000)
            app.memory.append(resident.of(server.pid, f"after labs 1 to {tab[0]}"))


def _short(tab: str) -> str:
    return " ".join(tab.split())


def _pressed(page, button: str) -> bool:
    """Press the button that sets the lab to work, once it is there."""
    end = time.monotonic() + PATIENCE / 2000
    while time.monotonic() < end:
        for found in page.get_by_role("button", name=button).all():
            if found.is_visible() and found.is_enabled():
                found.click()
                return True
        page.wait_for_timeout(200)
    return False


def _latencies(page, moves: int) -> list[Latency]:
    """Milliseconds from the key that moves the slider of ε to the curve and to the frame that know of it."""
    page.evaluate("() => revmdWatch.curve('now u')")
    slider = page.get_by_role("slider").nth(1)
    slider.focus()
    seen: dict[str, list[float]] = {CURVE: [], DYNAMICS: []}
    for move in range(moves + 1):
        before = page.evaluate("() => ({epoch: revmdWatch.viewer().epoch, curves: revmdWatch.curves})")
        page.keyboard.press("ArrowLeft" if move % 2 else "ArrowRight")
        page.wait_for_function(
            "b => revmdWatch.viewer().epoch > b.epoch && revmdWatch.curves > b.curves", arg=before, polling=10
        )
        times = page.evaluate(
            "() => [revmdWatch.curveAt - revmdWatch.keyAt, revmdWatch.viewer().since - revmdWatch.keyAt]"
        )
        if move:  # the first opens a new gesture: a ghost is drawn
            for what, milliseconds in zip(seen, times, strict=True):
                seen[what].append(milliseconds)
        page.wait_for_timeout(BETWEEN_MOVES)
    return [Latency(what, values, BARS[what]) for what, values in seen.items()]


def _count_frames(page, system: str) -> Frames:
    """Frames applied and painted a second, once the system runs smoothly."""
    page.get_by_label("System").first.select_option(system)
    page.wait_for_timeout(1000)
    applied = "() => revmdWatch.viewer().frames"
    first = page.evaluate(applied)
    page.wait_for_function("n => revmdWatch.viewer().frames > n + 30", arg=first, polling=100)
    both = "() => [performance.now(), revmdWatch.viewer().frames, revmdWatch.painted]"
    began, applied_before, painted_before = page.evaluate(both)
    page.wait_for_timeout(1000 * WATCH)
    ended, applied_after, painted_after = page.evaluate(both)
    seconds = (ended - began) / 1000
    return Frames(system, (applied_after - applied_before) / seconds, (painted_after - painted_before) / seconds)
