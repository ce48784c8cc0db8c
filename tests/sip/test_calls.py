"""Calls in both directions with a peer that does exactly what is written here."""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edgevoice.events import Closed, Digit, End, Progress, Stage
from edgevoice.lines import sip
from edgevoice.lines.service import Flowing
from edgevoice.lines.sip_account import Account
from tests.sip.desk import WAIT_S, Desk, Talk, answered, desk, worker
from tests.sip.media import Media
from tests.sip.peer import Invited, Peer, answer, over_tcp, over_udp, sdp

RINGING, EARLY = Progress(Stage.RINGING), Progress(Stage.EARLY_MEDIA)
HELD, RESUMED = Progress(Stage.HELD), Progress(Stage.RESUMED)


@asynccontextmanager
async def box(**more: Any) -> AsyncIterator[tuple[Peer, Desk]]:
    """A box that is registered at the peer over UDP."""
    async with over_udp() as peer, desk(Account(f"127.0.0.1:{peer.port}", "6001", allow=("boss",)), **more) as ours:
        await ours.registered()
        yield peer, ours


@asynccontextmanager
async def talking(**more: Any) -> AsyncIterator[tuple[Peer, Desk, Talk, Invited, Media]]:
    """A call that came in and was answered, with sound."""
    async with box(**more) as (peer, ours), Media.open() as media:
        call, talk, _ = await answered(peer, ours, media)
        yield peer, ours, talk, call, media


def story(tale: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(tale())


# ---------------------------------------------------------------------------------------------------- we call


WHY_NOT = {
    "486 Busy Here": End.BUSY,
    "600 Busy Everywhere": End.BUSY,
    "603 Decline": End.REFUSED,
    "404 Not Found": End.WRONG_NUMBER,
    "480 Temporarily Unavailable": End.NO_ANSWER,
    "408 Request Timeout": End.NO_ANSWER,
    "488 Not Acceptable Here": End.REFUSED,
    "503 Service Unavailable": End.LINK_LOST,
}


def test_who_calls_hears_that_it_rings_and_then_why_nobody_answers() -> None:
    async def tale() -> None:
        async with box() as (peer, ours):
            for status, end in WHY_NOT.items():
                talk = ours.dial(f"sip:bob@127.0.0.1:{peer.port}")
                invite = await peer.expect("INVITE")
                answer(invite, "180 Ringing")
                await talk.hears(RINGING)
                answer(invite, status)
                assert (await talk.closed()).end is end, status

    story(tale)


def test_a_call_that_is_refused_in_the_same_moment_does_not_ring_for_a_minute() -> None:
    async def tale() -> None:
        async with box() as (peer, ours):
            for _ in range(20):
                talk = ours.dial(f"sip:bob@127.0.0.1:{peer.port}")
                answer(await peer.expect("INVITE"), "486 Busy Here")
                assert (await talk.closed()).end is End.BUSY

    story(tale)


def test_what_the_network_says_is_heard_before_anybody_answers() -> None:
    async def tale() -> None:
        async with box() as (peer, ours), Media.open() as media:
            talk = ours.dial(f"sip:bob@127.0.0.1:{peer.port}")
            invite = await peer.expect("INVITE")
            media.towards(invite.body)
            answer(invite, "183 Session Progress", body=sdp(media.port))
            await talk.hears(EARLY)
            await talk.until(lambda: len(talk.sound) > 4_000)
            answer(invite, "200 OK", f"Contact: <sip:bob@127.0.0.1:{peer.port}>", body=sdp(media.port))
            await talk.hears(Flowing())
            await peer.expect("ACK")
            talk.hang_up()
            await peer.expect("BYE")

    story(tale)


def test_a_call_that_is_given_up_while_it_rings_stops_ringing() -> None:
    async def tale() -> None:
        async with box() as (peer, ours):
            talk = ours.dial(f"sip:bob@127.0.0.1:{peer.port}")
            invite = await peer.expect("INVITE")
            answer(invite, "180 Ringing")
            await talk.hears(RINGING)
            talk.hang_up()
            cancel = await peer.expect("CANCEL")
            assert cancel.get("Call-ID") == invite.get("Call-ID")
            answer(cancel, "200 OK")
            answer(invite, "487 Request Terminated")
            await peer.expect("ACK")

    story(tale)


def test_a_call_that_is_given_up_before_it_was_placed_never_rings_on() -> None:
    async def tale() -> None:
        async with box() as (peer, ours):
            ours.dial(f"sip:bob@127.0.0.1:{peer.port}").hang_up()
            invite = await peer.expect("INVITE")
            answer(invite, "180 Ringing")
            answer(await peer.expect("CANCEL"), "200 OK")
            answer(invite, "487 Request Terminated")
            await peer.expect("ACK")

    story(tale)


def test_nobody_answers_and_after_our_own_time_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip, "RING_S", 1)

    async def tale() -> None:
        async with box() as (peer, ours), Media.open() as media:
            talk = ours.dial(f"sip:bob@127.0.0.1:{peer.port}")
            answer(await peer.expect("INVITE"), "183 Session Progress", body=sdp(media.port))
            assert await talk.closed() == Closed(End.NO_ANSWER, "nobody answered")
            await peer.expect("CANCEL")

    story(tale)


