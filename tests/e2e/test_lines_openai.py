"""A caller over 46elks talks with OpenAI's protocol, both played by processes of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.e2e.agent_service import OPENAI, AgentService
from tests.e2e.box import first_word, likeness, voice
from tests.e2e.lines import LineBox, PhoneService, pause, wait, write_wav

RATE = 16_000
NETWORK_MS = 60.0  # there, back, and the service's own latency


def test_the_agent_is_told_what_the_caller_has_heard_of_its_answer(tmp_path: Path) -> None:
    question, interruption = voice("question"), voice("interruption")
    talk = np.concatenate([np.zeros(RATE // 2, np.int16), question, np.zeros(RATE * 5 // 2, np.int16), interruption])
    said = write_wav(tmp_path / "said.wav", talk, RATE)
    with AgentService(OPENAI, tmp_path, voice("story", 24_000)) as service:
        agent = service.configuration().partition("[agent.openai]")[2]
        with LineBox(f"[agent.openai]{agent}", incoming="openai", files={"key": "sk-never-seen"}) as box:
            with PhoneService(tmp_path, "elks", "--url", box.url("elks"), "--caller-wav", said) as phone:
                cleared = phone.wait_for("server", "interrupt")
                truncated = service.wait_for("client", "conversation.item.truncate")
                late_ms = abs(cleared["at"] - truncated["at"]) * 1000  # one of them was read late
                answered = service.wait_for("server", "response.created")["at"]
                tones_ms = sum(line["ms"] for line in phone.lines("server", "audio") if line["at"] < answered)
                heard_ms = cleared["played_ms"] - tones_ms
                assert abs(truncated["audio_end_ms"] - heard_ms) <= 60 + NETWORK_MS + late_ms, (heard_ms, late_ms)
                wait(lambda: service.lines("server", "response.created")[1:], "the interruption is answered")
                pause(1.0)
                assert phone.lines("fake", "violation") == []
            heard = service.heard()
            begins = first_word(question, RATE) * 24_000 // RATE
            assert likeness(heard, voice("question", 24_000)[begins : begins + 24_000], 24_000) > 0.9
            box.wait_for_line("with openai: 2 turns, 1 interruptions")
            assert "sk-never-seen" not in box.journal
    assert service.lines("fake", "violation") == []
