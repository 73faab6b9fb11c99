"""Lab 5 in a browser: oxygen moves and its displacement appears, a link is answered, training and the study run."""

import pytest
from browser.watching import DATA, changes, coloured, picture, wait_until

from revmd_app.labs.diffuse_view import COLOURS

pytestmark = pytest.mark.browser


def test_oxygen_moves_and_its_displacement_appears(offline_page, app_url):
    page = offline_page
    page.goto(f"{app_url}?lab=diffuse&steps_per_picture=100")
    page.locator(".revmd-atoms canvas").first.wait_for()
    wait_until(page, lambda: (picture(page) < 235).sum() > 3000, "atoms drawn")
    page.get_by_text("t = ").first.wait_for()
    wait_until(page, lambda: changes(page), "atoms moving")
    assert all(coloured(page, colour) > 30 for colour in COLOURS[:3])
    msd = wait_until(page, lambda: page.evaluate(DATA, "msd msd"), "a displacement")
    assert msd[0] > 0
    page.get_by_text("·10⁻⁹ m²/s").first.wait_for()
    page.get_by_text("Correct D for the finite box").click()  # its words, as well as its box
    page.get_by_text("adds ").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Run", exact=True).wait_for()
    with_water = (picture(page) < 235).sum()
    page.get_by_label("Water drawn as").select_option("hidden")
    wait_until(page, lambda: (picture(page) < 235).sum() < with_water, "water hidden")


def test_a_training_is_begun_and_cancelled_and_reweighting_refuses(offline_page, app_url):
    page = offline_page
    page.goto(f"{app_url}?lab=diffuse&friction=900&estimator=reweighting&epochs=5")
    page.get_by_text("Friction must be a number from 0 to 20, not '900'.").wait_for()
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_role("button", name="Pause").click()
    train = page.get_by_role("button", name="Train", exact=True)
    train.click()
    page.get_by_text("Reweighting knows averages over the ensemble only").nth(1).wait_for()
    page.get_by_label("Gradient by").select_option("reversible")
    train.click()
    page.get_by_text("the first epoch takes longest").wait_for()
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_text("Cancelled; nothing had come yet.").wait_for()
    target = page.get_by_label("Target (10⁻⁹ m²/s)")
    target.fill("99")
    target.press("Enter")
    page.get_by_text("must be a number from 0.2 to 10, not '99'.").wait_for()
    wait_until(page, lambda: target.input_value() == "2", "the target that holds")


def test_the_study_fills_in(offline_page, app_url):
    page = offline_page
    page.goto(f"{app_url}?lab=diffuse&panel=study&longest=0.4-ps")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Compare", exact=True).last.click()
    wait_until(page, lambda: page.get_by_role("button", name="Save").count() == 3, "the menus of the plots in view")
    score = wait_until(page, lambda: page.evaluate(DATA, "score variance"), "a variance of path reweighting")
    assert len(score) == 16
    assert min(score) > 0
