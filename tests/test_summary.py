"""The closing line of `make test`: adds up several reports, and fails when one is missing, empty or red."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUMMARY = Path(__file__).resolve().parent.parent / ".ci" / "summary.py"


def report(folder: Path, name: str, **numbers: int) -> Path:
    attributes = " ".join(f'{key}="{value}"' for key, value in numbers.items())
    path = folder / name
    path.write_text(f"<testsuites><testsuite {attributes}/></testsuites>", encoding="utf-8")
    return path


def summary(*reports: Path) -> tuple[int, str]:
    command = [sys.executable, str(SUMMARY), *map(str, reports)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("second", "status", "line"),
    [
        ({"tests": 2, "failures": 0, "errors": 0, "skipped": 0}, 0, "12 passed, 0 failed"),
        ({"tests": 3, "failures": 0, "errors": 0, "skipped": 1}, 0, "12 passed, 0 failed, 1 skipped"),
        ({"tests": 4, "failures": 1, "errors": 1, "skipped": 0}, 1, "12 passed, 2 failed"),
        ({"tests": 0, "failures": 0, "errors": 0, "skipped": 0}, 1, "10 passed, 0 failed"),
    ],
)
def test_reports_are_added_up(tmp_path, second, status, line):
    first = report(tmp_path, "unit.xml", tests=10, failures=0, errors=0, skipped=0)
    assert summary(first, report(tmp_path, "browser.xml", **second)) == (status, line)


def test_a_missing_report_fails(tmp_path):
    first = report(tmp_path, "unit.xml", tests=10, failures=0, errors=0, skipped=0)
    assert summary(first, tmp_path / "browser.xml") == (1, "10 passed, 0 failed")
