"""Where phone services dial in: listens, looks at who comes, refuses, answers webhooks; lets the rest through."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping

from edgevoice.drivers.certificate import Certificate
from edgevoice.drivers.line_server import Answered, Attend, serve_lines, watch
from edgevoice.errors import DeviceError, Unreadable
from edgevoice.line_catalogue import PhoneLines
from edgevoice.lines import documents
from edgevoice.lines.admission import Admission, Admitted, Came, Refused, Ticket

log = logging.getLogger(__name__)

BIND_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # a port that is taken may be free again: the old process is ending
TOLD_S = 10.0  # one line in the journal that often, however many knock at the door
WEBHOOKS: Mapping[str, documents.Phone] = {path: name for name, path in documents.WEBHOOKS.items()}


class Reception:
    """The one server of the phone lines. Raises ConfigError when its secrets or its certificate cannot be had.

    A certificate may be just being renewed: its error is Unreadable.
    `full` says why no further call may come in, `busy` whether a caller would find nobody; `attend` takes a connection.
    """

    def __init__(self, lines: PhoneLines, full: Callable[[], str], busy: Callable[[], bool], attend: Attend) -> None:
        self.address = ""  # where the server listens, "" while it does not
        self._lines = lines.config.lines
        self._full = full
        self._busy = busy
        self._attend = attend
        self._loop = asyncio.get_running_loop()
        self._admission = Admission(lines.doors(), lambda: secrets.token_urlsafe(16))
        self._certificate = _certificate(lines)
        self._trouble = ""  # of the port
        self._knocks, self._told_at = 0, -TOLD_S

    @property
    def trouble(self) -> str:
        """What is wrong with port or certificate, or ""."""
        return self._trouble or (self._certificate.trouble if self._certificate else "")

    async def live(self) -> None:
        """Serve until cancelled, where services are to dial in."""
        async with asyncio.TaskGroup() as parts:
            if self._certificate:
                parts.create_task(watch(self._certificate))
            if self._lines.listen:
                parts.create_task(self._listen())

    async def _listen(self) -> None:
        """Serve phone services, and try again while the port cannot be had."""
        lines, failures = self._lines, 0
        while True:
            try:
                async with serve_lines(
                    lines.listen, self._certificate, lines.url, self._admit, self._answer, self._attend
                ) as self.address:
                    self._trouble = ""
                    log.info("lines: listening on %s%s", self.address, "" if self._certificate else " (without TLS)")
                    await asyncio.Event().wait()
            except DeviceError as error:
                if str(error) != self._trouble:
                    log.error("%s", error)
                self.address, self._trouble = "", str(error)
                await asyncio.sleep(BIND_S[min(failures, len(BIND_S) - 1)])
                failures += 1

    def issue(self, ticket: Ticket) -> str:
        """Return the path that lets one connection in, for that call."""
        return self._admission.issue(ticket, self._loop.time())

    def refuse(self, why: str) -> None:
        """Tell the journal, but not each time: whoever knocks all night must not fill the disk."""
        self._knocks += 1
        if self._loop.time() - self._told_at >= TOLD_S:
            log.warning("lines: refused: %s (%d since the last such line)", why, self._knocks)
            self._knocks, self._told_at = 0, self._loop.time()

    def _admit(self, came: Came) -> Admitted | Answered:
        if full := self._full():
            self.refuse(full)
            return Answered(503, "busy\n")
        decided = self._admission.upgrade(came, self._loop.time())
        if isinstance(decided, Refused):
            self.refuse(decided.why)
            return Answered(decided.status, "refused\n")
        return decided

    def _answer(self, came: Came) -> Answered:
        """Answer a request that is no upgrade."""
        if came.path == "/health":
            return Answered(200, "ok\n")
        service = WEBHOOKS.get(came.path)
        if service is None:
            self.refuse("no such page")
            return Answered(404, "not found\n")
        if refused := self._admission.webhook(service, came):
            self.refuse(refused.why)
            return Answered(refused.status, "refused\n")
        if self._full() or self._busy():
            return _document(documents.busy(service))
        calling = documents.calling(service, came.form)
        if calling is None:
            self.refuse(f"a webhook of {service} that names no call")
            return Answered(400, "which call?\n")
        path = self.issue(Ticket(service, caller=calling.caller))
        numbers = {"from": calling.caller, "to": calling.callee}
        return _document(documents.route(service, came.socket_url(path), parameters=numbers))


def _document(document: documents.Document) -> Answered:
    return Answered(200, document.text, document.content_type)


def _certificate(lines: PhoneLines) -> Certificate | None:
    named, files = lines.config.lines, lines.files
    if not named.certificate_file:
        return None
    try:
        return Certificate(
            files.path(named.certificate_file, "lines.certificate_file"),
            files.path(named.private_key_file, "lines.private_key_file"),
        )
    except DeviceError as error:
        raise Unreadable([f"$.lines.certificate_file: {error}"]) from error
