"""What of a caller reaches us over SIP: the worker's packets, each with the time at which it was read."""

from __future__ import annotations

import json
import struct

import numpy as np

from edgevoice.events import Audio
from edgevoice.lines.sip import Sip

CALL = 7
TONE = (8000 * np.sin(2 * np.pi * 125 * np.arange(160) / 8_000)).astype(np.int16).tobytes()  # 20 ms: 2.5 periods


def established(rate: int = 8_000) -> Sip:
    service = Sip(CALL, {"account": 0, "uri": "sip:reception@pbx"})
    service.receive(json.dumps({"is": "established", "call": CALL, "rate": rate, "id": "one"}), 0.0)
    return service


def packet(at: float, pcm: bytes = b"") -> bytes:
    return struct.pack(">Id", CALL, at) + pcm


def heard(service: Sip, *packets: bytes) -> bytes:
    """Return what is heard; all of it is read late, at once."""
    meanings = [meaning for one in packets for meaning in service.receive(one, 99.0)]
    assert all(isinstance(one, Audio) for one in meanings)
    return b"".join(one.pcm for one in meanings if isinstance(one, Audio))


def test_the_caller_is_heard_as_they_spoke() -> None:
    assert heard(established(), *(packet(n * 0.02, TONE) for n in range(5))) == 5 * TONE


def test_a_packet_that_the_network_lost_is_filled_in_though_the_box_reads_all_at_once() -> None:
    pcm = heard(established(), *(packet(n * 0.02, TONE) for n in range(10) if n != 5))
    assert len(pcm) == 10 * len(TONE)
    assert np.any(np.frombuffer(pcm[5 * len(TONE) : 6 * len(TONE)], np.int16))


def test_a_telephone_that_sends_nothing_in_a_pause_is_heard_to_pause() -> None:
    service = established()
    heard(service, packet(0.0, TONE))
    pcm = heard(service, *(packet(n * 0.03) for n in range(1, 34)))
    assert 900 < len(pcm) / 16 < 1000, "ms of silence: so the end of a sentence is noticed"
    assert not np.any(np.frombuffer(pcm[len(pcm) // 2 :], np.int16))


def test_nothing_is_heard_before_somebody_has_spoken() -> None:
    assert heard(established(), packet(0.0), packet(5.0)) == b""


def test_half_a_sample_or_half_a_head_is_nothing() -> None:
    assert heard(established(), packet(0.0, TONE[:-1]), b"\7\0\0\0", b"") == b""


def test_a_call_that_changes_its_codec_is_heard_at_the_new_rate() -> None:
    service = established()
    heard(service, packet(0.0, TONE))
    service.receive(json.dumps({"is": "established", "call": CALL, "rate": 16_000, "id": "one"}), 0.0)
    assert heard(service, *(packet(1 + n * 0.02, 2 * TONE) for n in range(3))) == 6 * TONE