def test_a_host_that_cannot_be_reached_is_trouble_and_no_wrong_number() -> None:
    async def tale() -> None:
        async with box() as (_, ours):
            assert (await ours.dial("sip:bob@127.0.0.1:1;transport=tcp").closed()).end is End.LINK_LOST

    story(tale)


def test_an_address_that_is_none_is_a_wrong_number() -> None:
    async def tale() -> None:
        async with box() as (_, ours):
            assert (await ours.dial("sip:bob\r\nX-Evil: 1@127.0.0.1").closed()).end is End.WRONG_NUMBER

    story(tale)


# ---------------------------------------------------------------------------------------------------- we are called


def test_a_caller_is_answered_speaks_and_hangs_up() -> None:
    async def tale() -> None:
        async with talking() as (_, _, talk, call, _):
            await talk.until(lambda: len(talk.sound) > 4_000)
            call.request("BYE")
            assert await talk.closed() == Closed(End.HUNG_UP, "the other side hung up")

    story(tale)


def test_we_hang_up_and_the_caller_is_told() -> None:
    async def tale() -> None:
        async with talking() as (peer, _, talk, _, _):
            talk.hang_up()
            answer(await peer.expect("BYE"), "200 OK")

    story(tale)


def test_the_first_caller_is_heard_on_when_a_second_one_is_answered() -> None:
    async def tale() -> None:
        async with talking() as (peer, ours, first, _, _), Media.open() as other:
            _, second, _ = await answered(peer, ours, other, who="bob")
            heard = len(first.sound)
            await first.until(lambda: len(first.sound) > heard + 8_000)
            await second.until(lambda: len(second.sound) > 8_000)
            assert [message.method for message in list(peer.got._queue)] == []  # type: ignore[attr-defined]

    story(tale)


def test_a_caller_who_is_declined_hears_busy() -> None:
    async def tale() -> None:
        async with box() as (peer, ours):
            peer.invite(body=sdp(9))
            talk, _ = await ours.visitor()
            talk.hang_up()
            await peer.expect("486")

    story(tale)


def test_a_caller_who_gives_up_rings_no_more() -> None:
    async def tale() -> None:
        async with box() as (peer, ours):
            call = peer.invite(body=sdp(9))
            talk, _ = await ours.visitor()
            await peer.expect("180")
            call.request("CANCEL")
            await peer.expect("487")
            assert (await talk.closed()).end is End.HUNG_UP

    story(tale)


def test_one_call_too_many_hears_busy() -> None:
    async def tale() -> None:
        async with box(calls=2) as (peer, ours):
            peer.invite(who="a", body=sdp(9))
            peer.invite(who="b", body=sdp(9))
            await ours.visitor()
            await ours.visitor()
            peer.invite(who="c", body=sdp(9))
            await peer.expect("486")
            assert ours.came.empty()

    story(tale)


def test_a_caller_without_a_codec_of_ours_is_told_so() -> None:
    async def tale() -> None:
        async with box() as (peer, ours):
            peer.invite(body=sdp(9, codec="98 SPEEX/16000"))
            await peer.expect("488")
            assert ours.came.empty()

    story(tale)


