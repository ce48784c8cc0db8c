"""A person at the lab's box: presses the button, asks, hears the answer, talks over it. Prints what was measured.

The room is at the other end of the kernel's loopback card: what the box plays is read at `Loopback,1,0`, what is
written to `Loopback,1,1` is what its microphone hears. Run by the box's own Python, for pyalsaaudio and numpy.
"""

import json
import sys
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path

import alsaaudio
import numpy as np

sys.path.insert(0, "/opt/lab")
from ask import ask  # type: ignore[import-not-found]  # it lies beside this file there

RATE, PERIOD, PERIODS = 16_000, 320, 8
BUTTON, LED = Path("/run/pins/sim_gpio17/pull"), Path("/run/pins/sim_gpio27/value")
LOUD = 300  # of 32768: the parrot, and no rounding
SILENT_S = 2.2  # from the first word over the answer: until these, too, are answered


class Room:
    """What was played, by the clock; and what the microphone is to hear next."""

    def __init__(self) -> None:
        shape = {"rate": RATE, "channels": 1, "format": alsaaudio.PCM_FORMAT_S16_LE, "periodsize": PERIOD}
        self._ear = alsaaudio.PCM(alsaaudio.PCM_CAPTURE, device="hw:Loopback,1,0", periods=PERIODS, **shape)
        self._mouth = alsaaudio.PCM(alsaaudio.PCM_PLAYBACK, device="hw:Loopback,1,1", periods=PERIODS, **shape)
        self._words = np.zeros(0, np.int16)
        self._lock = threading.Lock()
        self.heard: list[tuple[float, int]] = []  # when a period had been read, and how loud it was
        self.spoke_at = 0.0  # when the first sample of the last words leaves the card
        self.ended_at = 0.0
        for run in (self._listen, self._speak):
            threading.Thread(target=run, daemon=True).start()

    def say(self, words: np.ndarray) -> None:
        with self._lock:
            self._words = words
            self.spoke_at = self.ended_at = 0.0

    def _listen(self) -> None:
        while True:
            frames, samples = self._ear.read()
            if frames > 0:
                level = int(np.abs(np.frombuffer(samples, np.int16).astype(int)).max())
                self.heard.append((time.monotonic(), level))

    def _speak(self) -> None:
        while True:
            period = np.zeros(PERIOD, np.int16)
            with self._lock:
                if len(self._words):
                    waiting = PERIOD * PERIODS - self._mouth.avail()
                    self.spoke_at = self.spoke_at or time.monotonic() + waiting / RATE
                    now, self._words = self._words[:PERIOD], self._words[PERIOD:]
                    period[: len(now)] = now
                    if not len(self._words):
                        self.ended_at = time.monotonic()
            self._mouth.write(period.tobytes())

    def loud_since(self, at: float) -> list[float]:
        return [when for when, level in list(self.heard) if when > at and level > LOUD]


def voice(name: str) -> np.ndarray:
    (folder,) = Path("/opt/edgevoice/current/lib").glob("python3*/site-packages/edgevoice/voices")
    with wave.open(str(folder / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return samples[:: file.getframerate() // RATE]


def until(look: Callable[[], object], what: str, every_s: float = 0.005, limit_s: float = 60.0) -> float:
    """Return when it was so. Ends the program when it never is."""
    give_up = time.monotonic() + limit_s
    while not look():
        if time.monotonic() > give_up:
            sys.exit(f"not seen: {what}; {status()}")
        time.sleep(every_s)
    return time.monotonic()


def status() -> dict[str, object]:
    answer: dict[str, object] = ask("status")
    return answer


def until_turn(*turns: str) -> None:
    """Wait until it is one of these turns; to ask costs the box something, so not all the time."""
    until(lambda: status().get("turn") in turns, " or ".join(turns), every_s=0.1)


def press() -> float:
    at = time.monotonic()
    BUTTON.write_text("pull-down")
    time.sleep(0.1)
    BUTTON.write_text("pull-up")
    return at


def lit() -> bool:
    return LED.read_text().strip() == "1"


def talk() -> dict[str, float]:
    """Have one conversation; return the figures, in milliseconds."""
    room = Room()
    pressed_at = press()
    light_at = until(lit, "the light")
    until_turn("listening")
    question, over_it = voice("story"), voice("interruption")  # the answer, a parrot's, takes 5 s, the other 2
    room.say(question)
    until(lambda: room.ended_at, "the question said")
    asked_at = room.ended_at
    answer_at = until(lambda: room.loud_since(asked_at + 0.3), "an answer")
    time.sleep(0.6)
    room.say(over_it)
    until(lambda: room.spoke_at, "somebody talks over it")
    onset_at = room.spoke_at + int(np.argmax(np.abs(over_it) > 1000)) / RATE
    until_turn("hearing", "listening")
    until(lambda: time.monotonic() > onset_at + SILENT_S, "the end of it")
    last = max((when for when in room.loud_since(onset_at) if when < onset_at + SILENT_S), default=onset_at)
    return {
        "press to light": 1000 * (light_at - pressed_at),
        "end of question to answer": 1000 * (answer_at - asked_at),
        "voice to silence": 1000 * (last - onset_at),
        "dropped": float(last < onset_at + 1.5),
    }


if sys.argv[1:] == ["call"]:
    keep = Room()
    press()
    until_turn("listening")
    keep.say(voice("question"))
    time.sleep(600)
print(json.dumps(talk()))
