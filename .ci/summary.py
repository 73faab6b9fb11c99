"""Add up what several pytest runs reported, as one closing line. Exits 1 when a report is missing or empty."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed (errors included) and skipped tests in a JUnit file."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    total, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


def main(reports: list[Path]) -> int:
    """Print the closing line; return the exit status."""
    missing = [str(report) for report in reports if not report.exists()]
    if missing:
        print(f"no report from pytest: {', '.join(missing)}")
    results = [counts(report) for report in reports if report.exists()]
    passed, failed, skipped = (sum(column) for column in zip(*results, strict=True)) if results else (0, 0, 0)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return int(bool(missing or failed or not all(sum(result) for result in results)))


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
