"""Checks of the phone lines: the port, the certificate, the address, the tokens."""

from __future__ import annotations

from collections.abc import Iterator

from edgevoice.doctor.facts import LineFacts
from edgevoice.doctor.finding import Finding, absent, failed, ok, warning


def check_lines(found: LineFacts) -> tuple[Finding, ...]:
    """Can callers come in?"""
    if not found.lines.listen:
        return (absent("phone lines", "none is configured"),)
    return tuple(_checks(found))


def _checks(found: LineFacts) -> Iterator[Finding]:
    yield _port(found)
    yield _certificate(found)
    yield _address(found)
    for problem in found.secrets:
        yield failed("token", problem, "edgevoice lines setup says what belongs where")


def _port(found: LineFacts) -> Finding:
    if found.trouble:
        advice = "sudo ss -ltnp names who has it"
        if "ermission" in found.trouble:
            advice = "a port below 1024 wants AmbientCapabilities=CAP_NET_BIND_SERVICE: systemd/README.md"
        return failed("port", found.trouble, advice)
    if found.by_box and not found.address:
        return failed("port", f"the box does not listen on {found.lines.listen}", "journalctl -u edgevoice says why")
    return ok("port", f"the box listens on {found.address}" if found.by_box else f"{found.lines.listen} is free")


def _certificate(found: LineFacts) -> Finding:
    if not found.lines.certificate_file:
        return absent("certificate", "none: what stands before the box has it")
    if not found.certificate:
        return ok("certificate", found.lines.certificate_file)
    advice = "put a good one there; the box takes it from these files by itself"
    return (failed if found.certificate_bad else warning)("certificate", found.certificate, advice)


def _address(found: LineFacts) -> Finding:
    url = found.lines.url
    if not url:
        words = "lines.url is empty: whether callers reach this box is not known"
        return warning(
            "address", words, "the address at which the services reach it, like https://box.example.com:8443"
        )
    match found.health:
        case None:
            return absent("address", f"{url}: not tried, the box does not run")
        case 200:
            return ok("address", f"{url} leads to this box, seen from here")
        case 0:
            words = f"{url} cannot be reached from here: {found.health_trouble}"
            return warning("address", words, "try it from outside, too: many routers do not lead back inside")
    return failed("address", f"{url} leads to something else (HTTP {found.health})", "forward the port to this box")
