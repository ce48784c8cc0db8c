"""SIP, as far as it is pure: a call's messages to and from the worker, who may be answered, and when to register again.

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
* From is what somebody wrote: it is believed only where the connection is authenticated (TLS or TCP, where calls come
  on the connection that we registered and on no other, or a secret header of one's own PBX). Beside an account that
  uses UDP no account's connection counts: what comes over UDP may claim to be for any of them.
* Whoever is refused for a wrong password is told once, and asked again seldom; all else again after 1, 2, 5, 10, 30 s.
* What the worker says may be wrong in any way: it is counted in `faults`, and nothing raises.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from edgevoice.audio.conceal import Concealer
from edgevoice.audio.pcm import from_bytes, to_bytes
from edgevoice.events import Audio, Closed, Digit, End, Progress, Stage
from edgevoice.lines.service import Began, Flowing, Meaning, Messages, Reached
from edgevoice.lines.sip_words import MANDATORY, NUMBER, TIMED

RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
REFUSED_S = 300.0  # a password may have been mended meanwhile
UNTIL_S = 120  # a registration is asked for that long: short, so that a registrar that was restarted knows us soon
RTP_TIMEOUT_S = 20  # without sound, which flows in silence, too: the other side is gone
RING_S = 60  # of a telephone that nobody answers, also where the network lets hear something meanwhile
FOR_EVER_S = 1e9  # no machine has been up for so long
CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
RATE = 8_000  # until the call says otherwise
RATES = {8_000: "G.711", 16_000: "G722", 48_000: "opus"}
KEYS = "0123456789ABCD*#"

# Source: RFC 3261 clause 21, and what PBXs send in practice.
ENDS: Mapping[int, tuple[End, str]] = {
    401: (End.BAD_CREDENTIALS, "the registrar does not accept user and password"),
    403: (End.REFUSED, "the registrar, or who was called, forbids it"),
    404: (End.WRONG_NUMBER, "there is nobody of that name or number"),
    407: (End.BAD_CREDENTIALS, "the registrar does not accept user and password"),
    408: (End.NO_ANSWER, "nobody answered"),
    410: (End.WRONG_NUMBER, "that number is not in use any more"),
    423: (End.REFUSED, "the registrar keeps nobody registered: it says yes, for no time at all"),
    480: (End.NO_ANSWER, "who was called cannot be reached now"),
    484: (End.WRONG_NUMBER, "the number is not complete"),
    486: (End.BUSY, "who was called is on the phone"),
    487: (End.HUNG_UP, "the call was called off"),
    488: (End.REFUSED, "the two sides have no codec in common: see `codecs` and `srtp`"),
    600: (End.BUSY, "who was called is on the phone everywhere"),
    603: (End.REFUSED, "who was called declined"),
    604: (End.WRONG_NUMBER, "there is nobody of that name or number anywhere"),
}


class Sip:
    """A `Service`: one call. `dial` is the request that places it, None for one that came in."""

    name = "sip"
    chunk_ms = 20
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


def closed(status: int) -> Closed:
    """Say what a SIP status means that a call, or a registration, ended with; 0: nothing came."""
    if status in ENDS:
        return Closed(*ENDS[status])
    if status >= 500 or status == 0:
        return Closed(End.LINK_LOST, f"the registrar is in trouble, or cannot be reached (SIP {status or 'no answer'})")
    return Closed(End.REFUSED, f"the call was refused (SIP {status})")


def caller(address: str) -> str:
    """Return the user of "Name <sip:user@host>": a number, or a name. What stands in the name is anybody's."""
    _, bracket, uri = address.rpartition("<")
    found = re.match(r"sips?:([^@:;<>]+)(:[^@<>]*)?@", uri if bracket else address.strip())
    return found.group(1) if found else ""


# --------------------------------------------------------------------------------------------------- who, and where


@dataclass(frozen=True, slots=True)
class Account:
    """One account, as configured. `header` is the name and the value of a secret header, or two empty texts.

    `beside_udp`: calls may come in over UDP, to this account or to another one of the box.
    """

    registrar: str
    user: str
    transport: str = "udp"
    allow: tuple[str, ...] = ()
    targets: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, str] = field(default=("", ""), repr=False)
    beside_udp: bool = False

    def authentic(self, shown: str) -> bool:
        """Tell whether who calls over this account is who they say; `shown` is what the secret header held."""
        name, due = self.header
        if name:
            return bool(due) and hmac.compare_digest(shown.encode(errors="replace"), due.encode())
        return self.transport in ("tls", "tcp") and not self.beside_udp

    def may_be_answered(self, who: str, shown: str) -> bool:
        """Tell whether a caller may be answered by the box itself."""
        return bool(who) and who in self.allow and self.authentic(shown)

    def address(self, target: str) -> str:
        """Return the SIP address of "reception" (one of `targets`), "sip:100@pbx", "100", or "+4670..."."""
        known = self.targets.get(target, target)
        if known.startswith(("sip:", "sips:")):
            return known
        return f"sip:{known}" if "@" in known else f"sip:{known}@{self.host}"

    @property
    def host(self) -> str:
        return self.registrar.removeprefix("sips:").removeprefix("sip:").partition(";")[0]


