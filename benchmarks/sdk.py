"""Our audio interface for the ElevenLabs SDK beside its own, on the same virtual card, one after the other.

python -m benchmarks.sdk [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import sdk_figures, speech
from benchmarks.baseline import RATE, Client, interrupt_by_voice, keep, pause, running
from benchmarks.figures import Figures
from benchmarks.recording import Cut, read
from benchmarks.table import Row, distribution, single, text

Samples = NDArray[np.int16]

RESULTS = Path("bench-results") / "sdk"
CHANCE = 20
COUNTS = {"voices": 10, "interrupts": 16, "sounds": 10, "bursts": 12, "watch_s": 8}
QUICK = {"voices": 2, "interrupts": 3, "sounds": 2, "bursts": 3, "watch_s": 2}
HEADSET = (
    '[card]\ncapture = "mic"\nplayback = "speaker"\nrate = 16000\n[echo]\nhalf_duplex = "never"\ncanceller = "{}"\n'
)
INTERFACES = ("elevenlabs", "edgevoice", "edgevoice, 20 ms", "edgevoice, no canceller")
BURST = np.random.default_rng(5).integers(-20_000, 20_000, RATE // 20).astype(np.int16)  # 50 ms, louder than any voice
BURST_EVERY_S = 0.61


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.sdk", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--json", type=Path, default=RESULTS / "figures.json", metavar="FILE", help="%(default)s")
    options = parser.parse_args()
    counts = QUICK if options.quick else COUNTS
    begun, before = time.monotonic(), _load()
    said = speech.beginnings(RATE)
    rows: list[Row] = []
    for name in INTERFACES:
        print(f"... {name} (load {_load()})", file=sys.stderr, flush=True)
        rows += _measure(name, said, counts)
    print(text(sorted(rows, key=lambda row: row.figure)))
    print(f"\nload {before} before, {_load()} afterwards; {os.cpu_count()} cores; {time.monotonic() - begun:.0f} s")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def _measure(name: str, said: Sequence[Samples], counts: dict[str, int]) -> list[Row]:
    """Return the rows of one interface: of the shorter chunks only what they change."""
    folder = RESULTS / name.replace(", ", "-").replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    heard, rows = folder / "heard.txt", []
    heard.write_text("")
    with running(folder, 240, *_options(name, folder), "--heard", str(heard)) as client:
        while not heard.read_text():
            pause(0.1)  # it is being imported, the card opened
        pause(2.0)  # a canceller that is new
        if name != "edgevoice, no canceller":
            rows += [distribution("microphone -> callback", name, _bursts(client, heard, counts["bursts"]))]
        if name == "edgevoice, 20 ms":
            return rows
        rows += [single("processor, the agent speaks", name, _share(client, counts["watch_s"]), "% of a core")]
        if name == "edgevoice, no canceller":
            return rows
        keep(folder / "sounds", client.world, _sounds(client, counts["sounds"]))
        keep(folder / "interrupts", client.world, _interrupts(client, counts["interrupts"]))
        keep(folder / "voices", client.world, interrupt_by_voice(client, said, counts["voices"], random.Random(CHANCE)))
    rows.append(distribution("output() -> loudspeaker", name, sdk_figures.to_loudspeaker(read(folder / "sounds"))))
    rows.append(distribution("interrupt() -> silence", name, _figures(folder / "interrupts")["interrupt_to_silence"]))
    rows.append(distribution("speech -> silence", name, _figures(folder / "voices")["voice_to_silence"]))
    return rows


def _options(name: str, folder: Path) -> list[str]:
    if name == "elevenlabs":
        return []
    configuration = folder / "edgevoice.toml"
    configuration.write_text(HEADSET.format("none" if "no canceller" in name else "auto"))
    return ["--edgevoice", str(configuration), "--chunk-ms", "20" if "20 ms" in name else "250"]


def _bursts(client: Client, heard: Path, count: int) -> list[float]:
    """Let something burst near the microphone, at another moment of the chunk each time."""
    said_at = []
    for _ in range(count):
        index = client.world.inject(BURST)
        said_at.append(client.world.time(index))
        pause(BURST_EVERY_S)
    pause(0.5)
    return sdk_figures.from_microphone(said_at, heard)


def _share(client: Client, seconds: float) -> float:
    """Return per cent of a core, the virtual card included, while the agent speaks."""
    client.speak(0.2)
    client.tell("cost")
    before = client.answer()
    pause(min(seconds, len(speech.reply(RATE)) / RATE - 0.5))
    client.tell("cost")
    after = client.answer()
    client.tell("interrupt")
    client.wait_for_silence(client.world.index(client.answer()["at"]))
    return float(100 * (after["used"] - before["used"]) / (after["at"] - before["at"]))


def _sounds(client: Client, count: int) -> list[Cut]:
    """Hand over a short sound, again and again, while nothing sounds."""
    cuts = []
    for turn in range(count):
        cuts.append(_told(client, "sound"))
        pause(0.7 + turn * 0.0037)
    return cuts


def _interrupts(client: Client, count: int) -> list[Cut]:
    """Call `interrupt` so often, at another moment of the reply each time."""
    cuts, chance = [], random.Random(CHANCE)
    for _ in range(count):
        client.speak(chance.uniform(0.2, 0.5))
        cuts.append(_told(client, "interrupt"))
        client.wait_for_silence(cuts[-1].at)
    return cuts


def _told(client: Client, command: str) -> Cut:
    client.tell(command)
    return Cut(command, client.world.index(client.answer()["at"]))


def _figures(folder: Path) -> Figures:
    """Compute the figures of a recording, in a process that cannot import the program."""
    command = [sys.executable, "-m", "benchmarks.figures", str(folder)]
    found: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
