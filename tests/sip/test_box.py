"""`edgevoice run` with a SIP account, as a process: what a person at the other telephone, or at `ctl`, notices."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edgevoice.drivers import control
from edgevoice.errors import DeviceError
from tests.sip.desk import workers
from tests.sip.media import Media
from tests.sip.peer import Peer, accept, answer, over_tcp, over_udp, sdp

ROOT = Path(__file__).parent.parent.parent
SECRET, PASSWORD, CALLER, CALLED = "opensesame", "vErysecret", "4670123456789", "4670987654321"
HEADLESS = '[call]\nincoming = "parrot"\n'
AT_THE_DOOR = '[card]\nsimulate = true\n[call]\nbutton = "sip:reception"\nincoming = "card"\nauto_answer = true\n'
STRAY = "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0"  # nobody asked
WAIT_S = 30.0

CONFIGURATION = """
{more}
[status]
socket = "{folder}/control.sock"
[panel]
pins = "none"
[[line.sip]]
registrar = "127.0.0.1:{port}"
user = "6001"
transport = "{transport}"
password_file = "password"
codecs = ["PCMU"]
allow = ["{caller}"]
{header}
[line.sip.targets]
reception = "{called}"
"""


class Box:
    """The process, its control socket, and its journal."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.journal = ""
        self.process = process
        self._socket = f"{folder}/control.sock"
        self.reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.journal += line.decode()

    async def ask(self, do: str, **more: object) -> dict[str, Any]:
        return await asyncio.to_thread(control.ask, self._socket, {"do": do, **more})

    async def until(self, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Ask for the status until that is so; return it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    if true(status := await self.ask("status")):
                        return status
                except DeviceError:
                    assert self.process.returncode is None, self.journal
                await asyncio.sleep(0.05)

    async def registered(self) -> dict[str, Any]:
        return await self.until(lambda status: status["lines"]["sip"]["accounts"][0]["registered_s"])


@asynccontextmanager
async def box(
    peer: Peer, folder: Path, more: str, *, transport: str = "udp", header: bool = False
) -> AsyncIterator[Box]:
    (folder / "password").write_text(PASSWORD)
    (folder / "secret").write_text(SECRET)
    text = CONFIGURATION.format(
        more=more,
        folder=folder,
        port=peer.port,
        transport=transport,
        caller=CALLER,
        called=CALLED,
        header='secret_header = "X-Door: secret"' if header else "",
    )
    (folder / "edgevoice.toml").write_text(text)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edgevoice", "run", "-v", "-c", str(folder / "edgevoice.toml")),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    running = Box(folder, process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await running.reading
        print(running.journal)


def story(tale: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(tale())


async def answered(peer: Peer, media: Media, *headers: str) -> Any:
    call = peer.invite(who=CALLER, body=sdp(media.port), headers=headers)
    media.towards((await call.answered()).body)
    return call


def test_a_caller_talks_with_the_parrot_and_ctl_says_how_the_call_goes(tmp_path: Path) -> None:
    async def tale() -> None:
        async with over_udp() as peer, box(peer, tmp_path, HEADLESS) as ours, Media.open() as media:
            status = await ours.registered()
            account = status["lines"]["sip"]["accounts"][0]
            assert account == {
                "registrar": f"127.0.0.1:{peer.port}",
                "registered_s": account["registered_s"],
                "trouble": None,
            }
            assert 0 < account["registered_s"] <= 120
            peer.say(f"SIP/2.0 180 {CALLED}\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\n{STRAY}\r\n\r\n")
            call = await answered(peer, media)
            media.press("9")
            status = await ours.until(lambda status: any("codec" in row for row in status["lines"]["calls"]))
            row = status["lines"]["calls"][0]
            assert (row["name"], row["with"], row["codec"]) == ("sip-1", "parrot", "G.711")
            await ours.ask("keys", keys="42#")
            await media.until(lambda: media.keys == ["4", "2", "#"])
            wrong = await ours.ask("keys", keys="1", to="sip-9")
            assert wrong["error"] == 'keys cannot be sent in "sip-9" now; over SIP there are: sip-1'
            call.request("BYE")
            await ours.until(lambda status: not status["lines"]["calls"])
            assert (await ours.ask("keys", keys="1"))["ok"] is False
            ours.process.terminate()
            assert await ours.process.wait() == 0
            assert "expires=0" in peer.registers[-1].get("Contact") or peer.registers[-1].get("Expires") == "0"
        for private in (PASSWORD, CALLER, CALLED, "42#", json.dumps("9")):
            assert private not in ours.journal

    story(tale)


def test_a_box_without_a_card_calls_and_the_parrot_speaks(tmp_path: Path) -> None:
    async def tale() -> None:
        async with over_udp() as peer, box(peer, tmp_path, HEADLESS) as ours, Media.open() as media:
            await ours.registered()
            await ours.ask("call", target="sip:reception")
            invite = await peer.expect("INVITE")
            assert CALLED in invite.start
            media.towards(invite.body)
            answer(invite, "200 OK", f"Contact: <sip:x@127.0.0.1:{peer.port}>", body=sdp(media.port))
            await peer.expect("ACK")
            await media.until(lambda: media.heard)
            await ours.ask("hangup")
            await peer.expect("BYE")
        assert CALLED not in ours.journal
        assert "call sip-1 over after" in ours.journal

    story(tale)


def test_the_door_rings_at_the_reception_and_rests_when_it_is_busy(tmp_path: Path) -> None:
    async def tale() -> None:
        async with over_tcp() as peer, box(peer, tmp_path, AT_THE_DOOR, transport="tcp") as ours:
            await ours.registered()
            await ours.until(lambda status: status["state"] == "idle")
            await ours.ask("press")
            await ours.ask("release")
            invite = await peer.expect("INVITE")
            assert CALLED in invite.start
            answer(invite, "180 Ringing")
            await ours.until(lambda status: status["state"] == "connecting")
            answer(invite, "486 Busy Here")
            await ours.until(lambda status: status["fault"])
        assert CALLED not in ours.journal

    story(tale)


@pytest.mark.parametrize(("shown", "answers"), [(SECRET, True), ("guess", False), ("", False)])
def test_the_door_answers_by_itself_only_who_shows_the_secret(shown: str, answers: bool, tmp_path: Path) -> None:
    async def tale() -> None:
        async with over_udp() as peer, box(peer, tmp_path, AT_THE_DOOR, header=True) as ours, Media.open() as media:
            await ours.registered()
            await ours.until(lambda status: status["state"] == "idle")
            call = peer.invite(who=CALLER, body=sdp(media.port), headers=(f"X-Door: {shown}",) if shown else ())
            if answers:
                await call.answered()
                await ours.until(lambda status: status["state"] == "in call")
            else:
                await ours.until(lambda status: status["state"] == "ringing")
                second = peer.invite(who="another", body=sdp(9))
                assert (await peer.expect("486")).get("Call-ID") == second.call_id
                await ours.ask("press")
                await ours.ask("release")
                await call.answered()
        assert SECRET not in ours.journal
        assert CALLER not in ours.journal

    story(tale)


def test_while_the_registrar_is_away_ctl_says_so(tmp_path: Path) -> None:
    async def tale() -> None:
        async with over_tcp() as peer:
            peer.registrar = lambda register: answer(register, "503 Service Unavailable")
            async with box(peer, tmp_path, HEADLESS, transport="tcp") as ours:
                status = await ours.until(lambda status: status["lines"]["sip"]["accounts"][0]["trouble"])
                assert "cannot be reached (SIP 503)" in status["lines"]["sip"]["accounts"][0]["trouble"]
                await ours.ask("call", target="sip:reception")
                peer.registrar = accept
                await ours.registered()
        assert "call sip: no SIP account is registered: the registrar is in trouble" in ours.journal

    story(tale)


def test_a_box_that_is_killed_leaves_no_worker_behind(tmp_path: Path) -> None:
    async def tale() -> None:
        async with over_udp() as peer, box(peer, tmp_path, HEADLESS) as ours:
            await ours.registered()
            (left,) = workers(ours.process.pid)
            ours.process.kill()
            async with asyncio.timeout(WAIT_S):
                while Path(f"/proc/{left}").exists():  # noqa: ASYNC110, ASYNC240 - there is no event for it
                    await asyncio.sleep(0.05)

    story(tale)
