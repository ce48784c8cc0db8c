"""TOML text -> one frozen section for each part, or every problem of the file at once, each with its path.

    text -> tomllib -> Reading: types, bounds, unknown keys -> _rules: absent parts, contradictions -> Config

Nothing here reads a file: the text is given, and a secret is read by a function that is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from ipaddress import ip_network
from pathlib import PurePosixPath

from msgspec import structs

from edgevoice.errors import ConfigError, not_read
from edgevoice.profiles import filled, occupied, read_profile
from edgevoice.reading import Reading, did_you_mean, document, join, not_one_of, show
from edgevoice.schema import Config, Section, Tables

AGENTS = ("parrot", "openai", "elevenlabs", "gemini")  # those of [agent] that this version can call
LINES = ("elks", "twilio", "vobiz", "plivo")  # those of [line] that this version has
DIALLING = ("elks", "twilio")  # those that it can call somebody with
AGENT_ID, NO_AGENT_ID = "agent.elevenlabs.agent_id", "names no agent; write the id that ElevenLabs shows for it"
LOOPBACK = r"127(\.[0-9]+){3}|localhost|\[::1\]"
SIP_REGISTRAR = r"(sips?:)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(;[A-Za-z0-9=;.-]*)?"
SIP_USER = r'[^\s@:;<>"?\\]+'


def load(
    text: str,
    *,
    source: str = "edgevoice.toml",
    agents: Collection[str] = AGENTS,
    profiles: Mapping[str, str] | None = None,
    cards: Collection[str] = (),
) -> Config:
    """Read the configuration. Raises ConfigError with all problems, each beginning with `source`.

    `profiles` are those that `device.hat` may name, as TOML; `cards` are the ids of the cards that are there.
    """
    reading = Reading()
    tables = reading.table(Tables, document(text, source), "")
    config = Config(**structs.asdict(tables), left_out=frozenset(reading.left_out))
    wrong = {path.partition("[")[0] for path, _ in reading.problems}
    config, told = _with_hat(config, profiles or {}, cards, wrong)
    problems = [*reading.problems, *told, *_rules(config, agents, wrong)]
    if problems:
        raise ConfigError([f"{source}: $.{path}: {sentence}" for path, sentence in problems])
    return config


def _with_hat(
    config: Config, profiles: Mapping[str, str], cards: Collection[str], wrong: Collection[str]
) -> tuple[Config, list[tuple[str, str]]]:
    """Fill what is left out from the HAT's profile; or say what is wrong with its name, the profile, or the pins."""
    name = config.device.hat
    if not name:
        return config, []
    if name not in profiles:
        return config, [("device.hat", not_one_of(name, sorted(profiles)))]
    try:
        profile = read_profile(profiles[name], name)
    except ConfigError as error:
        return config, [("device.hat", problem) for problem in error.problems]
    config = filled(config, profile, cards)
    return config, [(path, sentence) for path, sentence in occupied(config, profile) if path not in wrong]


def check(config: Config, agents: Collection[str]) -> list[str]:
    """Return what in `config` contradicts itself, names no agent of `agents`, or asks for a part that is not here."""
    return [f"$.{path}: {sentence}" for path, sentence in _rules(config, agents, ())]


class Secret:
    """A key or a password. It shows itself only when asked to, so that it never reaches a log."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return it in clear."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


def secret(name: str, key: str, *, read: Callable[[str], bytes], directories: Sequence[str]) -> Secret:
    """Return the one line that the file `name` holds; `key` is the path of the setting that names it.

    `directories` are tried in order: systemd's credentials, then that of the configuration file. An absolute name is
    taken as it is. Raises ConfigError, which never holds what the file holds.
    """
    if not name:
        raise ConfigError([f"$.{key}: names no file; write the secret into a file and name that here"])
    files = dict.fromkeys(str(PurePosixPath(directory) / name) for directory in directories or ("",))
    for file in files:
        try:
            return Secret(_only_line(read(file)))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reason = error.strerror or type(error).__name__
            advice = "let the user that edgevoice runs as read it, or hand it over with LoadCredential="
            raise not_read(f"$.{key}: cannot read {file}: {reason}; {advice}", error) from error
        except ValueError as error:
            raise ConfigError(
                [f"$.{key}: {file} {error}; it must hold the secret on one line and nothing else"]
            ) from None
    raise ConfigError([f"$.{key}: there is no file {' or '.join(files)}; write the secret into it"])


def _only_line(content: bytes) -> str:
    """Return the text without the space around it. Raises ValueError, which says what is wrong and shows nothing."""
    try:
        line = content.decode("utf-8-sig").strip()  # some editors begin a file with a byte order mark
    except UnicodeDecodeError:
        raise ValueError("is not text") from None  # the error would hold the content
    if not line:
        raise ValueError("is empty")
    if len(line.splitlines()) > 1:
        raise ValueError("has more than one line")
    if not line.isprintable():
        raise ValueError("holds a control character")
    return line


def _rules(config: Config, agents: Collection[str], wrong: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield path and sentence of each problem between keys; of those that are `wrong`, nothing more can be said."""
    yield from _targets(config, agents)
    for paths, sentence in _contradictions(config):
        if not any(path in wrong for path in paths):
            yield paths[0], sentence


