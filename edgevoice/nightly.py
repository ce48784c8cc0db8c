"""The self-test of every night: when to do it, and what its figures mean.

03:00 ──── the box's own moment ──── call? wait a minute ──── test ──── 05:00: not tonight, then
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from edgevoice.audio.calibration import Calibration
from edgevoice.audio.findings import SILENT_DBFS, TOO_NOISY, drowned
from edgevoice.audio.measurement import Figures, Heard

DAY_S = 86_400
FROM_S, UNTIL_S = 3 * 3600, 5 * 3600  # local time: after the last guest, before the first baker
SPREAD_S = 3600  # boxes beside each other test at different moments: a chirp must not be heard by two
ONCE_S = 12 * 3600  # no second test in one night
SETTLED_S = 600  # a box that starts again and again stays quiet
BUSY_S = 60  # until the next look while there is a call
LOOK_S = 3600  # the clock may be set meanwhile: a computer without a battery wakes up in the past

AUDIBLE_DB = 23.0  # the chirp's echo is found in noise that is so much quieter than the echo of full scale
CHANGED_DB = 10.0  # more than furniture, doors and weather do
MOVED_MS = 10.0  # more than a card's position is wrong by
LOUDER_DB = 20.0  # more than an echo grows by at one volume
ASK_AGAIN = f"{TOO_NOISY}, or somebody spoke: ask again"


class Nights:
    """Tells when to test. Time is `at`, monotonic; `clock_s` is the local time of day, seconds since midnight."""

    def __init__(self, name: str, at: float) -> None:
        """`name` is the box's: it decides the moment, the same every night."""
        self.deadline = at  # when to `look`
        self._begin_s = FROM_S + zlib.crc32(name.encode()) % SPREAD_S
        self._not_before = at + SETTLED_S

    def look(self, at: float, clock_s: float, *, busy: bool) -> bool:
        """Say whether to test now, and set the `deadline` of the next look."""
        since = (clock_s - self._begin_s) % DAY_S
        night = since < UNTIL_S - self._begin_s
        if night and at >= self._not_before and not busy:
            self._not_before = at + ONCE_S
            self.deadline = at + LOOK_S
            return True
        wait = DAY_S - since if not night else BUSY_S if busy else self._not_before - at
        self.deadline = at + min(max(wait, 1.0), LOOK_S)
        return False

    def put_off(self, at: float) -> None:
        """The test came to nothing, somebody called: look again soon, in this very night."""
        self._not_before = at
        self.deadline = at + BUSY_S


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a self-test says, in words."""

    words: str
    warning: bool


def verdict(figures: Figures, calibration: Calibration | None, volume: int | None) -> Verdict:
    """Compare what was heard with what was heard when the card was calibrated; `volume` is that of now.

    What would be a warning is none when something else than the chirp was heard.
    """
    found = _compared(figures, calibration, volume)
    doubtful = found.warning and calibration is not None and _too_loud(figures, calibration)
    return Verdict(ASK_AGAIN, False) if drowned(figures) or doubtful else found


def _too_loud(figures: Figures, calibration: Calibration) -> bool:
    """Tell whether it was louder than the chirp can be, as the card was calibrated."""
    expected_dbfs = calibration.peak_dbfs - calibration.sweep_dbfs + figures.sweep_dbfs
    return figures.noise_dbfs > calibration.echo_db - AUDIBLE_DB or figures.peak_dbfs > expected_dbfs + LOUDER_DB


def _compared(figures: Figures, calibration: Calibration | None, volume: int | None) -> Verdict:
    if figures.heard is not None:
        return _heard(figures.heard, calibration, volume)
    if figures.peak_dbfs < SILENT_DBFS:
        return Verdict("the microphone delivers nothing but silence: it is dead, or switched off", True)
    if calibration is None:
        return Verdict("the microphone does not hear the loudspeaker; whether it should, `calibrate` would tell", False)
    if figures.noise_dbfs > calibration.echo_db - AUDIBLE_DB:
        return Verdict(f"{TOO_NOISY}: noise floor {figures.noise_dbfs:.0f} dBFS", False)
    return Verdict(
        "the microphone does not hear the loudspeaker any more: one of them is dead, covered or switched off", True
    )


def _heard(heard: Heard, calibration: Calibration | None, volume: int | None) -> Verdict:
    words = f"loudspeaker and microphone hear each other: echo {heard.echo_db:.0f} dB, {heard.delay_ms:.0f} ms"
    if calibration is None:
        return Verdict(words, False)
    moved_ms = heard.delay_ms - calibration.delay_ms
    if abs(moved_ms) > MOVED_MS:
        return Verdict(f"{words}, {calibration.delay_ms:.0f} ms when it was calibrated: calibrate again", True)
    louder = heard.echo_db - calibration.echo_db
    if abs(louder) <= CHANGED_DB or volume != calibration.volume:
        return Verdict(words, False)
    if louder > 0:
        return Verdict(f"{words}, {louder:.0f} dB louder than when it was calibrated: calibrate again", True)
    return Verdict(
        f"{words}, {-louder:.0f} dB quieter than when it was calibrated: the loudspeaker or the microphone is covered, "
        "or about to fail",
        True,
    )


def ago(seconds: float) -> str:
    """Say how long ago a test was."""
    for unit, unit_s in (("day", DAY_S), ("hour", 3600), ("minute", 60)):
        if count := int(seconds // unit_s):
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
