"""SIP, as far as it is pure: one call's messages to and from the worker.

    parent                                  worker (a child process with the SIP library)
      Sip.begin, play, mark, clear, end ──>   {"do": ..., "call": 7}, or 4 bytes of the call's number, then sound
      Sip.receive                       <──   {"is": ..., "call": 7}, or the same with 8 bytes of time before the sound

| the worker says | means |                        | the parent says | means |
|---|---|---|---|---|
| incoming: from, secure, header | a call came in | | answer, end (status) | take it; leave it, or decline |
| ringing, early, established: rate | how far it is | | dial: uri, account | call somebody |
| key | a digit, however it was sent               | | keys | send digits |
| held, resumed | by the other side                | | mark: name, clear | as for every line |
| reached: name | as for every line                | | | |
| closed: status, reason | it is over              | | | |
| quality: facts | loss, jitter, round trip        | | | |

Any SIP stack that says this can be the worker. Sound is int16, native order, mono, at the rate that `established` says.
The number of a call is big-endian: so sound never begins with the brace by which the rest is told from it. The time is
when it was read (monotonic seconds): sound that is lost is absent from it, and is filled in here. For that the worker
also sends no sound at all, when none has come. Here and not there: numpy would cost each worker 15 MB.

Rules
* What the worker says may be wrong in any way: it is counted in `faults`, and nothing raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from edgevoice.audio.conceal import Concealer
from edgevoice.audio.pcm import from_bytes, to_bytes
from edgevoice.events import Audio, Closed, Digit, End, Progress, Stage
from edgevoice.lines.service import Began, Flowing, Meaning, Messages, Reached
from edgevoice.lines.sip_account import caller
from edgevoice.lines.sip_ends import closed
from edgevoice.lines.sip_words import NUMBER, TIMED

RING_S = 60  # of a telephone that nobody answers, also where the network lets hear something meanwhile
FOR_EVER_S = 1e9  # no machine has been up for so long
RATE = 8_000  # until the call says otherwise
RATES = {8_000: "G.711", 16_000: "G722", 48_000: "opus"}
KEYS = "0123456789ABCD*#"


class Sip:
    """A `Service`: one call. `dial` is the request that places it, None for one that came in."""

    name = "sip"
    chunk_ms = 100  # of an answer: fewer messages, and by that the worker tells it from a voice
    frame_ms = 5  # of a voice: the worker waits for the rest of a packet, and that is enough
    mark_ms = 250
    answers_clear = False
    rings_by_itself = True  # the caller's own telephone
    flows_at_once = False
    patience_s = 75.0  # of a telephone that rings; registrars give up after 60

    def __init__(self, call: int, dial: Mapping[str, object] | None = None) -> None:
        self.call = call
        self.rate = RATE
        self.faults = 0
        self._quality: Mapping[str, object] = {}
        self._dial = dial
        self._began = self._established = self._over = False
        self._prefix = NUMBER.pack(call)
        self._concealer = Concealer(RATE)

    def receive(self, message: str | bytes, at: float) -> tuple[Meaning, ...]:
        if isinstance(message, bytes):
            return self._hear(message)
        try:
            told = json.loads(message)
        except (ValueError, RecursionError):
            told = None
        meaning = self._understand(told)
        if meaning is None:
            self.faults += 1
            return ()
        return meaning

    def _hear(self, packet: bytes) -> tuple[Meaning, ...]:
        """Take what was heard since the last packet: less than time has passed where something is lost."""
        if len(packet) < TIMED.size or len(packet) % 2:
            self.faults += 1
            return ()
        if not self._began:
            return ()
        _, at = TIMED.unpack_from(packet)
        if not 0 <= at < FOR_EVER_S:  # not a number fails, too
            self.faults += 1
            return ()
        heard = self._concealer.take(from_bytes(packet[TIMED.size :]), at)
        return (Audio(to_bytes(heard)),) if len(heard) else ()

    def _understand(self, told: object) -> tuple[Meaning, ...] | None:
        """Say what a message means; None: nothing that makes sense."""
        match told:
            case {"is": "incoming", "id": str(id), "from": str(address)}:
                self._began = True
                return (Began(id, caller=caller(address)),)
            case {"is": "ringing"}:
                return (Progress(Stage.RINGING),)
            case {"is": "early", "id": str(id), "rate": int(rate)} if rate in RATES:
                return (*self._begin(id, rate), Progress(Stage.EARLY_MEDIA))
            case {"is": "established", "id": str(id), "rate": int(rate)} if rate in RATES:
                self._established = True
                return (*self._begin(id, rate), Flowing())
            case {"is": "key", "key": str(key)} if len(key) == 1 and key in KEYS:
                return (Digit(key),)
            case {"is": "held"}:
                return (Progress(Stage.HELD),)
            case {"is": "resumed"}:
                return (Progress(Stage.RESUMED),)
            case {"is": "reached", "name": str(name)}:
                return (Reached(name),)
            case {"is": "quality", "facts": dict(facts)}:
                self._quality = facts
                return ()
            case {"is": "closed", "status": int(status)}:
                return (self._closed(status),)
        return None

    @property
    def facts(self) -> Mapping[str, object]:
        """Say how the call goes: codec, loss, jitter, the way there and back."""
        return {"codec": RATES[self.rate], **self._quality} if self._established else {}

    def _begin(self, id: str, rate: int) -> tuple[Meaning, ...]:
        """Take the rate; what we called begins with the first sound of it."""
        self.rate = rate
        if rate != self._concealer.rate:
            self._concealer = Concealer(rate)
        if self._began:
            return ()
        self._began = True
        return (Began(id),)

    def _closed(self, status: int) -> Closed:
        self._over = True
        if self._established and status == 0:
            return Closed(End.LINK_LOST, "no sound came any more")
        if self._established or status == 200:
            return Closed(End.HUNG_UP, "the other side hung up")
        return closed(status)

    def open(self) -> Messages:
        """Place the call, if it is ours and nobody has hung up already."""
        return (self._say("dial", ring_s=RING_S, **self._dial),) if self._dial and not self._over else ()

    def begin(self) -> Messages:
        return () if self._dial else (self._say("answer"),)

    def play(self, pcm: bytes) -> tuple[bytes, ...]:
        return () if self._over else (self._prefix + pcm,)

    def mark(self, name: str) -> Messages:
        return () if self._over else (self._say("mark", name=name),)

    def clear(self, at: float) -> Messages:
        return () if self._over else (self._say("clear"),)

    def end(self) -> Messages:
        over, self._over = self._over, True
        return () if over else (self._say("end", status=0 if self._established or self._dial else 486),)

    def keys(self, keys: str) -> Messages:
        """Send digits."""
        return () if self._over else (self._say("keys", keys=keys),)

    def closed(self, code: int) -> Closed:
        return Closed(End.LINK_LOST, "the SIP worker has ended")

    def _say(self, do: str, **more: object) -> str:
        return json.dumps({"do": do, "call": self.call, **more})
