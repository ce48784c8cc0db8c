"""Asks a service over HTTP, without keeping the event loop waiting: one request, one answer."""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence

TIMEOUT_S = 5.0
LARGEST = 256 * 1024  # bytes of an answer: those of phone services have one or two thousand
AGENT = "edgevoice"


async def ask(method: str, url: str, headers: Mapping[str, str], form: Sequence[tuple[str, str]]) -> tuple[int, bytes]:
    """Return the status and the body of the answer; status 0: it could not be reached, and why."""
    return await asyncio.to_thread(_ask, method, url, headers, form)


def _ask(method: str, url: str, headers: Mapping[str, str], form: Sequence[tuple[str, str]]) -> tuple[int, bytes]:
    body = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(url, body, {"User-Agent": AGENT, **headers}, method=method)
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.read(LARGEST)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(LARGEST)
    # URLError is an OSError; ValueError: what cannot be an address; HTTPException: what is not HTTP
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 0, str(getattr(error, "reason", error)).encode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Our credentials are for the host that was configured."""

    def redirect_request(self, *arguments: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)
