"""Vobiz' and Plivo's audio streams: one WebSocket, opened by them because a call's XML says `<Stream>`; two dialects.

Rules
* The sound is what `start` announces, in both directions: 16 bits or mu-law, at 8, 16 or 24 kHz.
* The order of the two bytes: Vobiz sends the high one first and wants the low one first. Plivo does not say; it is sent
  the low one first, and what it sends is judged by its sound. Until there is some, silence is heard.
* A checkpoint that a `clearAudio` overtakes is never told of: who waits for it, waits with a time-out.
* Nothing announces the end, the socket closes. A `stop`, which one of their samples mentions, is understood.
* A stream that they begin again (`maxRetries`) comes on a socket of its own.

Source: Vobiz documentation, "Audio streams"; Plivo's streaming SDK for Python, its types of messages.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import DecodeError, Struct, field, json

from edgevoice.audio.byte_order import ENOUGH, Order, byte_order, to_little
from edgevoice.audio.g711 import pcm_to_ulaw, ulaw_to_pcm
from edgevoice.audio.pcm import Whole
from edgevoice.events import Audio, Closed, Digit, End
from edgevoice.lines.connection import Connection
from edgevoice.lines.reading import KEYS, Count, Unknown, reader, texts
from edgevoice.lines.service import FRAME_MS, Began, Emptied, Meaning, Messages, Reached

RATES = (8000, 16_000, 24_000)
L16, ULAW = "audio/x-l16", "audio/x-mulaw"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the two differ."""

    name: str
    title: str
    sends: Order | None  # of the bytes of a sample; None: not documented
    has_stop: bool  # it can be told that a call is over


VOBIZ = Dialect("vobiz", "Vobiz", "big", has_stop=True)
PLIVO = Dialect("plivo", "Plivo", None, has_stop=False)


class _Format(Struct):
    encoding: str = ""
    rate: Count = field(name="sampleRate", default=0)


class _Stream(Struct):
    stream: str = field(name="streamId", default="")
    call: str = field(name="callId", default="")
    format: _Format | None = field(name="mediaFormat", default=None)
    headers: object = field(name="extra_headers", default=None)


class _Start(Struct, tag_field="event", tag="start"):
    start: _Stream = field(default_factory=_Stream)
    stream: str = field(name="streamId", default="")
    call: str = field(name="callId", default="")
    format: _Format | None = field(name="mediaFormat", default=None)
    headers: object = field(name="extra_headers", default=None)


class _Sound(Struct, gc=False):
    payload: bytes
    track: str = "inbound"


class _Media(Struct, tag_field="event", tag="media", gc=False):
    media: _Sound


class _Played(Struct, tag_field="event", tag="playedStream"):
    name: str


class _Cleared(Struct, tag_field="event", tag="clearedAudio"):
    pass


class _Key(Struct):
    digit: str


class _Dtmf(Struct, tag_field="event", tag="dtmf"):
    dtmf: _Key


class _Stop(Struct, tag_field="event", tag="stop"):
    pass


_read = reader("event", _Media, _Played, _Cleared, _Dtmf, _Start, _Stop)


