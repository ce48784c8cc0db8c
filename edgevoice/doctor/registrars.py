"""Checks of the SIP registrars: is each reached, is its certificate good, is the box registered there?"""

from __future__ import annotations

from edgevoice.doctor.facts import Registrar
from edgevoice.doctor.finding import Finding, failed, ok, warning

DNS_ADVICE = "is line.sip.registrar spelt as the provider shows it? resolvectl status names the name server"
WAY_ADVICE = "is it switched on, and is this the right port and line.sip.transport? a firewall between may drop it"
CERTIFICATE_ADVICE = "one's own PBX: name the file of its authority in line.sip.ca_file; else who answers there?"
PASSWORD_ADVICE = "compare line.sip.user, and what is in line.sip.password_file, with what the registrar shows"
WAIT_ADVICE = "the box asks again by itself; journalctl -u edgevoice -g sip says how often it has"


def check_registrar(found: Registrar) -> Finding:
    """Can people call, and be called, by this account?"""
    name = f"SIP {found.host}"
    if found.registered_s is not None:
        return ok(name, f"the box is registered over {_way(found)}, for the next {max(0, found.registered_s)} s")
    if problem := _unreached(found):
        return failed(name, *problem)
    if found.box_trouble:
        refused = found.answers and "password" in found.box_trouble
        return failed(name, f"not registered: {found.box_trouble}", PASSWORD_ADVICE if refused else WAIT_ADVICE)
    if found.by_box:
        return warning(name, "the box is not registered yet", WAIT_ADVICE)
    if not found.answers:
        return warning(name, f"nothing comes back over {_way(found)}: some answer nobody but their own", WAY_ADVICE)
    return ok(name, f"it answers over {_way(found)}; the password is not tried, as the box does not run")


def _unreached(found: Registrar) -> tuple[str, str] | None:
    """Say where the way there ends, and what to do."""
    if found.dns_trouble:
        return f"the name is not found: {found.dns_trouble}", DNS_ADVICE
    if found.trouble:
        return f"not reached over {_way(found)}: {found.trouble}", WAY_ADVICE
    if found.certificate_trouble:
        advice = "first see: clock" if found.dates_wrong else CERTIFICATE_ADVICE
        return f"its certificate is not good: {found.certificate_trouble}", advice
    return None


def _way(found: Registrar) -> str:
    return found.version or found.transport.upper()
