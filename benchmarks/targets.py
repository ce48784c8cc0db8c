"""What is promised, and the rows that say whether it was kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.figures import Figures
from benchmarks.table import Row, distribution, single
from edgevoice_measure import percentiles

PERIOD_MS, SLACK_MS = 10.0, 2.0
VOICE = {"p50": 120.0, "p95": 200.0}
DECISION = {"max": PERIOD_MS + SLACK_MS}  # above the floor
BUTTON = {"p95": 20.0}  # above the floor
HEARD = {"p95": 20.0}
AUDIO_PERCENT, MEMORY_MB, READY_S = 3.0, 45.0, 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found on one card: of the box, and of the bare program beside it."""

    figures: Figures
    bare: Figures
    xruns: str

    @property
    def floor_ms(self) -> float:
        return float(percentiles(self.bare["drop_to_silence"])["p50"])


@dataclass(frozen=True, slots=True)
class Cost:
    """Per cent of one core, and MB (of 2**20 bytes)."""

    idle: float
    in_call: float
    audio_thread: float  # in the call; part of `in_call`
    memory: float  # without the virtual card's own
    most_memory: float


def latencies(cards: Mapping[str, Measured]) -> Iterator[Row]:
    """Yield each figure on each card."""
    for card, found in cards.items():
        yield distribution("speech -> silence", card, found.figures["voice_to_silence"], VOICE, xruns=found.xruns)
    for card, found in cards.items():
        values, floor = found.figures["decision_to_silence"], found.floor_ms
        yield distribution("decision -> silence", card, values, DECISION, above=floor, xruns=found.xruns)
    for card, found in cards.items():
        values, floor = found.figures["button_to_silence"], found.floor_ms
        yield distribution("button -> silence", card, values, BUTTON, above=floor, xruns=found.xruns)
    for card, found in cards.items():
        yield distribution("floor: drop -> silence, bare program", card, found.bare["drop_to_silence"])
    for card, found in cards.items():
        errors = [abs(error) for error in found.figures["heard_error"]]
        yield distribution("|heard_ms - heard|", card, errors, HEARD, xruns=found.xruns)


def comparison(ours: Figures, theirs: Figures) -> Iterator[Row]:
    """Yield the baseline, and how many times as long it takes."""
    for figure, name in {"voice_to_silence": "speech -> silence", "decision_to_silence": "decision -> silence"}.items():
        yield distribution(f"{name}, elevenlabs", "idle", theirs[figure])
        ratios = {
            share: percentiles(theirs[figure])[share] / percentiles(ours[figure])[share] for share in ("p50", "p95")
        }
        yield Row(f"{name}, elevenlabs / edgevoice", "idle", "times", ratios)


def round_trip(waits: list[float], one_way_ms: float) -> Row:
    return distribution(f"committed -> response.create, {2 * one_way_ms:g} ms away", "idle", waits)


def costs(cost: Cost, card_percent: float, ready_s: float) -> Iterator[Row]:
    """Yield what it takes of the machine. `card_percent`: what a bare program pays for the same virtual card."""
    yield single("processor, waiting", "idle", cost.idle, "% of a core")
    yield single("processor, in a call", "idle", cost.in_call, "% of a core")
    yield single("processor, bare program on this card", "idle", card_percent, "% of a core")
    audio = cost.audio_thread - card_percent
    yield single("audio thread in a call, less the bare program", "idle", audio, "% of a core", AUDIO_PERCENT)
    yield single("memory (RSS) in a call", "idle", cost.memory, "MB", MEMORY_MB)
    yield single("memory, most ever", "idle", cost.most_memory, "MB")
    yield single("start -> ready, median", "idle", ready_s, "s", READY_S)


def periods(found: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
    """Yield what one period costs: alone, and beside a Python thread that computes."""
    for figure, name in {"alone": "a period's work, alone", "beside": "a period beside a busy Python thread"}.items():
        yield Row(name, "no card", "ms", found[figure])
