"""A small HTTP server that answers GET and nothing else, for who watches the box; it runs only where asked for.

Every wait ends after PATIENCE_S, a request is HEADER bytes at most, and VISITORS at a time are served: a stranger who
finds the port costs the box next to nothing, and learns nothing that a page does not say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

import h11

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
HEADER = 8192  # bytes
VISITORS = 8
AGAIN_S = 10.0  # a port that is taken may be free later

Page: TypeAlias = Callable[[str], tuple[int, str, str]]  # target -> status, type, body


async def serve_health(listen: str, page: Page) -> None:
    """Serve until cancelled. A port that cannot be had is said once, and tried again."""
    host, _, port = listen.rpartition(":")
    visitors: set[asyncio.StreamWriter] = set()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitors.add(writer)
        try:
            if len(visitors) <= VISITORS:
                async with asyncio.timeout(PATIENCE_S):
                    writer.write(await _answer(reader, page))
                    await writer.drain()
        except (TimeoutError, OSError):
            writer.transport.abort()
        finally:
            visitors.discard(writer)
            writer.close()

    told = False
    while True:
        try:
            server = await asyncio.start_server(attend, host.strip("[]") or None, int(port), limit=HEADER)
        except OSError as error:  # of the resolver, too
            if not told:
                log.error("status.listen: cannot listen on %s: %s; it is tried again", listen, error.strerror)
            told = True
            await asyncio.sleep(AGAIN_S)
            continue
        log.info("health: http://%s/health and /metrics", listen)
        async with server:
            try:
                await server.serve_forever()
            finally:
                for writer in list(visitors):
                    writer.close()


async def _answer(reader: asyncio.StreamReader, page: Page) -> bytes:
    """Read one request; return the whole answer, b"" to who sends none."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER)
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(await reader.read(HEADER))
        if not isinstance(event, h11.Request):
            return b""
        target = event.target.decode("ascii")
        answered = page(target) if event.method in (b"GET", b"HEAD") else (405, "text/plain", "only GET\n")
    except h11.RemoteProtocolError as error:
        event, answered = None, (error.error_status_hint, "text/plain", "this is no HTTP request\n")
    status, kind, text = answered
    body = b"" if event and event.method == b"HEAD" else text.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(text.encode()))), ("Connection", "close")]
    head = h11.Response(status_code=status, headers=headers, reason=b"")
    try:
        parts = [http.send(head), http.send(h11.Data(data=body)) if body else b""]
    except h11.LocalProtocolError:  # there is no answering what they sent
        return b""
    return b"".join(part or b"" for part in parts)
