"""Twilio's Media Streams (`<Connect><Stream>`), its side of one call: pure, time is an argument.

Source: Twilio, "Media Streams: WebSocket messages". Numbers that Twilio sends as strings are strings here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.phone.caller import KIND, Nasty, fits, parse
from tests.phone.far_end import FarEnd
from tests.phone.player import STEADY, Clock, Player
from tests.phone.sound import Samples, decode, unwrap, wrap

RATE = 8000
FORMAT = "ulaw"
SHAPES: dict[str, dict[str, type]] = {
    "media": {"event": str, "streamSid": str, "media": dict},
    "mark": {"event": str, "streamSid": str, "mark": dict},
    "clear": {"event": str, "streamSid": str},
}
INNER: dict[str, dict[str, type]] = {"media": {"payload": str}, "mark": {"name": str}}
HEADERS = (b"RIFF", b"OggS", b"ID3", b"fLaC")  # a file in a message: it would be played as noise


class Twilio(FarEnd):
    """One call. It begins with the first `advance`."""

    def __init__(
        self,
        at: float,
        *,
        account: str = "AC" + "0" * 32,
        call: str = "CA" + "1" * 32,
        stream: str = "MZ" + "2" * 32,
        parameters: Mapping[str, str] | None = None,
        clock: Clock = STEADY,
        nasty: Nasty = KIND,
        record: bool = True,
    ) -> None:
        super().__init__(Player(RATE, at, clock, record=record), nasty, at)
        self._account, self._call, self._stream = account, call, stream
        self._parameters = dict(parameters or {})
        self._sequence = 0
        self._chunk = 0

    def caller_says(self, pcm: Samples, at: float, *, rate: int = RATE) -> None:
        self._mouth.say(pcm, rate)

    def caller_presses(self, digit: str, at: float) -> list[str]:
        return [*self.advance(at), self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})]

    def caller_hangs_up(self, at: float) -> list[str]:
        due = self.advance(at)
        if self.over:
            return due
        self.over = True
        return [*due, self._message("stop", stop={"accountSid": self._account, "callSid": self._call})]

    def receive(self, message: str | bytes, at: float) -> list[str]:
        """Take one message of the server; return what became due and what it is answered with."""
        due = self.advance(at)
        if self.over:
            return due
        found = parse(message, self.violations)
        if found is None:
            return due
        kind = str(found.get("event"))
        if kind not in SHAPES:
            self.violations.append(f"unknown message event={kind[:20]!r}")
        elif fits(found, SHAPES[kind], kind, self.violations):
            if not self._greeted:
                self.violations.append(f"{kind} before start")
            elif found["streamSid"] != self._stream:
                self.violations.append(f"{kind}: another call's streamSid")
            elif kind == "clear" or fits(found[kind], INNER[kind], f"{kind}.{kind}", self.violations):
                due += self._obey(kind, found, at)
        return due

    def _greet(self) -> list[str]:
        self._mouth.start(self._start)
        connected = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        early = [self._media(wrap(b"\xff" * 160), 0)] if self._nasty.early_media else []
        self._sequence = 0
        start = self._message(
            "start",
            start={
                "accountSid": self._account,
                "streamSid": self._stream,
                "callSid": self._call,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1},
                "customParameters": self._parameters,
            },
        )
        return [connected, *early, start, *([start] if self._nasty.second_start else [])]

    def _due(self, at: float) -> list[str]:
        messages = [self._mark(name) for name in self.player.advance(at)]
        for piece in self._mouth.due(at, RATE, FORMAT):
            messages.append(self._media(piece.payload, piece.ms) if piece.unknown is None else piece.unknown)
        return messages

    def _obey(self, kind: str, message: dict[str, object], at: float) -> list[str]:
        inner = message.get(kind)
        if kind == "clear":
            return [self._mark(name) for name in self.player.clear()]  # all at once, though none was reached
        assert isinstance(inner, dict)
        if kind == "mark":
            if not inner["name"]:
                self.violations.append("mark: the name is empty")
            self.player.mark(str(inner["name"]), at)
            return []
        sound = unwrap(inner["payload"])
        if sound is None:
            self.violations.append("media: the payload is no base64")
        elif sound.startswith(HEADERS):
            self.violations.append("media: a file, expected bare mu-law")
        else:
            self.player.play(decode(sound, FORMAT), at)
        return []

    def _mark(self, name: str) -> str:
        return self._message("mark", mark={"name": name})

    def _media(self, payload: str, ms: int) -> str:
        self._chunk += 1
        media = {"track": "inbound", "chunk": str(self._chunk), "timestamp": str(ms), "payload": payload}
        return self._message("media", media=media)

    def _message(self, event: str, **fields: object) -> str:
        self._sequence += 1
        return json.dumps({"event": event, "sequenceNumber": str(self._sequence), **fields, "streamSid": self._stream})
