"""46elks' real-time voice over WebSocket, its side of one call: pure, time is an argument.

Source: 46elks, "Realtime voice", "Messages", "Audio formats", "Interrupt" and "Sync" (2025). What those pages do not
say is an option here: whether a `sync` thrown away by `interrupt` is answered, and whether `bye` plays the queue first.
"""

from __future__ import annotations

import json

from tests.phone.caller import KIND, Nasty, fits, parse
from tests.phone.far_end import FarEnd
from tests.phone.player import STEADY, Clock, Player
from tests.phone.sound import Samples, bytes_per_sample, decode, resample, unwrap, wrap

# -> (rate, format); None: the real one takes it, this one cannot
FORMATS: dict[str, tuple[int, str] | None] = {
    "pcm_8000": (8000, "s16le"),  # the byte order is that of their own example, which passes OpenAI's through
    "pcm_16000": (16_000, "s16le"),
    "pcm_24000": (24_000, "s16le"),
    "ulaw": (8000, "ulaw"),
    "alaw": (8000, "alaw"),
    "g722": None,
    "ogg": None,
    "wav": None,
    "mp3": None,
}
ONE_WAY = ("wav", "mp3")  # for `sending` only
SHAPES: dict[str, dict[str, type]] = {
    "listening": {"t": str, "format": str},
    "sending": {"t": str, "format": str},
    "audio": {"t": str, "data": str},
    "interrupt": {"t": str},
    "sync": {"t": str},
    "bye": {"t": str},
}
MOST_QUEUED = 30_000_000  # bytes, counted as base64 text: the stricter reading
END = "end"  # the mark behind the last sound


class Elks(FarEnd):
    """One call. It rings in with the first `advance`."""

    def __init__(
        self,
        at: float,
        *,
        call: str = "c0123456789abcdef0123456789abcdef",
        caller: str = "+46700000001",
        callee: str = "+46700000002",
        clock: Clock = STEADY,
        nasty: Nasty = KIND,
        answers_flushed_syncs: bool = False,
        plays_before_bye: bool = True,
        most_queued: int = MOST_QUEUED,
        record: bool = True,
    ) -> None:
        self.ignored = 0  # bytes of sound that came unannounced
        super().__init__(Player(24_000, at, clock, record=record), nasty, at)
        self._call, self._caller, self._callee = call, caller, callee
        self._answers_flushed_syncs, self._plays_before_bye = answers_flushed_syncs, plays_before_bye
        self._most_queued = most_queued
        self._hears: tuple[int, str] | None = None  # what was asked for with `listening`
        self._plays: tuple[int, str] | None = None  # what was announced with `sending`
        self._said_bye = False  # the server

    def caller_says(self, pcm: Samples, at: float, *, rate: int = 8000) -> None:
        """Add to what the caller says; it goes out once the server listens."""
        self._mouth.say(pcm, rate)

    def caller_presses(self, digit: str, at: float) -> list[str]:
        return []  # there is no message for it

    def caller_hangs_up(self, at: float) -> list[str]:
        return [*self.advance(at), *self._bye("hangup")]

    def receive(self, message: str | bytes, at: float) -> list[str]:
        """Take one message of the server; return what became due and what it is answered with."""
        due = self.advance(at)
        if self.over:
            return due  # the two goodbyes have crossed
        found = parse(message, self.violations)
        if found is None:
            return due
        kind = str(found.get("t"))
        if kind not in SHAPES:
            self.violations.append(f"unknown message t={kind[:20]!r}")
        elif fits(found, SHAPES[kind], kind, self.violations):
            if self._said_bye:
                self.violations.append(f"{kind} after bye")
            elif not self._greeted:
                self.violations.append(f"{kind} before hello")
            else:
                due += self._obey(kind, found, at)
        return due

    def _greet(self) -> list[str]:
        hello = _text("hello", callid=self._call, **{"from": self._caller, "to": self._callee})
        early = [_text("audio", data=wrap(bytes(320)))] if self._nasty.early_media else []
        return [*early, hello, *([hello] if self._nasty.second_start else [])]

    def _due(self, at: float) -> list[str]:
        messages: list[str] = []
        for mark in self.player.advance(at):
            messages += self._bye("done") if mark == END else [_text("sync")]
        if self._hears and not self.over:
            for piece in self._mouth.due(at, *self._hears):
                messages.append(_text("audio", data=piece.payload) if piece.unknown is None else piece.unknown)
        return messages

    def _obey(self, kind: str, message: dict[str, object], at: float) -> list[str]:
        match kind:
            case "listening":
                self._listen(str(message["format"]), at)
            case "sending":
                self._announce(str(message["format"]))
            case "audio":
                return self._play(message["data"], at)
            case "sync":
                self.player.mark("sync", at)
            case "interrupt":
                self._plays = None
                flushed = self.player.clear()
                return [_text("sync") for _ in flushed] if self._answers_flushed_syncs else []
            case "bye":
                self._said_bye = True
                if not self._plays_before_bye:
                    self.player.clear()
                self.player.mark(END, at)
        return []

    def _listen(self, format: str, at: float) -> None:
        if format in ONE_WAY or format not in FORMATS:
            self.violations.append(f"listening: format {format[:20]!r}")
        elif (hears := FORMATS[format]) is None:
            self.violations.append(f"listening: this fake does not speak {format}")
        else:
            if self._hears is None:
                self._mouth.start(at)
            self._hears = hears

    def _announce(self, format: str) -> None:
        if format not in FORMATS:
            self.violations.append(f"sending: format {format[:20]!r}")
        elif (plays := FORMATS[format]) is None:
            self.violations.append(f"sending: this fake does not play {format}")
        else:
            self.player.retune(plays[0])
            self._plays = plays

    def _play(self, data: object, at: float) -> list[str]:
        sound = unwrap(data)
        if sound is None:
            self.violations.append("audio: data is no base64")
        elif self._plays is None:
            self.ignored += len(sound)
            self.violations.append("audio without sending")
        elif len(sound) % bytes_per_sample(self._plays[1]):
            self.violations.append(f"audio: {len(sound)} bytes are no whole samples")
        else:
            rate, format = self._plays
            self.player.play(resample(decode(sound, format), rate, self.player.rate), at)
            text = self.player.queued * rate / self.player.rate * bytes_per_sample(format) * 4 / 3
            if text > self._most_queued:
                self.violations.append(f"more than {self._most_queued} bytes queued")
                return self._bye("error", "Too much audio queued")
        return []

    def _bye(self, reason: str, message: str = "") -> list[str]:
        if self.over:
            return []
        self.over = True
        return [_text("bye", reason=reason, message=message)]


def _text(t: str, **fields: str) -> str:
    return json.dumps({"t": t, **fields})
