"""What of the loudspeaker's sound comes back to the microphone, learned while it plays; and how sure that is.

    played ──> 8 kHz ──> spectra of the last 300 ms ──x path──> echo ──┐
                                                 ^                    (-)──> residual: everybody else, and what is
    captured ──> 8 kHz ──────────────────────────│─────────────────────┘     not known of the echo
                                                 └── learns from the residual

An echo canceller for people must not leave an echo, and mutes who begins to speak until it is sure. This one need not
sound well: its residual shows a voice in the very block in which it begins, and `doubt` says how much echo there may
still be in it. At first that is all of it; a second or two of sound later, a hundredth.

It is a Kalman filter of the path in the frequency domain, one partition for each 10 ms: G. Enzner and P. Vary, Signal
Processing 86(6), 2006; F. Kuech, E. Mabande and G. Enzner, ICASSP 2014. A voice over the echo is noise to it, which
makes its steps small, so nobody has to tell it when to stand still. Each block one partition of the path is cut back to
the 10 ms that it stands for. Transforms are products with a matrix: at this size numpy needs longer to begin an FFT.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]

RATE = 8_000  # Hz: most of a voice, at half the price
BLOCK = 80  # 10 ms
BINS = BLOCK + 1
HEARD = 160  # samples of a block at 16 kHz, the rate that comes in
PARTITIONS = 30  # 300 ms: 20 that the reference leads by, 150 of converters, and the room
TAPS = 33  # of the low-pass between the two rates: 50 dB of what would be folded
CUT = 0.45  # of RATE
FIRST_GAIN = 0.5  # of the path in each partition, squared, before anything is known: a loud echo
FADES = 8.0  # partitions until a room has faded so far that the path in them is guessed at a third
KEEPS = 0.998  # of what is known of the path, from block to block: it forgets in 5 s that a door has been opened
NOISE_FOLLOWS = 0.3  # of each new residual: 30 ms, a voice must be seen before it is learned from
NOTHING = 100.0  # power of a bin, in units of int16: less is rounding


class EchoPath:
    """Hears one microphone and its loudspeaker, block by block."""

    def __init__(self) -> None:
        self._decimate, self._forward, self._forward_new, self._backward_new, self._cut_back = _transforms()
        self._fresh = np.zeros((2, len(self._decimate)), np.float32)  # played, captured
        self._played = np.zeros(2 * BLOCK, np.float32)
        self._one = np.ones(PARTITIONS, np.float32)
        self._spectra = np.zeros((2 * PARTITIONS, BINS), np.complex64)  # a ring, twice: any run of it is in one piece
        self._powers = np.zeros((2 * PARTITIONS, BINS), np.float32)
        self._newest = 0
        self._path = np.zeros((PARTITIONS, BINS), np.complex64)
        guess = FIRST_GAIN * np.exp(-np.arange(PARTITIONS) / FADES)
        self._unsure = np.repeat(guess[:, None], BINS, axis=1).astype(np.float32)
        self._changes = np.zeros((PARTITIONS, BINS), np.float32)
        self._noise = np.full(BINS, NOTHING, np.float32)
        self._turn = 0  # the partition that is cut back next
        self._silent = PARTITIONS  # blocks since the loudspeaker sounded
        self._step = np.empty_like(self._path)
        self._shares = np.empty_like(self._unsure)
        self._echo = np.zeros(2 * BINS, np.float32)
        self.residual = np.zeros(BLOCK, np.float32)  # the last block without the echo, at RATE
        self.power = np.zeros(BINS, np.float32)  # of the residual, in bins of 50 Hz
        self.doubt = np.zeros(BINS, np.float32)  # power of the echo that may be in it

    @property
    def sounding(self) -> bool:
        """Whether anything that was played may still be heard."""
        return self._silent < PARTITIONS

    @property
    def echo(self) -> Floats:
        """Power of the echo that was taken away, in the bins of `power`."""
        return _power(self._echo.view(np.complex64)) if self.sounding else np.zeros(BINS, np.float32)

    def hear(self, captured: Samples, played: Samples) -> None:
        """Take the next block of both, each (160,) at 16 kHz."""
        fresh = self._fresh
        fresh[:, :-HEARD] = fresh[:, HEARD:]
        fresh[0, -HEARD:] = played
        fresh[1, -HEARD:] = captured
        sounds, heard = fresh @ self._decimate
        self._silent = 0 if played.any() else self._silent + 1
        if not self.sounding:
            self.residual = heard
            self.power = _power((heard @ self._forward_new).view(np.complex64))
            self.doubt = np.zeros(BINS, np.float32)
            return
        self._play(sounds)
        now = slice(self._newest, self._newest + PARTITIONS)
        np.multiply(self._spectra[now], self._path, out=self._step)
        self._echo = self._one @ self._step.view(np.float32)
        self.residual = heard - self._echo @ self._backward_new
        spectrum = (self.residual @ self._forward_new).view(np.complex64)
        self.power = _power(spectrum)
        np.multiply(self._unsure, self._powers[now], out=self._shares)
        self.doubt = self._one @ self._shares
        self._learn(spectrum, self._spectra[now])

    def forget(self) -> None:
        """There is a gap now: the path is the same, what was played before it is not heard any more."""
        self._fresh[:] = 0
        self._played[:] = 0
        self._spectra[:] = 0
        self._powers[:] = 0
        self._silent = PARTITIONS

    def _play(self, sounds: Floats) -> None:
        played = self._played
        played[:BLOCK] = played[BLOCK:]
        played[BLOCK:] = sounds
        spectrum = (played @ self._forward).view(np.complex64)
        self._newest = new = (self._newest - 1) % PARTITIONS
        self._spectra[new] = self._spectra[new + PARTITIONS] = spectrum
        self._powers[new] = self._powers[new + PARTITIONS] = _power(spectrum)

    def _learn(self, residual: NDArray[np.complex64], spectra: NDArray[np.complex64]) -> None:
        self._noise += NOISE_FOLLOWS * (self.power - self._noise)
        whole = self.doubt + self._noise + NOTHING
        step = np.conjugate(spectra, out=self._step)
        step *= self._unsure * (residual / whole)
        self._path += step
        shares = self._shares
        shares *= -0.5 * KEEPS / whole  # half: a block is one of the two that a spectrum is made of
        shares += KEEPS
        self._unsure *= shares
        self._unsure += self._changes
        turn = self._turn
        self._turn = (turn + 1) % PARTITIONS
        path = (self._path[turn].view(np.float32) @ self._cut_back).view(np.complex64)
        self._path[turn] = path
        self._changes[turn] = (1 - KEEPS) * _power(path)


def _power(spectrum: NDArray[np.complex64]) -> Floats:
    power: Floats = spectrum.real**2 + spectrum.imag**2
    return power


@cache
def _transforms() -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return the matrices that every path shares: half a megabyte, and 30 ms to make.

    They decimate, transform two blocks, and a block that follows 10 ms of silence; transform back to the second of two
    blocks; and cut a path back to its first.
    """
    forward, backward = _spectrum(), _signal()
    parts = (_decimation(), forward, np.ascontiguousarray(forward[BLOCK:]), np.ascontiguousarray(backward[:, BLOCK:]))
    made = (*parts, backward[:, :BLOCK] @ forward[:BLOCK])
    for matrix in made:
        matrix.flags.writeable = False
    return made


