"""`edgevoice calibrate`: plays a sweep on the card, measures its echo, says what is wrong, keeps the result.

    running appliance? ── open card, set volume ── sweeps (`Calibrator`) ── findings ── state directory, picture
          refuse                                                              words

The card is run as the appliance runs it: the same protocol, the same volume, the same reference. Recordings of the
room are written only where somebody asks for them (`--out`); what is kept else are figures and a picture.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from edgevoice.audio.calibration import Calibration, Calibrator, calibration
from edgevoice.audio.findings import Finding, Setting, findings
from edgevoice.audio.measurement import Figures
from edgevoice.audio.ports import Card
from edgevoice.audio.recording import Recorder, Recording
from edgevoice.audio.reference import Reference
from edgevoice.calibration_picture import draw
from edgevoice.drivers import control, state
from edgevoice.drivers.alsa import hush
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.drivers.capture_level import capture_level
from edgevoice.drivers.mixer import Mixer, NoMixer, mixer_device, open_mixer
from edgevoice.drivers.mixer_settings import MixerSettings
from edgevoice.drivers.wav import write_wav
from edgevoice.errors import DeviceError
from edgevoice.files import make_folder
from edgevoice.schema import Config

SOMETHING_WRONG = 1  # the exit code when a finding is grave
STOP_IT = "stop the appliance first (sudo systemctl stop edgevoice), and start it again afterwards"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `calibration` is None when the echo could not be measured."""

    calibration: Calibration | None
    figures: Figures | None
    findings: list[Finding]

    @property
    def grave(self) -> bool:
        return any(finding.grave for finding in self.findings)


def run(config: Config, open_card: Callable[[], OpenedCard], *, out: Path | None = None, as_json: bool = False) -> int:
    """Calibrate, print the result, keep it; return the exit code. Raises DeviceError."""
    hush()
    _refuse_if_running(config.status.socket)
    if out:
        make_folder(out)
    card = _opened(open_card)
    mixer: Mixer = NoMixer("not opened")
    hat_mixer = MixerSettings()
    try:
        for problem in [] if config.card.simulate else hat_mixer.apply(config.hat_mixer):
            print(f"note: {problem}", file=sys.stderr)
        mixer, setting = _set(config)
        calibrator = measure(card, (lambda doing: None) if as_json else _say)
    finally:
        mixer.restore()
        hat_mixer.restore()
        card.close()
    outcome = _outcome(config, calibrator, setting, card.rate)
    if not as_json:
        _tell(outcome)
    written, refused = _written(config, calibrator, outcome, out)
    if as_json:
        well = not outcome.grave and refused is None
        print(json.dumps({"ok": well, **_plain(outcome), "files": [str(path) for path in written]}))
    else:
        print("".join(f"written: {path}\n" for path in written), end="")
    if refused:
        raise refused
    return SOMETHING_WRONG if outcome.grave else 0


def measure(card: Card, say: Callable[[str], None]) -> Calibrator:
    """Run the card until the figures are good, or never will be; `say` what is being done. Raises DeviceError."""
    calibrator, reference, said = Calibrator(card.rate, card.ahead), Reference(card.rate), ""
    while not calibrator.done:
        if calibrator.doing != said:
            said = calibrator.doing
            say(said)
        run_a_period(card, reference, calibrator.recorder)
        if calibrator.recorder.full:
            calibrator.judge()
    return calibrator


def run_a_period(card: Card, reference: Reference, recorder: Recorder) -> None:
    """As `duplex.cycle` does it: one period in, its reference beside it, one period out."""
    captured = card.read()
    held = card.queued()
    if reference.due(card.restarts):
        reference.anchor(card.position(), card.restarts)
    recorder.hear(captured, reference.take(len(captured)), card.restarts + reference.slips)
    if card.ahead > held:
        pcm = recorder.next(card.ahead - held)
        card.write(pcm)
        reference.wrote(pcm)


def _refuse_if_running(socket: str) -> None:
    try:
        control.ask(socket, {"do": "status"})
    except control.NobodyListens:
        return  # if another program has the card, opening it says so
    raise DeviceError(f"edgevoice is running and has the card: {STOP_IT}")


def _opened(open_card: Callable[[], OpenedCard]) -> OpenedCard:
    try:
        return open_card()
    except DeviceError as error:
        hint = f". If it is the appliance: {STOP_IT}" if "held by another program" in str(error) else ""
        raise DeviceError(f"{error}{hint}") from error


