"""Files that outlive the process and not the boot: the service's runtime directory, which is in memory.

The unit keeps it over a restart (RuntimeDirectoryPreserve=). A program that was started by hand has none.
"""

from __future__ import annotations

import os
from pathlib import Path


def runtime_file(name: str) -> Path | None:
    """Return where a file of that name is kept, None where nothing outlives the process."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(given, name) if given else None
