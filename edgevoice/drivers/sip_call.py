"""One call of the SIP library's, with the sound that waits for it: in the worker.

parent ── play ──> backlog ── top_up, every 10 ms and with each piece ──> the library's ring ──> network
       <── what was received ── pump <──
"""

from __future__ import annotations

import asyncio
from array import array
from typing import Any

from baresip import BaresipError, Call, CallState, CallStats
from baresip.errors import AudioRestarted

from edgevoice.lines.backlog import Backlog
from edgevoice.lines.sip_words import status

AHEAD_MS = 40  # in the library's ring: two frames; what is more waits here, where it can be taken back
READ_MS = 200  # at once at most
BACKLOG_MS = 4_000  # of sound that waits: more than is ever sent ahead, so the library has not taken any for a while


class Live:
    """One call of the library's, with the sound that waits for it."""

    def __init__(self, number: int, call: Call, *, guarded: bool) -> None:
        self.number = number
        self.guarded = guarded  # it may be heard encrypted or not at all
        self.call = call
        self.rate = 0  # while no sound flows
        self.heard_of = asyncio.Event()  # the other side has said something: only then it can be told to stop ringing
        self.secret = False  # its sound is encrypted
        self.held = False  # by the other side: what is sent is not heard, and is not kept for later
        self.channels = 1
        self.came = 0  # bytes that were received
        self.mistaken = ""  # the other side believes that its sound comes from there, and it does not
        self.backlog = Backlog()
        self.quality: dict[str, object] = {}
        self.told_at = 0.0  # when the parent was sent sound last, or that there is none

    def clear(self) -> None:
        self.backlog.clear()
        try:
            self.call.audio.flush_tx()
        except BaresipError:
            pass  # no sound flows

    def play(self, pcm: bytes) -> None:
        """Have it sent, and begin now: a voice does not wait for the next round. Raises BaresipError; it is kept."""
        try:
            there = self.there
            self.backlog.note(there)
        finally:
            self.backlog.put(pcm, self.rate)
        self.top_up(there)

    @property
    def there(self) -> int:
        """Bytes, mono, that the library has and has not sent."""
        return int(self.call.audio.info().tx_buffered) // self.channels

    def top_up(self, there: int) -> None:
        """Give the library, which has so much, what there is room for."""
        self.backlog.trim(0 if self.held else BACKLOG_MS, self.rate)
        if pcm := self.backlog.take(AHEAD_MS * self.rate // 1000 * 2 - there):
            taken = self.call.audio.write(_spread(pcm, self.channels)) // self.channels
            self.backlog.back(pcm[taken:])

    def pump(self) -> bytes:
        """Top up the library; return what was received since the last time, mono."""
        audio = self.call.audio
        info = audio.info()
        if info.rx_ready and (info.rx_sample_rate, info.rx_channels) != (self.rate, self.channels):
            raise AudioRestarted("another rate")
        there = int(info.tx_buffered) // self.channels
        self.backlog.note(there)
        self.top_up(there)
        pcm = audio.read(READ_MS * self.rate // 1000 * 2 * self.channels)
        self.came += len(pcm)
        return _mono(pcm, self.channels)

    def look(self) -> None:
        """See to it that a voice does not wait longer and longer."""
        try:
            stats = self.call.audio.stats()
            holes = stats.tx_silence_frames + stats.tx_starved_frames
            self.backlog.look(stats.tx_buffered // self.channels, holes, self.rate)
        except BaresipError:
            pass  # no sound flows

    def passed(self) -> list[str]:
        """Name the marks behind which everything was sent."""
        if not self.backlog.marked:
            return []
        try:
            return self.backlog.passed(self.there)
        except BaresipError:
            return self.backlog.passed(0)


def quality(stats: CallStats) -> dict[str, object]:
    """Say how well sound arrives: of 100 packets that many were lost, jitter and the way there and back in ms."""
    lost = 100 * stats.rx_lost / max(1, stats.rx_packets + stats.rx_lost)
    facts = {"loss_percent": round(lost, 1), "jitter_ms": round(stats.rx_jitter_ms, 1)}
    return {**facts, "round_trip_ms": round(stats.rtt_ms, 1)}


def ending(text: str) -> int:
    """Read why a call is over: its SIP status; 200 for a goodbye, 0 for what never was answered."""
    lost = ("time", "refused", "route", "rtp", "unreachable")
    goodbye = not any(word in text.lower() for word in lost)  # "Connection reset by peer" is one, too
    return status(text) or (200 if goodbye else 0)


def _mono(pcm: bytes, channels: int) -> bytes:
    return pcm if channels == 1 else array("h", pcm)[::channels].tobytes()


def _spread(pcm: bytes, channels: int) -> bytes:
    if channels == 1:
        return pcm
    mono = array("h", pcm)
    spread = array("h", bytes(len(pcm) * channels))
    for channel in range(channels):
        spread[channel::channels] = mono
    return spread.tobytes()


async def hang_up(live: Live, status: int = 0) -> None:
    """End a call. One that has not been heard of is forgotten by the library and rings on: that is waited for."""
    if live.call.state is CallState.OUTGOING:
        await live.heard_of.wait()
    await quietly(live.call.reject() if status == 486 else live.call.hangup())


async def quietly(work: Any) -> None:
    try:
        await work
    except (BaresipError, ValueError):
        pass  # it is gone already