def _decimation() -> Floats:
    """Return (n, BLOCK): a block at RATE, its bass lowered by 6 dB an octave as in all that follows, from 16 kHz."""
    at = np.arange(TAPS) - (TAPS - 1) / 2
    low_pass = np.sinc(at * CUT) * np.hanning(TAPS + 2)[1:-1]
    taps = np.convolve(low_pass / low_pass.sum(), (1, 0, -1))
    matrix = np.zeros((HEARD + len(taps) - 1, BLOCK), np.float32)
    for out in range(BLOCK):
        matrix[2 * out + 1 : 2 * out + 1 + len(taps), out] = taps[::-1]
    return matrix


def _spectrum() -> Floats:
    """Return (2 * BLOCK, 2 * BINS): two blocks to their spectrum, real and imaginary parts in turns."""
    spectrum = np.fft.rfft(np.eye(2 * BLOCK))
    return np.stack((spectrum.real, spectrum.imag), axis=2).reshape(2 * BLOCK, 2 * BINS).astype(np.float32)


def _signal() -> Floats:
    """Return (2 * BINS, 2 * BLOCK): the way back."""
    parts = np.eye(2 * BINS)
    return np.fft.irfft(parts[:, ::2] + 1j * parts[:, 1::2], 2 * BLOCK).astype(np.float32)
