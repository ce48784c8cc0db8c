"""The control socket: only its owner gets in, every line is answered, and whoever asks learns why nobody answers."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.drivers import control
from edgevoice.drivers.control import (
    Call,
    Chirp,
    HangUp,
    Mute,
    Press,
    Release,
    Request,
    Status,
    Try,
    Volume,
    ask,
    serve,
)
from edgevoice.errors import DeviceError

Reply = dict[str, Any]
NOBODY = 65534  # the user id that owns nothing


def echo(request: Request) -> Reply:
    return {"request": type(request).__name__, **msgspec.structs.asdict(request)}


@pytest.fixture(autouse=True)
def _no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "edgevoice" / "control.sock")


def run(serving: AbstractAsyncContextManager[str], story: Callable[[str], Awaitable[None]]) -> None:
    """Tell the story while the server serves."""

    async def both() -> None:
        async with serving as taken, asyncio.timeout(30):
            await story(taken)

    asyncio.run(both())


async def talk(taken: str, *lines: bytes) -> list[Reply]:
    """Send the lines over one connection and return the answers that came until it ended."""
    reader, writer = await asyncio.open_unix_connection(taken)
    writer.writelines(lines)
    writer.write_eof()
    answers = (await reader.read()).splitlines()
    writer.close()
    return [msgspec.json.decode(answer, type=Reply) for answer in answers]


# -------------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b'{"do": "status"}', Status()),
        (b'{"do": "press"}', Press()),
        (b'{"do": "release"}', Release()),
        (b'{"do": "call", "target": "sip:reception"}', Call("sip:reception")),
        (b'{"do": "hangup"}', HangUp()),
        (b'{"do": "mute"}', Mute(None)),
        (b'{"do": "mute", "on": null}', Mute(None)),
        (b'{"do": "mute", "on": true}', Mute(True)),
        (b'{"do": "volume", "percent": 0}', Volume(0)),
        (b'{"do": "volume", "percent": 100}', Volume(100)),
        (b'{"do": "chirp"}', Chirp(True)),
        (b'{"do": "chirp", "aloud": false}', Chirp(False)),
        (b'{"do": "try"}', Try(10.0)),
        (b'{"do": "try", "within_s": 15}', Try(15.0)),
    ],
)
def test_every_request_reaches_the_box(path: str, line: bytes, request_: Request) -> None:
    heard: list[Request] = []

    def answer(request: Request) -> Reply:
        heard.append(request)
        return {"state": "idle"}

    async def story(taken: str) -> None:
        assert await talk(taken, line + b"\n") == [{"ok": True, "state": "idle"}]

    run(serve(path, answer), story)
    assert heard == [request_]


def test_an_answer_may_take_its_time_and_others_are_answered_meanwhile(path: str) -> None:
    async def story(taken: str) -> None:
        slow = asyncio.create_task(talk(taken, b'{"do": "press"}\n'))
        await started.wait()
        assert await talk(taken, b'{"do": "status"}\n') == [{"ok": True, "state": "ringing"}]
        release.set()
        assert await slow == [{"ok": True, "state": "in call"}]

    started, release = asyncio.Event(), asyncio.Event()

    async def press() -> Reply:
        started.set()
        await release.wait()
        return {"state": "in call"}

    run(serve(path, lambda request: press() if request == Press() else {"state": "ringing"}), story)


def test_what_the_box_refuses_is_an_error_in_the_answer(path: str) -> None:
    def refuse(request: Request) -> Reply:
        raise DeviceError("the card has no mixer")

    async def story(taken: str) -> None:
        answers = await talk(taken, b'{"do": "volume", "percent": 5}\n{"do": "status"}\n')
        assert answers == [{"ok": False, "error": "the card has no mixer"}] * 2

    run(serve(path, refuse), story)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"hello", "malformed"),
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b'{"do": "call", "target": "\xff"}', "codec"),
        (b'{"x":' + b"[" * 60000, "recursion"),
        (b"[]", "Expected `object`"),
        (b'{"do": "dance"}', "dance"),
        (b'{"target": "parrot"}', "missing required field `do`"),
        (b'{"do": "call"}', "missing required field `target`"),
        (b'{"do": "status", "verbose": 1}', "unknown field `verbose`"),
        (b'{"do": "volume", "percent": 101}', "<= 100"),
        (b'{"do": "try", "within_s": 16}', "<= 15"),
        (b'{"do": "try", "within_s": 1e999}', ""),
        (b'{"do": "chirp", "aloud": 1}', "Expected `bool`"),
        (b'{"do": "volume", "percent": "loud"}', "Expected `int`"),
    ],
)
def test_garbage_is_answered_with_an_error_and_the_connection_goes_on(path: str, line: bytes, sentence: str) -> None:
    async def story(taken: str) -> None:
        garbage, good = await talk(taken, line + b"\n", b'{"do": "status"}\n')
        assert garbage["ok"] is False
        assert sentence in garbage["error"]
        assert good == {"ok": True, "request": "Status"}

    run(serve(path, echo), story)


@given(st.binary(max_size=200))
def test_no_line_ends_the_conversation(line: bytes) -> None:
    async def conversation() -> list[bytes]:
        return [await control._answer(part, echo) for part in (line, b'{"do": "status"}\n')]

    answers = asyncio.run(conversation())
    assert all(msgspec.json.decode(answer)["ok"] in (True, False) for answer in answers)


def test_an_endless_line_is_refused_and_ends_the_connection(path: str) -> None:
    async def story(taken: str) -> None:
        reader, writer = await asyncio.open_unix_connection(taken)
        writer.write(b"x" * (control.LINE_LIMIT + 1))
        answer = msgspec.json.decode(await reader.readline(), type=Reply)
        assert answer == {"ok": False, "error": "a line is longer than 65536 bytes"}
        assert await reader.read() == b""
        writer.close()
        assert await talk(taken, b'{"do": "status"}\n') == [{"ok": True, "request": "Status"}]

    run(serve(path, echo), story)


def test_a_silent_client_is_let_go(path: str) -> None:
    async def story(taken: str) -> None:
        reader, writer = await asyncio.open_unix_connection(taken)
        assert await reader.read() == b""
        writer.close()

    run(serve(path, echo, idle_s=0.01), story)


def test_a_client_that_never_reads_is_let_go(path: str) -> None:
    flood = (b'{"do": "call", "target": "' + b"x" * 60000 + b'"}\n') * 100

    async def story(taken: str) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            await loop.sock_connect(client, taken)
            with pytest.raises(ConnectionError):
                await loop.sock_sendall(client, flood)

    run(serve(path, echo, idle_s=0.05), story)


def test_one_client_too_many_is_told_so_and_the_others_go_on(path: str) -> None:
    async def story(taken: str) -> None:
        first = [await asyncio.open_unix_connection(taken) for _ in range(control.CLIENTS)]
        for reader, writer in first:
            writer.write(b'{"do": "status"}\n')
            await reader.readline()
        late = await asyncio.to_thread(ask, taken, {"do": "status"})
        assert late == {"ok": False, "error": "8 clients are connected already"}
        first[0][1].write(b'{"do": "press"}\n')
        assert b'"ok":true' in await first[0][0].readline()
        for _, writer in first:
            writer.close()

    run(serve(path, echo), story)


# ------------------------------------------------------------------------------------------------ the socket


def test_nobody_but_the_owner_may_open_the_socket_or_its_directory(path: str) -> None:
    async def story(taken: str) -> None:
        assert taken == path
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700

    before = os.umask(0)
    try:
        run(serve(path, echo), story)
    finally:
        os.umask(before)


def test_the_socket_has_its_mode_before_anybody_could_open_it(path: str) -> None:
    """Bound but not yet served: the moment in which a later chmod would come too late."""
    before = os.umask(0)
    try:
        with closing(control._bind(path)):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    finally:
        os.umask(before)


def test_the_socket_is_gone_after_the_end(path: str) -> None:
    async def story(taken: str) -> None:
        assert os.listdir(os.path.dirname(taken)) == ["control.sock"]

    run(serve(path, echo), story)
    assert os.listdir(os.path.dirname(path)) == []


def test_the_end_of_the_server_ends_its_conversations(path: str) -> None:
    async def conversation() -> bytes:
        async with serve(path, echo) as taken, asyncio.timeout(30):
            reader, writer = await asyncio.open_unix_connection(taken)
            writer.write(b'{"do": "status"}\n')
            await reader.readline()
        rest = await reader.read()
        writer.close()
        return rest

    assert asyncio.run(conversation()) == b""


def test_the_socket_of_a_dead_process_is_replaced(path: str) -> None:
    os.mkdir(os.path.dirname(path))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)

    async def story(taken: str) -> None:
        assert await talk(taken, b'{"do": "status"}\n') == [{"ok": True, "request": "Status"}]

    run(serve(path, echo), story)


def test_a_second_edgevoice_is_refused_and_the_first_one_keeps_its_socket(path: str) -> None:
    async def story(taken: str) -> None:
        with pytest.raises(DeviceError, match="another edgevoice is running"):
            async with serve(path, echo):
                pass
        assert await talk(taken, b'{"do": "status"}\n') == [{"ok": True, "request": "Status"}]

    run(serve(path, echo), story)


def test_an_edgevoice_too_busy_to_accept_is_alive_all_the_same(path: str) -> None:
    os.mkdir(os.path.dirname(path))
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        with pytest.raises(DeviceError, match="another edgevoice is running"):
            control._bind(path)


def test_a_file_in_the_way_is_not_removed(path: str) -> None:
    os.mkdir(os.path.dirname(path))
    Path(path).write_text("precious")
    with pytest.raises(DeviceError, match="in the way"):
        control._bind(path)
    assert Path(path).read_text() == "precious"


def test_a_path_that_is_too_long_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="AF_UNIX path too long"):
        control._listen(str(tmp_path / ("x" * 120)))


# ------------------------------------------------------------------------------------- the fallback, and ask

NOT_OURS = "/sys/edgevoice/control.sock"  # nobody, not even root, can create a directory there


def test_without_the_right_to_its_directory_the_socket_is_in_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    async def story(taken: str) -> None:
        assert taken == str(tmp_path / "edgevoice" / "control.sock")
        assert await asyncio.to_thread(ask, NOT_OURS, {"do": "press"}) == {"ok": True, "request": "Press"}

    run(serve(NOT_OURS, echo), story)


def test_without_a_directory_of_the_user_it_is_an_error_that_says_what_is_missing() -> None:
    with pytest.raises(DeviceError, match=r"permission denied, expected .*XDG_RUNTIME_DIR"):
        control._listen(NOT_OURS)


def test_a_question_to_nobody_says_where_it_was_asked(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    with pytest.raises(DeviceError, match=rf"not running \(nobody listens on {path} or .*/runtime/edgevoice/"):
        ask(path, {"do": "status"})


def test_a_question_to_a_dead_process_finds_nobody_running(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    with pytest.raises(DeviceError, match="not running"):
        ask(str(tmp_path / "dead"), {"do": "status"})


def test_a_question_to_somebody_elses_box_is_denied_and_says_what_to_do(tmp_path: Path) -> None:
    root = os.geteuid() == 0
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(tmp_path / "theirs"))
        theirs.listen()
        os.chmod(tmp_path / "theirs", 0)
        if root:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(DeviceError, match="permission denied; ask as the user of the service, or with sudo"):
                ask(str(tmp_path / "theirs"), {"do": "status"})
        finally:
            if root:
                os.seteuid(0)


def test_a_box_that_hangs_is_told_from_one_that_is_not_running(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "hung"))
        hung.listen()
        with pytest.raises(DeviceError, match=r"does not answer on .*/hung within 0.01 s"):
            ask(str(tmp_path / "hung"), {"do": "status"}, 0.01)


def test_a_box_that_dies_while_it_is_asked_gives_no_answer(tmp_path: Path) -> None:
    def die(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(100)
        connection.close()

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "dying"))
        server.listen()
        dying = threading.Thread(target=die, args=[server])
        dying.start()
        with pytest.raises(DeviceError, match="without an answer"):
            ask(str(tmp_path / "dying"), {"do": "status"})
        dying.join()
