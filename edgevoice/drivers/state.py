"""What the box has learned and keeps over restarts: one small file for each card, and one for itself.

Where that is: $STATE_DIRECTORY (from systemd), else /var/lib/edgevoice if it is there or we are root, else the user's
own. A file is replaced as a whole or not at all, and one that is damaged counts as none: the box learns again. Its mode
is 0644 whoever writes it: root calibrates, and the service, another user, reads. The directory is the service's, 0700;
systemd makes one that root made the service's own.
"""

from __future__ import annotations

import os
import re
import tempfile
import zlib
from pathlib import Path

import msgspec

from edgevoice.audio.calibration import Calibration
from edgevoice.drivers.runtime import runtime_file
from edgevoice.errors import DeviceError
from edgevoice.recovery import Kept
from edgevoice.schema import Card

SYSTEM = Path("/var/lib/edgevoice")
RECOVERY = "recovery.json"
BOOT = Path("/proc/sys/kernel/random/boot_id")
DAMAGE = (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def directory() -> Path:
    """Return the state directory; it need not exist yet."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    if os.path.lexists(SYSTEM) or os.geteuid() == 0:  # a link of systemd's that only root can follow is there, too
        return SYSTEM
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "edgevoice"


def name_of(card: Card) -> str:
    """Name the configured card by its two PCMs, as they stand in the configuration."""
    if card.simulate:
        return "simulated room"
    return card.capture if card.capture == card.playback else f"{card.capture} {card.playback}"


def path_of(kind: str, card: str, ending: str) -> Path:
    """Return where something of a card is kept: legible, and never the same for two cards."""
    legible = re.sub(r"[^A-Za-z0-9]+", "-", card).strip("-")[:60]
    return directory() / f"{kind}-{legible}-{zlib.crc32(card.encode()):08x}.{ending}"


def keep(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file, or leave the old one. Raises DeviceError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(path)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{os.getpid()}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        hint = "; do it as root (sudo)" if isinstance(error, PermissionError) else ""
        raise DeviceError(f"{path} cannot be written: {error.strerror}{hint}") from error


def _sweep(path: Path) -> None:
    """Remove what writers left half written who were killed; what one writes who is alive stays."""
    for left in path.parent.glob(f".{path.name}.*"):
        writer = left.name.removeprefix(f".{path.name}.").partition(".")[0]
        try:
            os.kill(int(writer), 0)
        except (ProcessLookupError, ValueError, OverflowError):  # it is gone, or no process's name
            left.unlink(missing_ok=True)
        except PermissionError:
            pass  # it is another user's, and alive


def keep_calibration(calibration: Calibration) -> Path:
    """Replace what was known of this card; return the file. Raises DeviceError."""
    path = path_of("calibration", calibration.card, "json")
    keep(path, msgspec.json.format(msgspec.json.encode(calibration), indent=2) + b"\n")
    return path


def load_calibration(card: str) -> Calibration | None:
    """Return what is known of a card, None if nothing is, or nothing legible. Never raises."""
    try:
        found = msgspec.json.decode(path_of("calibration", card, "json").read_bytes(), type=Calibration)
    except DAMAGE:
        return None
    return found if found.card == card else None


def keep_recovery(kept: Kept, *, lasting: bool = True) -> None:
    """Write down what was done about a card that hangs. Raises DeviceError.

    Not `lasting`: for this boot of the machine, in the service's runtime directory where it has one. That is in memory:
    it wears no SD card, and a root that is read-only forbids no new process.
    """
    here, written = runtime_file(RECOVERY), msgspec.json.encode(kept) + b"\n"
    if lasting or here is None:
        keep(directory() / RECOVERY, written)
    if here:
        keep(here, written)


def load_recovery() -> Kept:
    """Return what was done about a card that hangs, as far as it is known. Never raises."""
    for path in filter(None, (runtime_file(RECOVERY), directory() / RECOVERY)):
        try:
            return msgspec.json.decode(path.read_bytes(), type=Kept)
        except DAMAGE:
            continue
    return Kept()


def boot() -> str:
    """Name this boot of the machine. Source: proc(5), random/boot_id."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""
