"""What a service owes to systemd: to say that it is ready and alive, and log lines with a priority. What it may ask.

Outside systemd nothing is owed.
Source: sd_notify(3), sd_watchdog_enabled(3), sd-daemon(3), systemd.exec(5), systemd.path(5).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from contextlib import suppress

from edgevoice.drivers.runtime import runtime_file

_log = logging.getLogger(__name__)

SEEN_S = 5.0  # for systemd to see a file, on a machine that is slow
STILL_UP_S = 15.0  # a shutdown ends us long before, also where logind puts it off (InhibitDelayMaxSec=5)


def notify(**fields: str | int) -> None:
    """Send fields such as `ready=1, status="in a call"` to systemd; does nothing when it did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    lines = (f"{name.upper()}={' '.join(str(value).splitlines())}" for name, value in fields.items())
    if address.startswith("@"):  # abstract: has no file
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto("\n".join(lines).encode(), address)
    except OSError as error:
        _log.warning("systemd cannot be told %s: %s", ", ".join(fields), error)


def ready(status: str) -> None:
    """Say that the start is over: from now on the box serves."""
    notify(ready=1, status=status)


def status(text: str) -> None:
    """Say in a few words what is going on, for `systemctl status`."""
    notify(status=text)


def stopping() -> None:
    notify(stopping=1, status="stopping")


def alive() -> None:
    """Feed the watchdog: to be called every `watchdog_interval_s` for as long as everything advances."""
    notify(watchdog=1)


def watchdog_interval_s() -> float | None:
    """Return how often `alive` has to be called, half of WatchdogSec=; None when nobody watches this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # somebody else is watched: our parent, whose environment we have
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 2e6 or None
    except (KeyError, ValueError):
        return None


async def switch(verb: str) -> None:
    """Have the machine switched: `poweroff` or `reboot`. If it is still up after that, the journal says what to do."""
    watch = f"edgevoice-switch@{verb}.path"
    if await _seen(verb) or await _systemctl(verb):
        await asyncio.sleep(STILL_UP_S)
        _log.error("the machine was told to %s and is still up: journalctl -u edgevoice-switch@%s says why", verb, verb)
    else:
        why = f"{watch} does not run, and systemctl refuses it to this user: systemctl status {watch}"
        _log.error("the machine cannot be told to %s: %s", verb, why)


async def _seen(verb: str) -> bool:
    """Make the file that `edgevoice-switch@.path` waits for; tell whether systemd has seen it, which takes it away."""
    wish = runtime_file(verb)
    if wish is None:
        return False
    try:
        wish.touch(0o600)
        async with asyncio.timeout(SEEN_S):
            while wish.exists():  # noqa: ASYNC110 (that has no event)
                await asyncio.sleep(0.1)
        return True
    except OSError as error:  # a TimeoutError is one, too
        _log.warning("%s: %s", wish, error.strerror or f"nobody has seen it within {SEEN_S:g} s")
        return False
    finally:
        with suppress(OSError):
            wish.unlink()


async def _systemctl(verb: str) -> bool:
    """Switch the machine as the user who runs this, outside the service; tell whether that was allowed."""
    try:
        process = await asyncio.create_subprocess_exec("systemctl", verb)
        return await process.wait() == 0
    except OSError:  # there is no systemd
        return False


def log_to_stderr(level: int) -> None:
    """Log to stderr: with a priority for each line when that is the journal, else with the time."""
    handler = logging.StreamHandler(sys.stderr)
    if _is_journal(sys.stderr.fileno()):
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class JournalFormatter(logging.Formatter):
    """Begin every line with `<priority>`: the journal takes each line of a trace for a message of its own."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def _priority(level: int) -> int:
    """Return the priority of syslog(3) for a level of `logging`."""
    steps = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((priority for least, priority in steps if level >= least), 7)


def _is_journal(descriptor: int) -> bool:
    """JOURNAL_STREAM names the journal's stream; a stderr that was redirected since is another one."""
    opened = os.fstat(descriptor)
    return os.environ.get("JOURNAL_STREAM") == f"{opened.st_dev}:{opened.st_ino}"
