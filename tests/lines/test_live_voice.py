"""The voice of somebody at the box, on its way to a caller: soon after a tone it is no later than before."""

from __future__ import annotations

import json

import numpy as np

from edgevoice.events import Play
from edgevoice.lines.sending import LIVE_MS, SPARE_MS, Sending
from edgevoice.lines.twilio import Twilio
from tests.fakes import noise

RATE = 8000
PIECE_MS = 10
PIECE = RATE * PIECE_MS // 1000
START = {"event": "start", "start": {"streamSid": "MZ1", "callSid": "CA1", "mediaFormat": {"sampleRate": RATE}}}
LOUD = noise(PIECE, -20).tobytes()
HUM = noise(PIECE, -60).tobytes()


def line() -> Sending:
    service = Twilio()
    service.receive(json.dumps({"event": "connected"}), 0.0)
    service.receive(json.dumps(START), 0.0)
    sending = Sending(service)
    sending.take_from(RATE)
    return sending


def talk(sending: Sending, pcm: bytes, since: float, seconds: float) -> list[float]:
    """Talk for so long; return how late each piece is, in ms."""
    late: list[float] = []
    for at in np.arange(since, since + seconds, PIECE_MS / 1000):
        sending.play(Play(pcm, live=True), float(at))
        sending.pump(float(at))
        late.append(sending.playback.behind_ms(float(at)) + sending.waiting_ms)
    return late


def test_a_voice_is_sent_as_it_comes() -> None:
    sending = line()
    assert max(talk(sending, LOUD, 1.0, 2.0)) <= 3 * PIECE_MS
    assert sending.overflow_ms == 0


def test_a_tone_in_the_middle_of_a_call_makes_it_late_only_until_the_next_pause() -> None:
    sending = line()
    talk(sending, LOUD, 1.0, 1.0)
    sending.tone("connected", 2.0)
    assert min(talk(sending, LOUD, 2.0, 1.0)) > SPARE_MS, "no word is cut"
    assert sending.overflow_ms == 0
    assert talk(sending, HUM, 3.0, 0.5)[-1] <= SPARE_MS + 3 * PIECE_MS
    assert max(talk(sending, LOUD, 3.5, 1.0)) <= SPARE_MS + 3 * PIECE_MS


def test_a_voice_is_never_sent_later_than_a_conversation_bears() -> None:
    sending = line()
    for _ in range(3):
        sending.tone("ringing", 1.0)
    late = talk(sending, LOUD, 1.0, 4.0)
    assert sending.overflow_ms > 1000, "what was said under the tones is left out"
    assert late[-1] <= LIVE_MS + PIECE_MS


def test_a_service_that_keeps_half_a_second_by_itself_is_still_talked_to() -> None:
    sending = line()
    waits_s = 0.5
    due: list[tuple[float, str]] = []
    for step in range(300):  # pieces of 10 ms
        at = 1.0 + step * PIECE_MS / 1000
        for message in sending.play(Play(LOUD, live=True), at):
            told = json.loads(message)
            if told["event"] == "mark":
                due.append((at + waits_s, told["mark"]["name"]))
        while due and due[0][0] <= at:
            sending.playback.reached(due.pop(0)[1], at)
    assert sending.overflow_ms == 0
