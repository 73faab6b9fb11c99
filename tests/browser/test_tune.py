"""Lab 1 in a real browser: plots that are saved, atoms and g(r) that know of each other, the lesson below."""

import csv
import io
import re

import numpy as np
import pytest
from browser.watching import DATA, coloured, moves, wait_until
from PIL import Image

pytestmark = pytest.mark.browser
CHOSEN, LIT = "#AA4499", "#E69F00"


@pytest.fixture
def lab(offline_page, app_url):
    offline_page.goto(app_url)
    moves(offline_page)
    return offline_page


def saved(page, number, kind):
    """What the number-th Save menu hands over."""
    page.get_by_role("button", name="Save").nth(number).click()
    with page.expect_download() as download:
        page.get_by_text(kind, exact=True).last.click()
    path = download.value.path()
    return download.value.suggested_filename, path.read_bytes()


def test_a_plot_is_saved_as_numbers_as_paths_and_as_pixels(lab):
    lab.get_by_role("button", name="Pause").click()
    lab.get_by_role("button", name="Run").wait_for()
    lab.wait_for_timeout(1500)
    assert lab.get_by_role("button", name="Save").count() == 7  # every plot of the lab
    name, data = saved(lab, 2, "CSV")
    assert name == "g-of-r.csv"
    rows = list(csv.reader(io.StringIO(data.decode())))
    assert rows[0] == ["series", "r (nm)", "g(r)"]
    now = [float(y) for series, _, y in rows[1:] if series == "now"]
    np.testing.assert_allclose(now, lab.evaluate(DATA, "now g(r)"))
    assert max(now) > 1
    assert {row[0] for row in rows[1:]} >= {"now", "known"}
    name, data = saved(lab, 0, "SVG")
    assert name == "u.svg"
    assert data.decode().startswith("<svg")
    assert data.decode().count("<path") > 10
    name, data = saved(lab, 3, "PNG")
    assert name == "temperature-in-time.png"
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=int)
    assert (np.abs(pixels - np.array([0xD5, 0x5E, 0x00])).max(axis=2) < 40).sum() > 50  # the line, in its colour


def choose_an_atom(page):
    """Click about in the middle of the cell until an atom is met; a liquid has few holes."""
    box = page.locator(".revmd-atoms canvas").first.bounding_box()
    for dx, dy in ((0, 0), (15, 12), (-25, 20), (30, -30), (45, 40), (-50, -40)):
        x, y = box["x"] + box["width"] / 2 + dx, box["y"] + box["height"] / 2 + dy
        page.mouse.move(x, y)
        page.wait_for_timeout(150)
        page.mouse.click(x, y)
        page.wait_for_timeout(1200)
        if page.get_by_text("kinetic").first.is_visible() and "atom" in strip(page):
            return
    raise AssertionError("no atom was met")


def strip(page):
    """The line about the chosen atom."""
    return " ".join(page.locator(".revmd-chosen div").all_inner_texts())


def test_a_chosen_atom_shows_in_g_of_r_and_a_distance_lights_atoms_up(lab):
    assert "Click an atom to follow it" in strip(lab)
    lab.get_by_role("button", name="Pause").click()
    lab.get_by_role("button", name="Run").wait_for()
    lab.wait_for_timeout(1000)
    choose_an_atom(lab)
    said = re.search(
        r"atom (\d+) \(Ar\), ([\d.]+) m/s, kinetic ([\d.]+) kT, with neighbours −([\d.]+) kJ/mol", strip(lab)
    )
    assert said, strip(lab)
    assert 1 <= int(said[1]) <= 108
    assert 4 < float(said[4]) < 14
    ticks = wait_until(lab, lambda: lab.evaluate(DATA, "rug g(r)"), "the atom's own distances")
    assert 40 < len(ticks) < 70  # 4/3 π r³ ρ = 56 within half the box
    wait_until(lab, lambda: coloured(lab, CHOSEN) > 200, "the atom in its colour")
    assert coloured(lab, LIT) == 0
    plot = lab.locator(".bk-Figure").nth(2).bounding_box()
    lab.mouse.click(plot["x"] + 0.465 * plot["width"], plot["y"] + 0.4 * plot["height"])
    found = wait_until(lab, lambda: re.search(r"(\d+) atoms? at 0\.3[67]", strip(lab)), "the number of atoms there")
    assert int(found[1]) > 0
    wait_until(lab, lambda: coloured(lab, LIT) > 200, "atoms that light up")
    lab.get_by_role("button", name="Run").click()
    lab.wait_for_timeout(2500)
    assert coloured(lab, CHOSEN) > 100  # it is followed
    assert lab.evaluate(DATA, "own g(r)") is not None
    box = lab.locator(".revmd-atoms canvas").first.bounding_box()
    lab.mouse.click(box["x"] + 6, box["y"] + box["height"] / 2)  # beside the atoms
    wait_until(lab, lambda: "Click an atom to follow it" in strip(lab), "the atom let go")


def test_a_time_series_reads_out_its_value(lab):
    plot = lab.locator(".bk-Figure").nth(3).bounding_box()
    lab.mouse.move(plot["x"] + 0.6 * plot["width"], plot["y"] + 0.4 * plot["height"])
    lab.get_by_text("time (ps)").first.wait_for()
    assert lab.locator(".bk-Tooltip, .bk-tooltip").first.is_visible()


def test_answers_are_folded(lab):
    answer = lab.get_by_text("var(T)/T²")
    assert not answer.is_visible()
    lab.locator("summary").nth(1).click()
    answer.wait_for()
