"""Who can be called: one row for each service, from the configuration to its wire."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from edgevoice.agents.openai import OpenAI, Settings
from edgevoice.agents.parrot import Parrot
from edgevoice.config import Secret
from edgevoice.conversation import Detection
from edgevoice.schema import Config
from edgevoice.tools import TOOLS
from edgevoice.wire import Wire


class Files(Protocol):
    """The files that a configuration names. Both raise ConfigError, naming the `key`."""

    def secret(self, name: str, key: str) -> Secret:
        """Return the key or password in the file `name`."""

    def text(self, name: str, key: str) -> str:
        """Return the text in the file `name`."""


@dataclass(frozen=True)
class Reachable:
    """The far side of a call: its wire, who ends the person's turns, and after how much silence if that is us."""

    wire: Wire
    detection: Detection
    silence_ms: int = 500


def _parrot(config: Config, files: Files, offset_s: float) -> Reachable:
    return Reachable(Parrot(), Detection.LOCAL)


def _openai(config: Config, files: Files, offset_s: float) -> Reachable:
    agent = config.agent.openai
    manual = config.panel.press == "push_to_talk"
    instructions = agent.instructions
    if agent.instructions_file:
        instructions = files.text(agent.instructions_file, "agent.openai.instructions_file")
    key = ""  # a server of one's own may want none
    if agent.api_key_file:
        key = files.secret(agent.api_key_file, "agent.openai.api_key_file").reveal()
    settings = Settings(
        url=agent.url,
        dialect=agent.dialect,
        model=agent.model,
        api_key=key,
        voice=agent.voice,
        instructions=instructions,
        language=agent.language,
        turn_detection="none" if manual else agent.turn_detection,
        vad_threshold=agent.vad_threshold,
        vad_silence_ms=agent.vad_silence_ms,
        tools=tuple(TOOLS[name] for name in agent.tools),
        greeting=agent.greeting,
    )
    detection = {"local": Detection.LOCAL, "none": Detection.MANUAL}.get(agent.turn_detection, Detection.SERVICE)
    return Reachable(OpenAI(settings, clock_offset_s=offset_s), detection, agent.vad_silence_ms)


AGENTS: Mapping[str, Callable[[Config, Files, float], Reachable]] = {"parrot": _parrot, "openai": _openai}


@dataclass(frozen=True)
class Agents:
    """The agents of one configuration, made anew for every call: a key that was mended is read again."""

    config: Config
    files: Files

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(AGENTS)

    def make(self, name: str, now: Callable[[], float]) -> Reachable:
        """Return the far side of a call to `name`; `now` is the monotonic clock. Raises ConfigError."""
        made = AGENTS[name](self.config, self.files, time.time() - now())
        return replace(made, detection=Detection.MANUAL) if self.config.panel.press == "push_to_talk" else made

    def check(self) -> None:
        """Raise ConfigError when an agent that the configuration calls cannot be made."""
        call = self.config.call
        for name in {call.button, call.at_start, call.fallback} - {""}:
            self.make(name, time.monotonic)
