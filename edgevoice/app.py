"""The composition root: configuration in, a running appliance out. Started from top to bottom, stopped in reverse."""

from __future__ import annotations

import asyncio
import errno
import faulthandler
import logging
import signal
import ssl
import sys
import threading
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevoice.box import RunningBox
from edgevoice.catalogue import Agents
from edgevoice.config import has_lines
from edgevoice.doors import Doors
from edgevoice.drivers import control, left_open, memory, real_time
from edgevoice.drivers.alsa import hush
from edgevoice.drivers.relay import open_relays
from edgevoice.errors import StartAgain
from edgevoice.schema import Config
from edgevoice.sound import calibration, configured_duplex, load_echo, open_configured

if TYPE_CHECKING:
    from edgevoice.headless import Headless

log = logging.getLogger(__name__)

SWITCH_S = 0.001  # how long Python may keep the audio thread waiting: a tenth of a period
BROKEN_CONNECTION = (ConnectionError, TimeoutError, ssl.SSLError)
TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)  # who knocks too often: the server accepts again a second later
CARDS = Path("/proc/asound/cards")
OF_A_BOX = {"panel.button", "panel.light", "call.button", "call.at_start"}


async def run(config: Config, agents: Agents) -> None:
    """Be the appliance until SIGTERM or SIGINT.

    Raises DeviceError when another one is running on this socket, and StartAgain when only a new process may help.
    """
    faulthandler.enable()  # a process that the watchdog ends says in which functions its threads stood
    if is_headless(config):
        await _run_headless(config, agents)
        return
    hush()
    canceller, echo = load_echo(config)
    async with AsyncExitStack() as stack:
        doors = _open_doors(config, stack)
        box = RunningBox(
            config,
            agents,
            partial(open_configured, config),
            partial(configured_duplex, config, canceller),
            echo,
            doors,
            partial(calibration, config),
        )
        _let_mistakes_end_us(box)
        if has_lines(config):
            from edgevoice.switchboard import Switchboard  # only where there are lines: memory counts

            box.directory.lines = Switchboard(agents, doors, box.call)
        await stack.enter_async_context(control.serve(config.status.socket, box.control.answer))
        stack.callback(box.card.mixer.restore)
        stack.callback(box.panel.close)
        stack.callback(box.card.sound.stop)
        box.open_panel()
        real_time.watch(box.loop)
        box.card.sound.start()
        _settle(box)
        try:
            async with asyncio.TaskGroup() as group:
                await box.live(group)
        except* StartAgain:
            pass  # it is raised below, alone
    if box.start_again:
        raise box.start_again


async def _run_headless(config: Config, agents: Agents) -> None:
    """Carry phone calls to agents, without a card."""
    from edgevoice.headless import Headless  # has lines, always

    async with AsyncExitStack() as stack:
        box = Headless(agents, _open_doors(config, stack))
        _let_mistakes_end_us(box)
        await stack.enter_async_context(control.serve(config.status.socket, box.answer))
        _settle(box)
        async with asyncio.TaskGroup() as group:
            await box.live(group)


def is_headless(config: Config) -> bool:
    """Tell whether nothing here wants a sound card: lines that an agent answers, nothing of a box, and no card there.

    Of a box are the keys of [card], a button, a light, and whom that calls. What has those waits for its card.
    """
    of_a_box = {f"card.{key}" for key in config.card.__struct_fields__} | OF_A_BOX
    asked_for = of_a_box - config.left_out
    if not has_lines(config) or config.call.incoming == "card" or asked_for:
        return False
    try:
        return not any(line.strip()[:1].isdigit() for line in CARDS.read_text().splitlines())
    except OSError:  # a kernel without sound
        return True


def _open_doors(config: Config, stack: AsyncExitStack) -> Doors:
    """Take the relays' pins; where they cannot be had that is said, and the box goes on."""
    wired = {name: (relay.pin, relay.pulse_s) for name, relay in config.relay.items()}
    stack.enter_context(left_open.held(config.panel.pins, {name: pin for name, (pin, _) in wired.items()}))
    doors = Doors(config.relay, partial(open_relays, pins=config.panel.pins, relays=wired))
    stack.callback(doors.close)
    return doors


def _settle(box: RunningBox | Headless) -> None:
    """What comes last before it runs: signals, and the interpreter's habits."""
    for number in (signal.SIGTERM, signal.SIGINT):
        box.loop.add_signal_handler(number, box.stop)
    sys.setswitchinterval(SWITCH_S)
    memory.settle()


def _let_mistakes_end_us(box: RunningBox | Headless) -> None:
    """Let no mistake of ours leave a box that is "running" and deaf, on whatever thread it happens."""

    def on_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        mistake = context.get("exception")
        crowded = isinstance(mistake, OSError) and mistake.errno in TOO_MANY_FILES
        if mistake is None or crowded or isinstance(mistake, BROKEN_CONNECTION):  # its leg hears of it
            loop.default_exception_handler(context)
        else:
            box.fail(mistake)

    def on_thread(ended: threading.ExceptHookArgs) -> None:
        mistake = ended.exc_value or RuntimeError(f"thread {ended.thread} ended")
        box.loop.call_soon_threadsafe(box.fail, mistake)

    box.loop.set_exception_handler(on_loop)
    threading.excepthook = on_thread
