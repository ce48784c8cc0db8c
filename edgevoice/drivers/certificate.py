"""The certificate of the phone lines' server: loaded again when its files change, and looked at before it expires."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path

from edgevoice.errors import DeviceError

PARTIAL_CHAIN = ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is trusted, whoever signed it
EXPIRED, NOT_YET_VALID = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
SOON_DAYS = 14
NEVER = float("inf")


class Certificate:
    """A certificate and its key, in the files that are given. Raises DeviceError when they cannot be used at first."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._files = certificate, key
        self._seen: tuple[int, ...] = ()
        self._unusable = ""  # what is wrong with the files now; the last good ones stay
        self._wrong = ""
        self._ends_at = NEVER  # seconds since 1970
        self._load()

    def reload(self) -> bool:
        """Load the files if they have changed; new connections have it, running ones go on. Tell whether it did."""
        try:
            loaded = self._load()
        except DeviceError as error:
            self._unusable = str(error)
            return False
        self._unusable = ""
        return loaded

    def _load(self) -> bool:
        certificate, key = self._files
        try:
            seen = tuple(os.stat(file).st_mtime_ns for file in self._files)
            if seen == self._seen:
                return False
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):  # a pair that fails stays with one
                context.load_cert_chain(certificate, key, password=_no_password)
        except ssl.SSLError as error:
            reason = error.reason or error
            raise DeviceError(f"{certificate} and {key} do not belong together, or are not PEM: {reason}") from error
        except OSError as error:
            raise DeviceError(f"{error.filename or certificate}: {error.strerror or error}") from error
        self._seen = seen
        self._look()
        return True

    @property
    def trouble(self) -> str:
        """A sentence, when callers will be turned away now, or soon."""
        days = (self._ends_at - time.time()) / 86400
        if self._unusable or self._wrong:
            return self._unusable or self._wrong
        if days < 0:
            return self._expired
        return f"the certificate expires in {days:.0f} days: renew it" if days < SOON_DAYS else ""

    @property
    def _expired(self) -> str:
        return f"the certificate {self._files[0]} has expired: phone services turn away; renew it"

    def _look(self) -> None:
        """Find out what somebody who connects would find wrong with its dates."""
        self._wrong, self._ends_at = "", NEVER
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= PARTIAL_CHAIN
        try:
            client.load_verify_locations(self._files[0])
            if ends := _shake_hands(self.context, client):
                self._ends_at = ssl.cert_time_to_seconds(ends)
        except ssl.SSLCertVerificationError as error:
            if error.verify_code == EXPIRED:
                self._wrong = self._expired
            elif error.verify_code == NOT_YET_VALID:
                self._wrong = f"the certificate {self._files[0]} is not valid yet: is the clock of this box right?"
        except ssl.SSLError:
            pass  # who signed it is for the phone services to judge


def _no_password() -> str:
    """Nobody is there to type one."""
    return ""


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Let a client of ours, in memory, look at the certificate; return when it ends. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(to_client, to_server)
    answers = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):  # two round trips at the most
        for side in (asks, answers):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
        if asks.version() and (found := asks.getpeercert()):
            return str(found.get("notAfter", ""))
    return ""