def _set(config: Config) -> tuple[Mixer, Setting]:
    """Set the volume that the appliance plays at."""
    card = config.card
    if card.simulate:
        return NoMixer("the simulated room has none"), Setting(capture_channel=card.capture_channel)
    mixer = open_mixer(card.playback, card.mixer, card.volume)
    level = capture_level(mixer_device(card.capture))
    return mixer, Setting(volume=mixer.volume(), capture_channel=card.capture_channel, capture=level)


def _outcome(config: Config, calibrator: Calibrator, setting: Setting, rate: int) -> Outcome:
    figures = calibrator.figures
    kept = None
    if figures is not None:
        kept = calibration(
            figures,
            card=state.name_of(config.card),
            made=datetime.now().astimezone().isoformat(timespec="seconds"),
            rate=rate,
            volume=setting.volume,
        )
    return Outcome(kept, figures, findings(figures, setting))


def _written(
    config: Config, calibrator: Calibrator, outcome: Outcome, out: Path | None
) -> tuple[list[Path], DeviceError | None]:
    """Write what can be written; return that, and why it is not all: neither place costs the other one its files."""
    written: list[Path] = []
    refused: DeviceError | None = None
    picture = ""
    if calibrator.response and calibrator.figures:
        picture = draw(calibrator.response, calibrator.figures, f"{config.device.name}: {state.name_of(config.card)}")
    try:
        if outcome.calibration:
            written += _keep(outcome.calibration, picture)
    except DeviceError as error:
        refused = error
    try:
        if out and calibrator.recording:
            written += _write_out(out, picture, calibrator.recording)
    except DeviceError as error:
        refused = refused or error
    return written, refused


def _keep(calibration: Calibration, picture: str) -> list[Path]:
    kept = [state.keep_calibration(calibration)]
    if picture:
        kept.append(state.path_of("calibration", calibration.card, "svg"))
        state.keep(kept[-1], picture.encode())
    return kept


def _write_out(out: Path, picture: str, recording: Recording) -> list[Path]:
    names = [out / "impulse-response.svg", out / "speaker.wav", out / "microphone.wav"]
    rate = recording.sweep.rate
    try:
        out.mkdir(parents=True, exist_ok=True)
        names[0].write_text(picture, encoding="utf-8")
        write_wav(names[1], recording.played, rate)
        write_wav(names[2], recording.captured, rate)
    except OSError as error:
        raise DeviceError(f"{out}: {error.strerror}") from error
    return names


# ------------------------------------------------------------------------------------------------------- in words


def _say(doing: str) -> None:
    print(f"{doing} ... (4 s; please be quiet)", flush=True)


def _tell(outcome: Outcome) -> None:
    for name, value, unit, meaning in _rows(outcome.figures) if outcome.figures else ():
        print(f"  {name:14}{value:>8} {unit:5}{meaning}".rstrip())
    for finding in outcome.findings:
        print(f"{'WRONG' if finding.grave else 'note'}: {finding.words}")
    if not outcome.findings:
        print("All is well.")


def _rows(figures: Figures) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, value, unit and meaning of each figure."""
    heard = figures.heard
    if heard:
        yield "echo delay", f"{heard.delay_ms:.1f}", "ms", "from leaving the card until it is captured"
        yield "echo", f"{heard.echo_db:.1f}", "dB", "against what is played; minus that is the echo return loss"
        yield "distortion", f"{heard.distortion_percent or 0:.1f}", "%", "harmonics of the loudspeaker"
        yield "polarity", ("unclear", "normal", "inverted")[heard.polarity], "", ""
    yield "noise floor", f"{figures.noise_dbfs:.1f}", "dBFS", "while nothing was played"
    yield "highest peak", f"{figures.peak_dbfs:.1f}", "dBFS", f"while the sweep was at {figures.sweep_dbfs:.0f} dBFS"


def _plain(outcome: Outcome) -> dict[str, object]:
    return {
        "calibration": asdict(outcome.calibration) if outcome.calibration else None,
        "figures": asdict(outcome.figures) if outcome.figures else None,
        "findings": [
            {"trouble": finding.trouble.value, "words": finding.words, "grave": finding.grave}
            for finding in outcome.findings
        ],
    }
