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
from edgevoice.lines.connection import Connection
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
        self._connection = Connection("Twilio")
        self._media = self._mark = self._clear = ""  # what each message of ours begins with

    def receive(self, message: str | bytes, at: float) -> tuple[Meaning, ...]:
        if self._connection.over:
            return ()
        read = _read(message)
        if isinstance(read, _Media) and self._connection.call:
            if not read.media.payload or not read.media.track.startswith("inbound"):
                return ()
            return (Audio(ulaw_to_pcm(read.media.payload)),)
        match read:
            case _Mark(_Name(name)) if self._connection.call:
                return (Reached(name),)
            case _Dtmf(_Key(key)) if self._connection.call and key in KEYS:
                return (Digit(key),)
            case _Start(_Stream(call, inner), outer) if call and (inner or outer):
                return self._began(read.start, outer or inner)
            case _Stop():
                return self._connection.close(End.HUNG_UP, "the call has ended")
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
        if not self._connection.up:
            return ()
        return (f'{self._media}{b2a_base64(pcm_to_ulaw(pcm), newline=False).decode("ascii")}"}}}}',)

    def mark(self, name: str) -> Messages:
        return (f"{self._mark}{json.encode(name).decode()}}}}}",) if self._connection.up else ()

    def clear(self, at: float) -> Messages:
        return (self._clear,) if self._connection.up else ()

    def end(self) -> Messages:
        self._connection.leave()
        return ()

    def closed(self, code: int) -> Closed:
        return self._connection.closed(code)

    def _began(self, start: _Stream, name: str) -> tuple[Meaning, ...]:
        if self._connection.call:
            return self._connection.again(start.call)
        form = start.format or _Format()
        if (form.encoding.lower(), form.rate, form.channels) != (ENCODING, RATE, 1):
            told = f"{form.encoding[:40]!r} at {form.rate} Hz with {form.channels} channels"
            reason = f"Twilio announced sound as {told}, expected {ENCODING!r} at {RATE} Hz with 1"
            return self._connection.close(End.BROKEN, reason)
        self._connection.begin(start.call)
        stream = json.encode(name).decode()
        self._media = f'{{"event":"media","streamSid":{stream},"media":{{"payload":"'
        self._mark = f'{{"event":"mark","streamSid":{stream},"mark":{{"name":'
        self._clear = f'{{"event":"clear","streamSid":{stream}}}'
        parameters = texts(start.parameters)
        return (Began(start.call, parameters.get("from", ""), parameters.get("to", ""), parameters),)
