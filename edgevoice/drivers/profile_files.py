"""The profiles of sound HATs that are there: those of the package, and the owner's own beside the configuration."""

from __future__ import annotations

from pathlib import Path

from edgevoice.errors import ConfigError, not_read

SHIPPED = Path(__file__).parent.parent / "hats"
OWN = "profiles"  # a folder beside the configuration: its files take the place of ours of the same name
CARDS = Path("/proc/asound/cards")
HAT = Path("/proc/device-tree/hat")  # what the firmware has read in the memory of a HAT that has one


def profile_texts(beside: Path | None = None) -> dict[str, str]:
    """Return the TOML of each profile by its name; `beside` is the folder of the configuration."""
    folders = [SHIPPED, *([beside / OWN] if beside else [])]
    return {path.stem: text_of(path, seen=True) for folder in folders for path in _profiles_in(folder)}


def _profiles_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise not_read(f"{folder}: cannot be read: {error.strerror}", error) from error


def card_ids(cards: Path = CARDS) -> list[str]:
    """Return the ids of the sound cards that the kernel has now."""
    try:
        lines = cards.read_text().splitlines()
    except OSError:  # a kernel without sound
        return []
    return [line.partition("[")[2].partition("]")[0].strip() for line in lines if line.strip()[:1].isdigit()]


def hat_product(hat: Path = HAT) -> tuple[str, str]:
    """Return vendor and product of the HAT as its memory has them; "" each where there is none.

    Source: raspberrypi/hats, eeprom-format.md, vendor info atom.
    """
    try:
        vendor, product = ((hat / name).read_bytes().rstrip(b"\0") for name in ("vendor", "product"))
    except OSError:
        return "", ""
    return vendor.decode(errors="replace").strip(), product.decode(errors="replace").strip()


def text_of(path: Path, *, seen: bool = False) -> str:
    """Return the text of a profile or a configuration. Raises ConfigError; `seen`: it was there a moment ago."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise not_read(f"{path}: cannot be read: {error.strerror}", error, seen=seen) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text: byte {error.start}"]) from error