def _changed(section: Section) -> list[str]:
    """Return the keys that differ from their defaults."""
    default = type(section)()
    return [name for name in section.__struct_fields__ if getattr(section, name) != getattr(default, name)]


def _targets(config: Config, agents: Collection[str]) -> Iterator[tuple[str, str]]:
    """Whoever is called, or answers, must be there."""
    known = sorted(agents)
    for key, others in {"button": [], "at_start": [""], "incoming": ["card"], "fallback": [""]}.items():
        target = getattr(config.call, key)
        if key != "incoming" and is_line(target):
            if problem := cannot_dial(config, target):
                yield f"call.{key}", problem
        elif target not in (choices := [*known, *others]):
            yield f"call.{key}", not_one_of(re.sub(r"\+?[0-9 ]{5,}", "…", target), choices)
    for name, target in config.call.contacts.items():
        path = join("call.contacts", name)
        if not re.fullmatch(r"[^\x00-\x1f\x7f]{1,40}", name):
            yield path, "expected a name of 1 to 40 characters, as an agent is to say it"
        if is_line(target):
            if problem := cannot_dial(config, target):
                yield path, problem
        elif target not in known:
            yield path, not_one_of(re.sub(r"\+?[0-9 ]{5,}", "…", target), known)


def tools(config: Config, agent: str) -> tuple[str, ...]:
    """Return the tools that an agent may use; some have none."""
    return tuple(getattr(getattr(config.agent, agent, None), "tools", ()))


def agents_relays(config: Config) -> tuple[str, ...]:
    """Name the relays that an agent may open."""
    return tuple(name for name, relay in config.relay.items() if relay.agent_may)


