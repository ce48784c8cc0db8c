"""Between the box and its SIP worker nothing gets lost, and nobody waits for the other."""

from __future__ import annotations

import asyncio
import socket

from edgevoice.drivers.packets import Packets


def test_what_is_said_to_somebody_who_is_late_arrives_later_and_in_order() -> None:
    async def tale() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        came: list[bytes] = []
        all_came, gone = asyncio.Event(), asyncio.Event()
        said = [b"%d" % number * 200 for number in range(3_000)]

        def take(packet: bytes) -> None:
            came.append(packet)
            if len(came) == len(said):
                all_came.set()

        with ours, theirs:
            sending = Packets(ours, lambda packet: None, gone.set)
            for packet in said:
                sending.send(packet)
            assert sending.full
            receiving = Packets(theirs, take, lambda: None)
            async with asyncio.timeout(30):
                await all_came.wait()
                await sending.room()
            assert came == said
            assert not sending.full
            receiving.close()
            theirs.close()
            async with asyncio.timeout(30):
                await gone.wait()
            sending.send(b"into the void")
            assert not sending.full

    asyncio.run(tale())


def test_who_waits_for_room_is_let_go_when_the_other_side_has_died() -> None:
    async def tale() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            sending = Packets(ours, lambda packet: None, lambda: None)
            while not sending.full:
                sending.send(bytes(1_000))
            waiting = asyncio.ensure_future(sending.room())
            await asyncio.sleep(0)
            assert not waiting.done()
            theirs.close()
            async with asyncio.timeout(30):
                await waiting

    asyncio.run(tale())
