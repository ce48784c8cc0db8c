"""The card as a stream of chunks, for a program that is not ours: it says what is heard, and is given what is said.

    output, interrupt ──> deque ──> audio thread: echo, barge-in, playout, card ──> chunks ──> `wake`, then `due`

Rules
* 16-bit mono at 16 kHz in both directions, whatever the card has. What leaves is without the loudspeaker's echo.
* Chunks that nobody fetches wait, at most BACKLOG_MS of them; the oldest are left out then.
* A voice over the agent silences it here and now. What their server still sends of that reply, until it has noticed
  and `interrupt` is called, is left out: whatever follows its predecessor within PAUSE_S. For AGREE_S: a server that
  has not noticed by then goes on, and is heard.
* A card that is lost is opened again, with delays; the log says so. What is handed over meanwhile nobody hears.
* What alsa-lib would print is not printed any more in this process: what fails is said in words.
* The audio thread appends and calls `wake`, which must not wait. What takes longer is an errand, run by `due`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import count

from edgevoice.audio.duplex import Duplex
from edgevoice.audio.echo import Canceller
from edgevoice.drivers.alsa import hush
from edgevoice.drivers.audio_thread import SoundCard
from edgevoice.drivers.mixer_settings import MixerSettings
from edgevoice.drivers.profile_files import card_ids
from edgevoice.errors import DeviceError
from edgevoice.events import Audio, BargedIn, Clear, Cleared, Event, Listen, Mark, Play, Uplink
from edgevoice.profiles import as_found
from edgevoice.schema import Config
from edgevoice.sound import configured_duplex, load_echo, open_configured

log = logging.getLogger(__name__)

RATE = 16_000  # Hz
BYTES_PER_MS = RATE * 2 // 1000
BACKLOG_MS = 5000  # of the microphone, for who is held up
LIMIT_MS = 900_000  # of the agent: servers send faster than real time, and a recording may come in one piece
PAUSE_S = 1.0  # within a reply chunks follow closer; from a voice over it to the next reply it takes longer
AGREE_S = 3.0  # their voice detection, a network and a busy server are quicker


class Stream:
    """The card, from `open` to `close`; it is opened once."""

    def __init__(self, config: Config, chunk_ms: int, wake: Callable[[], None]) -> None:
        """Load the canceller; open nothing yet. `wake` is called in the audio thread when the delivery has work."""
        hush()
        canceller, _ = load_echo(config)
        self.opened: Future[None] = Future()  # done when the card is open; a DeviceError when it does not open
        self.opened.set_running_or_notify_cancel()
        self.stopped = False
        self.chunks: deque[bytes] = deque(maxlen=max(1, BACKLOG_MS // chunk_ms))
        self.errands: deque[Callable[[], object]] = deque()  # what the audio thread has no time for
        self._config = config
        self._wake = wake
        self._size = chunk_ms * BYTES_PER_MS
        self._chunk = bytearray()
        self._left_out = 0  # chunks
        self._card = SoundCard(
            partial(open_configured, config),
            partial(_duplex, config, canceller),
            on_ready=self._ready,
            on_lost=self._lost,
            on_trouble=lambda trouble: self._say(logging.WARNING, trouble or "the echo is cancelled again"),
        )
        self._mixer = MixerSettings()
        self._reason = ""  # why there is no card
        self._names = count()
        self._response = ""
        self._begin_response()
        self._barged_at: float | None = None  # until their server agrees
        self._arrived = 0.0  # the last sound of the agent
        self._told: set[str] = set()

    def open(self) -> None:
        """Begin to open the card: `opened` tells when that is done."""
        self._card.start(_at_once)

    def set_mixer(self) -> None:
        """Set what the HAT's profile wants of a card that was opened, for the first time or again."""
        for problem in self._mixer.apply(as_found(self._config, card_ids()).hat_mixer):
            log.warning("mixer: %s", problem)

    def close(self) -> None:
        """Let go of everything. It takes a period, a second at most."""
        self.stopped = True
        self._card.stop()
        self._mixer.restore()
        if self._left_out:
            left_out_ms, self._left_out = self._left_out * self._size // BYTES_PER_MS, 0
            log.warning("%d ms of the microphone were left out: the callback took longer than its sound", left_out_ms)

    def due(self) -> Iterator[bytes]:
        """Yield the chunks that wait, as long as they may be handed on; errands are run in between."""
        while not self.stopped:
            if self.errands:
                self.errands.popleft()()
            elif self.chunks:
                yield self.chunks.popleft()
            else:
                return

    # -------------------------------------------------------------------------- what their program calls, on any thread

    def output(self, audio: bytes) -> None:
        """Queue sound; what cannot be heard is left out."""
        if not isinstance(audio, (bytes, bytearray, memoryview)):
            raise TypeError(f"output() got {type(audio).__name__}, expected bytes: 16-bit mono samples at {RATE} Hz")
        pcm, duplex = bytes(audio), self._card.duplex
        if self._is_late() or self.stopped or duplex is None:
            return
        if len(pcm) % 2:
            self._tell_once("output() got %d bytes, expected samples of two: the last byte is left out", len(pcm))
        room = int(LIMIT_MS - duplex.playout.waiting_ms) * BYTES_PER_MS
        if len(pcm) > room:
            self._tell_once("output() has %d minutes waiting: what is more is left out", LIMIT_MS // 60_000)
        pcm = pcm[: min(room, len(pcm) // 2 * 2)]
        if pcm:  # the mark ends each piece: after the last one nothing sounds that a voice could interrupt
            response = self._response
            self._card.commands.extend((Play(pcm, response), Mark("", response, goes_on=True)))

    def interrupt(self) -> None:
        """Discard all that was handed over. It only leaves word: the audio thread drops within a period."""
        self._card.commands.append(Clear())
        self._begin_response()  # behind it: what is dead by name is what was said before
        self._barged_at = None

    def _begin_response(self) -> None:
        self._response = f"agent {next(self._names)}"

    def _is_late(self) -> bool:
        """Tell sound of a reply that somebody has talked over, as long as their server goes on with it."""
        before, self._arrived = self._arrived, time.monotonic()
        barged_at = self._barged_at
        if barged_at is None:
            return False
        if self._arrived - barged_at < AGREE_S and self._arrived - before < PAUSE_S:
            return True
        self._barged_at = None
        return False

    def _tell_once(self, words: str, number: int) -> None:
        if words not in self._told:
            self._told.add(words)
            log.warning(words, number)

    # ------------------------------------------------------------------------------------------ the audio thread

    def _hear(self, event: Event, at: float) -> None:
        match event:
            case Audio(pcm):
                self._chunk += pcm
                while len(self._chunk) >= self._size:
                    self._hand_over(bytes(self._chunk[: self._size]))
                    del self._chunk[: self._size]
            case BargedIn():
                self._barged_at = at
                self._begin_response()
            case Cleared():
                self._barged_at = None
            case _:
                pass

    def _hand_over(self, pcm: bytes) -> None:
        full = len(self.chunks) == self.chunks.maxlen
        self._left_out += full
        self.chunks.append(pcm)
        if not full:  # else it is busy, and comes back by itself
            self._wake()

    def _ready(self, facts: dict[str, object]) -> None:
        self._card.join(self._hear, RATE)
        self._card.commands.append(Listen(Uplink.OPEN))
        self._reason = ""
        if self.opened.done():
            self.errands.append(self.set_mixer)
            self._say(logging.INFO, "the sound card is back")
        else:
            self.opened.set_result(None)

    def _lost(self, reason: str, hung: bool = False) -> None:
        if not self.opened.done():
            self.opened.set_exception(DeviceError(reason))
        elif reason != self._reason:
            otherwise = ", or start this program again" if hung else ""
            self._say(logging.ERROR, f"no sound: {reason}; the card is opened again as soon as it can be{otherwise}")
        self._reason = reason

    def _say(self, level: int, words: str) -> None:
        self.errands.append(partial(log.log, level, "%s", words))
        self._wake()


def _duplex(config: Config, canceller: Canceller, rate: int) -> Duplex:
    duplex = configured_duplex(config, canceller, rate)
    duplex.playout.limit_ms = LIMIT_MS
    return duplex


def _at_once(method: Callable[..., None], *arguments: object) -> None:
    """Call it in the audio thread: what `Stream` does there is no more than to append."""
    method(*arguments)