def _tools(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the tools that could do nothing, and what is allowed to agents that have no tool for it."""
    agents = {agent: tools(config, agent) for agent in config.agent.__struct_fields__}
    for agent, names in agents.items():
        path = f"agent.{agent}.tools"
        if "open_relay" in names and not agents_relays(config):
            yield (path,), "open_relay has nothing to open; set agent_may = true in a relay"
        if "call" in names and not config.call.contacts:
            yield (path,), "call has nobody to call; name somebody in [call.contacts]"
    for relay in agents_relays(config):
        if not any("open_relay" in names for names in agents.values()):
            yield (f"{join('relay', relay)}.agent_may",), 'no agent can: add "open_relay" to its tools, or use false'


def has_lines(config: Config) -> bool:
    """Tell whether any phone line is set up."""
    return bool(config.lines.listen or config.line.sip)


def is_line(target: str) -> bool:
    """Tell a target that is called over a phone line ("elks:+46...", "sip:reception") from an agent."""
    line, colon, _ = target.partition(":")
    return bool(colon) and line in (*LINES, "sip")


def cannot_dial(config: Config, target: str) -> str:
    """Say why `target` ("elks:+46...") cannot be called with this configuration, or "" when it can."""
    line, _, number = target.partition(":")
    if line == "sip":
        return _cannot_dial_sip(config, number)
    if line not in DIALLING:
        return f"{line} cannot call out in this version; use {' or '.join(f'{name}:+...' for name in DIALLING)}"
    if not re.fullmatch(r"\+[1-9][0-9]{5,14}", number):
        return f"expected {line}: and a number with its country code, like {line}:+46701234567"
    section = getattr(config.line, line)
    needed = ["number", *(["websocket_number", "api_credentials_file"] if line == "elks" else ["account_sid"])]
    needed += ["auth_token_file"] if line == "twilio" else []
    missing = [f"line.{line}.{key}" for key in (*needed, "path_token_file") if not getattr(section, key)]
    missing += ["lines.listen"] if not config.lines.listen else []
    missing += ["lines.url"] if line == "twilio" and not config.lines.url else []
    return f"to call out it needs {', '.join(missing)}" if missing else ""


def cannot_call(config: Config, agent: str) -> str:
    """Say what an agent cannot be called without, or "" when nothing is missing here."""
    return f"{AGENT_ID}: {NO_AGENT_ID}" if agent == "elevenlabs" and not config.agent.elevenlabs.agent_id else ""


def _cannot_dial_sip(config: Config, name: str) -> str:
    if not config.line.sip:
        return "to call out it needs an account, [[line.sip]]"
    targets = [target for account in config.line.sip for target in account.targets]
    if name in targets or "@" in name or re.fullmatch(r"\+?[0-9*#]+", name):
        return ""
    known = did_you_mean(name, targets)
    return f"there is no {show(name)} in line.sip.targets{known}; expected a name there, or an address"


def _sip(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    for index, account in enumerate(config.line.sip):
        path = f"line.sip[{index}]"
        for key, allowed in {"registrar": SIP_REGISTRAR, "user": SIP_USER}.items():
            if not (value := getattr(account, key)):
                yield (f"{path}.{key}",), "an account needs it; write it"
            elif not re.fullmatch(allowed, value):
                yield (
                    (f"{path}.{key}",),
                    f"{show(value)} cannot stand in a SIP address; expected it as the PBX shows it",
                )
        if not account.codecs:
            yield (f"{path}.codecs",), "without a codec nobody is heard; name at least one"
        host = account.registrar.removeprefix("sips:").removeprefix("sip:").partition(";")[0]
        if account.transport == "tls" and re.fullmatch(r"[0-9.]+(:\d+)?|\[.*", host):
            sentence = "with tls name the registrar by its host name: no certificate is checked for an address"
            yield (f"{path}.registrar", f"{path}.transport"), sentence
        if account.secret_header and not re.fullmatch(r"[A-Za-z0-9-]{1,63}: *\S.*", account.secret_header):
            yield (
                (f"{path}.secret_header",),
                'expected the header and a file with its value, like "X-Door: door-secret"',
            )
        if account.srtp == "mandatory" and account.transport != "tls":
            yield (f"{path}.srtp", f"{path}.transport"), 'its keys travel in the SIP messages: use transport = "tls"'
        if account.ca_file != config.line.sip[0].ca_file:
            yield (f"{path}.ca_file", "line.sip[0].ca_file"), "one file is for all accounts: name the same in each"
    yield from _sip_trust(config)


def _sip_trust(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield whose callers could never be answered automatically, because they could be anybody."""
    udp = next((index for index, account in enumerate(config.line.sip) if account.transport == "udp"), None)
    for index, account in enumerate(config.line.sip):
        path = f"line.sip[{index}]"
        if udp is not None and config.call.auto_answer and account.allow and not account.secret_header:
            beside = f", and line.sip[{udp}] uses it" if udp != index else ""
            sentence = f'over UDP anybody may claim to be on it{beside}; use transport = "tls", or a secret_header'
            yield (f"{path}.allow", f"line.sip[{udp}].transport"), sentence


def _phone_lines(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is wrong with the phone lines and the relays, as a whole."""
    lines, open_ = config.lines, [name for name in LINES if getattr(config.line, name).path_token_file]
    for name in LINES:
        if (keys := _changed(getattr(config.line, name))) and name not in open_:
            sentence = f"{', '.join(keys)} without path_token_file; name the file with the token of /{name}/<token>"
            yield (f"line.{name}",), sentence
    if open_ and not lines.listen:
        yield ("lines.listen",), f'line.{open_[0]} is set up, but nothing listens; use e.g. "0.0.0.0:8443"'
    if lines.listen and not open_:
        yield ("lines.listen",), f"no line is set up; fill path_token_file in one of line.{', line.'.join(LINES)}"
    if bool(lines.certificate_file) != bool(lines.private_key_file):
        yield ("lines.certificate_file", "lines.private_key_file"), "a certificate and its key go together; name both"
    host, _, port = lines.listen.rpartition(":")
    if port and int(port) > 65535:
        yield ("lines.listen",), f"there is no port {port}; expected at most 65535"
    port = config.status.listen.rpartition(":")[2]
    if port and int(port) > 65535:
        yield ("status.listen",), f"there is no port {port}; expected at most 65535"
    if port and config.status.listen == lines.listen:
        yield ("status.listen", "lines.listen"), "the phone lines listen there; choose another port"
    if lines.listen and not lines.certificate_file and not re.fullmatch(LOOPBACK, host):
        sentence = "without a certificate the token is sent in clear; name one, or listen on 127.0.0.1 behind a proxy"
        yield ("lines.certificate_file", "lines.listen"), sentence
    for index, address in enumerate(config.line.elks.allow_ip):
        try:
            ip_network(address, strict=False)
        except ValueError:
            yield (
                (f"line.elks.allow_ip[{index}]",),
                f'expected an address or a network like "192.0.2.0/24", got {address}',
            )
    if config.call.auto_answer and config.call.incoming != "card":
        yield ("call.auto_answer", "call.incoming"), "it is the card that answers by itself; an agent always does"
    lists = [getattr(config.line, name).allow for name in LINES] + [account.allow for account in config.line.sip]
    if config.call.auto_answer and not any(lists):
        yield ("call.auto_answer",), "nobody may be answered automatically; name callers in a line's allow"


def _relays(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    panel = config.panel
    taken = {pin: "panel.light" for pin in panel.light} | {panel.button: "panel.button"}
    if len(panel.light) == 2:
        taken |= {panel.light_power: "panel.light_power"}
    codes: dict[str, str] = {}
    for name, relay in config.relay.items():
        path = join("relay", name)
        if relay.pin in taken:
            yield (f"{path}.pin",), f"{relay.pin} is the pin of {taken[relay.pin]}, too; give each one its own"
        taken[relay.pin] = path
        if relay.dtmf and relay.dtmf in codes:
            yield (f"{path}.dtmf",), f"the same code as {codes[relay.dtmf]}; give each door its own"
        codes[relay.dtmf] = path


def _contradictions(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys that do not go together, first the one to change, and why."""
    yield from _phone_lines(config)
    yield from _sip(config)
    yield from _relays(config)
    yield from _tools(config)
    call = config.call
    targets = {call.button, call.at_start, call.incoming, call.fallback, *call.contacts.values()}
    card, barge_in, panel, openai = config.card, config.barge_in, config.panel, config.agent.openai
    if card.buffer_ms < 2 * card.period_ms:
        sentence = f"{card.buffer_ms} is less than two periods of {card.period_ms} ms"
        yield ("card.buffer_ms", "card.period_ms"), f"{sentence}; expected at least {2 * card.period_ms}"
    if card.rate * card.period_ms % 1000:
        sentence = f"{card.period_ms} ms are not a whole number of samples at {card.rate} Hz"
        yield ("card.period_ms", "card.rate"), f"{sentence}; use 10, 20, 30 or 40"
    if barge_in.give_up_ms < barge_in.confirm_ms:
        sentence = f"{barge_in.give_up_ms} is less than confirm_ms; expected at least {barge_in.confirm_ms}"
        yield ("barge_in.give_up_ms", "barge_in.confirm_ms"), sentence
    if len(panel.light) > 3:
        sentence = f"{len(panel.light)} pins; expected none, one, three for red, green, blue, or two for data and clock"
        yield ("panel.light",), sentence
    if panel.light_leds > 1 and len(panel.light) != 2:
        sentence = f"{panel.light_leds} has no effect; expected two pins in panel.light, data and clock, or no such key"
        yield ("panel.light_leds", "panel.light"), sentence
    if len({panel.button, *panel.light}) <= len(panel.light):
        yield ("panel.light", "panel.button"), "a pin is used twice; give button and light one each"
    if len(panel.light) == 2 and panel.light_power in {panel.button, *panel.light} - {-1}:
        sentence = f"{panel.light_power} is used by button or light, too; give it one of its own, or -1"
        yield ("panel.light_power", "panel.light", "panel.button"), sentence
    if panel.press == "push_to_talk" and panel.power_off:
        sentence = "who holds the button to talk would switch the box off; use false"
        yield ("panel.power_off", "panel.press"), sentence
    if openai.turn_detection == "none" and panel.press == "talk":
        sentence = '"none" leaves nobody to end a turn; use "local", or set panel.press = "push_to_talk"'
        yield ("agent.openai.turn_detection", "panel.press"), sentence
    for name in ("openai", "elevenlabs", "gemini"):
        agent = getattr(config.agent, name)
        if agent.instructions and agent.instructions_file:
            both = (f"agent.{name}.instructions_file", f"agent.{name}.instructions")
            yield both, "instructions are given as well; remove one of the two"
    if "elevenlabs" in targets and not config.agent.elevenlabs.agent_id:
        yield (AGENT_ID,), NO_AGENT_ID
