"""Vobiz' audio streams and Plivo's, their side of one call: pure, time is an argument.

Source: Vobiz, "vobiz-audio-streams" (July 2026): ids inside `start`, older samples of theirs read them at the top;
sound comes in big-endian and is wanted little-endian; no `stop` is ever sent. Plivo: the types of its own stream SDK;
its byte order is said nowhere, so that it is an option here.
"""

from __future__ import annotations

import json
from enum import Enum

from tests.phone.caller import KIND, Nasty, fits, parse
from tests.phone.far_end import FarEnd
from tests.phone.player import STEADY, Clock, Player
from tests.phone.sound import Samples, bytes_per_sample, decode, unwrap, wrap

SHAPES: dict[str, dict[str, type]] = {
    "playAudio": {"event": str, "media": dict, "streamId": str},
    "checkpoint": {"event": str, "streamId": str, "name": str},
    "clearAudio": {"event": str, "streamId": str},
    "stop": {"event": str, "streamId": str},
}
MEDIA: dict[str, type] = {"contentType": str, "sampleRate": int, "payload": str}
MULAW, L16 = "audio/x-mulaw", "audio/x-l16"


class Vendor(Enum):
    VOBIZ = "vobiz"
    PLIVO = "plivo"


class Vobiz(FarEnd):
    """One call of either vendor. It begins with the first `advance`."""

    def __init__(
        self,
        at: float,
        *,
        vendor: Vendor = Vendor.VOBIZ,
        call: str = "3f1c0c52-0000-4000-8000-000000000001",
        stream: str = "8d0ad0a4-0000-4000-8000-000000000002",
        account: str = "MA000000000000000000",
        encoding: str = MULAW,
        rate: int = 8000,
        nested: bool = True,
        big_endian: bool | None = None,
        extra_headers: str = "{}",
        cleared_after_ms: float | None = 40.0,
        deaf_until_cleared: bool = False,
        says_stop: bool = False,
        clock: Clock = STEADY,
        nasty: Nasty = KIND,
        record: bool = True,
    ) -> None:
        """`big_endian`: the sound that comes in; None is what the vendor is thought to do. `cleared_after_ms`: None
        for never. `deaf_until_cleared`: sound that does not wait for `clearedAudio` is thrown away."""
        super().__init__(Player(rate, at, clock, record=record), nasty, at)
        self._vobiz = vendor is Vendor.VOBIZ
        self._call, self._stream, self._account = call, stream, account
        self._encoding, self._rate, self._nested, self._extra_headers = encoding, rate, nested, extra_headers
        big_endian = self._vobiz if big_endian is None else big_endian
        self._in = "ulaw" if encoding == MULAW else "s16be" if big_endian else "s16le"
        self._out = "ulaw" if encoding == MULAW else "s16le"
        self._cleared_after_ms, self._deaf_until_cleared = cleared_after_ms, deaf_until_cleared
        self._says_stop = says_stop
        self._sequence = 0
        self._chunk = 0
        self._clearing: list[float] = []  # when each `clearAudio` is answered

    @property
    def next_at(self) -> float:
        return min((super().next_at, *self._clearing))

    def caller_says(self, pcm: Samples, at: float, *, rate: int = 8000) -> None:
        self._mouth.say(pcm, rate)

    def caller_presses(self, digit: str, at: float) -> list[str]:
        due = self.advance(at)
        if self._vobiz:
            return due  # no message is documented
        timestamp = str(self._mouth.frames * 20)
        return [*due, self._message("dtmf", dtmf={"track": "inbound", "digit": digit, "timestamp": timestamp})]

    def caller_hangs_up(self, at: float) -> list[str]:
        """The socket just closes."""
        due = self.advance(at)
        if self._says_stop and not self.over:
            due.append(json.dumps({"event": "stop", "streamId": self._stream}))
        self.over = True
        return due

    def receive(self, message: str | bytes, at: float) -> list[str]:
        """Take one message of the server; return what became due and what it is answered with."""
        due = self.advance(at)
        if self.over:
            return due
        found = parse(message, self.violations)
        if found is None:
            return due
        kind = str(found.get("event"))
        if kind not in SHAPES or (kind == "stop" and not self._vobiz):
            self.violations.append(f"unknown message event={kind[:20]!r}")
        elif fits(found, SHAPES[kind], kind, self.violations, "streamId" if kind == "playAudio" else ""):
            if not self._greeted:
                self.violations.append(f"{kind} before start")
            elif found.get("streamId", self._stream) != self._stream:
                self.violations.append(f"{kind}: another call's streamId")
            else:
                self._obey(kind, found, at)
        return due

    def _greet(self) -> list[str]:
        self._mouth.start(self._start)
        ids: dict[str, object] = {"callId": self._call, "streamId": self._stream, "tracks": ["inbound"]}
        ids["mediaFormat"] = {"encoding": self._encoding, "sampleRate": self._rate}
        early = [self._media(wrap(bytes(160)), 0)] if self._nasty.early_media else []
        if not self._vobiz:
            start = self._numbered(
                "start", start={**ids, "accountId": self._account}, extra_headers=self._extra_headers
            )
        else:
            start = json.dumps({"event": "start", **({"start": ids} if self._nested else ids)})
        return [*early, start, *([start] if self._nasty.second_start else [])]

    def _due(self, at: float) -> list[str]:
        messages = [self._played(name) for name in self.player.advance(at)]
        while self._clearing and self._clearing[0] <= at:
            self._clearing.pop(0)
            messages.append(self._numbered("clearedAudio"))
        for piece in self._mouth.due(at, self._rate, self._in):
            messages.append(self._media(piece.payload, piece.ms) if piece.unknown is None else piece.unknown)
        return messages

    def _obey(self, kind: str, message: dict[str, object], at: float) -> None:
        match kind:
            case "playAudio":
                self._play(message["media"], at)
            case "checkpoint":
                self.player.mark(str(message["name"]), at)
            case "clearAudio":
                self.player.clear()  # its checkpoints are never acknowledged
                if self._cleared_after_ms is not None:
                    self._clearing.append(at + self._cleared_after_ms / 1000)
            case "stop":
                self.player.clear()
                self.over = True

    def _play(self, media: object, at: float) -> None:
        if not fits(media, MEDIA, "playAudio.media", self.violations):
            return
        assert isinstance(media, dict)
        announced = (self._encoding, self._rate)
        sound = unwrap(media["payload"])
        if (media["contentType"], media["sampleRate"]) != announced:
            self.violations.append(f"playAudio: the format differs from the one announced, {announced}")
        elif sound is None:
            self.violations.append("playAudio: the payload is no base64")
        elif len(sound) % bytes_per_sample(self._out):
            self.violations.append(f"playAudio: {len(sound)} bytes are no whole samples")
        elif not (self._clearing and self._deaf_until_cleared):
            self.player.play(decode(sound, self._out), at)

    def _played(self, name: str) -> str:
        if self._vobiz:
            return json.dumps({"event": "playedStream", "name": name})
        return self._message("playedStream", name=name)

    def _media(self, payload: str, ms: int) -> str:
        self._chunk += 1
        media = {"track": "inbound", "timestamp": str(ms), "chunk": self._chunk, "payload": payload}
        if self._vobiz:
            return json.dumps({"event": "media", "media": media})
        return self._message("media", media=media, extra_headers=self._extra_headers)

    def _message(self, event: str, **fields: object) -> str:
        return self._numbered(event, streamId=self._stream, **fields)

    def _numbered(self, event: str, **fields: object) -> str:
        self._sequence += 1
        if event == "clearedAudio":
            fields["streamId"] = self._stream
        return json.dumps({"sequenceNumber": self._sequence, "event": event, **fields})
