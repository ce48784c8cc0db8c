"""The sound cards as the kernel lists them, and which programs have them open.

Who plays or records stands in /proc/asound, for everybody to read; who has a mixer open only in the descriptors of the
processes, which are root's and one's own to see. Source: kernel, Documentation/sound/designs/procfile.rst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from edgevoice.doctor.facts import Holder, KernelCard
from edgevoice.drivers.commands import told

ROOT = Path("/")
DEVICE = re.compile(r"/dev/snd/(?:pcmC(\d+)D\d+([pc])|controlC(\d+))$")
STREAMS = {"p": "playback", "c": "capture"}


def kernel_cards(root: Path = ROOT) -> tuple[KernelCard, ...]:
    """Return the cards of the kernel; none where it has no sound."""
    modules = dict(re.findall(r"^\s*(\d+)\s+(\S+)", told(root / "proc/asound/modules"), re.MULTILINE))
    listed = re.findall(r"^\s*(\d+) \[(\S+)\s*\]: (.*?) - (.*)$", told(root / "proc/asound/cards"), re.MULTILINE)
    return tuple(
        KernelCard(number, name, driver, words.strip(), modules.get(number, ""))
        for number, name, driver, words in listed
    )


def holders(root: Path = ROOT, *, ourselves: int | None = None) -> tuple[Holder, ...]:
    """Return who has a card open, but for this process."""
    ourselves = os.getpid() if ourselves is None else ourselves
    names = {card.number: card.id for card in kernel_cards(root)}
    found = dict.fromkeys([*_streams(root), *_descriptors(root)])
    return tuple(
        Holder(process, _program(root, process), names.get(card, card), what)
        for process, card, what in found
        if process != ourselves
    )


def _streams(root: Path) -> Iterator[tuple[int, str, str]]:
    for status in sorted((root / "proc/asound").glob("card*/pcm*/sub*/status")):
        owner = re.search(r"owner_pid\s*:\s*(\d+)", told(status))
        if owner:
            stream, card = status.parts[-3], status.parts[-4]
            yield _process(root, int(owner[1])), card.removeprefix("card"), STREAMS[stream[-1]]


def _process(root: Path, thread: int) -> int:
    """The kernel notes the thread that opened it."""
    group = re.search(r"^Tgid:\s*(\d+)", told(root / f"proc/{thread}/status"), re.MULTILINE)
    return int(group[1]) if group else thread


def _descriptors(root: Path) -> Iterator[tuple[int, str, str]]:
    for folder in sorted((root / "proc").glob("[0-9]*/fd")):
        try:
            targets = [os.readlink(folder / name) for name in os.listdir(folder)]
        except OSError:
            continue  # it has ended, or is not ours to see
        for target in targets:
            if device := DEVICE.search(target):
                card, stream, mixer = device.groups()
                yield int(folder.parent.name), card or mixer, STREAMS.get(stream or "", "mixer")


def _program(root: Path, process: int) -> str:
    """Name a program; one that Python runs by its own name."""
    arguments = told(root / f"proc/{process}/cmdline").split("\0")
    if any(Path(argument).name == "edgevoice" for argument in arguments[:3]):
        return "edgevoice"
    return told(root / f"proc/{process}/comm") or "a program"
