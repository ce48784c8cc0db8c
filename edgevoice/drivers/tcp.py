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
from typing import Any, NamedTuple, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

Addresses: TypeAlias = list[tuple[int, Any]]  # family, and address in the form of that family
T = TypeVar("T")

LOOK_UP_S = 7.0  # two questions of the resolver's: of two name servers one may be dead
ASK_AGAIN_S = 3.0
NEXT_S = 0.25  # Connection Attempt Delay (RFC 8305)
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
    """Return a socket that is connected and does not block. Raises Unreached, or ValueError for what is no name.

    An address that does not answer at once is not given up: the next one is tried beside it, as RFC 8305 has it.
    """
    give_up = time.monotonic() + within_s
    addresses = await look_up(host, port, within_s)
    until = min(give_up, time.monotonic() + CONNECT_S)
    trying: set[asyncio.Task[socket.socket]] = set()
    trouble = "it does not answer"
    try:
        while (addresses or trying) and (left_s := until - time.monotonic()) > 0:
            if addresses:
                trying.add(asyncio.create_task(_connected(*addresses.pop(0))))
            wait_s = min(left_s, NEXT_S) if addresses else left_s
            done, trying = await asyncio.wait(trying, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                match task.exception():
                    case None:
                        trying |= done - {task}
                        return task.result()
                    case OSError() as error:
                        trouble = os.strerror(error.errno) if error.errno else str(error)
                    case mistake:
                        raise mistake
    finally:
        for task in trying:
            task.cancel()
            task.add_done_callback(_closed)
    raise Unreached(trouble)


async def _connected(family: int, address: Any) -> socket.socket:
    with ExitStack() as given_up:
        way = given_up.enter_context(socket.socket(family, socket.SOCK_STREAM))
        way.setblocking(False)
        await asyncio.get_running_loop().sock_connect(way, address)
        given_up.pop_all()
        return way


def _closed(task: asyncio.Task[socket.socket]) -> None:
    """Close what came too late."""
    if not task.cancelled() and not task.exception():
        task.result().close()


async def look_up(host: str, port: int, within_s: float = LOOK_UP_S) -> Addresses:
    """Return the addresses of a name, the best one first. Raises Unreached, or ValueError for what is no name."""
    limit_s = min(within_s, LOOK_UP_S)
    until = time.monotonic() + limit_s
    asking = _asking.setdefault(asyncio.get_running_loop(), {}).setdefault((host, port), [])
    while (left_s := until - time.monotonic()) > 0:
        asking[:] = [asked for asked in asking if not asked.answer.done()]
        if not asking or time.monotonic() - asking[-1].at >= ASK_AGAIN_S:
            asking.append(_ask(host, port))
        answers = [asked.answer for asked in asking]
        told, _ = await asyncio.wait(answers, timeout=min(left_s, ASK_AGAIN_S), return_when=asyncio.FIRST_COMPLETED)
        for answer in told:
            match answer.result():
                case OSError() as error:
                    raise Unreached(words(error))
                case Exception() as error:
                    raise error
                case found:
                    return list(found)
    raise Unreached(f"{NO_NAME_SERVER} (silent for {limit_s:g} s)")


class _Asked(NamedTuple):
    at: float
    answer: asyncio.Future[Addresses | Exception]


# All who look for the same name wait for the same questions: so there are as many threads as names, not as calls.
_asking: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], list[_Asked]]] = WeakKeyDictionary()


def _ask(host: str, port: int) -> _Asked:
    """Ask the resolver. Raises Unreached when there is no room for one more thread."""
    try:
        return _Asked(time.monotonic(), aside(lambda: _addresses(host, port)))
    except RuntimeError as error:
        raise Unreached(f"its name cannot be looked up: {error}") from error


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
