"""Who can be called: one row for each agent, from the configuration to its wire and to the leg that carries it.

What only one agent needs is imported where it is made: most boxes talk to one agent only, and memory counts. Those that
the configuration names are made once at the start (`check`), so nothing is loaded when somebody presses the button.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgevoice import schema
from edgevoice.bridge import FarLeg
from edgevoice.config import agents_relays, has_lines
from edgevoice.config import tools as tools_of
from edgevoice.conversation import Conversation, Detection
from edgevoice.files import Files
from edgevoice.schema import Config
from edgevoice.tools import Toolbox
from edgevoice.wire import Wire


@dataclass(frozen=True)
class Reachable:
    """The far side of a call: its wire, its leg, who ends the person's turns, and after how much silence if we do."""

    wire: Wire
    leg: Callable[[Wire], FarLeg]
    detection: Detection
    silence_ms: int = 500

    def join(self) -> tuple[Conversation, FarLeg]:
        """Return the agent's leg, and what joins a person to it. Called on the event loop."""
        return Conversation(self.detection, self.wire.rate, silence_ms=self.silence_ms), self.leg(self.wire)


def toolbox(config: Config, agent: str) -> Toolbox:
    """Return what that agent may use."""
    return Toolbox(tools_of(config, agent), agents_relays(config), config.call.contacts)


def _parrot(config: Config, files: Files, offset_s: float) -> Reachable:
    from edgevoice.agents.parrot import Parrot
    from edgevoice.drivers.local import LocalLeg

    return Reachable(Parrot(), LocalLeg, Detection.LOCAL)


def _openai(config: Config, files: Files, offset_s: float) -> Reachable:
    from edgevoice.agents.openai import OpenAI, Settings
    from edgevoice.drivers.websocket import WebSocketLeg

    agent = config.agent.openai
    manual = config.panel.press == "push_to_talk"
    key, instructions = _key_and_instructions("openai", agent, files)
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
        tools=toolbox(config, "openai").offered,
        greeting=agent.greeting,
    )
    detection = {"local": Detection.LOCAL, "none": Detection.MANUAL}.get(agent.turn_detection, Detection.SERVICE)
    return Reachable(OpenAI(settings, clock_offset_s=offset_s), WebSocketLeg, detection, agent.vad_silence_ms)


def _elevenlabs(config: Config, files: Files, offset_s: float) -> Reachable:
    from edgevoice.agents.elevenlabs import ElevenLabs, Settings
    from edgevoice.drivers.websocket import WebSocketLeg

    agent = config.agent.elevenlabs
    key, instructions = _key_and_instructions("elevenlabs", agent, files)
    settings = Settings(
        agent_id=agent.agent_id,
        api_key=key,
        url=agent.url,
        instructions=instructions,
        language=agent.language,
        voice=agent.voice,
        greeting=agent.greeting,
        variables=agent.variables,
    )
    return Reachable(ElevenLabs(settings), WebSocketLeg, Detection.SERVICE)


def _gemini(config: Config, files: Files, offset_s: float) -> Reachable:
    from edgevoice.agents.gemini import Gemini, Settings
    from edgevoice.drivers.websocket import WebSocketLeg

    agent = config.agent.gemini
    manual = config.panel.press == "push_to_talk"
    key, instructions = _key_and_instructions("gemini", agent, files)
    settings = Settings(
        url=agent.url,
        model=agent.model,
        api_key=key,
        voice=agent.voice,
        instructions=instructions,
        language=agent.language,
        turn_detection="local" if manual else agent.turn_detection,
        vad_silence_ms=agent.vad_silence_ms,
        tools=toolbox(config, "gemini").offered,
        greeting=agent.greeting,
    )
    detection = Detection.SERVICE if agent.turn_detection == "server_vad" else Detection.LOCAL
    return Reachable(Gemini(settings), WebSocketLeg, detection, agent.vad_silence_ms)


def _key_and_instructions(
    name: str, agent: schema.OpenAI | schema.ElevenLabs | schema.Gemini, files: Files
) -> tuple[str, str]:
    key = ""  # a server of one's own, or a public agent, may want none
    if agent.api_key_file:
        key = files.secret(agent.api_key_file, f"agent.{name}.api_key_file").reveal()
    if agent.instructions_file:
        return key, files.text(agent.instructions_file, f"agent.{name}.instructions_file")
    return key, agent.instructions


AGENTS: Mapping[str, Callable[[Config, Files, float], Reachable]] = {
    "parrot": _parrot,
    "openai": _openai,
    "elevenlabs": _elevenlabs,
    "gemini": _gemini,
}


@dataclass(frozen=True)
class Needs:
    """What has to be told before an agent can be called, so that `setup` can ask for it."""

    key_of: str = ""  # whose API key its `api_key_file` holds; "": it has none
    file: str = ""  # the file of that key where the configuration names none; the unit hands it over
    setting: str = ""  # the key of its section that has no default


NEEDS: Mapping[str, Needs] = {
    "parrot": Needs(),
    "openai": Needs("OpenAI", "openai-api-key"),
    "elevenlabs": Needs("ElevenLabs", "elevenlabs-api-key", setting="agent_id"),
    "gemini": Needs("Gemini", "gemini-api-key"),
}


@dataclass(frozen=True)
class Agents:
    """The agents of one configuration, made anew for every call: a key that was mended is read again."""

    config: Config
    files: Files

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(AGENTS)

    def make(self, name: str, now: Callable[[], float], *, by_line: bool = False) -> Reachable:
        """Return the far side of a call to `name`; `now` is the monotonic clock. Raises ConfigError.

        `by_line`: for somebody on the telephone, who has no button to hold.
        """
        made = AGENTS[name](self.config, self.files, time.time() - now())
        manual = self.config.panel.press == "push_to_talk"
        if not manual and made.detection is not Detection.MANUAL:
            return made
        return replace(made, detection=Detection.LOCAL if by_line else Detection.MANUAL)

    def toolbox(self, name: str) -> Toolbox:
        """Return what that agent may use."""
        return toolbox(self.config, name)

    def check(self) -> None:
        """Raise ConfigError when an agent or a line that the configuration uses cannot be made."""
        call = self.config.call
        for name in {call.button, call.at_start, call.fallback, call.incoming, *call.contacts.values()} & set(AGENTS):
            self.make(name, time.monotonic)
        if has_lines(self.config):
            from edgevoice.line_catalogue import PhoneLines

            PhoneLines(self.config, self.files).check()
