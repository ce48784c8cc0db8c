"""A TCP connection to a service, or why there is none; its name is looked up without keeping anybody waiting.

The resolver cannot be hurried and cannot be stopped. It asks a name server that stays silent for 10 s and more, and an
executor's threads are waited for when a program ends. So each question is a thread of its own that nobody waits for,
and the same is asked again every ASK_AGAIN_S: a question that was lost with the network is not what the first one
after it waits for. Source: resolv.conf(5) (timeout, attempts).
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeAlias, TypeVar

Addresses: TypeAlias = list[tuple[int, Any]]  # family, and address in the form of that family
T = TypeVar("T")

LOOK_UP_S = 7.0  # two questions of the resolver's: of two name servers one may be dead
ASK_AGAIN_S = 3.0
CONNECT_S = 4.0  # SYNs leave after 0, 1 and 3 s (RFC 6298): what follows comes too late for who waits
NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
EXPIRED, NOT_YET_VALID = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
NO_NAME_SERVER = "no name server answers: check the network, and the name server in /etc/resolv.conf"


class Unreached(OSError):
    """Nothing was reached that could mind another try. Its text says why."""


def aside(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run what may block, and raises nothing, in a thread that nobody waits for when the program ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        result = work()
        try:
            loop.call_soon_threadsafe(tell, result)
        except RuntimeError:  # the loop is closed: the program ends
            pass

    threading.Thread(target=run, name="aside", daemon=True).start()
    return done


async def connected(host: str, port: int, within_s: float) -> socket.socket:
    """Return a socket that is connected and does not block. Raises Unreached, or ValueError for what is no name."""
    give_up = time.monotonic() + within_s
    addresses = await look_up(host, port, within_s)
    until = min(give_up, time.monotonic() + CONNECT_S)
    trouble = "it does not answer"
    for number, (family, address) in enumerate(addresses):
        share_s = (until - time.monotonic()) / (len(addresses) - number)
        with ExitStack() as given_up:
            way = given_up.enter_context(socket.socket(family, socket.SOCK_STREAM))
            way.setblocking(False)
            try:
                async with asyncio.timeout(share_s):
                    await asyncio.get_running_loop().sock_connect(way, address)
                given_up.pop_all()
                return way
            except TimeoutError:
                pass
            except OSError as error:
                trouble = os.strerror(error.errno) if error.errno else str(error)
    raise Unreached(trouble)


async def look_up(host: str, port: int, within_s: float = LOOK_UP_S) -> Addresses:
    """Return the addresses of a name, the best one first. Raises Unreached, or ValueError for what is no name."""
    limit_s = min(within_s, LOOK_UP_S)
    until = time.monotonic() + limit_s
    asked: list[asyncio.Future[Addresses | Exception]] = []
    while (left_s := until - time.monotonic()) > 0:
        asked.append(aside(lambda: _addresses(host, port)))
        told, _ = await asyncio.wait(asked, timeout=min(left_s, ASK_AGAIN_S), return_when=asyncio.FIRST_COMPLETED)
        for answer in told:
            match answer.result():
                case OSError() as error:
                    raise Unreached(words(error))
                case Exception() as error:
                    raise error
                case found:
                    return found
    raise Unreached(f"{NO_NAME_SERVER} (silent for {limit_s:g} s)")


def _addresses(host: str, port: int) -> Addresses | Exception:
    """Ask the resolver."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: what is no name
        return error
    return [(family, address) for family, _, _, _, address in found]


def words(error: BaseException) -> str:
    """Say what went wrong on the way to a service, and what to do about it where that is not plain."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if not dates_wrong(error):
            return f"its certificate is not trusted: {error.verify_message}"
        how = "has expired" if error.verify_code == EXPIRED else "is not valid yet"
        now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        return f"its certificate {how}, by the clock of this box ({now} UTC): is that right? See timedatectl"
    if isinstance(error, socket.gaierror):
        return f"there is no such name: {error.strerror}" if error.errno in NO_SUCH_NAME else NO_NAME_SERVER
    return str(error) or type(error).__name__


def dates_wrong(error: ssl.SSLCertVerificationError) -> bool:
    """Tell whether a certificate is refused for its dates, and so perhaps for our clock."""
    return error.verify_code in (EXPIRED, NOT_YET_VALID)