def test_a_caller_who_leaves_the_offer_to_us_is_answered() -> None:
    async def tale() -> None:
        async with box() as (peer, ours), Media.open() as media:
            call = peer.invite(body="")
            talk, _ = await ours.visitor()
            talk.answer()
            ok = await peer.expect("200")
            call.to, call.uri = ok.get("To"), ok.contact
            media.towards(ok.body)
            call.request("ACK", sdp(media.port))
            await talk.hears(Flowing())
            await talk.until(lambda: len(talk.sound) > 4_000)

    story(tale)


def test_a_caller_who_numbers_his_codecs_otherwise_is_understood() -> None:
    async def tale() -> None:
        async with box() as (peer, ours), Media.open(payload=111) as media:
            call = peer.invite(body=sdp(media.port, codec="111 PCMU/8000", keys=96))
            talk, _ = await ours.visitor()
            talk.answer()
            ok = await call.answered()
            assert "RTP/AVP 111 96" in ok.body
            media.towards(ok.body)
            await talk.hears(Flowing())
            await talk.until(lambda: len(talk.sound) > 4_000)
            media.press("5", payload=96)
            await talk.hears(Digit("5"))

    story(tale)


def test_hold_and_resume_are_told_and_sound_goes_on() -> None:
    async def tale() -> None:
        async with talking() as (_, _, talk, call, media):
            call.request("INVITE", sdp(media.port, direction="sendonly", version=2))
            await call.answered()
            await talk.hears(HELD)
            call.request("INVITE", sdp(media.port, version=3))
            await call.answered()
            await talk.hears(RESUMED)
            heard = len(talk.sound)
            await talk.until(lambda: len(talk.sound) > heard + 4_000)

    story(tale)


@pytest.mark.parametrize(("direction", "music"), [("sendonly", True), ("inactive", False)])
def test_who_hears_whom_before_during_and_after_a_hold(direction: str, music: bool) -> None:
    async def tale() -> None:
        async with talking() as (_, _, talk, call, media):
            speaking = asyncio.get_running_loop().create_task(speak_on(talk))

            async def heard() -> tuple[bool, bool]:
                """Tell whether the box hears the other side in the next half second, and the other side the box."""
                ours, theirs = len(talk.sound), len(media.heard)
                await asyncio.sleep(0.5)
                return loud(talk.sound[ours:]), bool(set(media.heard[theirs:]) - {0xFF, 0x7F})

            async def until_heard(ours: bool, theirs: bool) -> None:
                async with asyncio.timeout(WAIT_S):
                    while await heard() != (ours, theirs):  # what is under way comes first
                        pass

            await until_heard(True, True)
            call.request("INVITE", sdp(media.port, direction=direction, version=2))
            await call.answered()
            await talk.hears(HELD)
            media.sends = music  # or nothing at all
            await until_heard(music, False)
            call.request("INVITE", sdp(media.port, version=3))
            await call.answered()
            await talk.hears(RESUMED)
            media.sends = True
            await until_heard(True, True)
            speaking.cancel()

    story(tale)


def loud(sound: bytes | bytearray) -> bool:
    return any(abs(sample) > 1_000 for sample in array("h", bytes(sound)))


def test_the_librarys_threads_that_keep_time_go_before_others() -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        pytest.skip("this user may not ask for real time")

    async def tale() -> None:
        async with talking() as (_, _, talk, _, _):
            await talk.until(lambda: talk.sound)
            async with asyncio.timeout(WAIT_S):  # asked again and again, as the threads come one after the other
                while hurrying(worker()) != {"aumem_src", "Audio TX", "aumem_play"}:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    story(tale)


def hurrying(process: int) -> set[str]:
    """Name the threads of a process that are real-time."""
    found = set()
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            if os.sched_getscheduler(int(task.name)) == os.SCHED_FIFO:
                found.add((task / "comm").read_text().strip())
        except OSError:
            continue  # it has ended meanwhile
    return found


async def speak_on(talk: Talk) -> None:
    """Say something loud, 20 ms at a time, for as long as anybody listens."""
    while True:
        talk.say(*talk.service.play(b"\x40\x1f\xc0\xe0" * 80))
        await asyncio.sleep(0.02)


