"""What is wrong with a loudspeaker and a microphone, in plain words, each with what to do about it.

Only a `grave` finding means that the box will not work well as it is; the others explain what is heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from edgevoice.audio.measurement import Figures, Heard

SILENT_DBFS = -85.0  # quieter than any microphone's own noise
TOO_NOISY = "too noisy to tell"  # so the words of a self-test begin then
STEADY_DB = 20.0  # a fan's highest peak in two seconds is 13 dB above its level, a voice's much more
LOUD_DB = 12.0  # replies are rarely louder than so much below full scale: if those clip, it is grave
HEADROOM_DB = 3.0  # between the loudest reply and clipping
FAINT_DB = -50.0  # an echo that no voice would be confused with
LOUD_ROOM_DBFS = -45.0  # a voice across a room is at -40
DISTORTED_PERCENT = 10.0  # above, an echo canceller leaves more than a whisper
LATE_MS = 300.0  # so long is the filter of a linear canceller


class Trouble(Enum):
    """What can be wrong."""

    DISTURBED = "disturbed"
    MICROPHONE_SILENT = "microphone silent"
    NOT_HEARD = "loudspeaker not heard"
    TOO_NOISY = "too noisy"
    CLIPS = "microphone clips"
    DISTORTS = "loudspeaker distorts"
    FAINT = "echo faint"
    LOUD_ROOM = "room loud"
    LATE = "echo late"
    INVERTED = "polarity inverted"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, and what to do about it."""

    trouble: Trouble
    words: str
    grave: bool = True


@dataclass(frozen=True, slots=True)
class CaptureLevel:
    """The mixer's control of the microphone; `range_db` is how far apart 0 and 100 per cent are, if that is known."""

    device: str
    control: str
    percent: int
    range_db: float | None = None

    def lowered(self, by_db: float) -> int | None:
        """Return the per cent at which the microphone is `by_db` quieter than now, rounded down to fives."""
        if not self.range_db:
            return None
        return max(0, int((self.percent - 100 * by_db / self.range_db) // 5 * 5))


@dataclass(frozen=True, slots=True)
class Setting:
    """How the card was set when it was measured, as far as that is known."""

    volume: int | None = None  # of the loudspeaker, per cent
    capture_channel: int = 0
    capture: CaptureLevel | None = None


def drowned(figures: Figures) -> bool:
    """Tell whether something else sounded so loud that nothing can be said of the echo: somebody spoke, say."""
    if figures.heard is None:
        return figures.peak_dbfs > figures.noise_dbfs + STEADY_DB
    return figures.heard.clear_db < 0


def findings(figures: Figures | None, setting: Setting) -> list[Finding]:
    """Say what is wrong; nothing if all is well. No figures: the card lost frames whenever it was tried."""
    if figures is None:
        words = "the card lost frames in every sweep: this machine is too busy, or card.buffer_ms is too small"
        return [Finding(Trouble.DISTURBED, words)]
    if figures.heard is None or not figures.clear:
        return [_unheard(figures, setting)]
    return [*_of_level(figures, figures.heard, setting), *_of_sound(figures, figures.heard, setting)]


def _unheard(figures: Figures, setting: Setting) -> Finding:
    if figures.heard is None and figures.peak_dbfs < SILENT_DBFS:
        control = setting.capture
        switch = f"amixer -D {control.device} sset {control.control} cap" if control else "alsamixer, F4"
        return Finding(
            Trouble.MICROPHONE_SILENT,
            f"the microphone delivers nothing but silence: switch it on and up ({switch}); is it on "
            f"card.capture_channel = {setting.capture_channel}?",
        )
    if figures.heard is None and figures.noise_dbfs < LOUD_ROOM_DBFS:
        volume = "" if setting.volume is None else f" (volume now {setting.volume} %)"
        return Finding(
            Trouble.NOT_HEARD,
            f"the microphone hears the room, but not the loudspeaker: is it connected, switched on and up{volume}?",
        )
    return Finding(
        Trouble.TOO_NOISY,
        f"it is too noisy to measure anything: noise floor {figures.noise_dbfs:.0f} dBFS. Switch off what hums, or "
        "turn the loudspeaker up, and calibrate again",
    )


def _of_level(figures: Figures, heard: Heard, setting: Setting) -> Iterator[Finding]:
    if heard.loudest_dbfs > 0 or figures.clipped:
        yield Finding(Trouble.CLIPS, _clips(figures, heard, setting), grave=heard.loudest_dbfs > LOUD_DB)
    if figures.noise_dbfs > LOUD_ROOM_DBFS:
        words = (
            f"the microphone is noisy: {figures.noise_dbfs:.0f} dBFS while nothing is said, expected at most "
            f"{LOUD_ROOM_DBFS:.0f}. A fan, mains hum, or a capture level that is too high: voices drown in it"
        )
        yield Finding(Trouble.LOUD_ROOM, words, grave=False)


def _clips(figures: Figures, heard: Heard, setting: Setting) -> str:
    by_db = max(0.0, heard.loudest_dbfs) + HEADROOM_DB
    words = "the microphone clips" if heard.loudest_dbfs > LOUD_DB else "the loudest replies clip the microphone"
    level = setting.capture
    if figures.clipped:  # with the softest sweep
        return f"{words}, also when the loudspeaker is soft: lower it a good deal (alsamixer, F4), and calibrate again"
    if level is None:
        return f"{words}: lower the microphone by {by_db:.0f} dB (alsamixer, F4), or the loudspeaker"
    lowered = level.lowered(by_db)
    if lowered is None:
        return f"{words}: lower {level.control} (now {level.percent} %) by {by_db:.0f} dB"
    if lowered == 0:
        return f"{words}: lower {level.control} to 0 %, and the loudspeaker too"
    command = f"amixer -D {level.device} sset {level.control} {lowered}%"
    return f"{words}: lower {level.control} to {lowered} % (now {level.percent} %): {command}"


def _of_sound(figures: Figures, heard: Heard, setting: Setting) -> Iterator[Finding]:
    if (heard.distortion_percent or 0) > DISTORTED_PERCENT:
        volume = "card.volume" if setting.volume is None else f"card.volume (now {setting.volume} %)"
        words = (
            f"the loudspeaker distorts: {heard.distortion_percent:.0f} % harmonics at {figures.sweep_dbfs:.0f} dBFS, "
            f"expected at most {DISTORTED_PERCENT:.0f}. Lower {volume}: what it distorts cannot be cancelled"
        )
        yield Finding(Trouble.DISTORTS, words, grave=False)
    if heard.echo_db < FAINT_DB:
        words = (
            f"the microphone hardly hears the loudspeaker ({heard.echo_db:.0f} dB): right for a headset; in a room, "
            "turn one of them up"
        )
        yield Finding(Trouble.FAINT, words, grave=False)
    if heard.delay_ms > LATE_MS:
        words = (
            f"the echo comes {heard.delay_ms:.0f} ms late, expected at most {LATE_MS:.0f}: name the card itself "
            '("plughw:CARD=...") instead of a sound server'
        )
        yield Finding(Trouble.LATE, words)
    if heard.polarity < 0:
        words = "the polarity is inverted: two wires of the loudspeaker or of the microphone are swapped. No harm done"
        yield Finding(Trouble.INVERTED, words, grave=False)
