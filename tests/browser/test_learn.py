"""Lab 4 in a browser: a training started, watched, paused and reset; the loss surface; replays; a shared link."""

import csv
import io

import pytest
from browser.watching import DATA, wait_until

pytestmark = pytest.mark.browser
MINUTES = 280_000


@pytest.fixture
def open_lab(offline_page, app_url):
    """Opens the lab with settings as in an address."""

    def opened(settings=""):
        offline_page.goto(f"{app_url}?lab=learn{settings}")
        offline_page.get_by_role("button", name="Loss surface").wait_for()
        return offline_page

    return opened


def points(page, source):
    """How many points a curve has."""
    return len(page.evaluate(DATA, source) or [])


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.timeout(900)  # two trainings compiled, and a surface
def test_a_training_grows_pauses_goes_on_and_is_reset(open_lab):
    lab = open_lab("&estimators=reweighting&epochs=100&grid=4")
    lab.get_by_text("simulated just now").wait_for(timeout=MINUTES)  # something to see before anything is pressed
    wait_until(lab, lambda: points(lab, "experiment rdf_OO live") > 100, "the measured curve")
    wait_until(lab, lambda: points(lab, "start rdf_OO live") == 56, "the curve of the start")
    at_start = lambda: points(lab, "total 1 loss live") == 1  # the loss of what was simulated
    wait_until(lab, at_start, "the loss at the start")
    press(lab, "Start training")
    wait_until(lab, lambda: points(lab, "total 1 loss live") >= 3, "a loss that grows", 280)
    wait_until(lab, lambda: points(lab, "p0 1 parameters live") >= 3, "parameters that grow")
    lab.get_by_text("left").first.wait_for()
    press(lab, "Pause")
    lab.get_by_text("Paused").wait_for()
    wait_until(lab, lambda: points(lab, "second rdf_OO live") == 56, "g(r) now")

    press(lab, "Loss surface")
    press(lab, "Compute the surface")
    lab.get_by_text("of 16 points").first.wait_for(timeout=MINUTES)
    wait_until(lab, lambda: points(lab, "cells surface") >= 2, "two squares of the surface", 280)
    wait_until(lab, lambda: points(lab, "way second") >= 3, "the training's way on it")
    press(lab, "Cancel")
    lab.get_by_text("Cancelled after").wait_for()

    press(lab, "Training")
    epochs = points(lab, "total 1 loss live")
    press(lab, "Continue")
    wait_until(lab, lambda: points(lab, "total 1 loss live") > epochs, "more epochs", 280)
    press(lab, "Pause")
    lab.get_by_label("ΔH_vap").fill("3")
    lab.get_by_label("ΔH_vap").press("Enter")
    lab.get_by_text("The settings have changed since this training").wait_for()
    lab.get_by_role("button", name="Start anew").wait_for()
    press(lab, "Reset")
    lab.get_by_text("simulated just now").wait_for(timeout=MINUTES)
    wait_until(lab, at_start, "the loss at the start alone")


def test_a_shipped_run_is_played_to_its_end_and_saved(open_lab):
    lab = open_lab("&view=replay")
    epochs = lambda: points(lab, "total 0 loss replay")
    wait_until(lab, lambda: epochs() == 60, "the whole run")
    assert not lab.get_by_label("Seed").is_visible()  # settings that a replay does not have
    press(lab, "Play")
    wait_until(lab, lambda: 0 < epochs() < 30, "the run from its beginning")
    lab.get_by_role("button", name="Play", exact=True).wait_for()  # it ends by itself
    wait_until(lab, lambda: epochs() == 60, "the run to its end")
    lab.get_by_role("button", name="Save").locator("visible=true").click()
    item = lab.get_by_text("measured: CSV", exact=True)
    box = item.bounding_box()
    assert box["x"] + box["width"] <= 1366  # the menu is on the screen
    assert box["y"] + box["height"] <= 768
    with lab.expect_download() as download:
        item.click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [row["series"] for row in rows[1:4]] == ["target 46.92", "Reversible", "Reversible"]
    assert float(rows[2]["error"]) > 0  # two replicas


def test_a_number_that_cannot_be_is_answered_and_undone(open_lab):
    lab = open_lab()
    for label, given, sentence in (
        ("Epochs", "2.5", "Epochs must be a whole number from 1 to 1000, not '2.5'."),
        ("g(r) O–O", "-1", "The weight of g(r) O–O must be a number from 0 to 100, not '-1'."),
    ):
        field = lab.get_by_label(label, exact=True)
        before = field.input_value()
        field.fill(given)
        field.press("Enter")
        lab.get_by_text(sentence).wait_for()
        wait_until(lab, lambda field=field, before=before: field.input_value() == before, "the number that holds")


def test_a_link_carries_the_settings_and_what_cannot_be_is_answered(open_lab):
    lab = open_lab("&form=buckingham&w_hh=0&rate=0.01&seed=7&view=replay&epochs=0")
    lab.get_by_text("Epochs must be a whole number from 1 to 1000").wait_for()
    press(lab, "Dismiss")
    assert lab.get_by_label("Form of the force field").input_value() == "Buckingham"
    assert lab.get_by_label("Seed").input_value() == "7"
    replay = lab.get_by_text("computed beforehand with").or_(lab.get_by_text("No run is shipped")).first
    replay.wait_for()
    wait_until(lab, lambda: "form=buckingham" in lab.evaluate("location.search"), "an address that follows")
    press(lab, "Training")
    lab.get_by_label("Reversible").uncheck()
    lab.get_by_label("Reweighting").uncheck()
    press(lab, "Start training")
    lab.get_by_text("Choose at least one way to the gradient").wait_for()
