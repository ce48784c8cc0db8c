"""Gathers what there is to know of the network: which services are configured, how far it is, whether keys are good."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgevoice.catalogue import AGENTS, Agents
from edgevoice.config import is_line
from edgevoice.doctor.facts import KeyAnswer, LineFacts, Reached, Registrar
from edgevoice.doctor.network import gemini_key_url, key_url
from edgevoice.drivers.certificate import Certificate
from edgevoice.drivers.http import ask
from edgevoice.drivers.reach import port_trouble, reach
from edgevoice.drivers.registrar import look
from edgevoice.errors import ConfigError, DeviceError
from edgevoice.line_catalogue import PhoneLines
from edgevoice.lines.sip_account import Account
from edgevoice.schema import Config, Sip

PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
ENCRYPTED = Path("/etc/credstore.encrypted")  # only systemd reads these, for the service. systemd.exec(5)
SECURE = ("https", "wss")
# An address that costs nothing and wants the account's login. Sources: 46elks.se/docs/get-account;
# twilio.com/docs/iam/api/account, fetch. Neither was asked for real.
ACCOUNTS = {"elks": "{base}/me", "twilio": "{base}/Accounts/{sid}.json"}


def called(config: Config) -> dict[str, str]:
    """Return the address of each service that this configuration calls, by the name of agent or line."""
    call = config.call
    targets = {call.button, call.at_start, call.fallback, *call.contacts.values()}
    if config.lines.listen or config.line.sip:
        targets.add(call.incoming)
    agents = {name: getattr(config.agent, name) for name in AGENTS if name in targets}
    found = {name: agent.url for name, agent in agents.items() if hasattr(agent, "url")}
    if config.line.elks.api_credentials_file:
        found["elks"] = config.line.elks.api_url
    if config.line.twilio.account_sid and config.line.twilio.auth_token_file:
        found["twilio"] = config.line.twilio.api_url
    dialled = {target.partition(":")[0] for target in targets if is_line(target)}
    return found | {line: getattr(config.line, line).api_url for line in dialled if line in ACCOUNTS}


def tried(name: str, url: str, agents: Agents) -> tuple[Reached, KeyAnswer]:
    """Go to a service and show it the key, if it is there."""
    parts = urlsplit(url)
    tls = parts.scheme in SECURE
    reached = reach(parts.hostname or "", parts.port or PORTS[parts.scheme], tls=tls)
    try:
        address, headers, model = _question(name, agents)
    except (ConfigError, PermissionError) as error:
        words = str(error)
        unreadable = "Permission denied" in words or any(ENCRYPTED.glob("*"))
        return reached, KeyAnswer(name, reached.host, trouble=words, missing=not unreadable, unreadable=unreadable)
    if not headers:
        return reached, KeyAnswer(name, reached.host)
    if reached.dns_trouble or reached.trouble or reached.certificate_trouble:
        return reached, KeyAnswer(name, reached.host, trouble="not tried: the service is not reached")
    status, body = asyncio.run(ask("GET", address, headers, ()))
    trouble = "" if status else body.decode(errors="replace")
    invalid = status == 400 and b"API_KEY_INVALID" in body  # Google's way to say so
    for secret in headers.values():
        trouble = trouble.replace(secret, "[key]")
    setting = "agent_id" if name == "elevenlabs" else "model"
    answer = KeyAnswer(name, reached.host, status, trouble, asked=True, model=model, setting=setting, invalid=invalid)
    return reached, answer


def _question(name: str, agents: Agents) -> tuple[str, Mapping[str, str], str]:
    """Return address, headers and model of a question that the key must answer; no headers: there is no key."""
    config = agents.config
    if name in ACCOUNTS:
        section = getattr(config.line, name)
        file, key = (
            (section.api_credentials_file, "api_credentials_file")
            if name == "elks"
            else (section.auth_token_file, "auth_token_file")
        )
        login = agents.files.secret(file, f"line.{name}.{key}").reveal()
        sid = getattr(section, "account_sid", "")
        login = login if name == "elks" else f"{sid}:{login}"
        url = ACCOUNTS[name].format(base=section.api_url.rstrip("/"), sid=sid)
        return url, {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}, ""
    request = agents.make(name, time.monotonic).wire.request()
    if request is None or not getattr(config.agent, name).api_key_file:
        return "", {}, ""
    if name == "elevenlabs":  # to give an address costs nothing, and wants key and agent
        return request.url, request.headers, config.agent.elevenlabs.agent_id
    if name == "gemini":
        model = config.agent.gemini.model
        return gemini_key_url(config.agent.gemini.url, model), request.headers, model
    agent = config.agent.openai
    url = key_url(agent.url, agent.model, named=agent.dialect == "ga")
    return url, request.headers, agent.model if agent.dialect == "ga" else ""


def line_facts(config: Config, box: Mapping[str, Any] | None, agents: Agents) -> LineFacts:
    """Return how the phone lines stand: asked of the running box, else tried."""
    lines = config.lines
    if not lines.listen:
        return LineFacts(lines)
    told = (box or {}).get("lines") or {}
    certificate, bad = _certificate(agents)
    health, why = _health(lines.url) if box and lines.url else (None, "")
    return LineFacts(
        lines,
        by_box=box is not None,
        address=told.get("listen") or "",
        trouble=_listening_trouble(told) if box else port_trouble(lines.listen),
        certificate=certificate,
        certificate_bad=bad,
        secrets=tuple(_secrets(agents)),
        health=health,
        health_trouble=why,
    )


def registrars(config: Config, box: Mapping[str, Any] | None, agents: Agents) -> list[Callable[[], Registrar]]:
    """Return for each SIP account what looks at its registrar, and at what the running box says of it."""
    told = ((box or {}).get("lines") or {}).get("sip") or {}
    accounts = told.get("accounts") or [{}] * len(config.line.sip)
    return [
        partial(_registrar, section, said, str(told.get("trouble") or ""), box is not None, agents)
        for section, said in zip(config.line.sip, accounts, strict=False)
    ]


def _registrar(section: Sip, said: Mapping[str, Any], trouble: str, by_box: bool, agents: Agents) -> Registrar:
    ca_file = str(agents.files.path(section.ca_file, "line.sip.ca_file")) if section.ca_file else ""
    found = look(Account(section.registrar, section.user).host, section.transport, ca_file)
    registered_s = said.get("registered_s")
    return replace(found, by_box=by_box, registered_s=registered_s, box_trouble=said.get("trouble") or trouble)


def _listening_trouble(told: Mapping[str, Any]) -> str:
    """What the box says of its certificate is found by ourselves, too."""
    trouble = str(told.get("trouble") or "")
    return "" if "certificate" in trouble else trouble


def _certificate(agents: Agents) -> tuple[str, bool]:
    """Say what is wrong with the certificate, and whether callers are turned away for it."""
    lines = agents.config.lines
    if not lines.certificate_file:
        return "", False
    try:
        files = agents.files
        found = Certificate(
            files.path(lines.certificate_file, "lines.certificate_file"),
            files.path(lines.private_key_file, "lines.private_key_file"),
        )
    except PermissionError as error:
        return f"{error.filename} may not be read by you: ask with sudo", False
    except DeviceError as error:
        return str(error), "ermission" not in str(error)
    except ConfigError as error:
        return str(error), True
    return found.trouble, bool(found.trouble) and "expires in" not in found.trouble


def _health(url: str) -> tuple[int, str]:
    status, body = asyncio.run(ask("GET", f"{url.rstrip('/')}/health", {}, ()))
    return status, body.decode(errors="replace") if status == 0 else ""


def _secrets(agents: Agents) -> Iterator[str]:
    try:
        PhoneLines(agents.config, agents.files).doors()
    except ConfigError as error:
        yield from (problem for problem in error.problems if "Permission denied" not in problem)