def test_what_was_said_while_the_call_was_on_hold_is_not_heard_after_it() -> None:
    async def tale() -> None:
        async with talking() as (_, _, talk, call, media):
            call.request("INVITE", sdp(media.port, direction="sendonly", version=2))
            await call.answered()
            await talk.hears(HELD)
            for _ in range(150):
                talk.say(*talk.service.play(b"\x40\x1f" * 160))  # 3 s of a loud something
            talk.say(*talk.service.mark("after it"))
            await talk.until(lambda: any(getattr(one, "mark", "") == "after it" for one in talk.told))
            call.request("INVITE", sdp(media.port, version=3))
            await call.answered()
            await talk.hears(RESUMED)
            came = len(media.heard)
            await media.until(lambda: len(media.heard) > came + 8_000)
            assert set(media.heard[came:]) <= {0xFF, 0x7F}, "silence, in mu-law"

    story(tale)


def test_a_call_that_goes_on_in_another_codec_keeps_its_pitch() -> None:
    async def tale() -> None:
        async with talking() as (_, _, talk, call, media):
            assert talk.service.rate == 8_000
            media.payload = 9
            call.request("INVITE", sdp(media.port, codec="9 G722/8000", version=2))
            ok = await call.answered()
            assert "RTP/AVP 9" in ok.body
            await talk.until(lambda: talk.service.rate == 16_000)

    story(tale)


def test_two_who_want_to_change_the_call_at_once_keep_it() -> None:
    async def tale() -> None:
        async with talking() as (peer, _, talk, call, media):
            call.request("INVITE", sdp(media.port, direction="sendonly", version=2))
            call.request("INVITE", sdp(media.port, version=3))  # before the first is answered
            await peer.expect("200")
            heard = len(talk.sound)
            await talk.until(lambda: len(talk.sound) > heard + 4_000)
            assert not any(isinstance(one, Closed) for one in talk.told)

    story(tale)


def test_who_is_called_is_to_ask_whether_the_session_goes_on() -> None:
    async def tale() -> None:
        async with box() as (peer, ours), Media.open() as media:
            talk = ours.dial(f"sip:bob@127.0.0.1:{peer.port}")
            invite = await peer.expect("INVITE")
            assert "timer" in ",".join(invite.all("Supported"))
            assert invite.get("Session-Expires") == "1800;refresher=uas"
            media.towards(invite.body)
            agreed = ("Require: timer", "Session-Expires: 90;refresher=uas")
            answer(invite, "200 OK", f"Contact: <sip:bob@127.0.0.1:{peer.port}>", *agreed, body=sdp(media.port))
            await talk.hears(Flowing())
            await peer.expect("ACK")

    story(tale)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_session_that_is_refreshed_goes_on(method: str) -> None:
    async def tale() -> None:
        async with talking() as (peer, _, talk, call, media):
            body = sdp(media.port) if method == "INVITE" else ""
            call.request(method, body, ("Session-Expires: 90;refresher=uac", "Supported: timer"))
            ok = await peer.expect("200")
            assert method in ok.get("CSeq")
            if method == "INVITE":
                call.request("ACK")
            heard = len(talk.sound)
            await talk.until(lambda: len(talk.sound) > heard + 4_000)

    story(tale)


def test_a_caller_who_would_have_the_box_call_somebody_is_refused_and_the_call_goes_on() -> None:
    async def tale() -> None:
        async with talking() as (peer, _, talk, call, _):
            call.request("REFER", headers=(f"Refer-To: <sip:expensive@127.0.0.1:{peer.port}>",))
            told = await peer.expect("NOTIFY")
            while told.body.startswith("SIP/2.0 100"):
                answer(told, "200 OK")
                told = await peer.expect("NOTIFY")
            assert told.body.startswith("SIP/2.0 603")
            answer(told, "200 OK")
            heard = len(talk.sound)
            await talk.until(lambda: len(talk.sound) > heard + 4_000)
            assert peer.got.empty()

    story(tale)


# ------------------------------------------------------------------------------------------------------- digits


def test_digits_of_the_caller_arrive_however_they_are_sent() -> None:
    async def tale() -> None:
        async with talking() as (peer, _, talk, call, media):
            for key in "1*#":
                media.press(key)
                await talk.hears(Digit(key))
            call.request("INFO", "Signal=7\r\nDuration=160\r\n", ("Content-Type: application/dtmf-relay",))
            await peer.expect("200")
            await talk.hears(Digit("7"))

    story(tale)


def test_our_digits_arrive_at_the_other_side() -> None:
    async def tale() -> None:
        async with talking() as (_, _, talk, _, media):
            talk.say(*talk.service.keys("42#"))
            await media.until(lambda: media.keys == ["4", "2", "#"])

    story(tale)


