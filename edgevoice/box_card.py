"""The sound card of the box: opened, set up, lost, mended; and what is to be said of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from edgevoice.audio.calibration import Calibration
from edgevoice.audio.duplex import Duplex
from edgevoice.card_mixer import CardMixer
from edgevoice.drivers.audio_thread import OpenedCard, SoundCard
from edgevoice.drivers.turned import Turned
from edgevoice.happenings import CardLost, CardReady
from edgevoice.mending import Mending
from edgevoice.schema import Config

log = logging.getLogger(__name__)

STANDS_STILL = "the audio thread stands still"
BUSY = "a new process is to wait for the calls that go on without the card"


class BoxCard:
    """Called on the event loop. `tell` hears what becomes of the card, `busy` whether calls go on without it."""

    def __init__(
        self,
        config: Config,
        open_card: Callable[[], OpenedCard],
        duplex: Callable[[int], Duplex],
        echo: str,
        load_calibration: Callable[[], Calibration | None],
        mending: Mending,
        turned: Turned,
        *,
        tell: Callable[[CardReady | CardLost], None],
        busy: Callable[[], bool],
    ) -> None:
        self.sound = SoundCard(open_card, duplex, on_ready=self._ready, on_lost=self._lost, on_trouble=self._hears)
        self.mixer = CardMixer(config, turned)
        self.facts: dict[str, object] = {}
        self.calibration: Calibration | None = None  # of the card that is open
        self._echo = echo
        self._load_calibration = load_calibration
        self._mending = mending
        self._tell = tell
        self._busy = busy
        self._trouble = ""
        self._loop = asyncio.get_running_loop()

    def _ready(self, facts: dict[str, object]) -> None:
        self.facts = facts
        self._mending.opened(self._loop.time())
        log.info("card: %s", ", ".join(f"{name} {value}" for name, value in facts.items()))
        self.calibration = self._load_calibration()
        log.info("calibration: %s", self.calibration.words if self.calibration else "never (edgevoice calibrate)")
        self.mixer.set()
        self._tell(CardReady())

    def _hears(self, trouble: str) -> None:
        self._trouble = trouble
        if trouble:
            log.warning("sound: %s", trouble)

    def _lost(self, reason: str, hung: bool) -> None:
        self.facts = {}
        self._trouble = ""
        given_up = self._mending.hung(reason, self._loop.time(), busy=self._busy()) if hung else ""
        self._tell(CardLost(f"{reason}; {given_up}" if given_up else reason, hopeless=bool(given_up)))

    def stuck(self) -> CardLost:
        """Do what comes next about an audio thread that stands still; return what that means for the box."""
        log.error("sound: %s: %s", STANDS_STILL, self.sound.where())
        given_up = BUSY if self._busy() else self._mending.stuck(STANDS_STILL, self._loop.time())
        return CardLost(f"{STANDS_STILL}; {given_up}".removesuffix("; "), hopeless=bool(given_up))

    def hearing(self) -> dict[str, object]:
        """Say how the box hears while it speaks."""
        duplex = self.sound.duplex
        canceller, _, missing = self._echo.partition("; ")
        facts: dict[str, object] = {"canceller": canceller, "missing": missing or None}
        if duplex is None:
            return facts
        return facts | {
            "calibrated": self.calibration.made if self.calibration else None,
            "half_duplex": duplex.half_duplex,
            "suspicions": duplex.suspicions,
            "taken_back": duplex.taken_back,
            "drift_ppm": round(duplex.reference.drift_ppm, 1),
            "faults": duplex.hearing.faults + duplex.reference.faults,
            "trouble": self._trouble or None,
        }
