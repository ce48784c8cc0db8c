"""The table that the benchmark prints: each figure beside its target, and whether that was met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgevoice_measure import percentiles

COLUMNS = ("n", "value", "mean", "least", "p50", "p95", "p99.9", "max")
VERDICTS = {True: "met", False: "NOT met", None: ""}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `met` is None where nobody set a target; `xruns` are those of playback / of capture."""

    figure: str
    card: str
    unit: str
    measured: Mapping[str, float]  # some of COLUMNS
    target: str = ""
    met: bool | None = None
    xruns: str = ""


def distribution(
    figure: str,
    card: str,
    values: Sequence[float],
    limits: Mapping[str, float] | None = None,
    *,
    above: float = 0.0,
    xruns: str = "",
) -> Row:
    """Return the row of many values in ms, each of which must be at most its limit `above` what is possible at all."""
    found = percentiles(values)
    limits = {name: round(limit + above, 3) for name, limit in (limits or {}).items()}
    target = ", ".join(f"{name} <= {limit:g}" for name, limit in limits.items())
    met = all(found[name] <= limit for name, limit in limits.items()) if limits else None
    shown = {name: round(found[name], 3) for name in ("n", "p50", "p95", "max")}
    return Row(figure, card, "ms", shown | {"least": min(values)}, target, met, xruns)


def single(figure: str, card: str, value: float, unit: str, at_most: float | None = None) -> Row:
    """Return the row of one value."""
    target = "" if at_most is None else f"<= {at_most:g}"
    met = None if at_most is None else value <= at_most
    return Row(figure, card, unit, {"value": round(value, 3)}, target, met)


def text(rows: Sequence[Row]) -> str:
    """Return the table, each column as wide as it must be."""
    header = ("figure", "condition", *COLUMNS, "", "xruns", "target", "")
    lines = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    sides = ("<", "<", *">" * len(COLUMNS), "<", "<", "<", "<")
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (_number(row.measured[name], name) if name in row.measured else "" for name in COLUMNS)
    return (row.figure, row.card, *numbers, row.unit, row.xruns, row.target, VERDICTS[row.met])


def _number(value: float, name: str) -> str:
    return f"{value:.0f}" if name == "n" else f"{value:.2f}"
