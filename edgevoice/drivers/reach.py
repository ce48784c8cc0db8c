"""How far it is to a service: its name, a connection, TLS, and what time it is there.

A certificate that our clock finds too old or too new is asked a second time without looking at it, for the time and
nothing else: so a wrong clock is told from a wrong certificate. No secret is sent here.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from email.utils import parsedate_to_datetime

from edgevoice.doctor.facts import Reached
from edgevoice.drivers.tcp import dates_wrong

DNS_S = 4.0
CONNECT_S = 4.0


def reach(host: str, port: int, *, tls: bool) -> Reached:
    """Try to reach a service. Never raises: what goes wrong is the answer."""
    began = time.monotonic()
    dns_trouble = resolve(host, port)
    dns_s = time.monotonic() - began
    if dns_trouble:
        return Reached(host, port, tls, dns_trouble=dns_trouble)
    context = ssl.create_default_context() if tls else None
    try:
        version, ahead_s = _ask_the_time(host, port, context)
    except ssl.SSLCertVerificationError as error:
        dates = dates_wrong(error)
        trouble = error.verify_message
        return Reached(
            host,
            port,
            tls,
            dns_s=dns_s,
            certificate_trouble=trouble,
            dates_wrong=dates,
            ahead_s=_unverified_time(host, port) if dates else None,
        )
    except (OSError, http.client.HTTPException) as error:
        return Reached(host, port, tls, dns_s=dns_s, trouble=words(error))
    return Reached(host, port, tls, dns_s=dns_s, version=version, ahead_s=ahead_s)


def resolve(host: str, port: int, limit_s: float = DNS_S) -> str:
    """Look a name up; return what went wrong, "" if nothing did. The resolver itself cannot be hurried."""
    trouble: list[str] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            trouble.append("")
        except (OSError, UnicodeError) as error:
            trouble.append(words(error))

    looking = threading.Thread(target=look_up, daemon=True)
    looking.start()
    looking.join(limit_s)
    return trouble[0] if trouble else f"no answer within {limit_s:g} s"


def port_trouble(listen: str) -> str:
    """Say why one cannot listen there ("0.0.0.0:8443"), "" if one can."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, int(port)))
            trial.listen(1)  # two may bind such a port, only one listens
        except OSError as error:
            return f"{listen}: {os.strerror(error.errno) if error.errno else error}"
    return ""


def _ask_the_time(host: str, port: int, context: ssl.SSLContext | None) -> tuple[str, float | None]:
    """Return the version of TLS, and how much our clock is ahead, if they tell the time."""
    if context is None:
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_S)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=context)
    try:
        connection.connect()
        version = connection.sock.version() if isinstance(connection.sock, ssl.SSLSocket) else ""
        try:
            connection.request("HEAD", "/", headers={"User-Agent": "edgevoice"})
            date = connection.getresponse().headers.get("Date", "")
        except (OSError, http.client.HTTPException):
            date = ""  # it is reached all the same: what it speaks need not be HTTP
        return version or "", _ahead_s(date)
    finally:
        connection.close()


def _ahead_s(date: str) -> float | None:
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def _unverified_time(host: str, port: int) -> float | None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return _ask_the_time(host, port, context)[1]
    except (OSError, http.client.HTTPException):
        return None


def words(error: Exception) -> str:
    """Say what went wrong."""
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_S:g} s"
    return str(getattr(error, "strerror", None) or error)
