"""What a person presses and sees: moving atoms, bending curves, typed formulas, a comparison of gradients."""

import pytest
from browser.watching import DATA, clock, moves, wait_until

pytestmark = pytest.mark.browser


def drawn(page):
    """Energies of the u(r) curve now drawn, or None."""
    return page.evaluate(DATA, "now u")


@pytest.fixture
def lab(offline_page, app_url):
    offline_page.goto(app_url)
    return offline_page


def test_argon_moves_and_a_slider_bends_the_curve_and_reaches_the_liquid(lab):
    moves(lab)
    assert lab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    depth, pressure = min(drawn(lab)), lab.get_by_text("Pressure").first
    pressure.wait_for()
    slider = lab.get_by_role("slider").nth(1)  # ε
    slider.focus()
    for _ in range(40):
        lab.keyboard.press("ArrowRight")
    wait_until(lab, lambda: min(drawn(lab)) < 1.5 * depth, "a deeper well")
    assert lab.evaluate(DATA, "before u") is not None  # the ghost
    energy = lambda: min(lab.evaluate(DATA, "now potential")) < -5.6
    wait_until(lab, energy, "a lower energy of the liquid")


def test_water_moves_and_its_rdf_stands_on_sopers(lab):
    lab.get_by_label("System").first.select_option("Water, 64 molecules")
    wait_until(lab, lambda: lab.get_by_role("button", name="O–H").is_visible(), "the choice of pairs")
    moves(lab)
    lab.get_by_text("Soper, ISRN").wait_for()
    wait_until(lab, lambda: max(lab.evaluate(DATA, "now g(r)") or [0]) > 2, "a first peak")


def test_pause_step_and_reset(lab):
    moves(lab)
    lab.get_by_role("button", name="Pause").click()
    lab.get_by_role("button", name="Run").wait_for()
    lab.wait_for_timeout(1500)
    paused = clock(lab)
    lab.get_by_role("button", name="Step").click()
    wait_until(lab, lambda: clock(lab) > paused, "one step on")
    stepped = clock(lab)
    lab.wait_for_timeout(1500)
    assert clock(lab) == stepped
    lab.get_by_role("button", name="Reset").click()
    wait_until(lab, lambda: clock(lab) < paused or clock(lab) != stepped, "a new start")


def test_a_typed_formula_becomes_sliders_and_a_hostile_one_a_sentence(lab):
    moves(lab)
    lab.get_by_label("Pair potential u(r)").select_option("Typed formula")
    box = lab.get_by_label("u(r) =")
    box.fill("A*exp(-B*r) - C/r^6")
    box.press("Enter")
    lab.get_by_text("B:").wait_for()
    lab.get_by_text("C:").wait_for()
    lab.get_by_text("Held: ").wait_for()  # A = B = C = 1 would collapse
    box.fill("A*exp(-B*(r-0.34)*40)")
    box.press("Enter")
    lab.get_by_text("Held: ").wait_for(state="hidden")
    box.fill("__import__('os').system('true')*r")
    box.press("Enter")
    lab.get_by_text("The formula cannot be used").wait_for()
    lab.get_by_text("B:").wait_for()  # the last good one goes on
