"""As much of `alsaaudio` 0.11 as the drivers of a mixer call, with the signatures and errors of its C code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

C = TypeVar("C")


class FakeAlsaaudio(Generic[C]):
    """Cards by name, each with its simple controls by name; `mixer` makes what a control is asked by."""

    PCM_PLAYBACK, PCM_CAPTURE = 0, 1
    VOLUME_UNITS_PERCENTAGE, VOLUME_UNITS_RAW, VOLUME_UNITS_DB = 0, 1, 2
    MIXER_CHANNEL_ALL = -1

    class ALSAAudioError(Exception):
        pass

    def __init__(self, mixer: Callable[[FakeAlsaaudio[C], C], Any], **cards: dict[str, C]) -> None:
        self.cards = {f"hw:{name}": card for name, card in cards.items()}
        self.open_mixers = 0
        self.opened: list[str] = []
        self._mixer = mixer

    def mixers(self, cardindex: int = -1, device: str = "default") -> list[str]:
        return list(self._card(device))

    def Mixer(self, control: str = "Master", id: int = 0, cardindex: int = -1, device: str = "default") -> Any:
        if control not in self._card(device):
            raise self.ALSAAudioError(f"Unable to find mixer control {control},{id} [{device}]")
        self.open_mixers += 1
        self.opened.append(control)
        return self._mixer(self, self._card(device)[control])

    def _card(self, device: str) -> dict[str, C]:
        if device not in self.cards:
            raise self.ALSAAudioError(f"No such file or directory [{device}]")
        return self.cards[device]


class FakeMixer(Generic[C]):
    """One control, opened. What it can be asked is added by each test."""

    def __init__(self, alsaaudio: FakeAlsaaudio[C], control: C) -> None:
        self._alsaaudio, self._control = alsaaudio, control

    def close(self) -> None:
        self._alsaaudio.open_mixers -= 1


def change(values: list[int], channel: int, value: int) -> None:
    """Set one channel of them, or with -1 all."""
    for i in range(len(values)):
        if channel in (-1, i):
            values[i] = value
