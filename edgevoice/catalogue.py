"""Who can be called: one row for each service, from the configuration to its wire."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from edgevoice import schema
from edgevoice.agents.openai import OpenAI, Settings
from edgevoice.agents.parrot import Parrot
from edgevoice.config import Secret, agents_relays, is_line
from edgevoice.config import tools as tools_of
from edgevoice.conversation import Detection
from edgevoice.errors import ConfigError
from edgevoice.lines.admission import Door
from edgevoice.lines.dial import Dialer, ElksDialer, TwilioDialer
from edgevoice.lines.documents import ElksSetup, Setup, StreamSetup, TwilioSetup, setup
from edgevoice.lines.elks import Elks
from edgevoice.lines.service import Service
from edgevoice.lines.sip_account import Account, worker_account, worker_start
from edgevoice.lines.twilio import Twilio
from edgevoice.lines.vobiz import Plivo, Vobiz
from edgevoice.schema import Config
from edgevoice.tools import Toolbox
from edgevoice.wire import Wire

UNSPEAKABLE = "the password holds a quotation mark or a backslash, which cannot be sent; choose another one"
WEAK_TOKEN = "expected 16 to 128 letters, digits, - and _, hard to guess; make one with: openssl rand -hex 16"


class Files(Protocol):
    """The files that a configuration names. Both raise ConfigError, naming the `key`."""

    def secret(self, name: str, key: str) -> Secret:
        """Return the key or password in the file `name`."""

    def text(self, name: str, key: str) -> str:
        """Return the text in the file `name`."""

    def path(self, name: str, key: str) -> Path:
        """Return where the file `name` is."""


@dataclass(frozen=True)
class Reachable:
    """The far side of a call: its wire, who ends the person's turns, and after how much silence if that is us."""

    wire: Wire
    detection: Detection
    silence_ms: int = 500


@dataclass(frozen=True)
class PhoneLine:
    """A service that calls us: how its messages are spoken, and which of its secrets signs them."""

    service: Callable[[], Service]
    signing_key: str  # the key of its section that names the file, "" where it does not sign


LINES: Mapping[str, PhoneLine] = {
    "elks": PhoneLine(Elks, ""),
    "twilio": PhoneLine(Twilio, "auth_token_file"),
    "vobiz": PhoneLine(Vobiz, "auth_token_file"),
    "plivo": PhoneLine(Plivo, "auth_token_file"),
}


def toolbox(config: Config, agent: str) -> Toolbox:
    """Return what that agent may use."""
    return Toolbox(tools_of(config, agent), agents_relays(config), config.call.contacts)


def _parrot(config: Config, files: Files, offset_s: float) -> Reachable:
    return Reachable(Parrot(), Detection.LOCAL)


def _openai(config: Config, files: Files, offset_s: float) -> Reachable:
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
    return Reachable(OpenAI(settings, clock_offset_s=offset_s), detection, agent.vad_silence_ms)


def _elevenlabs(config: Config, files: Files, offset_s: float) -> Reachable:
    from edgevoice.agents.elevenlabs import ElevenLabs, Settings  # most boxes talk to one agent only

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
    return Reachable(ElevenLabs(settings), Detection.SERVICE)


