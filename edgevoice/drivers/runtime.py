"""Files that outlive the process and not the boot: the service's runtime directory, which is in memory.

The unit keeps it over a restart (RuntimeDirectoryPreserve=). A program that was started by hand has none.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

log = logging.getLogger(__name__)


def runtime_file(name: str) -> Path | None:
    """Return where a file of that name is kept, None where nothing outlives the process."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(given, name) if given else None


def recall(name: str, kind: type[T]) -> T | None:
    """Return what a process before this one has kept under that name; a torn file counts as none."""
    path = runtime_file(name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind) if path else None
    except (OSError, msgspec.MsgspecError):
        return None


def keep(name: str, value: msgspec.Struct) -> None:
    """Keep it for the next process, whole or not at all. Where it cannot be written that is said."""
    path = runtime_file(name)
    if path is None:
        return
    try:
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(value))
        new.replace(path)
    except OSError as error:
        log.warning("%s cannot be written, so a new process will not know: %s", path, error.strerror)


def forget(name: str) -> None:
    """The next process is to know nothing of it. Never raises: what cannot be taken away is gone with the stop."""
    path = runtime_file(name)
    try:
        if path is not None:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be taken away: %s", path, error.strerror)
