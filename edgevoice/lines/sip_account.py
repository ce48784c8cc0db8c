"""SIP accounts, as far as they are pure: who may be answered, who is called where, and when to register again.

Rules
* From is what somebody wrote: it is believed only where the connection is authenticated (TLS or TCP, where calls come
  on the connection that we registered and on no other, or a secret header of one's own PBX). Beside an account that
  uses UDP no account's connection counts: what comes over UDP may claim to be for any of them.
* Whoever is refused for a wrong password is told once, and asked again seldom; all else again after 1, 2, 5, 10, 30 s.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from edgevoice.lines.sip_ends import closed
from edgevoice.lines.sip_words import MANDATORY

RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
REFUSED_S = 300.0  # a password may have been mended meanwhile
UNTIL_S = 120  # a registration is asked for that long: short, so that a registrar that was restarted knows us soon
RTP_TIMEOUT_S = 20  # without sound, which flows in silence, too: the other side is gone
CA_FILE = "/etc/ssl/certs/ca-certificates.crt"


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


def caller(address: str) -> str:
    """Return the user of "Name <sip:user@host>": a number, or a name. What stands in the name is anybody's."""
    _, bracket, uri = address.rpartition("<")
    found = re.match(r"sips?:([^@:;<>]+)(:[^@<>]*)?@", uri if bracket else address.strip())
    return found.group(1) if found else ""
