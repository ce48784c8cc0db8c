"""The certificate of the phone lines' server: loaded again when its files change, and looked at before it expires."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path

from edgevoice.errors import DeviceError

PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN of OpenSSL: the certificate itself is trusted, whoever signed it
EXPIRED, NOT_YET_VALID = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
SOON_DAYS = 14


class Certificate:
    """A certificate and its key, in the files that are given."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._files = certificate, key
        self._seen: tuple[float, ...] = ()
        self.trouble = ""  # a sentence, when callers will be turned away, or soon
        self.reload()

    def reload(self) -> bool:
        """Load the files if they have changed; new connections have it, running ones go on. Tell whether it did.

        Raises DeviceError when they cannot be used; then the last good ones stay.
        """
        certificate, key = self._files
        try:
            seen = tuple(os.stat(file).st_mtime for file in self._files)
            if seen == self._seen:
                return False
            self.context.load_cert_chain(certificate, key)
        except ssl.SSLError as error:
            raise DeviceError(f"{certificate} and {key} do not belong together, or are not PEM: {error}") from error
        except OSError as error:
            raise DeviceError(f"{error.filename or certificate}: {error.strerror or error}") from error
        self._seen = seen
        self.trouble = self._look()
        return True

    def _look(self) -> str:
        """Say what somebody who connects would find wrong with its dates."""
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= PARTIAL_CHAIN
        try:
            client.load_verify_locations(self._files[0])
            return _dates(_shake_hands(self.context, client))
        except ssl.SSLCertVerificationError as error:
            match error.verify_code:
                case 10:
                    return f"the certificate {self._files[0]} has expired: phone services turn away; renew it"
                case 9:
                    return f"the certificate {self._files[0]} is not valid yet: is the clock of this box right?"
                case _:
                    return ""  # who signed it is for the phone services to judge
        except ssl.SSLError:
            return ""


def _dates(ends: str) -> str:
    days = (ssl.cert_time_to_seconds(ends) - time.time()) / 86400 if ends else SOON_DAYS
    return f"the certificate expires in {days:.0f} days: renew it" if days < SOON_DAYS else ""


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
