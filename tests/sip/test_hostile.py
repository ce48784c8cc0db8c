"""What comes from strangers: packets that make no sense, floods, calls that nobody can end."""

from __future__ import annotations

import asyncio
import random
import socket
from array import array

import pytest

from edgevoice.events import Closed, Digit
from edgevoice.lines.service import Flowing
from edgevoice.lines.sip_account import Account
from tests.sip.desk import WAIT_S, Desk, Talk, answered, desk, worker
from tests.sip.media import LOUD, SILENT, Media
from tests.sip.peer import Invited, Peer, answer, over_udp, sdp
from tests.sip.test_worker import resources, story


def account(peer: Peer) -> Account:
    return Account(f"127.0.0.1:{peer.port}", "6001", allow=("boss",))


def where(peer: Peer) -> tuple[str, int]:
    """Return the box's own address, as it has told the registrar."""
    host, _, port = peer.registers[0].contact.partition("@")[2].partition(";")[0].partition(":")
    return host, int(port)


def test_calls_that_nobody_could_answer_end_no_other_call_and_keep_nobody_out() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer), calls=3) as ours, Media.open() as media:
            await ours.registered()
            _, talk, _ = await answered(peer, ours, media)
            _, before, _ = resources(worker())
            for _ in range(3):
                for offer in (sdp(9), sdp(9), sdp(9), sdp(9), ""):
                    stranger = peer.invite(who="scanner", body=offer, contact="X-Nothing: 1")
                    assert await _said(peer, stranger, "500") == "500"
                heard = len(talk.sound)
                await talk.until(lambda heard=heard: len(talk.sound) > heard + 4_000)  # type: ignore[misc]
            await ours.until(lambda: resources(worker())[1] <= before)
            _, second = await _rings(peer, ours, sdp(media.port))
            second.hang_up()
            talk.hang_up()
            answer(await peer.expect("BYE"), "200 OK")
            await talk.closed()
        assert ours.endpoint.workers == 1
        assert ours.endpoint.ended == 0, "and the worker's end is a clean one"

    story(tale)


async def _rings(peer: Peer, ours: Desk, body: str) -> tuple[Invited, Talk]:
    """Call until it rings: who took the room is gone soon, and nothing tells when."""
    async with asyncio.timeout(WAIT_S):
        while await _said(peer, call := peer.invite(body=body), "180") != "180":
            while not ours.came.empty():
                ours.came.get_nowait()[0].drop()
            await asyncio.sleep(0.5)
        while (await (talk := (await ours.visitor())[0]).began()).caller != "boss":
            talk.drop()
    return call, talk


async def _said(peer: Peer, call: Invited, wanted: str) -> str:
    """Return that status as soon as it comes, or 486: there is no room."""
    while True:
        try:
            async with asyncio.timeout(0.5):
                said = await peer.got.get()
        except TimeoutError:
            call.repeat()
            continue
        if said.get("Call-ID") == call.call_id and said.method in (wanted, "486"):
            return said.method


def test_after_an_answer_no_pictures_are_asked_for() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours, Media.open() as media:
            await ours.registered()
            call = peer.invite(body=sdp(media.port))
            talk, _ = await ours.visitor()
            talk.answer()
            ok = await call.answered()
            assert "m=video" not in ok.body
            media.towards(ok.body)
            await talk.until(lambda: len(talk.sound) > 8_000)  # half a second: it came after 50 to 150 ms
            assert peer.got.empty()

    story(tale)


def test_a_flood_of_questions_keeps_no_call_out_and_takes_no_memory() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours, Media.open() as media:
            await ours.registered()
            before, _, _ = resources(worker())
            flood = asyncio.get_running_loop().create_task(_ask(where(peer), per_s=1_000, for_s=3.0))
            await asyncio.sleep(1.0)
            _, talk, _ = await answered(peer, ours, media)
            sent = await flood
            heard = len(talk.sound)
            await talk.until(lambda: len(talk.sound) > heard + 4_000)
            after, _, _ = resources(worker())
            print(f"{sent} questions in 3 s: {before} -> {after} kB")
            assert sent > 1_500
            assert after < before + 8 * sent, "kB: the library remembers each for half a minute, as it must"
            assert ours.endpoint.workers == 1

    story(tale)


