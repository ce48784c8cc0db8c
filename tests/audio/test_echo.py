"""The cancellers, as their libraries are: they take out the echo, leave the person, and say why one is not there."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.echo import BLOCK, RATE, Canceller, load
from edgevoice.audio.resample import Resampler
from edgevoice.drivers.wav import read_wav
from edgevoice.errors import ConfigError

Samples = NDArray[np.int16]
Doubles = NDArray[np.float64]

SPEECH = Path(__file__).parent.parent / "speech"
NAMES = ("aec3", "speex", "none")
CONVERGED_S = 12  # aec3 needs a few seconds of speech, speex ten
ATTENUATED_DB = {"aec3": 35, "speex": 20}
PAUSE_S = 0.2
DELAY = RATE * 40 // 1000


def speech(*names: str) -> Doubles:
    """Return what these people say, one after the other, each at -23 dBFS."""
    parts = []
    for name in names:
        pcm, rate = read_wav(SPEECH / f"{name}.wav")
        parts += [at_dbfs(Resampler(rate, RATE).process(pcm), -23), np.zeros(round(PAUSE_S * RATE))]
    return np.concatenate(parts)


def noise(seconds: float, dbfs: float, seed: int = 1) -> Doubles:
    return at_dbfs(np.random.default_rng(seed).standard_normal(round(seconds * RATE)), dbfs)


def at_dbfs(x: NDArray[np.floating] | Samples, dbfs: float) -> Doubles:
    return np.asarray(x, np.float64) * 10 ** ((dbfs - level(x)) / 20)


def level(x: NDArray[np.floating] | Samples) -> float:
    return float(10 * np.log10((np.asarray(x, np.float64) ** 2).mean() / 32768**2 + 1e-12))


def echo(played: Doubles) -> Doubles:
    """Return what comes back, as loud as it went: 40 ms late, from a room whose sound decays within 0.3 s."""
    ring = np.random.default_rng(2).standard_normal(RATE * 3 // 10) * 10 ** (
        -3 * np.arange(RATE * 3 // 10) / RATE / 0.3
    )
    ring[0] = 8
    size = 1 << (len(played) + len(ring)).bit_length()
    heard = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(ring, size), size)[: len(played)]
    return at_dbfs(np.concatenate((np.zeros(DELAY), heard))[: len(played)], level(played))


AGENT = speech("nicolas", "jackson", "lucas")
PERSON = speech("george")


def cleaned(canceller: Canceller, played: Doubles, captured: Doubles) -> Samples:
    """Have everything cleaned, beside the noise of a quiet room."""
    loudspeaker, microphone = (
        np.clip(np.rint(x), -32768, 32767).astype(np.int16)
        for x in (played, captured + noise(len(captured) / RATE, -65))
    )
    starts = range(0, len(loudspeaker) // BLOCK * BLOCK, BLOCK)
    return np.concatenate([canceller.process(loudspeaker[s : s + BLOCK], microphone[s : s + BLOCK]) for s in starts])


def made(name: str, *, noise_suppression: bool = True) -> Canceller:
    return load(name, noise_suppression=noise_suppression)[0]


def converged(name: str, *, noise_suppression: bool = True) -> Canceller:
    canceller = made(name, noise_suppression=noise_suppression)
    played = np.resize(AGENT, CONVERGED_S * RATE)
    cleaned(canceller, played, echo(played))
    return canceller


# -------------------------------------------------------------------------------------------- what is heard


@pytest.mark.parametrize("name", ["aec3", "speex"])
@pytest.mark.parametrize("noise_suppression", [True, False])
def test_the_echo_is_taken_out(name: str, noise_suppression: bool) -> None:
    canceller = converged(name, noise_suppression=noise_suppression)
    captured = echo(AGENT)
    left = cleaned(canceller, AGENT, captured)
    assert level(captured) - level(left) > (ATTENUATED_DB[name] if noise_suppression else 20)


@pytest.mark.parametrize("name", ["aec3", "speex"])
def test_who_speaks_while_nothing_is_played_is_heard_as_before(name: str) -> None:
    canceller = converged(name)
    left = cleaned(canceller, np.zeros(len(PERSON)), PERSON)
    assert abs(level(left) - level(PERSON)) < 2


@pytest.mark.parametrize("name", ["aec3", "speex"])
def test_who_talks_over_the_loudspeaker_is_heard_above_what_is_left_of_it(name: str) -> None:
    played = AGENT[: len(PERSON)]
    alone = cleaned(converged(name), played, echo(played))
    both = cleaned(converged(name), played, echo(played) + PERSON)
    assert level(both) - level(alone) > 15


@pytest.mark.parametrize("name", ["aec3", "speex"])
def test_a_minute_of_silence_makes_it_forget_nothing(name: str) -> None:
    canceller = converged(name)
    cleaned(canceller, np.zeros(60 * RATE), np.zeros(60 * RATE))
    captured = echo(AGENT)
    left = cleaned(canceller, AGENT, captured)
    assert level(captured) - level(left) > ATTENUATED_DB[name]


@pytest.mark.parametrize("name", ["aec3", "speex"])
def test_what_is_digitally_silent_stays_so(name: str) -> None:
    canceller, silence = made(name), np.zeros(BLOCK, np.int16)
    for _ in range(300):
        assert not canceller.process(silence, silence).any()


@pytest.mark.parametrize("name", ["aec3", "speex"])
def test_the_noise_of_the_room_is_suppressed_when_that_is_wanted(name: str) -> None:
    fan = noise(4, -50)
    with_it, without = (
        level(cleaned(made(name, noise_suppression=wanted), 0 * fan, fan)[-RATE:]) for wanted in (True, False)
    )
    assert with_it < -56
    assert abs(without + 50) < 2


def test_a_second_of_faint_noise_teaches_aec3_the_room() -> None:
    canceller = made("aec3")
    hiss = np.concatenate((noise(1, -30), np.zeros(RATE)))
    cleaned(canceller, hiss, echo(hiss))
    captured = echo(AGENT)[:RATE]
    left = cleaned(canceller, AGENT[:RATE], captured)
    assert level(captured) - level(left) > 20


def test_without_a_canceller_the_microphone_is_heard_as_it_is() -> None:
    captured = np.arange(BLOCK, dtype=np.int16)
    assert made("none").process(np.ones(BLOCK, np.int16), captured).tolist() == captured.tolist()


def test_what_was_cleaned_is_not_overwritten_by_the_next_block() -> None:
    for name in NAMES:
        canceller, silence = made(name), np.zeros(BLOCK, np.int16)
        loud = noise(1, -20).astype(np.int16)
        for start in range(0, len(loud), BLOCK):
            last = canceller.process(silence, loud[start : start + BLOCK])
        before = last.tolist()
        canceller.process(silence, silence)
        assert last.tolist() == before


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "block",
    [
        np.zeros(0, np.int16),
        np.zeros(BLOCK - 1, np.int16),
        np.zeros(2 * BLOCK, np.int16),
        np.zeros((BLOCK, 1), np.int16),
        np.zeros(BLOCK, np.int32),
        np.zeros(BLOCK, np.float32),
        np.zeros(BLOCK, ">i2"),
    ],
    ids=["nothing", "short", "long", "two dimensions", "int32", "float32", "big-endian"],
)
def test_a_block_of_another_size_or_type_is_refused(name: str, block: Samples) -> None:
    canceller, right = made(name), np.zeros(BLOCK, np.int16)
    with pytest.raises(ValueError, match=r"what was played is .*, expected int16"):
        canceller.process(block, right)
    with pytest.raises(ValueError, match=r"what was captured is .*, expected int16"):
        canceller.process(right, block)
    assert canceller.process(right, right).tolist() == right.tolist()


# --------------------------------------------------------------------------------------- what does not load


@pytest.fixture
def without_livekit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)  # as importing it fails when it is not installed


@pytest.fixture
def without_speex(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ctypes.PyDLL

    def missing(name: str) -> ctypes.PyDLL:
        return real("libspeexdsp.so.0" if name == "libspeexdsp.so.1" else name)

    monkeypatch.setattr(ctypes, "PyDLL", missing)


def test_auto_is_aec3() -> None:
    canceller, fact = load("auto", noise_suppression=True)
    assert (canceller.name, fact) == ("aec3", "aec3")


@pytest.mark.parametrize("name", NAMES)
def test_one_that_is_asked_for_by_name_is_taken(name: str) -> None:
    canceller, fact = load(name, noise_suppression=True)
    assert (canceller.name, fact) == (name, name)


@pytest.mark.usefixtures("without_livekit")
def test_without_livekit_auto_is_speex_and_says_why() -> None:
    canceller, fact = load("auto", noise_suppression=True)
    assert canceller.name == "speex"
    assert fact.startswith("speex; aec3 does not load: ")
    assert fact.endswith(" (pip install 'livekit>=1.2')")


@pytest.mark.usefixtures("without_livekit", "without_speex")
def test_without_either_auto_is_none_and_says_why() -> None:
    canceller, fact = load("auto", noise_suppression=True)
    assert canceller.name == "none"
    assert "; aec3 does not load: " in fact
    assert "; speex does not load: libspeexdsp.so.0: cannot open shared object file" in fact
    assert fact.endswith(" (apt install libspeexdsp1)")


@pytest.mark.usefixtures("without_livekit")
def test_aec3_asked_for_by_name_and_missing_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError) as error:
        load("aec3", noise_suppression=True)
    (problem,) = error.value.problems
    assert problem.startswith('echo.canceller = "aec3": aec3 does not load: ')
    assert problem.endswith(""" (pip install 'livekit>=1.2'), or choose "auto\"""")


