"""nglview's JavaScript is served from a copy that is made once and mended when it is damaged."""

import pytest

from revmd_app.labs.widgets import viewer

SOURCE = viewer.SHARE / "nbextensions" / "nglview-js-widgets" / "index.js"


def copy_in(folder):
    (found,) = (path for path in folder.rglob("*") if path.is_file())
    return found


def test_the_copy_is_made_once_and_a_damaged_one_is_made_again(tmp_path):
    root = viewer._copied_to(tmp_path / "nglview")
    copy = copy_in(root)
    assert copy.read_bytes() == SOURCE.read_bytes()
    assert copy.relative_to(root).as_posix() == f"nglview-js-widgets@{viewer.JS_VERSION}/dist/index"
    made = copy.stat().st_mtime_ns
    viewer._copied_to(root)
    assert copy.stat().st_mtime_ns == made
    copy.write_bytes(b"half of it")
    viewer._copied_to(root)
    assert copy_in(root).read_bytes() == SOURCE.read_bytes()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OSError, match="taken"):
        viewer._copied_to(tmp_path / "taken")