async def _ask(to: tuple[str, int], *, per_s: int, for_s: float) -> int:
    """Send OPTIONS to the box as fast as that, in bursts of 10 ms; return how many."""
    loop = asyncio.get_running_loop()
    sent, began = 0, loop.time()
    with socket.socket(type=socket.SOCK_DGRAM) as scanner:
        scanner.bind(("127.0.0.1", 0))
        own = scanner.getsockname()[1]
        scanner.setblocking(False)
        while loop.time() < began + for_s:
            while sent < (loop.time() - began) * per_s:
                sent += 1
                text = (
                    f"OPTIONS sip:6001@{to[0]}:{to[1]} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bKo{sent}\r\n"
                    f"From: <sip:scanner@127.0.0.1>;tag=s{sent}\r\nTo: <sip:6001@{to[0]}>\r\nCall-ID: o{sent}\r\n"
                    f"CSeq: 1 OPTIONS\r\nContact: <sip:scanner@127.0.0.1:{own}>\r\nContent-Length: 0\r\n\r\n"
                )
                try:
                    scanner.sendto(text.encode(), to)
                except BlockingIOError:
                    break
            await asyncio.sleep(0.01)
    return sent


def test_packets_that_make_no_sense_neither_end_the_worker_nor_keep_a_call_out() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer), calls=2) as ours, Media.open() as media:
            await ours.registered()
            chance = random.Random(7)
            sample = (
                f"INVITE sip:6001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{peer.port};branch=z9hG4bKm\r\n"
                f"From: <sip:x@127.0.0.1>;tag=m\r\nTo: <sip:6001@127.0.0.1>\r\nCall-ID: m\r\nCSeq: 1 INVITE\r\n"
                f"Contact: <sip:x@127.0.0.1:{peer.port}>\r\nContent-Type: application/sdp\r\n\r\n{sdp(9)}"
            ).encode()
            with socket.socket(type=socket.SOCK_DGRAM) as scanner:
                for index in range(2_000):
                    packet = bytearray(sample)
                    for _ in range(chance.randrange(1, 40)):
                        packet[chance.randrange(len(packet))] = chance.randrange(256)
                    scanner.sendto(packet[: chance.randrange(1, len(packet))] if index % 3 else packet, where(peer))
                    if index % 50 == 0:
                        await asyncio.sleep(0.01)
            await ours.until(lambda: ours.endpoint.registrations[0].registered)
            call, talk = await _rings(peer, ours, sdp(media.port))  # those that still made sense ring, too
            talk.answer()
            await call.answered()
            await talk.hears(Flowing())
            assert ours.endpoint.workers == 1

    story(tale)


@pytest.mark.parametrize("user", ["100", "admin", "", "6001%00", "boss"])
def test_a_scanner_who_guesses_users_reaches_nobody(user: str) -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours:
            await ours.registered()
            host, port = where(peer)
            at = f"{user}@" if user else ""
            peer.invite(who="scanner", body=sdp(9), uri=f"sip:{at}{host}:{port}")
            await peer.expect("404")
            assert ours.came.empty()

    story(tale)


def test_a_third_who_sends_sound_to_the_call_is_not_heard_and_does_not_take_it_over() -> None:
    async def tale() -> None:
        both = Media.open(), Media.open(host="127.0.0.9")
        async with over_udp() as peer, desk(account(peer)) as ours, both[0] as media, both[1] as stranger:
            await ours.registered()
            media.sound = SILENT
            _, talk, ok = await answered(peer, ours, media)
            await talk.until(lambda: len(talk.sound) > 4_000)
            stranger.source = 99
            stranger.towards(ok.body)
            sent = len(media.heard)
            heard = len(talk.sound)
            stranger.press("1")
            await talk.until(lambda: len(talk.sound) > heard + 16_000)
            assert loud(talk.sound[heard:]) == 0
            assert Digit("1") not in talk.told, "nor does a key of theirs open anything"
            assert not stranger.heard, "what we say goes where it went"
            await media.until(lambda: len(media.heard) > sent + 4_000)

    story(tale)


