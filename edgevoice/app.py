"""The composition root: configuration in, a running appliance out. Started from top to bottom, stopped in reverse."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import logging
import signal
import ssl
import sys
import threading
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgevoice.audio.calibration import Calibration
from edgevoice.audio.duplex import Duplex
from edgevoice.audio.echo import Canceller
from edgevoice.audio.echo import load as load_canceller
from edgevoice.audio.interruption import TalkOver
from edgevoice.audio.resample import Resampler
from edgevoice.box import RunningBox
from edgevoice.catalogue import Agents
from edgevoice.doors import Doors
from edgevoice.drivers import control
from edgevoice.drivers.alsa import CardSettings, hush, open_card
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.drivers.profile_files import card_ids
from edgevoice.drivers.relay import Relays, open_relays
from edgevoice.drivers.state import load_calibration, name_of
from edgevoice.errors import DeviceError, StartAgain
from edgevoice.headless import Headless
from edgevoice.profiles import as_found
from edgevoice.schema import Config
from edgevoice.switchboard import Switchboard

log = logging.getLogger(__name__)

SWITCH_S = 0.001  # how long Python may keep the audio thread waiting: a tenth of a period
BROKEN_CONNECTION = (ConnectionError, TimeoutError, ssl.SSLError)
TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)  # who knocks too often: the server accepts again a second later
CARDS = Path("/proc/asound/cards")
VOICES = Path(__file__).parent / "voices"


async def run(config: Config, agents: Agents) -> None:
    """Be the appliance until SIGTERM or SIGINT.

    Raises DeviceError when another one is running on this socket, and StartAgain when only a new process may help.
    """
    if is_headless(config):
        await _run_headless(config, agents)
        return
    hush()
    # Before the audio thread asks for real time: the canceller's library starts threads, and they would inherit it.
    canceller, echo = load_canceller(config.echo.canceller, noise_suppression=config.echo.noise_suppression)
    _tell_echo(config, canceller, echo)
    async with AsyncExitStack() as stack:
        box = RunningBox(
            config,
            agents,
            partial(open_configured, config),
            partial(_duplex, config, canceller),
            echo,
            _open_doors(config, stack),
            partial(_calibration, config),
        )
        _let_mistakes_end_us(box)
        if config.lines.listen or config.line.sip:
            box.lines = Switchboard(agents, box.doors, box)
        await stack.enter_async_context(control.serve(config.status.socket, box.answer))
        stack.callback(box.restore_mixer)
        stack.callback(box.close_panel)
        stack.callback(box.sound.stop)
        box.open_panel()
        box.sound.start()
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
    async with AsyncExitStack() as stack:
        box = Headless(agents, _open_doors(config, stack))
        _let_mistakes_end_us(box)
        await stack.enter_async_context(control.serve(config.status.socket, box.answer))
        _settle(box)
        async with asyncio.TaskGroup() as group:
            await box.live(group)


def is_headless(config: Config) -> bool:
    """Tell whether nothing here wants a sound card: lines that an agent answers, [card] left out, and no card there."""
    asked_for = {f"card.{key}" for key in config.card.__struct_fields__} - config.left_out
    if not (config.lines.listen or config.line.sip) or config.call.incoming == "card" or asked_for:
        return False
    try:
        return not any(line.strip()[:1].isdigit() for line in CARDS.read_text().splitlines())
    except OSError:  # a kernel without sound
        return True


def _open_doors(config: Config, stack: AsyncExitStack) -> Doors:
    """Take the relays' pins; one that cannot be had is said, and the box goes on."""
    wired = {name: (relay.pin, relay.pulse_s) for name, relay in config.relay.items()}
    try:
        relays = open_relays(pins=config.panel.pins, relays=wired)
    except DeviceError as error:
        relays = Relays(facts=f"out of order: {error}")
        log.error("%s", error)
    if wired:
        log.info("relays: %s", relays.facts)
    stack.callback(relays.close)
    return Doors(config.relay, relays)


def _settle(box: RunningBox | Headless) -> None:
    """What comes last before it runs: signals, and the interpreter's habits."""
    for number in (signal.SIGTERM, signal.SIGINT):
        box.loop.add_signal_handler(number, box.stop)
    sys.setswitchinterval(SWITCH_S)
    _settle_memory()


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


def _settle_memory() -> None:
    """Never look again at what lives as long as the program, and give back what starting took (3 MB of 50)."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
    if trim:
        trim(0)


def _tell_echo(config: Config, canceller: Canceller, echo: str) -> None:
    """Say in the journal what takes the echo out; that nothing does, unless it is wished so, is a warning."""
    unwished = canceller.name == "none" and config.echo.canceller == "auto"
    consequence = "; half duplex: nobody is heard while the box speaks" if _half_duplex(config, canceller) else ""
    log.log(logging.WARNING if unwished else logging.INFO, "echo: %s%s", echo, consequence)


def _half_duplex(config: Config, canceller: Canceller) -> bool:
    return {"auto": canceller.name == "none", "always": True, "never": False}[config.echo.half_duplex]


def _duplex(config: Config, canceller: Canceller, rate: int) -> Duplex:
    barge_in = config.barge_in
    return Duplex(
        rate,
        TalkOver(sensitivity=barge_in.sensitivity, confirm_ms=barge_in.confirm_ms),
        canceller,
        half_duplex=_half_duplex(config, canceller),
        pre_roll_ms=barge_in.pre_roll_ms,
        give_up_ms=barge_in.give_up_ms,
        delay_ms=_delay_ms(config),
    )


def _delay_ms(config: Config) -> float:
    """How late the echo is: as configured, else as `edgevoice calibrate` measured it, else unknown."""
    if config.echo.delay_ms >= 0:
        return config.echo.delay_ms
    calibration = _calibration(config)
    return calibration.delay_ms if calibration else 0.0


def _calibration(config: Config) -> Calibration | None:
    """Return what `edgevoice calibrate` found out about the configured card, if it was run."""
    return load_calibration(name_of(as_found(config, card_ids()).card))


def open_configured(config: Config) -> OpenedCard:
    """Open the card that is configured, or that of its HAT, whatever id it has. Raises DeviceError."""
    card = as_found(config, card_ids()).card
    if card.simulate:
        return _simulated_room(config)
    return open_card(
        CardSettings(
            capture=card.capture,
            playback=card.playback,
            rate=card.rate,
            period_ms=card.period_ms,
            ahead_ms=card.buffer_ms,
            capture_channel=card.capture_channel,
        )
    )


def _simulated_room(config: Config) -> OpenedCard:
    """A room in real time, in which a person says the same things again and again."""
    from edgevoice.drivers.room import RealClock, Room, RoomCard, Utterance
    from edgevoice.drivers.wav import read_wav

    card = config.card
    people, at = [], 3.0
    for path in sorted(VOICES.glob("*.wav")):
        pcm, rate = read_wav(path)
        said = Resampler(rate, card.rate).process(pcm)
        people.append(Utterance(at, said, path.stem))
        at += len(said) / card.rate + 6.0
    echo = np.zeros(card.rate // 50, np.float32)
    echo[-1] = 0.1  # one reflection, 20 ms late, 20 dB down
    room = Room(card.rate, people, echo, loop_s=at)
    return RoomCard(room, RealClock(), card.period_ms, card.buffer_ms)