def _gemini(config: Config, files: Files, offset_s: float) -> Reachable:
    from edgevoice.agents import gemini  # only where it is called: memory counts

    agent = config.agent.gemini
    manual = config.panel.press == "push_to_talk"
    key, instructions = _key_and_instructions("gemini", agent, files)
    settings = gemini.Settings(
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
    return Reachable(gemini.Gemini(settings), detection, agent.vad_silence_ms)


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

    def doors(self) -> Mapping[str, Door]:
        """Return what each phone service that is set up must show. Raises ConfigError."""
        doors: dict[str, Door] = {}
        problems: list[str] = []
        for name, line in LINES.items():
            section = getattr(self.config.line, name)
            if not section.path_token_file:
                continue
            try:
                token = self.files.secret(section.path_token_file, f"line.{name}.path_token_file").reveal()
                if not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", token):
                    raise ConfigError([f"$.line.{name}.path_token_file: {WEAK_TOKEN}"])
                doors[name] = Door(token, self._signing_secret(name, line), getattr(section, "allow_ip", ()))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        return doors

    def _signing_secret(self, name: str, line: PhoneLine) -> str:
        file = getattr(getattr(self.config.line, name), line.signing_key) if line.signing_key else ""
        return self.files.secret(file, f"line.{name}.{line.signing_key}").reveal() if file else ""

    def sip(self) -> tuple[list[Account], Mapping[str, object]]:
        """Return the SIP accounts, and the first message to the worker that has their passwords. Raises ConfigError."""
        accounts, known = [], []
        for index, section in enumerate(self.config.line.sip):
            path = f"line.sip[{index}]"
            password = ""
            if section.password_file:
                password = self.files.secret(section.password_file, f"{path}.password_file").reveal()
            if set(password) & set('"\\'):
                raise ConfigError([f"$.{path}.password_file: {UNSPEAKABLE}"])
            name, _, file = section.secret_header.partition(":")
            value = self.files.secret(file.strip(), f"{path}.secret_header").reveal() if name else ""
            account = Account(
                section.registrar,
                section.user,
                section.transport,
                section.allow,
                section.targets,
                (name, value),
                beside_udp=any(one.transport == "udp" for one in self.config.line.sip),
            )
            accounts.append(account)
            known.append(worker_account(account, password, codecs=section.codecs, srtp=section.srtp))
        sections = self.config.line.sip
        ca_files = [str(self.files.path(one.ca_file, "line.sip.ca_file")) for one in sections if one.ca_file]
        jitter_ms = max((one.jitter_ms for one in sections), default=0)
        calls = self.config.lines.max_calls + 2  # beyond ours it says busy itself, in one breath with a flood
        ca_file = ca_files[0] if ca_files else ""
        return accounts, worker_start(accounts, known, calls=calls, jitter_ms=jitter_ms, ca_file=ca_file)

    def lines_setup(self, *, show_token: bool) -> str:
        """Write what to enter where at the services that are set up. Raises ConfigError."""
        base = self.config.lines.url or "https://ADDRESS-OF-THIS-BOX"
        elks, twilio = self.config.line.elks, self.config.line.twilio
        known: list[Setup] = []
        for name, door in self.doors().items():
            match name:
                case "elks":
                    known.append(ElksSetup(base, door.token, elks.number, elks.websocket_number))
                case "twilio":
                    known.append(TwilioSetup(base, door.token, twilio.number, bool(door.secret)))
                case "vobiz" | "plivo":
                    known.append(StreamSetup(name, base, door.token, bool(door.secret)))
        hint = (
            "" if self.config.lines.url else "Fill lines.url with the address at which the services reach this box.\n\n"
        )
        return hint + setup(known, show_token=show_token)

    def dialer(self, line: str, socket_url: str) -> Dialer:
        """Return what makes calls over that line; whoever answers comes in at `socket_url`. Raises ConfigError."""
        if line == "elks":
            elks = self.config.line.elks
            login = self.files.secret(elks.api_credentials_file, "line.elks.api_credentials_file").reveal()
            user, colon, password = login.partition(":")
            if not colon:
                raise ConfigError(["$.line.elks.api_credentials_file: expected the API's username:password"])
            return ElksDialer(user, password, elks.number, elks.websocket_number, elks.api_url.rstrip("/"))
        twilio = self.config.line.twilio
        token = self.files.secret(twilio.auth_token_file, "line.twilio.auth_token_file").reveal()
        return TwilioDialer(twilio.account_sid, token, twilio.number, socket_url, base=twilio.api_url.rstrip("/"))

    def check(self) -> None:
        """Raise ConfigError when an agent or a line that the configuration uses cannot be made."""
        call = self.config.call
        for name in {call.button, call.at_start, call.fallback, call.incoming, *call.contacts.values()} & set(AGENTS):
            self.make(name, time.monotonic)
        self.doors()
        self.sip()
        for target in filter(is_line, (call.button, call.at_start, call.fallback, *call.contacts.values())):
            if target.startswith("sip:"):
                continue
            self.dialer(target.partition(":")[0], "")
