"""The ElevenLabs SDK's own conversations on our audio interfaces, on the virtual card, with a fake of their service."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elevenlabs.client import ElevenLabs
from elevenlabs.conversational_ai.conversation import AsyncConversation, Conversation
from numpy.typing import NDArray

from edgevoice.audio.pcm import level_dbfs
from edgevoice.elevenlabs import AlsaAudioInterface, AsyncAlsaAudioInterface
from tests.e2e.agent_service import ELEVENLABS, AgentService
from tests.e2e.box import first_word, last_sound, last_word, likeness, voice
from tests.e2e.test_audio_interfaces import closed_as_often_as_opened, wait_until
from tests.e2e.test_echo import echoing
from tests.lab.labcard import World

Samples = NDArray[np.int16]

RATE = 48_000
CARD = '[card]\ncapture = "mic"\nplayback = "speaker"\nbuffer_ms = 200\n'
HEADSET = '[echo]\nhalf_duplex = "never"\n'
PATIENCE_S = 30.0
Service = partial(AgentService, ELEVENLABS)  # its fake checks what the SDK sends, too


class Talk:
    """A conversation of either kind: the async one on a loop in a thread."""

    def __init__(self, kind: str, service: AgentService, config: Path) -> None:
        self.ended: list[Any] = []  # DisconnectionDetails
        self._kind = kind
        self._conversation: Any
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        client = ElevenLabs(api_key="no key at all", base_url=f"http://127.0.0.1:{service.port}")
        self._do(self._make, client, config)
        self._do(self._conversation.start_session)

    async def _make_async(self, client: ElevenLabs, config: Path) -> None:
        async def ended(details: Any) -> None:
            self.ended.append(details)

        self._conversation = AsyncConversation(
            client,
            "agent_1",
            requires_auth=False,
            audio_interface=AsyncAlsaAudioInterface(config),
            callback_disconnect=ended,
        )

    def _make(self, client: ElevenLabs, config: Path) -> Any:
        if self._kind == "async":
            return self._make_async(client, config)
        self._conversation = Conversation(
            client,
            "agent_1",
            requires_auth=False,
            audio_interface=AlsaAudioInterface(config),
            callback_disconnect=self.ended.append,
        )
        return None

    def end(self) -> None:
        self._do(self._conversation.end_session)
        self._do(self._conversation.wait_for_session_end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, method: Callable[..., Any], *arguments: Any) -> None:
        done = method(*arguments)
        if done is not None and not isinstance(done, str):
            asyncio.run_coroutine_threadsafe(done, self._loop).result(PATIENCE_S)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with World(rate=RATE) as made:
        monkeypatch.setenv("ALSA_CONFIG_PATH", made.conf)
        made.air[:] = np.random.default_rng(8).normal(0, 20, len(made.air)).astype(np.int16)
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edgevoice.toml"
    path.write_text(CARD + HEADSET)
    return path


def reply() -> Samples:
    """Return what the agent says: long enough to be talked over."""
    return np.tile(voice("story"), 2)


def said() -> Samples:
    """Return what the person says: the beginning of a sentence."""
    return voice("interruption", RATE)[: RATE * 5 // 4]


def words(pcm: Samples) -> Samples:
    """Return what is heard of somebody who says that, without breath and room."""
    return pcm[first_word(pcm, RATE) : last_word(pcm, RATE)]


def wait_for_sound(world: World, since: int) -> int:
    """Return the first sample that sounds."""
    wait_until(lambda: bool(world.spk[since : world.now()].any()), "a sound")
    return since + int(np.flatnonzero(world.spk[since : world.now()])[0])


def wait_for_silence(world: World) -> int:
    """Return the last sample that sounded, a third of a second later."""
    wait_until(lambda: not world.spk[world.now() - RATE // 3 : world.now()].any(), "silence")
    return last_sound(world.spk[: world.now()])


def wait_until_closed(world: World) -> None:
    wait_until(lambda: closed_as_often_as_opened(world), "the card closed")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_agent_is_heard_and_hears_and_is_silent_when_its_service_says_so(
    kind: str, world: World, config: Path, tmp_path: Path
) -> None:
    question, greeting = said(), reply()
    with Service(tmp_path, greeting, "--greet", "--interrupts-ms", "700") as service:
        talk = Talk(kind, service, config)
        began = wait_for_sound(world, 0)
        service.wait_for("server", "interruption")
        silent_at = wait_for_silence(world)
        heard = world.spk[began : silent_at + 1]
        assert len(heard) < 3 * len(greeting) // 2, "most of it was handed over, and is gone"
        assert likeness(np.repeat(greeting, 3), heard, RATE) > 0.9
        spoken_at = world.inject(question, time.monotonic() + 0.1)
        service.wait_for("server", "user_transcript")
        wait_for_sound(world, spoken_at + len(question))
        talk.end()
        wait_until_closed(world)
        sent = np.repeat(service.heard(), 3)
        assert likeness(sent, words(question), RATE) > 0.95
        assert service.lines("client", "pong")
        assert service.lines("fake", "violation") == []
    assert [details.reason for details in talk.ended] == ["user"]


def test_a_voice_over_the_agent_silences_it_though_its_service_never_notices(
    world: World, config: Path, tmp_path: Path
) -> None:
    interruption = said()
    with Service(tmp_path, reply(), "--greet", "--deaf") as service:
        talk = Talk("async", service, config)
        wait_for_sound(world, 0)
        threading.Event().wait(0.5)
        spoken_at = world.inject(interruption, time.monotonic() + 0.1)
        service.wait_for("server", "user_transcript")
        silent_at = last_sound(world.spk[: spoken_at + len(interruption)])
        assert spoken_at + first_word(interruption, RATE) < silent_at < spoken_at + last_word(interruption, RATE)
        wait_for_sound(world, spoken_at + len(interruption))  # the next reply is heard
        sent = service.heard()
        assert likeness(np.repeat(sent, 3), words(interruption), RATE) > 0.95
        talk.end()
        assert service.lines("server", "interruption") == []
        assert service.lines("fake", "violation") == []


@pytest.mark.parametrize(("kind", "code", "reason"), [("sync", 1000, "agent"), ("async", 1011, "error")])
def test_a_service_that_hangs_up_leaves_nothing_open(
    kind: str, code: int, reason: str, world: World, config: Path, tmp_path: Path
) -> None:
    with Service(tmp_path, reply(), "--greet", "--hang-up", str(code)) as service:
        talk = Talk(kind, service, config)
        service.wait_for("fake", "closed")
        wait_until_closed(world)
        talk.end()
    assert [(details.reason, details.close_code) for details in talk.ended] == [(reason, code)]


def test_without_a_card_the_conversation_ends_and_says_why(world: World, config: Path, tmp_path: Path) -> None:
    world.unplug()
    with Service(tmp_path, reply()) as service:
        talk = Talk("sync", service, config)
        service.wait_for("fake", "closed")
        talk.end()
    assert [details.reason for details in talk.ended] == ["error"]
    assert 'card.playback "speaker" does not open' in talk.ended[0].message


def test_through_a_loudspeaker_the_agent_hears_the_person_and_not_itself(
    world: World, config: Path, tmp_path: Path
) -> None:
    config.write_text(CARD)
    interruption, story = said(), voice("story")
    echoing(world, 0.7)
    with Service(tmp_path, np.tile(story, 2), "--greet", "--deaf") as service:
        talk = Talk("sync", service, config)
        began = wait_for_sound(world, 0)
        threading.Event().wait(2.5)
        sent = service.heard()
        assert level_dbfs(world.spk[began : world.now()]) > -30, "the microphone hears it nearly as loud"
        assert max(level_dbfs(sent[first : first + 320]) for first in range(0, len(sent) - 320, 320)) < -50
        assert "stop" not in {event.what for event in world.events() if event.who == "speaker"}
        spoken_at = world.inject(interruption, time.monotonic() + 0.1)
        service.wait_for("server", "user_transcript")
        silent_at = last_sound(world.spk[: spoken_at + len(interruption)])
        assert spoken_at < silent_at < spoken_at + last_word(interruption, RATE)
        talk.end()
        assert likeness(np.repeat(service.heard(), 3), words(interruption), RATE) > 0.9
