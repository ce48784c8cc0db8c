"""Asks other programs of this machine, and reads small files of the kernel; what is not there says nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

LIMIT_S = 3.0  # they answer in milliseconds, or hang


def said(*command: str) -> str:
    """Return what a program prints, or "" when it is not installed, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def told(path: Path) -> str:
    """Return the text of a small file, or "" when it is not there or not for us."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""