CODECS = {"opus": "opus/48000/2", "G722": "G722/16000/1", "PCMA": "PCMA/8000/1", "PCMU": "PCMU/8000/1"}
SRTP = {"optional": ("mediaenc=srtp",), "mandatory": (MANDATORY,)}


def worker_account(account: Account, password: str, *, codecs: Sequence[str], srtp: str) -> Mapping[str, object]:
    """Return an account as the worker takes it."""
    return {
        "user": account.user,
        "domain": account.host,
        "password": password,
        "reg_interval": UNTIL_S,
        "transport": account.transport,
        "audio_codecs": [CODECS[codec] for codec in codecs],
        # Without the second the library asks for pictures, right after it has answered.
        "extra_params": [*SRTP.get(srtp, ()), "video_codecs=none"],
        "header": account.header[0],
    }


def worker_start(
    accounts: Sequence[Account], known: Sequence[Mapping[str, object]], *, calls: int, jitter_ms: int, ca_file: str
) -> Mapping[str, object]:
    """Return the worker's first message. Source: baresip's configuration, and what was seen of the library."""
    transports = ",".join(dict.fromkeys(account.transport for account in accounts))
    text = [
        f"sip_transports {transports}",  # no others are listened to
        "sip_verify_server yes",  # by itself it takes any certificate
        f"sip_cafile {ca_file or CA_FILE}",
        "dns_getaddrinfo yes",  # as the rest of the system finds hosts
        "audio_jitter_buffer_type fixed",
        f"audio_jitter_buffer_ms {jitter_ms}-{jitter_ms + 120}",  # less room counts frames as late that are not
    ]
    local = all(account.host.partition(":")[0] in ("localhost", "127.0.0.1") for account in accounts)
    config = {
        "net_interface": "127.0.0.1" if local else None,  # which it leaves out by itself
        "max_concurrent_calls": calls,
        "rtp_timeout": RTP_TIMEOUT_S,
        "expose_headers": [account.header[0] for account in accounts if account.header[0]],
        "extra_config_text": "\n".join(text) + "\n",
    }
    return {"config": config, "accounts": known}


class Registration:
    """When one account is registered again, and what to say of it; no clock inside."""

    def __init__(self) -> None:
        self.registered = False
        self.trouble = ""
        self.until: float | None = None  # as far as we know
        self._refused = False
        self._tries = 0
        self._next = 0.0

    @property
    def deadline(self) -> float:
        """When to ask again; inf while the answer is waited for."""
        return self._next

    def asked(self, at: float) -> None:
        self._next = inf

    def succeeded(self, at: float) -> None:
        """It is registered. The library renews that and says so: if it does not, it is asked."""
        self.registered, self.trouble, self.until = True, "", at + UNTIL_S
        self._refused, self._tries, self._next = False, 0, at + UNTIL_S

    def failed(self, status: int, at: float) -> str:
        """Take a refusal, or a silence (0); return a sentence if it is news. It may be told twice, and counts once."""
        if not self.registered and self._next != inf:
            return ""
        before = self.trouble
        self.registered, self.until = False, None
        self.trouble = closed(status).reason
        self._refused = status in (401, 403, 404, 407, 423)
        self._tries += 1
        self._next = at + (REFUSED_S if self._refused else RETRY_S[min(self._tries, len(RETRY_S)) - 1])
        return self.trouble if self.trouble != before else ""

    def lost(self, at: float) -> None:
        """The worker is gone: a new one asks at once, unless the password was wrong."""
        self.registered, self.until = False, None
        if not self._refused or self._next == inf:
            self._next = at


def route(accounts: Sequence[Account], registrations: Sequence[Registration], name: str) -> tuple[int, str] | None:
    """Return by which account `name` is called, and its address; None while none is registered.

    The first one that is registered and knows the name, else the first one that is registered at all.
    """
    usable = [index for index, one in enumerate(registrations) if one.registered]
    knowing = [index for index, one in enumerate(accounts) if name in one.targets]
    index = next((index for index in usable if index in knowing), next(iter(usable), None))
    if index is None:
        return None
    return index, accounts[index if index in knowing or not knowing else knowing[0]].address(name)
