"""Lab 2 in a browser: a crystal melts and comes back, the time slider is dragged, a bit is flipped."""

import re

import pytest

pytestmark = pytest.mark.browser

SERIES = """name => { for (const doc of Bokeh.documents) for (const m of doc._all_models.values())
  if (m.type === 'ColumnDataSource' && m.name === name && m.data.y.length) return Array.from(m.data.y); return null }"""


def step(page):
    """The step that the page shows."""
    words = page.get_by_text(re.compile(r"^step [\d,]+")).first.inner_text()
    return int(re.match(r"step ([\d,]+)", words)[1].replace(",", ""))


@pytest.fixture
def lab(offline_page, app_url):
    offline_page.goto(f"{app_url}?lab=rewind&system=argon-crystal-108-atoms&length=2000")
    offline_page.get_by_text("nm off").first.wait_for()
    return offline_page


def test_melt_unmelt_drag_and_flip(lab):
    assert lab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    lab.get_by_role("button", name="Melt and un-melt").click()
    lab.get_by_text("all 972 integers are the same").wait_for()
    lab.get_by_text("blew up at step").first.wait_for()
    assert min(lab.evaluate(SERIES, "back exact distance")) == -19.0  # exactly 0, on the floor
    slider = lab.get_by_role("slider").last
    slider.focus()
    lab.keyboard.press("End")
    lab.wait_for_function("() => true")
    lab.get_by_text("the same future, bit for bit").wait_for()
    assert step(lab) == 2000
    for _ in range(40):
        lab.keyboard.press("PageDown")
    lab.get_by_text("computed backwards").wait_for()
    lab.get_by_role("button", name="The same, with one bit flipped").click()
    lab.get_by_text(re.compile("With one bit flipped (it blew up|[0-9]+ of them differ)")).wait_for()
    lab.get_by_text("bit flipped").first.wait_for()


def test_a_run_is_saved_and_opened_and_a_wrong_file_is_a_sentence(lab, tmp_path):
    lab.get_by_role("button", name="Run ▶").click()
    lab.wait_for_timeout(2000)
    lab.get_by_role("button", name="Stop").click()
    lab.wait_for_timeout(1000)
    saved_at = step(lab)
    assert saved_at > 0
    upload = lab.locator("input[type=file]")
    wrong = tmp_path / "wrong.npz"
    wrong.write_text("no archive")
    upload.set_input_files(wrong)
    lab.get_by_text("'wrong.npz' is not a restart file").wait_for()
    assert step(lab) == saved_at
    with lab.expect_download() as download:
        lab.get_by_role("button", name="Save this run").click()
    good = tmp_path / download.value.suggested_filename
    download.value.save_as(good)
    lab.get_by_role("button", name="New start").click()
    lab.get_by_text(re.compile("^step 0")).first.wait_for()
    upload.set_input_files(good)
    lab.get_by_text(re.compile(f"^step {saved_at:,}")).first.wait_for()