def test_a_telephone_that_does_not_know_its_own_address_is_heard_all_the_same() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours, Media.open(host="127.0.0.9") as media:
            await ours.registered()
            call, talk, _ = await answered(peer, ours, media)
            await talk.until(lambda: loud(talk.sound) > 4_000)
            call.request("INVITE", sdp(media.port, version=2))  # as whoever asks whether the session goes on
            await call.answered()
            heard = len(talk.sound)
            await talk.until(lambda: len(talk.sound) > heard + 24_000)
            assert loud(talk.sound[heard:]) > 9_000, "of 12,000: it is not tried again"

    story(tale)


def test_a_call_that_goes_on_with_somebody_elsewhere_is_heard_from_there_and_no_more_from_here() -> None:
    async def tale() -> None:
        both = Media.open(), Media.open(host="127.0.0.9")
        async with over_udp() as peer, desk(account(peer)) as ours, both[0] as media, both[1] as other:
            await ours.registered()
            call, talk, _ = await answered(peer, ours, media)
            await talk.until(lambda: loud(talk.sound) > 4_000)
            call.request("INVITE", sdp(other.port, version=2, host="127.0.0.9"))
            other.sound, other.source = SILENT, 99
            other.towards((await call.answered()).body)
            await other.until(lambda: len(other.heard) > 4_000)
            heard = len(talk.sound)
            await talk.until(lambda: len(talk.sound) > heard + 16_000)
            assert loud(talk.sound[heard + 8_000 :]) == 0, "half a second for what was under way"
            other.sound = LOUD
            await talk.until(lambda: loud(talk.sound[heard:]) > 4_000)

    story(tale)


def test_another_sender_behind_the_same_address_is_heard_at_once() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours, Media.open() as media:
            await ours.registered()
            media.sound = SILENT
            _, talk, _ = await answered(peer, ours, media)
            await talk.until(lambda: len(talk.sound) > 4_000)
            for source in (8, 9):
                media.begin_anew(source)
                media.sound = LOUD
                heard, sent = len(talk.sound), media.sent
                await talk.until(lambda heard=heard: loud(talk.sound[heard:]) > 2_000)  # type: ignore[misc]
                heard_s, sent_s = (len(talk.sound) - heard) / 16_000, (media.sent - sent) / 50
                assert min(heard_s, sent_s) < 1.0, "but for the time in which either process did not run"
            assert not any(isinstance(one, Closed) for one in talk.told)

    story(tale)


def loud(sound: bytes | bytearray) -> int:
    """Count the samples that are not silent."""
    return sum(abs(sample) > 1_000 for sample in array("h", bytes(sound)))


def test_a_flood_of_keys_ends_nothing_and_takes_no_memory() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours, Media.open() as media:
            await ours.registered()
            _, talk, _ = await answered(peer, ours, media)
            before, _, _ = resources(worker())
            for number in range(2_000):
                media.press("0123456789*#"[number % 12], time=number * 160)
                if number % 20 == 19:
                    await asyncio.sleep(0.01)
            heard = len(talk.sound)
            await talk.until(lambda: len(talk.sound) > heard + 8_000)
            media.press("5", time=10_000_000)
            keys = [one for one in talk.told if isinstance(one, Digit)]
            after, _, _ = resources(worker())
            print(f"{len(keys)} keys told of 2000; {before} -> {after} kB")
            assert len(keys) <= 2_000
            assert after < before + 8_000
            assert ours.endpoint.workers == 1
            talk.hang_up()
            answer(await peer.expect("BYE"), "200 OK")

    story(tale)


def test_who_never_acknowledges_is_not_talked_with_and_can_be_ended() -> None:
    async def tale() -> None:
        async with over_udp() as peer, desk(account(peer)) as ours:
            await ours.registered()
            peer.invite(body=sdp(9))
            talk, _ = await ours.visitor()
            talk.answer()
            await peer.expect("200")
            for _ in range(2):
                await peer.expect_again("200")
            assert not any(isinstance(one, Closed | Flowing) for one in talk.told)
            talk.hang_up()
            await peer.expect("BYE")

    story(tale)
