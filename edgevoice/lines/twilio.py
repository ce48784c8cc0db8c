"""Twilio's Media Streams: one WebSocket, opened by Twilio because a call's TwiML says `<Connect><Stream>`.

Rules
* Sound is mu-law at 8 kHz in both directions. Only what the caller says counts, whatever tracks were asked for.
* A mark comes back when it was reached, and also when a `clear` has thrown it away; the message is the same. It is told
  as `Reached` either way: whoever cleared knows which marks were waiting.
* No message of ours ends a call: the socket is closed, and the TwiML goes on behind `<Connect>`.

Source: Twilio documentation, "Media Streams: WebSocket messages".
"""

from __future__ import annotations

from binascii import b2a_base64

from msgspec import Struct, field, json

from edgevoice.audio.g711 import pcm_to_ulaw, ulaw_to_pcm
from edgevoice.events import Audio, Closed, Digit, End
from edgevoice.lines.reading import KEYS, Count, Unknown, reader, texts
from edgevoice.lines.service import FRAME_MS, Began, Meaning, Messages, Reached

RATE = 8000
ENCODING = "audio/x-mulaw"


class _Format(Struct):
    encoding: str = ENCODING
    rate: Count = field(name="sampleRate", default=RATE)
    channels: Count = 1


class _Stream(Struct):
    call: str = field(name="callSid")
    stream: str = field(name="streamSid", default="")
    format: _Format | None = field(name="mediaFormat", default=None)
    parameters: object = field(name="customParameters", default=None)


class _Start(Struct, tag_field="event", tag="start"):
    start: _Stream
    stream: str = field(name="streamSid", default="")


class _Sound(Struct, gc=False):
    payload: bytes
    track: str = "inbound"


class _Media(Struct, tag_field="event", tag="media", gc=False):
    media: _Sound


class _Name(Struct):
    name: str


class _Mark(Struct, tag_field="event", tag="mark"):
    mark: _Name


class _Key(Struct):
    digit: str


class _Dtmf(Struct, tag_field="event", tag="dtmf"):
    dtmf: _Key


class _Stop(Struct, tag_field="event", tag="stop"):
    pass


_read = reader("event", _Media, _Mark, _Dtmf, _Start, _Stop)


class Twilio:
    """A `Service`: one call of Twilio."""

    name = "twilio"
    rate = RATE
    chunk_ms = 20
    frame_ms = FRAME_MS
    mark_ms = 250
    answers_clear = False  # marks come back, where there were any
    rings_by_itself = False
    flows_at_once = True
    patience_s = 10.0

    def __init__(self) -> None:
        self.faults = 0
        self._call = ""
        self._ended = False
        self._over: Closed | None = None
        self._media = self._mark = self._clear = ""  # what each message of ours begins with

    def receive(self, message: str | bytes, at: float) -> tuple[Meaning, ...]:
        if self._over:
            return ()
        read = _read(message)
        if isinstance(read, _Media) and self._call:
            if not read.media.payload or not read.media.track.startswith("inbound"):
                return ()
            return (Audio(ulaw_to_pcm(read.media.payload)),)
        match read:
            case _Mark(_Name(name)) if self._call:
                return (Reached(name),)
            case _Dtmf(_Key(key)) if self._call and key in KEYS:
                return (Digit(key),)
            case _Start(_Stream(call, inner), outer) if call and (inner or outer):
                return self._began(read.start, outer or inner)
            case _Stop():
                self._over = Closed(End.HUNG_UP, "the call has ended")
                return (self._over,)
            case Unknown():  # `connected` among them: it tells nothing
                return ()
            case _:  # no message, or one before `start`
                self.faults += 1
                return ()

    def open(self) -> Messages:
        return ()

    def begin(self) -> Messages:
        return ()

    def play(self, pcm: bytes) -> Messages:
        if not self._up:
            return ()
        return (f'{self._media}{b2a_base64(pcm_to_ulaw(pcm), newline=False).decode("ascii")}"}}}}',)

    def mark(self, name: str) -> Messages:
        return (f"{self._mark}{json.encode(name).decode()}}}}}",) if self._up else ()

    def clear(self, at: float) -> Messages:
        return (self._clear,) if self._up else ()

    def end(self) -> Messages:
        self._ended = True
        return ()

    def closed(self, code: int) -> Closed:
        if self._over is None and self._ended:
            self._over = Closed(End.HUNG_UP, "we ended the call")
        return self._over or Closed(
            End.LINK_LOST, f"Twilio's connection broke off in the middle of a call (code {code})"
        )

    @property
    def _up(self) -> bool:
        return bool(self._call) and not self._ended and self._over is None

    def _began(self, start: _Stream, name: str) -> tuple[Meaning, ...]:
        if self._call == start.call:
            return ()
        if self._call:
            return self._broken("Twilio began a second call on the connection of another")
        form = start.format or _Format()
        if (form.encoding.lower(), form.rate, form.channels) != (ENCODING, RATE, 1):
            told = f"{form.encoding[:40]!r} at {form.rate} Hz with {form.channels} channels"
            return self._broken(f"Twilio announced sound as {told}, expected {ENCODING!r} at {RATE} Hz with 1")
        self._call = start.call
        stream = json.encode(name).decode()
        self._media = f'{{"event":"media","streamSid":{stream},"media":{{"payload":"'
        self._mark = f'{{"event":"mark","streamSid":{stream},"mark":{{"name":'
        self._clear = f'{{"event":"clear","streamSid":{stream}}}'
        parameters = texts(start.parameters)
        return (Began(start.call, parameters.get("from", ""), parameters.get("to", ""), parameters),)

    def _broken(self, reason: str) -> tuple[Meaning, ...]:
        self._over = Closed(End.BROKEN, reason)
        return (self._over,)