# ------------------------------------------------------------------------------------------------- who is believed


def test_over_udp_the_boss_may_be_anybody() -> None:
    async def tale() -> None:
        async with box() as (peer, ours):
            peer.invite(who="boss", body=sdp(9))
            assert (await ours.visitor())[1] is False

    story(tale)


def test_the_boss_is_answered_automatically_on_the_connection_that_we_made_and_nobody_else() -> None:
    async def tale() -> None:
        async with over_tcp() as peer:
            account = Account(f"127.0.0.1:{peer.port}", "6001", transport="tcp", allow=("boss",))
            async with desk(account) as ours:
                await ours.registered()
                peer.invite(who="boss", body=sdp(9))
                assert (await ours.visitor())[1] is True
                peer.invite(who="thief", body=sdp(9))
                assert (await ours.visitor())[1] is False

    story(tale)


def listening(process: int) -> list[int]:
    """Return the TCP ports at which a process listens."""
    own = {os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()}
    rows = [line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    return [int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own]


def test_nobody_connects_to_the_box_to_claim_that_he_is_the_boss() -> None:
    async def tale() -> None:
        async with over_tcp() as peer:
            account = Account(f"127.0.0.1:{peer.port}", "6001", transport="tcp", allow=("boss",))
            async with desk(account) as ours:
                await ours.registered()
                ports = listening(worker())
                assert ports, "the library listens, whatever it is told"
                for port in ports:
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 0.5)

    story(tale)


def test_a_secret_header_proves_who_calls_over_udp() -> None:
    async def tale() -> None:
        async with over_udp() as peer:
            account = Account(f"127.0.0.1:{peer.port}", "6001", allow=("boss",), header=("X-Door", "open sesame"))
            async with desk(account) as ours:
                await ours.registered()
                peer.invite(body=sdp(9), headers=("x-door: open sesame",))
                assert (await ours.visitor())[1] is True
                peer.invite(body=sdp(9), headers=("X-Door: guess",))
                assert (await ours.visitor())[1] is False
                peer.invite(body=sdp(9))
                assert (await ours.visitor())[1] is False

    story(tale)


# --------------------------------------------------------------------------------------------- how well, how secretly


def test_loss_and_jitter_of_the_call_are_told() -> None:
    async def tale() -> None:
        async with talking() as (_, _, talk, _, media):
            assert talk.service.facts == {"codec": "G.711"}
            media.report()
            await talk.until(lambda: "loss_percent" in talk.service.facts)
            assert set(talk.service.facts) == {"codec", "loss_percent", "jitter_ms", "round_trip_ms"}

    story(tale)


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/SAVP"])
def test_where_sound_must_be_secret_nobody_is_heard_in_clear(profile: str) -> None:
    async def tale() -> None:
        async with box(srtp="mandatory") as (peer, ours):
            peer.invite(body=sdp(9))
            await peer.expect("488")
            assert ours.came.empty()
            talk = ours.dial(f"sip:bob@127.0.0.1:{peer.port}")
            invite = await peer.expect("INVITE")
            assert "RTP/SAVP" in invite.body
            assert "a=crypto:" in invite.body
            clear = sdp(9) if profile == "RTP/AVP" else sdp(9).replace("RTP/AVP", profile)  # and no key in either
            answer(invite, "200 OK", f"Contact: <sip:bob@127.0.0.1:{peer.port}>", body=clear)
            assert (await talk.closed()).end is End.REFUSED
            assert Flowing() not in talk.told

    story(tale)


def test_where_sound_must_be_secret_who_has_a_key_is_heard() -> None:
    async def tale() -> None:
        async with over_udp() as peer:
            accounts = Account(f"127.0.0.1:{peer.port}", "6001"), Account(f"127.0.0.1:{peer.port}", "6002")
            async with desk(accounts[0], srtp="mandatory") as here, desk(accounts[1], srtp="optional") as there:
                await here.registered()
                await there.registered()
                (contact,) = {one.contact for one in peer.registers if ":6002@" in one.contact}
                ours = here.dial(contact)
                theirs, _ = await there.visitor()
                theirs.answer()
                await ours.until(lambda: len(ours.sound) > 4_000)
                await theirs.until(lambda: len(theirs.sound) > 4_000)

    story(tale)
