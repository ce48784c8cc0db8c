"""Asks a service over HTTP, without keeping the event loop waiting: one request, one answer."""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from edgevoice.drivers.tcp import aside, words

TIMEOUT_S = 5.0  # for each step
WHOLE_S = 10.0  # for all of them: an answer that comes byte by byte has no end
LARGEST = 256 * 1024  # bytes of an answer: those of phone services have one or two thousand
AGENT = "edgevoice"


async def ask(method: str, url: str, headers: Mapping[str, str], form: Sequence[tuple[str, str]]) -> tuple[int, bytes]:
    """Return the status and the body of the answer; status 0: it could not be reached, and why."""
    try:
        async with asyncio.timeout(WHOLE_S):
            return await aside(partial(_ask, method, url, headers, form))
    except TimeoutError:
        return 0, b"no whole answer in time"


def _ask(method: str, url: str, headers: Mapping[str, str], form: Sequence[tuple[str, str]]) -> tuple[int, bytes]:
    body = urllib.parse.urlencode(form).encode() if form else None
    try:
        request = urllib.request.Request(url, body, {"User-Agent": AGENT, **headers}, method=method)
        with _open(request) as answer:
            return answer.status, answer.read(LARGEST)
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: what cannot be an address
        reason = getattr(error, "reason", error)
        return 0, (words(reason) if isinstance(reason, Exception) else str(reason)).encode()


def _open(request: urllib.request.Request) -> Any:
    """Return the answer, whatever its status."""
    try:
        return _opener.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as refused:
        return refused


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Our credentials are for the host that was configured."""

    def redirect_request(self, *arguments: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)
