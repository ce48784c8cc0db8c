"""How far it is to a SIP registrar: its name, a connection, its certificate, and whether it answers OPTIONS.

It is asked as the SIP worker asks it: over the same transport, trusting the same file. No user and no password is sent.
Source: RFC 3261, clauses 11 (OPTIONS), 18.2.2 (rport: RFC 3581), 19.1.2 (default ports).
"""

from __future__ import annotations

import os
import socket
import ssl

from edgevoice.doctor.facts import Registrar
from edgevoice.drivers.reach import resolve, words
from edgevoice.drivers.tcp import dates_wrong

PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
ANSWER_S = 3.0
CONNECT_S = 4.0
LARGEST = 65_535


def look(address: str, transport: str, ca_file: str) -> Registrar:
    """Try to reach "pbx:5060". Never raises: what goes wrong is the answer."""
    host, port = _apart(address, PORTS[transport])
    if dns_trouble := resolve(host, port):
        return Registrar(address, transport, dns_trouble=dns_trouble)
    try:
        with _connected(host, port, transport, ca_file) as way:
            version = way.version() or "" if isinstance(way, ssl.SSLSocket) else ""
            return Registrar(address, transport, answers=_answers(way, transport), version=version)
    except ssl.SSLCertVerificationError as error:
        trouble = error.verify_message
        return Registrar(address, transport, certificate_trouble=trouble, dates_wrong=dates_wrong(error))
    except OSError as error:
        return Registrar(address, transport, trouble=words(error))


def _apart(address: str, port: int) -> tuple[str, int]:
    """Take "pbx:5060", "pbx", "[::1]:5060" or "[::1]" apart."""
    host, colon, number = address.rpartition(":")
    if not colon or "]" in number:
        host, number = address, ""
    return host.strip("[]"), int(number) if number.isdigit() else port


def _connected(host: str, port: int, transport: str, ca_file: str) -> socket.socket:
    """Return a socket that talks with nobody else. Raises OSError."""
    if transport == "udp":
        family, kind, _, _, there = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        way = socket.socket(family, kind)
        way.settimeout(ANSWER_S)
        way.connect(there)
        return way
    way = socket.create_connection((host, port), CONNECT_S)
    if transport == "tcp":
        return way
    try:
        return ssl.create_default_context(cafile=ca_file or None).wrap_socket(way, server_hostname=host)
    except OSError:
        way.close()
        raise


def _answers(way: socket.socket, transport: str) -> bool:
    """Ask for its options; any answer will do."""
    way.settimeout(ANSWER_S)
    host, port = way.getpeername()[:2], way.getsockname()[:2]
    there, here = (f"[{at[0]}]:{at[1]}" if ":" in at[0] else f"{at[0]}:{at[1]}" for at in (host, port))
    lines = [
        f"OPTIONS sip:{there} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {here};rport;branch=z9hG4bK{os.urandom(8).hex()}",
        "Max-Forwards: 70",
        f"From: <sip:edgevoice@{here}>;tag={os.urandom(4).hex()}",
        f"To: <sip:{there}>",
        f"Call-ID: {os.urandom(8).hex()}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:edgevoice@{here}>",
        "Content-Length: 0",
    ]
    way.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        return way.recv(LARGEST).startswith(b"SIP/2.0 ")
    except TimeoutError:
        return False