class Vobiz:
    """A `Service`: one call of Vobiz, or with the dialect `PLIVO` one of Plivo."""

    chunk_ms = 20
    frame_ms = FRAME_MS
    mark_ms = 250
    answers_clear = True
    rings_by_itself = False
    flows_at_once = True
    patience_s = 10.0

    def __init__(self, dialect: Dialect = VOBIZ) -> None:
        self.name = dialect.name
        self.rate = RATES[0]
        self.faults = 0
        self._dialect = dialect
        self._connection = Connection(dialect.title)
        self._is_ulaw = False
        self._heard = Whole()
        self._order = dialect.sends
        self._in_doubt = b""  # the last of what was heard while the order is not known
        # What each message of ours begins with
        self._media = self._checkpoint = self._clear = self._stop = ""

    def receive(self, message: str | bytes, at: float) -> tuple[Meaning, ...]:
        if self._connection.over:
            return ()
        read = _read(message)
        if isinstance(read, _Media) and self._connection.call:
            pcm = self._pcm(read.media.payload) if read.media.track.startswith("inbound") else b""
            return (Audio(pcm),) if pcm else ()
        match read:
            case _Played(name) if self._connection.call:
                return (Reached(name),)
            case _Cleared() if self._connection.call:
                return (Emptied(),)
            case _Dtmf(_Key(key)) if self._connection.call and key in KEYS:
                return (Digit(key),)
            case _Start() if stream := read.stream or read.start.stream:
                return self._began(read, stream, read.call or read.start.call or stream)
            case _Stop():
                return self._connection.close(End.HUNG_UP, "the call has ended")
            case Unknown():
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
        payload = b2a_base64(pcm_to_ulaw(pcm) if self._is_ulaw else pcm, newline=False).decode("ascii")
        return (f'{self._media}{payload}"}}}}',)

    def mark(self, name: str) -> Messages:
        return (f"{self._checkpoint}{json.encode(name).decode()}}}",) if self._connection.up else ()

    def clear(self, at: float) -> Messages:
        return (self._clear,) if self._connection.up else ()

    def end(self) -> Messages:
        """Say goodbye: Vobiz then goes on in its XML, or hangs up. Plivo has no word for it."""
        goodbye = (self._stop,) if self._connection.up and self._dialect.has_stop else ()
        self._connection.leave()
        return goodbye

    def closed(self, code: int) -> Closed:
        """Say that the call is over: a closed socket is the only goodbye there is, whatever its code."""
        ended = "we ended the call" if self._connection.left else "the call has ended"
        return self._connection.over or Closed(End.HUNG_UP, ended)

    def _began(self, start: _Start, stream: str, call: str) -> tuple[Meaning, ...]:
        if self._connection.call:
            return self._connection.again(call)
        told = start.format or start.start.format or _Format()
        form = _understood(told)
        if form is None:
            expected = f"expected {L16!r} or {ULAW!r} at 8000, 16000 or 24000 Hz"
            return self._connection.close(End.BROKEN, f"{self._dialect.title} announced {_named(told)}, {expected}")
        self._connection.begin(call)
        encoding, self.rate = form
        self._is_ulaw = encoding == ULAW
        self._prepare(stream, told.encoding)
        parameters = _parameters(start.headers or start.start.headers)
        return (Began(call, parameters.get("from", ""), parameters.get("to", ""), parameters),)

    def _prepare(self, stream: str, encoding: str) -> None:
        """Write down what each message begins with; sound goes out under the very words under which it comes in."""
        name, kind = json.encode(stream).decode(), json.encode(encoding).decode()
        self._media = f'{{"event":"playAudio","media":{{"contentType":{kind},"sampleRate":{self.rate},"payload":"'
        self._checkpoint = f'{{"event":"checkpoint","streamId":{name},"name":'
        self._clear = f'{{"event":"clearAudio","streamId":{name}}}'
        self._stop = f'{{"event":"stop","streamId":{name}}}'

    def _pcm(self, payload: bytes) -> bytes:
        if self._is_ulaw:
            return ulaw_to_pcm(payload)
        pcm = self._heard.samples(payload)
        if self._order is None:
            self._in_doubt = (self._in_doubt + pcm)[-2 * ENOUGH :]
            self._order = byte_order(self._in_doubt)
            if self._order is None:
                return bytes(len(pcm))
        return to_little(pcm, self._order)


def Plivo() -> Vobiz:
    """Take one call of Plivo; named like what it makes, beside `Vobiz` and the other services."""
    return Vobiz(PLIVO)


def _understood(told: _Format) -> tuple[str, int] | None:
    """Return encoding and Hz of what was announced, however it was written; None where we do not speak that.

    `sampleRate` goes before a rate that stands behind the encoding.
    """
    encoding, *more = (part.strip().lower() for part in told.encoding.split(";"))
    rate = told.rate
    for part in more:
        if not rate and part.startswith("rate="):
            rate = next((known for known in RATES if part == f"rate={known}"), -1)
    rate = rate or RATES[0]  # the default of either's `contentType`
    return (encoding, rate) if encoding in (L16, ULAW) and rate in RATES else None


def _named(told: _Format) -> str:
    if not told.encoding:
        return "no format of its sound"
    return f"sound as {told.encoding[:40]!r}" + (f" at {told.rate} Hz" if told.rate else "")


def _parameters(headers: object) -> Mapping[str, str]:
    """Read Plivo's `extra_headers`: JSON in a text as its SDK says, or pairs as they stand in the XML, or anything."""
    if isinstance(headers, str):
        try:
            headers = json.decode(headers)
        except (DecodeError, RecursionError, UnicodeEncodeError):
            pairs = (pair.partition("=") for pair in str(headers).replace(";", ",").split(","))
            headers = {name.strip(): text.strip() for name, found, text in pairs if found}
    return texts(headers)
