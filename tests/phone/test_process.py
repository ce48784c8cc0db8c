"""The fake phone services as processes of their own: they dial, place calls, and report."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60.0  # a fake that says nothing for so long is broken
KEY = {"Authorization": "Basic " + base64.b64encode(b"AC1:secret").decode()}


class Echo:
    """A server for 46elks and Twilio that says back what it hears."""

    def __init__(self) -> None:
        self.hellos: list[dict[str, Any]] = []
        self.signatures: list[str | None] = []
        self.codes: list[int | None] = []
        self.greeted, self.left = asyncio.Event(), asyncio.Event()

    async def talk(self, socket: ServerConnection) -> None:
        assert socket.request
        self.signatures.append(socket.request.headers.get("X-Twilio-Signature"))
        try:
            async for message in socket:
                for answer in self._answers(json.loads(message)):
                    await socket.send(json.dumps(answer))
        except ConnectionClosed:
            pass
        self.codes.append(socket.close_code)
        self.left.set()

    def _answers(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        match found:
            case {"t": "hello"}:
                self.hellos.append(found)
                return [{"t": "listening", "format": "pcm_24000"}, {"t": "sending", "format": "pcm_24000"}]
            case {"t": "audio"}:
                return [found]
            case {"event": "start"}:
                self.hellos.append(found["start"])
                self.greeted.set()
            case {"event": "media", "streamSid": sid, "media": {"payload": payload}}:
                return [{"event": "media", "streamSid": sid, "media": {"payload": payload}}]
        return []


@asynccontextmanager
async def listening(echo: Echo) -> AsyncIterator[str]:
    async with serve(echo.talk, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/secret"


@asynccontextmanager
async def fake(*options: str) -> AsyncIterator[tuple[dict[str, Any], Callable[[bool], Awaitable[list[Any]]]]]:
    """Start a fake; yield its first line, and what waits for its figures (having told it to end, or not)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.phone", *options, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    lines = process.stdout

    async def line() -> Any:
        return json.loads(await asyncio.wait_for(lines.readline(), PATIENCE_S))

    async def figures(told: bool) -> list[Any]:
        if told:
            process.send_signal(signal.SIGTERM)
        found = await line()
        await process.wait()
        return list(found["calls"])

    try:
        yield await line(), figures
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ask(port: int, method: str, path: str, form: dict[str, str], headers: dict[str, str]) -> tuple[int, str]:
    def exchange() -> tuple[int, str]:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        link.request(method, path, urlencode(form), {**headers, **kind})
        answer = link.getresponse()
        try:
            return answer.status, answer.read().decode()
        finally:
            link.close()

    return await asyncio.to_thread(exchange)


async def until(port: int, path: str, key: str, wanted: str) -> None:
    """Ask, as the box does, until a call is where it should be."""
    for _ in range(600):
        _, body = await ask(port, "GET", path, {}, KEY)
        if json.loads(body)[key] == wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never {wanted}: {body}")


def test_every_frame_comes_back_in_order_and_the_log_keeps_secrets(tmp_path: Path) -> None:
    async def story() -> list[Any]:
        async with listening(Echo()) as url:
            options = ("--counts", "--hang-up-after-s", "1", "--log", str(tmp_path / "log"), "--latency-ms", "0")
            async with fake("elks", "--url", url, *options, "--record", str(tmp_path / "heard.wav")) as (line, figures):
                assert line == {"ready": 1}
                return await figures(False)

    (call,) = asyncio.run(story())
    assert (call["in_order"], call["lost"], call["violations"], call["ended_by"]) == (True, 0, [], "caller")
    assert call["frames_received"] >= 40
    assert (tmp_path / "heard.wav").stat().st_size > 24_000
    log = (tmp_path / "log").read_text()
    kinds = {(line["from"], line["type"]) for line in map(json.loads, log.splitlines())}
    assert {("service", "hello"), ("server", "listening"), ("server", "audio"), ("service", "bye")} <= kinds
    assert "+46" not in log
    assert max(map(len, log.splitlines())) < 300


def test_many_calls_are_made_at_once() -> None:
    async def story() -> list[Any]:
        async with (
            listening(Echo()) as url,
            fake("twilio", "--url", url, "--counts", "--calls", "8", "--hang-up-after-s", "1", "--no-record") as (
                line,
                figures,
            ),
        ):
            assert line == {"ready": 8}
            return await figures(False)

    calls = asyncio.run(story())
    assert [call["call"] for call in calls] == list(range(1, 9))
    assert all(call["in_order"] and not call["violations"] for call in calls)


def test_a_torn_socket_says_no_goodbye() -> None:
    async def story() -> tuple[list[Any], Echo]:
        echo = Echo()
        async with listening(echo) as url, fake("twilio", "--url", url, "--close-after-s", "0.3") as (_, figures):
            return await figures(False), echo

    (call,), echo = asyncio.run(story())
    assert (call["ended_by"], echo.codes) == ("service", [1006])


def test_a_server_that_refuses_is_reported() -> None:
    async def story() -> list[Any]:
        async with fake("plivo", "--url", "ws://127.0.0.1:9/") as (_, figures):
            return await figures(False)

    (call,) = asyncio.run(story())
    assert (call["ended_by"], call["frames_sent"]) == ("refused", 0)


def test_twilio_dials_the_box_for_whom_it_was_told_to_call() -> None:
    async def story() -> tuple[list[Any], Echo]:
        echo = Echo()
        options = ("--rest", "0", "--account", "AC1", "--auth-token", "secret", "--ring-s", "0.2")
        async with listening(echo) as url, fake("twilio", *options) as (line, figures):
            calls = "/2010-04-01/Accounts/AC1/Calls"
            twiml = (
                f'<Response><Connect><Stream url="{url}"><Parameter name="a" value="b"/></Stream></Connect></Response>'
            )
            form = {"To": "+46700000009", "From": "+46700000001", "Twiml": twiml}
            status, body = await ask(line["rest"], "POST", f"{calls}.json", form, KEY)
            assert (status, json.loads(body)["status"]) == (201, "queued")
            path = f"{calls}/{json.loads(body)['sid']}.json"
            await until(line["rest"], path, "status", "in-progress")
            await echo.greeted.wait()
            assert (await ask(line["rest"], "POST", path, {"Status": "completed"}, KEY))[0] == 200
            await echo.left.wait()
            return await figures(True), echo

    (call,), echo = asyncio.run(story())
    assert call["violations"] == []
    assert echo.hellos[0]["customParameters"] == {"a": "b"}
    assert echo.signatures[0]


def test_46elks_dials_the_box_for_whom_it_was_told_to_call() -> None:
    async def story() -> Echo:
        echo = Echo()
        async with listening(echo) as url:
            options = ("--rest", "0", "--account", "AC1", "--auth-token", "secret", "--url", url, "--ring-s", "0.2")
            async with fake("elks", *options, "--hang-up-after-s", "0.3") as (line, _):
                form = {"to": "+46700000009", "from": "+46700000001", "voice_start": '{"connect":"+46700000002"}'}
                assert (await ask(line["rest"], "POST", "/a1/calls", form, {}))[0] == 401
                status, body = await ask(line["rest"], "POST", "/a1/calls", form, KEY)
                assert (status, json.loads(body)["state"]) == (200, "ongoing")
                await until(line["rest"], f"/a1/calls/{json.loads(body)['id']}", "state", "success")
        return echo

    assert asyncio.run(story()).hellos[0]["from"] == "+46700000009"
