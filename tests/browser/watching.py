"""What browser tests look at: the canvas of the atoms, the numbers in the plots, the clock."""

import io
import time

import numpy as np
from PIL import Image

PATIENCE = 150

DATA = """name => { for (const doc of Bokeh.documents) for (const m of doc._all_models.values())
  if (m.type === 'ColumnDataSource' && m.name === name && m.data.y.length) return Array.from(m.data.y); return null }"""


def picture(page):
    """Grey values of the atoms' canvas."""
    return np.asarray(Image.open(io.BytesIO(shot(page))).convert("L"), dtype=int)


def shot(page):
    """A PNG of the atoms' canvas."""
    return page.locator(".revmd-atoms canvas").first.screenshot()


def coloured(page, colour, far=40):
    """The number of pixels of the atoms' canvas that are close in hue to a colour "#rrggbb", however lit."""
    pixels = np.asarray(Image.open(io.BytesIO(shot(page))).convert("RGB"), dtype=float)
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=float)
    bright = pixels.max(axis=2, keepdims=True)
    scaled = pixels / np.maximum(bright, 1) * wanted.max()
    return int(((np.abs(scaled - wanted).max(axis=2) < far) & (bright[..., 0] > 60)).sum())


def wait_until(page, condition, what, seconds=PATIENCE):
    """Ask again and again until the condition holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value is not None and value is not False:
            return value
        page.wait_for_timeout(200)
    raise AssertionError(f"after {seconds} s still not: {what}")


def changes(page):
    """Whether a good part of the canvas changes within a second."""
    before = picture(page)
    page.wait_for_timeout(1000)
    now = picture(page)
    return now.shape == before.shape and (np.abs(now - before) > 40).sum() > 800


def moves(page):
    """Wait until atoms are drawn and a good part of the canvas changes."""
    page.locator(".revmd-atoms canvas").first.wait_for()
    wait_until(page, lambda: (picture(page) < 235).sum() > 3000, "atoms drawn")
    page.get_by_text("t = ").first.wait_for()
    wait_until(page, lambda: changes(page), "atoms moving")


def clock(page):
    """The simulated time that the page shows."""
    return float(page.get_by_text("t = ").first.inner_text().split("t = ")[1].split()[0])
