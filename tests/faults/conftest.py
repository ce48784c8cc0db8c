"""Prints a table of the faults at the end: what was done to the box, how long until all was well, if it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Told = Callable[[str, object], None]


@pytest.fixture
def tell(record_property: Told) -> Told:
    """Write a figure into the table: `tell("back after, s", 1.2)`."""
    return record_property


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = []
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            if report.when == "call" and "tests/faults/" in report.nodeid and report.user_properties:
                figures = ", ".join(f"{name} {value}" for name, value in report.user_properties)
                what = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
                rows.append((what, figures, "survived" if outcome == "passed" else "NOT SURVIVED"))
    if rows:
        width = max(len(what) for what, _, _ in rows)
        terminalreporter.section("faults")
        for what, figures, verdict in rows:
            terminalreporter.write_line(f"{what:{width}}  {verdict:12}  {figures}")
