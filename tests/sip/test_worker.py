"""The worker's life: killed, stopped, broken, missing, started by the hundred. The box goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgevoice.drivers import sip as driver
from edgevoice.events import Closed, End
from edgevoice.lines.sip_account import Account, worker_start
from edgevoice.lines.sip_words import NUMBER
from tests.sip.desk import answered, desk, worker, workers
from tests.sip.media import Media
from tests.sip.peer import Peer, over_udp


def story(tale: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(tale())


def account(peer: Peer) -> Account:
    return Account(f"127.0.0.1:{peer.port}", "6001")


@pytest.mark.parametrize(("number", "within_s"), [(signal.SIGKILL, 2.0), (signal.SIGSTOP, 2.0 + driver.HUNG_S)])
def test_a_worker_that_dies_or_hangs_costs_its_call_and_the_next_one_is_registered_soon(
    number: signal.Signals, within_s: float
) -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours, Media.open() as media:
            await ours.registered()
            _, talk, _ = await answered(peer, ours, media)
            first, began = worker(), asyncio.get_running_loop().time()
            os.kill(first, number)
            assert await talk.closed() == Closed(End.LINK_LOST, "the SIP worker has ended")
            await ours.registered()
            took_s = asyncio.get_running_loop().time() - began
            assert worker() != first
            print(f"registered again after {took_s:.2f} s")
            assert took_s < within_s + 1.0, "a second for a machine that is busy with other things"
            await answered(peer, ours, media)

    story(tale)


def test_who_stops_the_service_lets_the_worker_say_goodbye() -> None:
    async def tale() -> None:
        async with over_udp() as peer:
            async with desk(account(peer)) as ours, Media.open() as media:
                await ours.registered()
                await answered(peer, ours, media)
                process = worker()
                os.kill(process, signal.SIGTERM)  # as systemd tells everybody in the service
                os.kill(process, signal.SIGINT)
            await peer.expect("BYE")
            assert "expires=0" in peer.registers[-1].get("Contact") or peer.registers[-1].get("Expires") == "0"
            assert workers() == []

    story(tale)


def inside(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def test_when_the_worker_is_killed_its_directory_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))

    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours:
            await ours.registered()
            (before,) = inside(tmp_path)
            assert inside(before), "the library's own is in it, and nowhere else"
            os.kill(worker(), signal.SIGKILL)
            await ours.until(lambda: ours.endpoint.workers == 2)
            await ours.registered()
            assert before not in inside(tmp_path)
        assert inside(tmp_path) == []

    story(tale)


def test_when_the_box_is_killed_the_worker_ends_and_removes_its_directory(tmp_path: Path) -> None:
    folder = tmp_path / "of the worker"
    folder.mkdir()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "edgevoice.drivers.sip_worker", str(theirs.fileno()), str(folder)]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    ours.settimeout(10)
    first = worker_start([], [], calls=1, jitter_ms=20, ca_file="")
    ours.send(json.dumps(first).encode())
    assert json.loads(ours.recv(65536)) == {"is": "ready"}
    assert list(folder.iterdir())
    ours.close()
    assert process.wait(10) == 0
    assert not folder.exists()


def test_an_account_that_the_library_does_not_take_is_said_and_not_tried_without_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(driver, "AGAIN_S", (0.0, 0.05, 0.05, 60.0))

    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer), password='a "secret" word') as ours:
            await ours.until(lambda: ours.endpoint.workers == 3 and workers() == [])
            await ours.until(lambda: "for the 3. time in a row" in ours.endpoint.trouble)
            assert "ValueError" in ours.endpoint.trouble

    story(tale)
    assert "secret" not in caplog.text


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "find_spec", lambda name: None)

    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours:
            await ours.until(lambda: ours.endpoint.trouble)
            assert "pip install 'edgevoice[sip]'" in ours.endpoint.trouble
            assert ours.endpoint.workers == 0

    story(tale)


def test_nothing_of_a_worker_that_says_nonsense_reaches_the_box() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours:
            nonsense: list[object] = [
                *(b"", b"\0", b"{", b"{}", b'{"is": 7}', b'{"is": "registered", "account": 9}', b"\xff" * 50),
                b'{"is": "unregistered", "account": -1, "status": 0}',
                b'{"is": "incoming", "call": 3, "account": 5, "from": "", "shown": ""}',
                NUMBER.pack(77) + b"\1\2\3",
            ]
            for packet in nonsense:
                ours.endpoint._take(packet)  # type: ignore[arg-type]
            await ours.registered()
            assert ours.came.empty()

    story(tale)


@contextmanager
def quiet() -> Iterator[None]:
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def resources(process: int) -> tuple[int, int, int]:
    """Return kB of memory, descriptors and threads."""
    status = Path(f"/proc/{process}/status").read_text()
    words = dict(line.split(":", 1) for line in status.splitlines())
    return int(words["VmRSS"].split()[0]), len(os.listdir(f"/proc/{process}/fd")), int(words["Threads"])


CALLS = int(os.environ.get("EDGEVOICE_SIP_CALLS", "70"))  # more than 61: the number of that one is "{"


def test_call_after_call_nothing_grows_in_either_process() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours:
            await ours.registered()

            async def calls(count: int) -> None:
                for _ in range(count):
                    async with Media.open() as media:
                        _, talk, _ = await answered(peer, ours, media)
                        await talk.until(lambda talk=talk: talk.sound)  # type: ignore[misc]
                        talk.hang_up()
                        await talk.closed()
                        talk.drop()
                        ours.talks.clear()

            await calls(10)
            before = [resources(process) for process in (worker(), os.getpid())]
            tasks = len(asyncio.all_tasks())
            await calls(CALLS)
            after = [resources(process) for process in (worker(), os.getpid())]
            print(f"{CALLS} calls: worker {before[0]} -> {after[0]}, box {before[1]} -> {after[1]} (kB, fds, threads)")
            for was, now in zip(before, after, strict=True):
                assert now[0] < was[0] + 1_500 + 20 * CALLS, "kB: the library remembers a call for half a minute"
                assert now[1:] <= (was[1] + 2, was[2] + 1)
            assert len(asyncio.all_tasks()) <= tasks + 1
            assert ours.endpoint.workers == 1

    with quiet():
        story(tale)
