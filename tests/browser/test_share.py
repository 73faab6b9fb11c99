"""Addresses in a real browser: they follow the controls, restore them, are copied, and may be wrong."""

import re
import time

import psutil
import pytest
from browser.watching import clock, moves, picture, wait_until

pytestmark = pytest.mark.browser


def settings(page):
    """The part of the address after "?"."""
    return page.evaluate("location.search")


def value_of(page, number):
    """What the title of a slider says."""
    return page.locator(".bk-slider-title").nth(number).inner_text()


@pytest.fixture
def page(offline_page):
    return offline_page


def test_the_address_follows_the_controls_and_restores_them(page, app_url, context):
    page.goto(app_url)
    moves(page)
    assert settings(page) == ""
    page.get_by_role("slider").nth(0).focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.get_by_label("Pair potential u(r)").select_option("Morse")
    page.get_by_text("r_m").first.wait_for()  # its own sliders are there
    page.get_by_role("slider").nth(1).focus()
    page.keyboard.press("ArrowRight")
    wait_until(page, lambda: "form=morse" in settings(page) and "r_m=" in settings(page), "an address that follows")
    assert "sigma" not in settings(page)  # Morse has none
    entries = page.evaluate("history.length")
    # Reading the clipboard waits for ever in a headless browser: look at what is handed to it.
    page.evaluate("navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }")
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Copied").wait_for()
    link = page.evaluate("window.copied")
    assert link == page.url
    assert page.evaluate("history.length") == entries
    title = value_of(page, 1)

    other = context.new_page()
    other.goto(link)
    other.get_by_text("r_m").first.wait_for()
    assert other.get_by_label("Pair potential u(r)").input_value() == "Morse"
    assert value_of(other, 1) == title
    wait_until(other, lambda: settings(other) == settings(page), "the same address")
    other.close()


def test_an_address_opens_its_lab_and_the_tab_changes_it(page, app_url):
    page.goto(f"{app_url}?lab=gradients")
    page.get_by_text("Loss L").first.wait_for()
    assert page.locator(".revmd-atoms").count() == 0  # no other lab is built
    page.get_by_text("1 Tune").click()
    moves(page)
    wait_until(page, lambda: settings(page) == "", "the address of the first lab")
    page.get_by_text("3 Gradients").click()
    wait_until(page, lambda: "lab=gradients" in settings(page), "the address of Lab 3")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("lab=nowhere", "There is no lab 'nowhere'; there are tune, rewind, gradients"),
        ("liquid=argon+100000", "System cannot be 'argon 100000'; it is one of: Argon, 108 atoms;"),
        ("sigma=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E", "Sigma (σ) must be a number from 0.25 to 0.42 nm, not '<img"),
        ("formula=__import__('os').system('true')&friction=2", "The formula cannot be used"),
    ],
)
def test_a_wrong_address_is_explained_and_the_lab_goes_on(page, app_url, query, words):
    page.goto(f"{app_url}?{query}")
    page.get_by_text(words).wait_for()
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_text(words).wait_for(state="hidden")
    moves(page)
    assert page.get_by_label("System").first.input_value() == "Argon, 108 atoms"
    if "friction" in query:
        assert settings(page) == "?lab=tune&friction=2.0"


def test_a_far_too_long_time_step_explodes_and_reset_mends_it(page, app_url):
    page.goto(f"{app_url}?time_step=120")
    page.get_by_text("The simulation exploded").wait_for()
    sentence = page.get_by_text("The simulation exploded").inner_text()
    assert "You see the last good state: press Reset" in sentence
    assert (picture(page) < 235).sum() > 3000  # atoms still stand there
    page.get_by_role("button", name="Reset").click()
    page.get_by_text("The simulation exploded").wait_for(state="hidden")
    moves(page)
    assert "4.00 fs" in page.get_by_text(re.compile("time step Δt")).first.inner_text()


def test_a_closed_tab_ends_its_simulation(page, app_url, context):
    port = app_url.split(":")[2].strip("/")
    command = lambda process: " ".join(process.info["cmdline"] or [])
    server = next(p for p in psutil.process_iter(["cmdline"]) if f"--port {port}" in command(p))
    alive = lambda process: process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    children = lambda: [child for child in server.children(recursive=True) if alive(child)]
    simulations = lambda: {child.pid for child in children() if "spawn_main" in " ".join(child.cmdline())}
    before = simulations()
    other = context.new_page()
    other.goto(app_url)
    other.get_by_text("t = ").first.wait_for()
    (mine,) = simulations() - before
    assert clock(other) > 0
    other.close()
    end = time.monotonic() + 60
    while mine in simulations() and time.monotonic() < end:
        time.sleep(0.5)
    assert mine not in simulations()