@pytest.mark.usefixtures("without_speex")
def test_speex_asked_for_by_name_and_missing_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError) as error:
        load("speex", noise_suppression=True)
    (problem,) = error.value.problems
    assert problem.startswith('echo.canceller = "speex": speex does not load: libspeexdsp.so.0: cannot open')
    assert problem.endswith(' (apt install libspeexdsp1), or choose "auto"')


@pytest.fixture
def another_livekit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a copy of the wheel's package before the real one, without its library; return the copy's folder."""
    spec = find_spec("livekit.rtc")
    assert spec
    assert spec.submodule_search_locations
    copy = tmp_path / "livekit" / "rtc"
    shutil.copytree(f"{spec.submodule_search_locations[0]}/_proto", copy / "_proto")
    (copy / "__init__.py").touch()
    (copy / "resources").symlink_to(f"{spec.submodule_search_locations[0]}/resources")
    monkeypatch.syspath_prepend(tmp_path)
    return copy


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_a_livekit_that_knows_no_audio_processing_does_not_load(another_livekit: Path) -> None:
    change(another_livekit / "_proto" / "ffi_pb2.py", "new_apm", "new_abc")
    _, fact = load("auto", noise_suppression=True)
    assert fact == "speex; aec3 does not load: this livekit has no FfiRequest.new_apm (pip install 'livekit>=1.2')"


def test_a_livekit_that_describes_nothing_does_not_load(another_livekit: Path) -> None:
    (another_livekit / "_proto" / "ffi_pb2.py").write_text("")
    _, fact = load("auto", noise_suppression=True)
    assert fact.startswith("speex; aec3 does not load: livekit is not as expected: ")


def test_a_livekit_whose_library_is_missing_does_not_load(another_livekit: Path) -> None:
    (another_livekit / "resources").unlink()
    _, fact = load("auto", noise_suppression=True)
    assert "liblivekit_ffi.so: cannot open shared object file" in fact
    assert fact.startswith("speex; aec3 does not load: ")


# ---------------------------------------------------------------------------------------------- in the long run


def resident_kb() -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(text.partition("Rss:")[2].split()[0])


def grown_kb(times: int, run: Callable[[], object]) -> int:
    """Return by how much the process grows while something is done so often, after half as many to settle."""
    for _ in range(times // 2):
        run()
    before = resident_kb()
    for _ in range(times):
        run()
    return resident_kb() - before


def blocks() -> Iterator[tuple[Samples, Samples]]:
    played = np.resize(AGENT, 8 * RATE)
    captured = echo(played).astype(np.int16)
    while True:
        for start in range(0, len(captured), BLOCK):
            yield played[start : start + BLOCK].astype(np.int16), captured[start : start + BLOCK]


@pytest.mark.parametrize("name", ["aec3", "speex"])
def test_no_block_leaves_anything_behind(name: str) -> None:
    canceller, endless = made(name), blocks()
    assert grown_kb(10_000, lambda: canceller.process(*next(endless))) < 400  # one kept response each would be 1500


@pytest.mark.parametrize("name", ["aec3", "speex"])
def test_a_canceller_that_nobody_needs_any_more_leaves_nothing_behind(name: str) -> None:
    assert grown_kb(60, lambda: made(name)) < 2000  # 60 of them are 9 MB at least


def test_the_audio_thread_uses_what_the_main_thread_has_made() -> None:
    canceller, heard = made("aec3"), list[Samples]()
    thread = Thread(target=lambda: heard.append(cleaned(canceller, AGENT, echo(AGENT))))
    thread.start()
    thread.join()
    assert heard[0].tolist() == cleaned(made("aec3"), AGENT, echo(AGENT)).tolist()


def test_nothing_is_printed_and_the_process_ends_as_if_they_were_not_there() -> None:
    program = """
import numpy as np
from edgevoice.audio.echo import load
for name in ("aec3", "speex", "none"):
    canceller, _ = load(name, noise_suppression=True)
    for _ in range(50):
        canceller.process(*np.random.default_rng(1).integers(-3000, 3000, (2, 160), np.int16))
"""
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program], capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
