"""Checks of the network: the way out, names, TLS, the clock, and whether the keys are good."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from edgevoice.doctor.facts import Clock, KeyAnswer, Link, Reached, Wireless
from edgevoice.doctor.finding import Finding, absent, failed, ok, warning

SLOW_DNS_S = 1.0  # a call that waits for a name so long is a call that does not begin
WEAK_DBM = -75  # below, Wi-Fi repeats itself, and a call stutters
AHEAD_S, FAR_AHEAD_S = 30.0, 300.0  # certificates bear hours, signed webhooks minutes
KEY_ADVICE = (
    "for the service: sudo install -D -m 600 /dev/stdin /etc/credstore/NAME, paste the key, Enter, Ctrl-D; then sudo "
    "systemctl restart edgevoice"
)
# NetworkManager's 802-11-wireless.powersave: 2 is off. Source: nm-setting-wireless.h
LASTING = "to keep it off: nmcli connection modify NAME 802-11-wireless.powersave 2"
CLOCK_ADVICE = "sudo timedatectl set-ntp true; a Raspberry Pi up to the 4 has no clock of its own while it is off"


def check_way_out(link: Link, needed: bool) -> Finding:
    """Is there a way out of this machine?"""
    if link.way_out:
        return ok("network", f"by {link.way_out}")
    if not needed:
        return absent("network", "no way out, and nothing that is configured needs one")
    return failed("network", "there is no way out (no default route)", "ip addr; is the cable in, the Wi-Fi joined?")


def check_wireless(wireless: Wireless) -> tuple[Finding, ...]:
    """Does the Wi-Fi fall asleep, and is it strong enough?"""
    name = f"Wi-Fi {wireless.name}"
    if wireless.power_save:
        fix = ("iw", "dev", wireless.name, "set", "power_save", "off")
        now = " ".join(fix) if wireless.can_set else "sudo apt install iw; then " + " ".join(fix)
        asleep = warning(name, "power save is on: calls stutter and begin late", f"{now}; {LASTING}", fix)
        if not wireless.can_set:
            asleep = warning(name, asleep.sentence, asleep.advice)
        return (asleep, *_signal(wireless))
    words = "power save is off" if wireless.power_save is False else "power save is not known (iw is not installed)"
    strength = "" if wireless.signal_dbm is None else f", {wireless.signal_dbm} dBm"
    return (ok(name, words + strength), *_signal(wireless))


def _signal(wireless: Wireless) -> tuple[Finding, ...]:
    if wireless.signal_dbm is None or wireless.signal_dbm >= WEAK_DBM:
        return ()
    words = f"the signal is weak: {wireless.signal_dbm} dBm, expected {WEAK_DBM} or more"
    return (warning(f"signal {wireless.name}", words, "a cable, another place for the box or for the access point"),)


def check_reached(reached: Reached) -> tuple[Finding, ...]:
    """How far does it come to a service: its name, the connection, its certificate?"""
    host = f"{reached.host}:{reached.port}"
    if reached.dns_trouble:
        advice = "resolvectl status, /etc/resolv.conf: which name server is asked, and does it answer?"
        return (failed("DNS", f"{reached.host}: {reached.dns_trouble}", advice),)
    named = ok("DNS", f"{reached.host} in {1000 * reached.dns_s:.0f} ms")
    if reached.dns_s > SLOW_DNS_S:
        slow = f"{reached.host} took {reached.dns_s:.1f} s"
        named = warning("DNS", slow, "ask a name server nearer by: /etc/resolv.conf")
    kind = "TLS" if reached.tls else "connection"
    if reached.trouble:
        advice = "a firewall, or the service is down: is anything else on this network able to reach it?"
        return named, failed(kind, f"{host}: {reached.trouble}", advice)
    if reached.certificate_trouble:
        advice = "who answers there? a proxy or a captive portal; else sudo apt install --reinstall ca-certificates"
        if reached.dates_wrong:
            advice = "first see: clock"
        return named, failed(kind, f"{host}: {reached.certificate_trouble}", advice)
    return named, ok(kind, f"{host}{f', {reached.version}' if reached.version else ''}")


def clock_by(reached: Sequence[Reached], clock: Clock) -> Clock:
    """Compare our clock with that of the first service that told the time."""
    for one in reached:
        if one.ahead_s is not None:
            return Clock(one.ahead_s, one.host, clock.synchronised, clock.ntp, clock.battery)
    return clock


def check_clock(clock: Clock) -> Finding:
    """Is the clock right? TLS and signatures depend on it."""
    fix = ("timedatectl", "set-ntp", "true") if clock.ntp is False else ()
    if clock.ahead_s is not None and abs(clock.ahead_s) > AHEAD_S:
        words = f"{_time(abs(clock.ahead_s))} {'ahead of' if clock.ahead_s > 0 else 'behind'} {clock.compared_with}"
        if abs(clock.ahead_s) > FAR_AHEAD_S:
            return failed("clock", f"it is {words}: certificates and signatures fail", CLOCK_ADVICE, fix)
        return warning("clock", f"it is {words}", CLOCK_ADVICE, fix)
    compared = "" if clock.ahead_s is None else f"as at {clock.compared_with}, "
    if clock.synchronised is False:
        kept = "" if clock.battery else ", and there is no clock that runs while it is off"
        return warning("clock", f"{compared}not synchronised{kept}", CLOCK_ADVICE, fix)
    if clock.synchronised:
        return ok("clock", f"{compared}synchronised")
    if clock.ahead_s is not None:
        return ok("clock", compared.removesuffix(", "))
    return absent("clock", "nobody to compare it with, and timedatectl does not say")


def _time(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def key_url(url: str, model: str, *, named: bool) -> str:
    """Return where an agent's service tells of its models, for whoever has a key: beside its `/realtime`.

    `named`: of this one. Source: platform.openai.com/docs/api-reference/models (list, retrieve).
    """
    parts = urlsplit(url)
    beside = parts.path.rstrip("/").removesuffix("/realtime") + "/models" + (f"/{model}" if named else "")
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name == "api-version"])
    scheme = {"wss": "https", "ws": "http"}[parts.scheme]
    return urlunsplit((scheme, parts.netloc, beside, query, ""))


def gemini_key_url(url: str, model: str) -> str:
    """Return where Google tells of a model, for whoever has a key. Source: ai.google.dev/api/models, method get."""
    parts = urlsplit(url)
    scheme = {"wss": "https", "ws": "http"}[parts.scheme]
    return urlunsplit((scheme, parts.netloc, f"/v1beta/models/{model.removeprefix('models/')}", "", ""))


def check_key(answer: KeyAnswer) -> Finding:
    """Does the service take the key?"""
    name, host = f"key of {answer.name}", answer.host
    if answer.unreadable:
        return warning(name, answer.trouble, "ask as root: sudo edgevoice doctor")
    match answer.status:
        case 0 if answer.missing:
            return failed(name, answer.trouble, KEY_ADVICE)
        case 0 if answer.asked:
            return warning(name, f"{host} does not answer: {answer.trouble}", "ask again later")
        case 0:
            return absent(name, answer.trouble or "none is configured")
        case status if 200 <= status < 300:
            return ok(name, f"{host} takes it" + (f", and offers {answer.model}" if answer.model else ""))
        case status if status == 401 or answer.invalid:
            return failed(name, f"{host} does not accept the key (HTTP {status})", "put a valid one into its file")
        case 403:
            return failed(name, f"{host} forbids this key to look (HTTP 403)", "does the key have the rights it needs?")
        case 404 if answer.model:
            words = f"{host} does not know {answer.model} (HTTP 404), or cannot be asked for it"
            return warning(name, words, f"choose another agent.{answer.name}.{answer.setting}, if calls are refused")
        case 429:
            words = f"{host} is asked too often, or the account has no credit left (HTTP 429)"
            return warning(name, words, f"look at the account at {host}")
    return warning(
        name, f"{host} answers HTTP {answer.status}", "ask again later: it is not known whether the key is good"
    )
