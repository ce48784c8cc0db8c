"""The REST API on a loopback port over plain HTTP, and the calls that come of it."""

from __future__ import annotations

import argparse
import asyncio
import http
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.phone.call import Call, Log
from tests.phone.rest import Answer, Dial, ElksApi, Exchange, TwilioApi, signature

STEP_S = 0.02


class Dialler(Protocol):
    """Who makes the calls."""

    calls: list[Call]

    async def call(self, dial: Dial, connected: asyncio.Event) -> bool: ...


class Switchboard:
    """Answers HTTP, and dials for whoever has picked up."""

    def __init__(self, options: argparse.Namespace, service: Dialler, log: Log) -> None:
        self._options, self._service, self._log = options, service, log
        self._exchange = Exchange(options.outcome, options.account, options.auth_token, ring_s=options.ring_s)
        self._api: ElksApi | TwilioApi
        if options.service == "elks":
            self._api = ElksApi(self._exchange, options.number, options.url)
        elif options.service == "twilio":
            self._api = TwilioApi(self._exchange, options.account)
        else:
            raise SystemExit(f"--rest: {options.service} has none here, expected elks or twilio")
        self._web = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._calls: dict[str, Call] = {}

    async def open(self, port: int) -> int:
        """Listen; return the port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(server.sockets[0].getsockname()[1])

    async def run(self) -> None:
        """Dial for whoever picks up, and end what is hung up by REST, until cancelled."""
        while True:
            await asyncio.sleep(STEP_S)
            for dial in self._api.due(time.monotonic()):
                self._under_way[dial.id] = asyncio.create_task(self._connect(dial))
            for id in self._exchange.hung_up:
                if id in self._calls:
                    self._calls[id].end()
            self._exchange.hung_up.clear()

    async def _connect(self, dial: Dial) -> None:
        if dial.document and isinstance(self._api, TwilioApi):
            text = await asyncio.to_thread(self._fetch, dial)
            for found in self._api.document(dial.id, text):
                await self._connect(found)
            return
        self._log(len(self._service.calls) + 1, "fake", "answered")
        making = asyncio.create_task(self._service.call(dial, asyncio.Event()))
        await asyncio.sleep(0)
        self._calls[dial.id] = self._service.calls[-1]
        self._api.ended(dial.id, connected=await making)

    def _fetch(self, dial: Dial) -> str:
        """Ask the webhook what to do, signed as Twilio signs."""
        form = {"CallSid": dial.id, "AccountSid": self._options.account, "From": dial.caller, "To": dial.callee}
        form |= {"CallStatus": "in-progress", "Direction": "outbound-api", "ApiVersion": "2010-04-01"}
        request = urllib.request.Request(dial.document, urlencode(form).encode())
        request.add_header("X-Twilio-Signature", signature(self._options.auth_token, dial.document, form))
        try:
            with self._web.open(request, timeout=5.0) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, TimeoutError):
            return ""  # no document: the call fails

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            answer = self._answer(method, target, fields, body.decode())
        except (asyncio.IncompleteReadError, ValueError, ConnectionError):
            answer = Answer(400, "Bad request", "text/plain")
        sent = answer.body.encode()
        phrase = http.HTTPStatus(answer.status).phrase
        lines = [f"HTTP/1.1 {answer.status} {phrase}", f"Content-Type: {answer.type}", f"Content-Length: {len(sent)}"]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + sent)
        writer.close()

    def _answer(self, method: str, target: str, fields: Mapping[str, str], body: str) -> Answer:
        form: dict[str, Any] = dict(parse_qsl(body, keep_blank_values=True))
        path = urlsplit(target).path
        answer = self._api.respond(method, path, fields.get("authorization", ""), form, time.monotonic())
        self._log(0, "server", method, status=answer.status, fields=sorted(form))
        return answer
