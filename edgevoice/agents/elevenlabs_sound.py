"""The sound of an ElevenLabs agent: whatever format is set there becomes int16 at our rate, and back."""

from __future__ import annotations

import binascii

from edgevoice.agents.elevenlabs_session import FORMATS, ULAW
from edgevoice.audio.g711 import pcm_to_ulaw, ulaw_to_pcm
from edgevoice.audio.pcm import Whole, from_bytes, to_bytes
from edgevoice.audio.resample import Resampler

RATE = 16_000  # what an agent speaks and hears unless it is set otherwise, and what our ear hears


class Mouth:
    """Decodes what the agent says, piece by piece; `format` is one of FORMATS."""

    def __init__(self, format: str) -> None:
        self._ulaw = format == ULAW
        self._resampler = Resampler(FORMATS[format], RATE)
        self._whole = Whole()  # a piece may end in the middle of a sample

    def begin(self) -> None:
        """What comes now has nothing to do with what came before."""
        self._resampler.reset()
        self._whole = Whole()

    def decode(self, audio_base_64: str) -> bytes:
        """Return int16 at RATE. Raise ValueError if it is no sound."""
        sound = binascii.a2b_base64(audio_base_64, strict_mode=True)
        pcm = ulaw_to_pcm(sound) if self._ulaw else self._whole.samples(sound)
        return to_bytes(self._resampler.process(from_bytes(pcm)))


class Ear:
    """Encodes what the agent hears; `format` is one of FORMATS."""

    def __init__(self, format: str) -> None:
        self._ulaw = format == ULAW
        self._resampler = Resampler(RATE, FORMATS[format])

    def encode(self, pcm: bytes) -> str:
        """Return int16 at RATE as base64 of the agent's format."""
        pcm = to_bytes(self._resampler.process(from_bytes(pcm)))
        return binascii.b2a_base64(pcm_to_ulaw(pcm) if self._ulaw else pcm, newline=False).decode("ascii")
