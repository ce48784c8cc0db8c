"""Which phone lines there are: one row for each service, from the configuration to its messages, secrets and accounts.

Nothing here is loaded by a box without lines: on a small one memory counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgevoice.config import is_line
from edgevoice.errors import ConfigError, together
from edgevoice.files import Files
from edgevoice.lines.admission import Door
from edgevoice.lines.dial import Dialer, ElksDialer, TwilioDialer
from edgevoice.lines.documents import ElksSetup, Setup, StreamSetup, TwilioSetup, setup
from edgevoice.lines.elks import Elks
from edgevoice.lines.service import Service
from edgevoice.lines.sip_account import Account, worker_account, worker_start
from edgevoice.lines.twilio import Twilio
from edgevoice.lines.vobiz import Plivo, Vobiz
from edgevoice.schema import Config

UNSPEAKABLE = "the password holds a quotation mark or a backslash, which cannot be sent; choose another one"
WEAK_TOKEN = "expected 16 to 128 letters, digits, - and _, hard to guess; make one with: openssl rand -hex 16"


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


@dataclass(frozen=True)
class PhoneLines:
    """The phone lines of one configuration."""

    config: Config
    files: Files

    def check(self) -> None:
        """Raise ConfigError when a line that the configuration uses cannot be had."""
        call = self.config.call
        self.doors()
        self.sip()
        for target in filter(is_line, (call.button, call.at_start, call.fallback, *call.contacts.values())):
            if not target.startswith("sip:"):
                self.dialer(target.partition(":")[0], "")

    def doors(self) -> Mapping[str, Door]:
        """Return what each phone service that is set up must show. Raises ConfigError."""
        doors: dict[str, Door] = {}
        errors: list[ConfigError] = []
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
                errors.append(error)
        if errors:
            raise together(errors)
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

    def setup(self, *, show_token: bool) -> str:
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
