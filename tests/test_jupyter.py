"""The laboratory inside Jupyter, as far as one can tell without a browser: launcher, helper, files of Binder."""

from __future__ import annotations

import importlib
import os
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from revmd_app import cli, jupyter, notebook

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_entry_point_is_the_launcher():
    module, function = PROJECT["entry-points"]["jupyter_serverproxy_servers"]["revmd"].split(":")
    assert getattr(importlib.import_module(module), function) is jupyter.server


def test_the_command_line_understands_the_launcher():
    command = jupyter.server()["command"]
    assert command[1:3] == ["-m", "revmd_app"]
    options = cli._parser().parse_args([part.format(port=5123) for part in command[3:]])
    assert (options.port, options.address, options.no_browser, options.origin) == (5123, "127.0.0.1", True, ["*"])


def test_the_tile_has_a_picture():
    picture = ElementTree.parse(jupyter.server()["launcher_entry"]["icon_path"]).getroot()
    assert picture.tag.endswith("svg")
    assert picture.get("viewBox")


def test_the_way_back_is_known_only_behind_jupyter(monkeypatch):
    monkeypatch.delenv(jupyter.STARTED_BY_JUPYTER, raising=False)
    assert jupyter.address() == ""
    for name, value in jupyter.server()["environment"].items():
        monkeypatch.setenv(name, value)
    assert jupyter.address() == "../lab"


def test_a_lab_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there is no lab 'tunes'; there are tune"):
        notebook.lab("tunes")
    notebook.stop()  # nothing runs: nothing happens


def test_binder_installs_this_repository_with_the_tested_pins_from_the_usual_place():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["-c ../constraints.txt", ".[lab]"]
    python = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert python in SpecifierSet(PROJECT["requires-python"])
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)
